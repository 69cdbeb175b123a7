//! One bisection: two halves, refined by exchanging documents.
//!
//! Dhulipala et al. sort both halves by gain and exchange pairs while the two gains sum
//! to more than 0. That is the same as giving every document one number, its preference
//! for the left half, and putting the larger half of the numbers there: a selection
//! instead of two sorts (Mackenzie, Petri, Moffat 2022). Preferences are sums over a
//! document's terms of a number per (term, side), tabled once per iteration.
//!
//! All exchanges of one iteration are decided on the same state, so two documents that
//! belong together often change sides at once and are apart again; in small parts 38 % of
//! the documents never came to rest. Hence two brakes: a pseudo-random eighth of the
//! documents sits each iteration out, and only the stronger half of the exchanges is made.
//! On 120,000 SPLADE vectors down to 8 documents that is worth 0.13 of 3.35 bits a
//! posting, and it is what makes parts smaller than 32 documents worth splitting.

use rayon::prelude::*;

use super::costs::Steps;
use super::forward::TermId;
use super::local::DocumentTerms;

/// Buffers of one worker.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Preference for the left, per term, of documents now on the left or on the right.
    on_left: Vec<i32>,
    on_right: Vec<i32>,
    keys: Vec<u64>,
    /// Keys of the documents that change sides.
    to_left: Vec<u64>,
    to_right: Vec<u64>,
}

/// When to stop exchanging.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) iterations: u32,
    /// Stop after an iteration that moved no more than this share of the documents.
    pub(crate) settled: f64,
}

/// A bisection.
pub(crate) struct Halves {
    /// Which documents are on the right.
    pub(crate) right: Vec<bool>,
    /// How often each term occurs on the left.
    pub(crate) left_degrees: Vec<u32>,
}

/// Key bit of a document now on the right; the low 32 bits are its number.
const RIGHT: u64 = 1 << 32;
/// Key of the weakest preference for the left.
const LAST: u64 = ((1 << 31) - 1) << 33;

impl Scratch {
    /// Splits `lists` into a left half of ⌈n/2⌉ documents and a right half, starting
    /// from the order they are in. `degrees` counts each term in all of them.
    pub(crate) fn refine<T: TermId>(
        &mut self,
        lists: &impl DocumentTerms<T>,
        degrees: &[u32],
        steps: &Steps,
        limits: Limits,
        parallel: bool,
    ) -> Halves {
        let (n, middle) = (lists.len(), lists.len().div_ceil(2));
        let table = T::table_len(degrees.len());
        self.on_left.resize(table.max(self.on_left.len()), 0);
        self.on_right.resize(table.max(self.on_right.len()), 0);
        self.keys.resize(n, 0);
        let mut left = vec![0u32; degrees.len()];
        let first: Vec<u64> = (0..middle as u64).collect();
        add(lists, &first, &mut left, 1, parallel);
        let mut right: Vec<bool> = (0..n).map(|i| i >= middle).collect();
        let mean = degrees.iter().map(|&d| u64::from(d)).sum::<u64>() as usize / n;
        for iteration in 0..limits.iterations {
            let changed = (self.to_left.len() + self.to_right.len()) * mean;
            let (on_left, on_right) = (&mut self.on_left[..table], &mut self.on_right[..table]);
            if iteration > 0 && changed < degrees.len() / 2 {
                for &moved in self.to_left.iter().chain(&self.to_right) {
                    for t in lists.terms(moved as u32 as usize) {
                        let t = t.index();
                        (on_left[t], on_right[t]) = steps.pulls(left[t], degrees[t] - left[t]);
                    }
                }
            } else {
                for (((l, r), &degree), &left) in
                    on_left.iter_mut().zip(on_right).zip(degrees).zip(&left)
                {
                    (*l, *r) = steps.pulls(left, degree - left);
                }
            }
            self.rank::<T>(lists, &right, table, iteration, parallel);
            self.exchange(middle);
            add(lists, &self.to_left, &mut left, 1, parallel);
            add(lists, &self.to_right, &mut left, u32::MAX, parallel);
            self.to_left.iter().for_each(|&k| right[k as u32 as usize] = false);
            self.to_right.iter().for_each(|&k| right[k as u32 as usize] = true);
            if self.to_left.len() as f64 <= limits.settled * n as f64 {
                break;
            }
        }
        Halves { right, left_degrees: left }
    }

