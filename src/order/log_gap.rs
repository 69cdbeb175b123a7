//! What an order is worth: bits per posting.

use rayon::prelude::*;

use super::forward::{ForwardIndex, Postings, TermId};

/// Fraction bits of a summed logarithm; integer sums do not depend on how work is cut.
const UNIT: f64 = (1u64 << 32) as f64;
const TABLED: usize = 1 << 12;

/// Mean log2 of the gaps of all posting lists under `order` (new docid → ordinal), in
/// bits per posting. A list's first gap counts from docid −1, so every gap is ≥ 1.
///
/// Time: one random access a posting, in parallel; memory: 8 bytes a term and worker.
///
/// # Panics
/// If `order` names a document that `forward` does not have.
pub fn log_gap(forward: &ForwardIndex, order: &[u32]) -> f64 {
    if forward.num_postings() == 0 {
        return 0.0;
    }
    match &forward.postings {
        Postings::Narrow(p) => mean(forward, p, order),
        Postings::Wide(p) => mean(forward, p, order),
    }
}

/// Gaps inside one stretch of docids, and the ends by which stretches join.
struct Stretch {
    sum: u128,
    first: Vec<u32>,
    last: Vec<u32>,
}

const NONE: u32 = u32::MAX;

fn mean<T: TermId>(forward: &ForwardIndex, postings: &[T], order: &[u32]) -> f64 {
    let table: Vec<u64> = (0..=TABLED).map(|gap| log2(gap as u32)).collect();
    let log2 = |gap: u32| if gap as usize <= TABLED { table[gap as usize] } else { log2(gap) };
    let terms = forward.frequencies.len();
    let chunk = order.len().div_ceil(2 * rayon::current_num_threads()).max(1);
    let stretches: Vec<Stretch> = order
        .par_chunks(chunk)
        .enumerate()
        .map(|(c, docs)| {
            let mut s = Stretch { sum: 0, first: vec![NONE; terms], last: vec![NONE; terms] };
            for (i, &doc) in docs.iter().enumerate() {
                let docid = (c * chunk + i) as u32;
                let mut sum = 0u64;
                for t in &postings[forward.range(doc)] {
                    let last = std::mem::replace(&mut s.last[t.index()], docid);
                    if last == NONE {
                        s.first[t.index()] = docid;
                    } else {
                        sum += log2(docid - last);
                    }
                }
                s.sum += u128::from(sum);
            }
            s
        })
        .collect();
    let mut sum = 0u128;
    let mut next = vec![0u32; terms];
    for s in &stretches {
        sum += s.sum;
        for ((next, &first), &last) in next.iter_mut().zip(&s.first).zip(&s.last) {
            if first != NONE {
                sum += u128::from(log2(first + 1 - *next));
                *next = last + 1;
            }
        }
    }
    sum as f64 / UNIT / forward.num_postings() as f64
}

fn log2(gap: u32) -> u64 {
    if gap == 0 { 0 } else { (f64::from(gap).log2() * UNIT).round() as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::ForwardBuilder;

    #[test]
    fn log_gap_is_the_mean_over_all_lists() {
        let mut builder = ForwardBuilder::new();
        for doc in [&[0, 1][..], &[1], &[0], &[], &[0, 2]] {
            builder.push(doc);
        }
        let forward = builder.finish(1);
        // Lists 0: 1,2,2; 1: 1,1; 2: 5.
        let want = (1.0 + 1.0 + 5f64.log2()) / 6.0;
        assert!((log_gap(&forward, &[0, 1, 2, 3, 4]) - want).abs() < 1e-9);
        // Reversed: 0: 1,2,2; 1: 4,1; 2: 1.
        assert!((log_gap(&forward, &[4, 3, 2, 1, 0]) - 4.0 / 6.0).abs() < 1e-9);
    }

    #[test]
    fn an_empty_collection_has_no_gaps() {
        assert_eq!(log_gap(&ForwardBuilder::new().finish(1), &[]), 0.0);
    }
}
