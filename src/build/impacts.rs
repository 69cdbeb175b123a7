//! Documents as impacts: what quantizing and pruning leave of their weights.

use std::path::Path;

use super::spool::{Chunk, Spool};
use crate::error::Result;
use crate::format::Pruning;
use crate::progress::Progress;
use crate::quantize::{Clipping, Quantizer};
use crate::vectors::TokenTable;

/// Quantized documents in input order, and what was counted on the way.
pub(super) struct Impacts {
    pub(super) spool: Spool<u8>,
    pub(super) quantizer: Quantizer,
    pub(super) pruning: Pruning,
    /// Documents of each term of the token table.
    pub(super) df: Vec<u32>,
    pub(super) clipping: Clipping,
    /// Postings that were left out.
    pub(super) pruned: u64,
    pub(super) documents: usize,
    pub(super) empty_documents: u64,
    heaviest: Vec<u32>,
}

impl Impacts {
    pub(super) fn new(quantizer: Quantizer, pruning: Pruning) -> Self {
        Impacts {
            spool: Spool::default(),
            quantizer,
            pruning,
            df: Vec::new(),
            clipping: Clipping::default(),
            pruned: 0,
            documents: 0,
            empty_documents: 0,
            heaviest: Vec::new(),
        }
    }

    /// Quantizes documents of weights, chunk by chunk; `next` gives them and `false` at
    /// the end. They go to a file in `dir` if there is one.
    pub(super) fn of_weights(
        mut self,
        tokens: &TokenTable,
        dir: Option<&Path>,
        progress: &dyn Progress,
        mut next: impl FnMut(&mut Chunk<f32>) -> Result<bool>,
    ) -> Result<Self> {
        if let Some(dir) = dir {
            self.spool.spill(dir)?;
        }
        let mut chunk = Chunk::default();
        while next(&mut chunk)? {
            for (terms, weights) in chunk.documents() {
                self.push(tokens, terms, weights);
                if self.spool.is_full() {
                    self.spool.seal()?;
                }
            }
            progress.advance(chunk.ends.len() as u64);
        }
        self.spool.close()?;
        Ok(self)
    }

    /// Appends a document to the spool's open chunk.
    pub(super) fn push(&mut self, tokens: &TokenTable, terms: &[u32], weights: &[f32]) {
        if self.df.len() < tokens.len() {
            self.df.resize(tokens.len(), 0);
        }
        let before = self.clipping.total;
        let limit = self.pruning.top_per_doc as usize;
        if limit == 0 || terms.len() <= limit {
            for (&term, &weight) in terms.iter().zip(weights) {
                self.push_posting(term, weight);
            }
        } else {
            let mut heaviest = std::mem::take(&mut self.heaviest);
            heaviest.clear();
            heaviest.extend(0..terms.len() as u32);
            // Equal weights go by token: term ids depend on what the vectors were read from.
            heaviest.select_nth_unstable_by(limit - 1, |&a, &b| {
                let key = |i: u32| tokens.token(terms[i as usize]);
                weights[b as usize].total_cmp(&weights[a as usize]).then_with(|| key(a).cmp(key(b)))
            });
            for &i in &heaviest[..limit] {
                self.push_posting(terms[i as usize], weights[i as usize]);
            }
            self.heaviest = heaviest;
        }
        let kept = self.clipping.total - before;
        self.pruned += terms.len() as u64 - kept;
        self.empty_documents += u64::from(kept == 0);
        self.documents += 1;
        self.spool.open().end_document();
    }

    #[inline]
    fn push_posting(&mut self, term: u32, weight: f32) {
        let mut counts = self.clipping;
        let impact = self.quantizer.impact(weight, &mut counts);
        if impact < self.pruning.min_impact {
            return;
        }
        self.clipping = counts;
        self.df[term as usize] += 1;
        let open = self.spool.open();
        open.terms.push(term);
        open.values.push(impact);
    }
}
