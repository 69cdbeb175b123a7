//! Few documents are kept: each is asked for in every list, and its time is all there is.

use super::Weighted;
use super::admit::{Admit, Admitted};
use super::counters::Count;
use super::cursor::Cursors;
use super::select::Selector;
use crate::format::postings::{Damaged, Representation};

/// Buffers, reused from query to query.
#[derive(Default)]
pub(super) struct KeptOnly<'a> {
    scores: Vec<(u32, u32)>,
    lists: Vec<Weighted<'a>>,
}

impl<'a> KeptOnly<'a> {
    /// The buffers for another index's lists.
    pub(super) fn release<'b>(self) -> KeptOnly<'b> {
        KeptOnly { scores: self.scores, lists: super::buffers::emptied(self.lists) }
    }

    /// Scores every document of `kept`, in docid order, and hands on what can enter.
    pub(super) fn search<A: Admit, C: Count>(
        &mut self,
        lists: &[Weighted<'a>],
        kept: &[u32],
        cursors: &mut Cursors<'a>,
        selector: &mut Admitted<'_, Selector<'_>, A>,
        count: &mut C,
    ) -> Result<(), Damaged> {
        self.scores.clear();
        self.scores.extend(kept.iter().map(|&docid| (docid, 0)));
        self.lists.clear();
        for &Weighted { list, weight } in lists {
            if list.representation != Representation::Bitmap {
                self.lists.push(Weighted { list, weight });
                continue;
            }
            let bitmap = list.bitmap().ok_or(Damaged)?;
            for (docid, score) in &mut self.scores {
                let impact = bitmap.impact(*docid).ok_or(Damaged)?;
                *score = score.wrapping_add(weight * u32::from(impact));
                count.postings(u64::from(impact > 0));
            }
        }
        for cursor in cursors.open(&self.lists, count)? {
            for (docid, score) in &mut self.scores {
                cursor.next_geq(*docid, count)?;
                if cursor.docid == *docid {
                    *score = score.wrapping_add(cursor.score());
                    count.postings(1);
                }
            }
        }
        for &(docid, score) in &self.scores {
            if score >= selector.enter() {
                selector.push(docid, score);
            }
        }
        Ok(())
    }
}
