//! Recursive graph bisection (Dhulipala et al., KDD 2016; Mackenzie et al. 2021, 2022).
//!
//! The collection is split into two halves that share as few terms as can be, each half
//! is split again, down to a few documents. While a part is too large to copy, its
//! documents are read where they lie; below that every part is a copy ([`local`]) that
//! shrinks on the way down.
//!
//! [`local`]: super::local

use super::costs::Steps;
use super::forward::{ForwardIndex, Postings, TermId};
use super::identity;
use super::local::{Half, Local, Part, Picked};
use super::refine::{Halves, Limits, Scratch};
use crate::progress::Progress;

/// How far to go. `docs/order.md` says what the defaults cost and give.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BpOptions {
    /// Most iterations of one bisection.
    pub iterations: u32,
    /// A bisection ends early after an iteration that moved at most this share of its
    /// documents to the other half.
    pub settled: f64,
    /// Parts are copied for every second bisection only. Where a bisection has few iterations, copying
    /// takes most of its time; where it has many, they are quicker on a copy of their own.
    pub sparse_copies: bool,
    /// Parts of at most this many documents stay as they are.
    pub leaf: u32,
    /// Parts of at most this many postings are copied: up to 4 bytes each (2 for the
    /// part, 2 for its children), on top of the forward index.
    pub copy_postings: u64,
}

impl Default for BpOptions {
    fn default() -> Self {
        BpOptions {
            iterations: 20,
            settled: 0.005,
            sparse_copies: false,
            leaf: 8,
            copy_postings: 1 << 28,
        }
    }
}

impl BpOptions {
    /// For an order that is good but for a few documents ([`nightly`](super::nightly)).
    pub fn nightly() -> Self {
        BpOptions { iterations: 3, settled: 0.015, sparse_copies: true, ..Self::default() }
    }
}

/// Parts of more documents than this hand their halves to two workers.
const JOIN_ABOVE: usize = 4096;
/// Parts of more postings than this use all workers inside one iteration.
const PARALLEL_ABOVE: u64 = 1 << 20;

/// Steps of progress for `docs` documents: one per document and level.
fn work(docs: u32, options: &BpOptions) -> u64 {
    let leaf = u64::from(options.leaf.max(1));
    // A level has parts of only two sizes, `size` and `size` + 1.
    let (mut size, mut small, mut large) = (u64::from(docs), 1u64, 0u64);
    let mut steps = 0;
    loop {
        if size > leaf {
            steps += size * small;
        }
        if size + 1 > leaf {
            steps += (size + 1) * large;
        }
        if size < leaf {
            return steps;
        }
        // ⌈s/2⌉ and ⌊s/2⌋ of both sizes.
        (small, large) =
            if size % 2 == 0 { (2 * small + large, large) } else { (small, 2 * large + small) };
        size /= 2;
    }
}

/// Bytes that making a forward index of `postings` over `terms` token ids and bisecting it
/// take at most, beside the order itself.
pub fn bisect_bytes(terms: usize, postings: u64, documents: u64, options: &BpOptions) -> u64 {
    let width = if terms <= 1 << 16 { 2 } else { 4 };
    width * (postings + 2 * postings.min(options.copy_postings))
        + 32 * documents
        + 12 * terms as u64 * (rayon::current_num_threads() as u64 + 2)
        + (16 << 20)
}

/// An order under which the posting lists of `forward` have small gaps:
/// `order[new docid]` = input ordinal. The same for any number of threads.
///
/// Progress is one step per document and level; if it asks to stop, the rest keeps its order, which
/// is of no use then. Memory on top of `forward`: 4 bytes a
/// posting of a part that is copied (at most [`BpOptions::copy_postings`]), 20 bytes a
/// document, and per worker 512 KiB or, beyond 65,536 terms, 12 bytes a term.
pub fn bisect(forward: &ForwardIndex, options: &BpOptions, progress: &dyn Progress) -> Vec<u32> {
    bisect_from(forward, identity(forward.len()), options, progress)
}

