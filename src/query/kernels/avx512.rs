//! AVX-512 forms.

use std::arch::x86_64::*;

use super::avx2::add;
use super::{Accumulators, CHUNK, ChunkBytes, Lane, STAGE, Stage, scalar};
use crate::format::WINDOW;

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
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
    for (&word, out) in words.iter().zip(out.as_chunks_mut::<64>().0) {
        let mask = u64::from_le_bytes(word);
        // A register expand after a plain load: the expanding load is microcoded on Zen.
        // SAFETY: `next` moved by at most the number of bits, so 64 bytes can be read;
        // `out` has 64.
        unsafe {
            let impacts = _mm512_loadu_si512(next.cast());
            _mm512_storeu_si512(out.as_mut_ptr().cast(), _mm512_maskz_expand_epi8(mask, impacts));
            next = next.add(mask.count_ones() as usize);
        }
    }
    Some(taken)
}

/// A running sum of gaps and the products by vectors, then additions one by one: the
/// scalar form takes ten operations a posting, this one five.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn scatter(
    run: &[[u8; 2]],
    weight: u32,
    stage: &mut Stage,
    accumulators: &mut Accumulators,
) {
    let weight = _mm512_set1_epi32(weight as i32);
    // The last sum of each of the four lanes below, one, two and three lanes down.
    let tops = _mm512_set1_epi64(0);
    let down = |lanes: i64| {
        let top = |lane: i64| (8 * (lane - lanes) + 7).max(0) * 0x0001_0001_0001_0001;
        _mm512_setr_epi64(top(0), top(0), top(1), top(1), top(2), top(2), top(3), top(3))
    };
    let (one, two, three) = (down(1), down(2), down(3));
    let last = _mm512_set1_epi16(31);
    // One before the window; the first gap is at least 1.
    let mut before = _mm512_set1_epi16(-1);
    for run in run.chunks(STAGE) {
        let out = stage.positions.as_chunks_mut::<32>().0.iter_mut();
        let out = out.zip(stage.products.as_chunks_mut::<32>().0);
        for (group, (positions, products)) in run.chunks(32).zip(out) {
            let loaded = (u32::MAX >> (32 - group.len() as u32)) as __mmask32;
            // SAFETY: masked to the group; the rest adds nothing.
            let pairs = unsafe { _mm512_maskz_loadu_epi16(loaded, group.as_ptr().cast()) };
            let mut sum = _mm512_and_si512(pairs, _mm512_set1_epi16(0xFF));
            sum = _mm512_add_epi16(sum, _mm512_bslli_epi128::<2>(sum));
            sum = _mm512_add_epi16(sum, _mm512_bslli_epi128::<4>(sum));
            sum = _mm512_add_epi16(sum, _mm512_bslli_epi128::<8>(sum));
            let below = _mm512_add_epi16(
                _mm512_mask_permutexvar_epi16(tops, 0xFFFF_FF00, one, sum),
                _mm512_mask_permutexvar_epi16(tops, 0xFFFF_0000, two, sum),
            );
            let lowest = _mm512_mask_permutexvar_epi16(tops, 0xFF00_0000, three, sum);
            sum = _mm512_add_epi16(sum, _mm512_add_epi16(below, lowest));
            sum = _mm512_add_epi16(sum, before);
            before = _mm512_permutexvar_epi16(last, sum);
            let position = _mm512_and_si512(sum, _mm512_set1_epi16((WINDOW - 1) as i16));
            let impacts = _mm512_srli_epi16::<8>(pairs);
            let low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(impacts));
            let high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64::<1>(impacts));
            // SAFETY: 32 positions of two bytes, 32 products of four.
            unsafe {
                _mm512_storeu_si512(positions.as_mut_ptr().cast(), position);
                let products = products.as_mut_ptr();
                _mm512_storeu_si512(products.cast(), _mm512_mullo_epi32(low, weight));
                _mm512_storeu_si512(products.add(16).cast(), _mm512_mullo_epi32(high, weight));
            }
        }
        // SAFETY: positions were masked.
        unsafe { add(&stage.positions[..run.len()], &stage.products, accumulators) };
    }
}

