//! NEON forms.

use std::arch::aarch64::*;

use super::tables::SPREAD;
use super::{Accumulators, CHUNK, ChunkBytes, GROUP, Lane, Stage, ones, scalar};
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

/// Stores eight positions, below the window, and their products at the end of a stage.
#[inline]
#[target_feature(enable = "neon")]
fn store(position: uint16x8_t, [low, high]: [uint32x4_t; 2], stage: &mut Stage) {
    let (positions, products) = stage.end();
    // SAFETY: eight positions of two bytes, two vectors of four products, less than a step.
    unsafe {
        vst1q_u16(positions.as_mut_ptr(), position);
        vst1q_u32(products.as_mut_ptr(), low);
        vst1q_u32(products.as_mut_ptr().add(4), high);
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn products(impacts: uint16x8_t, weight: u16) -> [uint32x4_t; 2] {
    let weight = vdup_n_u16(weight);
    [vmull_u16(vget_low_u16(impacts), weight), vmull_u16(vget_high_u16(impacts), weight)]
}

/// A running sum of gaps and the products by vectors, then additions one by one.
#[target_feature(enable = "neon")]
pub(super) fn scatter<const POSITIONS: bool>(
    run: &[[u8; 2]],
    weight: u32,
    stage: &mut Stage,
    accumulators: &mut Accumulators,
) {
    let Ok(weight) = u16::try_from(weight) else {
        return scalar::scatter::<POSITIONS>(run, weight, stage, accumulators);
    };
    let mask = vdupq_n_u16((WINDOW - 1) as u16);
    // One before the window; the first gap is at least 1.
    let mut before = vdupq_n_u16(u16::MAX);
    let mut bytes_before = vdup_n_u8(u8::MAX);
    for group in run.chunks(8) {
        let mut padded = [[0; 2]; 8];
        let postings = group.len();
        let group = group.first_chunk().unwrap_or_else(|| {
            padded[..postings].copy_from_slice(group);
            &padded
        });
        // SAFETY: the group has 16 bytes, eight pairs.
        let uint8x8x2_t(bytes, impacts) = unsafe { vld2_u8(group.as_ptr().cast()) };
        let gaps = match POSITIONS {
            true => vsub_u8(bytes, vext_u8::<7>(bytes_before, bytes)),
            false => bytes,
        };
        bytes_before = bytes;
        let sum = running_sum(vmovl_u8(gaps), before);
        before = vdupq_laneq_u16::<7>(sum);
        store(vandq_u16(sum, mask), products(vmovl_u8(impacts), weight), stage);
        stage.grow(postings, accumulators);
    }
}

/// Positions and products by vectors, then additions one by one.
#[target_feature(enable = "neon")]
pub(super) fn scatter_groups<'g>(
    groups: impl Iterator<Item = (&'g [u32; GROUP], &'g [u8; GROUP])>,
    first: u32,
    weight: u32,
    stage: &mut Stage,
    accumulators: &mut Accumulators,
) -> usize {
    let Ok(weight) = u16::try_from(weight) else {
        return scalar::scatter_groups(groups, first, weight, stage, accumulators);
    };
    let (first4, limit) = (vdupq_n_u32(first), vdupq_n_u32(WINDOW));
    let mask = vdupq_n_u16((WINDOW - 1) as u16);
    let mut done = 0;
    for (docids, impacts) in groups {
        for (docids, impacts) in docids.as_chunks::<8>().0.iter().zip(impacts.as_chunks::<8>().0) {
            // SAFETY: both are arrays of 8.
            let (low, high, impacts) = unsafe {
                let at = docids.as_ptr();
                (vld1q_u32(at), vld1q_u32(at.add(4)), vld1_u8(impacts.as_ptr()))
            };
            let (low, high) = (vsubq_u32(low, first4), vsubq_u32(high, first4));
            let [low_product, high_product] = products(vmovl_u8(impacts), weight);
            let inside = [
                vandq_u32(low_product, vcltq_u32(low, limit)),
                vandq_u32(high_product, vcltq_u32(high, limit)),
            ];
            let position = vandq_u16(vcombine_u16(vmovn_u32(low), vmovn_u32(high)), mask);
            store(position, inside, stage);
            stage.grow(8, accumulators);
        }
        if docids[GROUP - 1].wrapping_sub(first) >= WINDOW {
            break;
        }
        done += 1;
    }
    done
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
