//! Block pruning: blocks of 16 documents are scored only where the sum of their terms' maxima
//! reaches the threshold (as BMP, Mallia, Suel and Tonellotto, SIGIR 2024, over lists that a scan
//! reads too, and exact).
//!
//! 1. Rare terms are decoded whole; frequent ones add the maxima of units of 256 documents.
//! 2. The most promising blocks of the most promising units are scored: a threshold.
//! 3. One sweep over the maxima of all blocks leaves those whose bound reaches it.
//! 4. Those are scored, the most promising first, then in document order.
//!
//! A document's score is at most its block's bound, and a block is left out only where its
//! bound is below the score with which a document can still enter.

mod rare;
mod scorer;
mod terms;

use super::Weighted;
use super::counters::Count;
use super::kernels::SimdLevel;
use super::kernels::blocks::{self, DOCUMENTS, LINE, LINE_UNITS, Row, Scores};
use super::select::Selector;
use crate::format::postings::Damaged;
use crate::format::skip::{UNIT, UNITS, windows};
use rare::Rare;
use scorer::{BATCH, Candidate, Scorer};
use terms::Term;

/// Buffers, reused from query to query.
pub(super) struct Pruned {
    level: SimdLevel,
    rare: Rare,
    /// What the query can score in each unit, in parts of its bound.
    units: Vec<u16>,
    groups: Vec<u16>,
    /// What rare terms add to blocks, as a sweep takes it; zeros between queries.
    added: Vec<[u8; LINE]>,
    /// Blocks that were scored first, a bit each; zeros between queries.
    scored: Vec<u64>,
    first: Vec<Candidate>,
    candidates: Vec<Candidate>,
    scorer: Scorer,
}

/// Blocks of a unit.
const IN_UNIT: u32 = UNIT / DOCUMENTS as u32;

impl Pruned {
    pub(super) fn new(level: SimdLevel) -> Self {
        Pruned {
            level,
            rare: Rare::new(level),
            units: Vec::new(),
            groups: Vec::new(),
            added: Vec::new(),
            scored: Vec::new(),
            first: Vec::new(),
            candidates: Vec::new(),
            scorer: Scorer::new(level),
        }
    }

