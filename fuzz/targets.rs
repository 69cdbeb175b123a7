//! What is fuzzed: everything that reads a file somebody else may have written. No input may
//! panic, hang, or take memory out of proportion; errors are fine.
//!
//! Tokenizer files have a file of their own, `tokenizer.rs`.
//!
//! Used by the fuzz targets beside this file and, over `corpus/` and mutations of it, by
//! `tests/engine/fuzz_corpus.rs`.

use std::path::{Path, PathBuf};

use splindex::corpus::CorpusReader;
use splindex::eval::{Qrels, Run};
use splindex::index::{Index, Load};
use splindex::queries::file::{QueryKind, integer_weights, read_queries};
use splindex::query::{
    Algorithm, Comparison, Condition, Explainer, Filter, Literal, Query, Searcher,
};
use splindex::vectors::VectorRecord;
use splindex::vectors::inputs::open_vectors;

/// A file `name` of these bytes.
fn file(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).expect("a temporary file");
    path
}

/// An index: opened, verified, searched by every algorithm, explained.
pub fn index(dir: &Path, bytes: &[u8]) {
    let path = file(dir, "x.spx", bytes);
    let Ok(index) = Index::open_with(&path, Load::Ram) else { return };
    // Corrupt counts may ask for more work than a test should do, never for more memory.
    if index.documents() > 1 << 20 {
        return;
    }
    let (_, _) = (index.verify(), index.verify_deep());
    let _ = (index.statistics(), index.provenance());
    let lexicon = index.lexicon();
    let tokens: Vec<&str> = (0..lexicon.len().min(8)).map(|term| lexicon.token(term).1).collect();
    let weights = (1..).step_by(7);
    let Ok(query) = Query::new(&index, 0, tokens.into_iter().zip(weights)) else { return };
    // Every key, and what its values satisfy.
    let keys =
        index.attributes().map_or_else(Vec::new, |a| a.keys().map(|k| k.name.to_owned()).collect());
    let mut filter = None;
    for key in keys {
        let at_most = |value: Literal| Condition::Compare(key.clone(), Comparison::AtMost, value);
        for condition in [Condition::Has(key.clone()), at_most("m".into()), at_most(40.into())] {
            filter = Filter::new(&index, &condition).ok().or(filter);
        }
    }
    let query = Query { filter, ..query };
    let mut searcher = Searcher::new(&index);
    let explainer = Explainer::new(&index);
    for &algorithm in Algorithm::ALL {
        let Ok(hits) = searcher.search(&query, 5, algorithm) else { continue };
        for &hit in hits {
            assert!(hit.ordinal < index.documents());
            let _ = (index.id(hit.ordinal), explainer.explain(&query, hit));
        }
    }
}

/// Vectors in every exchange format, told apart by the first byte (a file name's ending).
pub fn vectors(dir: &Path, bytes: &[u8]) {
    const ENDINGS: [&str; 4] = ["jsonl", "ciff", "npz", "csr"];
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    let name = format!("x.{}", ENDINGS[usize::from(kind) % ENDINGS.len()]);
    let path = file(dir, &name, bytes);
    let Ok(mut opened) = open_vectors(&[path]) else { return };
    let mut record = VectorRecord::default();
    for source in &mut opened.sources {
        while let Ok(true) = source.read(&mut record) {
            assert_eq!(record.terms.len(), record.weights.len());
            assert!(record.weights.iter().all(|w| w.is_finite() && *w > 0.0));
            for &term in &record.terms {
                source.tokens().token(term);
            }
        }
    }
}

/// Texts, queries, judgements and runs.
pub fn text(dir: &Path, bytes: &[u8]) {
    for name in ["x.tsv", "x.jsonl"] {
        let path = file(dir, name, bytes);
        if let Ok(records) = CorpusReader::open(std::slice::from_ref(&path), None) {
            records.take_while(|record| record.is_ok()).for_each(drop);
        }
        for kind in [QueryKind::Auto, QueryKind::Text, QueryKind::Weighted, QueryKind::Repeated] {
            if let Ok(queries) = read_queries(&path, kind) {
                let _ = integer_weights(&queries, 100.0);
            }
        }
        let (_, _) = (Qrels::read(&path), Run::read(&path));
    }
}
