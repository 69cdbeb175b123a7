//! The windowed scan: exhaustive, branch-poor, and the fastest exact method on
//! learned-sparse vectors, where block maxima prune next to nothing (at k = 10, 98 % of
//! the matching documents pass the sum of their blocks' maxima).
//!
//! For each window of 2^13 documents: dense terms set the accumulators by multiply-add,
//! sparse terms add theirs, one pass compares with the threshold and hands survivors to
//! the selector. As SINDI's windows (Li et al. 2025), on byte streams and with exact
//! 32-bit scores.

use super::Weighted;
use super::admit::{Admit, Admitted};
use super::buffers::emptied;
use super::filter::Kept;
use super::kernels::{
    self, Accumulators, CHUNK, ChunkBytes, GROUP, Lane, MAX_LANE_WEIGHT, MAX_LANES, NO_IMPACTS,
    SimdLevel, Stage,
};
use super::select::Selector;
use crate::format::postings::dense::Bitmap;
use crate::format::postings::{Block, Damaged, List, Representation};
use crate::format::{BLOCK, WINDOW};

/// Buffers of the scan, reused from query to query.
pub(super) struct Windowed<'a> {
    level: SimdLevel,
    accumulators: Box<Accumulators>,
    streams: Vec<Weighted<'a>>,
    packed: Vec<PackedCursor<'a>>,
    bitmaps: Vec<Bitmap<'a>>,
    /// Impacts of the bitmap terms in the current chunk.
    expanded: Vec<ChunkBytes>,
    lanes: Vec<(usize, u16)>,
    stage: Stage,
}

/// A packed list between two windows: the block that the border cut.
struct PackedCursor<'a> {
    list: List<'a>,
    weight: u32,
    next_block: usize,
    /// Where the window before ended in the block.
    group: usize,
    block: Block,
}

/// With fewer than one in so many documents of a window kept, these are looked at one by one.
const FEW: u32 = 16;

/// Groups of postings in a block.
const GROUPS: usize = BLOCK / GROUP;

impl<'a> Windowed<'a> {
    pub(super) fn new(level: SimdLevel) -> Self {
        let accumulators: Box<[u32]> = vec![0; WINDOW as usize].into();
        Windowed {
            level,
            accumulators: accumulators.try_into().expect("a window of accumulators"),
            streams: Vec::new(),
            packed: Vec::new(),
            bitmaps: Vec::new(),
            expanded: Vec::new(),
            lanes: Vec::new(),
            stage: Stage::default(),
        }
    }

    /// The buffers for another index's lists.
    pub(super) fn release<'b>(self) -> Windowed<'b> {
        let Windowed { level, accumulators, streams, packed, bitmaps, expanded, lanes, stage } =
            self;
        let (streams, packed, bitmaps) = (emptied(streams), emptied(packed), emptied(bitmaps));
        Windowed { level, accumulators, streams, packed, bitmaps, expanded, lanes, stage }
    }

