//! The inner loops of the block-pruned search, for each instruction set and in plain Rust.
//!
//! The scalar form of every kernel is its definition; the tests hold the others to it.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;
#[cfg(test)]
mod tests;

use super::SimdLevel;
use crate::format::skip::{Runs, UNIT};

/// Documents of a block.
pub(in crate::query) const DOCUMENTS: usize = 16;

/// Scores of the documents of a block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(align(64))]
pub(in crate::query) struct Scores(pub(in crate::query) [u32; DOCUMENTS]);

/// Blocks of a line of maxima: 2,048 documents, a cache line of fine maxima.
pub(in crate::query) const LINE: usize = 128;

/// Units of a line.
pub(in crate::query) const LINE_UNITS: usize = LINE * DOCUMENTS / UNIT as usize;

/// One term in a sweep over block maxima: its row, cut into lines of `BYTES`, and what each
/// number of steps adds to a bound.
#[derive(Debug, Clone, Copy)]
pub(in crate::query) struct Row<'a, const BYTES: usize> {
    pub(in crate::query) lines: &'a [[u8; BYTES]],
    pub(in crate::query) adds: [u8; 16],
}

/// Rows with a maximum for every 16 documents, and for every 32.
pub(in crate::query) type Rows<'r> = (&'r [Row<'r, 64>], &'r [Row<'r, 32>]);

/// Where one term's postings of a block stand.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::query) struct Job {
    /// First pair of the unit, or first impact of the block.
    pub(in crate::query) at: u32,
    /// Pairs of the unit; or of a bitmap the block's bits.
    pub(in crate::query) len: u16,
    /// Which scores they are added to.
    pub(in crate::query) slot: u8,
    /// The block's place in its unit.
    pub(in crate::query) block: u8,
}

/// Chooses the form of a kernel; `level` is one that this machine has.
macro_rules! dispatch {
    ($level:expr, $kernel:ident($($argument:expr),*)) => {{
        $level.trace();
        match $level {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the machine has it.
            SimdLevel::Avx512 => unsafe { avx512::$kernel($($argument),*) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            SimdLevel::Avx2 => unsafe { avx2::$kernel($($argument),*) },
            _ => scalar::$kernel($($argument),*),
        }
    }};
}

/// Adds ⌊256 · max · weight / 2^16⌋ of each maximum to its unit's bound, which stays at
/// 65,535 where it would exceed it.
#[inline]
pub(in crate::query) fn add_units(
    level: SimdLevel,
    maxima: &[u8],
    weight: u16,
    bounds: &mut [u16],
) {
    dispatch!(level, add_units(maxima, weight, bounds));
}

/// The largest bound of every 64 units.
#[inline]
pub(in crate::query) fn group_maxima(level: SimdLevel, bounds: &[u16], out: &mut Vec<u16>) {
    out.clear();
    dispatch!(level, group_maxima(bounds, out));
}

/// Adds up every block's bound: what stands in `added` and what each row adds, in bytes that
/// stay at 255. Calls `found(line, masks, added)` for every line with a block that reaches 255; bit i
/// of `masks[c]` says that block 2·i (c even) or 2·i + 1 (c odd) of chunk c / 2 of the line does.
/// Bytes of `added` stand as the masks' bits do.
///
/// Lines of which no unit's bound reaches `least` are passed over. The others' units are set to
/// 0, so that no later sweep with a `least` above 0 takes them again, and their `added` is
/// cleared; that of lines passed over is too, unless it is to be kept for a later sweep.
#[inline]
pub(in crate::query) fn sweep(
    level: SimdLevel,
    (fine, coarse): Rows<'_>,
    (units, least): (&mut [[u16; LINE_UNITS]], u16),
    (added, keep): (&mut [[u8; LINE]], bool),
    found: impl FnMut(usize, [u32; 4], &[u8; LINE]),
) {
    // Then no line needs a check of its own.
    let lines = added.len();
    assert!(fine.iter().all(|row| row.lines.len() >= lines));
    assert!(coarse.iter().all(|row| row.lines.len() >= lines));
    assert!(units.len() >= lines);
    dispatch!(level, sweep((fine, coarse), (units, least), (added, keep), found));
}

/// A term's row of block maxima, and the score that each number of steps stands for.
pub(in crate::query) type ScoredRow<'a> = (&'a [u8], [u32; 16]);

/// Adds each row's score of every block of a unit, whose maxima are the eight bytes at `at`: with
/// `halves` as [`place`](crate::format::skip::place) has them, both for rows that have a maximum
/// for each block, or one for rows with a maximum for every two blocks. Rows that end before
/// that add nothing.
#[inline]
pub(in crate::query) fn add_unit(
    level: SimdLevel,
    rows: &[ScoredRow<'_>],
    (at, halves): (usize, Halves),
    sums: &mut [u32; 16],
) {
    dispatch!(level, add_unit(rows, (at, halves), sums));
}

/// Which halves of a byte of maxima are a unit's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::query) enum Halves {
    /// The lower one is a block's, the upper the next block's.
    Both,
    /// The lower one is that of two blocks.
    Lower,
    /// The upper one is.
    Upper,
}

/// Finds each job's pairs: on entry `at` is the block's number; on return the place of its unit's first
/// pair, `len` their number and `block` the block's place in the unit. `None` where a window has no
/// runs or no place, or a unit's pairs end behind `pairs`, which is damage.
#[inline]
pub(in crate::query) fn find_pairs(
    level: SimdLevel,
    windows: &[u32],
    runs: &[Runs],
    pairs: usize,
    jobs: &mut [Job],
) -> Option<()> {
    dispatch!(level, find_pairs(windows, runs, pairs, jobs))
}

/// Adds weight · impact of each job's pairs in its block; pairs of a unit are in order of
/// their positions.
#[inline]
pub(in crate::query) fn add_pairs(
    level: SimdLevel,
    pairs: &[[u8; 2]],
    jobs: &[Job],
    weight: u32,
    scores: &mut [Scores],
) {
    dispatch!(level, add_pairs(pairs, jobs, weight, scores));
}

/// Adds weight · impact of each job's documents of a bitmap.
#[inline]
pub(in crate::query) fn add_bits(
    level: SimdLevel,
    impacts: &[u8],
    jobs: &[Job],
    weight: u32,
    scores: &mut [Scores],
) {
    dispatch!(level, add_bits(impacts, jobs, weight, scores));
}

/// The best score of each job's block, by slot.
#[inline]
pub(in crate::query) fn best(level: SimdLevel, scores: &[Scores], jobs: &[Job], best: &mut [u32]) {
    dispatch!(level, best(scores, jobs, best));
}
