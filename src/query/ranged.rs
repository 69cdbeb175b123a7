//! Range pruning: bounds of every 64 documents from the section RANGE_MAXIMA, and scores
//! only where they reach the threshold (as BMP, Mallia et al., SIGIR 2024, over an
//! inverted index, and exact).
//!
//! The ranges with the highest bounds are scored first, a few more than it takes to hold
//! k results: they set the threshold. Then the others whose bounds still reach it follow
//! in docid order, so that cursors only move forward.

use super::Weighted;
use super::buffers::emptied;
use super::counters::Count;
use super::cursor::Cursors;
use super::kernels::{self, SimdLevel};
use super::select::Selector;
use crate::format::postings::dense::Bitmap;
use crate::format::postings::{Block, Damaged, Representation};
use crate::format::ranges::{self, RANGE, RangeList};

const DOCS: usize = RANGE as usize;

/// Buffers, reused from query to query.
pub(super) struct Ranged<'a> {
    level: SimdLevel,
    /// A block of a list without maxima.
    block: Block,
    /// What the query can score in each range.
    bounds: Vec<u32>,
    first: Vec<u32>,
    scorer: RangeScorer<'a>,
}

/// Scores the documents of one range.
struct RangeScorer<'a> {
    documents: u32,
    sparse: Vec<Weighted<'a>>,
    dense: Vec<(Bitmap<'a>, u32)>,
    cursors: Cursors<'a>,
}

/// Ranges that are scored first, for k results. More make a sharper threshold and more
/// work before it is known.
fn first_ranges(k: usize) -> usize {
    8 + k / 8
}

impl<'a> Ranged<'a> {
    pub(super) fn new(level: SimdLevel) -> Self {
        let (bounds, first) = (Vec::new(), Vec::new());
        let (block, scorer) = (Block::with_simd(level), RangeScorer::new(level));
        Ranged { level, block, bounds, first, scorer }
    }

    /// The buffers for another index's lists.
    pub(super) fn release<'b>(self) -> Ranged<'b> {
        let Ranged { level, block, bounds, first, scorer } = self;
        Ranged { level, block, bounds, first, scorer: scorer.release() }
    }

    /// `maxima` are those of `lists`, list by list; `None` stands for a damaged one.
    pub(super) fn search<C: Count>(
        &mut self,
        lists: &[Weighted<'a>],
        maxima: impl Iterator<Item = Option<RangeList<'a>>>,
        k: usize,
        selector: &mut Selector<'_>,
        count: &mut C,
    ) -> Result<(), Damaged> {
        let documents = lists.first().map_or(0, |l| l.list.documents);
        let ranges = documents.div_ceil(RANGE) as usize;
        self.bounds.clear();
        self.bounds.resize(ranges, 0);
        for (list, maxima) in lists.iter().zip(maxima) {
            let maxima = maxima.ok_or(Damaged)?;
            add_maxima(list, maxima, &mut self.block, &mut self.bounds, count)?;
        }
        self.scorer.sort_lists(lists)?;

        let cut = cut(&self.bounds, first_ranges(k), selector.enter());
        self.first.clear();
        kernels::scan::<false>(self.level, &mut self.bounds, cut, |range, _| {
            self.first.push(range);
            cut
        });
        let mut scored = self.first.len() as u64;
        self.scorer.restart(count)?;
        for &range in &self.first {
            self.scorer.score(range, selector, count)?;
            // Done: below every threshold from here on.
            self.bounds[range as usize] = 0;
        }

        self.scorer.restart(count)?;
        let mut outcome = Ok(());
        kernels::scan::<false>(self.level, &mut self.bounds, selector.enter(), |range, _| {
            outcome = self.scorer.score(range, selector, count);
            scored += 1;
            // An error ends the query: no bound reaches this.
            if outcome.is_ok() { selector.enter() } else { i32::MAX as u32 }
        });
        count.ranges(scored, ranges as u64 - scored);
        outcome
    }
}

/// Adds what a list can score in each range.
fn add_maxima<C: Count>(
    &Weighted { list, weight }: &Weighted<'_>,
    maxima: RangeList<'_>,
    block: &mut Block,
    bounds: &mut [u32],
    count: &mut C,
) -> Result<(), Damaged> {
    let mut add = |range: u32, max: u8| {
        let bound = bounds.get_mut(range as usize)?;
        *bound = bound.wrapping_add(weight * u32::from(max));
        Some(())
    };
    if maxima.is_absent() {
        for b in 0..list.blocks() {
            list.decode(b, block)?;
            count.block();
            let mut found = ranges::maxima(&block.docids[..block.len], &block.impacts);
            found.try_for_each(|(range, max)| add(range, max)).ok_or(Damaged)?;
        }
        return Ok(());
    }
    match maxima {
        // Zeros add nothing, and a loop without a branch is a few vectors.
        RangeList::Bytes(maxima) => {
            for (bound, &max) in bounds.iter_mut().zip(maxima) {
                *bound = bound.wrapping_add(weight * u32::from(max));
            }
            Ok(())
        }
        RangeList::Sparse(_) => maxima.for_each(add),
    }
}

/// A bound that about `wanted` ranges reach, or `enter` if that is more: by a histogram.
fn cut(bounds: &[u32], wanted: usize, enter: u32) -> u32 {
    const BINS: usize = 256;
    let most = bounds.iter().copied().max().unwrap_or(0);
    let shift = (u32::BITS - most.leading_zeros()).saturating_sub(BINS.ilog2());
    let mut bins = [0u32; BINS];
    for &bound in bounds {
        bins[(bound >> shift) as usize % BINS] += 1;
    }
    let (mut bin, mut above) = (BINS, 0);
    while bin > 0 && above < wanted {
        bin -= 1;
        above += bins[bin] as usize;
    }
    ((bin as u32) << shift).max(enter)
}

impl<'a> RangeScorer<'a> {
    fn release<'b>(self) -> RangeScorer<'b> {
        let RangeScorer { documents, sparse, dense, cursors } = self;
        let (sparse, dense) = (emptied(sparse), emptied(dense));
        RangeScorer { documents, sparse, dense, cursors: cursors.release() }
    }

