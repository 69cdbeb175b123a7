//! Block-Max WAND: WAND's pivot, then the maxima of the blocks around it before any
//! block is decoded.

use super::cursor::{Cursor, DocidOrder, END};
use super::topk::TopK;
use super::wand::{advance_one, score};
use crate::format::postings::Damaged;

pub(super) fn search(cursors: &mut [Cursor<'_>], top: &mut TopK<'_>) -> Result<(), Damaged> {
    let mut order = DocidOrder::new(cursors);
    while let Some(pivot) = order.pivot(cursors, top.enter()) {
        let docid = cursors[order.as_slice()[pivot] as usize].docid;
        let (mut bound, mut holds_to) = (0, END - 1);
        for &i in &order.as_slice()[..=pivot] {
            let (block_bound, last) = cursors[i as usize].block_bound(docid);
            bound += block_bound;
            holds_to = holds_to.min(last);
        }
        if bound < top.enter() {
            // No document can enter before a block ends or another list begins.
            let mut target = holds_to.max(docid) + 1;
            if let Some(&next) = order.as_slice().get(pivot + 1) {
                target = target.min(cursors[next as usize].docid);
            }
            advance_one(cursors, &mut order, pivot, target)?;
        } else if cursors[order.as_slice()[0] as usize].docid == docid {
            score(cursors, &mut order, pivot, top)?;
        } else {
            advance_one(cursors, &mut order, pivot, docid)?;
        }
    }
    Ok(())
}
