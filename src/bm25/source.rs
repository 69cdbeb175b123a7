//! BM25 document vectors from a stream of texts.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::analyzer::Analyzer;
use super::chunk::{Analysed, Chunk};
use super::params::{AvgDl, Bm25Params};
use crate::corpus::TextRecord;
use crate::error::{Error, Result};
use crate::format::FieldKind;
use crate::spill::Spill;
use crate::vectors::{Size, TokenTable, VectorRecord, VectorSource};

/// A chunk is analysed by one thread: at most this many documents …
const CHUNK_DOCUMENTS: usize = 512;
/// … or this much text.
const CHUNK_BYTES: usize = 1 << 20;

/// Analyses texts in parallel and yields tf weights in input order; terms ascend by id.
///
/// Term ids are given in order of first appearance, and weights are computed in f64 and
/// rounded once to f32, so the vectors do not depend on the number of threads. With
/// `AvgDl::Auto` the whole collection is analysed by [`Bm25Source::new`] and kept packed
/// (about 2.5 bytes a posting) until it is read, in memory or, beyond what
/// [`Bm25Source::within`] allows, in a temporary file; with `AvgDl::Fixed` texts are
/// streamed.
pub struct Bm25Source<I> {
    texts: I,
    analyzer: Analyzer,
    params: Bm25Params,
    avgdl: f64,
    tokens: TokenTable,
    chunks: VecDeque<Stored>,
    in_memory: u64,
    room: u64,
    tmp: PathBuf,
    file: Option<Spill>,
    documents: u64,
    id_bytes: u64,
    length: u64,
}

/// An analysed chunk, wherever it lies.
enum Stored {
    Memory(Chunk),
    File { at: u64, len: usize },
}

impl<I: Iterator<Item = Result<TextRecord>>> Bm25Source<I> {
    /// A source over `texts`, such as a [`crate::corpus::CorpusReader`].
    ///
    /// # Errors
    /// Parameters outside their ranges; under `AvgDl::Auto` also any error of `texts`.
    pub fn new(texts: I, params: Bm25Params) -> Result<Self> {
        Self::within(u64::MAX, Path::new("."), texts, params, |_| Ok(()))
    }

    /// As [`new`](Self::new), with at most `room` bytes of analysed documents in memory and
    /// the others in a temporary file in `tmp`. `check` sees the source after each batch
    /// that is analysed here, and may refuse to go on.
    pub fn within(
        room: u64,
        tmp: &Path,
        texts: I,
        params: Bm25Params,
        mut check: impl FnMut(&Self) -> Result<()>,
    ) -> Result<Self> {
        params.check()?;
        let mut source = Bm25Source {
            texts,
            analyzer: Analyzer::new(&params),
            params,
            avgdl: 1.0,
            tokens: TokenTable::default(),
            chunks: VecDeque::new(),
            in_memory: 0,
            room,
            tmp: tmp.to_owned(),
            file: None,
            documents: 0,
            id_bytes: 0,
            length: 0,
        };
        match params.avgdl {
            AvgDl::Fixed(length) => source.avgdl = length,
            AvgDl::Auto => {
                while source.analyse()? {
                    check(&source)?;
                }
                if source.length > 0 {
                    source.avgdl = source.length as f64 / source.documents as f64;
                }
            }
        }
        Ok(source)
    }

    /// The parameters with the average length in use filled in: what an index records.
    /// (The average over no token at all is recorded as 1.)
    pub fn params(&self) -> Bm25Params {
        Bm25Params { avgdl: AvgDl::Fixed(self.avgdl), ..self.params }
    }

    /// The field that an index records: the parameters with the average length in use.
    pub fn field(&self) -> FieldKind {
        let Bm25Params { k1, b, stemmer, stopwords, .. } = self.params;
        let (stemmer, stopwords) = (stemmer.to_string(), stopwords.to_string());
        FieldKind::Bm25 { k1, b, avgdl: self.avgdl, stemmer, stopwords }
    }

    /// Documents analysed so far, empty ones included; all of them under `AvgDl::Auto`.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// What is known of the documents analysed so far; all of them under `AvgDl::Auto`.
    pub fn analysed(&self) -> Size {
        let documents = self.documents;
        Size {
            documents,
            tokens: self.tokens.len() as u64,
            id_bytes: [self.id_bytes; 2],
            // A posting stands for one token of the text or for several.
            postings: [0, self.length],
            longest: [0, documents],
            held: self.memory(),
        }
    }

