//! What a query did, for those who ask: algorithms are generic over [`Count`], and the
//! unit type counts nothing and compiles to nothing.

use serde::Serialize;

use super::Algorithm;
use crate::format::WINDOW;
use crate::format::postings::{List, Representation};

/// Work of one query, or of several added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Scores of one term in one document that were computed.
    pub postings: u64,
    /// Blocks of posting lists that were decoded, once for every time. The windowed scan
    /// reads streams and dense lists without decoding blocks.
    pub blocks_decoded: u64,
    /// Blocks of the query's lists less those decoded: what pruning saved.
    pub blocks_skipped: u64,
    /// Windows of 2^13 documents that were scanned.
    pub windows: u64,
    /// Blocks of 16 documents whose maxima promised enough.
    pub blocks_promising: u64,
    /// Terms that were scored in such blocks.
    pub block_terms: u64,
}

impl Counters {
    /// Names of the counters, in the order of [`values`](Self::values).
    pub const NAMES: [&'static str; 6] = [
        "postings",
        "blocks_decoded",
        "blocks_skipped",
        "windows",
        "blocks_promising",
        "block_terms",
    ];

    /// The counters in the order of [`NAMES`](Self::NAMES).
    pub fn values(&self) -> [u64; 6] {
        let Counters {
            postings,
            blocks_decoded,
            blocks_skipped,
            windows,
            blocks_promising,
            block_terms,
        } = *self;
        [postings, blocks_decoded, blocks_skipped, windows, blocks_promising, block_terms]
    }

    /// Fills in what follows from the lists alone: the exhaustive algorithms read all of
    /// them, and what was not decoded was skipped.
    pub(super) fn complete<'l>(
        &mut self,
        algorithm: Algorithm,
        lists: impl Iterator<Item = &'l List<'l>>,
    ) {
        let mut blocks = 0;
        for list in lists {
            blocks += list.blocks() as u64;
            let by_block = match algorithm {
                Algorithm::Exhaustive => true,
                Algorithm::Windowed => list.representation == Representation::Packed,
                _ => continue,
            };
            self.postings += u64::from(list.df);
            self.blocks_decoded += if by_block { list.blocks() as u64 } else { 0 };
            if algorithm == Algorithm::Windowed {
                self.windows = u64::from(list.documents.div_ceil(WINDOW));
            }
        }
        let pruning = !matches!(algorithm, Algorithm::Exhaustive | Algorithm::Windowed);
        self.blocks_skipped = if pruning { blocks.saturating_sub(self.blocks_decoded) } else { 0 };
    }

    /// Adds those of another query.
    pub fn add(&mut self, other: &Counters) {
        self.postings += other.postings;
        self.blocks_decoded += other.blocks_decoded;
        self.blocks_skipped += other.blocks_skipped;
        self.windows += other.windows;
        self.blocks_promising += other.blocks_promising;
        self.block_terms += other.block_terms;
    }
}

/// Where an algorithm reports its work.
pub(super) trait Count {
    /// `n` scores of a term in a document.
    fn postings(&mut self, n: u64);
    /// A decoded block.
    fn block(&mut self);
    /// Blocks whose maxima promise enough.
    fn promising(&mut self, blocks: u64);
    /// A term that was scored in so many blocks.
    fn block_terms(&mut self, blocks: u64);
}

impl Count for () {
    #[inline]
    fn postings(&mut self, _: u64) {}
    #[inline]
    fn block(&mut self) {}
    #[inline]
    fn promising(&mut self, _: u64) {}
    #[inline]
    fn block_terms(&mut self, _: u64) {}
}

impl Count for Counters {
    fn postings(&mut self, n: u64) {
        self.postings += n;
    }
    fn block(&mut self) {
        self.blocks_decoded += 1;
    }
    fn promising(&mut self, blocks: u64) {
        self.blocks_promising += blocks;
    }
    fn block_terms(&mut self, blocks: u64) {
        self.block_terms += blocks;
    }
}
