//! Documents to posting lists: counting sorts by term of as many documents as fit in
//! memory, each a run. Runs hold ranges of documents, so a list is the concatenation of
//! its parts; one run in memory is the simple case.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use zerocopy::IntoBytes;

use super::impacts::Impacts;
use super::pack::{EachList, PostingLists};
use super::renumber::{Gathered, Renumber};
use super::spool::Chunk;
use crate::error::Result;
use crate::progress::{Progress, advance};
use crate::spill::Spill;

/// A posting of a run is its document's place in the run, shifted, and its impact.
const IMPACT_BITS: u32 = 8;
/// So a run has at most this many documents.
const RUN_DOCUMENTS: usize = 1 << (32 - IMPACT_BITS);

/// Postings of consecutive documents, sorted by term in lexicon order.
struct Run {
    /// Ordinal of its first document.
    base: u32,
    /// Postings of each term.
    counts: Words,
    postings: Words,
}

enum Words {
    Memory(Vec<u32>),
    /// First byte in the file.
    File(u64),
}

impl Words {
    /// Some of the words, from memory or from the file.
    fn get(&self, file: &Option<Spill>, at: u64, len: usize) -> Result<Cow<'_, [u32]>> {
        match (self, file) {
            (Words::Memory(all), _) => Ok(Cow::Borrowed(&all[at as usize..at as usize + len])),
            (Words::File(start), Some(file)) => {
                let mut read = vec![0u32; len];
                file.read(read.as_mut_bytes(), start + at * 4)?;
                Ok(Cow::Owned(read))
            }
            (Words::File(_), None) => unreachable!("runs in a file keep it open"),
        }
    }
}

/// Every posting list, cut into runs.
pub(super) struct InvertedRuns {
    runs: Vec<Run>,
    file: Option<Spill>,
    frequencies: Vec<u32>,
    renumber: Renumber,
    /// First term not fetched yet, and for each run its postings before that.
    next: usize,
    before: Vec<u64>,
}

/// Where an inversion may put things.
pub(super) struct Room<'a> {
    /// Postings that may lie in memory while lists are packed; with fewer than all,
    /// runs go to a file.
    pub(super) packing: u64,
    /// Postings of a run on its way to the file.
    pub(super) run: u64,
    pub(super) tmp: &'a Path,
}

/// Inverts `impacts`. `rank` gives each term's place in the lexicon, `frequencies` the
/// documents of each term there.
pub(super) fn invert(
    impacts: &Impacts,
    rank: &[u32],
    frequencies: Vec<u32>,
    renumber: Renumber,
    room: &Room<'_>,
    progress: &dyn Progress,
) -> Result<InvertedRuns> {
    progress.begin("inverting", impacts.documents as u64);
    let in_memory = impacts.postings() <= room.packing;
    let mut file = if in_memory { None } else { Some(Spill::create(room.tmp)?) };
    let limit = if in_memory { u64::MAX } else { room.run };
    let (mut runs, mut base, mut first) = (Vec::new(), 0, 0);
    while first < impacts.spool.len() {
        let (last, documents) = take(impacts, first, limit);
        let (counts, postings) = sort(impacts, first..last, rank, frequencies.len(), progress)?;
        let run = match &mut file {
            None => Run { base, counts: Words::Memory(counts), postings: Words::Memory(postings) },
            Some(file) => Run {
                base,
                counts: Words::File(file.append(counts.as_bytes())?),
                postings: Words::File(file.append(postings.as_bytes())?),
            },
        };
        runs.push(run);
        base += documents as u32;
        first = last;
    }
    let before = vec![0; runs.len()];
    Ok(InvertedRuns { runs, file, frequencies, renumber, next: 0, before })
}

/// How many chunks from `first` on make the next run, and their documents.
fn take(impacts: &Impacts, first: usize, limit: u64) -> (usize, usize) {
    let (mut documents, mut postings) = (0, 0);
    for i in first..impacts.spool.len() {
        let (more_documents, more_postings) = impacts.spool.shape(i);
        let fits =
            postings + more_postings as u64 <= limit && documents + more_documents <= RUN_DOCUMENTS;
        if i > first && !fits {
            return (i, documents);
        }
        documents += more_documents;
        postings += more_postings as u64;
    }
    (impacts.spool.len(), documents)
}

