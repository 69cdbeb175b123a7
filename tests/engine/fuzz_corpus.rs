//! The fuzz targets as plain tests: every file of `fuzz/corpus`, whole, cut, and damaged in
//! ways that are the same in every run. `cargo fuzz run index` goes on from there.

#[path = "../../fuzz/targets.rs"]
mod targets;

use crate::mutations::{corpus, run};

#[test]
fn damaged_indexes() {
    // Else the format has moved on and the corpus tests nothing: fuzz/make-corpus.
    for path in corpus("index") {
        assert!(splindex::index::Index::open(&path).is_ok(), "{}", path.display());
    }
    run("index", targets::index);
}

#[test]
fn damaged_vectors() {
    run("vectors", targets::vectors);
}

#[test]
fn damaged_texts() {
    run("text", targets::text);
}
