//! Vectors in memory, to resample or to measure.

use crate::error::{Error, Result};
use crate::order::{ForwardBuilder, ForwardIndex};
use crate::vectors::{TokenTable, VectorRecord, VectorSource, WeightSummary};

/// Documents as sorted term lists with weights; 8 bytes a posting, 8 a document.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    offsets: Vec<u64>,
    terms: Vec<u32>,
    weights: Vec<f32>,
    tokens: TokenTable,
}

impl Pool {
    /// Reads `source` to its end, or `limit` documents of it.
    ///
    /// # Errors
    /// Those of the source; more than 2^32 − 1 documents.
    pub fn read(source: &mut dyn VectorSource, limit: u64) -> Result<Self> {
        let mut pool = Pool { offsets: vec![0], ..Default::default() };
        let mut record = VectorRecord::default();
        let mut sorted: Vec<(u32, f32)> = Vec::new();
        while pool.offsets.len() as u64 <= limit && source.read(&mut record)? {
            sorted.clear();
            sorted.extend(record.terms.iter().copied().zip(record.weights.iter().copied()));
            sorted.sort_unstable_by_key(|&(term, _)| term);
            pool.push(&sorted);
            if pool.offsets.len() > u32::MAX as usize {
                return Err(Error::Usage("more documents than fit in memory".into()));
            }
        }
        pool.tokens = source.tokens().clone();
        Ok(pool)
    }

    fn push(&mut self, vector: &[(u32, f32)]) {
        self.terms.extend(vector.iter().map(|&(term, _)| term));
        self.weights.extend(vector.iter().map(|&(_, weight)| weight));
        self.offsets.push(self.terms.len() as u64);
    }

    /// Number of documents.
    pub fn len(&self) -> u32 {
        self.offsets.len().saturating_sub(1) as u32
    }

    /// Whether there are no documents.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of postings.
    pub fn num_postings(&self) -> u64 {
        self.terms.len() as u64
    }

    /// Terms, increasing, and weights of a document.
    #[inline]
    pub fn document(&self, ordinal: u32) -> (&[u32], &[f32]) {
        let i = ordinal as usize;
        let range = self.offsets[i] as usize..self.offsets[i + 1] as usize;
        (&self.terms[range.clone()], &self.weights[range])
    }

    /// Token strings by term id.
    pub fn tokens(&self) -> &TokenTable {
        &self.tokens
    }

    /// All weights.
    pub fn all_weights(&self) -> &[f32] {
        &self.weights
    }

    /// Largest weight, and whether all are small integers.
    pub fn weights(&self) -> WeightSummary {
        WeightSummary {
            largest: self.weights.iter().copied().fold(0.0, f32::max),
            small_integers: self.weights.iter().all(|w| *w <= 255.0 && w.fract() == 0.0),
        }
    }

    /// For ordering: terms of at least two documents.
    pub fn forward(&self) -> ForwardIndex {
        let mut builder = ForwardBuilder::new();
        (0..self.len()).for_each(|doc| builder.push(self.document(doc).0));
        builder.finish(2)
    }

    /// The same documents in another order (`order[new]` = old).
    pub fn reordered(self, order: &[u32]) -> Self {
        let mut pool = Pool {
            offsets: Vec::with_capacity(self.offsets.len()),
            terms: Vec::with_capacity(self.terms.len()),
            weights: Vec::with_capacity(self.weights.len()),
            tokens: TokenTable::default(),
        };
        pool.offsets.push(0);
        for &doc in order {
            let (terms, weights) = self.document(doc);
            pool.terms.extend_from_slice(terms);
            pool.weights.extend_from_slice(weights);
            pool.offsets.push(pool.terms.len() as u64);
        }
        pool.tokens = self.tokens;
        pool
    }
}
