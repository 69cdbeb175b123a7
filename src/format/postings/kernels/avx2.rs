//! AVX2 forms.

use std::arch::x86_64::*;

use super::tables::{BITS, SPREAD};
use super::{BLOCK, Positions, UPPER};

/// Writes the positions of the first `wanted` set bits or more; false if there are fewer.
#[target_feature(enable = "avx2,popcnt")]
fn positions(upper: &[u8; UPPER], wanted: usize, out: &mut Positions) -> bool {
    assert!(wanted <= BLOCK);
    let mut found = 0;
    for (i, word) in upper.as_chunks::<8>().0.iter().enumerate() {
        if found >= wanted {
            return true;
        }
        for (j, &byte) in word.iter().enumerate() {
            // SAFETY: the table's rows have 8 bytes. Before the word `found` was below
            // 128, so here it is at most 127 + 56, and 8 positions fit.
            unsafe {
                let bits = _mm_loadl_epi64(BITS[byte as usize].as_ptr().cast());
                let base = _mm_set1_epi16((i * 64 + j * 8) as i16);
                let positions = _mm_add_epi16(_mm_cvtepu8_epi16(bits), base);
                _mm_storeu_si128(out.as_mut_ptr().add(found).cast(), positions);
            }
            found += byte.count_ones() as usize;
        }
    }
    found >= wanted
}

#[target_feature(enable = "avx2,popcnt")]
pub(super) fn docids(
    upper: &[u8; UPPER],
    low_bits: u32,
    first: u32,
    postings: usize,
    docids: &mut [u32; BLOCK],
) -> bool {
    let mut at: Positions = [0; BLOCK + 64];
    if !positions(upper, postings, &mut at) {
        return false;
    }
    let shift = _mm_cvtsi32_si128(low_bits as i32);
    let one = _mm256_set1_epi32(1);
    let rotate = _mm256_setr_epi32(7, 0, 1, 2, 3, 4, 5, 6);
    let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    let (mut i, mut base) = (lane, _mm256_add_epi32(lane, _mm256_set1_epi32(first as i32)));
    let mut before = _mm256_setzero_si256();
    let mut wrong = _mm256_setzero_si256();
    for (group, (docids, at)) in
        docids.as_chunks_mut::<8>().0.iter_mut().zip(at.as_chunks::<8>().0).enumerate()
    {
        if group * 8 >= postings {
            break;
        }
        // SAFETY: both are arrays of 8.
        let (low, at) = unsafe {
            (_mm256_loadu_si256(docids.as_ptr().cast()), _mm_loadu_si128(at.as_ptr().cast()))
        };
        let high = _mm256_sll_epi32(_mm256_sub_epi32(_mm256_cvtepu16_epi32(at), i), shift);
        let docid = _mm256_add_epi32(base, _mm256_or_si256(high, low));
        // SAFETY: as above.
        unsafe { _mm256_storeu_si256(docids.as_mut_ptr().cast(), docid) };
        // In order if each is at least its neighbour + 1; the first has none, and those
        // from `postings` on do not count.
        let rotated = _mm256_permutevar8x32_epi32(docid, rotate);
        let neighbour = _mm256_add_epi32(_mm256_blend_epi32::<1>(rotated, before), one);
        let right = _mm256_cmpeq_epi32(_mm256_max_epu32(docid, neighbour), docid);
        // A neighbour of u32::MAX wraps to 0, which nothing is below.
        let right =
            _mm256_andnot_si256(_mm256_cmpeq_epi32(neighbour, _mm256_setzero_si256()), right);
        let counts = _mm256_cmpgt_epi32(_mm256_set1_epi32(postings as i32), i);
        let counts = if group == 0 {
            _mm256_blend_epi32::<1>(counts, _mm256_setzero_si256())
        } else {
            counts
        };
        wrong = _mm256_or_si256(wrong, _mm256_andnot_si256(right, counts));
        before = rotated;
        let step = _mm256_set1_epi32(8);
        (i, base) = (_mm256_add_epi32(i, step), _mm256_add_epi32(base, step));
    }
    _mm256_testz_si256(wrong, wrong) == 1
}

/// `stream` must have 15 · bits + 16 bytes.
#[target_feature(enable = "avx2")]
pub(super) fn unpack_impacts(stream: &[u8], bits: u32, out: &mut [u8; BLOCK]) {
    let bits = bits as usize;
    assert!(stream.len() >= 15 * bits + 16);
    let (bytes, factors) = &SPREAD[bits];
    // SAFETY: 16 bytes each.
    let (bytes, factors) = unsafe {
        let load = |from: *const __m128i| _mm256_broadcastsi128_si256(_mm_loadu_si128(from));
        (load(bytes.as_ptr().cast()), load(factors.as_ptr().cast()))
    };
    let down = _mm_cvtsi32_si128(16 - bits as i32);
    // 8 numbers take `bits` bytes, so every eighth starts at a byte.
    let sixteen = |group: usize| {
        // SAFETY: group ≤ 14, so 16 bytes from (group + 1) · bits are in the stream.
        let (low, high) = unsafe {
            let at = stream.as_ptr().add(group * bits);
            (_mm_loadu_si128(at.cast()), _mm_loadu_si128(at.add(bits).cast()))
        };
        let both = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high);
        let spread = _mm256_mullo_epi16(_mm256_shuffle_epi8(both, bytes), factors);
        _mm256_srl_epi16(spread, down)
    };
    for (quarter, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let packed = _mm256_packus_epi16(sixteen(4 * quarter), sixteen(4 * quarter + 2));
        let numbers = _mm256_permute4x64_epi64::<0b11_01_10_00>(packed);
        let impacts = _mm256_add_epi8(numbers, _mm256_set1_epi8(1));
        // SAFETY: `out` has 32 bytes.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), impacts) };
    }
}