    pub(super) fn search<A: Admit>(
        &mut self,
        lists: &[Weighted<'a>],
        selector: &mut Admitted<'_, Selector<'_>, A>,
    ) -> Result<(), Damaged> {
        self.sort_lists(lists)?;
        let documents = lists.first().map_or(0, |l| l.list.documents);
        self.stage.clear();
        let outcome = if self.bitmaps.is_empty() {
            self.scan_windows::<true, A>(documents, selector)
        } else {
            // Dense terms set the accumulators of every window.
            self.scan_windows::<false, A>(documents, selector)
        };
        if outcome.is_err() || !self.bitmaps.is_empty() {
            // The next query must find empty accumulators.
            self.accumulators.fill(0);
        }
        outcome
    }

    fn scan_windows<const CLEAR: bool, A: Admit>(
        &mut self,
        documents: u32,
        selector: &mut Admitted<'_, Selector<'_>, A>,
    ) -> Result<(), Damaged> {
        for window in 0..documents.div_ceil(WINDOW) {
            let first = window * WINDOW;
            let len = (documents - first).min(WINDOW);
            let admit = selector.admit;
            if A::LIMITS
                && let Some(kept) = admit.kept()
            {
                let in_window = kept.count(first, len);
                if in_window == 0 {
                    continue;
                }
                self.packed.iter_mut().try_for_each(|cursor| cursor.skip_to(first))?;
                if in_window < len / FEW {
                    self.score_few::<CLEAR, A>(kept, first, len, selector)?;
                    continue;
                }
            }
            self.score_window(window as usize, first, len, |_| true)?;
            let threshold = selector.enter();
            let scores = &mut self.accumulators[..len as usize];
            kernels::scan::<CLEAR>(self.level, scores, threshold, |position, score| {
                selector.push(first + position, score);
                selector.enter()
            });
            if CLEAR {
                // Behind the last document only damage scores, and it must not reach the
                // next query.
                self.accumulators[len as usize..].fill(0);
            }
        }
        Ok(())
    }

    /// As a window's scan, where few documents are kept: dense terms are read only around them, and
    /// only their scores are looked at.
    fn score_few<const CLEAR: bool, A: Admit>(
        &mut self,
        kept: &Kept,
        first: u32,
        len: u32,
        selector: &mut Admitted<'_, Selector<'_>, A>,
    ) -> Result<(), Damaged> {
        let around = |chunk: u32| kept.count(chunk, CHUNK as u32) > 0;
        self.score_window((first / WINDOW) as usize, first, len, around)?;
        kept.each(first, len, |docid| {
            let score = self.accumulators[(docid % WINDOW) as usize];
            if score >= selector.enter() {
                selector.push(docid, score);
            }
        });
        if CLEAR {
            self.accumulators.fill(0);
        }
        Ok(())
    }

    fn sort_lists(&mut self, lists: &[Weighted<'a>]) -> Result<(), Damaged> {
        self.streams.clear();
        self.packed.clear();
        self.bitmaps.clear();
        self.lanes.clear();
        for &Weighted { list, weight } in lists {
            let bitmap = match list.representation {
                Representation::Stream | Representation::Positions => {
                    // Directories first: then their misses wait for each other no longer.
                    kernels::prefetch_line(list.windows);
                    self.streams.push(Weighted { list, weight });
                    continue;
                }
                Representation::Packed => {
                    kernels::prefetch(list.block_bytes(0).unwrap_or_default());
                    let block = Block::with_simd(self.level);
                    self.packed.push(PackedCursor {
                        list,
                        weight,
                        next_block: 0,
                        group: GROUPS,
                        block,
                    });
                    continue;
                }
                Representation::Bitmap => list.bitmap().ok_or(Damaged)?,
            };
            let mut rest = weight;
            while rest > 0 {
                let weight = rest.min(MAX_LANE_WEIGHT.into());
                self.lanes.push((self.bitmaps.len(), weight as u16));
                rest -= weight;
            }
            self.bitmaps.push(bitmap);
        }
        self.expanded.resize(self.bitmaps.len(), NO_IMPACTS);
        Ok(())
    }

    /// Adds up a window; dense terms in the chunks, by their first document, that are `wanted`.
    #[inline]
    fn score_window(
        &mut self,
        window: usize,
        first: u32,
        len: u32,
        wanted: impl Fn(u32) -> bool,
    ) -> Result<(), Damaged> {
        if !self.bitmaps.is_empty() {
            self.score_dense(first as usize, len as usize, wanted)?;
        }
        let run = |window, i: usize| {
            let stream = self.streams.get(i);
            stream.map_or(&[][..], |Weighted { list, .. }| list.stream_run(window))
        };
        let mut next = run(window, 0);
        for (i, Weighted { weight, list }) in self.streams.iter().enumerate() {
            let this = next;
            let last = i + 1 == self.streams.len();
            next = if last { run(window + 1, 0) } else { run(window, i + 1) };
            kernels::prefetch(next.as_flattened());
            let (level, stage) = (self.level, &mut self.stage);
            if list.representation == Representation::Positions {
                kernels::scatter::<true>(level, this, *weight, stage, &mut self.accumulators);
            } else {
                kernels::scatter::<false>(level, this, *weight, stage, &mut self.accumulators);
            }
        }
        for cursor in &mut self.packed {
            cursor.add_window(self.level, first, &mut self.stage, &mut self.accumulators)?;
        }
        self.stage.finish(&mut self.accumulators);
        Ok(())
    }

    #[inline]
    fn score_dense(
        &mut self,
        first: usize,
        len: usize,
        wanted: impl Fn(u32) -> bool,
    ) -> Result<(), Damaged> {
        for (chunk, out) in self.accumulators.as_chunks_mut::<CHUNK>().0[..len.div_ceil(CHUNK)]
            .iter_mut()
            .enumerate()
        {
            let start = first + chunk * CHUNK;
            if !wanted(start as u32) {
                continue;
            }
            for (bitmap, expanded) in self.bitmaps.iter().zip(&mut self.expanded) {
                expand(self.level, bitmap, start, expanded)?;
            }
            // Queries have a dozen dense terms, so one round is the rule.
            let mut lanes = [Lane::default(); MAX_LANES];
            for (round, terms) in self.lanes.chunks(MAX_LANES).enumerate() {
                for (lane, &(term, weight)) in lanes.iter_mut().zip(terms) {
                    *lane = Lane { impacts: &self.expanded[term], weight };
                }
                let lanes = &lanes[..terms.len()];
                if round == 0 {
                    kernels::multiply_add(self.level, lanes, out);
                } else {
                    let mut more = [0; CHUNK];
                    kernels::multiply_add(self.level, lanes, &mut more);
                    out.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.wrapping_add(more));
                }
            }
        }
        Ok(())
    }
}

/// Impacts of documents `start`.. of a chunk, 0 where the term is not.
#[inline]
fn expand(
    level: SimdLevel,
    bitmap: &Bitmap<'_>,
    start: usize,
    out: &mut ChunkBytes,
) -> Result<(), Damaged> {
    let word = start / 64;
    let impacts = bitmap.rank(word).and_then(|rank| bitmap.impacts.get(rank..)).ok_or(Damaged)?;
    let words = &bitmap.words[word..];
    let taken = match words.first_chunk() {
        Some(words) => kernels::expand(level, words, impacts, out),
        None => {
            let mut padded = [[0; 8]; CHUNK / 64];
            padded[..words.len()].copy_from_slice(words);
            kernels::expand(level, &padded, impacts, out)
        }
    };
    taken.map(drop).ok_or(Damaged)
}

impl PackedCursor<'_> {
    /// Passes over the postings of the windows before that of document `first`.
    fn skip_to(&mut self, first: u32) -> Result<(), Damaged> {
        let before =
            |docids: &[u32; BLOCK], group: usize| docids[group * GROUP + GROUP - 1] < first;
        while self.group < GROUPS && before(&self.block.docids, self.group) {
            self.group += 1;
        }
        if self.group < GROUPS {
            return Ok(());
        }
        let (mut low, mut high) = (self.next_block, self.list.blocks());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.list.block_last(middle) < first { low = middle + 1 } else { high = middle }
        }
        self.next_block = low;
        if low == self.list.blocks() {
            return Ok(());
        }
        self.decode_next()?;
        while self.group < GROUPS && before(&self.block.docids, self.group) {
            self.group += 1;
        }
        Ok(())
    }

    fn decode_next(&mut self) -> Result<(), Damaged> {
        self.list.decode(self.next_block, &mut self.block)?;
        // Behind the last posting: documents of no window.
        self.block.docids[self.block.len..].fill(u32::MAX);
        self.next_block += 1;
        self.group = 0;
        kernels::prefetch(self.list.block_bytes(self.next_block).unwrap_or_default());
        Ok(())
    }

    /// Adds the postings of the window that begins with document `first`; they follow those
    /// of the window before.
    fn add_window(
        &mut self,
        level: SimdLevel,
        first: u32,
        stage: &mut Stage,
        accumulators: &mut Accumulators,
    ) -> Result<(), Damaged> {
        loop {
            let Block { docids, impacts, .. } = &self.block;
            let part = (first, self.weight);
            self.group = kernels::scatter_block(
                level,
                docids,
                impacts,
                self.group,
                part,
                stage,
                accumulators,
            );
            if self.group < GROUPS || self.next_block == self.list.blocks() {
                return Ok(());
            }
            self.decode_next()?;
        }
    }
}
