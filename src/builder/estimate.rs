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
pub(super) struct Estimate {
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
    /// Bytes of `sources` that grow with the documents: analysed texts that wait in memory.
    pub waiting: u64,
    /// Tokens grow as this power of the documents: 1 if every document has as many new ones.
    pub growth: f64,
}

/// How the number of tokens grew with the documents read so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Growth {
    /// Documents and tokens at less than half of `last`, and there.
    earlier: (u64, u64),
    last: (u64, u64),
}

impl Growth {
    /// Takes the counts as they are now.
    pub fn note(&mut self, documents: u64, tokens: u64) {
        if documents >= 2 * self.last.0.max(1) {
            self.earlier = std::mem::replace(&mut self.last, (documents, tokens));
        }
    }

    /// The power of Heaps' law between then and now. It falls as a collection is read, so
    /// what follows from it is rather too much; before anything is known, that of a
    /// collection with many rare words.
    pub fn power(&self, documents: u64, tokens: u64) -> f64 {
        let (d, t) = self.earlier;
        if d == 0 || t == 0 || documents <= d {
            return 0.8;
        }
        let ratio = |now: u64, then: u64| (now as f64 / then as f64).ln();
        (ratio(tokens, t) / ratio(documents, d)).clamp(0.0, 1.0)
    }
}

/// What readers of lines keep: ids that they have seen, and tokens.
fn seen(documents: u64, tokens: u64) -> u64 {
    36 * documents + 160 * tokens
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
            waiting: 0,
            growth: 0.0,
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
    pub(super) fn so_far(texts: Size, vectors: &[Size], growth: &Growth) -> Self {
        let sum = |part: fn(&Size) -> u64| vectors.iter().map(part).sum::<u64>();
        Estimate {
            documents: texts.documents,
            id_bytes: texts.id_bytes[1],
            tokens: texts.tokens + sum(|s| s.tokens),
            postings: texts.postings[1] + sum(|s| s.postings[1]),
            longest: texts.documents,
            sources: texts.held + sum(|s| s.held),
            waiting: texts.held.saturating_sub(seen(texts.documents, texts.tokens)),
            growth: growth.power(texts.documents, texts.tokens),
        }
    }

    /// Refuses to read on where what was read already takes too much; `done` is the share of
    /// the collection that was, if it is known.
    pub(super) fn check(&self, done: Option<f64>, options: &BuildOptions) -> Result<()> {
        if self.reading() <= options.memory.left(self.held()) {
            return Ok(());
        }
        let enough = self.whole(done.unwrap_or(1.0)).enough(options);
        options.memory.check_for(self.held(), self.reading(), enough, "reading")
    }

    /// All of a collection of which `part` of the whole has been seen.
    pub(super) fn whole(self, part: f64) -> Self {
        if part >= 1.0 {
            return self;
        }
        // Later documents and ids may be longer.
        let grown = |n: u64| (n as f64 / part * 1.1) as u64;
        let documents = grown(self.documents);
        let tokens = (self.tokens as f64 * part.powf(-self.growth) * 1.1) as u64;
        let waiting = grown(self.waiting);
        let more = seen(documents - self.documents, tokens - self.tokens) + waiting - self.waiting;
        Estimate {
            documents,
            id_bytes: grown(self.id_bytes),
            tokens,
            postings: grown(self.postings),
            longest: documents,
            sources: self.sources + more,
            waiting,
            growth: self.growth,
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

    /// What packing `terms` lists needs beside [`held`](Self::held), in input order.
    fn packing(&self, terms: u64, options: &BuildOptions) -> u64 {
        pack::least_for(self.postings, self.longest, terms, 0, options)
    }

    /// Bytes of the whole build, the program aside, if this is what it gets; enough for
    /// another order than that of the input.
    pub(super) fn enough(&self, options: &BuildOptions) -> u64 {
        // The order and its inverse, and a byte a document for each worker.
        let workers = rayon::current_num_threads() as u64;
        let packing = self.packing(self.tokens, options) + (8 + workers) * self.documents;
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
        options.memory.check_for(held, least.bisecting(), enough, "`order` bp")?;
    }
    options.memory.check_for(held, least.packing(1, options), enough, "packing the lists")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_grow_as_they_did_and_never_faster_than_documents() {
        let mut growth = Growth::default();
        assert_eq!(growth.power(10, 10), 0.8);
        // A square root: 4 times the documents have twice the tokens.
        for documents in 1..=4096u64 {
            growth.note(documents, (64.0 * (documents as f64).sqrt()) as u64);
        }
        let power = growth.power(4096, 4096);
        assert!((power - 0.5).abs() < 0.01, "{power}");
        assert_eq!(growth.power(8192, u64::MAX), 1.0);
        let seen = Estimate { documents: 4096, tokens: 4096, growth: power, ..Estimate::default() };
        let whole = seen.whole(1.0 / 100.0);
        assert!((409_600..460_000).contains(&whole.documents), "{whole:?}");
        assert!((40_960..48_000).contains(&whole.tokens), "{whole:?}");
        assert_eq!(seen.whole(1.0), seen);
    }
}
