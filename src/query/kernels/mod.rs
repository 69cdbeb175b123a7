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

/// Postings that a scatter prepares by vectors before it adds them one by one. With 32
/// the additions wait for the vectors just stored, and long queries take 20 % longer; 128
/// and 512 are no different.
const STAGE: usize = 256;

/// Positions in the window and score parts of some postings: stands between the vector
/// half and the scalar half of a scatter.
#[repr(align(64))]
pub(super) struct Stage {
    positions: [u16; STAGE],
    products: [u32; STAGE],
}

impl Default for Stage {
    fn default() -> Self {
        Stage { positions: [0; STAGE], products: [0; STAGE] }
    }
}

impl Stage {
    /// Adds the first `len` postings.
    ///
    /// # Safety
    /// Their positions must be below the number of accumulators.
    #[inline(always)]
    unsafe fn add(&self, len: usize, accumulators: &mut [u32]) {
        let mut one = |position: u16, product: u32| {
            debug_assert!(usize::from(position) < accumulators.len());
            // SAFETY: the caller promises it; a check here costs as much as the addition.
            let score = unsafe { accumulators.get_unchecked_mut(usize::from(position)) };
            *score = score.wrapping_add(product);
        };
        let (fours, few) = self.positions[..len].as_chunks::<4>();
        let (product_fours, few_products) = self.products[..len].as_chunks::<4>();
        for (positions, products) in fours.iter().zip(product_fours) {
            one(positions[0], products[0]);
            one(positions[1], products[1]);
            one(positions[2], products[2]);
            one(positions[3], products[3]);
        }
        for (&position, &product) in few.iter().zip(few_products) {
            one(position, product);
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

/// Adds weight · impact of decoded postings to their documents' accumulators, which begin
/// at docid `first`, up to the first posting whose document has none; returns how many
/// postings that were.
#[inline]
pub(super) fn scatter_until(
    level: SimdLevel,
    docids: &[u32],
    impacts: &[u8],
    first: u32,
    weight: u32,
    stage: &mut Stage,
    accumulators: &mut [u32],
) -> usize {
    assert!(docids.len() <= BLOCK && impacts.len() == docids.len());
    // The kernels compare with the last accumulator.
    assert!((1..=WINDOW as usize).contains(&accumulators.len()));
    dispatch!(level, scatter_until(docids, impacts, first, weight, stage, accumulators))
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
        fn scatter_until_is_the_same_on_every_level(
            postings in prop::collection::vec((1u32..300, any::<u8>()), 0..=BLOCK),
            first in prop_oneof![Just(0u32), any::<u32>()],
            at in 0u32..WINDOW,
            len in prop_oneof![Just(WINDOW), 1..=WINDOW],
            weight in 0u32..=65_535,
            wild in prop::option::of((any::<prop::sample::Index>(), any::<u32>())),
        ) {
            let start = first.wrapping_add(at);
            let (mut docids, impacts): (Vec<u32>, Vec<u8>) = postings
                .into_iter()
                .scan(start, |next, (gap, impact)| {
                    *next = next.wrapping_add(gap);
                    Some((*next, impact))
                })
                .unzip();
            // Order is what makes the result useful, not what makes it sound.
            if let (Some((at, docid)), false) = (wild, docids.is_empty()) {
                let at = at.index(docids.len());
                docids[at] = docid;
            }
            let inside = docids.iter().take_while(|d| d.wrapping_sub(first) < len).count();
            let mut expected = vec![0u32; len as usize];
            for (docid, &impact) in docids.iter().zip(&impacts).take(inside) {
                expected[docid.wrapping_sub(first) as usize] += weight * u32::from(impact);
            }
            for level in SimdLevel::available() {
                let mut sums = vec![0; len as usize];
                let mut stage = Stage::default();
                let done = scatter_until(level, &docids, &impacts, first, weight, &mut stage, &mut sums);
                prop_assert_eq!(done, inside);
                prop_assert!(sums == expected, "{:?}", level);
            }
        }
    }

    proptest! {
        #[test]
        fn scatter_is_the_same_on_every_level(
            run in prop::collection::vec(prop_oneof![any::<[u8; 2]>(), Just([255, 0]), Just([1, 1])], 0..700),
            weight in prop_oneof![0u32..=65_535, Just(32_767), Just(32_768), Just(65_534), Just(65_535)],
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
