//! AVX-512 forms.

use std::arch::x86_64::*;

use super::{BLOCK, Positions, UPPER};

static IOTA: [u8; 64] = {
    let mut iota = [0; 64];
    let mut i = 0;
    while i < 64 {
        iota[i] = i as u8;
        i += 1;
    }
    iota
};

/// Writes the positions of the first `wanted` set bits or more; false if there are fewer.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
fn positions(upper: &[u8; UPPER], wanted: usize, out: &mut Positions) -> bool {
    assert!(wanted <= BLOCK);
    // SAFETY: 64 bytes.
    let iota = unsafe { _mm512_loadu_si512(IOTA.as_ptr().cast()) };
    let mut found = 0;
    for (i, word) in upper.as_chunks::<8>().0.iter().enumerate() {
        if found >= wanted {
            return true;
        }
        let bits = u64::from_le_bytes(*word);
        let packed = _mm512_maskz_compress_epi8(bits, iota);
        let base = _mm512_set1_epi16((i * 64) as i16);
        let low = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(packed));
        let high = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64::<1>(packed));
        // SAFETY: `found` ≤ 127, and 127 + 64 positions fit.
        unsafe {
            let out = out.as_mut_ptr().add(found);
            _mm512_storeu_si512(out.cast(), _mm512_add_epi16(low, base));
            _mm512_storeu_si512(out.add(32).cast(), _mm512_add_epi16(high, base));
        }
        found += bits.count_ones() as usize;
    }
    found >= wanted
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,popcnt")]
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
    let lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let (mut i, mut base) = (lane, _mm512_add_epi32(lane, _mm512_set1_epi32(first as i32)));
    let count = _mm512_set1_epi32(postings as i32);
    let mut before = _mm512_setzero_si512();
    // The first posting has no neighbour to be above.
    let mut counts: u16 = 0xFFFE;
    let mut wrong = 0;
    for (group, (docids, at)) in
        docids.as_chunks_mut::<16>().0.iter_mut().zip(at.as_chunks::<16>().0).enumerate()
    {
        if group * 16 >= postings {
            break;
        }
        // SAFETY: both are arrays of 16.
        let (low, at) = unsafe {
            (_mm512_loadu_si512(docids.as_ptr().cast()), _mm256_loadu_si256(at.as_ptr().cast()))
        };
        let high = _mm512_sll_epi32(_mm512_sub_epi32(_mm512_cvtepu16_epi32(at), i), shift);
        let docid = _mm512_add_epi32(base, _mm512_or_si512(high, low));
        // SAFETY: as above.
        unsafe { _mm512_storeu_si512(docids.as_mut_ptr().cast(), docid) };
        let neighbour = _mm512_alignr_epi32::<15>(docid, before);
        counts &= _mm512_cmplt_epi32_mask(i, count);
        wrong |= _mm512_mask_cmple_epu32_mask(counts, docid, neighbour);
        counts = 0xFFFF;
        before = docid;
        let step = _mm512_set1_epi32(16);
        (i, base) = (_mm512_add_epi32(i, step), _mm512_add_epi32(base, step));
    }
    wrong == 0
}
