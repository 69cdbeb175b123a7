//! Documents to posting lists: one counting sort by term.

use super::Collection;
use crate::progress::Progress;
use crate::quantize::{Clipping, Quantizer};

/// All posting lists, 5 bytes a posting; list `t` of the collection's term ids.
pub(super) struct Inverted {
    starts: Vec<usize>,
    docids: Vec<u32>,
    impacts: Vec<u8>,
}

impl Inverted {
    /// Docids (increasing) and impacts of a term.
    pub(super) fn list(&self, term: u32) -> (&[u32], &[u8]) {
        let range = self.starts[term as usize]..self.starts[term as usize + 1];
        (&self.docids[range.clone()], &self.impacts[range])
    }
}

pub(super) fn invert(
    collection: &Collection,
    order: Option<&[u32]>,
    quantizer: &Quantizer,
    clipping: &mut Clipping,
    progress: &dyn Progress,
) -> Inverted {
    let mut starts = vec![0usize; collection.df().len() + 1];
    for (term, &df) in collection.df().iter().enumerate() {
        starts[term + 1] = starts[term] + df as usize;
    }
    let postings = starts[collection.df().len()];
    let (mut docids, mut impacts) = (vec![0u32; postings], vec![0u8; postings]);
    let mut next = starts.clone();
    progress.begin("inverting", collection.len() as u64);
    for docid in 0..collection.len() {
        let ordinal = order.map_or(docid, |order| order[docid] as usize);
        let (terms, weights) = collection.document(ordinal);
        for (&term, &weight) in terms.iter().zip(weights) {
            let at = &mut next[term as usize];
            docids[*at] = docid as u32;
            impacts[*at] = quantizer.impact(weight, clipping);
            *at += 1;
        }
        progress.advance(1);
    }
    Inverted { starts, docids, impacts }
}