/// Positions and products by vectors, then additions one by one: faster than the scatter
/// instruction.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
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
    let mask = _mm512_set1_epi32(WINDOW as i32 - 1);
    let (first16, weight16) = (_mm512_set1_epi32(first as i32), _mm512_set1_epi32(weight as i32));
    let out = stage.positions.as_chunks_mut::<16>().0.iter_mut();
    let out = out.zip(stage.products.as_chunks_mut::<16>().0);
    for ((docids, impacts), (positions, products)) in groups.iter().zip(impact_groups).zip(out) {
        // SAFETY: all are arrays of 16.
        unsafe {
            let docids = _mm512_loadu_si512(docids.as_ptr().cast());
            let impacts = _mm512_cvtepu8_epi32(_mm_loadu_si128(impacts.as_ptr().cast()));
            let position = _mm512_and_si512(_mm512_sub_epi32(docids, first16), mask);
            _mm256_storeu_si256(positions.as_mut_ptr().cast(), _mm512_cvtepi32_epi16(position));
            let product = _mm512_mullo_epi32(impacts, weight16);
            _mm512_storeu_si512(products.as_mut_ptr().cast(), product);
        }
    }
    // SAFETY: positions were masked.
    unsafe { add(&stage.positions[..groups.len() * 16], &stage.products, accumulators) };
    scalar::scatter_block(few_docids, few_impacts, first, weight, stage, accumulators);
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn multiply_add(pairs: &[[Lane<'_>; 2]], out: &mut [u32; CHUNK]) {
    // Two vectors of documents a round: half the loads of pointers and weights.
    for (group, out) in out.as_chunks_mut::<128>().0.iter_mut().enumerate() {
        let mut sums = [[_mm512_setzero_si512(); 4]; 2];
        for [a, b] in pairs {
            let weights = _mm512_set1_epi32(i32::from(a.weight) | i32::from(b.weight) << 16);
            let a = a.impacts.as_chunks::<128>().0[group].as_chunks::<64>().0;
            let b = b.impacts.as_chunks::<128>().0[group].as_chunks::<64>().0;
            for (sums, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
                add_products(a, b, weights, sums);
            }
        }
        for (sums, out) in sums.into_iter().zip(out.as_chunks_mut::<64>().0) {
            store_sums(sums, out);
        }
    }
}

/// Adds the products of 64 documents.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn add_products(a: &[u8; 64], b: &[u8; 64], weights: __m512i, sums: &mut [__m512i; 4]) {
    let zero = _mm512_setzero_si512();
    // SAFETY: both are arrays of 64 bytes.
    let (a, b) =
        unsafe { (_mm512_loadu_si512(a.as_ptr().cast()), _mm512_loadu_si512(b.as_ptr().cast())) };
    // Interleaved bytes a0 b0 a1 b1 …, then widened to the 16-bit pairs that one
    // multiply-add reduces to a document each.
    let (low, high) = (_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b));
    let wide = [
        _mm512_unpacklo_epi8(low, zero),
        _mm512_unpackhi_epi8(low, zero),
        _mm512_unpacklo_epi8(high, zero),
        _mm512_unpackhi_epi8(high, zero),
    ];
    for (sum, wide) in sums.iter_mut().zip(wide) {
        *sum = _mm512_add_epi32(*sum, _mm512_madd_epi16(wide, weights));
    }
}

/// Vector i holds documents 16q + 4i .. 16q + 4i + 4 in its quarter q: transposes the
/// quarters, so that whole vectors can be stored.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn store_sums([s0, s1, s2, s3]: [__m512i; 4], out: &mut [u32; 64]) {
    let (a, b) = (_mm512_shuffle_i32x4::<0x44>(s0, s1), _mm512_shuffle_i32x4::<0x44>(s2, s3));
    let (c, d) = (_mm512_shuffle_i32x4::<0xEE>(s0, s1), _mm512_shuffle_i32x4::<0xEE>(s2, s3));
    let rows = [
        _mm512_shuffle_i32x4::<0x88>(a, b),
        _mm512_shuffle_i32x4::<0xDD>(a, b),
        _mm512_shuffle_i32x4::<0x88>(c, d),
        _mm512_shuffle_i32x4::<0xDD>(c, d),
    ];
    for (row, out) in rows.into_iter().zip(out.as_chunks_mut::<16>().0) {
        // SAFETY: `out` is 16 accumulators, 64 bytes.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), row) };
    }
}

#[target_feature(enable = "avx512f,avx512bw,popcnt")]
pub(super) fn scan<const CLEAR: bool>(
    accumulators: &mut [u32],
    mut threshold: u32,
    mut found: impl FnMut(u32, u32) -> u32,
) {
    let (groups, rest) = accumulators.as_chunks_mut::<32>();
    let tail = groups.len() as u32 * 32;
    let mut least = _mm512_set1_epi32(threshold as i32);
    for (group, scores) in groups.iter_mut().enumerate() {
        let at = scores.as_ptr();
        // SAFETY: the group has 32 scores, two vectors of 16.
        let (low, high) =
            unsafe { (_mm512_loadu_si512(at.cast()), _mm512_loadu_si512(at.add(16).cast())) };
        let mut mask = u32::from(_mm512_cmpge_epi32_mask(low, least))
            | u32::from(_mm512_cmpge_epi32_mask(high, least)) << 16;
        if mask != 0 {
            while mask != 0 {
                let position = mask.trailing_zeros() as usize;
                mask &= mask - 1;
                if scores[position] >= threshold {
                    threshold = found((group * 32 + position) as u32, scores[position]);
                }
            }
            least = _mm512_set1_epi32(threshold as i32);
        }
        if CLEAR {
            scores.fill(0);
        }
    }
    scalar::scan::<CLEAR>(rest, threshold, |position, score| found(tail + position, score));
}
