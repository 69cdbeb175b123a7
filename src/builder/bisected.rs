//! Ordering a collection by recursive graph bisection, within the memory of the build.

use std::path::Path;

use super::BuildOptions;
use super::collect::{Collection, Held};
use super::spool::Spool;
use crate::error::{Error, Result};
use crate::order::{self, BpOptions, ForwardBuilder, ForwardIndex};
use crate::progress::{Progress, advance};

/// An order made by recursive graph bisection.
#[derive(Debug, Clone, PartialEq)]
pub struct Bisected {
    /// Original ordinal of each docid.
    pub order: Vec<u32>,
    /// Mean log2 of gaps, in bits a posting, in input order.
    pub gap_before: f64,
    /// The same in the new order.
    pub gap_after: f64,
}

impl Bisected {
    /// Orders the documents of `forward` and measures what that gained.
    pub(super) fn of(
        forward: &ForwardIndex,
        bp: &BpOptions,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let order = order::bisect(forward, bp, progress);
        advance(progress, 0)?;
        Ok(Bisected {
            gap_before: order::log_gap(forward, &order::identity(forward.len())),
            gap_after: order::log_gap(forward, &order),
            order,
        })
    }
}

impl Collection {
    /// An order that puts documents with common terms next to each other. What is left of
    /// the documents after pruning counts. Documents in memory move to a file in `tmp` if
    /// the bisection needs their room.
    ///
    /// # Errors
    /// `--memory` does not hold the forward index (2 bytes a posting, 4 with more than
    /// 65,536 tokens) and the bisection's copies.
    pub fn bisect(
        &mut self,
        options: &BuildOptions,
        tmp: &Path,
        progress: &dyn Progress,
    ) -> Result<Bisected> {
        let (held, tokens) = (self.held(), self.keys().len());
        let enough = self.estimate(0).enough(&BuildOptions { bisect: true, ..options.clone() });
        let Held::Impacts(impacts) = &mut self.documents else {
            return Err(Error::Internal("the collection was not read from sources".into()));
        };
        let bp = BpOptions::default();
        let (documents, postings) = (impacts.documents as u64, impacts.postings());
        let need = order::bisect_bytes(tokens, postings, documents, &bp);
        options.memory.check_for(held, need, enough, "`order` bp")?;
        if need + impacts.spool.in_memory() > options.memory.left(held) {
            impacts.spool.spill(tmp)?;
        }
        Bisected::of(&forward(&impacts.spool)?, &bp, progress)
    }
}

fn forward(spool: &Spool<u8>) -> Result<ForwardIndex> {
    let mut builder = ForwardBuilder::new();
    spool.for_each(|chunk| chunk.documents().for_each(|(terms, _)| builder.push(terms)))?;
    // Terms of one document have no gap.
    Ok(builder.finish(2))
}
