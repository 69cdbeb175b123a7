//! Synthetic collections and queries of any size, for benchmarks and tests of scale.
//!
//! [`Like`] resamples real vectors, so that co-occurrence, clusters and score drop-off
//! stay real; [`Plain`] draws from published shapes and needs no data. `docs/synth.md`
//! compares both with real vectors.
//!
//! Architecture invariant: a document is a function of seed and ordinal alone: any thread can
//! make any part of a collection, and the bytes are the same for any number of threads.

mod like;
mod plain;
mod pool;
mod rng;
mod source;
mod write;

use crate::vectors::{TokenTable, VectorRecord, WeightSummary};

pub use like::{Like, LikeOptions};
pub use plain::{Plain, Profile};
pub use pool::Pool;
pub use source::SynthSource;
pub use write::{DOCUMENTS, QUERIES, WriteReport, write};

/// Makes documents and queries by ordinal.
pub trait Generator: Sync {
    /// Token strings of the term ids.
    fn tokens(&self) -> &TokenTable;

    /// Bounds that hold for every weight.
    fn weights(&self) -> WeightSummary;

    /// Makes document `ordinal` (its id is the ordinal in decimal digits).
    fn document(&self, ordinal: u64, record: &mut VectorRecord);

    /// Makes query `ordinal`: terms with integer weights from 1 to 65,535.
    fn query(&self, ordinal: u64) -> Vec<(u32, u32)>;
}
