//! The k best of a stream of candidates in any order, by a histogram of their scores.
//!
//! A heap costs a comparison chain a candidate; here a candidate costs one counter. The
//! counters say how many candidates lie in or above each score bin, so the score needed
//! to enter rises as soon as k candidates lie above a bin, and the exact selection
//! happens once, at the end.

use std::cmp::Reverse;

use super::Hit;
use super::topk::{hit, key};

/// Bins between the first entering score and the query's bound: 16 KiB of counters. With
/// more, the threshold follows the k-th score closer than the scores' own spacing.
const BINS: usize = 4096;

/// See the module's documentation.
pub(super) struct Selector<'a> {
    order: Option<&'a [u32]>,
    /// Documents come in the order of their ordinals: a later one loses a tie.
    in_order: bool,
    k: usize,
    keys: Vec<u64>,
    /// Candidates at which the buffer is compacted to k: ties may never raise a bin.
    capacity: usize,
    bins: Vec<u32>,
    base: u32,
    shift: u32,
    /// Lowest bin that still enters, and the candidates in it and above it.
    floor: usize,
    above: usize,
    enter: u32,
}

impl<'a> Selector<'a> {
    pub(super) fn new(order: Option<&'a [u32]>) -> Self {
        Selector {
            order,
            in_order: false,
            k: 0,
            keys: Vec::new(),
            capacity: 0,
            bins: vec![0; BINS],
            base: 0,
            shift: 0,
            floor: 0,
            above: 0,
            enter: 1,
        }
    }

    /// Starts a query for `k` ≥ 1 results: at least `k` documents score `primed`, none
    /// scores above `bound`; `by_docid` if they will come in docid order.
    pub(super) fn reset(&mut self, k: usize, primed: u32, bound: u32, by_docid: bool) {
        self.in_order = by_docid && self.order.is_none();
        self.k = k;
        self.capacity = (4 * k).max(4096);
        self.keys.clear();
        self.bins.fill(0);
        self.base = primed.max(1);
        self.enter = self.base;
        let spread = bound.saturating_sub(self.base) as usize / BINS;
        self.shift = usize::BITS - spread.leading_zeros();
        (self.floor, self.above) = (0, 0);
    }

    /// The least score with which a document can still enter.
    #[inline]
    pub(super) fn enter(&self) -> u32 {
        self.enter
    }

    /// Takes a document whose score is at least [`enter`](Self::enter).
    #[inline]
    pub(super) fn push(&mut self, docid: u32, score: u32) {
        debug_assert!(score >= self.enter);
        let ordinal = self.order.map_or(docid, |order| order[docid as usize]);
        self.keys.push(key(score, ordinal));
        self.count(score);
        if self.keys.len() >= self.capacity {
            self.compact();
        }
    }

    #[inline]
    fn count(&mut self, score: u32) {
        // A damaged list may exceed the bound; its score counts in the last bin.
        let bin = ((score.saturating_sub(self.base) >> self.shift) as usize).min(BINS - 1);
        self.bins[bin] += 1;
        self.above += usize::from(bin >= self.floor);
        while self.floor + 1 < BINS && self.above - self.bins[self.floor] as usize >= self.k {
            self.above -= self.bins[self.floor] as usize;
            self.floor += 1;
            self.enter = self.enter.max(self.base + ((self.floor as u32) << self.shift));
        }
    }

    /// Keeps the k best and raises the threshold to the k-th.
    #[cold]
    fn compact(&mut self) {
        self.keys.select_nth_unstable_by_key(self.k - 1, |&key| Reverse(key));
        self.keys.truncate(self.k);
        let worst = hit(self.keys[self.k - 1]).score;
        self.enter = self.enter.max(worst + u32::from(self.in_order));
        self.bins.fill(0);
        (self.floor, self.above) = (0, 0);
        for i in 0..self.keys.len() {
            self.count(hit(self.keys[i]).score);
        }
    }

    /// Moves the results into `hits`, best first.
    pub(super) fn drain_into(&mut self, hits: &mut Vec<Hit>) {
        if self.keys.len() > self.k {
            self.keys.select_nth_unstable_by_key(self.k - 1, |&key| Reverse(key));
            self.keys.truncate(self.k);
        }
        self.keys.sort_unstable_by_key(|&key| Reverse(key));
        hits.extend(self.keys.drain(..).map(hit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_k_best_survive_any_stream(
            scores in prop::collection::vec(prop_oneof![1u32..20, 1u32..400_000], 1..6000),
            k in prop_oneof![Just(1usize), Just(10), 1usize..2000],
            reversed in any::<bool>(),
        ) {
            let n = scores.len() as u32;
            let order: Vec<u32> = (0..n).rev().collect();
            let mut selector = Selector::new(reversed.then_some(&order[..]));
            selector.reset(k, 0, 400_000, true);
            for (docid, &score) in scores.iter().enumerate() {
                if score >= selector.enter() {
                    selector.push(docid as u32, score);
                }
            }
            let mut hits = Vec::new();
            selector.drain_into(&mut hits);
            let ordinal = |d: usize| if reversed { n - 1 - d as u32 } else { d as u32 };
            let mut expected: Vec<Hit> = scores
                .iter()
                .enumerate()
                .map(|(d, &score)| Hit { ordinal: ordinal(d), score })
                .collect();
            expected.sort_by_key(|h| (Reverse(h.score), h.ordinal));
            expected.truncate(k);
            prop_assert_eq!(hits, expected);
        }
    }
}