/// Counting sort of some chunks: postings of each term, and all of them by term.
fn sort(
    impacts: &Impacts,
    chunks: Range<usize>,
    rank: &[u32],
    terms: usize,
    progress: &dyn Progress,
) -> Result<(Vec<u32>, Vec<u32>)> {
    let (mut chunk, mut buffer) = (Chunk::default(), Vec::new());
    let mut counts = vec![0u32; terms];
    for i in chunks.clone() {
        impacts.spool.read(i, &mut chunk, &mut buffer)?;
        chunk.terms.iter().for_each(|&t| counts[rank[t as usize] as usize] += 1);
    }
    let mut total = 0usize;
    let starts = counts.iter().map(|&n| {
        total += n as usize;
        total - n as usize
    });
    let mut next: Vec<usize> = starts.collect();
    let mut postings = vec![0u32; total];
    let mut local = 0u32;
    for i in chunks {
        impacts.spool.read(i, &mut chunk, &mut buffer)?;
        for (terms, values) in chunk.documents() {
            for (&term, &impact) in terms.iter().zip(values) {
                let at = &mut next[rank[term as usize] as usize];
                postings[*at] = local << IMPACT_BITS | u32::from(impact);
                *at += 1;
            }
            local += 1;
        }
        advance(progress, chunk.ends.len() as u64)?;
    }
    Ok((counts, postings))
}

/// The parts of some consecutive lists that had to be read from the file.
pub(super) struct Fetched {
    terms: Range<usize>,
    /// For each run, the postings before `terms`, and counts and postings from the file.
    parts: Vec<(u64, Option<[Vec<u32>; 2]>)>,
}

impl PostingLists for InvertedRuns {
    type Fetched = Fetched;

    fn frequencies(&self) -> &[u32] {
        &self.frequencies
    }

    fn scratch(&self) -> u64 {
        self.renumber.scratch()
    }

    fn fetch(&mut self, terms: Range<usize>) -> Result<Fetched> {
        debug_assert_eq!(self.next, terms.start, "lists are fetched once, in order");
        self.next = terms.end;
        let mut parts = Vec::with_capacity(self.runs.len());
        for (run, before) in self.runs.iter().zip(&mut self.before) {
            let at = *before;
            let counts = run.counts.get(&self.file, terms.start as u64, terms.len())?;
            let postings: usize = counts.iter().map(|&n| n as usize).sum();
            *before += postings as u64;
            let read = match counts {
                Cow::Borrowed(_) => None,
                Cow::Owned(counts) => {
                    Some([counts, run.postings.get(&self.file, at, postings)?.into_owned()])
                }
            };
            parts.push((at, read));
        }
        Ok(Fetched { terms, parts })
    }

    fn visit(&self, fetched: &Fetched, each: &mut EachList<'_>) -> Result<()> {
        let mut views: Vec<(u32, &[u32], &[u32])> = Vec::with_capacity(self.runs.len());
        for (run, (at, read)) in self.runs.iter().zip(&fetched.parts) {
            views.push(match (read, &run.counts, &run.postings) {
                (Some([counts, postings]), _, _) => (run.base, counts, postings),
                (None, Words::Memory(counts), Words::Memory(postings)) => {
                    (run.base, &counts[fetched.terms.clone()], &postings[*at as usize..])
                }
                _ => unreachable!("what is in the file was read by `fetch`"),
            });
        }
        let mut list = Gathered::default();
        for term in 0..fetched.terms.len() {
            list.clear();
            for (base, counts, postings) in &mut views {
                let (part, rest) = postings.split_at(counts[term] as usize);
                *postings = rest;
                list.docids.extend(part.iter().map(|&p| *base + (p >> IMPACT_BITS)));
                list.impacts.extend(part.iter().map(|&p| p as u8));
            }
            self.renumber.apply(&mut list);
            each(&list.docids, &list.impacts)?;
        }
        Ok(())
    }
}

impl InvertedRuns {
    /// Bytes of runs in memory.
    pub(super) fn in_memory(&self) -> u64 {
        let words = |words: &Words| match words {
            Words::Memory(words) => 4 * words.len() as u64,
            Words::File(_) => 0,
        };
        self.runs.iter().map(|run| words(&run.counts) + words(&run.postings)).sum()
    }

    /// Bytes of runs in the file.
    pub(super) fn on_disk(&self) -> u64 {
        self.file.as_ref().map_or(0, Spill::len)
    }
}
