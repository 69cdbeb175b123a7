//! A position in one posting list, for algorithms that go document by document.

use super::Weighted;
use super::buffers::emptied;
use super::counters::Count;
use crate::format::postings::{Block, Damaged, List};
use crate::simd::SimdLevel;

/// Docid of a cursor past its last posting; above every docid of an index.
pub(super) const END: u32 = u32::MAX;

/// A position in a list, with the decoded block around it.
pub(super) struct Cursor<'a> {
    /// Docid at the position, or [`END`].
    pub(super) docid: u32,
    /// Query weight × largest impact of the list.
    pub(super) max_score: u32,
    weight: u32,
    at: usize,
    block: usize,
    blocks: usize,
    /// Maximum that the last bound came from.
    shallow: usize,
    bounds: usize,
    list: List<'a>,
    decoded: Box<Block>,
}

/// Cursors that outlive their queries: each holds a decoded block, which is not worth
/// clearing anew for every term of every query.
pub(super) struct Cursors<'a> {
    level: SimdLevel,
    cursors: Vec<Cursor<'a>>,
    /// Blocks of cursors that are not in use.
    #[expect(clippy::vec_box, reason = "they move into cursors and out of them, 640 bytes each")]
    blocks: Vec<Box<Block>>,
}

impl<'a> Cursors<'a> {
    /// Cursors that decode with no more than `level`.
    pub(super) fn new(level: SimdLevel) -> Self {
        Cursors { level, cursors: Vec::new(), blocks: Vec::new() }
    }

    /// One cursor a list, at its first posting.
    pub(super) fn open<C: Count>(
        &mut self,
        lists: &[Weighted<'a>],
        count: &mut C,
    ) -> Result<&mut [Cursor<'a>], Damaged> {
        for (i, &list) in lists.iter().enumerate() {
            if i == self.cursors.len() {
                let block = self.blocks.pop();
                let block = block.unwrap_or_else(|| Box::new(Block::with_simd(self.level)));
                self.cursors.push(Cursor::unopened(list, block));
            }
            self.cursors[i].open(list, count)?;
        }
        Ok(self.opened(lists.len()))
    }

    /// The buffers for another index's lists.
    pub(super) fn release<'b>(mut self) -> Cursors<'b> {
        self.blocks.extend(self.cursors.drain(..).map(|cursor| cursor.decoded));
        Cursors { level: self.level, cursors: emptied(self.cursors), blocks: self.blocks }
    }

    /// The cursors of the `lists` lists that were opened last.
    pub(super) fn opened(&mut self, lists: usize) -> &mut [Cursor<'a>] {
        &mut self.cursors[..lists]
    }
}

impl<'a> Cursor<'a> {
    fn unopened(Weighted { list, weight }: Weighted<'a>, decoded: Box<Block>) -> Self {
        Cursor {
            docid: 0,
            max_score: 0,
            weight,
            at: 0,
            block: 0,
            blocks: 0,
            shallow: 0,
            bounds: 0,
            list,
            decoded,
        }
    }

    fn open<C: Count>(
        &mut self,
        Weighted { list, weight }: Weighted<'a>,
        count: &mut C,
    ) -> Result<(), Damaged> {
        self.max_score = weight * u32::from(list.max_impact);
        self.weight = weight;
        self.blocks = list.blocks();
        self.shallow = 0;
        self.bounds = list.bounds();
        self.list = list;
        self.load(0, count)
    }

    /// Decodes block `b`, or the next one that has a posting: blocks of dense lists may
    /// be empty.
    fn load<C: Count>(&mut self, mut b: usize, count: &mut C) -> Result<(), Damaged> {
        while b < self.blocks {
            self.list.decode(b, &mut self.decoded)?;
            count.block();
            if self.decoded.len > 0 {
                (self.block, self.at, self.docid) = (b, 0, self.decoded.docids[0]);
                return Ok(());
            }
            b += 1;
        }
        (self.block, self.docid) = (self.blocks, END);
        Ok(())
    }

    /// Score of the list at the position.
    #[inline]
    pub(super) fn score(&self) -> u32 {
        self.weight * u32::from(self.decoded.impacts[self.at])
    }

    /// Moves to the next posting.
    #[inline]
    pub(super) fn next<C: Count>(&mut self, count: &mut C) -> Result<(), Damaged> {
        self.at += 1;
        if self.at < self.decoded.len {
            self.docid = self.decoded.docids[self.at];
            return Ok(());
        }
        self.load(self.block + 1, count)
    }

    /// Moves to the first posting with a docid ≥ `target`; never backwards.
    #[inline]
    pub(super) fn next_geq<C: Count>(&mut self, target: u32, count: &mut C) -> Result<(), Damaged> {
        if self.docid >= target {
            return Ok(());
        }
        if self.list.block_last(self.block) < target {
            let b = gallop(self.block, self.blocks, target, |b| self.list.block_last(b));
            self.load(b, count)?;
            if self.docid >= target {
                return Ok(());
            }
        }
        let rest = &self.decoded.docids[self.at..self.decoded.len];
        let skipped = first_at_least(rest, target);
        if skipped < rest.len() {
            self.at += skipped;
            self.docid = self.decoded.docids[self.at];
            return Ok(());
        }
        // The bound of a block may lie behind its last docid.
        self.load(self.block + 1, count)
    }

    /// An upper bound of the list's score at `docid`, and the last docid it holds for.
    /// Decodes nothing; docids must not decrease from call to call.
    #[inline]
    pub(super) fn block_bound(&mut self, docid: u32) -> (u32, u32) {
        self.shallow = gallop(self.shallow, self.bounds, docid, |i| self.list.bound_last(i));
        if self.shallow >= self.bounds {
            return (0, END - 1);
        }
        // Of a damaged file a block's maximum may exceed the list's.
        let max = self.weight * u32::from(self.list.bound_max(self.shallow));
        (max.min(self.max_score), self.list.bound_last(self.shallow))
    }
}

/// Position of the first docid ≥ `target`: in steps of eight, then one by one. Most
/// cursors move by a few postings, and blocks have 128 at most.
#[inline]
fn first_at_least(docids: &[u32], target: u32) -> usize {
    let eights = docids.as_chunks::<8>().0.iter().take_while(|eight| eight[7] < target).count();
    8 * eights + docids[8 * eights..].iter().take_while(|&&d| d < target).count()
}

/// First of `at..len` whose last docid reaches `target`, or `len`: galloping, then
/// bisection.
#[inline]
fn gallop(at: usize, len: usize, target: u32, last: impl Fn(usize) -> u32) -> usize {
    if at >= len || last(at) >= target {
        return at;
    }
    let (mut below, mut step) = (at, 1);
    while below + step < len && last(below + step) < target {
        below += step;
        step *= 2;
    }
    let (mut low, mut high) = (below + 1, (below + step).min(len));
    while low < high {
        let middle = low + (high - low) / 2;
        if last(middle) < target {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
