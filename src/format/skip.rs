//! Skip data: what lets a query pass over most documents, for terms in a 128th of them or more.
//!
//! Documents are cut into units of 256, and a window has 32 of them. Of each such term a file
//! with skip data holds
//!
//! - in BLOCK_MAX the largest impact of every unit, u8;
//! - in SKIP_BLOCKS the largest impact of every block of 16 documents, or of 32 for terms in
//!   less than a 32nd of the documents, in 4 bits: see [`BlockMaxima`];
//! - in SKIP_RUNS, if the list is one of [`positions`](super::postings::positions), where the
//!   pairs of every unit begin: see [`Runs`].
//!
//! Every row is filled up to whole windows, so rows of one kind are equally long and begin at
//! a cache line.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{BLOCK, WINDOW};

/// Documents of a unit: positions in it are a byte.
pub const UNIT: u32 = 256;
/// Units of a window.
pub const UNITS: usize = (WINDOW / UNIT) as usize;
/// Documents of a block that is bounded and scored at once.
pub const SMALL_BLOCK: u32 = 16;
/// Documents whose block maxima stand together.
const CHUNK: usize = 1024;
/// Bytes of a chunk's maxima, one for every 32 documents and for every 16.
const COARSE: usize = CHUNK / 64;
const FINE: usize = CHUNK / 32;
/// Bytes that a row of coarse maxima has for each window; one of fine maxima has twice as many.
pub const ROW_STEP: usize = WINDOW as usize / CHUNK * COARSE;
/// Maxima are multiples of a step, up to this many.
const STEPS: u8 = 15;

/// Whether a term has skip data in a file that has any.
pub fn is_frequent(df: u32, documents: u32) -> bool {
    df > BLOCK as u32 && u64::from(df) * 128 >= u64::from(documents)
}

/// Whether a frequent term's blocks have 16 documents.
pub fn is_fine(df: u32, documents: u32) -> bool {
    u64::from(df) * 32 >= u64::from(documents)
}

/// [`ROW_STEP`]s a window that a term's row in SKIP_BLOCKS has.
pub fn row_steps(df: u32, documents: u32) -> u32 {
    1 + u32::from(is_fine(df, documents))
}

/// Windows of a collection.
pub fn windows(documents: u32) -> usize {
    documents.div_ceil(WINDOW) as usize
}

/// Appends the largest impact of every unit.
pub fn push_unit_maxima(docids: &[u32], impacts: &[u8], documents: u32, out: &mut Vec<u8>) {
    let first = out.len();
    out.resize(first + windows(documents) * UNITS, 0);
    for (&docid, &impact) in docids.iter().zip(impacts) {
        let max = &mut out[first + (docid / UNIT) as usize];
        *max = (*max).max(impact);
    }
}

/// Appends the row of SKIP_BLOCKS of a frequent term.
pub fn push_block_maxima(docids: &[u32], impacts: &[u8], documents: u32, out: &mut Vec<u8>) {
    let fine = is_fine(docids.len() as u32, documents);
    let step = step(impacts.iter().copied().max().unwrap_or(0));
    let first = out.len();
    out.resize(first + windows(documents) * ROW_STEP * if fine { 2 } else { 1 }, 0);
    let row = &mut out[first..];
    for (&docid, &impact) in docids.iter().zip(impacts) {
        let (at, shift) = place(docid / SMALL_BLOCK, fine);
        let nibble = impact.div_ceil(step);
        if row[at] >> shift & 15 < nibble {
            row[at] = row[at] & !(15 << shift) | nibble << shift;
        }
    }
}

fn step(max_impact: u8) -> u8 {
    max_impact.div_ceil(STEPS).max(1)
}

/// Byte of a row and shift in it that hold the maximum of a block of 16 documents.
#[inline(always)]
pub(crate) fn place(block: u32, fine: bool) -> (usize, u32) {
    if fine {
        return (block as usize / 2, 4 * (block & 1));
    }
    // Pairs of blocks: those of the first half of a chunk in the lower halves of its bytes.
    let (chunk, pair) = (block as usize / (2 * FINE), block / 2 % (2 * COARSE as u32));
    let at = chunk * COARSE + pair as usize % COARSE;
    (at, 4 * (pair / COARSE as u32))
}