/// As [`bisect`], beginning with the order `start` instead of the input's: where that is good,
/// fewer iterations do. ([`nightly`](super::nightly) makes one from an earlier order.)
///
/// # Panics
/// If `start` names documents that `forward` does not have.
pub fn bisect_from(
    forward: &ForwardIndex,
    start: Vec<u32>,
    options: &BpOptions,
    progress: &dyn Progress,
) -> Vec<u32> {
    progress.begin("ordering", work(forward.len(), options));
    let mut order = start;
    let bisection = Bisection {
        forward,
        steps: Steps::new(forward.longest),
        limits: Limits { iterations: options.iterations, settled: options.settled },
        leaf: options.leaf.max(1) as usize,
        copy_postings: options.copy_postings,
        sparse_copies: options.sparse_copies,
        progress,
    };
    let degrees = forward.frequencies.clone();
    match &forward.postings {
        Postings::Narrow(p) => bisection.in_place(p, &mut order, degrees),
        Postings::Wide(p) => bisection.in_place(p, &mut order, degrees),
    }
    order
}

struct Bisection<'a> {
    forward: &'a ForwardIndex,
    steps: Steps,
    limits: Limits,
    leaf: usize,
    copy_postings: u64,
    sparse_copies: bool,
    progress: &'a dyn Progress,
}

impl Bisection<'_> {
    /// Orders `docs`, read where they lie; all workers share each iteration.
    fn in_place<T: TermId>(&self, postings: &[T], docs: &mut [u32], degrees: Vec<u32>) {
        if docs.len() <= self.leaf || self.progress.stop_requested() {
            return;
        }
        let lists = Picked { forward: self.forward, postings, docs };
        if degrees.iter().map(|&d| u64::from(d)).sum::<u64>() <= self.copy_postings {
            let part = Part::copy(&lists, &identity(docs.len() as u32), &degrees);
            drop(degrees);
            return self.copied(part, docs, &mut Scratch::default());
        }
        let halves = Scratch::default().refine(&lists, &degrees, &self.steps, self.limits, true);
        let middle = partition(docs, &halves.right);
        self.progress.advance(docs.len() as u64);
        let mut right = degrees;
        right.iter_mut().zip(&halves.left_degrees).for_each(|(d, l)| *d -= l);
        let (first, second) = docs.split_at_mut(middle);
        self.in_place(postings, first, halves.left_degrees);
        self.in_place(postings, second, right);
    }

    fn copied(&self, part: Part, docs: &mut [u32], scratch: &mut Scratch) {
        match part {
            Part::Narrow(local) => self.split(local, docs, scratch),
            Part::Wide(local) => self.split(local, docs, scratch),
        }
    }

    fn split<T: TermId>(&self, local: Local<T>, docs: &mut [u32], scratch: &mut Scratch) {
        let n = docs.len();
        if n <= self.leaf || self.progress.stop_requested() {
            return;
        }
        let parallel = local.num_postings() > PARALLEL_ABOVE;
        let mut halves = scratch.refine(&local, &local.degrees, &self.steps, self.limits, parallel);
        let all = identity(n as u32);
        let [left, right] = picks(&all, &mut halves, &local.degrees);
        let middle = partition(docs, &halves.right);
        drop(halves);
        self.progress.advance(n as u64);
        let (first, second) = docs.split_at_mut(middle);
        if self.sparse_copies {
            return both(
                n,
                scratch,
                |scratch| self.split_within(&local, left, first, scratch),
                |scratch| self.split_within(&local, right, second, scratch),
            );
        }
        let copy = |(picks, degrees): &Picks| Part::copy(&local, picks, degrees);
        let (left, right) = match n > JOIN_ABOVE {
            true => rayon::join(|| copy(&left), || copy(&right)),
            false => (copy(&left), copy(&right)),
        };
        drop(local);
        both(
            n,
            scratch,
            |scratch| self.copied(left, first, scratch),
            |scratch| self.copied(right, second, scratch),
        );
    }

    /// Orders a half of `local` where it lies, and its halves as copies.
    fn split_within<T: TermId>(
        &self,
        local: &Local<T>,
        (half, degrees): Picks,
        docs: &mut [u32],
        scratch: &mut Scratch,
    ) {
        let n = docs.len();
        if n <= self.leaf || self.progress.stop_requested() {
            return;
        }
        let lists = Half { local, picks: &half };
        let postings: u64 = degrees.iter().map(|&d| u64::from(d)).sum();
        let parallel = postings > PARALLEL_ABOVE;
        let mut halves = scratch.refine(&lists, &degrees, &self.steps, self.limits, parallel);
        let [left, right] = picks(&half, &mut halves, &degrees);
        let middle = partition(docs, &halves.right);
        drop((halves, half, degrees));
        self.progress.advance(n as u64);
        let (first, second) = docs.split_at_mut(middle);
        let copied = |(picks, degrees): Picks, docs: &mut [u32], scratch: &mut Scratch| {
            if docs.len() > self.leaf {
                self.copied(Part::copy(local, &picks, &degrees), docs, scratch);
            }
        };
        both(
            n,
            scratch,
            |scratch| copied(left, first, scratch),
            |scratch| {
                copied(right, second, scratch);
            },
        );
    }
}

