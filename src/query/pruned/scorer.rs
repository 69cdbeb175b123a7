//! Scores blocks, many at a time and term by term: what the terms' lists touch is then asked
//! for early, and a block ends where its best document and the bounds of the terms to come fall
//! short.

use super::super::admit::{Admit, Admitted};
use super::super::counters::Count;
use super::super::kernels::blocks::{self, DOCUMENTS, Job, Scores};
use super::super::kernels::{SimdLevel, prefetch_line};
use super::super::select::Selector;
use super::rare::Rare;
use super::terms::{Postings, Term};
use crate::format::postings::Damaged;

/// Blocks that are scored together.
pub(super) const BATCH: usize = 256;

/// A block whose bound is enough.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) block: u32,
    pub(super) bound: u32,
    /// Whether rare terms may have postings in it.
    pub(super) rare: bool,
}

/// Buffers of a batch; a block has a slot in each.
pub(super) struct Scorer {
    level: SimdLevel,
    scores: Vec<Scores>,
    best: Vec<u32>,
    /// What the frequent terms to come can add.
    rest: Vec<u32>,
    live: Vec<u8>,
    jobs: Vec<Job>,
}

impl Scorer {
    pub(super) fn new(level: SimdLevel) -> Self {
        let scores = vec![Scores::default(); BATCH];
        let (best, rest) = (vec![0; BATCH], vec![0; BATCH]);
        Scorer { level, scores, best, rest, live: Vec::new(), jobs: Vec::new() }
    }

    /// Scores any number of blocks and hands on what can enter.
    pub(super) fn score<A: Admit, C: Count>(
        &mut self,
        candidates: &[Candidate],
        terms: &[Term<'_>],
        rare: &Rare,
        documents: u32,
        selector: &mut Admitted<'_, Selector<'_>, A>,
        count: &mut C,
    ) -> Result<(), Damaged> {
        for batch in candidates.chunks(BATCH) {
            let enter = selector.enter();
            self.begin(batch, rare);
            for term in terms {
                if self.live.is_empty() {
                    break;
                }
                self.add_term(term, batch, count)?;
                self.drop_below(enter);
            }
            for &slot in &self.live {
                let first = batch[usize::from(slot)].block * DOCUMENTS as u32;
                // Behind the last document only damage scores.
                for (docid, score) in (first..documents).zip(self.scores[usize::from(slot)].0) {
                    if score >= selector.enter() {
                        selector.push(docid, score);
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes up to [`BATCH`] blocks in hand, with what their rare terms add.
    fn begin(&mut self, batch: &[Candidate], rare: &Rare) {
        self.live.clear();
        for (slot, candidate) in batch.iter().enumerate() {
            let scores = &mut self.scores[slot];
            *scores = Scores::default();
            let mut best = 0;
            if candidate.rare {
                rare.score(candidate.block, scores);
                best = scores.0.iter().fold(0, |best, &score| best.max(score));
            }
            // A bound holds the best that rare terms can add.
            (self.best[slot], self.rest[slot]) = (best, candidate.bound.saturating_sub(best));
            self.live.push(slot as u8);
        }
    }

    /// Keeps the blocks that still promise `enter`.
    fn drop_below(&mut self, enter: u32) {
        let mut len = 0;
        for at in 0..self.live.len() {
            let slot = self.live[at];
            let (best, rest) = (self.best[usize::from(slot)], self.rest[usize::from(slot)]);
            // No branch on what cannot be foreseen.
            self.live[len] = slot;
            len += usize::from(best.saturating_add(rest) >= enter);
        }
        self.live.truncate(len);
    }

    /// Adds a term to all live blocks that have it.
    fn add_term<C: Count>(
        &mut self,
        term: &Term<'_>,
        batch: &[Candidate],
        count: &mut C,
    ) -> Result<(), Damaged> {
        if term.maxima.fine {
            self.find_jobs::<true>(term, batch);
        } else {
            self.find_jobs::<false>(term, batch);
        }
        self.jobs.iter().for_each(|job| term.prefetch(job.at));
        count.block_terms(self.jobs.len() as u64);
        match &term.postings {
            Postings::Positions(pairs) => {
                let (windows, runs) = (term.list.windows, term.list.runs);
                blocks::find_pairs(self.level, windows, runs, pairs.len(), &mut self.jobs)
                    .ok_or(Damaged)?;
                for job in &self.jobs {
                    let run = &pairs[job.at as usize..][..usize::from(job.len)];
                    prefetch_line(run);
                    prefetch_line(&run[run.len() / 2..]);
                    count.postings(run.len() as u64);
                }
                blocks::add_pairs(self.level, pairs, &self.jobs, term.weight, &mut self.scores);
            }
            Postings::Bitmap(bitmap) => {
                for job in &mut self.jobs {
                    let (at, bits) = bitmap.sixteen(job.at).ok_or(Damaged)?;
                    prefetch_line(bitmap.impacts.get(at..).ok_or(Damaged)?);
                    (job.at, job.len) = (at as u32, bits);
                    count.postings(u64::from(bits.count_ones()));
                }
                let impacts = bitmap.impacts;
                blocks::add_bits(self.level, impacts, &self.jobs, term.weight, &mut self.scores);
            }
        }
        blocks::best(self.level, &self.scores, &self.jobs, &mut self.best);
        Ok(())
    }

    /// The live blocks that have a term, and what is left without it.
    fn find_jobs<const FINE: bool>(&mut self, term: &Term<'_>, batch: &[Candidate]) {
        self.jobs.clear();
        self.jobs.resize(self.live.len(), Job::default());
        let mut len = 0;
        for &slot in &self.live {
            let block = batch[usize::from(slot)].block;
            let bound = term.bound::<FINE>(block);
            let rest = &mut self.rest[usize::from(slot)];
            *rest = rest.saturating_sub(bound);
            // Whether a block has the term is a coin toss: no branch on it.
            self.jobs[len] = Job { at: block, slot, ..Job::default() };
            len += usize::from(bound > 0);
        }
        self.jobs.truncate(len);
    }
}
