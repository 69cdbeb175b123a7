//! NEON forms.

use std::arch::aarch64::*;

use super::tables::SPREAD;
use super::{Accumulators, CHUNK, ChunkBytes, Lane, STAGE, Stage, ones, scalar};
use crate::format::WINDOW;

#[target_feature(enable = "neon")]
pub(super) fn expand(
    words: &[[u8; 8]; CHUNK / 64],
    impacts: &[u8],
    out: &mut ChunkBytes,
) -> Option<usize> {
    // What follows loads past the last impact it uses. Only near a list's end are they
    // counted first.
    if impacts.len() < CHUNK + 8 && impacts.len() < ones(words) + 8 {
        return scalar::expand(words, impacts, out);
    }
    let mut next = impacts.as_ptr();
    for (masks, out) in words.as_flattened().iter().zip(out.as_chunks_mut::<8>().0) {
        // SAFETY: `next` moved by at most the number of bits, so 8 bytes can be read;
        // `out` has 8 bytes, and the table's rows have.
        unsafe {
            let spread = vld1_u8(SPREAD[*masks as usize].as_ptr());
            vst1_u8(out.as_mut_ptr(), vtbl1_u8(vld1_u8(next), spread));
            next = next.add(masks.count_ones() as usize);
        }
    }
    Some(next as usize - impacts.as_ptr() as usize)
}

/// A running sum of eight gaps.
#[inline]
#[target_feature(enable = "neon")]
fn running_sum(gaps: uint16x8_t, before: uint16x8_t) -> uint16x8_t {
    let zero = vdupq_n_u16(0);
    let sum = vaddq_u16(gaps, vextq_u16::<7>(zero, gaps));
    let sum = vaddq_u16(sum, vextq_u16::<6>(zero, sum));
    let sum = vaddq_u16(sum, vextq_u16::<4>(zero, sum));
    vaddq_u16(sum, before)
}

/// Writes the products of eight impacts.
#[inline]
#[target_feature(enable = "neon")]
fn store_products(impacts: uint16x8_t, weight: u16, out: &mut [u32; 8]) {
    let weight = vdup_n_u16(weight);
    // SAFETY: two vectors of four.
    unsafe {
        vst1q_u32(out.as_mut_ptr(), vmull_u16(vget_low_u16(impacts), weight));
        vst1q_u32(out.as_mut_ptr().add(4), vmull_u16(vget_high_u16(impacts), weight));
    }
}

/// A running sum of gaps and the products by vectors, then additions one by one.
#[target_feature(enable = "neon")]
pub(super) fn scatter(
    run: &[[u8; 2]],
    weight: u32,
    stage: &mut Stage,
    accumulators: &mut Accumulators,
) {
    let Ok(weight) = u16::try_from(weight) else {
        return scalar::scatter(run, weight, stage, accumulators);
    };
    let mask = vdupq_n_u16((WINDOW - 1) as u16);
    // One before the window; the first gap is at least 1.
    let mut before = vdupq_n_u16(u16::MAX);
    for run in run.chunks(STAGE) {
        let out = stage.positions.as_chunks_mut::<8>().0.iter_mut();
        let out = out.zip(stage.products.as_chunks_mut::<8>().0);
        for (group, (positions, products)) in run.chunks(8).zip(out) {
            let mut padded = [[0; 2]; 8];
            let group = group.first_chunk().unwrap_or_else(|| {
                padded[..group.len()].copy_from_slice(group);
                &padded
            });
            // SAFETY: the group has 16 bytes, eight pairs.
            let uint8x8x2_t(gaps, impacts) = unsafe { vld2_u8(group.as_ptr().cast()) };
            let sum = running_sum(vmovl_u8(gaps), before);
            before = vdupq_laneq_u16::<7>(sum);
            // SAFETY: eight positions of two bytes.
            unsafe { vst1q_u16(positions.as_mut_ptr(), vandq_u16(sum, mask)) };
            store_products(vmovl_u8(impacts), weight, products);
        }
        // SAFETY: positions were masked.
        unsafe { stage.add(run.len(), accumulators) };
    }
}

