//! Plain Rust: the definition of every kernel.

use super::super::bits;
use super::{BLOCK, UPPER};

pub(super) fn docids(
    upper: &[u8; UPPER],
    low_bits: u32,
    first: u32,
    postings: usize,
    docids: &mut [u32; BLOCK],
) -> bool {
    let (mut i, mut before, mut sound) = (0, None, true);
    for (w, word) in upper.as_chunks::<8>().0.iter().enumerate() {
        let mut bits = u64::from_le_bytes(*word);
        while bits != 0 && i < postings {
            let position = w as u32 * 64 + bits.trailing_zeros();
            bits &= bits - 1;
            // Position i of the set bits is at least i.
            let offset = (position - i as u32) << low_bits | docids[i];
            let docid = first.wrapping_add(offset).wrapping_add(i as u32);
            sound &= before.is_none_or(|before| before < docid);
            docids[i] = docid;
            before = Some(docid);
            i += 1;
        }
    }
    sound && i == postings
}

pub(super) fn unpack_impacts(stream: &[u8], bits: u32, out: &mut [u8; BLOCK]) {
    for (i, impact) in out.iter_mut().enumerate() {
        *impact = (bits::get(stream, i, bits) as u8).wrapping_add(1);
    }
}
