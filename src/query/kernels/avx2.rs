//! AVX2 forms.

use std::arch::x86_64::*;

use super::tables::SPREAD;
use super::{
    Accumulators, CHUNK, ChunkBytes, GROUP, Lane, MAX_LANES, NO_IMPACTS, Stage, ones, scalar,
};
use crate::format::WINDOW;

#[target_feature(enable = "avx2,popcnt")]
pub(super) fn expand(
    words: &[[u8; 8]; CHUNK / 64],
    impacts: &[u8],
    out: &mut ChunkBytes,
) -> Option<usize> {
    // What follows loads past the last impact it uses. Only near a list's end are they
    // counted first.
    if impacts.len() < CHUNK + 64 && impacts.len() < ones(words) + 64 {
        return scalar::expand(words, impacts, out);
    }
    let mut next = impacts.as_ptr();
    for (masks, out) in words.as_flattened().iter().zip(out.as_chunks_mut::<8>().0) {
        // SAFETY: `next` moved by at most the number of bits, so 8 bytes can be read;
        // `out` has 8 bytes, and the table's rows have.
        unsafe {
            let impacts = _mm_loadl_epi64(next.cast());
            let spread = _mm_loadl_epi64(SPREAD[*masks as usize].as_ptr().cast());
            _mm_storel_epi64(out.as_mut_ptr().cast(), _mm_shuffle_epi8(impacts, spread));
            next = next.add(masks.count_ones() as usize);
        }
    }
    Some(next as usize - impacts.as_ptr() as usize)
}

/// A weight as two that a signed 16-bit multiplication takes; only 65,535 is no such sum.
pub(super) fn halves(weight: u32) -> Option<i32> {
    let low = weight.min(i16::MAX as u32);
    let high = weight - low;
    (high <= i16::MAX as u32).then_some((low | high << 16) as i32)
}

/// For 8 pairs in 16 bytes: twice the impact of each of the lower or upper four, as 16 bits.
pub(super) const fn impacts_of_four(upper: bool) -> [i8; 16] {
    let mut bytes = [-128; 16];
    let mut i = 0;
    while i < 8 {
        bytes[2 * i] = (i / 2 * 2 + 1 + if upper { 8 } else { 0 }) as i8;
        i += 1;
    }
    bytes
}

/// A running sum of gaps and the products by vectors, then additions one by one: the
/// scalar form takes ten operations a posting, this one five.
#[target_feature(enable = "avx2")]
pub(super) fn scatter<const POSITIONS: bool>(
    run: &[[u8; 2]],
    weight: u32,
    stage: &mut Stage,
    accumulators: &mut Accumulators,
) {
    let Some(weights) = halves(weight) else {
        return scalar::scatter::<POSITIONS>(run, weight, stage, accumulators);
    };
    let weights = _mm256_set1_epi32(weights);
    let top = _mm256_set1_epi16(0x0F0E);
    let top_of_8 = _mm256_set1_epi16(0x0706);
    let [lower, upper] = [false, true].map(|upper| {
        let bytes = impacts_of_four(upper);
        // SAFETY: 16 bytes.
        _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
    });
    // One before the window; the first gap is at least 1.
    let mut before = _mm256_set1_epi16(-1);
    let mut pairs_before = before;
    for group in run.chunks(16) {
        let postings = group.len();
        let pairs = load_pairs(group);
        let mut sum = pairs;
        if POSITIONS {
            let across = _mm256_permute2x128_si256::<0x21>(pairs_before, pairs);
            sum = _mm256_sub_epi16(pairs, _mm256_alignr_epi8::<14>(pairs, across));
            pairs_before = pairs;
        }
        sum = _mm256_and_si256(sum, _mm256_set1_epi16(0xFF));
        sum = _mm256_add_epi16(sum, _mm256_bslli_epi128::<2>(sum));
        sum = _mm256_add_epi16(sum, _mm256_bslli_epi128::<4>(sum));
        sum = _mm256_add_epi16(sum, _mm256_bslli_epi128::<8>(sum));
        let lower_sums = _mm256_permute2x128_si256::<0x08>(sum, sum);
        sum = _mm256_add_epi16(sum, _mm256_shuffle_epi8(lower_sums, top));
        sum = _mm256_add_epi16(sum, before);
        before = _mm256_shuffle_epi8(_mm256_permute4x64_epi64::<0xFF>(sum), top_of_8);
        let position = _mm256_and_si256(sum, _mm256_set1_epi16((WINDOW - 1) as i16));
        // Fours 0, 2 | 1, 3: shuffles inside 16 bytes then leave the products in order.
        let fours = _mm256_permute4x64_epi64::<0b11_01_10_00>(pairs);
        let low = _mm256_madd_epi16(_mm256_shuffle_epi8(fours, lower), weights);
        let high = _mm256_madd_epi16(_mm256_shuffle_epi8(fours, upper), weights);
        store(position, low, high, stage);
        stage.grow(postings, accumulators);
    }
}

