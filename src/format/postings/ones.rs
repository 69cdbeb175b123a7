//! Where the set bits of a block's upper part stand: the inner loop of Elias-Fano.
//!
//! The scalar form is the definition; the tests hold the others to it.

use crate::simd::SimdLevel;

/// Bytes of an upper part at most. The cheapest split of 128 gaps needs 51: its upper
/// part has under 2 · 128 + 16 zeros beside its 128 ones.
pub const UPPER: usize = 64;

/// Room for the positions: the vector forms write a whole word's worth past the last.
pub const ROOM: usize = crate::format::BLOCK + 64;

/// Positions of set bits, as many as there are up to 128 or a few more.
pub type Positions = [u16; ROOM];

/// Writes the positions of the first `wanted` ≤ 128 set bits of `upper`, lowest bit of
/// each byte first. Returns whether there are so many.
#[inline]
pub fn positions(
    level: SimdLevel,
    upper: &[u8; UPPER],
    wanted: usize,
    out: &mut Positions,
) -> bool {
    assert!(wanted <= crate::format::BLOCK);
    match level {
        SimdLevel::Scalar => scalar(upper, wanted, out),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: blocks are made with levels that the machine has.
        SimdLevel::Avx2 => unsafe { avx2(upper, wanted, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        SimdLevel::Avx512 => unsafe { avx512(upper, wanted, out) },
        #[cfg(not(target_arch = "x86_64"))]
        _ => scalar(upper, wanted, out),
    }
}

fn scalar(upper: &[u8; UPPER], wanted: usize, out: &mut Positions) -> bool {
    let mut found = 0;
    for (i, word) in upper.as_chunks::<8>().0.iter().enumerate() {
        let mut bits = u64::from_le_bytes(*word);
        while bits != 0 {
            if found == wanted {
                return true;
            }
            out[found] = (i * 64) as u16 + bits.trailing_zeros() as u16;
            found += 1;
            bits &= bits - 1;
        }
    }
    found == wanted
}

/// For each byte, the positions of its set bits.
#[cfg(target_arch = "x86_64")]
static BITS: [[u8; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut next) = (0, 0);
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                table[byte][next] = bit;
                next += 1;
            }
            bit += 1;
        }
        byte += 1;
    }
    table
};

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
fn avx2(upper: &[u8; UPPER], wanted: usize, out: &mut Positions) -> bool {
    use std::arch::x86_64::*;
    let mut found = 0;
    for (i, word) in upper.as_chunks::<8>().0.iter().enumerate() {
        if found >= wanted {
            return true;
        }
        for (j, &byte) in word.iter().enumerate() {
            // SAFETY: the table's rows have 8 bytes. Before the word `found` was below
            // 128, and it has 64 bits: 8 positions fit at any `found` ≤ 127 + 56.
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

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
fn avx512(upper: &[u8; UPPER], wanted: usize, out: &mut Positions) -> bool {
    use std::arch::x86_64::*;
    static IOTA: [u8; 64] = {
        let mut iota = [0; 64];
        let mut i = 0;
        while i < 64 {
            iota[i] = i as u8;
            i += 1;
        }
        iota
    };
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn positions_are_the_same_on_every_level(
            words in prop::collection::vec(
                prop_oneof![any::<u64>(), Just(0), Just(u64::MAX), (0u32..64).prop_map(|b| 1 << b)],
                UPPER / 8,
            ),
            wanted in 0usize..=128,
        ) {
            let mut upper = [0; UPPER];
            for (to, word) in upper.as_chunks_mut::<8>().0.iter_mut().zip(&words) {
                *to = word.to_le_bytes();
            }
            let set: Vec<u16> =
                (0..8 * UPPER as u16).filter(|&b| upper[b as usize / 8] >> (b % 8) & 1 == 1).collect();
            for level in SimdLevel::available() {
                let mut out = [0; ROOM];
                prop_assert_eq!(positions(level, &upper, wanted, &mut out), set.len() >= wanted);
                let found = set.len().min(wanted);
                prop_assert_eq!(&out[..found], &set[..found], "{:?}", level);
            }
        }
    }
}
