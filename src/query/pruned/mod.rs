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

mod bounds;
mod rare;
mod scorer;
mod terms;

use super::Weighted;
use super::admit::{Admit, Admitted};
use super::counters::Count;
use super::kernels::SimdLevel;
use super::kernels::blocks::{self, DOCUMENTS, LINE, LINE_UNITS, Row};
use super::select::Selector;
use crate::format::postings::Damaged;
use crate::format::skip::{UNITS, windows};
use bounds::{Bounds, IN_UNIT};
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
    /// No document scores more.
    most: u32,
    first: Vec<Candidate>,
    candidates: Vec<Candidate>,
    scorer: Scorer,
}

/// Units that are looked at first, and their blocks that are scored before anything else; more
/// where more results are wanted.
const FIRST_UNITS: usize = 48;
const FIRST_BLOCKS: usize = 32;
/// One in so many groups of 64 units sets the bound that a line must reach to be swept first.
const PROMISING: usize = 4;

impl Pruned {
    pub(super) fn new(level: SimdLevel) -> Self {
        Pruned {
            level,
            rare: Rare::new(level),
            units: Vec::new(),
            groups: Vec::new(),
            added: Vec::new(),
            scored: Vec::new(),
            most: 0,
            first: Vec::new(),
            candidates: Vec::new(),
            scorer: Scorer::new(level),
        }
    }