    /// Hands every document that can enter to `selector`, or gives up and returns false where
    /// the blocks that are left have more than `most_block_terms` terms; `bound` is the query's.
    pub(super) fn search<C: Count>(
        &mut self,
        lists: &[Weighted<'_>],
        k: usize,
        (bound, most_block_terms): (u32, u64),
        selector: &mut Selector<'_>,
        count: &mut C,
    ) -> Result<bool, Damaged> {
        let documents = lists.first().map_or(0, |l| l.list.documents);
        let mut terms = Vec::with_capacity(lists.len());
        for list in lists {
            terms.extend(Term::of(list)?);
        }
        terms.sort_by_key(|term| std::cmp::Reverse(term.most()));
        self.rare.read(lists, documents, count)?;
        let scale = self.bound_units(&terms, documents, bound);
        let outcome = self.prime(&terms, documents, k, selector, count);
        let swept = outcome.map(|()| {
            let least = scale.floor_of(selector.enter(), lists.len());
            self.sweep(&terms, documents, selector.enter(), least);
        });
        for candidate in &self.first {
            self.scored[candidate.block as usize / 64] = 0;
        }
        swept?;
        count.promising(self.candidates.len() as u64);
        // About half of the terms are in a block that is promising.
        if (self.candidates.len() * terms.len() / 2) as u64 > most_block_terms {
            return Ok(false);
        }
        self.score_candidates(&terms, documents, selector, count)?;
        Ok(true)
    }

    /// What the query can score in each unit.
    fn bound_units(&mut self, terms: &[Term<'_>], documents: u32, most: u32) -> BoundScale {
        let scale = BoundScale::of(terms, most);
        self.units.clear();
        self.units.resize(windows(documents) * UNITS, 0);
        for term in terms {
            blocks::add_units(
                self.level,
                term.list.max,
                scale.weight(term.weight),
                &mut self.units,
            );
        }
        for (docid, score) in self.rare.postings() {
            let unit = &mut self.units[(docid / UNIT) as usize];
            *unit = unit.saturating_add(scale.of_score(score));
        }
        scale
    }

    /// Scores the most promising blocks of the most promising units.
    fn prime<C: Count>(
        &mut self,
        terms: &[Term<'_>],
        documents: u32,
        k: usize,
        selector: &mut Selector<'_>,
        count: &mut C,
    ) -> Result<(), Damaged> {
        let (units, wanted) = (16 + k / 16, 32 + k / 4);
        self.first.clear();
        self.candidates.clear();
        for unit in self.best_units(units) {
            for block in unit * IN_UNIT..(unit + 1) * IN_UNIT {
                let bound = bound(terms, &self.rare, block);
                // Behind the last document only damage promises anything.
                if bound >= selector.enter() && block * (DOCUMENTS as u32) < documents {
                    self.candidates.push(Candidate { block, bound });
                }
            }
        }
        // The heaviest first; the order among equals must be the same in every run.
        let order = |c: &Candidate| (std::cmp::Reverse(c.bound), c.block);
        self.candidates.sort_unstable_by_key(order);
        self.candidates.truncate(wanted);
        std::mem::swap(&mut self.first, &mut self.candidates);
        self.scored.resize((documents as usize).div_ceil(DOCUMENTS * 64), 0);
        for batch in self.first.chunks(BATCH) {
            let rare = &self.rare;
            self.scorer.score(batch, terms, rare, documents, selector, count)?;
        }
        for candidate in &self.first {
            self.scored[candidate.block as usize / 64] |= 1 << (candidate.block % 64);
        }
        Ok(())
    }

    /// The `wanted` units with the highest bounds above 0, in order of their bounds.
    fn best_units(&mut self, wanted: usize) -> Vec<u32> {
        blocks::group_maxima(self.level, &self.units, &mut self.groups);
        let mut highest = self.groups.clone();
        let place = wanted.min(highest.len());
        let mut cut = 1;
        if let Some(at) = place.checked_sub(1) {
            // So many groups have a unit that reaches this, so as many units do.
            cut = (*highest.select_nth_unstable_by(at, |a, b| b.cmp(a)).1).max(1);
        }
        if self.groups.len() <= wanted {
            cut = 1;
        }
        let mut best: Vec<(std::cmp::Reverse<u16>, u32)> = Vec::new();
        for (number, (&most, units)) in self.groups.iter().zip(self.units.chunks(64)).enumerate() {
            if most >= cut {
                let above = units.iter().enumerate().filter(|&(_, &bound)| bound >= cut);
                best.extend(above.map(|(i, &b)| (std::cmp::Reverse(b), (number * 64 + i) as u32)));
            }
        }
        best.sort_unstable();
        best.truncate(wanted);
        best.into_iter().map(|(_, unit)| unit).collect()
    }

    /// All blocks but those of the first whose bounds reach `enough`.
    fn sweep(&mut self, terms: &[Term<'_>], documents: u32, enough: u32, least: u16) {
        self.candidates.clear();
        let lines = windows(documents) * (UNITS / LINE_UNITS);
        self.added.resize(lines, [0; LINE]);
        self.rare.add_to(enough, &mut self.added);
        let fine: Vec<Row<'_, 64>> =
            terms.iter().filter(|t| t.maxima.fine).map(|t| t.row(enough)).collect();
        let coarse: Vec<Row<'_, 32>> =
            terms.iter().filter(|t| !t.maxima.fine).map(|t| t.row(enough)).collect();
        let (rare, scored) = (&self.rare, &self.scored);
        let candidates = &mut self.candidates;
        let last = documents.div_ceil(DOCUMENTS as u32);
        let units = (self.units.as_chunks().0, least);
        blocks::sweep(self.level, (&fine, &coarse), units, &mut self.added, |line, masks| {
            for (half, masks) in masks.as_chunks::<2>().0.iter().enumerate() {
                let first = (line * LINE + half * LINE / 2) as u32;
                let mut found = spread(masks[0]) | spread(masks[1]) << 1;
                found &= !scored.get(first as usize / 64).copied().unwrap_or(0);
                while found != 0 {
                    let block = first + found.trailing_zeros();
                    found &= found - 1;
                    let bound = bound(terms, rare, block);
                    // Behind the last document only damage scores.
                    if bound >= enough && block < last {
                        candidates.push(Candidate { block, bound });
                    }
                }
            }
        });
    }

    /// Scores what the sweep left.
    fn score_candidates<C: Count>(
        &mut self,
        terms: &[Term<'_>],
        documents: u32,
        selector: &mut Selector<'_>,
        count: &mut C,
    ) -> Result<(), Damaged> {
        let rare = &self.rare;
        let mut rest = &mut self.candidates[..];
        if rest.len() > 2 * BATCH {
            let order = |c: &Candidate| (std::cmp::Reverse(c.bound), c.block);
            rest.select_nth_unstable_by_key(BATCH, order);
            let (first, others) = rest.split_at_mut(BATCH);
            self.scorer.score(first, terms, rare, documents, selector, count)?;
            others.sort_unstable_by_key(|c| c.block);
            rest = others;
        }
        let mut batch = Vec::with_capacity(BATCH);
        let mut next = rest.iter();
        loop {
            let enter = selector.enter();
            batch.clear();
            batch.extend(next.by_ref().filter(|c| c.bound >= enter).take(BATCH));
            if batch.is_empty() {
                return Ok(());
            }
            self.scorer.score(&batch, terms, rare, documents, selector, count)?;
        }
    }
}

/// What the query can score in a block.
#[inline]
fn bound(terms: &[Term<'_>], rare: &Rare, block: u32) -> u32 {
    let frequent: u32 = terms.iter().map(|term| term.bound(block)).fold(0, u32::wrapping_add);
    if rare.terms() == 0 {
        return frequent;
    }
    let mut scores = Scores::default();
    rare.score(block, &mut scores);
    frequent.saturating_add(scores.0.into_iter().max().unwrap_or(0))
}

/// Bit i becomes bit 2 · i.
fn spread(bits: u32) -> u64 {
    let mut bits = u64::from(bits);
    for (shift, mask) in [
        (16, 0x0000_FFFF_0000_FFFF),
        (8, 0x00FF_00FF_00FF_00FF),
        (4, 0x0F0F_0F0F_0F0F_0F0F),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

/// Scores as 16-bit bounds of units: multiples of 2^32 / `factor`.
struct BoundScale {
    factor: u64,
}

impl BoundScale {
    /// The query's bound becomes nearly 65,535, and a weight times 256 fits 16 bits.
    fn of(terms: &[Term<'_>], most: u32) -> Self {
        let heaviest = terms.iter().map(|term| term.weight).max().unwrap_or(1);
        let by_bound = (65_535u64 << 32) / u64::from(most.max(1));
        let by_weight = (255u64 << 32) / u64::from(heaviest.max(1));
        BoundScale { factor: by_bound.min(by_weight) }
    }

    /// A weight, times 256.
    fn weight(&self, weight: u32) -> u16 {
        ((u64::from(weight) * self.factor) >> 24).min(65_535) as u16
    }

    fn of_score(&self, score: u32) -> u16 {
        ((u128::from(score) * u128::from(self.factor)) >> 32).min(65_535) as u16
    }

    /// A unit with a document that scores `enough` has no bound below this: each of `terms`
    /// terms loses less than 2 by rounding.
    fn floor_of(&self, enough: u32, terms: usize) -> u16 {
        let lost = u16::try_from(2 * terms).unwrap_or(u16::MAX);
        self.of_score(enough).saturating_sub(lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_bits_take_every_second_place() {
        assert_eq!(spread(0b1011), 0b100_0101);
        assert_eq!(spread(u32::MAX), 0x5555_5555_5555_5555);
    }
}