/// Documents by their numbers in a copy, and how often each term occurs in them.
type Picks = (Vec<u32>, Vec<u32>);

/// The halves of `docs`; takes the degrees.
fn picks(docs: &[u32], halves: &mut Halves, degrees: &[u32]) -> [Picks; 2] {
    let side = |side: bool| -> Vec<u32> {
        let docs = docs.iter().zip(&halves.right);
        docs.filter(|&(_, &right)| right == side).map(|(&doc, _)| doc).collect()
    };
    let left = std::mem::take(&mut halves.left_degrees);
    let right = degrees.iter().zip(&left).map(|(d, l)| d - l).collect();
    [(side(false), left), (side(true), right)]
}

/// Runs both, on two workers if they are about `n` documents that are many.
fn both(
    n: usize,
    scratch: &mut Scratch,
    left: impl FnOnce(&mut Scratch) + Send,
    right: impl FnOnce(&mut Scratch) + Send,
) {
    if n > JOIN_ABOVE {
        rayon::join(|| left(scratch), || right(&mut Scratch::default()));
    } else {
        left(scratch);
        right(scratch);
    }
}

/// Moves the documents of the left half to the front, both halves in their old order,
/// and returns the size of the left half.
fn partition(docs: &mut [u32], right: &[bool]) -> usize {
    let moved: Vec<u32> =
        docs.iter().zip(right).filter(|&(_, &right)| right).map(|(&doc, _)| doc).collect();
    let mut middle = 0;
    for i in 0..docs.len() {
        if !right[i] {
            docs[middle] = docs[i];
            middle += 1;
        }
    }
    docs[middle..].copy_from_slice(&moved);
    middle
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use proptest::prelude::*;

    use super::*;
    use crate::order::{ForwardBuilder, log_gap};
    use crate::progress::Silent;

    fn forward(docs: &[Vec<u32>]) -> ForwardIndex {
        let mut builder = ForwardBuilder::new();
        docs.iter().for_each(|d| builder.push(d));
        builder.finish(2)
    }

    fn is_permutation(order: &[u32], docs: usize) -> bool {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        sorted == identity(docs as u32)
    }

    /// `topics` topics, dealt out round robin, each with terms of its own.
    fn clustered(docs: u32, topics: u32) -> ForwardIndex {
        let docs: Vec<Vec<u32>> = (0..docs)
            .map(|d| {
                let topic = d % topics;
                (0..20).filter(|i| (d * 31 + i * 17) % 5 != 0).map(|i| topic * 20 + i).collect()
            })
            .collect();
        forward(&docs)
    }

    #[derive(Default)]
    struct Steps {
        announced: AtomicU64,
        done: AtomicU64,
    }

    impl Progress for Steps {
        fn begin(&self, _: &'static str, total: u64) {
            self.announced.fetch_add(total, Ordering::Relaxed);
        }

        fn advance(&self, steps: u64) {
            self.done.fetch_add(steps, Ordering::Relaxed);
        }
    }

    fn run(forward: &ForwardIndex, options: &BpOptions) -> Vec<u32> {
        bisect(forward, options, &Silent)
    }

    #[test]
    fn tiny_and_empty_collections_are_ordered_too() {
        for n in [0usize, 1, 2, 32, 33, 34, 65] {
            let empty = vec![Vec::new(); n];
            assert!(is_permutation(&run(&forward(&empty), &BpOptions::default()), n));
            let same = vec![vec![1, 2, 3]; n];
            let order = run(&forward(&same), &BpOptions { leaf: 1, ..Default::default() });
            assert!(is_permutation(&order, n));
        }
    }

    #[test]
    fn documents_of_one_topic_come_together() {
        let forward = clustered(2048, 16);
        let before = log_gap(&forward, &identity(2048));
        let after = log_gap(&forward, &run(&forward, &BpOptions::default()));
        assert!(after < before / 4.0, "{before} bits before, {after} after");
    }

    #[test]
    fn the_order_is_the_same_for_any_number_of_threads_and_however_it_is_copied() {
        let forward = clustered(20_000, 300);
        let order = |threads: usize, copy_postings: u64| {
            let sparse_copies = copy_postings.is_multiple_of(2);
            let options = BpOptions { copy_postings, sparse_copies, ..Default::default() };
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(&forward, &options))
        };
        let one = order(1, u64::MAX);
        assert!(is_permutation(&one, 20_000));
        for threads in [2, 4] {
            assert!(one == order(threads, u64::MAX), "{threads} threads");
        }
        let in_place = order(1, 20_000);
        assert!(in_place == order(3, 20_000));
    }

    #[test]
    fn more_than_65536_terms_work_as_well() {
        // 40,000 pairs of documents, the two of a pair far apart, sharing two terms.
        let docs: Vec<Vec<u32>> =
            (0..80_000u32).map(|d| vec![d % 40_000 * 2, d % 40_000 * 2 + 1]).collect();
        let forward = forward(&docs);
        assert!(matches!(forward.postings, Postings::Wide(_)));
        let order = run(&forward, &BpOptions { iterations: 4, ..Default::default() });
        assert!(is_permutation(&order, 80_000));
        assert!(log_gap(&forward, &order) < log_gap(&forward, &identity(80_000)));
    }

    #[test]
    fn progress_adds_up_to_the_announced_work() {
        for n in [0u32, 1, 32, 33, 64, 65, 66, 67, 1000, 4097, 9999] {
            for (leaf, sparse_copies) in [(1, true), (5, false), (5, true), (32, false)] {
                let options =
                    BpOptions { leaf, sparse_copies, iterations: 1, ..Default::default() };
                let steps = Steps::default();
                bisect(&clustered(n, 4), &options, &steps);
                let Steps { announced, done } = steps;
                assert_eq!(done.into_inner(), announced.into_inner(), "{n} documents, {leaf}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_collection_gives_a_permutation(
            docs in prop::collection::vec(
                prop::collection::btree_set(0u32..200, 0..20), 0..200),
            leaf in 1u32..40,
            copy_postings in 0u64..2000,
        ) {
            let docs: Vec<Vec<u32>> =
                docs.into_iter().map(|d| d.into_iter().collect()).collect();
            let options = BpOptions { leaf, copy_postings, ..Default::default() };
            let order = run(&forward(&docs), &options);
            prop_assert!(is_permutation(&order, docs.len()));
            let options = BpOptions { sparse_copies: true, ..options };
            let order = bisect_from(&forward(&docs), order, &options, &Silent);
            prop_assert!(is_permutation(&order, docs.len()));
        }
    }
}
