//! Two questions that need no search: what given documents score, and what a document holds.

use super::admit::Admit;
use super::{Query, QueryTerm, Searcher};
use crate::error::{Error, Result};
use crate::index::{Index, TermId};

/// The docid of a document.
///
/// # Errors
/// There is no such document.
pub(super) fn document(index: &Index, ordinal: u32) -> Result<u32> {
    index.docid(ordinal).ok_or_else(|| {
        let documents = index.documents();
        Error::Usage(format!("expected ordinals below {documents}, found {ordinal}"))
    })
}

/// One term of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentTerm {
    /// The term in the index.
    pub term: TermId,
    /// Its impact in the document, ≥ 1.
    pub impact: u8,
}

impl Searcher {
    /// The exact scores of given documents, by ordinal, in the order asked for: 0 where a
    /// document has none of the terms or the query's filter leaves it out. The same numbers as a search gives. For rerankers,
    /// interpolation, judged pools.
    ///
    /// Time follows terms × documents: about 0.1 µs for each pair in a list of blocks.
    ///
    /// ```
    /// # use splindex::{Builder, Query};
    /// # let index = Builder::new().vectors([("d1", [("whale", 2.0)]), ("d2", [("ship", 1.0)])])?.index()?;
    /// let query = Query::new(&index, 0, [("whale", 100)])?;
    /// assert_eq!(index.searcher().score(&query, &[1, 0])?, [0, 200]);
    /// # Ok::<(), splindex::Error>(())
    /// ```
    ///
    /// # Errors
    /// An ordinal that no document has; a damaged list.
    pub fn score(&mut self, query: &Query, ordinals: &[u32]) -> Result<Vec<u32>> {
        let index = self.index();
        // In docid order a list's blocks are decoded once.
        let mut docids = Vec::with_capacity(ordinals.len());
        for (place, &ordinal) in ordinals.iter().enumerate() {
            docids.push((document(index, ordinal)?, place));
        }
        docids.sort_unstable();
        let mut scores = vec![0u32; ordinals.len()];
        for &QueryTerm { term, weight } in &query.terms {
            let list = index.list(term)?;
            list.impacts_of(docids.iter().map(|&(docid, _)| docid), |at, impact| {
                let score = &mut scores[docids[at].1];
                *score = score.wrapping_add(weight * u32::from(impact));
            })
            .map_err(|_| index.damaged(term))?;
        }
        let limits = query.limits(index)?;
        for (docid, place) in docids {
            let score = &mut scores[place];
            *score = limits.score(docid, *score).filter(|_| *score > 0).unwrap_or(0);
        }
        Ok(scores)
    }
}

impl Index {
    /// What a document holds: its terms with their impacts, in term order, as the index has
    /// them (quantized and pruned). An index is stored by term, so every list is asked: some
    /// milliseconds for 30,000 terms.
    ///
    /// ```
    /// # use splindex::Builder;
    /// # let index = Builder::new().vectors([("d1", [("whale", 2.0), ("sea", 1.0)])])?.index()?;
    /// let terms = index.vector(0)?;
    /// let tokens: Vec<_> = terms.iter().map(|t| (index.lexicon().token(t.term).1, t.impact)).collect();
    /// assert_eq!(tokens, [("sea", 1), ("whale", 2)]);
    /// # Ok::<(), splindex::Error>(())
    /// ```
    ///
    /// # Errors
    /// An ordinal that no document has; a damaged list.
    pub fn vector(&self, ordinal: u32) -> Result<Vec<DocumentTerm>> {
        let docid = document(self, ordinal)?;
        let mut vector = Vec::new();
        for term in 0..self.meta().terms as TermId {
            let list = self.list(term)?;
            let impact = list.impact_of(docid).map_err(|_| self.damaged(term))?;
            vector.extend(impact.map(|impact| DocumentTerm { term, impact }));
        }
        Ok(vector)
    }

    /// A searcher of this index; one a thread.
    pub fn searcher(&self) -> Searcher {
        Searcher::new(self)
    }
}
