//! MaxScore (Turtle and Flood, Query evaluation: strategies and optimizations, 1995) and
//! Block-Max MaxScore (Chakrabarti, Chaudhuri and Ganti, ICDE 2011; as in PISA).
//!
//! Lists stand in order of their maxima. The first of them, whose maxima together do not
//! reach the threshold, are non-essential: a document that stands in none of the others
//! cannot enter. Documents come from the essential lists; the non-essential ones are
//! asked from the largest maximum down, while what is left can still lift the document
//! over the threshold. Block-Max MaxScore first sums the maxima of the blocks around the
//! document.

use super::Weighted;
use super::admit::{Admit, Admitted};
use super::bounds::Bound;
use super::buffers::emptied;
use super::counters::Count;
use super::cursor::{Cursor, Cursors, END};
use super::topk::TopK;
use crate::format::postings::Damaged;

/// Buffers of the walk, reused from query to query.
#[derive(Default)]
pub(super) struct MaxScore<'a> {
    lists: Vec<Weighted<'a>>,
    bounds: Vec<Bound>,
    /// Sum of the maxima of a list and of those before it.
    upper: Vec<u32>,
    /// Docid of each cursor, side by side: most steps look at all and move one.
    docids: Vec<u32>,
}

impl<'a> MaxScore<'a> {
    /// The buffers for another index's lists.
    pub(super) fn release<'b>(self) -> MaxScore<'b> {
        let MaxScore { lists, bounds, upper, docids } = self;
        MaxScore { lists: emptied(lists), bounds, upper, docids }
    }

    pub(super) fn search<const BLOCK_MAX: bool, A: Admit, C: Count>(
        &mut self,
        lists: &[Weighted<'a>],
        cursors: &mut Cursors<'a>,
        top: &mut Admitted<'_, TopK<'_>, A>,
        count: &mut C,
    ) -> Result<(), Damaged> {
        self.lists.clear();
        self.lists.extend_from_slice(lists);
        self.lists.sort_unstable_by_key(|l| (l.weight * u32::from(l.list.max_impact), l.list.df));
        let cursors = cursors.open(&self.lists, count)?;
        self.reset(cursors);

        let mut essential = self.first_essential(0, top.enter());
        let mut docid = self.least_docid(essential);
        while docid != END {
            if A::LIMITS {
                let next = top.admit.next(docid);
                if next > docid {
                    docid = self.move_to(cursors, essential, next, count)?;
                    continue;
                }
            }
            let (sum, next) = self.score_essential(cursors, essential, docid, count)?;
            let enter = top.enter();
            let whole = match essential {
                0 => Some(sum),
                _ => self.complete::<BLOCK_MAX, C>(cursors, essential, docid, sum, enter, count)?,
            };
            if let Some(score) = whole {
                top.offer(docid, score);
                let first = self.first_essential(essential, top.enter());
                if first > essential {
                    essential = first;
                    docid = self.least_docid(essential);
                    continue;
                }
            }
            docid = next;
        }
        Ok(())
    }

    fn reset(&mut self, cursors: &[Cursor<'_>]) {
        self.bounds.clear();
        self.bounds.extend(cursors.iter().map(Bound::of));
        self.docids.clear();
        self.docids.extend(cursors.iter().map(|c| c.docid));
        self.upper.clear();
        self.upper.extend(self.bounds.iter().scan(0, |sum: &mut u32, bound| {
            *sum += bound.list;
            Some(*sum)
        }));
    }

    /// First list, `from` or after it, that lifts the sum of the maxima to `enter`.
    #[inline]
    fn first_essential(&self, from: usize, enter: u32) -> usize {
        from + self.upper[from..].iter().take_while(|&&sum| sum < enter).count()
    }

    #[inline]
    fn least_docid(&self, essential: usize) -> u32 {
        self.docids[essential..].iter().copied().min().unwrap_or(END)
    }

    /// Moves the essential lists to `target`, and gives the first document of any of them.
    fn move_to<C: Count>(
        &mut self,
        cursors: &mut [Cursor<'_>],
        essential: usize,
        target: u32,
        count: &mut C,
    ) -> Result<u32, Damaged> {
        for (docid, cursor) in self.docids.iter_mut().zip(cursors).skip(essential) {
            cursor.next_geq(target, count)?;
            *docid = cursor.docid;
        }
        Ok(self.least_docid(essential))
    }

    /// What the essential lists give `docid`, and the next document of any of them.
    #[inline]
    fn score_essential<C: Count>(
        &mut self,
        cursors: &mut [Cursor<'_>],
        essential: usize,
        docid: u32,
        count: &mut C,
    ) -> Result<(u32, u32), Damaged> {
        let (mut score, mut next) = (0u32, END);
        for (i, at) in self.docids.iter_mut().enumerate().skip(essential) {
            if *at == docid {
                let cursor = &mut cursors[i];
                score = score.wrapping_add(cursor.score());
                count.postings(1);
                cursor.next(count)?;
                *at = cursor.docid;
            }
            next = next.min(*at);
        }
        Ok((score, next))
    }

    /// Adds what the non-essential lists give `docid`; `None` as soon as it cannot enter.
    #[inline]
    fn complete<const BLOCK_MAX: bool, C: Count>(
        &mut self,
        cursors: &mut [Cursor<'_>],
        essential: usize,
        docid: u32,
        mut score: u32,
        enter: u32,
        count: &mut C,
    ) -> Result<Option<u32>, Damaged> {
        // What the lists that were not asked yet can add.
        let mut rest = self.upper[essential - 1];
        // Impacts of a damaged file may exceed the maxima that the query was checked by: sums
        // wrap.
        if score.wrapping_add(rest) < enter {
            return Ok(None);
        }
        if BLOCK_MAX {
            for i in (0..essential).rev() {
                let bound = &mut self.bounds[i];
                bound.move_to(docid, || &mut cursors[i]);
                rest -= bound.list - bound.block;
                if score.wrapping_add(rest) < enter {
                    return Ok(None);
                }
            }
        }
        for i in (0..essential).rev() {
            let (cursor, bound) = (&mut cursors[i], &self.bounds[i]);
            rest -= if BLOCK_MAX { bound.block } else { bound.list };
            cursor.next_geq(docid, count)?;
            if cursor.docid == docid {
                score = score.wrapping_add(cursor.score());
                count.postings(1);
            }
            if score.wrapping_add(rest) < enter {
                return Ok(None);
            }
        }
        Ok(Some(score))
    }
}
