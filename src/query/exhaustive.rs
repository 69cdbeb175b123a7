//! The oracle: every posting of every term, then a full sort.

use std::cmp::Reverse;

use super::admit::Admit;
use super::{Hit, Weighted};
use crate::format::postings::{Block, Damaged};
use crate::simd::SimdLevel;

pub(super) fn search<A: Admit>(
    lists: &[Weighted<'_>],
    order: Option<&[u32]>,
    level: SimdLevel,
    (k, least, admit): (usize, u32, A),
    hits: &mut Vec<Hit>,
) -> Result<(), Damaged> {
    let documents = lists.first().map_or(0, |l| l.list.documents as usize);
    let mut scores = vec![0u32; documents];
    let mut block = Block::with_simd(level);
    for Weighted { list, weight } in lists {
        for b in 0..list.blocks() {
            list.decode(b, &mut block)?;
            for (&docid, &impact) in block.docids[..block.len].iter().zip(&block.impacts) {
                // A damaged list may repeat a docid; wrapping keeps that an odd score.
                let score = &mut scores[docid as usize];
                *score = score.wrapping_add(weight * u32::from(impact));
            }
        }
    }
    let ordinal = |docid: usize| order.map_or(docid as u32, |order| order[docid]);
    let scored = scores.iter().enumerate().filter(|&(_, &score)| score > 0);
    hits.extend(scored.filter_map(|(docid, &score)| {
        let score = admit.score(docid as u32, score).filter(|&score| score >= least)?;
        Some(Hit { ordinal: ordinal(docid), score })
    }));
    hits.sort_unstable_by_key(|h| (Reverse(h.score), h.ordinal));
    hits.truncate(k);
    Ok(())
}
