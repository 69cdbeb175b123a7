//! The inner loops of decoding a packed block, for each instruction set and in plain
//! Rust.
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

use crate::format::BLOCK;
use crate::simd::SimdLevel;

/// Bytes of an upper part at most. The smallest split of 128 docids has an upper part of
/// 128 ones and under 2 · 128 + 16 zeros: 50 bytes.
pub const UPPER: usize = 64;

/// Positions of set bits; the vector forms write up to a word's worth past the last.
type Positions = [u16; BLOCK + 64];

/// Joins Elias-Fano's halves: `docids[i]` holds the low bits of x_i and becomes
/// `first` + x_i + i, for i < `postings` ≤ 128, with x_i's high bits = (position of the
/// i-th set bit of `upper`) − i. Entries from `postings` on are left undefined.
///
/// Returns whether `upper` has that many bits and the docids are strictly increasing;
/// arithmetic wraps, so damaged bytes give false or odd docids in order.
#[inline]
pub fn docids(
    level: SimdLevel,
    upper: &[u8; UPPER],
    low_bits: u32,
    first: u32,
    postings: usize,
    docids: &mut [u32; BLOCK],
) -> bool {
    assert!(postings <= BLOCK && low_bits < 32);
    level.trace();
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: blocks are made with levels that the machine has.
        SimdLevel::Avx2 => unsafe { avx2::docids(upper, low_bits, first, postings, docids) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        SimdLevel::Avx512 => unsafe { avx512::docids(upper, low_bits, first, postings, docids) },
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        // SAFETY: as above.
        SimdLevel::Neon => unsafe { neon::docids(upper, low_bits, first, postings, docids) },
        _ => scalar::docids(upper, low_bits, first, postings, docids),
    }
}

/// Unpacks 128 numbers of `bits` ≤ 8 from the start of a stream and adds 1 to each;
/// callers that want fewer ignore the rest. Bits past the end are 0.
#[inline]
pub fn unpack_impacts(level: SimdLevel, stream: &[u8], bits: u32, out: &mut [u8; BLOCK]) {
    assert!(bits <= 8);
    // The vector form loads 16 bytes for the last 8 numbers.
    if stream.len() < 15 * bits as usize + 16 {
        return scalar::unpack_impacts(stream, bits, out);
    }
    level.trace();
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: blocks are made with levels that the machine has; AVX-512 includes AVX2.
        SimdLevel::Avx2 | SimdLevel::Avx512 => unsafe { avx2::unpack_impacts(stream, bits, out) },
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        // SAFETY: as above.
        SimdLevel::Neon => unsafe { neon::unpack_impacts(stream, bits, out) },
        _ => scalar::unpack_impacts(stream, bits, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn docids_are_the_same_on_every_level(
            words in prop::collection::vec(
                prop_oneof![any::<u64>(), Just(0), Just(u64::MAX), (0u32..64).prop_map(|b| 1 << b)],
                UPPER / 8,
            ),
            low in prop::collection::vec(any::<u32>(), BLOCK),
            sorted in any::<bool>(),
            low_bits in 0u32..32,
            first in prop_oneof![0u32..1000, any::<u32>()],
            postings in 0usize..=BLOCK,
        ) {
            let mut upper = [0; UPPER];
            for (to, word) in upper.as_chunks_mut::<8>().0.iter_mut().zip(&words) {
                *to = word.to_le_bytes();
            }
            let mut low: [u32; BLOCK] = low.try_into().unwrap();
            low.iter_mut().for_each(|x| *x &= (1 << low_bits) - 1);
            if sorted {
                low.sort();
            }
            let mut expected = low;
            let sound = scalar::docids(&upper, low_bits, first, postings, &mut expected);
            let set: Vec<u32> =
                (0..8 * UPPER as u32).filter(|&b| upper[b as usize / 8] >> (b % 8) & 1 == 1).collect();
            let docid = |i: usize| {
                first.wrapping_add((set[i] - i as u32) << low_bits | low[i]).wrapping_add(i as u32)
            };
            let all: Vec<u32> = (0..postings.min(set.len())).map(docid).collect();
            let right = set.len() >= postings && all.windows(2).all(|pair| pair[0] < pair[1]);
            prop_assert_eq!(sound, right);
            for level in SimdLevel::available() {
                let mut out = low;
                prop_assert_eq!(docids(level, &upper, low_bits, first, postings, &mut out), right);
                prop_assert!(!right || out[..postings] == all[..], "{:?}", level);
            }
        }

        #[test]
        fn impacts_are_the_same_on_every_level(
            stream in prop::collection::vec(any::<u8>(), 0..200),
            bits in 0u32..=8,
        ) {
            let number = |i: usize| crate::format::postings::bits::get(&stream, i, bits) as u8;
            let expected: [u8; BLOCK] = std::array::from_fn(|i| number(i).wrapping_add(1));
            for level in SimdLevel::available() {
                let mut out = [7; BLOCK];
                unpack_impacts(level, &stream, bits, &mut out);
                prop_assert_eq!(out, expected, "{:?}", level);
            }
        }
    }
}
