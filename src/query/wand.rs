//! WAND (Broder et al., CIKM 2003) and Block-Max WAND (Ding and Suel, SIGIR 2011): one
//! walk with two bounds.
//!
//! Cursors are kept in docid order. The pivot is the first position at which the list
//! maxima so far reach the threshold: no document before the pivot's can enter. Block-Max
//! WAND then looks at the maxima of the blocks around the pivot's document and, where
//! these fall short, moves on to where a block ends or another list begins.
//!
//! Both papers then move one lagging cursor and look for a pivot again. Queries of
//! learned-sparse models have twenty lists that all stand close together, so we settle
//! the pivot's document at once: cursors on it count, lagging ones are brought up to it
//! while its bound still reaches the threshold (2–3 times fewer pivots on SPLADE).

use super::cursor::{Cursor, END};
use super::topk::TopK;
use crate::format::postings::Damaged;

/// Buffers of the walk, reused from query to query.
#[derive(Default)]
pub(super) struct Wand {
    order: DocidOrder,
    /// What each list up to the pivot can add to the pivot's document.
    bounds: Vec<u32>,
}

impl Wand {
    pub(super) fn search<const BLOCK_MAX: bool>(
        &mut self,
        cursors: &mut [Cursor<'_>],
        top: &mut TopK<'_>,
    ) -> Result<(), Damaged> {
        self.order.reset(cursors);
        while let Some((pivot, docid)) = self.order.pivot(cursors, top.enter()) {
            let (bound, holds_to) = self.bound::<BLOCK_MAX>(cursors, pivot, docid);
            if bound >= top.enter() {
                self.settle(cursors, pivot, docid, bound, top)?;
                self.order.restore(pivot);
            } else {
                let next_list = self.order.docid(pivot + 1);
                let target = next_list.min(holds_to.saturating_add(1)).max(docid + 1);
                self.skip(cursors, pivot, target)?;
            }
        }
        Ok(())
    }

    /// Sum of what the lists up to the pivot can add to `docid`, and the last docid for
    /// which that holds.
    #[inline]
    fn bound<const BLOCK_MAX: bool>(
        &mut self,
        cursors: &mut [Cursor<'_>],
        pivot: usize,
        docid: u32,
    ) -> (u32, u32) {
        self.bounds.clear();
        let (mut sum, mut holds_to) = (0, END - 1);
        for position in 0..=pivot {
            let cursor = &mut cursors[self.order.cursor(position)];
            let bound = if BLOCK_MAX {
                let (bound, last) = cursor.block_bound(docid);
                holds_to = holds_to.min(last);
                bound
            } else {
                cursor.max_score
            };
            self.bounds.push(bound);
            sum += bound;
        }
        (sum, holds_to)
    }

    /// Scores `docid` if it can enter. Every cursor that was brought up to it is moved
    /// past it; one that was not stays where no document can enter.
    fn settle(
        &mut self,
        cursors: &mut [Cursor<'_>],
        pivot: usize,
        docid: u32,
        mut bound: u32,
        top: &mut TopK<'_>,
    ) -> Result<(), Damaged> {
        // From the pivot down: those on the document first, they need no search.
        for position in (0..=pivot).rev() {
            let cursor = &mut cursors[self.order.cursor(position)];
            cursor.next_geq(docid)?;
            bound -= self.bounds[position];
            if cursor.docid == docid {
                bound += cursor.score();
                cursor.next()?;
            }
            self.order.set(position, cursor.docid);
            if bound < top.enter() {
                return Ok(());
            }
        }
        top.offer(docid, bound);
        Ok(())
    }

    /// Moves the cursor with the largest maximum to `target`: its list is likely the
    /// shortest and skips furthest. No document before `target` can enter.
    fn skip(
        &mut self,
        cursors: &mut [Cursor<'_>],
        pivot: usize,
        target: u32,
    ) -> Result<(), Damaged> {
        let heaviest = (0..=pivot).max_by_key(|&p| cursors[self.order.cursor(p)].max_score);
        if let Some(position) = heaviest {
            let cursor = &mut cursors[self.order.cursor(position)];
            cursor.next_geq(target)?;
            self.order.set(position, cursor.docid);
            self.order.sink(position);
        }
        Ok(())
    }
}

/// Cursors by docid: (docid, index of the cursor) in one word each, so that keeping them
/// sorted touches neither cursors nor blocks.
#[derive(Default)]
struct DocidOrder(Vec<u64>);

impl DocidOrder {
    fn reset(&mut self, cursors: &[Cursor<'_>]) {
        self.0.clear();
        self.0.extend(cursors.iter().enumerate().map(|(i, c)| word(c.docid, i)));
        self.0.sort_unstable();
    }

    #[inline]
    fn cursor(&self, position: usize) -> usize {
        self.0[position] as u32 as usize
    }

    /// Docid at a position; [`END`] past the last.
    #[inline]
    fn docid(&self, position: usize) -> u32 {
        self.0.get(position).map_or(END, |&word| (word >> 32) as u32)
    }

    #[inline]
    fn set(&mut self, position: usize, docid: u32) {
        self.0[position] = word(docid, self.cursor(position));
    }

    /// First position at which the list maxima reach `enter`, further cursors on the same
    /// document included, and that document; `None` if no document can enter.
    #[inline]
    fn pivot(&self, cursors: &[Cursor<'_>], enter: u32) -> Option<(usize, u32)> {
        let mut bound = 0;
        for position in 0..self.0.len() {
            bound += cursors[self.cursor(position)].max_score;
            if bound >= enter {
                let docid = self.docid(position);
                let same =
                    self.0[position + 1..].iter().take_while(|&&w| (w >> 32) as u32 == docid);
                return (docid != END).then(|| (position + same.count(), docid));
            }
        }
        None
    }

    /// Sorts after docids up to `last` grew: insertion, from the back.
    #[inline]
    fn restore(&mut self, last: usize) {
        for position in (0..=last).rev() {
            self.sink(position);
        }
    }

    /// Moves the word at `position` to its place among the sorted ones behind it.
    #[inline]
    fn sink(&mut self, mut position: usize) {
        let moved = self.0[position];
        while let Some(&next) = self.0.get(position + 1)
            && next < moved
        {
            self.0[position] = next;
            position += 1;
        }
        self.0[position] = moved;
    }
}

#[inline]
fn word(docid: u32, cursor: usize) -> u64 {
    u64::from(docid) << 32 | cursor as u64
}
