//! Ordering a collection by recursive graph bisection, within the memory of the build.

use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;

use super::BuildOptions;
use super::collect::{Collection, Held};
use crate::error::{Error, Place, Result};
use crate::format::names::NameTable;
use crate::index::Index;
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
    /// Orders the documents of `forward`, beginning with `start`, and measures what that gained.
    pub(super) fn of(
        forward: &ForwardIndex,
        start: Vec<u32>,
        bp: &BpOptions,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let order = order::bisect_from(forward, start, bp, progress);
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
        self.bisect_beside(0, options, tmp)?;
        let start = order::identity(self.len() as u32);
        Bisected::of(&self.forward()?, start, &BpOptions::default(), progress)
    }

    /// As [`bisect`](Self::bisect), beginning with the order of an earlier index, in which documents
    /// are found by their external ids: most of them stand well, so that few iterations do. Where
    /// less than half of the documents are found, all iterations are made.
    ///
    /// # Errors
    /// Also an index whose documents stand in input order, or whose order is damaged.
    pub fn bisect_from(
        &mut self,
        earlier: &Index,
        options: &BuildOptions,
        tmp: &Path,
        progress: &dyn Progress,
    ) -> Result<Bisected> {
        check_earlier(earlier)?;
        let order = earlier.order().unwrap_or_default();
        // Which document stood where, and the ordinals by docid that looking up needs.
        self.bisect_beside(12 * u64::from(earlier.documents()), options, tmp)?;
        let (start, found) = self.start_from(earlier, order)?;
        let bp = match 2 * found >= self.len() {
            true => BpOptions::nightly(),
            false => BpOptions::default(),
        };
        Bisected::of(&self.forward()?, start, &bp, progress)
    }

    /// The order to begin with, and how many documents the earlier one has.
    fn start_from(&self, earlier: &Index, order: &[u32]) -> Result<(Vec<u32>, usize)> {
        if let Some(&ordinal) = order.iter().find(|&&ordinal| ordinal >= earlier.documents()) {
            return Err(earlier.damaged_order(ordinal));
        }
        let mut now: Vec<Option<u32>> = vec![None; order.len()];
        let documents = u32::try_from(self.len()).map_err(|_| too_many(self.len()))?;
        const CHUNK: u32 = 1 << 14;
        let chunks: Vec<u32> = (0..documents).step_by(CHUNK as usize).collect();
        let found: Vec<Vec<(u32, u32)>> = chunks
            .into_par_iter()
            .map(|from| same_ids(earlier, self.names(), from..documents.min(from + CHUNK)))
            .collect();
        let mut count = 0;
        for (was, is) in found.into_iter().flatten() {
            now[was as usize] = Some(is);
            count += 1;
        }
        let before = order.iter().map(|&ordinal| now[ordinal as usize]);
        Ok((order::nightly(before, documents), count))
    }

    /// Makes room for a bisection and `more` bytes, or says that there is none.
    fn bisect_beside(&mut self, more: u64, options: &BuildOptions, tmp: &Path) -> Result<()> {
        let (held, tokens) = (self.held(), self.keys().len());
        let enough = self.estimate(0).enough(&BuildOptions { bisect: true, ..options.clone() });
        let Held::Impacts(impacts) = &mut self.documents else {
            return Err(not_read());
        };
        let bp = BpOptions::default();
        let (documents, postings) = (impacts.documents as u64, impacts.postings());
        let need = order::bisect_bytes(tokens, postings, documents, &bp) + more;
        options.memory.check_for(held, need, enough, "`order` bp")?;
        if need + impacts.spool.in_memory() > options.memory.left(held) {
            impacts.spool.spill(tmp)?;
        }
        Ok(())
    }

    fn forward(&self) -> Result<ForwardIndex> {
        let Held::Impacts(impacts) = &self.documents else { return Err(not_read()) };
        let mut builder = ForwardBuilder::new();
        let spool = &impacts.spool;
        spool.for_each(|chunk| chunk.documents().for_each(|(terms, _)| builder.push(terms)))?;
        // Terms of one document have no gap.
        Ok(builder.finish(2))
    }
}

/// Checks that an order can be taken from an index.
///
/// # Errors
/// Its documents stand in input order.
pub fn check_earlier(earlier: &Index) -> Result<()> {
    if earlier.order().is_some() {
        return Ok(());
    }
    let problem = "expected an index under an order of its own, found one in input order";
    Err(Error::data(earlier.path(), Place::File, problem)
        .hint("`order_from` takes an index that was built with `order` bp"))
}

fn not_read() -> Error {
    Error::Internal("the collection was not read from sources".into())
}

fn too_many(documents: usize) -> Error {
    Error::Usage(format!("{documents} documents exceed the limit of an index; build shards"))
}

/// Ordinals in the earlier index and now, of documents that both have. Most documents stand behind
/// the one that they stood behind, so that few ids are searched for.
fn same_ids(earlier: &Index, names: &NameTable, ordinals: Range<u32>) -> Vec<(u32, u32)> {
    let ids = earlier.external_ids();
    let mut next = 0;
    let mut found = Vec::with_capacity(ordinals.len());
    for is in ordinals {
        let Ok(id) = std::str::from_utf8(names.get(is as usize)) else { continue };
        let was = match next < ids.len() && ids.get(next) == id {
            true => Some(next),
            false => ids.find(id),
        };
        if let Some(was) = was {
            next = was + 1;
            found.push((was, is));
        }
    }
    found
}
