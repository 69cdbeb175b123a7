//! Plain Rust: the definition of every kernel.
//!
//! Where a loop becomes good vectors by itself, the other forms are these, compiled for more
//! instructions.

use super::{DOCUMENTS, Halves, Job, LINE, LINE_UNITS, Row, Rows, ScoredRow, Scores};
use crate::format::skip::{Runs, UNIT, UNITS};

#[inline(always)]
pub(super) fn add_units(maxima: &[u8], weight: u16, bounds: &mut [u16]) {
    for (bound, &max) in bounds.iter_mut().zip(maxima) {
        let add = ((u32::from(max) << 8) * u32::from(weight)) >> 16;
        *bound = bound.saturating_add(add as u16);
    }
}

#[inline(always)]
pub(super) fn group_maxima(bounds: &[u16], out: &mut Vec<u16>) {
    let most = |group: &[u16]| group.iter().fold(0, |most, &bound| most.max(bound));
    out.extend(bounds.chunks(64).map(most));
}

/// Whether a line has a unit whose bound is enough.
#[inline(always)]
pub(super) fn promises(units: &[u16; LINE_UNITS], least: u16) -> bool {
    units.iter().fold(0, |most, &bound| most.max(bound)) >= least
}

pub(super) fn sweep(
    (fine, coarse): Rows<'_>,
    (units, least): (&mut [[u16; LINE_UNITS]], u16),
    (added, keep): (&mut [[u8; LINE]], bool),
    mut found: impl FnMut(usize, [u32; 4], &[u8; LINE]),
) {
    for (line, (added, units)) in added.iter_mut().zip(units).enumerate() {
        let mut sums = *added;
        let promising = promises(units, least);
        if promising {
            units.fill(0);
            for Row { lines, adds } in fine {
                for (half, bytes) in lines[line].as_chunks::<32>().0.iter().enumerate() {
                    for (i, &byte) in bytes.iter().enumerate() {
                        add(&mut sums[64 * half + i], adds, byte & 15);
                        add(&mut sums[64 * half + 32 + i], adds, byte >> 4);
                    }
                }
            }
            for Row { lines, adds } in coarse {
                for (half, bytes) in lines[line].as_chunks::<16>().0.iter().enumerate() {
                    for (i, &byte) in bytes.iter().enumerate() {
                        for column in [0, 32] {
                            add(&mut sums[64 * half + column + i], adds, byte & 15);
                            add(&mut sums[64 * half + column + 16 + i], adds, byte >> 4);
                        }
                    }
                }
            }
            let mask =
                |c: usize| (0..32).fold(0, |m, i| m | u32::from(sums[32 * c + i] == 255) << i);
            let masks = [0, 1, 2, 3].map(mask);
            if masks != [0; 4] {
                found(line, masks, added);
            }
        }
        if promising || !keep {
            added.fill(0);
        }
    }
}

fn add(sum: &mut u8, adds: &[u8; 16], steps: u8) {
    *sum = sum.saturating_add(adds[usize::from(steps)]);
}

pub(super) fn add_unit(
    rows: &[ScoredRow<'_>],
    (at, halves): (usize, Halves),
    sums: &mut [u32; 16],
) {
    for (row, scores) in rows {
        let Some(bytes) = row.get(at..).and_then(|row| row.first_chunk::<8>()) else {
            continue;
        };
        for (sums, byte) in sums.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
            let steps = match halves {
                Halves::Both => [byte & 15, byte >> 4],
                Halves::Lower => [byte & 15; 2],
                Halves::Upper => [byte >> 4; 2],
            };
            for (sum, steps) in sums.iter_mut().zip(steps) {
                *sum = sum.wrapping_add(scores[usize::from(steps)]);
            }
        }
    }
}

/// Blocks of a unit.
const IN_UNIT: u32 = UNIT / DOCUMENTS as u32;

pub(super) fn find_pairs(
    windows: &[u32],
    runs: &[Runs],
    pairs: usize,
    jobs: &mut [Job],
) -> Option<()> {
    find_pairs_by(Runs::run, windows, runs, pairs, jobs)
}

/// `run` gives a unit's first pair in the window, and how many there are.
#[inline(always)]
pub(super) fn find_pairs_by(
    run: impl Fn(&Runs, usize) -> (usize, usize),
    windows: &[u32],
    runs: &[Runs],
    pairs: usize,
    jobs: &mut [Job],
) -> Option<()> {
    for job in jobs {
        let (unit, block) = ((job.at / IN_UNIT) as usize, job.at % IN_UNIT);
        let (start, len) = run(runs.get(unit / UNITS)?, unit % UNITS);
        let at = *windows.get(unit / UNITS)? as usize / 2 + start;
        if at + len > pairs {
            return None;
        }
        (job.at, job.len, job.block) = (at as u32, len as u16, block as u8);
    }
    Some(())
}

pub(super) fn add_pairs(pairs: &[[u8; 2]], jobs: &[Job], weight: u32, scores: &mut [Scores]) {
    for job in jobs {
        let run = &pairs[job.at as usize..][..usize::from(job.len)];
        add_run(run, job.block, weight, &mut scores[usize::from(job.slot)]);
    }
}

#[inline(always)]
pub(super) fn add_run(run: &[[u8; 2]], block: u8, weight: u32, Scores(scores): &mut Scores) {
    for &[position, impact] in run {
        if position >> 4 == block {
            let score = &mut scores[usize::from(position & 15)];
            *score = score.wrapping_add(weight.wrapping_mul(u32::from(impact)));
        }
    }
}

#[inline(always)]
pub(super) fn add_bits(impacts: &[u8], jobs: &[Job], weight: u32, scores: &mut [Scores]) {
    for job in jobs {
        let Scores(scores) = &mut scores[usize::from(job.slot)];
        let mut bits = job.len;
        for &impact in &impacts[job.at as usize..][..job.len.count_ones() as usize] {
            let score = &mut scores[bits.trailing_zeros() as usize % 16];
            *score = score.wrapping_add(weight.wrapping_mul(u32::from(impact)));
            bits &= bits - 1;
        }
    }
}

#[inline(always)]
pub(super) fn best(scores: &[Scores], jobs: &[Job], best: &mut [u32]) {
    for job in jobs {
        let slot = usize::from(job.slot);
        best[slot] = scores[slot].0.iter().fold(0, |most, &score| most.max(score));
    }
}