    /// Hands every document that can enter to `selector`, or gives up and returns false where
    /// the blocks that are left have more than `most_block_terms` terms; `bound` is the query's.
    pub(super) fn search<A: Admit, C: Count>(
        &mut self,
        lists: &[Weighted<'_>],
        k: usize,
        (bound, most_block_terms): (u32, u64),
        selector: &mut Admitted<'_, Selector<'_>, A>,
        count: &mut C,
    ) -> Result<bool, Damaged> {
        let documents = lists.first().map_or(0, |l| l.list.documents);
        let mut terms = Vec::with_capacity(lists.len());
        for list in lists {
            terms.extend(Term::of(list)?);
        }
        terms.sort_by_key(|term| std::cmp::Reverse(term.most()));
        self.most = bound;
        let scale = self.bound_units(&terms, documents, bound);
        self.rare.read(lists, documents, |score| scale.of_score(score), &mut self.units, count)?;
        if A::LIMITS
            && let Some(kept) = selector.admit.kept()
        {
            let units = self.units.iter_mut().enumerate();
            units.filter(|(unit, _)| !kept.unit(*unit)).for_each(|(_, bound)| *bound = 0);
        }
        let bounds = Bounds::of(&terms);
        let outcome = self.prime((&terms, &bounds), documents, k, selector, count);
        let outcome = outcome.and_then(|()| {
            let query = (&terms[..], &bounds);
            self.finish(query, &scale, documents, most_block_terms, selector, count)
        });
        for candidate in &self.first {
            self.scored[candidate.block as usize / 64] = 0;
        }
        // Lines that a filter left out were not swept.
        if A::LIMITS || !matches!(outcome, Ok(true)) {
            self.added.iter_mut().for_each(|line| line.fill(0));
        }
        outcome
    }

    /// Sweeps and scores what is left; false if that is too much.
    fn finish<A: Admit, C: Count>(
        &mut self,
        query: (&[Term<'_>], &Bounds<'_>),
        scale: &BoundScale,
        documents: u32,
        most_block_terms: u64,
        selector: &mut Admitted<'_, Selector<'_>, A>,
        count: &mut C,
    ) -> Result<bool, Damaged> {
        self.added.resize(windows(documents) * (UNITS / LINE_UNITS), [0; LINE]);
        let shared = selector.enter();
        self.rare.add_to(shared, &mut self.added);
        let terms = query.0.len() + self.rare.terms();
        // The most promising lines first: they raise the threshold for the others.
        let place = self.groups.len() / PROMISING;
        let descending = |a: &u16, b: &u16| b.cmp(a);
        let high = match place {
            0 => None,
            _ => Some(*self.groups.select_nth_unstable_by(place, descending).1),
        };
        for (high, keep) in high.map(|high| (high, true)).into_iter().chain([(0, false)]) {
            let least = high.max(scale.floor_of(selector.enter(), terms));
            let limits = ((selector.enter(), shared), (least, keep));
            self.sweep(query, documents, limits, selector.admit);
            count.promising(self.candidates.len() as u64);
            // About half of the terms are in a block that is promising.
            if (self.candidates.len() * query.0.len() / 2) as u64 > most_block_terms {
                return Ok(false);
            }
            self.score_candidates(query.0, documents, selector, count)?;
        }
        Ok(true)
    }

    /// What frequent terms can score in each unit.
    fn bound_units(&mut self, terms: &[Term<'_>], documents: u32, most: u32) -> BoundScale {
        let scale = BoundScale::of(terms, most);
        self.units.clear();
        // One more than they are: 0 says that a sweep is done with a unit.
        self.units.resize(windows(documents) * UNITS, 1);
        for term in terms {
            blocks::add_units(
                self.level,
                term.list.max,
                scale.weight(term.weight),
                &mut self.units,
            );
        }
        scale
    }

    /// Scores all that promises enough in the most promising units, the best blocks first.
    fn prime<A: Admit, C: Count>(
        &mut self,
        (terms, bounds): (&[Term<'_>], &Bounds<'_>),
        documents: u32,
        k: usize,
        selector: &mut Admitted<'_, Selector<'_>, A>,
        count: &mut C,
    ) -> Result<(), Damaged> {
        self.first.clear();
        self.scored.resize((documents as usize).div_ceil(DOCUMENTS * 64), 0);
        let last = documents.div_ceil(DOCUMENTS as u32);
        let units = self.best_units(FIRST_UNITS + k / 8);
        units.iter().for_each(|&unit| bounds.prefetch(unit));
        for unit in units {
            let frequent = bounds.of_unit(self.level, unit);
            let mut of_blocks = frequent;
            self.rare.bound(unit, &mut of_blocks);
            for (i, bound) in of_blocks.into_iter().enumerate() {
                let (block, rare) = (unit * IN_UNIT as u32 + i as u32, bound > frequent[i]);
                // Behind the last document only damage promises anything.
                let kept = !A::LIMITS || selector.admit.kept().is_none_or(|kept| kept.block(block));
                if bound >= selector.enter() && block < last && kept {
                    self.first.push(Candidate { block, bound, rare });
                }
            }
        }
        let order = |c: &Candidate| (std::cmp::Reverse(c.bound), c.block);
        let mut rest = &mut self.first[..];
        let best = FIRST_BLOCKS + k / 4;
        if rest.len() > best {
            rest.select_nth_unstable_by_key(best, order);
            let (first, others) = rest.split_at_mut(best);
            self.scorer.score(first, terms, &self.rare, documents, selector, count)?;
            rest = others;
        }
        // What is left is worth an order only where it still promises enough.
        let enter = selector.enter();
        let left = partition(rest, |c| c.bound >= enter);
        rest[..left].sort_unstable_by_key(order);
        for batch in rest[..left].chunks(FIRST_BLOCKS) {
            if batch[0].bound < selector.enter() {
                break;
            }
            self.scorer.score(batch, terms, &self.rare, documents, selector, count)?;
        }
        // Those that were left out promise too little for good.
        for candidate in &self.first {
            self.scored[candidate.block as usize / 64] |= 1 << (candidate.block % 64);
        }
        Ok(())
    }

    /// The `wanted` units with the highest bounds above 0, in order of their bounds.
    fn best_units(&mut self, wanted: usize) -> Vec<u32> {
        blocks::group_maxima(self.level, &self.units, &mut self.groups);
        // So many units of the best groups reach `cut`: one of the best does.
        let mut order: Vec<u32> = (0..self.groups.len() as u32).collect();
        let groups = (wanted / 8 + 1).min(order.len());
        order.select_nth_unstable_by_key(groups - 1, |&group| {
            (std::cmp::Reverse(self.groups[group as usize]), group)
        });
        let members = |&group: &u32| self.units[group as usize * 64..].iter().take(64).copied();
        let mut bounds: Vec<u16> = order[..groups].iter().flat_map(members).collect();
        let place = wanted.min(bounds.len()) - 1;
        let cut = (*bounds.select_nth_unstable_by(place, |a, b| b.cmp(a)).1).max(2);
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

    /// All blocks but those of the first whose bounds reach `enough`, of lines with a unit whose
    /// bound reaches `least` and that no sweep was done with. Rare terms were added in 255ths of
    /// `shared`.
    fn sweep<A: Admit>(
        &mut self,
        (terms, bounds): (&[Term<'_>], &Bounds<'_>),
        documents: u32,
        ((enough, shared), (least, keep)): ((u32, u32), (u16, bool)),
        admit: A,
    ) {
        self.candidates.clear();
        let fine: Vec<Row<'_, 64>> =
            terms.iter().filter(|t| t.maxima.fine).map(|t| t.row(enough)).collect();
        let coarse: Vec<Row<'_, 32>> =
            terms.iter().filter(|t| !t.maxima.fine).map(|t| t.row(enough)).collect();
        let (scored, most) = (&self.scored, self.most);
        let candidates = &mut self.candidates;
        let last = documents.div_ceil(DOCUMENTS as u32);
        let units = (self.units.as_chunks_mut().0, least);
        let added = (&mut self.added[..], keep);
        blocks::sweep(self.level, (&fine, &coarse), units, added, |line, masks, added| {
            for (half, masks) in masks.as_chunks::<2>().0.iter().enumerate() {
                let first = (line * LINE + half * LINE / 2) as u32;
                let mut found = spread(masks[0]) | spread(masks[1]) << 1;
                found &= !scored.get(first as usize / 64).copied().unwrap_or(0);
                while found != 0 {
                    let block = first + found.trailing_zeros();
                    found &= found - 1;
                    if A::LIMITS && admit.kept().is_some_and(|kept| !kept.block(block)) {
                        continue;
                    }
                    let mut bound = bounds.of_block(block);
                    let of_rare = added[rare::place(block as usize) % LINE];
                    bound = bound.saturating_add(rare::at_most(of_rare, shared)).min(most);
                    // Behind the last document only damage scores.
                    if bound >= enough && block < last {
                        candidates.push(Candidate { block, bound, rare: of_rare > 0 });
                    }
                }
            }
        });
    }

    /// Scores what the sweep left: where that is much, the most promising first, then in
    /// document order.
    fn score_candidates<A: Admit, C: Count>(
        &mut self,
        terms: &[Term<'_>],
        documents: u32,
        selector: &mut Admitted<'_, Selector<'_>, A>,
        count: &mut C,
    ) -> Result<(), Damaged> {
        let mut batch = Vec::with_capacity(BATCH);
        let many = self.candidates.len() > 4 * BATCH;
        let cut = if many { cut(&self.candidates, BATCH) } else { 0 };
        let parts = [(cut, u32::MAX), (0, cut.saturating_sub(1))];
        for (least, most) in &parts[..1 + usize::from(many)] {
            let inside = |c: &&Candidate| (*least..=*most).contains(&c.bound);
            let mut next = self.candidates.iter().filter(inside);
            loop {
                let enter = selector.enter();
                batch.clear();
                batch.extend(next.by_ref().filter(|c| c.bound >= enter).take(BATCH));
                if batch.is_empty() {
                    break;
                }
                let scorer = &mut self.scorer;
                scorer.score(&batch, terms, &self.rare, documents, selector, count)?;
            }
        }
        Ok(())
    }
}

/// A bound that about `wanted` candidates or more reach: by a histogram.
fn cut(candidates: &[Candidate], wanted: usize) -> u32 {
    const BINS: usize = 256;
    let bounds = || candidates.iter().map(|c| c.bound);
    let (least, most) = (bounds().min().unwrap_or(0), bounds().max().unwrap_or(0));
    let width = (most - least) / BINS as u32 + 1;
    let mut bins = [0usize; BINS];
    bounds().for_each(|bound| bins[((bound - least) / width) as usize] += 1);
    let (mut bin, mut above) = (BINS, 0);
    while bin > 0 && above < wanted {
        bin -= 1;
        above += bins[bin];
    }
    least + bin as u32 * width
}

/// Moves those that are `wanted` to the front, and says how many they are.
fn partition(candidates: &mut [Candidate], wanted: impl Fn(&Candidate) -> bool) -> usize {
    let mut len = 0;
    for at in 0..candidates.len() {
        if wanted(&candidates[at]) {
            candidates.swap(at, len);
            len += 1;
        }
    }
    len
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
        (u64::from(score).saturating_mul(self.factor) >> 32).min(65_535) as u16
    }

    /// A unit with a document that scores `enough` has no bound below this: each of `terms`
    /// terms loses less than 2 by rounding, and bounds are one more than they are.
    fn floor_of(&self, enough: u32, terms: usize) -> u16 {
        let lost = u16::try_from(2 * terms).unwrap_or(u16::MAX);
        self.of_score(enough).saturating_sub(lost).saturating_add(1)
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
