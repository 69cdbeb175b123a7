//! Sparse vectors in and out: what every encoder produces and every build consumes.
//!
//! Architecture invariant: a consumer sees only [`VectorSource`]; it does not know
//! whether the weights came from a model, a file format or BM25.

use std::path::Path;

use crate::error::{Place, Result};

pub(crate) mod ciff;
pub(crate) mod gathered;
pub mod inputs;
pub mod jsonl;
pub(crate) mod memory;
mod parts;
pub(crate) mod pisa;
pub(crate) mod reread;
mod slice;
pub mod sparse;
pub mod store;
#[cfg(test)]
pub(crate) mod testing;
mod tokens;
pub(crate) mod transpose;

pub use crate::quantize::WeightSummary;
pub use memory::{Documents, Rows};
#[cfg(all(feature = "cli", feature = "encode"))]
pub(crate) use parts::range_of;
pub use slice::Slice;
pub use tokens::TokenTable;

/// One document or query as a sparse vector over its source's [`TokenTable`].
///
/// `terms` and `weights` run in parallel. A source yields each term at most once per
/// record and only finite weights > 0 (zeros are dropped and counted by the source;
/// negative, NaN and infinite weights are its errors, with file and line).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VectorRecord {
    /// External id, unique in a collection.
    pub id: String,
    /// Term ids of the source, in any order.
    pub terms: Vec<u32>,
    /// Weight of each term.
    pub weights: Vec<f32>,
}

impl VectorRecord {
    /// Empties the record and keeps its buffers.
    pub fn clear(&mut self) {
        self.id.clear();
        self.terms.clear();
        self.weights.clear();
    }
}

/// How large a source is, as far as it knows before it is read: between the first number and
/// the second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Records.
    pub documents: u64,
    /// Tokens that it knows.
    pub tokens: u64,
    /// Bytes of all external ids.
    pub id_bytes: [u64; 2],
    /// Weights.
    pub postings: [u64; 2],
    /// Records of the most frequent token.
    pub longest: [u64; 2],
    /// Bytes that the source will hold itself, [`VectorSource::prepare`]'s room aside.
    pub held: u64,
}

/// A stream of sparse vectors in input order.
pub trait VectorSource {
    /// Reads the next record into `record` (cleared first); `false` at the end.
    fn read(&mut self, record: &mut VectorRecord) -> Result<bool>;

    /// Passes over the next `records` records, or all that are left.
    fn skip(&mut self, records: u64) -> Result<()> {
        let mut record = VectorRecord::default();
        for _ in 0..records {
            if !self.read(&mut record)? {
                break;
            }
        }
        Ok(())
    }

    /// Token strings of the term ids handed out so far.
    fn tokens(&self) -> &TokenTable;

    /// Where the record read last stands, for errors that only a whole collection shows.
    fn place(&self) -> Option<(&Path, Place)> {
        None
    }

    /// The weights' range, if known without reading everything (a store's manifest).
    fn weights(&self) -> Option<WeightSummary> {
        None
    }

    /// Number of records, if known before reading.
    fn len_hint(&self) -> Option<u64> {
        None
    }

    /// Its size, if known before reading.
    fn size(&self) -> Option<Size> {
        None
    }

    /// Share of its bytes that has been read, if known.
    fn done(&self) -> Option<f64> {
        None
    }

    /// Reads what must be known before the first record; buffers that can be of any size take
    /// at most `room` bytes.
    fn prepare(&mut self, _room: u64) -> Result<()> {
        Ok(())
    }

    /// Bytes that the source holds and that grow with what it reads.
    fn memory(&self) -> u64 {
        0
    }

    /// Weights dropped so far because they were zero.
    fn zero_weights(&self) -> u64 {
        0
    }
}
