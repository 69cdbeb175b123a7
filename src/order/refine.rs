//! One bisection: two halves, refined by exchanging documents.
//!
//! Dhulipala et al. sort both halves by gain and exchange pairs while the two gains sum
//! to more than 0. That is the same as giving every document one number, its preference
//! for the left half, and putting the larger half of the numbers there: a selection
//! instead of two sorts (Mackenzie, Petri, Moffat 2022). Preferences are sums over a
//! document's terms of a number per (term, side), tabled once per iteration.

use rayon::prelude::*;

use super::costs::Steps;
use super::forward::TermId;
use super::local::Lists;

/// Buffers of one worker.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Preference for the left, per term, of documents now on the left or on the right.
    on_left: Vec<i32>,
    on_right: Vec<i32>,
    keys: Vec<u64>,
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

const RIGHT: u64 = 1 << 32;

impl Scratch {
    /// Splits `lists` into a left half of ⌈n/2⌉ documents and a right half, starting
    /// from the order they are in. `degrees` counts each term in all of them.
    pub(crate) fn refine<T: TermId>(
        &mut self,
        lists: &impl Lists<T>,
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
        let first: Vec<u32> = (0..middle as u32).collect();
        add(lists, &first, &mut left, 1, parallel);
        let mut right: Vec<bool> = (0..n).map(|i| i >= middle).collect();
        for _ in 0..limits.iterations {
            let (on_left, on_right) = (&mut self.on_left[..table], &mut self.on_right[..table]);
            for (((l, r), &degree), &left) in
                on_left.iter_mut().zip(on_right.iter_mut()).zip(degrees).zip(&left)
            {
                (*l, *r) = steps.pulls(left, degree - left);
            }
            rank(lists, &right, on_left, on_right, &mut self.keys, parallel);
            self.keys.select_nth_unstable(middle - 1);
            let (to_left, to_right) = self.keys.split_at(middle);
            let to_left: Vec<u32> =
                to_left.iter().filter(|&k| k & RIGHT != 0).map(|&k| k as u32).collect();
            let to_right: Vec<u32> =
                to_right.iter().filter(|&k| k & RIGHT == 0).map(|&k| k as u32).collect();
            add(lists, &to_left, &mut left, 1, parallel);
            add(lists, &to_right, &mut left, u32::MAX, parallel);
            to_left.iter().for_each(|&i| right[i as usize] = false);
            to_right.iter().for_each(|&i| right[i as usize] = true);
            if (to_left.len() as f64) <= limits.settled * n as f64 {
                break;
            }
        }
        Halves { right, left_degrees: left }
    }
}

/// Sort keys: strongest preference for the left first, then who is there already (no
/// exchange without gain), then input order.
fn rank<T: TermId>(
    lists: &impl Lists<T>,
    right: &[bool],
    on_left: &[i32],
    on_right: &[i32],
    keys: &mut [u64],
    parallel: bool,
) {
    let key = |i: usize| {
        let table = if right[i] { on_right } else { on_left };
        let pull = T::sum(lists.terms(i), table);
        // |pull| < 2^30, see `Steps::new`.
        (((1 << 30) - pull) as u64) << 33 | u64::from(right[i]) << 32 | i as u64
    };
    if parallel {
        keys.par_iter_mut().with_min_len(512).enumerate().for_each(|(i, k)| *k = key(i));
    } else {
        keys.iter_mut().enumerate().for_each(|(i, k)| *k = key(i));
    }
}

/// Adds `by` (1, or −1 as `u32::MAX`) to the degree of each term of the `picks`.
fn add<T: TermId>(
    lists: &impl Lists<T>,
    picks: &[u32],
    degrees: &mut [u32],
    by: u32,
    parallel: bool,
) {
    let count = |degrees: &mut [u32], picks: &[u32]| {
        for &i in picks {
            for t in lists.terms(i as usize) {
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
