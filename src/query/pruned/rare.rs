//! The rare terms of a query: their lists have no skip data, are decoded whole, and bound every
//! block exactly.

use super::super::Weighted;
use super::super::counters::Count;
use super::super::kernels::SimdLevel;
use super::super::kernels::blocks::{DOCUMENTS, LINE, Scores};
use super::bounds::IN_UNIT;
use crate::format::postings::{Block, Damaged, Representation};
use crate::format::skip::UNIT;

/// Postings of the rare lists, and where those of a unit are.
pub(super) struct Rare {
    block: Block,
    /// Docids and scores of all lists, list by list.
    docids: Vec<u32>,
    scores: Vec<u32>,
    /// Where each list ends.
    ends: Vec<usize>,
    /// For each list and unit the place of its last posting there; of a unit without postings
    /// what an earlier query left, which the posting's docid gives away.
    last: Vec<u32>,
    /// Which lists have postings in a unit, a bit each; lists from the 32nd on share the last.
    lists: Vec<u32>,
    units: usize,
}

/// The bit of lists that have none of their own.
const SHARED: usize = 31;

impl Rare {
    pub(super) fn new(level: SimdLevel) -> Self {
        Rare {
            block: Block::with_simd(level),
            docids: Vec::new(),
            scores: Vec::new(),
            ends: Vec::new(),
            last: Vec::new(),
            lists: Vec::new(),
            units: 0,
        }
    }

    /// Decodes the rare ones of `lists`, and adds `share` of every score to its unit's bound.
    pub(super) fn read<C: Count>(
        &mut self,
        lists: &[Weighted<'_>],
        documents: u32,
        share: impl Fn(u32) -> u16,
        units: &mut [u16],
        count: &mut C,
    ) -> Result<(), Damaged> {
        self.docids.clear();
        self.scores.clear();
        self.ends.clear();
        self.units = documents.div_ceil(UNIT) as usize;
        self.lists.clear();
        self.lists.resize(self.units, 0);
        for Weighted { list, weight } in lists {
            if list.representation != Representation::Packed {
                continue;
            }
            let bit = 1 << self.ends.len().min(SHARED);
            let row = self.ends.len() * self.units;
            if self.last.len() < row + self.units {
                self.last.resize(row + self.units, 0);
            }
            let last = &mut self.last[row..row + self.units];
            for b in 0..list.blocks() {
                list.decode(b, &mut self.block)?;
                count.block();
                count.postings(self.block.len as u64);
                let docids = &self.block.docids[..self.block.len];
                let first = self.docids.len();
                self.docids.extend_from_slice(docids);
                let impacts = self.block.impacts[..self.block.len].iter();
                self.scores.extend(impacts.map(|&impact| weight * u32::from(impact)));
                for ((&docid, &score), place) in
                    docids.iter().zip(&self.scores[first..]).zip(first as u32..)
                {
                    let unit = (docid / UNIT) as usize;
                    last[unit] = place;
                    self.lists[unit] |= bit;
                    units[unit] = units[unit].saturating_add(share(score));
                }
            }
            self.ends.push(self.docids.len());
        }
        Ok(())
    }

    pub(super) fn terms(&self) -> usize {
        self.ends.len()
    }

    /// Every posting's docid and score.
    pub(super) fn postings(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.docids.iter().copied().zip(self.scores.iter().copied())
    }

    /// Adds every score in 255ths of `enough`, rounded up, to its block's, which stand as a
    /// sweep takes them.
    pub(super) fn add_to(&self, enough: u32, added: &mut [[u8; LINE]]) {
        let added = added.as_flattened_mut();
        let factor = (255u64 << 32).div_ceil(u64::from(enough));
        for (docid, score) in self.postings() {
            // Rounded up twice: never less than 255ths of the whole, or a block would be lost.
            let share = match score >= enough {
                true => 255,
                false => 1 + ((u64::from(score) * factor) >> 32).min(254) as u8,
            };
            if let Some(sum) = added.get_mut(place((docid as usize) / DOCUMENTS)) {
                *sum = sum.saturating_add(share);
            }
        }
    }

    /// Calls `found(docid, score)` for every posting of a unit.
    #[inline]
    fn each_of(&self, unit: u32, mut found: impl FnMut(u32, u32)) {
        let mut lists = self.lists.get(unit as usize).copied().unwrap_or(0);
        while lists != 0 {
            let list = lists.trailing_zeros() as usize;
            lists &= lists - 1;
            let shared = if list == SHARED { self.ends.len() } else { list + 1 };
            for list in list..shared {
                let start = if list == 0 { 0 } else { self.ends[list - 1] };
                let own = start..self.ends[list];
                let mut at = self.last[list * self.units + unit as usize] as usize;
                while own.contains(&at) && self.docids[at] / UNIT == unit {
                    found(self.docids[at], self.scores[at]);
                    at = at.wrapping_sub(1);
                }
            }
        }
    }

    /// Adds to a block's bound, for each block of a unit.
    pub(super) fn bound(&self, unit: u32, bounds: &mut [u32; IN_UNIT]) {
        self.each_of(unit, |docid, score| {
            let bound = &mut bounds[docid as usize / DOCUMENTS % IN_UNIT];
            *bound = bound.saturating_add(score);
        });
    }

    /// Adds the postings of a block to its scores.
    #[inline]
    pub(super) fn score(&self, block: u32, Scores(scores): &mut Scores) {
        self.each_of(block * DOCUMENTS as u32 / UNIT, |docid, score| {
            if docid / DOCUMENTS as u32 == block {
                let sum = &mut scores[docid as usize % DOCUMENTS];
                *sum = sum.wrapping_add(score);
            }
        });
    }
}

/// What a sum of 255ths of `enough`, all rounded up, stands for at most.
#[inline(always)]
pub(super) fn at_most(sum: u8, enough: u32) -> u32 {
    if sum == 255 {
        return u32::MAX;
    }
    (u64::from(sum) * u64::from(enough) / 255) as u32
}

/// Where a block's sum stands in what a sweep takes: in each chunk of 64 blocks first those
/// with even numbers, then the others.
#[inline(always)]
pub(super) fn place(block: usize) -> usize {
    block & !63 | (block & 1) << 5 | block >> 1 & 31
}
