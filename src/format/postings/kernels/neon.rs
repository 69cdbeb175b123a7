//! NEON forms.

use std::arch::aarch64::*;

use super::tables::{BITS, SPREAD};
use super::{BLOCK, Positions, UPPER};

/// Writes the positions of the first `wanted` set bits or more; false if there are fewer.
#[target_feature(enable = "neon")]
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
                let bits = vmovl_u8(vld1_u8(BITS[byte as usize].as_ptr()));
                let positions = vaddq_u16(bits, vdupq_n_u16((i * 64 + j * 8) as u16));
                vst1q_u16(out.as_mut_ptr().add(found), positions);
            }
            found += byte.count_ones() as usize;
        }
    }
    found >= wanted
}

#[target_feature(enable = "neon")]
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
    let shift = vdupq_n_s32(low_bits as i32);
    // SAFETY: an array of four.
    let lane = unsafe { vld1q_u32([0, 1, 2, 3].as_ptr()) };
    let (mut i, mut base) = (lane, vaddq_u32(lane, vdupq_n_u32(first)));
    let count = vdupq_n_u32(postings as u32);
    let mut before = vdupq_n_u32(0);
    let mut wrong = vdupq_n_u32(0);
    for (group, (docids, at)) in
        docids.as_chunks_mut::<4>().0.iter_mut().zip(at.as_chunks::<4>().0).enumerate()
    {
        if group * 4 >= postings {
            break;
        }
        // SAFETY: both are arrays of four.
        let (low, at) = unsafe { (vld1q_u32(docids.as_ptr()), vld1_u16(at.as_ptr())) };
        let high = vshlq_u32(vsubq_u32(vmovl_u16(at), i), shift);
        let docid = vaddq_u32(base, vorrq_u32(high, low));
        // SAFETY: as above.
        unsafe { vst1q_u32(docids.as_mut_ptr(), docid) };
        // Not in order where it is at most its neighbour; the first posting has none, and
        // those from `postings` on do not count.
        let neighbour = vextq_u32::<3>(before, docid);
        let mut falls = vandq_u32(vcleq_u32(docid, neighbour), vcltq_u32(i, count));
        if group == 0 {
            falls = vsetq_lane_u32::<0>(0, falls);
        }
        wrong = vorrq_u32(wrong, falls);
        before = docid;
        let step = vdupq_n_u32(4);
        (i, base) = (vaddq_u32(i, step), vaddq_u32(base, step));
    }
    vmaxvq_u32(wrong) == 0
}

/// `stream` must have 15 · bits + 16 bytes.
#[target_feature(enable = "neon")]
pub(super) fn unpack_impacts(stream: &[u8], bits: u32, out: &mut [u8; BLOCK]) {
    let bits = bits as usize;
    assert!(stream.len() >= 15 * bits + 16);
    let (bytes, factors) = &SPREAD[bits];
    // SAFETY: 16 bytes each.
    let (bytes, factors) = unsafe { (vld1q_u8(bytes.as_ptr()), vld1q_u16(factors.as_ptr())) };
    let right = vdupq_n_s16(bits as i16 - 16);
    for (group, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        // SAFETY: group ≤ 15, so 16 bytes from group · bits are in the stream; `out` has 8.
        unsafe {
            // 8 numbers take `bits` bytes, so every eighth starts at a byte.
            let eight = vld1q_u8(stream.as_ptr().add(group * bits));
            let spread = vreinterpretq_u16_u8(vqtbl1q_u8(eight, bytes));
            let numbers = vmovn_u16(vshlq_u16(vmulq_u16(spread, factors), right));
            vst1_u8(out.as_mut_ptr(), vadd_u8(numbers, vdup_n_u8(1)));
        }
    }
}
