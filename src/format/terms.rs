//! TERMS: one fixed record a term, in lexicon order, and a sentinel.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A term's posting list: where its parts start. They end where those of the next
/// record start, so the last record is a sentinel with `df` 0.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct TermRecord {
    /// First byte of the list in POSTINGS.
    pub offset: U64,
    /// Documents with the term.
    pub df: U32,
    /// First entry in BLOCK_LAST and BLOCK_OFFSET.
    pub blocks: U32,
    /// First entry in BLOCK_MAX.
    pub maxima: U32,
    /// First entry in WINDOWS.
    pub windows: U32,
    /// [`Representation`](super::postings::Representation) as a number.
    pub representation: u8,
    /// Largest impact of the list.
    pub max_impact: u8,
    /// 10th, 100th and 1000th largest impact; 0 where the list is shorter.
    pub kth_impacts: [u8; 3],
    /// Where the term's row in SKIP_BLOCKS begins, as [`skip_row`](Self::skip_row) says; zero
    /// without.
    pub row: [u8; 3],
}

impl TermRecord {
    /// Rows are counted in [`ROW_STEP`](super::skip::ROW_STEP) bytes a window.
    pub fn skip_row(&self) -> u32 {
        let [a, b, c] = self.row;
        u32::from_le_bytes([a, b, c, 0])
    }

    /// A row's number as three bytes; `None` if it needs more.
    pub fn row_bytes(row: u32) -> Option<[u8; 3]> {
        let [a, b, c, 0] = row.to_le_bytes() else { return None };
        Some([a, b, c])
    }
}

/// The `k` of [`TermRecord::kth_impacts`].
pub const KTH: [usize; 3] = [10, 100, 1000];

/// Bytes of [`TermRecord`].
pub const TERM_LEN: usize = 32;
const _: () = assert!(size_of::<TermRecord>() == TERM_LEN);

/// Largest and [`KTH`] largest of a list's impacts.
pub fn impact_statistics(impacts: &[u8]) -> (u8, [u8; 3]) {
    let mut counts = [0usize; 256];
    for &impact in impacts {
        counts[impact as usize] += 1;
    }
    let kth = |k: usize| {
        let mut left = k;
        for impact in (1..256).rev() {
            if counts[impact] >= left {
                return impact as u8;
            }
            left -= counts[impact];
        }
        0
    };
    (kth(1), KTH.map(kth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kth_largest_impacts_count_repeats_and_are_zero_past_the_end() {
        let mut impacts = vec![7; 9];
        impacts.extend([9, 3, 3]);
        assert_eq!(impact_statistics(&impacts), (9, [7, 0, 0]));
        assert_eq!(impact_statistics(&[]), (0, [0, 0, 0]));
        assert_eq!(impact_statistics(&[255; 1000]), (255, [255; 3]));
    }
}