    /// Fills the keys from tables of `table` entries.
    fn rank<T: TermId>(
        &mut self,
        lists: &impl DocumentTerms<T>,
        right: &[bool],
        table: usize,
        iteration: u32,
        parallel: bool,
    ) {
        let (on_left, on_right) = (&self.on_left[..table], &self.on_right[..table]);
        let key = |i: usize| {
            if frozen(i as u32, iteration) {
                return if right[i] { LAST | RIGHT | i as u64 } else { i as u64 };
            }
            let table = if right[i] { on_right } else { on_left };
            key(T::sum(lists.terms(i), table), right[i], i)
        };
        if parallel {
            let keys = self.keys.par_iter_mut().with_min_len(512).enumerate();
            keys.for_each(|(i, k)| *k = key(i));
        } else {
            self.keys.iter_mut().enumerate().for_each(|(i, k)| *k = key(i));
        }
    }

    /// From the keys, who changes sides: the stronger half of all exchanges that gain.
    fn exchange(&mut self, middle: usize) {
        self.keys.select_nth_unstable(middle - 1);
        let (first, second) = self.keys.split_at(middle);
        self.to_left.clear();
        self.to_left.extend(first.iter().filter(|&k| k & RIGHT != 0));
        self.to_right.clear();
        self.to_right.extend(second.iter().filter(|&k| k & RIGHT == 0));
        let strongest = self.to_left.len().div_ceil(2);
        if strongest < self.to_left.len() {
            self.to_left.select_nth_unstable(strongest);
            self.to_left.truncate(strongest);
            self.to_right.select_nth_unstable_by(strongest, |a, b| b.cmp(a));
            self.to_right.truncate(strongest);
        }
    }
}

/// Sort key of a document: strongest preference for the left first, then who is there
/// already (no exchange without gain), then input order.
#[inline]
fn key(pull: i32, right: bool, i: usize) -> u64 {
    // |pull| < 2^30, see `Steps::new`.
    (((1 << 30) - pull) as u64) << 33 | u64::from(right) << 32 | i as u64
}

/// Whether document `i` sits this iteration out: one in eight, others each time.
#[inline]
fn frozen(i: u32, iteration: u32) -> bool {
    let mixed = i.wrapping_mul(0x9E37_79B1) ^ iteration.wrapping_mul(0x85EB_CA6B);
    (mixed ^ (mixed >> 15)).wrapping_mul(0x2C1B_3C6D) >> 29 == 0
}

/// Adds `by` (1, or −1 as `u32::MAX`) to the degree of each term of the `picks` (keys).
fn add<T: TermId>(
    lists: &impl DocumentTerms<T>,
    picks: &[u64],
    degrees: &mut [u32],
    by: u32,
    parallel: bool,
) {
    let count = |degrees: &mut [u32], picks: &[u64]| {
        for &i in picks {
            for t in lists.terms(i as u32 as usize) {
                let degree = &mut degrees[t.index()];
                *degree = degree.wrapping_add(by);
            }
        }
    };
    let workers = rayon::current_num_threads();
    if !parallel || workers == 1 || picks.len() < 1024 {
        return count(degrees, picks);
    }
    let terms = degrees.len();
    let parts: Vec<Vec<u32>> = picks
        .par_chunks(picks.len().div_ceil(workers))
        .map(|picks| {
            let mut part = vec![0u32; terms];
            count(&mut part, picks);
            part
        })
        .collect();
    for part in parts {
        degrees.iter_mut().zip(part).for_each(|(d, p)| *d = d.wrapping_add(p));
    }
}
