//! AVX2 forms.

use std::arch::x86_64::*;

use super::{Accumulators, CHUNK, ChunkBytes, Lane, STAGE, Stage, scalar};
use crate::format::WINDOW;

/// For each 8-bit mask, where each of 8 documents finds its impact among the next ones;
/// 0x80 makes the shuffle write 0.
static SPREAD: [[u8; 8]; 256] = {
    let mut table = [[0x80; 8]; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut bit, mut next) = (0, 0);
        while bit < 8 {
            if mask >> bit & 1 == 1 {
                table[mask][bit] = next;
                next += 1;
            }
            bit += 1;
        }
        mask += 1;
    }
    table
};

#[target_feature(enable = "avx2,popcnt")]
pub(super) fn expand(
    words: &[[u8; 8]; CHUNK / 64],
    impacts: &[u8],
    out: &mut ChunkBytes,
) -> Option<usize> {
    // Counted here, where the instruction for it may be used.
    let taken: u32 = words.iter().map(|&w| u64::from_le_bytes(w).count_ones()).sum();
    let taken = taken as usize;
    // What follows loads past the last impact it uses.
    if impacts.len() < taken + 64 {
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
    Some(taken)
}

/// Adds prepared postings. `positions` must be below the window.
///
/// # Safety
/// As said.
#[inline(always)]
pub(super) unsafe fn add(positions: &[u16], products: &[u32], accumulators: &mut Accumulators) {
    let mut one = |position: u16, product: u32| {
        debug_assert!(u32::from(position) < WINDOW);
        // SAFETY: the caller promises it; a check here costs as much as the addition.
        let score = unsafe { accumulators.get_unchecked_mut(usize::from(position)) };
        *score = score.wrapping_add(product);
    };
    let (fours, few) = positions.as_chunks::<4>();
    let (product_fours, few_products) = products[..positions.len()].as_chunks::<4>();
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

/// A running sum of gaps and the products by vectors, then additions one by one: the
/// scalar form takes ten operations a posting, this one five.
#[target_feature(enable = "avx2")]
pub(super) fn scatter(
    run: &[[u8; 2]],
    weight: u32,
    stage: &mut Stage,
    accumulators: &mut Accumulators,
) {
    let weight = _mm256_set1_epi32(weight as i32);
    let top = _mm256_set1_epi16(0x0F0E);
    let top_of_8 = _mm256_set1_epi16(0x0706);
    // One before the window; the first gap is at least 1.
    let mut before = _mm256_set1_epi16(-1);
    for run in run.chunks(STAGE) {
        let out = stage.positions.as_chunks_mut::<16>().0.iter_mut();
        let out = out.zip(stage.products.as_chunks_mut::<16>().0);
        for (group, (positions, products)) in run.chunks(16).zip(out) {
            let mut padded = [[0; 2]; 16];
            let group = group.first_chunk().unwrap_or_else(|| {
                padded[..group.len()].copy_from_slice(group);
                &padded
            });
            // SAFETY: the group has 32 bytes.
            let pairs = unsafe { _mm256_loadu_si256(group.as_ptr().cast()) };
            let mut sum = _mm256_and_si256(pairs, _mm256_set1_epi16(0xFF));
            sum = _mm256_add_epi16(sum, _mm256_bslli_epi128::<2>(sum));
            sum = _mm256_add_epi16(sum, _mm256_bslli_epi128::<4>(sum));
            sum = _mm256_add_epi16(sum, _mm256_bslli_epi128::<8>(sum));
            let lower = _mm256_permute2x128_si256::<0x08>(sum, sum);
            sum = _mm256_add_epi16(sum, _mm256_shuffle_epi8(lower, top));
            sum = _mm256_add_epi16(sum, before);
            before = _mm256_shuffle_epi8(_mm256_permute4x64_epi64::<0xFF>(sum), top_of_8);
            let position = _mm256_and_si256(sum, _mm256_set1_epi16((WINDOW - 1) as i16));
            let impacts = _mm256_srli_epi16::<8>(pairs);
            let low = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(impacts));
            let high = _mm256_cvtepu16_epi32(_mm256_extracti128_si256::<1>(impacts));
            // SAFETY: 16 positions of two bytes, 16 products of four.
            unsafe {
                _mm256_storeu_si256(positions.as_mut_ptr().cast(), position);
                let products = products.as_mut_ptr();
                _mm256_storeu_si256(products.cast(), _mm256_mullo_epi32(low, weight));
                _mm256_storeu_si256(products.add(8).cast(), _mm256_mullo_epi32(high, weight));
            }
        }
        // SAFETY: positions were masked.
        unsafe { add(&stage.positions[..run.len()], &stage.products, accumulators) };
    }
}

/// Positions and products by vectors, then additions one by one.
#[target_feature(enable = "avx2")]
pub(super) fn scatter_block(
    docids: &[u32],
    impacts: &[u8],
    first: u32,
    weight: u32,
    stage: &mut Stage,
    accumulators: &mut Accumulators,
) {
    let (groups, few_docids) = docids.as_chunks::<16>();
    let (impact_groups, few_impacts) = impacts.as_chunks::<16>();
    let mask = _mm256_set1_epi32(WINDOW as i32 - 1);
    let (first8, weight8) = (_mm256_set1_epi32(first as i32), _mm256_set1_epi32(weight as i32));
    let out = stage.positions.as_chunks_mut::<16>().0.iter_mut();
    let out = out.zip(stage.products.as_chunks_mut::<16>().0);
    for ((docids, impacts), (positions, products)) in groups.iter().zip(impact_groups).zip(out) {
        // SAFETY: all are arrays of 16.
        unsafe {
            let at = docids.as_ptr();
            let (low, high) = (_mm256_loadu_si256(at.cast()), _mm256_loadu_si256(at.add(8).cast()));
            let low = _mm256_and_si256(_mm256_sub_epi32(low, first8), mask);
            let high = _mm256_and_si256(_mm256_sub_epi32(high, first8), mask);
            let both = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi32(low, high));
            _mm256_storeu_si256(positions.as_mut_ptr().cast(), both);
            let impacts = _mm_loadu_si128(impacts.as_ptr().cast());
            let low = _mm256_cvtepu8_epi32(impacts);
            let high = _mm256_cvtepu8_epi32(_mm_srli_si128::<8>(impacts));
            let products = products.as_mut_ptr();
            _mm256_storeu_si256(products.cast(), _mm256_mullo_epi32(low, weight8));
            _mm256_storeu_si256(products.add(8).cast(), _mm256_mullo_epi32(high, weight8));
        }
    }
    // SAFETY: positions were masked.
    unsafe { add(&stage.positions[..groups.len() * 16], &stage.products, accumulators) };
    scalar::scatter_block(few_docids, few_impacts, first, weight, stage, accumulators);
}

