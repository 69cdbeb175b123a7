//! WAND: skip to the first document whose lists' maxima together reach the threshold.

use super::cursor::{Cursor, DocidOrder};
use super::topk::TopK;
use crate::format::postings::Damaged;

pub(super) fn search(cursors: &mut [Cursor<'_>], top: &mut TopK<'_>) -> Result<(), Damaged> {
    let mut order = DocidOrder::new(cursors);
    while let Some(pivot) = order.pivot(cursors, top.enter()) {
        let docid = cursors[order.as_slice()[pivot] as usize].docid;
        if cursors[order.as_slice()[0] as usize].docid == docid {
            score(cursors, &mut order, pivot, top)?;
        } else {
            advance_one(cursors, &mut order, pivot, docid)?;
        }
    }
    Ok(())
}

/// Scores the document that the cursors up to `pivot` stand on and moves them past it.
pub(super) fn score(
    cursors: &mut [Cursor<'_>],
    order: &mut DocidOrder,
    pivot: usize,
    top: &mut TopK<'_>,
) -> Result<(), Damaged> {
    let on_pivot = &order.as_slice()[..=pivot];
    let docid = cursors[on_pivot[0] as usize].docid;
    let score = on_pivot.iter().map(|&i| cursors[i as usize].score()).sum();
    top.offer(docid, score);
    for &i in on_pivot {
        cursors[i as usize].next()?;
    }
    // From the back, so that each moved cursor sinks into a sorted rest.
    for position in (0..=pivot).rev() {
        order.sink(cursors, position);
    }
    Ok(())
}

/// Moves one cursor before `target` to it: the one with the largest bound, whose list is
/// likely the shortest and skips furthest.
pub(super) fn advance_one(
    cursors: &mut [Cursor<'_>],
    order: &mut DocidOrder,
    pivot: usize,
    target: u32,
) -> Result<(), Damaged> {
    let behind = order.as_slice()[..=pivot]
        .iter()
        .enumerate()
        .filter(|&(_, &i)| cursors[i as usize].docid < target)
        .max_by_key(|&(_, &i)| cursors[i as usize].max_score);
    if let Some((position, &i)) = behind {
        cursors[i as usize].next_geq(target)?;
        order.sink(cursors, position);
    }
    Ok(())
}
