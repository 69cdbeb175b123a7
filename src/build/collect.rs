//! The collection in memory: what every later step of a build reads.

use crate::error::{Error, Result};
use crate::format::names::NameTable;
use crate::order::{ForwardBuilder, ForwardIndex};
use crate::progress::Progress;
use crate::vectors::{TokenTable, VectorRecord, VectorSource, WeightSummary};

/// Vectors of all documents in input order, 8 bytes a posting.
#[derive(Debug, Default)]
pub struct Collection {
    names: NameTable,
    ends: Vec<u64>,
    terms: Vec<u32>,
    weights: Vec<f32>,
    tokens: TokenTable,
    df: Vec<u32>,
    zero_weights: u64,
}

impl Collection {
    /// Reads every record of every source, in order. Sources may number their terms
    /// differently; tokens are what counts.
    pub fn read(sources: &mut [Box<dyn VectorSource>], progress: &dyn Progress) -> Result<Self> {
        let mut collection = Collection::default();
        let total = sources.iter().map(|s| s.len_hint()).sum::<Option<u64>>().unwrap_or(0);
        progress.begin("reading", total);
        for source in sources {
            collection.read_source(source.as_mut(), progress)?;
        }
        Ok(collection)
    }

    /// Appends a document from memory. Zero weights are dropped and counted.
    ///
    /// # Errors
    /// A weight is negative or not finite, or a token is repeated.
    pub fn push<'t>(
        &mut self,
        id: &str,
        vector: impl IntoIterator<Item = (&'t str, f32)>,
    ) -> Result<()> {
        let start = self.terms.len();
        for (token, weight) in vector {
            if !(weight.is_finite() && weight >= 0.0) {
                let problem = format!("document {id:?}: token {token:?} has weight {weight}");
                return Err(Error::Usage(format!(
                    "{problem}; weights are finite and not negative"
                )));
            }
            if weight == 0.0 {
                self.zero_weights += 1;
                continue;
            }
            let term = self.tokens.intern(token);
            if self.terms[start..].contains(&term) {
                return Err(Error::Usage(format!("document {id:?}: token {token:?} is repeated")));
            }
            self.terms.push(term);
            self.weights.push(weight);
        }
        self.df.resize(self.tokens.len(), 0);
        for &term in &self.terms[start..] {
            self.df[term as usize] += 1;
        }
        self.ends.push(self.terms.len() as u64);
        self.names.push(id);
        Ok(())
    }

    fn read_source(
        &mut self,
        source: &mut dyn VectorSource,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut record = VectorRecord::default();
        let mut own_id: Vec<u32> = Vec::new();
        while source.read(&mut record)? {
            let tokens = source.tokens();
            for known in own_id.len()..tokens.len() {
                let id = self.tokens.intern(tokens.token(known as u32));
                own_id.push(id);
            }
            self.df.resize(self.tokens.len(), 0);
            for &term in &record.terms {
                let term = own_id[term as usize];
                self.df[term as usize] += 1;
                self.terms.push(term);
            }
            self.weights.extend_from_slice(&record.weights);
            self.ends.push(self.terms.len() as u64);
            self.names.push(&record.id);
            progress.advance(1);
        }
        self.zero_weights += source.zero_weights();
        Ok(())
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no document.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Terms and weights of a document.
    pub fn document(&self, ordinal: usize) -> (&[u32], &[f32]) {
        let start = if ordinal == 0 { 0 } else { self.ends[ordinal - 1] as usize };
        let range = start..self.ends[ordinal] as usize;
        (&self.terms[range.clone()], &self.weights[range])
    }

    /// Terms of every document, for ordering. Terms of one document have no gap and are
    /// left out.
    pub fn forward(&self) -> ForwardIndex {
        let mut builder = ForwardBuilder::new();
        (0..self.len()).for_each(|ordinal| builder.push(self.document(ordinal).0));
        builder.finish(2)
    }

    /// External ids.
    pub fn names(&self) -> &NameTable {
        &self.names
    }

    /// Token strings of the term ids in [`document`](Self::document).
    pub fn tokens(&self) -> &TokenTable {
        &self.tokens
    }

    /// Documents of each term.
    pub fn df(&self) -> &[u32] {
        &self.df
    }

    /// Weights that were zero and dropped while reading.
    pub fn zero_weights(&self) -> u64 {
        self.zero_weights
    }

    /// Documents without a term.
    pub fn empty_documents(&self) -> u64 {
        (0..self.len()).filter(|&d| self.document(d).0.is_empty()).count() as u64
    }

    /// Range of the weights; those of an empty collection count as small integers.
    pub fn weights(&self) -> WeightSummary {
        WeightSummary {
            largest: self.weights.iter().copied().fold(0.0, f32::max),
            small_integers: self.weights.iter().all(|w| w.fract() == 0.0 && *w <= 255.0),
        }
    }

    /// Terms that occur, in the bytewise order of their tokens: the lexicon.
    pub fn sorted_terms(&self) -> Vec<u32> {
        let mut terms: Vec<u32> =
            (0..self.df.len() as u32).filter(|&t| self.df[t as usize] > 0).collect();
        terms.sort_unstable_by_key(|&t| self.tokens.token(t).as_bytes());
        terms
    }
}