/// Up to 16 pairs, and zeros behind them.
#[inline]
#[target_feature(enable = "avx2")]
fn load_pairs(pairs: &[[u8; 2]]) -> __m256i {
    if let Some(pairs) = pairs.first_chunk::<16>() {
        // SAFETY: 32 bytes.
        return unsafe { _mm256_loadu_si256(pairs.as_ptr().cast()) };
    }
    let fours = _mm256_set1_epi64x(pairs.len() as i64 / 4);
    let loaded = _mm256_cmpgt_epi64(fours, _mm256_setr_epi64x(0, 1, 2, 3));
    if pairs.len().is_multiple_of(4) {
        // SAFETY: masked to the pairs.
        return unsafe { _mm256_maskload_epi64(pairs.as_ptr().cast(), loaded) };
    }
    // Runs of sound files are padded to four pairs.
    let mut padded = [[0; 2]; 16];
    padded[..pairs.len()].copy_from_slice(pairs);
    // SAFETY: 32 bytes.
    unsafe { _mm256_loadu_si256(padded.as_ptr().cast()) }
}

/// Stores 16 positions, below the window, and their products at the end of a stage.
#[inline]
#[target_feature(enable = "avx2")]
fn store(position: __m256i, low: __m256i, high: __m256i, stage: &mut Stage) {
    let (positions, products) = stage.end();
    // SAFETY: 16 positions of two bytes, 16 products of four, half a step.
    unsafe {
        _mm256_storeu_si256(positions.as_mut_ptr().cast(), position);
        _mm256_storeu_si256(products.as_mut_ptr().cast(), low);
        _mm256_storeu_si256(products.as_mut_ptr().add(8).cast(), high);
    }
}

/// Positions and products by vectors, then additions one by one.
#[target_feature(enable = "avx2")]
pub(super) fn scatter_groups<'g>(
    groups: impl Iterator<Item = (&'g [u32; GROUP], &'g [u8; GROUP])>,
    first: u32,
    weight: u32,
    stage: &mut Stage,
    accumulators: &mut Accumulators,
) -> usize {
    let last = _mm256_set1_epi32(WINDOW as i32 - 1);
    let (first8, weight8) = (_mm256_set1_epi32(first as i32), _mm256_set1_epi32(weight as i32));
    let mut done = 0;
    for (docids, impacts) in groups {
        let at = docids.as_ptr();
        // SAFETY: both are arrays of 16.
        let (low, high, impacts) = unsafe {
            let (low, high) = (_mm256_loadu_si256(at.cast()), _mm256_loadu_si256(at.add(8).cast()));
            (low, high, _mm_loadu_si128(impacts.as_ptr().cast()))
        };
        let (low, high) = (_mm256_sub_epi32(low, first8), _mm256_sub_epi32(high, first8));
        let inside = |position| _mm256_cmpeq_epi32(_mm256_min_epu32(position, last), position);
        let (low_inside, high_inside) = (inside(low), inside(high));
        let product = |impacts, inside| {
            _mm256_and_si256(_mm256_mullo_epi32(_mm256_cvtepu8_epi32(impacts), weight8), inside)
        };
        let both = _mm256_packus_epi32(_mm256_and_si256(low, last), _mm256_and_si256(high, last));
        let positions = _mm256_permute4x64_epi64::<0b11_01_10_00>(both);
        let low = product(impacts, low_inside);
        let high = product(_mm_srli_si128::<8>(impacts), high_inside);
        store(positions, low, high, stage);
        stage.grow(GROUP, accumulators);
        if _mm256_movemask_ps(_mm256_castsi256_ps(high_inside)) & 0x80 == 0 {
            break;
        }
        done += 1;
    }
    done
}