#[target_feature(enable = "avx2")]
pub(super) fn multiply_add(pairs: &[[Lane<'_>; 2]], out: &mut [u32; CHUNK]) {
    let zero = _mm256_setzero_si256();
    for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let mut sums = [zero; 4];
        for [a, b] in pairs {
            let weights = _mm256_set1_epi32(i32::from(a.weight) | i32::from(b.weight) << 16);
            let (a, b) =
                (&a.impacts.as_chunks::<32>().0[group], &b.impacts.as_chunks::<32>().0[group]);
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
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(wide, weights));
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
        let at = scores.as_mut_ptr();
        // SAFETY: the group has 32 scores.
        let any = unsafe {
            let load =
                |i: usize| _mm256_cmpgt_epi32(_mm256_loadu_si256(at.add(8 * i).cast()), below);
            _mm256_or_si256(_mm256_or_si256(load(0), load(1)), _mm256_or_si256(load(2), load(3)))
        };
        if _mm256_testz_si256(any, any) == 0 {
            for i in 0..4 {
                // SAFETY: as above.
                let scores8 = unsafe { _mm256_loadu_si256(at.add(8 * i).cast()) };
                let above = _mm256_cmpgt_epi32(scores8, below);
                let mut mask = _mm256_movemask_ps(_mm256_castsi256_ps(above)) as u32;
                while mask != 0 {
                    let position = 8 * i + mask.trailing_zeros() as usize;
                    mask &= mask - 1;
                    if scores[position] >= threshold {
                        threshold = found((group * 32 + position) as u32, scores[position]);
                    }
                }
                below = _mm256_set1_epi32((threshold - 1) as i32);
            }
        }
        if CLEAR {
            scores.fill(0);
        }
    }
    scalar::scan::<CLEAR>(rest, threshold, |position, score| found(tail + position, score));
}
