//! The k best documents seen so far, and the score a document needs to join them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Hit;

/// A bounded heap over (score descending, ordinal ascending).
///
/// [`enter`](Self::enter) is the one number that skipping compares with: a document, or
/// a whole block, whose bound is below it cannot change the answer. Where docids are
/// ordinals and documents come in docid order, a tie with the k-th always loses, so the
/// k-th score itself is not enough; under another order it may win.
pub(super) struct TopK<'a> {
    order: Option<&'a [u32]>,
    k: usize,
    enter: u32,
    heap: BinaryHeap<Reverse<u64>>,
}

/// Greater is better: the score above the complemented ordinal.
pub(super) fn key(score: u32, ordinal: u32) -> u64 {
    u64::from(score) << 32 | u64::from(!ordinal)
}

pub(super) fn hit(key: u64) -> Hit {
    Hit { ordinal: !(key as u32), score: (key >> 32) as u32 }
}

impl<'a> TopK<'a> {
    pub(super) fn new(order: Option<&'a [u32]>) -> Self {
        TopK { order, k: 0, enter: 1, heap: BinaryHeap::new() }
    }

    /// Original ordinals by docid, which break ties; before [`reset`](Self::reset).
    pub(super) fn set_order(&mut self, order: Option<&'a [u32]>) {
        self.order = order;
    }

    /// The buffers for another index's documents.
    pub(super) fn release<'b>(self) -> TopK<'b> {
        TopK { order: None, k: self.k, enter: self.enter, heap: self.heap }
    }

    /// Empties the heap for `k` ≥ 1 results; at least `k` documents score `primed`.
    pub(super) fn reset(&mut self, k: usize, primed: u32) {
        self.k = k;
        self.enter = primed.max(1);
        self.heap.clear();
    }

    /// The least score with which a document can still join.
    #[inline]
    pub(super) fn enter(&self) -> u32 {
        self.enter
    }

    /// Offers a document; documents must come in increasing docid order.
    #[inline]
    pub(super) fn offer(&mut self, docid: u32, score: u32) {
        if score >= self.enter {
            self.insert(docid, score);
        }
    }

    fn insert(&mut self, docid: u32, score: u32) {
        let ordinal = self.order.map_or(docid, |order| order[docid as usize]);
        let key = key(score, ordinal);
        if self.heap.len() < self.k {
            self.heap.push(Reverse(key));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && key > worst.0
        {
            *worst = Reverse(key);
        }
        if self.heap.len() == self.k
            && let Some(&Reverse(worst)) = self.heap.peek()
        {
            let ties_lose = u32::from(self.order.is_none());
            self.enter = self.enter.max((worst >> 32) as u32 + ties_lose);
        }
    }

    /// Moves the results into `hits`, best first.
    pub(super) fn drain_into(&mut self, hits: &mut Vec<Hit>) {
        let start = hits.len();
        hits.extend(self.heap.drain().map(|Reverse(key)| hit(key)));
        hits[start..].sort_unstable_by_key(|h| (Reverse(h.score), h.ordinal));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_lower_ordinal_whatever_the_order() {
        let order = [3, 1, 2, 0];
        for (order, expected) in [(None, [0, 1]), (Some(&order[..]), [0, 1])] {
            let mut top = TopK::new(order);
            top.reset(2, 0);
            (0..4).for_each(|docid| top.offer(docid, 7));
            let mut hits = Vec::new();
            top.drain_into(&mut hits);
            assert_eq!(hits.iter().map(|h| h.ordinal).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_primed_score_is_still_admitted() {
        let mut top = TopK::new(None);
        top.reset(2, 5);
        for (docid, score) in [(0, 4), (1, 5), (2, 5)] {
            top.offer(docid, score);
        }
        let mut hits = Vec::new();
        top.drain_into(&mut hits);
        assert_eq!(hits, [Hit { ordinal: 1, score: 5 }, Hit { ordinal: 2, score: 5 }]);
        assert_eq!(top.enter(), 6);
    }
}
