//! The inner loops of the windowed scan, for each instruction set and in plain Rust.
//!
//! The scalar form of every kernel is its definition; the tests hold the others to it.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

use crate::format::{BLOCK, WINDOW};
pub use crate::simd::SimdLevel;

/// Scores of the documents of one window.
pub(super) type Accumulators = [u32; WINDOW as usize];

/// Documents that the dense kernels take at a time: a multiple of the distance of bitmap
/// ranks, and a divisor of the window.
pub(super) const CHUNK: usize = 2048;

/// Postings that the scatter kernels prepare by vectors before they add them one by one.
const STAGE: usize = 256;

/// Positions in the window and score parts of some postings: stages between the vector
/// half and the scalar half of a scatter.
pub(super) struct Stage {
    positions: [u16; STAGE],
    products: [u32; STAGE],
}

impl Default for Stage {
    fn default() -> Self {
        Stage { positions: [0; STAGE], products: [0; STAGE] }
    }
}

/// One dense term's impacts in a chunk.
pub(super) type ChunkBytes = [u8; CHUNK];

/// Chooses the form of a kernel. `level` never exceeds what `detect` found: the only
/// ways to make one are `detect` and `from_str`, so the calls are sound.
macro_rules! dispatch {
    ($level:expr, $kernel:ident $(::<$constant:ident>)? ($($argument:expr),*)) => {
        match $level {
            SimdLevel::Scalar => scalar::$kernel $(::<$constant>)? ($($argument),*),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: levels come from `detect` or are checked against it.
            SimdLevel::Avx2 => unsafe { avx2::$kernel $(::<$constant>)? ($($argument),*) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            SimdLevel::Avx512 => unsafe { avx512::$kernel $(::<$constant>)? ($($argument),*) },
            #[cfg(not(target_arch = "x86_64"))]
            _ => scalar::$kernel $(::<$constant>)? ($($argument),*),
        }
    };
}

/// Adds weight · impact of every pair of a stream run to its document's accumulator.
///
/// Positions are taken modulo the window, so damaged gaps give odd scores and nothing
/// else.
#[inline]
pub(super) fn scatter(
    level: SimdLevel,
    run: &[[u8; 2]],
    weight: u32,
    stage: &mut Stage,
    accumulators: &mut Accumulators,
) {
    dispatch!(level, scatter(run, weight, stage, accumulators));
}

/// Asks for bytes that will be read soon, at most 2 KiB of them: a list's bytes for one
/// window are too few for the machine to notice that it should read ahead.
#[inline]
pub(super) fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(64).take(32) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing that the program sees.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

/// Adds weight · impact of decoded postings to their documents' accumulators; `first` is
/// the window's first docid. Positions are taken modulo the window.
#[inline]
pub(super) fn scatter_block(
    level: SimdLevel,
    docids: &[u32],
    impacts: &[u8],
    first: u32,
    weight: u32,
    stage: &mut Stage,
    accumulators: &mut Accumulators,
) {
    assert!(docids.len() <= BLOCK && impacts.len() == docids.len());
    dispatch!(level, scatter_block(docids, impacts, first, weight, stage, accumulators));
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

/// A dense term in one chunk: its impacts, and a weight that fits a signed 16-bit
/// multiplication. Heavier query weights are split over several lanes.
#[derive(Clone, Copy)]
pub(super) struct Lane<'a> {
    pub(super) impacts: &'a ChunkBytes,
    pub(super) weight: i16,
}

/// Sets every accumulator of a chunk to Σ weight · impact over pairs of lanes.
#[inline]
pub(super) fn multiply_add(level: SimdLevel, pairs: &[[Lane<'_>; 2]], out: &mut [u32; CHUNK]) {
    dispatch!(level, multiply_add(pairs, out));
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
            lanes in prop::collection::vec((chunk(), 0i16..=i16::MAX), 1..6),
        ) {
            let lane = |i: usize| Lane { impacts: &lanes[i].0, weight: lanes[i].1 };
            let pairs: Vec<[Lane<'_>; 2]> =
                (0..lanes.len()).map(|i| [lane(i), lane((i + 1) % lanes.len())]).collect();
            for level in SimdLevel::available() {
                let mut out = [5; CHUNK];
                multiply_add(level, &pairs, &mut out);
                for (d, &sum) in out.iter().enumerate() {
                    let expected: i64 = pairs
                        .iter()
                        .flatten()
                        .map(|l| i64::from(l.weight) * i64::from(l.impacts[d]))
                        .sum();
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
            postings in prop::collection::vec((any::<u32>(), any::<u8>()), 0..=BLOCK),
            first in any::<u32>(),
            weight in 0u32..=65_535,
        ) {
            let (docids, impacts): (Vec<u32>, Vec<u8>) = postings.into_iter().unzip();
            let mut expected = vec![0u32; WINDOW as usize];
            for (docid, &impact) in docids.iter().zip(&impacts) {
                expected[(docid.wrapping_sub(first) % WINDOW) as usize] += weight * u32::from(impact);
            }
            for level in SimdLevel::available() {
                let mut sums = vec![0; WINDOW as usize];
                let accumulators: &mut Accumulators = (&mut sums[..]).try_into().unwrap();
                scatter_block(level, &docids, &impacts, first, weight, &mut Stage::default(), accumulators);
                prop_assert!(sums == expected, "{:?}", level);
            }
        }
    }

    proptest! {
        #[test]
        fn scatter_is_the_same_on_every_level(
            run in prop::collection::vec(prop_oneof![any::<[u8; 2]>(), Just([255, 0]), Just([1, 1])], 0..700),
            weight in 0u32..=65_535,
        ) {
            let mut expected = vec![0u32; WINDOW as usize];
            let mut position = WINDOW - 1;
            for &[gap, impact] in &run {
                position = (position + u32::from(gap)) % WINDOW;
                expected[position as usize] += weight * u32::from(impact);
            }
            for level in SimdLevel::available() {
                let mut sums = vec![0; WINDOW as usize];
                let accumulators: &mut Accumulators = (&mut sums[..]).try_into().unwrap();
                scatter(level, &run, weight, &mut Stage::default(), accumulators);
                prop_assert!(sums == expected, "{:?}", level);
            }
        }
    }
}