    /// The texts' source, for how much of it has been read.
    pub fn texts(&self) -> &I {
        &self.texts
    }

    /// Reads and analyses a few chunks a thread; `false` at the end of the texts.
    fn analyse(&mut self) -> Result<bool> {
        let mut batch: Vec<Vec<TextRecord>> = Vec::new();
        for _ in 0..4 * rayon::current_num_threads() {
            let chunk = self.read_chunk()?;
            if chunk.is_empty() {
                break;
            }
            batch.push(chunk);
        }
        let analyse = |records: &Vec<TextRecord>| Analysed::new(&self.analyzer, records);
        let analysed: Vec<Analysed> = batch.par_iter().map(analyse).collect();
        // In order, and on one thread: this is what makes term ids deterministic.
        let ids: Vec<Vec<u32>> = analysed.iter().map(|c| c.intern(&mut self.tokens)).collect();
        self.length += analysed.iter().map(Analysed::length).sum::<u64>();
        self.documents += batch.iter().map(|records| records.len() as u64).sum::<u64>();
        self.id_bytes += batch.iter().flatten().map(|record| record.id.len() as u64).sum::<u64>();
        let packed: Vec<Chunk> = (analysed, &batch, &ids)
            .into_par_iter()
            .map(|(chunk, records, ids)| chunk.pack(records, ids))
            .collect();
        packed.into_iter().try_for_each(|chunk| self.keep(chunk))?;
        Ok(!batch.is_empty())
    }

    fn keep(&mut self, chunk: Chunk) -> Result<()> {
        let len = chunk.bytes().len();
        if self.in_memory + len as u64 <= self.room {
            self.in_memory += len as u64;
            self.chunks.push_back(Stored::Memory(chunk));
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(Spill::create(&self.tmp)?),
        };
        self.chunks.push_back(Stored::File { at: file.append(chunk.bytes())?, len });
        Ok(())
    }

    /// The first chunk, in memory.
    fn front(&mut self) -> Result<Option<&mut Chunk>> {
        let Some(front) = self.chunks.front_mut() else { return Ok(None) };
        if let (Stored::File { at, len }, Some(file)) = (&*front, &self.file) {
            let mut bytes = vec![0; *len];
            file.read(&mut bytes, *at)?;
            self.in_memory += bytes.len() as u64;
            *front = Stored::Memory(Chunk::of_bytes(bytes));
        }
        match front {
            Stored::Memory(chunk) => Ok(Some(chunk)),
            Stored::File { .. } => Err(Error::Internal("a chunk's file is gone".into())),
        }
    }

    fn read_chunk(&mut self) -> Result<Vec<TextRecord>> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        while records.len() < CHUNK_DOCUMENTS && bytes < CHUNK_BYTES {
            let Some(record) = self.texts.next().transpose()? else { break };
            bytes += record.text.len();
            records.push(record);
        }
        Ok(records)
    }
}

impl<I: Iterator<Item = Result<TextRecord>>> VectorSource for Bm25Source<I> {
    fn read(&mut self, record: &mut VectorRecord) -> Result<bool> {
        record.clear();
        let Bm25Params { k1, b, .. } = self.params;
        let avgdl = self.avgdl;
        loop {
            let Some(chunk) = self.front()? else {
                if self.analyse()? {
                    continue;
                }
                return Ok(false);
            };
            let VectorRecord { id, terms, weights } = &mut *record;
            let found = chunk.next(id, |term, tf, length| {
                let tf = f64::from(tf);
                let norm = k1 * (1.0 - b + b * f64::from(length) / avgdl);
                terms.push(term);
                weights.push((tf * (k1 + 1.0) / (tf + norm)) as f32);
            });
            if found {
                return Ok(true);
            }
            if let Some(Stored::Memory(chunk)) = self.chunks.pop_front() {
                self.in_memory -= chunk.bytes().len() as u64;
            }
        }
    }

    fn tokens(&self) -> &TokenTable {
        &self.tokens
    }

    fn memory(&self) -> u64 {
        // Ids that the texts' source remembers, tokens, chunks.
        36 * self.documents + 160 * self.tokens.len() as u64 + self.in_memory
    }

    fn size(&self) -> Option<Size> {
        (self.params.avgdl == AvgDl::Auto).then(|| self.analysed())
    }

    fn len_hint(&self) -> Option<u64> {
        (self.params.avgdl == AvgDl::Auto).then_some(self.documents)
    }
}

#[cfg(test)]
mod tests;
