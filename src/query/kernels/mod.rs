//! The inner loops of the windowed scan, for each instruction set and in plain Rust.
//!
//! The scalar form of every kernel is its definition; the tests hold the others to it.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;
mod scalar;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod tables;

pub(super) mod blocks;

use crate::format::{BLOCK, WINDOW};
pub use crate::simd::SimdLevel;

/// Scores of the documents of one window.
pub(super) type Accumulators = [u32; WINDOW as usize];

/// Documents that the dense kernels take at a time: a multiple of the distance of bitmap
/// ranks, and a divisor of the window.
pub(super) const CHUNK: usize = 2048;

/// One dense term's impacts in a chunk.
pub(super) type ChunkBytes = [u8; CHUNK];

pub(super) const NO_IMPACTS: ChunkBytes = [0; CHUNK];

/// Postings that wait in a stage until they are added one by one. With 32 the additions
/// wait for the vectors just stored, and long queries take 20 % longer.
const STAGE: usize = 256;

/// Most postings that a kernel appends to a stage at a time.
const STEP: usize = 32;

/// Positions in the window and score parts of postings of any lists of one window: stands
/// between the vector half and the scalar half of a scatter. It is emptied by the stageful,
/// so that the loop of additions ends where the machine expects it, whatever the lists'
/// lengths.
///
/// Every position is below the window: kernels mask what they store.
#[repr(align(64))]
pub(super) struct Stage {
    positions: [u16; STAGE + STEP],
    products: [u32; STAGE + STEP],
    len: usize,
}

impl Default for Stage {
    fn default() -> Self {
        Stage { positions: [0; STAGE + STEP], products: [0; STAGE + STEP], len: 0 }
    }
}

impl Stage {
    /// Forgets what waits.
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds what waits.
    pub(super) fn finish(&mut self, accumulators: &mut Accumulators) {
        self.products[self.len..][..STEP].fill(0);
        self.add(self.len.next_multiple_of(STEP), accumulators);
        self.len = 0;
    }

    /// Where a kernel stores what comes next.
    #[inline(always)]
    fn end(&mut self) -> (&mut [u16; STEP], &mut [u32; STEP]) {
        // `len` is below the stage already; so no check of the bounds is left.
        let at = self.len % STAGE;
        let positions = self.positions[at..].first_chunk_mut();
        let products = self.products[at..].first_chunk_mut();
        (positions.expect("a step"), products.expect("a step"))
    }

    /// Counts `postings` ≤ [`STEP`] that were stored at the end.
    #[inline(always)]
    fn grow(&mut self, postings: usize, accumulators: &mut Accumulators) {
        self.len += postings;
        if self.len >= STAGE {
            self.add(STAGE, accumulators);
            self.positions.copy_within(STAGE.., 0);
            self.products.copy_within(STAGE.., 0);
            self.len -= STAGE;
        }
    }

    /// Adds the first `len` postings, a multiple of 16.
    #[inline(always)]
    fn add(&self, len: usize, accumulators: &mut Accumulators) {
        let positions = self.positions[..len].as_chunks::<16>().0;
        let products = self.products[..len].as_chunks::<16>().0;
        for (positions, products) in positions.iter().zip(products) {
            for (&position, product) in positions.iter().zip(products) {
                debug_assert!(u32::from(position) < WINDOW);
                // SAFETY: no position of a stage is beyond the window; a check here costs as
                // much as the addition.
                let score = unsafe { accumulators.get_unchecked_mut(usize::from(position)) };
                *score = score.wrapping_add(*product);
            }
        }
    }
}

