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

use super::bounds::Bound;
use super::counters::Count;
use super::cursor::{Cursor, END};
use super::topk::TopK;
use crate::format::postings::Damaged;

/// Buffers of the walk, reused from query to query.
#[derive(Default)]
pub(super) struct Wand {
    order: DocidOrder,
    bounds: Vec<Bound>,
}

impl Wand {
    pub(super) fn search<const BLOCK_MAX: bool, C: Count>(
        &mut self,
        cursors: &mut [Cursor<'_>],
        top: &mut TopK<'_>,
        count: &mut C,
    ) -> Result<(), Damaged> {
        self.order.reset(cursors);
        self.bounds.clear();
        self.bounds.extend(cursors.iter().map(Bound::of));
        // No document before this one can enter, wherever cursors stand.
        let mut floor = 0;
        while let Some((pivot, docid, mut bound)) = self.pivot(floor, top.enter()) {
            if BLOCK_MAX {
                let until;
                (bound, until) = self.block_bound(cursors, pivot, docid);
                if bound < top.enter() {
                    let target = self.beyond(cursors, pivot, bound, until, top.enter());
                    // Of a damaged file a bound may end before it begins.
                    floor = target.max(docid + 1);
                    self.skip(cursors, pivot, floor, count)?;
                    continue;
                }
            }
            self.settle::<BLOCK_MAX, C>(cursors, pivot, docid, bound, top, count)?;
            self.order.restore(pivot);
            floor = docid + 1;
        }
        Ok(())
    }

    /// First position at which the list maxima reach `enter`; the first document from
    /// `floor` on that can enter; the position of the last cursor that may stand on it, and
    /// the sum of the maxima up to there. `None` if no document can enter.
    #[inline]
    fn pivot(&self, floor: u32, enter: u32) -> Option<(usize, u32, u32)> {
        let words = &self.order.0;
        let mut bound = 0;
        for (position, &word) in words.iter().enumerate() {
            bound += self.bounds[cursor_of(word)].list;
            if bound >= enter {
                let (docid, mut pivot) = (docid_of(word).max(floor), position);
                if docid == END {
                    return None;
                }
                while let Some(&next) = words.get(pivot + 1)
                    && docid_of(next) <= docid
                {
                    pivot += 1;
                    bound += self.bounds[cursor_of(next)].list;
                }
                return Some((pivot, docid, bound));
            }
        }
        None
    }

    /// Sum of what the lists up to the pivot can add to `docid` by their blocks' maxima,
    /// and the first document for which that does not hold.
    #[inline]
    fn block_bound(&mut self, cursors: &mut [Cursor<'_>], pivot: usize, docid: u32) -> (u32, u32) {
        let (mut sum, mut until) = (0, END);
        for &word in &self.order.0[..=pivot] {
            let bound = &mut self.bounds[cursor_of(word)];
            bound.move_to(docid, &mut cursors[cursor_of(word)]);
            sum += bound.block;
            until = until.min(bound.until);
        }
        (sum, until)
    }

    /// The first document that may enter after one whose blocks promise `sum`, too little,
    /// up to `until`: lists behind the pivot join one by one until they reach `enter`.
    #[inline]
    fn beyond(
        &mut self,
        cursors: &mut [Cursor<'_>],
        pivot: usize,
        mut sum: u32,
        mut until: u32,
        enter: u32,
    ) -> u32 {
        for &word in &self.order.0[pivot + 1..] {
            let docid = docid_of(word);
            if docid >= until {
                break;
            }
            let bound = &mut self.bounds[cursor_of(word)];
            // The list has nothing before its cursor, so that is where its bound counts.
            bound.move_to(docid, &mut cursors[cursor_of(word)]);
            sum += bound.block;
            if sum >= enter {
                return docid;
            }
            until = until.min(bound.until);
        }
        until
    }

    /// Scores `docid` if it can enter. Every cursor that was brought up to it is moved
    /// past it; one that was not stays where no document can enter.
    #[inline]
    fn settle<const BLOCK_MAX: bool, C: Count>(
        &mut self,
        cursors: &mut [Cursor<'_>],
        pivot: usize,
        docid: u32,
        mut bound: u32,
        top: &mut TopK<'_>,
        count: &mut C,
    ) -> Result<(), Damaged> {
        // From the pivot down: those on the document first, they need no search.
        for word in self.order.0[..=pivot].iter_mut().rev() {
            let i = cursor_of(*word);
            let (cursor, most) = (&mut cursors[i], &self.bounds[i]);
            // A sum that a damaged file's impacts made wrap wraps back.
            bound = bound.wrapping_sub(if BLOCK_MAX { most.block } else { most.list });
            cursor.next_geq(docid, count)?;
            if cursor.docid == docid {
                bound = bound.wrapping_add(cursor.score());
                count.postings(1);
                cursor.next(count)?;
            }
            *word = word_of(cursor.docid, i);
            if bound < top.enter() {
                return Ok(());
            }
        }
        top.offer(docid, bound);
        Ok(())
    }

    /// Moves the cursor with the largest maximum to `target`: its list is likely the
    /// shortest and skips furthest. No document before `target` can enter.
    fn skip<C: Count>(
        &mut self,
        cursors: &mut [Cursor<'_>],
        pivot: usize,
        target: u32,
        count: &mut C,
    ) -> Result<(), Damaged> {
        let list = |&p: &usize| self.bounds[cursor_of(self.order.0[p])].list;
        if let Some(position) = (0..=pivot).max_by_key(list) {
            let i = cursor_of(self.order.0[position]);
            cursors[i].next_geq(target, count)?;
            self.order.0[position] = word_of(cursors[i].docid, i);
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
        self.0.extend(cursors.iter().enumerate().map(|(i, c)| word_of(c.docid, i)));
        self.0.sort_unstable();
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
fn word_of(docid: u32, cursor: usize) -> u64 {
    u64::from(docid) << 32 | cursor as u64
}

#[inline]
fn docid_of(word: u64) -> u32 {
    (word >> 32) as u32
}

#[inline]
fn cursor_of(word: u64) -> usize {
    word as u32 as usize
}
