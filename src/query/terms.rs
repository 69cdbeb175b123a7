//! A query against one index: terms with integer weights, checked against overflow.

use super::{Boost, Filter};
use crate::error::{Error, Result};
use crate::index::{Index, TermId};

/// One term of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryTerm {
    /// The term in the index.
    pub term: TermId,
    /// Integer weight, ≥ 1.
    pub weight: u32,
}

/// A query against one index: known terms, each once, by term id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Terms in increasing order.
    pub terms: Vec<QueryTerm>,
    /// Tokens that the index does not have.
    pub unknown: u32,
    /// The documents that may be answers; all without it.
    pub filter: Option<Filter>,
    /// What documents get beside the score of their terms.
    pub boost: Option<Boost>,
    /// The least score of an answer; 0 and 1 ask for a term of the query.
    pub min_score: u32,
}

impl AsRef<Query> for Query {
    fn as_ref(&self) -> &Query {
        self
    }
}

/// Largest weight of one query term.
pub const MAX_QUERY_WEIGHT: u32 = 65_535;

impl Query {
    /// Looks tokens up in a field of the index. Repeated tokens are summed, zero weights
    /// dropped, unknown tokens counted.
    ///
    /// # Errors
    /// A weight above 65,535, or a query that could score above `i32::MAX`: kernels
    /// compare scores as signed numbers.
    pub fn new<'t>(
        index: &Index,
        field: u8,
        tokens: impl IntoIterator<Item = (&'t str, u32)>,
    ) -> Result<Self> {
        let lexicon = index.lexicon();
        let (mut terms, mut unknown) = (Vec::new(), 0);
        for (token, weight) in tokens {
            match lexicon.find(field, token) {
                Some(term) => terms.push(QueryTerm { term, weight }),
                None => unknown += 1,
            }
        }
        Self::of_terms(index, terms, unknown)
    }

    /// A query of terms of the index, of any field. Repeated terms are summed, zero weights
    /// dropped; `unknown` tokens are only recorded.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_terms(index: &Index, terms: Vec<QueryTerm>, unknown: u32) -> Result<Self> {
        let mut query = Query { terms, unknown, ..Query::default() };
        query.terms.sort_unstable_by_key(|t| t.term);
        query.terms.dedup_by(|next, kept| {
            let same = next.term == kept.term;
            if same {
                kept.weight = kept.weight.saturating_add(next.weight);
            }
            same
        });
        query.terms.retain(|t| t.weight > 0);
        query.check(index)?;
        Ok(query)
    }

    /// The same query, answered from the documents of `filter` only.
    pub fn filtered(self, filter: Filter) -> Self {
        Query { filter: Some(filter), ..self }
    }

    /// The same query, with what `boost` gives each document added to its score.
    ///
    /// # Errors
    /// A score that could be above `i32::MAX`.
    pub fn boosted(self, index: &Index, boost: Boost) -> Result<Self> {
        let query = Query { boost: Some(boost), ..self };
        query.check(index).map(|()| query)
    }

    /// The same query, without answers that score less.
    pub fn at_least(self, min_score: u32) -> Self {
        Query { min_score, ..self }
    }

    fn check(&self, index: &Index) -> Result<()> {
        if let Some(heavy) = self.terms.iter().find(|t| t.weight > MAX_QUERY_WEIGHT) {
            let (_, token) = index.lexicon().token(heavy.term);
            return Err(Error::Usage(format!(
                "token {token:?} has weight {}, the largest allowed is {MAX_QUERY_WEIGHT}; scale \
                 the query's weights down",
                heavy.weight
            )));
        }
        let bound: u64 = self
            .terms
            .iter()
            .map(|t| u64::from(t.weight) * u64::from(index.term(t.term).max_impact))
            .sum();
        let bound = bound + self.boost.as_ref().map_or(0, |boost| u64::from(boost.most()));
        if bound > i32::MAX as u64 {
            return Err(Error::Usage(format!(
                "the query could score {bound}, the largest score allowed is {}; scale its \
                 weights down",
                i32::MAX
            )));
        }
        Ok(())
    }
}
