//! What a build will hold in its most demanding step, said before or while its documents
//! are read: who waits for a refusal waits once.

use super::{BuildOptions, pack};
use crate::error::Result;
use crate::order::{BpOptions, bisect_bytes};
use crate::vectors::Size;

/// Memory beside documents that reading wants for buffers: the open chunk, packed bytes, a
/// block of the store.
pub(super) const READ_BUFFERS: u64 = 16 << 20;

/// A collection, as far as it is known or can be guessed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Estimate {
    /// Documents.
    pub documents: u64,
    /// Bytes of all external ids.
    pub id_bytes: u64,
    /// Tokens of all fields.
    pub tokens: u64,
    /// Postings.
    pub postings: u64,
    /// Documents of the most frequent token.
    pub longest: u64,
    /// Bytes that the sources hold while they are read.
    pub sources: u64,
}

impl Estimate {
    /// The least and the most that sources of these sizes make together; pruning may leave
    /// anything of their postings.
    pub(super) fn of(sizes: &[Size], options: &BuildOptions) -> [Self; 2] {
        let sum = |part: fn(&Size) -> u64| sizes.iter().map(part).sum::<u64>();
        let (documents, sources) = (sum(|s| s.documents), sum(|s| s.held));
        let pruned = options.pruning != Default::default();
        let most = Estimate {
            documents,
            id_bytes: sum(|s| s.id_bytes[1]),
            tokens: sum(|s| s.tokens),
            postings: sum(|s| s.postings[1]),
            longest: sum(|s| s.longest[1]),
            sources,
        };
        let least = Estimate {
            id_bytes: sum(|s| s.id_bytes[0]),
            tokens: sizes.iter().map(|s| s.tokens).max().unwrap_or(0),
            postings: if pruned { 0 } else { sum(|s| s.postings[0]) },
            longest: if pruned { 0 } else { sum(|s| s.longest[0]) },
            ..most
        };
        [least, most]
    }

    /// Texts that have been analysed so far, and the vectors that they go with.
    pub fn so_far(texts: Size, vectors: &[Size]) -> Self {
        let sum = |part: fn(&Size) -> u64| vectors.iter().map(part).sum::<u64>();
        Estimate {
            documents: texts.documents,
            id_bytes: texts.id_bytes[1],
            tokens: texts.tokens + sum(|s| s.tokens),
            postings: texts.postings[1] + sum(|s| s.postings[1]),
            longest: texts.documents,
            sources: texts.held + sum(|s| s.held),
        }
    }

    /// Refuses to read on where what was read already takes too much; `done` is the share of
    /// the collection that was, if it is known.
    pub fn check(&self, done: Option<f64>, options: &BuildOptions) -> Result<()> {
        if self.reading() <= options.memory.left(self.held()) {
            return Ok(());
        }
        let enough = self.whole(done.unwrap_or(1.0)).enough(options);
        options.memory.check_for(self.held(), self.reading(), enough, "reading")
    }

    /// All of a collection of which `part` of the whole has been seen: tokens become rarer,
    /// so that their number comes out too large rather than too small.
    pub(super) fn whole(self, part: f64) -> Self {
        // Later documents and ids may be longer.
        let margin = if part < 1.0 { 1.1 } else { 1.0 };
        let grown = |n: u64| (n as f64 / part * margin) as u64;
        Estimate {
            documents: grown(self.documents),
            id_bytes: grown(self.id_bytes),
            tokens: grown(self.tokens),
            postings: grown(self.postings),
            longest: grown(self.documents),
            sources: grown(self.sources),
        }
    }

    /// Bytes that stay until the build ends: ids with their sorted section (24 bytes and
    /// the id), token table, term records and lexicon (measured 150 to 220 a term).
    pub(super) fn held(&self) -> u64 {
        24 * self.documents + self.id_bytes + 224 * self.tokens
    }

    /// What reading needs beside [`held`](Self::held).
    fn reading(&self) -> u64 {
        self.sources + READ_BUFFERS
    }

    /// What `--order bp` needs beside [`held`](Self::held).
    fn bisecting(&self) -> u64 {
        let options = BpOptions::default();
        bisect_bytes(self.tokens as usize, self.postings, self.documents, &options)
    }

    /// What packing needs beside [`held`](Self::held), in input order.
    fn packing(&self, options: &BuildOptions) -> u64 {
        pack::least_for(self.postings, self.longest, 1, 0, options)
    }

    /// Bytes of the whole build, the program aside, if this is what it gets; enough for
    /// another order than that of the input.
    pub(super) fn enough(&self, options: &BuildOptions) -> u64 {
        // The order and its inverse, and a byte a document for each worker.
        let workers = rayon::current_num_threads() as u64;
        let packing = self.packing(options) + (8 + workers) * self.documents;
        let bisecting = if options.bisect { self.bisecting() } else { 0 };
        self.held() + self.reading().max(bisecting).max(packing)
    }
}

/// Refuses, before anything is read, a collection of which already the least is too much.
pub(super) fn admit([least, most]: [Estimate; 2], options: &BuildOptions) -> Result<()> {
    let enough = most.enough(options);
    let held = least.held();
    options.memory.check_for(held, least.reading(), enough, "reading")?;
    if options.bisect {
        options.memory.check_for(held, least.bisecting(), enough, "--order bp")?;
    }
    options.memory.check_for(held, least.packing(options), enough, "packing the lists")
}
