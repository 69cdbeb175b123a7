//! A contiguous part of a source.

use std::path::Path;

use super::{Size, TokenTable, VectorRecord, VectorSource, WeightSummary};
use crate::error::{Place, Result};

/// Some consecutive records of another source. What is known of the weights is known of
/// all records there, so that every part of a store gets the same scale.
pub struct Slice<'s> {
    source: Box<dyn VectorSource + 's>,
    skip: u64,
    left: u64,
    /// Zero weights of the records that were skipped.
    zeros_before: u64,
}

impl<'s> Slice<'s> {
    /// `len` records of `source` after its first `skip`.
    pub fn new(source: Box<dyn VectorSource + 's>, skip: u64, len: u64) -> Self {
        Slice { source, skip, left: len, zeros_before: 0 }
    }
}

impl VectorSource for Slice<'_> {
    fn read(&mut self, record: &mut VectorRecord) -> Result<bool> {
        if self.skip > 0 {
            self.source.skip(std::mem::take(&mut self.skip))?;
            self.zeros_before = self.source.zero_weights();
        }
        if self.left == 0 {
            record.clear();
            return Ok(false);
        }
        self.left -= 1;
        self.source.read(record)
    }

    fn tokens(&self) -> &TokenTable {
        self.source.tokens()
    }

    fn place(&self) -> Option<(&Path, Place)> {
        self.source.place()
    }

    fn weights(&self) -> Option<WeightSummary> {
        self.source.weights()
    }

    fn zero_weights(&self) -> u64 {
        self.source.zero_weights() - self.zeros_before
    }

    fn len_hint(&self) -> Option<u64> {
        Some(self.left)
    }

    fn size(&self) -> Option<Size> {
        // A part's is not known.
        self.source.size().filter(|size| self.skip == 0 && self.left >= size.documents)
    }

    fn prepare(&mut self, room: u64) -> Result<()> {
        self.source.prepare(room)
    }

    fn memory(&self) -> u64 {
        self.source.memory()
    }
}
