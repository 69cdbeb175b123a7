//! Which documents may enter, and what they get beside the score of their terms.
//!
//! Algorithms are generic over it, so that a query without a filter runs the code that knows of
//! none.

use super::Query;
use super::filter::{Boosts, Kept};
use super::select::Selector;
use super::topk::TopK;
use crate::error::Result;
use crate::index::Index;

/// What a query asks of documents beside their terms.
pub(super) trait Admit: Copy {
    /// Whether it may leave documents out or lift them.
    const LIMITS: bool;

    /// The documents that a filter keeps, if there is one.
    fn kept(&self) -> Option<&Kept>;

    /// The most that a document gets beside the score of its terms.
    fn most(&self) -> u32;

    /// The least score of terms with which a document can still reach `enter`.
    fn least(&self, enter: u32) -> u32;

    /// What a document gets; `None` if it may not enter.
    fn score(&self, docid: u32, of_terms: u32) -> Option<u32>;

    /// The first document from `docid` on that may enter.
    #[inline]
    fn next(&self, docid: u32) -> u32 {
        self.kept().map_or(docid, |kept| kept.next(docid))
    }
}

impl Admit for () {
    const LIMITS: bool = false;

    #[inline]
    fn kept(&self) -> Option<&Kept> {
        None
    }

    #[inline]
    fn most(&self) -> u32 {
        0
    }

    #[inline]
    fn least(&self, enter: u32) -> u32 {
        enter
    }

    #[inline]
    fn score(&self, _: u32, of_terms: u32) -> Option<u32> {
        Some(of_terms)
    }
}

/// A filter, added scores, or both.
#[derive(Clone, Copy, Default)]
pub(super) struct Limits<'a> {
    pub(super) kept: Option<&'a Kept>,
    pub(super) boosts: Option<&'a Boosts>,
}

impl Admit for Limits<'_> {
    const LIMITS: bool = true;

    #[inline]
    fn kept(&self) -> Option<&Kept> {
        self.kept
    }

    #[inline]
    fn most(&self) -> u32 {
        self.boosts.map_or(0, Boosts::most)
    }

    #[inline]
    fn least(&self, enter: u32) -> u32 {
        // A document without a term of the query is no answer.
        enter.saturating_sub(self.most()).max(1)
    }

    #[inline]
    fn score(&self, docid: u32, of_terms: u32) -> Option<u32> {
        if !self.kept.is_none_or(|kept| kept.keeps(docid)) {
            return None;
        }
        Some(of_terms.wrapping_add(self.boosts.map_or(0, |boosts| boosts.of(docid))))
    }
}

impl Query {
    /// What it asks of documents beside their terms.
    ///
    /// # Errors
    /// A filter or boost that was made for another index.
    pub(super) fn limits(&self, index: &Index) -> Result<Limits<'_>> {
        let kept = self.filter.as_ref().map(|filter| filter.kept_of(index)).transpose()?;
        let boosts = self.boost.as_ref().map(|boost| boost.of_index(index)).transpose()?;
        Ok(Limits { kept, boosts })
    }
}

/// Where algorithms hand their documents: the best so far, of those that may enter.
pub(super) struct Admitted<'s, T, A> {
    pub(super) best: &'s mut T,
    pub(super) admit: A,
}

impl<A: Admit> Admitted<'_, TopK<'_>, A> {
    /// The least score of terms with which a document can still join.
    #[inline]
    pub(super) fn enter(&self) -> u32 {
        self.admit.least(self.best.enter())
    }

    /// Offers a document; documents must come in increasing docid order.
    #[inline]
    pub(super) fn offer(&mut self, docid: u32, of_terms: u32) {
        if let Some(score) = self.admit.score(docid, of_terms) {
            self.best.offer(docid, score);
        }
    }
}

impl<A: Admit> Admitted<'_, Selector<'_>, A> {
    /// The least score of terms with which a document can still enter.
    #[inline]
    pub(super) fn enter(&self) -> u32 {
        self.admit.least(self.best.enter())
    }

    /// Takes a document whose terms score at least [`enter`](Self::enter).
    #[inline]
    pub(super) fn push(&mut self, docid: u32, of_terms: u32) {
        let Some(score) = self.admit.score(docid, of_terms) else { return };
        if !A::LIMITS || score >= self.best.enter() {
            self.best.push(docid, score);
        }
    }
}