/// A term's row of SKIP_BLOCKS.
///
/// A chunk of 1,024 documents has 64 blocks of 16. Fine: 32 bytes, byte i has block 2·i in its
/// lower half and 2·i + 1 in the upper. Coarse: 16 bytes, byte i has blocks 2·i and 2·i + 1
/// together in the lower half, 32 + 2·i and 33 + 2·i in the upper. A half n ≥ 1 says that no
/// impact of the block is above n steps, and 0 that it has no posting.
#[derive(Debug, Clone, Copy)]
pub struct BlockMaxima<'a> {
    /// The row.
    pub row: &'a [u8],
    /// Blocks of 16 documents, else of 32.
    pub fine: bool,
}

impl BlockMaxima<'_> {
    /// Steps that bound the impacts of a block of 16 documents; 0 behind the row's end.
    #[inline(always)]
    pub fn steps(&self, block: u32) -> u8 {
        let (at, shift) = place(block, self.fine);
        self.row.get(at).map_or(0, |byte| byte >> shift & 15)
    }
}

/// The largest impact that each number of steps stands for.
pub fn impacts_of_steps(max_impact: u8) -> [u8; 16] {
    let step = step(max_impact);
    std::array::from_fn(|n| (n as u8).saturating_mul(step).min(max_impact))
}

/// How many pairs each unit of a window has: so where they begin.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct Runs {
    /// Pairs of each unit; 255 stands for 256, for no unit has 255.
    pub counts: [u8; UNITS],
}

/// Bytes of [`Runs`].
pub const RUNS_LEN: usize = 32;
const _: () = assert!(size_of::<Runs>() == RUNS_LEN);

const EVERY_BYTE: u64 = 0x0101_0101_0101_0101;

impl Runs {
    /// First pair of a unit, counted from the window's first, and its pairs.
    #[inline(always)]
    pub fn run(&self, unit: usize) -> (usize, usize) {
        let counts: [u64; UNITS / 8] =
            std::array::from_fn(|i| u64::from_le_bytes(self.counts.as_chunks().0[i]));
        let pairs = 0x00FF_00FF_00FF_00FF;
        let low = 0x7F * EVERY_BYTE;
        let mut sums = 0;
        for (i, counts) in counts.iter().enumerate() {
            // Of the counts before the unit's.
            let bytes = unit.saturating_sub(8 * i).min(8) as u32;
            let before = counts & u64::MAX.checked_shr(64 - 8 * bytes).unwrap_or(0);
            // Those of 255 count once more. No sum of seven bits and one leaves its byte.
            let full = (((before & low) + EVERY_BYTE) & before & !low) >> 7;
            sums += (before & pairs) + (before >> 8 & pairs) + (full & pairs) + (full >> 8 & pairs);
        }
        let start = sums.wrapping_mul(0x0001_0001_0001_0001) >> 48;
        let count = usize::from(self.counts[unit % UNITS]);
        (start as usize, count + usize::from(count == 255))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::postings::tests::from_gaps;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn steps_bound_every_impact_of_a_block_by_less_than_a_step_too_much(
            pairs in prop::collection::vec((1u32..200, 1u8..=255), 129..600),
            tail in 0u32..20_000,
        ) {
            let (documents, docids, impacts) = from_gaps(pairs, tail);
            let mut row = Vec::new();
            push_block_maxima(&docids, &impacts, documents, &mut row);
            let fine = is_fine(docids.len() as u32, documents);
            let maxima = BlockMaxima { row: &row, fine };
            let max_impact = *impacts.iter().max().unwrap();
            let bounds = impacts_of_steps(max_impact);
            let width = if fine { 1 } else { 2 };
            for block in 0..documents.div_ceil(SMALL_BLOCK) {
                let here = docids.iter().zip(&impacts);
                let here = here.filter(|(d, _)| *d / SMALL_BLOCK / width == block / width);
                let max = here.map(|(_, &impact)| impact).max().unwrap_or(0);
                let bound = bounds[maxima.steps(block) as usize];
                prop_assert!(bound >= max && (bound - max < step(max_impact)), "{} {}", bound, max);
                prop_assert_eq!(bound == 0, max == 0);
            }
            prop_assert_eq!(maxima.steps(row.len() as u32 * 4), 0);
        }

        #[test]
        fn runs_follow_each_other(counts in prop::collection::vec(
            prop_oneof![0usize..9, Just(254), Just(256), Just(0), 0usize..255], UNITS),
        ) {
            let runs = Runs { counts: std::array::from_fn(|unit| counts[unit].min(255) as u8) };
            let mut start = 0;
            for (unit, &count) in counts.iter().enumerate() {
                prop_assert_eq!(runs.run(unit), (start, count));
                start += count;
            }
        }
    }
}
