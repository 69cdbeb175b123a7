//! The second of two steps: candidates of a shortened query get what its dropped terms
//! add, and the best of them are told.

use std::cmp::Reverse;

use super::counters::Count;
use super::cursor::Cursors;
use super::{Hit, Weighted};
use crate::format::postings::Damaged;

/// Adds the scores of `dropped` lists to `hits`, whose ordinals are docids, names them by
/// `order`, and keeps the `k` best, best first.
pub(super) fn rescore<'a, C: Count>(
    dropped: &[Weighted<'a>],
    cursors: &mut Cursors<'a>,
    order: Option<&[u32]>,
    k: usize,
    hits: &mut Vec<Hit>,
    count: &mut C,
) -> Result<(), Damaged> {
    hits.sort_unstable_by_key(|hit| hit.ordinal);
    // List by list: a list's blocks are decoded once, in order.
    for cursor in cursors.open(dropped, count)? {
        for hit in hits.iter_mut() {
            cursor.next_geq(hit.ordinal, count)?;
            if cursor.docid == hit.ordinal {
                hit.score = hit.score.wrapping_add(cursor.score());
                count.postings(1);
            }
        }
    }
    if let Some(order) = order {
        for hit in hits.iter_mut() {
            hit.ordinal = order[hit.ordinal as usize];
        }
    }
    hits.sort_unstable_by_key(|hit| (Reverse(hit.score), hit.ordinal));
    hits.truncate(k);
    Ok(())
}
