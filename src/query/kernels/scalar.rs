//! Plain Rust: the definition of every kernel.

use super::{Accumulators, CHUNK, ChunkBytes, GROUP, Lane, Stage, ones};
use crate::format::WINDOW;

const MASK: usize = WINDOW as usize - 1;

pub(super) fn scatter<const POSITIONS: bool>(
    run: &[[u8; 2]],
    weight: u32,
    _: &mut Stage,
    accumulators: &mut Accumulators,
) {
    // One before the window; the first gap is at least 1.
    let mut position = usize::MAX;
    for &[byte, impact] in run {
        let gap = if POSITIONS { byte.wrapping_sub(position as u8) } else { byte };
        position = position.wrapping_add(usize::from(gap));
        // Masking proves the bound: no check, and no way out of the window.
        let score = &mut accumulators[position & MASK];
        *score = score.wrapping_add(weight.wrapping_mul(u32::from(impact)));
    }
}

pub(super) fn scatter_groups<'g>(
    groups: impl Iterator<Item = (&'g [u32; GROUP], &'g [u8; GROUP])>,
    first: u32,
    weight: u32,
    _: &mut Stage,
    accumulators: &mut Accumulators,
) -> usize {
    let mut done = 0;
    for (docids, impacts) in groups {
        for (docid, &impact) in docids.iter().zip(impacts) {
            if let Some(score) = accumulators.get_mut(docid.wrapping_sub(first) as usize) {
                *score = score.wrapping_add(weight.wrapping_mul(u32::from(impact)));
            }
        }
        if docids[GROUP - 1].wrapping_sub(first) >= WINDOW {
            break;
        }
        done += 1;
    }
    done
}

pub(super) fn expand(
    words: &[[u8; 8]; CHUNK / 64],
    impacts: &[u8],
    out: &mut ChunkBytes,
) -> Option<usize> {
    let taken = ones(words);
    let mut impacts = impacts.get(..taken)?.iter();
    for (&word, out) in words.iter().zip(out.as_chunks_mut::<64>().0) {
        let mut bits = u64::from_le_bytes(word);
        out.fill(0);
        while bits != 0 {
            out[bits.trailing_zeros() as usize] = impacts.next().copied().unwrap_or(0);
            bits &= bits - 1;
        }
    }
    Some(taken)
}

pub(super) fn multiply_add(lanes: &[Lane<'_>], out: &mut [u32; CHUNK]) {
    out.fill(0);
    for lane in lanes {
        for (sum, &impact) in out.iter_mut().zip(lane.impacts) {
            *sum = sum.wrapping_add(u32::from(lane.weight) * u32::from(impact));
        }
    }
}

pub(super) fn scan<const CLEAR: bool>(
    accumulators: &mut [u32],
    mut threshold: u32,
    mut found: impl FnMut(u32, u32) -> u32,
) {
    for (position, score) in accumulators.iter_mut().enumerate() {
        if *score >= threshold {
            threshold = found(position as u32, *score);
        }
        if CLEAR {
            *score = 0;
        }
    }
}