#[target_feature(enable = "avx2")]
pub(super) fn multiply_add(lanes: &[Lane<'_>], out: &mut [u32; CHUNK]) {
    let zero = _mm256_setzero_si256();
    let mut pairs = [(&NO_IMPACTS, &NO_IMPACTS, zero); MAX_LANES / 2];
    for (pair, lanes) in pairs.iter_mut().zip(lanes.chunks(2)) {
        let (a, b) = (lanes[0], lanes.get(1).copied().unwrap_or_default());
        let weights = i32::from(a.weight) | i32::from(b.weight) << 16;
        *pair = (a.impacts, b.impacts, _mm256_set1_epi32(weights));
    }
    let pairs = &pairs[..lanes.len().div_ceil(2)];
    for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let mut sums = [zero; 4];
        for (a, b, weights) in pairs {
            let (a, b) = (&a.as_chunks::<32>().0[group], &b.as_chunks::<32>().0[group]);
            // SAFETY: both are arrays of 32 bytes.
            let (a, b) = unsafe {
                (_mm256_loadu_si256(a.as_ptr().cast()), _mm256_loadu_si256(b.as_ptr().cast()))
            };
            // Interleaved bytes a0 b0 a1 b1 …, then widened to the 16-bit pairs that
            // one multiply-add reduces to a document each.
            let (low, high) = (_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b));
            let wide = [
                _mm256_unpacklo_epi8(low, zero),
                _mm256_unpackhi_epi8(low, zero),
                _mm256_unpacklo_epi8(high, zero),
                _mm256_unpackhi_epi8(high, zero),
            ];
            for (sum, wide) in sums.iter_mut().zip(wide) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(wide, *weights));
            }
        }
        // Each vector holds documents 4i..4i+4 of the lower and of the upper half.
        for (i, sum) in sums.into_iter().enumerate() {
            // SAFETY: 4·i + 4 ≤ 16 and 16 + 4·i + 4 ≤ 32 accumulators.
            unsafe {
                let out = out.as_mut_ptr().add(4 * i);
                _mm_storeu_si128(out.cast(), _mm256_castsi256_si128(sum));
                _mm_storeu_si128(out.add(16).cast(), _mm256_extracti128_si256::<1>(sum));
            }
        }
    }
}

#[target_feature(enable = "avx2,popcnt")]
pub(super) fn scan<const CLEAR: bool>(
    accumulators: &mut [u32],
    mut threshold: u32,
    mut found: impl FnMut(u32, u32) -> u32,
) {
    let (groups, rest) = accumulators.as_chunks_mut::<32>();
    let tail = groups.len() as u32 * 32;
    // Scores are below 2^31, so signed compares are right; ≥ t is > t − 1.
    let mut below = _mm256_set1_epi32((threshold - 1) as i32);
    for (group, scores) in groups.iter_mut().enumerate() {
        let at = scores.as_ptr();
        // SAFETY: the group has 32 scores.
        let eights =
            [0, 8, 16, 24].map(|i| unsafe { _mm256_loadu_si256(at.wrapping_add(i).cast()) });
        let above = |scores| {
            let above = _mm256_cmpgt_epi32(scores, below);
            _mm256_movemask_ps(_mm256_castsi256_ps(above)) as u32
        };
        let most = _mm256_max_epi32(
            _mm256_max_epi32(eights[0], eights[1]),
            _mm256_max_epi32(eights[2], eights[3]),
        );
        if above(most) != 0 {
            let [a, b, c, d] = eights.map(above);
            let mut mask = a | b << 8 | c << 16 | d << 24;
            while mask != 0 {
                let position = mask.trailing_zeros() as usize;
                mask &= mask - 1;
                if scores[position] >= threshold {
                    threshold = found((group * 32 + position) as u32, scores[position]);
                }
            }
            below = _mm256_set1_epi32((threshold - 1) as i32);
        }
        if CLEAR {
            scores.fill(0);
        }
    }
    scalar::scan::<CLEAR>(rest, threshold, |position, score| found(tail + position, score));
}
