//! The second of two steps: candidates of a shortened query get what its dropped terms
//! add, and the best of them are told.

use std::cmp::Reverse;

use super::counters::Count;
use super::cursor::Cursors;
use super::{Hit, Weighted};
use crate::format::postings::{Damaged, Representation};

/// Adds the scores of `dropped` lists to `hits`, whose ordinals are docids, names them by
/// `order`, and keeps the `k` best, best first.
///
/// Lists are asked one after the other: a list's blocks are decoded once, in order. Dense
/// lists, of which light terms have many, are asked for single documents.
pub(super) fn rescore<'a, C: Count>(
    dropped: &mut Vec<Weighted<'a>>,
    cursors: &mut Cursors<'a>,
    order: Option<&[u32]>,
    k: usize,
    hits: &mut Vec<Hit>,
    count: &mut C,
) -> Result<(), Damaged> {
    hits.sort_unstable_by_key(|hit| hit.ordinal);
    for &Weighted { list, weight } in dropped.iter() {
        match list.representation {
            Representation::Bitmap => {
                let bitmap = list.bitmap().ok_or(Damaged)?;
                add(weight, hits, |docid| bitmap.impact(docid), count)?;
            }
            Representation::Packed | Representation::Stream | Representation::Positions => {}
        }
    }
    dropped.retain(|l| l.list.representation != Representation::Bitmap);
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

/// Adds a dense list; `impact` of a document is 0 where the term is not.
fn add<C: Count>(
    weight: u32,
    hits: &mut [Hit],
    impact: impl Fn(u32) -> Option<u8>,
    count: &mut C,
) -> Result<(), Damaged> {
    for hit in hits {
        let impact = impact(hit.ordinal).ok_or(Damaged)?;
        hit.score = hit.score.wrapping_add(weight * u32::from(impact));
        count.postings(u64::from(impact > 0));
    }
    Ok(())
}
