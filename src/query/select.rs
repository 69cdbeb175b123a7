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
    /// Candidates by score and docid: most fall out before anyone needs their ordinal.
    keys: Vec<u64>,
    /// Candidates by score and ordinal: what a compaction kept.
    kept: Vec<u64>,
    best: Vec<u64>,
    spare: Vec<u64>,
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
            kept: Vec::new(),
            best: Vec::new(),
            spare: Vec::new(),
            capacity: 0,
            bins: vec![0; BINS],
            base: 0,
            shift: 0,
            floor: 0,
            above: 0,
            enter: 1,
        }
    }

    /// Original ordinals by docid, which break ties; before [`reset`](Self::reset).
    pub(super) fn set_order(&mut self, order: Option<&'a [u32]>) {
        self.order = order;
    }

    /// The buffers for another index's documents.
    pub(super) fn release<'b>(self) -> Selector<'b> {
        let Selector { order: _, in_order, k, keys, kept, best, spare, capacity, bins, .. } = self;
        let Selector { base, shift, floor, above, enter, .. } = self;
        Selector {
            order: None,
            in_order,
            k,
            keys,
            kept,
            best,
            spare,
            capacity,
            bins,
            base,
            shift,
            floor,
            above,
            enter,
        }
    }

    /// Starts a query for `k` ≥ 1 results: at least `k` documents score `primed`, none
    /// scores above `bound`; `by_docid` if they will come in docid order.
    pub(super) fn reset(&mut self, k: usize, primed: u32, bound: u32, by_docid: bool) {
        self.in_order = by_docid && self.order.is_none();
        self.k = k;
        self.capacity = (4 * k).max(4096);
        self.keys.clear();
        self.kept.clear();
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
        self.keys.push(key(score, docid));
        self.count(score);
        if self.keys.len() + self.kept.len() >= self.capacity {
            self.compact();
        }
    }

    #[inline]
    fn bin(&self, score: u32) -> usize {
        // A damaged list may exceed the bound; its score counts in the last bin.
        ((score.saturating_sub(self.base) >> self.shift) as usize).min(BINS - 1)
    }

    #[inline]
    fn count(&mut self, score: u32) {
        let bin = self.bin(score);
        self.bins[bin] += 1;
        self.above += usize::from(bin >= self.floor);
        while self.floor + 1 < BINS && self.above - self.bins[self.floor] as usize >= self.k {
            self.above -= self.bins[self.floor] as usize;
            self.floor += 1;
            self.enter = self.enter.max(self.base + ((self.floor as u32) << self.shift));
        }
    }

    /// The same candidate by its ordinal.
    #[inline]
    fn resolve(order: Option<&[u32]>, candidate: u64) -> u64 {
        let Some(order) = order else { return candidate };
        let Hit { ordinal: docid, score } = hit(candidate);
        key(score, order[docid as usize])
    }

    /// Keeps the k best and raises the threshold to the k-th.
    #[cold]
    fn compact(&mut self) {
        self.kept.extend(self.keys.drain(..).map(|key| Self::resolve(self.order, key)));
        self.kept.select_nth_unstable_by_key(self.k - 1, |&key| Reverse(key));
        self.kept.truncate(self.k);
        let worst = hit(self.kept[self.k - 1]).score;
        self.enter = self.enter.max(worst + u32::from(self.in_order));
        self.bins.fill(0);
        (self.floor, self.above) = (0, 0);
        for i in 0..self.kept.len() {
            self.count(hit(self.kept[i]).score);
        }
    }

    /// Moves the results into `hits`, best first.
    pub(super) fn drain_into(&mut self, hits: &mut Vec<Hit>) {
        let mut best = std::mem::take(&mut self.best);
        best.resize(self.kept.len() + self.keys.len(), 0);
        let mut len = 0;
        // Whether a candidate stays is a coin toss: no branch on it.
        let mut take = |candidate: u64| {
            best[len] = candidate;
            len += usize::from(self.bin(hit(candidate).score) >= self.floor);
            len
        };
        let resolved = self.kept.iter().fold(0, |_, &key| take(key));
        let len = self.keys.iter().fold(resolved, |_, &key| take(key));
        best.truncate(len);
        for key in &mut best[resolved..] {
            *key = Self::resolve(self.order, *key);
        }
        sort_descending(&mut best, &mut self.spare);
        best.truncate(self.k);
        hits.extend(best.drain(..).map(hit));
        self.best = best;
        self.keys.clear();
        self.kept.clear();
    }
}

/// Digits of the radix sort: scores of one answer seldom spread over more than two.
const DIGIT: u32 = 11;
/// Fewer keys than this sort faster by comparison.
const RADIX_FROM: usize = 128;

/// Sorts keys, greatest first: by score digit by digit, then ties among each other. A
/// comparison sort of 1,000 keys takes three times as long.
fn sort_descending(keys: &mut Vec<u64>, spare: &mut Vec<u64>) {
    if keys.len() < RADIX_FROM {
        return keys.sort_unstable_by_key(|&key| Reverse(key));
    }
    let score = |key: u64| (key >> 32) as u32;
    let greatest = keys.iter().copied().max().map_or(0, score);
    let least = keys.iter().copied().min().map_or(0, score);
    let digits = (u32::BITS - (greatest - least).leading_zeros()).div_ceil(DIGIT);
    spare.resize(keys.len(), 0);
    for digit in 0..digits {
        let place =
            |key: u64| ((greatest - score(key)) >> (digit * DIGIT)) as usize & ((1 << DIGIT) - 1);
        let mut next = [0u32; 1 << DIGIT];
        keys.iter().for_each(|&key| next[place(key)] += 1);
        let mut start = 0;
        for next in &mut next {
            (*next, start) = (start, start + *next);
        }
        for &key in keys.iter() {
            let next = &mut next[place(key)];
            spare[*next as usize] = key;
            *next += 1;
        }
        std::mem::swap(keys, spare);
    }
    for ties in keys.chunk_by_mut(|&a, &b| score(a) == score(b)) {
        if ties.len() > 1 {
            ties.sort_unstable_by_key(|&key| Reverse(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_sort_as_by_comparison(
            scores in prop::collection::vec(prop_oneof![1u32..9, any::<u32>(), 70_000u32..90_000], 0..600),
        ) {
            let n = scores.len() as u32;
            let mut keys: Vec<u64> =
                scores.iter().enumerate().map(|(i, &s)| key(s, i as u32 * 7919 % n.max(1))).collect();
            let mut expected = keys.clone();
            expected.sort_by_key(|&key| Reverse(key));
            sort_descending(&mut keys, &mut Vec::new());
            prop_assert_eq!(keys, expected);
        }

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
