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

use super::admit::{Admit, Admitted};
use super::bounds::Bound;
use super::counters::Count;
use super::cursor::{Cursor, END};
use super::topk::TopK;
use crate::format::postings::Damaged;

/// Buffers of the walk, reused from query to query.
#[derive(Default)]
pub(super) struct Wand {
    lists: ByDocid,
}

/// A list where its cursor stands: all that choosing a pivot reads, side by side, so that it
/// touches neither cursors nor blocks.
#[derive(Debug, Clone, Copy)]
struct Standing {
    docid: u32,
    bound: Bound,
    /// Index of the cursor.
    cursor: u32,
}

impl Wand {
    pub(super) fn search<const BLOCK_MAX: bool, A: Admit, C: Count>(
        &mut self,
        cursors: &mut [Cursor<'_>],
        top: &mut Admitted<'_, TopK<'_>, A>,
        count: &mut C,
    ) -> Result<(), Damaged> {
        let lists = &mut self.lists;
        lists.reset(cursors);
        // No document before this one can enter, wherever cursors stand.
        let mut floor = 0;
        while let Some((pivot, docid, mut bound)) = lists.pivot(floor, top.enter()) {
            if A::LIMITS {
                let next = top.admit.next(docid);
                if next > docid {
                    floor = next;
                    lists.skip(cursors, pivot, floor, count)?;
                    continue;
                }
            }
            if BLOCK_MAX {
                let until;
                (bound, until) = lists.block_bound(cursors, pivot, docid);
                if bound < top.enter() {
                    let target = lists.beyond(cursors, pivot, bound, until, top.enter());
                    // Of a damaged file a bound may end before it begins.
                    floor = target.max(docid + 1);
                    lists.skip(cursors, pivot, floor, count)?;
                    continue;
                }
            }
            lists.settle::<BLOCK_MAX, A, C>(cursors, pivot, docid, bound, top, count)?;
            lists.restore(pivot);
            floor = docid + 1;
        }
        Ok(())
    }
}

/// Lists by the docids at which their cursors stand.
#[derive(Default)]
struct ByDocid(Vec<Standing>);

impl ByDocid {
    fn reset(&mut self, cursors: &[Cursor<'_>]) {
        let standing = |(i, cursor): (usize, &Cursor<'_>)| Standing {
            docid: cursor.docid,
            bound: Bound::of(cursor),
            cursor: i as u32,
        };
        self.0.clear();
        self.0.extend(cursors.iter().enumerate().map(standing));
        self.0.sort_unstable_by_key(|list| (list.docid, list.cursor));
    }

    /// First position at which the list maxima reach `enter`; the first document from
    /// `floor` on that can enter; the position of the last cursor that may stand on it, and
    /// the sum of the maxima up to there. `None` if no document can enter.
    #[inline]
    fn pivot(&self, floor: u32, enter: u32) -> Option<(usize, u32, u32)> {
        let mut bound = 0;
        for (position, list) in self.0.iter().enumerate() {
            bound += list.bound.list;
            if bound >= enter {
                let (docid, mut pivot) = (list.docid.max(floor), position);
                if docid == END {
                    return None;
                }
                for next in &self.0[pivot + 1..] {
                    if next.docid > docid {
                        break;
                    }
                    pivot += 1;
                    bound += next.bound.list;
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
        for Standing { bound, cursor, .. } in &mut self.0[..=pivot] {
            bound.move_to(docid, || &mut cursors[*cursor as usize]);
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
        for Standing { docid, bound, cursor } in &mut self.0[pivot + 1..] {
            if *docid >= until {
                break;
            }
            // The list has nothing before its cursor, so that is where its bound counts.
            bound.move_to(*docid, || &mut cursors[*cursor as usize]);
            sum += bound.block;
            if sum >= enter {
                return *docid;
            }
            until = until.min(bound.until);
        }
        until
    }

    /// Scores `docid` if it can enter. Every cursor that was brought up to it is moved
    /// past it; one that was not stays where no document can enter.
    #[inline]
    fn settle<const BLOCK_MAX: bool, A: Admit, C: Count>(
        &mut self,
        cursors: &mut [Cursor<'_>],
        pivot: usize,
        docid: u32,
        mut bound: u32,
        top: &mut Admitted<'_, TopK<'_>, A>,
        count: &mut C,
    ) -> Result<(), Damaged> {
        // From the pivot down: those on the document first, they need no search.
        for list in self.0[..=pivot].iter_mut().rev() {
            let cursor = &mut cursors[list.cursor as usize];
            // A sum that a damaged file's impacts made wrap wraps back.
            bound = bound.wrapping_sub(if BLOCK_MAX { list.bound.block } else { list.bound.list });
            cursor.next_geq(docid, count)?;
            if cursor.docid == docid {
                bound = bound.wrapping_add(cursor.score());
                count.postings(1);
                cursor.next(count)?;
            }
            list.docid = cursor.docid;
            if bound < top.enter() {
                return Ok(());
            }
        }
        top.offer(docid, bound);
        Ok(())
    }

    /// Moves the cursor with the largest maximum to `target`: its list is likely the
    /// shortest and skips furthest. No document before `target` can enter.
    #[inline]
    fn skip<C: Count>(
        &mut self,
        cursors: &mut [Cursor<'_>],
        pivot: usize,
        target: u32,
        count: &mut C,
    ) -> Result<(), Damaged> {
        let (mut position, mut most) = (0, 0);
        for (i, list) in self.0[..=pivot].iter().enumerate() {
            if list.bound.list >= most {
                (position, most) = (i, list.bound.list);
            }
        }
        let list = &mut self.0[position];
        let cursor = &mut cursors[list.cursor as usize];
        cursor.next_geq(target, count)?;
        list.docid = cursor.docid;
        self.sink(position);
        Ok(())
    }

    /// Sorts after docids up to `last` grew: insertion, from the back.
    #[inline]
    fn restore(&mut self, last: usize) {
        for position in (0..=last).rev() {
            self.sink(position);
        }
    }

    /// Moves the list at `position` to its place among the sorted ones behind it.
    #[inline]
    fn sink(&mut self, position: usize) {
        let rest = &mut self.0[position..];
        let moved = rest[0];
        let mut at = 0;
        while at + 1 < rest.len() && rest[at + 1].docid < moved.docid {
            rest[at] = rest[at + 1];
            at += 1;
        }
        rest[at] = moved;
    }
}
