//! A synthetic collection as a stream of vectors, made in parallel a block ahead.

use rayon::prelude::*;

use super::Generator;
use crate::error::Result;
use crate::vectors::store::BLOCK_RECORDS;
use crate::vectors::{TokenTable, VectorRecord, VectorSource, WeightSummary};

/// Documents 0..`documents` of a generator.
pub struct SynthSource<'a> {
    generator: &'a dyn Generator,
    documents: u64,
    /// Ordinal of the next block's first document.
    next: u64,
    block: std::vec::IntoIter<VectorRecord>,
}

impl<'a> SynthSource<'a> {
    /// A stream from the first document.
    pub fn new(generator: &'a dyn Generator, documents: u64) -> Self {
        SynthSource { generator, documents, next: 0, block: Vec::new().into_iter() }
    }
}

/// Documents `first`.. of `generator`, at most a store's block and below `end`.
pub(crate) fn block(generator: &dyn Generator, first: u64, end: u64) -> Vec<VectorRecord> {
    let end = end.min(first + BLOCK_RECORDS as u64);
    (first..end)
        .into_par_iter()
        .map(|ordinal| {
            let mut record = VectorRecord::default();
            generator.document(ordinal, &mut record);
            record
        })
        .collect()
}

impl VectorSource for SynthSource<'_> {
    fn read(&mut self, record: &mut VectorRecord) -> Result<bool> {
        if self.block.len() == 0 {
            let made = block(self.generator, self.next, self.documents);
            self.next += made.len() as u64;
            self.block = made.into_iter();
        }
        match self.block.next() {
            Some(made) => {
                *record = made;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn tokens(&self) -> &TokenTable {
        self.generator.tokens()
    }

    fn weights(&self) -> Option<WeightSummary> {
        Some(self.generator.weights())
    }

    fn len_hint(&self) -> Option<u64> {
        Some(self.documents)
    }
}
