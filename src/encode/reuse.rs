//! Vectors that earlier stores have, and what became of their documents.

use rayon::prelude::*;
use serde::Serialize;

use super::TextEncoder;
use super::stream::Taken;
use crate::corpus::TextRecord;
use crate::error::Result;
use crate::vectors::VectorRecord;
use crate::vectors::store::{KnownVectors, TextDigest, TextInfo};

/// How documents compare with those of earlier stores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Reused {
    /// Documents whose text an earlier store has: their vectors are its.
    pub kept: u64,
    /// Of these, documents whose id no earlier store has.
    pub renamed: u64,
    /// Documents of a known id with another text.
    pub changed: u64,
    /// Documents whose id and text are new.
    pub new: u64,
    /// Ids of earlier stores that are no longer there; of a shard, which does not see all documents,
    /// none.
    pub removed: Option<u64>,
}

/// Looks texts up, if there is where to.
pub(super) struct Reuse<'a> {
    encoder: &'a dyn TextEncoder,
    known: Option<&'a KnownVectors>,
    counts: Reused,
}

/// A block on its way to the store.
pub(super) struct Ready {
    pub taken: Taken,
    /// What may be read of each text.
    pub digests: Vec<Vec<TextDigest>>,
    /// Vectors as far as they are known.
    pub vectors: Vec<Option<(VectorRecord, TextInfo)>>,
}

impl Ready {
    /// Number of vectors that are known.
    pub fn found(&self) -> u64 {
        self.vectors.iter().flatten().count() as u64
    }

    /// Positions of the vectors that are not.
    pub fn missing(&self) -> impl Iterator<Item = usize> {
        let vectors = self.vectors.iter().enumerate();
        vectors.filter(|(_, vector)| vector.is_none()).map(|(i, _)| i)
    }
}

impl<'a> Reuse<'a> {
    pub fn new(encoder: &'a dyn TextEncoder, known: Option<&'a KnownVectors>) -> Self {
        Reuse { encoder, known, counts: Reused::default() }
    }

    /// Counts a document that an earlier run has written.
    pub fn note(&mut self, record: &TextRecord) -> Result<()> {
        let Some(known) = self.known else { return Ok(()) };
        let mut found = false;
        for digest in self.encoder.digests(&record.text) {
            found = found || known.has(digest)?;
        }
        self.count(known, &record.id, found)
    }

    fn count(&mut self, known: &KnownVectors, id: &str, found: bool) -> Result<()> {
        let counts = &mut self.counts;
        match (found, known.note_id(id)?) {
            (true, had_id) => {
                counts.kept += 1;
                counts.renamed += u64::from(!had_id);
            }
            (false, true) => counts.changed += 1,
            (false, false) => counts.new += 1,
        }
        Ok(())
    }

    /// Finds the vectors that are known.
    pub fn look_up(&mut self, taken: Taken) -> Result<Ready> {
        let texts = taken.records.par_iter().with_min_len(64);
        let digests: Vec<Vec<TextDigest>> =
            texts.map(|record| self.encoder.digests(&record.text)).collect();
        let mut vectors = vec![None; taken.records.len()];
        if let Some(known) = self.known {
            for ((record, digests), vector) in taken.records.iter().zip(&digests).zip(&mut vectors)
            {
                let mut found = VectorRecord { id: record.id.clone(), ..VectorRecord::default() };
                for &digest in digests {
                    if let Some(info) = known.get(digest, &mut found)? {
                        *vector = Some((found, info));
                        break;
                    }
                }
                self.count(known, &record.id, vector.is_some())?;
            }
        }
        Ok(Ready { taken, digests, vectors })
    }

    /// The counts; `all`: whether all documents were seen.
    pub fn finish(self, all: bool) -> Option<Reused> {
        let known = self.known?;
        let removed = all.then(|| known.missing_ids());
        Some(Reused { removed, ..self.counts })
    }
}
