//! Synthetic collections beside a real one, and how fast they are made.
//!
//! `cargo bench --no-default-features --bench synth -- FILE QUERIES`: the tables of
//! `docs/synth.md`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use splindex::progress::Silent;
use splindex::queries::file::{QueryKind, integer_weights, read_queries};
use splindex::synth::{Generator, Like, LikeOptions, Plain, Pool, Profile, SynthSource};
use splindex::vectors::inputs::open_vectors;

#[path = "synth/stats.rs"]
mod stats;
use stats::{Stats, measure};

type Queries = Vec<Vec<(String, u32)>>;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [file, queries, rest @ ..] = &args[..] else {
        return println!("synth: no collection and queries named, nothing measured");
    };
    let mut overrides = Vec::new();
    let mut from = vec![1, 4, 16];
    let mut only = String::new();
    for arg in rest {
        let (key, value) = arg.split_once('=').expect("key=value");
        match key {
            "mate" | "far" | "window" | "jitter" => overrides.push((key, value)),
            "from" => from = value.split(',').map(|f| f.parse().expect("a number")).collect(),
            "only" => only = value.to_owned(),
            _ => panic!("unknown setting {key}"),
        }
    }
    let wanted = |name: &str| only.is_empty() || only.split(',').any(|o| o == name);
    let queries = read_queries(Path::new(queries), QueryKind::Auto).expect("queries");
    let queries: Queries =
        integer_weights(&queries, 100.0).expect("weights").into_iter().map(|q| q.terms).collect();
    let pool = |limit: u64| {
        let mut opened = open_vectors(&[PathBuf::from(file)]).expect("vectors");
        Pool::read(opened.sources[0].as_mut(), limit).expect("vectors")
    };
    let n = u64::from(pool(u64::MAX).len());
    let options = |real: u64| {
        let mut options = LikeOptions::for_growth(n, real);
        for &(key, value) in &overrides {
            match key {
                "window" => options.window = value.parse().expect("a number"),
                "mate" => options.mate = value.parse().expect("a share"),
                "far" => options.far = value.parse().expect("a share"),
                _ => options.jitter = value.parse().expect("a share"),
            }
        }
        println!("{options:?}");
        options
    };
    let like =
        |limit: u64| Like::new(pool(limit), &queries, options(limit), 1, &Silent).expect("a pool");
    for limit in from.iter().map(|f| n / f) {
        if wanted("real") {
            show(
                &format!("real {limit}"),
                &measure(pool(limit), &queries, &Silent).expect("stats"),
            );
        }
    }
    for limit in from.iter().map(|f| n / f) {
        if wanted("like") {
            made(&format!("like {limit} to {n}"), &like(limit), n, 2000);
        }
    }
    if wanted("made") {
        let made_queries = Like::new(pool(n), &[], options(n), 1, &Silent).expect("a pool");
        made("like, queries from documents", &made_queries, n, 2000);
    }
    for profile in Profile::ALL {
        if wanted(profile.name()) {
            made(profile.name(), &Plain::new(profile, n, 1), n, 2000);
        }
    }
}

fn made(name: &str, generator: &dyn Generator, documents: u64, queries: u64) {
    let start = Instant::now();
    let pool = Pool::read(&mut SynthSource::new(generator, documents), documents).expect("vectors");
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "made in {seconds:.2} s, {:.1} M postings/s",
        pool.num_postings() as f64 / seconds / 1e6
    );
    let queries: Queries = (0..queries)
        .map(|q| {
            let terms = generator.query(q).into_iter();
            terms.map(|(t, w)| (generator.tokens().token(t).to_owned(), w)).collect()
        })
        .collect();
    show(name, &measure(pool, &queries, &Silent).expect("stats"));
}

fn show(name: &str, s: &Stats) {
    println!(
        "{name}: {} documents, {:.1} terms {:?}, {} different\n  df {:.4?}\n  weights {:.3?}\n  \
         gaps {:.3} -> {:.3}\n  short {:?}\n  long  {:?}",
        s.documents,
        s.postings as f64 / s.documents as f64,
        s.lengths,
        s.terms,
        s.df_shares,
        s.weights,
        s.gap_before,
        s.gap_after,
        s.short,
        s.long,
    );
}
