//! What filters cost: the same queries with and without them, on one thread.
//!
//! `cargo run --release --example filters -- INDEX.spx QUERIES [FILTER…]`; tools/bench-filters makes the
//! index. A pass to warm up, then rounds of all queries; of each query its best.

use std::path::Path;
use std::time::{Duration, Instant};

use splindex::queries::file::{QueryKind, read_queries};
use splindex::queries::{Constraints, TEXT_SCALE};
use splindex::{Algorithm, Index, QueryBuilder, Result};

const ROUNDS: usize = 5;
const QUERIES: usize = 500;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [index, queries, filters @ ..] = &arguments[..] else {
        eprintln!("usage: filters INDEX.spx QUERIES [FILTER…]");
        std::process::exit(2);
    };
    let index = Index::open(Path::new(index))?;
    let builder = QueryBuilder::new(&index)?;
    let file = read_queries(Path::new(queries), QueryKind::Auto)?;
    let mut prepared = builder.prepare(&file, TEXT_SCALE)?;
    prepared.truncate(QUERIES);
    println!("filter\tkept\tcompile_us\tk\talgorithm\tmean_us\tp50_us\tp99_us");
    let all = std::iter::once(None).chain(filters.iter().map(Some));
    for text in all {
        let filter = text.map(|text| text.parse()).transpose()?;
        let started = Instant::now();
        let kept = match &filter {
            Some(condition) => builder.filter(condition)?.len(),
            None => index.documents(),
        };
        let compiled = started.elapsed();
        let constraints = Constraints { filter, ..Constraints::default() };
        let asked = prepared.iter().map(|query| builder.constrain(query.clone(), &constraints));
        let asked = asked.collect::<Result<Vec<_>>>()?;
        for k in [10, 1000] {
            for &algorithm in Algorithm::ALL {
                // The oracle takes milliseconds, and block_pruned needs its data.
                if algorithm == Algorithm::Exhaustive || algorithm.check(&index).is_err() {
                    continue;
                }
                let mut searcher = index.searcher();
                let mut best = vec![Duration::MAX; asked.len()];
                for round in 0..=ROUNDS {
                    for (query, best) in asked.iter().zip(&mut best) {
                        let started = Instant::now();
                        searcher.search(&query.query, k, algorithm)?;
                        if round > 0 {
                            *best = started.elapsed().min(*best);
                        }
                    }
                }
                best.sort_unstable();
                let micros = |time: Duration| time.as_secs_f64() * 1e6;
                let mean = best.iter().copied().map(micros).sum::<f64>() / best.len().max(1) as f64;
                let at = |share: f64| micros(best[((best.len() - 1) as f64 * share) as usize]);
                println!(
                    "{}\t{kept}\t{:.0}\t{k}\t{algorithm}\t{mean:.1}\t{:.1}\t{:.1}",
                    text.map_or("none", String::as_str),
                    micros(compiled),
                    at(0.5),
                    at(0.99),
                );
            }
        }
    }
    Ok(())
}