    fn new(level: SimdLevel) -> Self {
        RangeScorer {
            documents: 0,
            sparse: Vec::new(),
            dense: Vec::new(),
            cursors: Cursors::new(level),
        }
    }

    fn sort_lists(&mut self, lists: &[Weighted<'a>]) -> Result<(), Damaged> {
        self.documents = lists.first().map_or(0, |l| l.list.documents);
        self.sparse.clear();
        self.dense.clear();
        for &Weighted { list, weight } in lists {
            match list.representation {
                Representation::Packed | Representation::Stream => {
                    self.sparse.push(Weighted { list, weight });
                }
                Representation::Bitmap => {
                    let bitmap = list.bitmap().ok_or(Damaged)?;
                    self.dense.push((bitmap, weight));
                }
            }
        }
        Ok(())
    }

    /// Puts the cursors before the first range.
    fn restart<C: Count>(&mut self, count: &mut C) -> Result<(), Damaged> {
        self.cursors.open(&self.sparse, count).map(drop)
    }

    /// Scores a range behind the last one, and hands on what can enter.
    fn score<C: Count>(
        &mut self,
        range: u32,
        selector: &mut Selector<'_>,
        count: &mut C,
    ) -> Result<(), Damaged> {
        let mut scores = [0u32; DOCS];
        let first = range * RANGE;
        for (bitmap, weight) in &self.dense {
            add_bitmap(bitmap, *weight, range, &mut scores, count)?;
        }
        for cursor in self.cursors.opened(self.sparse.len()) {
            cursor.next_geq(first, count)?;
            // Of a damaged list docids may also go back.
            while let Some(score) = scores.get_mut(cursor.docid.wrapping_sub(first) as usize) {
                *score = score.wrapping_add(cursor.score());
                count.postings(1);
                cursor.next(count)?;
            }
        }
        // Behind the last document only damage scores.
        for (docid, score) in (first..self.documents).zip(scores) {
            if score >= selector.enter() {
                selector.push(docid, score);
            }
        }
        Ok(())
    }
}

#[inline]
fn add_bitmap<C: Count>(
    bitmap: &Bitmap<'_>,
    weight: u32,
    range: u32,
    scores: &mut [u32; DOCS],
    count: &mut C,
) -> Result<(), Damaged> {
    // A range is a word.
    let word = bitmap.words.get(range as usize).ok_or(Damaged)?;
    let mut bits = u64::from_le_bytes(*word);
    let rank = bitmap.rank(range as usize).ok_or(Damaged)?;
    let impacts = bitmap.impacts.get(rank..).ok_or(Damaged)?;
    count.postings(u64::from(bits.count_ones()));
    for &impact in impacts {
        if bits == 0 {
            break;
        }
        let score = &mut scores[bits.trailing_zeros() as usize];
        *score = score.wrapping_add(weight * u32::from(impact));
        bits &= bits - 1;
    }
    Ok(())
}
