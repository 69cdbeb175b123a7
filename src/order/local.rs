//! A part of a collection, copied together so that refining it reads memory in order,
//! with only the terms that can still tell its documents apart.

use super::forward::{ForwardIndex, TermId};

/// Documents as refinement sees them.
pub(crate) trait DocumentTerms<T>: Sync {
    /// Number of documents.
    fn len(&self) -> usize;
    /// Terms of document `i`.
    fn terms(&self, i: usize) -> &[T];
}

/// Documents picked out of a forward index, in place.
pub(crate) struct Picked<'a, T> {
    pub(crate) forward: &'a ForwardIndex,
    pub(crate) postings: &'a [T],
    pub(crate) docs: &'a [u32],
}

impl<T: TermId> DocumentTerms<T> for Picked<'_, T> {
    fn len(&self) -> usize {
        self.docs.len()
    }

    #[inline]
    fn terms(&self, i: usize) -> &[T] {
        &self.postings[self.forward.range(self.docs[i])]
    }
}

/// A copy with its own term numbers.
pub(crate) struct Local<T> {
    offsets: Vec<usize>,
    postings: Vec<T>,
    /// In how many of these documents each term occurs.
    pub(crate) degrees: Vec<u32>,
}

impl<T> Local<T> {
    /// Number of postings.
    pub(crate) fn num_postings(&self) -> u64 {
        self.postings.len() as u64
    }
}

impl<T: TermId> DocumentTerms<T> for Local<T> {
    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    #[inline]
    fn terms(&self, i: usize) -> &[T] {
        &self.postings[self.offsets[i]..self.offsets[i + 1]]
    }
}

/// Documents picked out of a copy, in place.
pub(crate) struct Half<'a, T> {
    pub(crate) local: &'a Local<T>,
    pub(crate) picks: &'a [u32],
}

impl<T: TermId> DocumentTerms<T> for Half<'_, T> {
    fn len(&self) -> usize {
        self.picks.len()
    }

    #[inline]
    fn terms(&self, i: usize) -> &[T] {
        self.local.terms(self.picks[i] as usize)
    }
}

/// A copy of either width.
pub(crate) enum Part {
    Narrow(Local<u16>),
    Wide(Local<u32>),
}

const DROPPED: u32 = u32::MAX;

impl Part {
    /// Copies the documents `picks` of `lists`; `degrees` counts each term of `lists`
    /// among them. Terms of one document and terms of all of them are left out: wherever
    /// the documents go, those cost the same.
    pub(crate) fn copy<T: TermId>(
        lists: &impl DocumentTerms<T>,
        picks: &[u32],
        degrees: &[u32],
    ) -> Part {
        let mut map = vec![DROPPED; degrees.len()];
        let mut kept = Vec::new();
        for (new, &degree) in map.iter_mut().zip(degrees) {
            if degree >= 2 && (degree as usize) < picks.len() {
                *new = kept.len() as u32;
                kept.push(degree);
            }
        }
        if kept.len() <= u16::TERMS {
            Part::Narrow(renumbered(lists, picks, &map, kept))
        } else {
            Part::Wide(renumbered(lists, picks, &map, kept))
        }
    }
}

fn renumbered<T: TermId, U: TermId>(
    lists: &impl DocumentTerms<T>,
    picks: &[u32],
    map: &[u32],
    degrees: Vec<u32>,
) -> Local<U> {
    let total: usize = degrees.iter().map(|&d| d as usize).sum();
    // One slot more: a dropped term is written and then written over, without a branch.
    let mut postings = vec![U::default(); total + 1];
    let mut offsets = Vec::with_capacity(picks.len() + 1);
    let mut end = 0;
    offsets.push(0);
    for &pick in picks {
        for t in lists.terms(pick as usize) {
            let new = map[t.index()];
            postings[end] = U::from_index(new as usize);
            end += usize::from(new != DROPPED);
        }
        offsets.push(end);
    }
    Local { offsets, postings, degrees }
}
