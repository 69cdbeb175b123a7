//! What one query from a map of tokens costs in Rust: the twin of python/benches/speed.py.
//!
//! ```text
//! cargo run --release --no-default-features --example one_query -- INDEX.spx QUERIES.tsv TERMS PASSES
//! ```
//!
//! Prints the mean over the queries, in µs, of each query's best pass: the query is made from
//! `{token: weight}`, searched for its ten best, and the hits get their ids.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use splindex::{Algorithm, Index};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [index, queries, terms, passes] = &args[..] else {
        return Err("expected INDEX.spx QUERIES.tsv TERMS PASSES".into());
    };
    let (terms, passes): (usize, usize) = (terms.parse()?, passes.parse()?);
    let index = Index::open(std::path::Path::new(index))?;
    let mut searcher = index.searcher();
    let mut sum = Duration::ZERO;
    let mut count = 0;
    for line in std::fs::read_to_string(queries)?.lines() {
        let Some((_, list)) = line.split_once('\t') else { continue };
        let mut query: HashMap<String, f64> = HashMap::new();
        for item in list.split_whitespace() {
            let (token, weight) = item.rsplit_once(':').ok_or("expected token:weight")?;
            query.insert(token.to_owned(), weight.parse()?);
        }
        if query.len() != terms {
            continue;
        }
        let mut best = Duration::MAX;
        for _ in 0..passes {
            let start = Instant::now();
            let prepared = index.query(query.iter().map(|(token, &weight)| (&**token, weight)))?;
            let hits = searcher.search(&prepared, 10, Algorithm::Auto)?;
            let ids: Vec<&str> = hits.iter().map(|hit| index.id(hit.ordinal)).collect();
            std::hint::black_box(ids);
            best = best.min(start.elapsed());
        }
        sum += best;
        count += 1;
    }
    println!("{:.2} {count}", sum.as_secs_f64() * 1e6 / f64::from(count));
    Ok(())
}
