//! Document order on a real collection: CPU time, log-gap before and after, and the same
//! for the algorithm as first published.
//!
//! `cargo bench --no-default-features --bench order -- STORE|FILE.jsonl[.zst] [plain|fast] [key=value …]`

use std::path::PathBuf;
use std::time::Instant;

use splindex::order::{
    BpOptions, ForwardBuilder, ForwardIndex, bisect, bisect_from, identity, log_gap, nightly,
};
use splindex::vectors::VectorRecord;
use splindex::vectors::inputs::open_vectors;

fn main() {
    let mut args = std::env::args().skip(1).filter(|a| a != "--bench");
    let Some(path) = args.next() else {
        return println!("order: no collection named, nothing measured");
    };
    let mode = args.next().unwrap_or("fast".into());
    let mut options = BpOptions::default();
    let mut copies = 1;
    let mut changed = 0.03;
    let mut nights = 1;
    for arg in args {
        let (key, value) = arg.split_once('=').expect("key=value");
        match key {
            "iterations" => options.iterations = value.parse().expect("a number"),
            "settled" => options.settled = value.parse().expect("a share"),
            "sparse" => options.sparse_copies = value.parse().expect("true or false"),
            "leaf" => options.leaf = value.parse().expect("a number"),
            "copy" => options.copy_postings = value.parse().expect("a number"),
            "nights" => nights = value.parse().expect("a number"),
            "changed" => changed = value.parse().expect("a share"),
            "copies" => copies = value.parse().expect("a number"),
            _ => panic!("unknown setting {key}"),
        }
    }
    let docs = load(&path);
    if mode == "from" {
        return from(&docs, changed, nights, &options);
    }
    let mut builder = ForwardBuilder::new();
    for _ in 0..copies {
        docs.iter().for_each(|d| builder.push(d));
    }
    let forward = builder.finish(2);
    println!(
        "{} documents, {} postings, {} terms, {:.1} MB",
        forward.len(),
        forward.num_postings(),
        forward.num_terms(),
        forward.bytes() as f64 / 1e6
    );
    println!("before  {:.4} bits/posting", log_gap(&forward, &identity(forward.len())));
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let order = match mode.as_str() {
        "plain" => plain::bisect(&docs, options.leaf as usize, options.iterations),
        _ => bisect(&forward, &options, &splindex::progress::Silent),
    };
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!(
        "after   {:.4} bits/posting, {wall:.2} s, {cpu:.2} CPU s, {:.3} µs CPU/posting, {options:?}",
        log_gap(&forward, &order),
        cpu * 1e6 / forward.num_postings() as f64
    );
}

/// A night: of the documents of yesterday's order, `changed` are gone; of these one half has others
/// under the same ids, and as many are new. Against the order from nothing.
fn from(docs: &[Vec<u32>], changed: f64, nights: usize, options: &BpOptions) {
    // A night takes two documents out of the collection for each that changes.
    let n = (docs.len() as f64 / (1.0 + changed)) as usize;
    let night = docs.len() - n;
    let forward = |docs: &mut dyn Iterator<Item = &Vec<u32>>| -> ForwardIndex {
        let mut builder = ForwardBuilder::new();
        docs.for_each(|d| builder.push(d));
        builder.finish(2)
    };
    let old =
        bisect(&forward(&mut docs[..n].iter()), &BpOptions::default(), &splindex::progress::Silent);
    // Every so many-th document is another; of these, every second has another id.
    let step = n / night;
    let another = |i: usize| i.is_multiple_of(step) && i / step < night;
    let today = |i: usize| if another(i) { &docs[n + i / step] } else { &docs[i] };
    let today = forward(&mut (0..n).map(today));
    let id = |&doc: &u32| {
        let doc = doc as usize;
        (!another(doc) || (doc / step).is_multiple_of(2)).then_some(doc as u32)
    };
    let report = |name: &str, order: &[u32], wall: f64, cpu: f64| {
        println!(
            "{name:<10} {:.4} bits/posting, {wall:.2} s, {cpu:.2} CPU s",
            log_gap(&today, order)
        );
    };
    let timed = |work: &dyn Fn() -> Vec<u32>| {
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let order = work();
        (order, start.elapsed().as_secs_f64(), cpu_seconds() - cpu)
    };
    println!("{n} documents, {night} others");
    let start = nightly(old.iter().map(id), n as u32);
    report("start", &start, 0.0, 0.0);
    let (order, wall, cpu) =
        timed(&|| bisect(&today, &BpOptions::default(), &splindex::progress::Silent));
    report("full", &order, wall, cpu);
    let (order, wall, cpu) =
        timed(&|| bisect_from(&today, start.clone(), options, &splindex::progress::Silent));
    report("from", &order, wall, cpu);
    // More nights, whose others all come under the ids that were there.
    let (mut order, mut today) = (order, today);
    for shift in 1..nights {
        let other = |i: usize| i % step == (7 * shift) % step && i / step < night;
        let document = |i: usize| match other(i) {
            true => &docs[n + (i / step + 977 * shift) % night],
            false => &docs[i],
        };
        today = forward(&mut (0..n).map(document));
        let start = nightly(order.iter().map(|&doc| Some(doc)), n as u32);
        order = bisect_from(&today, start, options, &splindex::progress::Silent);
    }
    if nights > 1 {
        let full = bisect(&today, &BpOptions::default(), &splindex::progress::Silent);
        let (found, full) = (log_gap(&today, &order), log_gap(&today, &full));
        println!("night {nights}: {found:.4} bits/posting, from nothing {full:.4}");
    }
}

