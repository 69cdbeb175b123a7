//! What the frequent terms of a query can add in blocks of 16 documents.

use super::super::kernels::blocks::{self, DOCUMENTS, Halves, ScoredRow};
use super::super::kernels::{SimdLevel, prefetch_line};
use super::terms::Term;
use crate::format::skip::{UNIT, place};

/// Blocks of a unit.
pub(super) const IN_UNIT: usize = UNIT as usize / DOCUMENTS;

/// Rows of all terms, by kind: where a block's maximum stands is then asked once for all of a
/// kind.
pub(super) struct Bounds<'a> {
    fine: Vec<ScoredRow<'a>>,
    coarse: Vec<ScoredRow<'a>>,
}

impl<'a> Bounds<'a> {
    pub(super) fn of(terms: &[Term<'a>]) -> Self {
        let rows = |fine: bool| {
            let kind = terms.iter().filter(move |term| term.maxima.fine == fine);
            kind.map(|term| (term.maxima.row, term.scores)).collect()
        };
        Bounds { fine: rows(true), coarse: rows(false) }
    }

    /// What all terms can add in a block.
    #[inline]
    pub(super) fn of_block(&self, block: u32) -> u32 {
        let sum = |rows: &[ScoredRow<'_>], (at, shift): (usize, u32)| {
            rows.iter().fold(0u32, |sum, (row, scores)| {
                let steps = row.get(at).map_or(0, |byte| byte >> shift & 15);
                sum.wrapping_add(scores[usize::from(steps)])
            })
        };
        sum(&self.fine, place(block, true)).wrapping_add(sum(&self.coarse, place(block, false)))
    }

    /// Asks for what [`of_unit`](Self::of_unit) reads.
    pub(super) fn prefetch(&self, unit: u32) {
        for (rows, fine) in [(&self.fine, true), (&self.coarse, false)] {
            let (at, _) = place(unit * IN_UNIT as u32, fine);
            rows.iter().for_each(|(row, _)| prefetch_line(row.get(at..).unwrap_or_default()));
        }
    }

    /// The same of each block of a unit.
    #[inline]
    pub(super) fn of_unit(&self, level: SimdLevel, unit: u32) -> [u32; IN_UNIT] {
        let mut sums = [0u32; IN_UNIT];
        let first = unit * IN_UNIT as u32;
        blocks::add_unit(level, &self.fine, (place(first, true).0, Halves::Both), &mut sums);
        // A unit's eight pairs of blocks stand in eight bytes, in one half of each.
        let (at, shift) = place(first, false);
        let half = if shift == 0 { Halves::Lower } else { Halves::Upper };
        blocks::add_unit(level, &self.coarse, (at, half), &mut sums);
        sums
    }
}