/// Chooses the form of a kernel. `level` is one that this machine has: searchers ask
/// `SimdLevel::or_best`, so the calls are sound.
macro_rules! dispatch {
    ($level:expr, $kernel:ident $(::<$constant:ident>)? ($($argument:expr),*)) => {{
        $level.trace();
        match $level {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the machine has it.
            SimdLevel::Avx2 => unsafe { avx2::$kernel $(::<$constant>)? ($($argument),*) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            SimdLevel::Avx512 => unsafe { avx512::$kernel $(::<$constant>)? ($($argument),*) },
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            // SAFETY: as above.
            SimdLevel::Neon => unsafe { neon::$kernel $(::<$constant>)? ($($argument),*) },
            _ => scalar::$kernel $(::<$constant>)? ($($argument),*),
        }
    }};
}

/// Adds weight · impact of every pair of a stream run to its document's accumulator, or
/// leaves it in the stage. The first bytes of the pairs are gaps or, if `POSITIONS`, docids
/// mod 256, whose differences are the gaps.
///
/// Positions are taken modulo the window, so damaged gaps give odd scores and nothing
/// else.
#[inline]
pub(super) fn scatter<const POSITIONS: bool>(
    level: SimdLevel,
    run: &[[u8; 2]],
    weight: u32,
    stage: &mut Stage,
    accumulators: &mut Accumulators,
) {
    dispatch!(level, scatter::<POSITIONS>(run, weight, stage, accumulators));
}

/// Lines that [`prefetch`] asks for: about what a list of a long query has in a window.
/// With 4 or none long queries take 4 % longer, with 16 as long.
const AHEAD: usize = 10;

/// Asks for bytes that will be read soon: a list's bytes for one window are too few for the
/// machine to notice that it should read ahead. As many lines whatever there is: a loop
/// whose end cannot be foreseen costs more than it saves.
#[inline]
pub(super) fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..AHEAD {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let address = bytes.as_ptr().wrapping_add(64 * line);
        // SAFETY: a prefetch reads nothing that the program sees, and may ask for anything.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

/// Asks for the line where something begins.
#[inline]
pub(super) fn prefetch_line<T>(at: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing that the program sees.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Decoded postings that [`scatter_block`] takes at a time.
pub(super) const GROUP: usize = 16;

/// Adds weight · impact of those decoded postings whose documents stand in the window that
/// begins at docid `first`, or leaves them in the stage. Goes group by group from group
/// `at` on, up to the first that ends beyond the window, and returns that one's number: the
/// next window goes on with it. Postings of other windows add nothing.
#[inline]
pub(super) fn scatter_block(
    level: SimdLevel,
    docids: &[u32; BLOCK],
    impacts: &[u8; BLOCK],
    at: usize,
    (first, weight): (u32, u32),
    stage: &mut Stage,
    accumulators: &mut Accumulators,
) -> usize {
    let groups = docids.as_chunks().0[at..].iter().zip(&impacts.as_chunks().0[at..]);
    at + dispatch!(level, scatter_groups(groups, first, weight, stage, accumulators))
}

/// Spreads the impacts of a bitmap's documents to one byte each: `out[d]` is the next
/// impact if bit `d` is set, else 0. Returns how many impacts it took; `None` if
/// there are not enough.
#[inline]
pub(super) fn expand(
    level: SimdLevel,
    words: &[[u8; 8]; CHUNK / 64],
    impacts: &[u8],
    out: &mut ChunkBytes,
) -> Option<usize> {
    dispatch!(level, expand(words, impacts, out))
}

/// Documents of a bitmap's chunk.
fn ones(words: &[[u8; 8]; CHUNK / 64]) -> usize {
    words.iter().map(|&word| u64::from_le_bytes(word).count_ones() as usize).sum()
}

/// A dense term in one chunk: its impacts, and a weight of at most [`MAX_LANE_WEIGHT`].
/// Heavier query weights are split over several lanes.
#[derive(Clone, Copy)]
pub(super) struct Lane<'a> {
    pub(super) impacts: &'a ChunkBytes,
    pub(super) weight: u16,
}

impl Default for Lane<'_> {
    fn default() -> Self {
        Lane { impacts: &NO_IMPACTS, weight: 0 }
    }
}

/// Two signed bytes of seven bits each, for the kernels that multiply bytes.
pub(super) const MAX_LANE_WEIGHT: u16 = (1 << 14) - 1;

/// Lanes that one pass over a chunk takes.
pub(super) const MAX_LANES: usize = 32;

/// Sets every accumulator of a chunk to Σ weight · impact over 1 to [`MAX_LANES`] lanes.
#[inline]
pub(super) fn multiply_add(level: SimdLevel, lanes: &[Lane<'_>], out: &mut [u32; CHUNK]) {
    assert!((1..=MAX_LANES).contains(&lanes.len()));
    dispatch!(level, multiply_add(lanes, out));
}

/// Calls `found(position, score)` for every accumulator ≥ the threshold that the last
/// call returned, in order of position; `threshold` is the first. Clears the
/// accumulators if `CLEAR`.
#[inline]
pub(super) fn scan<const CLEAR: bool>(
    level: SimdLevel,
    accumulators: &mut [u32],
    threshold: u32,
    found: impl FnMut(u32, u32) -> u32,
) {
    dispatch!(level, scan::<CLEAR>(accumulators, threshold, found));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunk() -> impl Strategy<Value = ChunkBytes> {
        prop::collection::vec(any::<u8>(), CHUNK).prop_map(|v| v.try_into().unwrap())
    }

    proptest! {
        #[test]
        fn expand_is_the_same_on_every_level(
            words in prop::collection::vec(prop_oneof![any::<u64>(), Just(0), Just(u64::MAX)], CHUNK / 64),
            impacts in prop::collection::vec(any::<u8>(), 0..CHUNK + 200),
        ) {
            let words: [[u8; 8]; CHUNK / 64] = std::array::from_fn(|i| words[i].to_le_bytes());
            let mut expected = [7; CHUNK];
            let taken = expand(SimdLevel::Scalar, &words, &impacts, &mut expected);
            for level in SimdLevel::available() {
                let mut out = [9; CHUNK];
                prop_assert_eq!(expand(level, &words, &impacts, &mut out), taken);
                prop_assert!(taken.is_none() || out == expected, "{:?}", level);
            }
        }

        #[test]
        fn multiply_add_is_the_same_on_every_level(
            lanes in prop::collection::vec((chunk(), 0..=MAX_LANE_WEIGHT), 1..12),
            repeated in 1usize..4,
        ) {
            let lanes: Vec<Lane<'_>> = std::iter::repeat_n(&lanes, repeated)
                .flatten()
                .map(|(impacts, weight)| Lane { impacts, weight: *weight })
                .take(MAX_LANES)
                .collect();
            for level in SimdLevel::available() {
                let mut out = [5; CHUNK];
                multiply_add(level, &lanes, &mut out);
                for (d, &sum) in out.iter().enumerate() {
                    let expected: i64 =
                        lanes.iter().map(|l| i64::from(l.weight) * i64::from(l.impacts[d])).sum();
                    prop_assert_eq!(i64::from(sum), expected, "{:?}", level);
                }
            }
        }

        #[test]
        fn scan_is_the_same_on_every_level(
            scores in prop::collection::vec(prop_oneof![Just(0u32), 0u32..50, Just(i32::MAX as u32)], 0..300),
            threshold in 1u32..60,
            step in 0u32..3,
        ) {
            let expected = {
                let mut at = threshold;
                let mut found = Vec::new();
                for (i, &score) in scores.iter().enumerate() {
                    if score >= at {
                        found.push((i as u32, score));
                        at += step;
                    }
                }
                found
            };
            for level in SimdLevel::available() {
                let (mut found, mut at) = (Vec::new(), threshold);
                let mut accumulators = scores.clone();
                let mut collect = |position, score| {
                    found.push((position, score));
                    at += step;
                    at
                };
                scan::<true>(level, &mut accumulators, threshold, &mut collect);
                prop_assert_eq!(&found, &expected, "{:?}", level);
                prop_assert!(accumulators.iter().all(|&a| a == 0));
            }
        }
    }

    proptest! {
        #[test]
        fn scatter_block_is_the_same_on_every_level(
            postings in prop::collection::vec((1u32..300, any::<u8>()), BLOCK),
            first in prop_oneof![Just(0u32), any::<u32>()],
            lead in 0u32..WINDOW,
            group in 0..=BLOCK / GROUP,
            weight in 0u32..=65_535,
            wild in prop::option::of((any::<prop::sample::Index>(), any::<u32>())),
        ) {
            let mut next = first.wrapping_add(lead).wrapping_sub(1500);
            let (mut docids, mut impacts) = ([0; BLOCK], [0; BLOCK]);
            for (i, (gap, impact)) in postings.into_iter().enumerate() {
                next = next.wrapping_add(gap);
                (docids[i], impacts[i]) = (next, impact);
            }
            // Order is what makes the result useful, not what makes it sound.
            if let Some((at, docid)) = wild {
                docids[at.index(BLOCK)] = docid;
            }
            let mut expected = vec![0u32; WINDOW as usize];
            let mut stop = group;
            for docids in &docids.as_chunks::<GROUP>().0[group..] {
                for (i, docid) in docids.iter().enumerate() {
                    if let Some(sum) = expected.get_mut(docid.wrapping_sub(first) as usize) {
                        *sum += weight * u32::from(impacts[stop * GROUP + i]);
                    }
                }
                if docids[GROUP - 1].wrapping_sub(first) >= WINDOW {
                    break;
                }
                stop += 1;
            }
            for level in SimdLevel::available() {
                let mut sums = vec![0; WINDOW as usize];
                let accumulators: &mut Accumulators = (&mut sums[..]).try_into().unwrap();
                let mut stage = Stage::default();
                let done = scatter_block(
                    level, &docids, &impacts, group, (first, weight), &mut stage, accumulators,
                );
                stage.finish(accumulators);
                prop_assert_eq!(done, stop);
                prop_assert!(sums == expected, "{:?}", level);
            }
        }

        #[test]
        fn scatter_is_the_same_on_every_level(
            runs in prop::collection::vec((
                prop::collection::vec(prop_oneof![any::<[u8; 2]>(), Just([255, 0]), Just([1, 1])], 0..400),
                prop_oneof![0u32..=65_535, Just(32_767), Just(32_768), Just(65_534), Just(65_535)],
            ), 0..6),
        ) {
            let mut expected = vec![0u32; WINDOW as usize];
            for (run, weight) in &runs {
                let mut position = WINDOW - 1;
                for &[gap, impact] in run {
                    position = (position + u32::from(gap)) % WINDOW;
                    expected[position as usize] += weight * u32::from(impact);
                }
            }
            // The same gaps as differences of positions.
            let positions = runs.iter().map(|(run, _)| {
                let mut position = 255u8;
                let next = |&[gap, impact]: &[u8; 2]| {
                    position = position.wrapping_add(gap);
                    [position, impact]
                };
                run.iter().map(next).collect::<Vec<[u8; 2]>>()
            });
            let positions: Vec<Vec<[u8; 2]>> = positions.collect();
            for level in SimdLevel::available() {
                let mut sums = vec![0; WINDOW as usize];
                let accumulators: &mut Accumulators = (&mut sums[..]).try_into().unwrap();
                let mut stage = Stage::default();
                for (run, weight) in &runs {
                    scatter::<false>(level, run, *weight, &mut stage, accumulators);
                }
                stage.finish(accumulators);
                prop_assert!(sums == expected, "{:?}", level);
                let mut sums = vec![0; WINDOW as usize];
                let accumulators: &mut Accumulators = (&mut sums[..]).try_into().unwrap();
                for (run, (_, weight)) in positions.iter().zip(&runs) {
                    scatter::<true>(level, run, *weight, &mut stage, accumulators);
                }
                stage.finish(accumulators);
                prop_assert!(sums == expected, "positions, {:?}", level);
            }
        }
    }
}
