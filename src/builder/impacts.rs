//! Documents as impacts: what quantizing and pruning leave of their weights.

use std::path::Path;

use super::spool::{Chunk, Spool};
use crate::error::Result;
use crate::format::Pruning;
use crate::progress::{Progress, advance};
use crate::quantize::{Clipping, Quantizer};
use crate::vectors::TokenTable;

/// How the weights of one field become impacts, and what was counted on the way.
#[derive(Debug, Clone)]
pub(super) struct FieldImpacts {
    pub(super) quantizer: Quantizer,
    pub(super) pruning: Pruning,
    pub(super) clipping: Clipping,
}

impl FieldImpacts {
    pub(super) fn new(quantizer: Quantizer, pruning: Pruning) -> Self {
        FieldImpacts { quantizer, pruning, clipping: Clipping::default() }
    }
}

/// The field byte of a LEXICON key.
pub(super) fn field_of(keys: &TokenTable, term: u32) -> u8 {
    keys.token(term).as_bytes()[0]
}

/// Quantized documents in input order, and what was counted on the way.
pub(super) struct Impacts {
    pub(super) spool: Spool<u8>,
    /// By field byte.
    pub(super) fields: Vec<FieldImpacts>,
    /// Documents of each term of the key table.
    pub(super) df: Vec<u32>,
    /// Postings that were left out.
    pub(super) pruned: u64,
    pub(super) documents: usize,
    pub(super) empty_documents: u64,
    heaviest: Vec<u32>,
}

impl Impacts {
    pub(super) fn new(fields: Vec<FieldImpacts>) -> Self {
        Impacts {
            spool: Spool::default(),
            fields,
            df: Vec::new(),
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
        keys: &TokenTable,
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
                self.push(keys, terms, weights);
                if self.spool.is_full() {
                    self.spool.seal()?;
                }
            }
            advance(progress, chunk.ends.len() as u64)?;
        }
        self.spool.close()?;
        Ok(self)
    }

    /// Postings of all fields.
    pub(super) fn postings(&self) -> u64 {
        self.fields.iter().map(|field| field.clipping.total).sum()
    }

    /// Appends a document to the spool's open chunk. `keys` are those of LEXICON; terms of
    /// field 0 stand before those of field 1.
    pub(super) fn push(&mut self, keys: &TokenTable, terms: &[u32], weights: &[f32]) {
        if self.df.len() < keys.len() {
            self.df.resize(keys.len(), 0);
        }
        let before = self.postings();
        let learned = match self.fields.len() {
            1 => terms.len(),
            _ => terms.partition_point(|&term| field_of(keys, term) == 0),
        };
        self.push_field(0, keys, &terms[..learned], &weights[..learned]);
        if learned < terms.len() {
            self.push_field(1, keys, &terms[learned..], &weights[learned..]);
        }
        let kept = self.postings() - before;
        self.pruned += terms.len() as u64 - kept;
        self.empty_documents += u64::from(kept == 0);
        self.documents += 1;
        self.spool.open().end_document();
    }

    fn push_field(&mut self, field: usize, keys: &TokenTable, terms: &[u32], weights: &[f32]) {
        let limit = self.fields[field].pruning.top_per_doc as usize;
        if limit == 0 || terms.len() <= limit {
            for (&term, &weight) in terms.iter().zip(weights) {
                self.push_posting(field, term, weight);
            }
            return;
        }
        let mut heaviest = std::mem::take(&mut self.heaviest);
        heaviest.clear();
        heaviest.extend(0..terms.len() as u32);
        // Equal weights go by token: term ids depend on what the vectors were read from.
        heaviest.select_nth_unstable_by(limit - 1, |&a, &b| {
            let key = |i: u32| keys.token(terms[i as usize]);
            weights[b as usize].total_cmp(&weights[a as usize]).then_with(|| key(a).cmp(key(b)))
        });
        for &i in &heaviest[..limit] {
            self.push_posting(field, terms[i as usize], weights[i as usize]);
        }
        self.heaviest = heaviest;
    }

    #[inline]
    fn push_posting(&mut self, field: usize, term: u32, weight: f32) {
        let field = &mut self.fields[field];
        let mut counts = field.clipping;
        let impact = field.quantizer.impact(weight, &mut counts);
        if impact < field.pruning.min_impact {
            return;
        }
        field.clipping = counts;
        self.df[term as usize] += 1;
        let open = self.spool.open();
        open.terms.push(term);
        open.values.push(impact);
    }
}