/// Positions and products by vectors, then additions one by one.
#[target_feature(enable = "neon")]
pub(super) fn scatter_until(
    docids: &[u32],
    impacts: &[u8],
    first: u32,
    weight: u32,
    stage: &mut Stage,
    accumulators: &mut [u32],
) -> usize {
    let Ok(weight) = u16::try_from(weight) else {
        return scalar::scatter_until(docids, impacts, first, weight, stage, accumulators);
    };
    let (groups, few) = docids.as_chunks::<8>();
    let (first4, limit) = (vdupq_n_u32(first), vdupq_n_u32(accumulators.len() as u32));
    let out = stage.positions.as_chunks_mut::<8>().0.iter_mut();
    let out = out.zip(stage.products.as_chunks_mut::<8>().0);
    let mut done = 0;
    for ((docids, impacts), (positions, products)) in
        groups.iter().zip(impacts.as_chunks::<8>().0).zip(out)
    {
        // SAFETY: all are arrays of 8.
        let inside = unsafe {
            let low = vsubq_u32(vld1q_u32(docids.as_ptr()), first4);
            let high = vsubq_u32(vld1q_u32(docids.as_ptr().add(4)), first4);
            let both = vcombine_u16(vmovn_u32(low), vmovn_u32(high));
            vst1q_u16(positions.as_mut_ptr(), both);
            store_products(vmovl_u8(vld1_u8(impacts.as_ptr())), weight, products);
            let (low, high) = (vcltq_u32(low, limit), vcltq_u32(high, limit));
            // A byte of ones for each posting inside.
            let inside = vmovn_u16(vcombine_u16(vmovn_u32(low), vmovn_u32(high)));
            vget_lane_u64::<0>(vreinterpret_u64_u8(inside)).trailing_ones() as usize / 8
        };
        done += inside;
        if inside < 8 {
            break;
        }
    }
    // SAFETY: these positions are below the number of accumulators.
    unsafe { stage.add(done, accumulators) };
    if done < 8 * groups.len() {
        return done;
    }
    let weight = weight.into();
    done + scalar::scatter_until(few, &impacts[done..], first, weight, stage, accumulators)
}

#[target_feature(enable = "neon")]
pub(super) fn multiply_add(lanes: &[Lane<'_>], out: &mut [u32; CHUNK]) {
    for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let mut sums = [vdupq_n_u32(0); 4];
        for lane in lanes {
            let impacts = &lane.impacts.as_chunks::<16>().0[group];
            // SAFETY: an array of 16 bytes.
            let impacts = unsafe { vld1q_u8(impacts.as_ptr()) };
            let (low, high) = (vmovl_u8(vget_low_u8(impacts)), vmovl_high_u8(impacts));
            sums[0] = vmlal_n_u16(sums[0], vget_low_u16(low), lane.weight);
            sums[1] = vmlal_high_n_u16(sums[1], low, lane.weight);
            sums[2] = vmlal_n_u16(sums[2], vget_low_u16(high), lane.weight);
            sums[3] = vmlal_high_n_u16(sums[3], high, lane.weight);
        }
        for (sum, out) in sums.into_iter().zip(out.as_chunks_mut::<4>().0) {
            // SAFETY: `out` is four accumulators.
            unsafe { vst1q_u32(out.as_mut_ptr(), sum) };
        }
    }
}

#[target_feature(enable = "neon")]
pub(super) fn scan<const CLEAR: bool>(
    accumulators: &mut [u32],
    mut threshold: u32,
    mut found: impl FnMut(u32, u32) -> u32,
) {
    let (groups, rest) = accumulators.as_chunks_mut::<16>();
    let tail = groups.len() as u32 * 16;
    for (group, scores) in groups.iter_mut().enumerate() {
        let at = scores.as_ptr();
        // SAFETY: the group has 16 scores, four vectors.
        let [a, b, c, d] = [0, 4, 8, 12].map(|i| unsafe { vld1q_u32(at.wrapping_add(i)) });
        let most = vmaxvq_u32(vmaxq_u32(vmaxq_u32(a, b), vmaxq_u32(c, d)));
        if most >= threshold {
            for (position, &score) in scores.iter().enumerate() {
                if score >= threshold {
                    threshold = found((group * 16 + position) as u32, score);
                }
            }
        }
        if CLEAR {
            scores.fill(0);
        }
    }
    scalar::scan::<CLEAR>(rest, threshold, |position, score| found(tail + position, score));
}