/// User + system time of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Term ids of every document of a store or JsonVectorCollection file.
fn load(path: &str) -> Vec<Vec<u32>> {
    let mut opened = open_vectors(&[PathBuf::from(path)]).expect("vectors");
    let mut docs = Vec::new();
    let mut record = VectorRecord::default();
    while opened.sources[0].read(&mut record).expect("vectors") {
        docs.push(record.terms.clone());
    }
    docs
}

/// Recursive graph bisection as published in 2016: logarithms per term, both halves
/// sorted, pairs exchanged while their gains sum to more than 0.
mod plain {
    pub fn bisect(docs: &[Vec<u32>], leaf: usize, iterations: u32) -> Vec<u32> {
        let terms = docs.iter().flatten().max().map_or(0, |&t| t as usize + 1);
        let mut order: Vec<u32> = (0..docs.len() as u32).collect();
        split(docs, terms, &mut order, leaf, iterations);
        order
    }

    fn split(docs: &[Vec<u32>], terms: usize, part: &mut [u32], leaf: usize, iterations: u32) {
        if part.len() <= leaf {
            return part.sort_unstable();
        }
        let middle = part.len().div_ceil(2);
        let (left, right) = part.split_at_mut(middle);
        let (mut dl, mut dr) = (vec![0i32; terms], vec![0i32; terms]);
        for (half, degrees) in [(&*left, &mut dl), (&*right, &mut dr)] {
            for &doc in half {
                docs[doc as usize].iter().for_each(|&t| degrees[t as usize] += 1);
            }
        }
        let (nl, nr) = (left.len() as f64, right.len() as f64);
        let cost = |n: f64, d: i32| f64::from(d) * (n / f64::from(d + 1)).log2();
        for _ in 0..iterations {
            let mut gains = [vec![f64::NAN; terms], vec![f64::NAN; terms]];
            let mut gain = |side: usize, doc: u32| -> f64 {
                let mut sum = 0.0;
                for &t in &docs[doc as usize] {
                    let t = t as usize;
                    if gains[side][t].is_nan() {
                        let (l, r) = (dl[t], dr[t]);
                        let step = if side == 0 { -1 } else { 1 };
                        gains[side][t] =
                            cost(nl, l) + cost(nr, r) - cost(nl, l + step) - cost(nr, r - step);
                    }
                    sum += gains[side][t];
                }
                sum
            };
            let mut l: Vec<(f64, u32)> = left.iter().map(|&d| (gain(0, d), d)).collect();
            let mut r: Vec<(f64, u32)> = right.iter().map(|&d| (gain(1, d), d)).collect();
            l.sort_by(|a, b| b.0.total_cmp(&a.0));
            r.sort_by(|a, b| b.0.total_cmp(&a.0));
            let mut swaps = 0;
            for (l, r) in l.iter_mut().zip(&mut r) {
                if l.0 + r.0 <= 0.0 {
                    break;
                }
                for &t in &docs[l.1 as usize] {
                    dl[t as usize] -= 1;
                    dr[t as usize] += 1;
                }
                for &t in &docs[r.1 as usize] {
                    dl[t as usize] += 1;
                    dr[t as usize] -= 1;
                }
                std::mem::swap(l, r);
                swaps += 1;
            }
            left.iter_mut().zip(&l).for_each(|(d, l)| *d = l.1);
            right.iter_mut().zip(&r).for_each(|(d, r)| *d = r.1);
            if swaps == 0 {
                break;
            }
        }
        split(docs, terms, left, leaf, iterations);
        split(docs, terms, right, leaf, iterations);
    }
}
