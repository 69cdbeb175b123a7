//! Posting lists to bytes, in parallel by ranges of terms, written in term order.

use std::ops::Range;

use rayon::prelude::*;
use zerocopy::little_endian::{U32, U64};

use super::BuildOptions;
use crate::error::{Error, Result};
use crate::format::postings::{Encoded, Representation};
use crate::format::terms::impact_statistics;
use crate::format::{BLOCK, IndexWriter, SectionKind, TermRecord, ranges};
use crate::progress::{Progress, advance};

/// Takes docids and impacts of one list.
pub(super) type EachList<'a> = dyn FnMut(&[u32], &[u8]) -> Result<()> + 'a;

/// Posting lists in lexicon order, wherever they lie.
pub(super) trait Lists: Sync {
    /// What a worker needs to read some lists.
    type Fetched: Send + Sync;

    /// Documents of each term.
    fn frequencies(&self) -> &[u32];

    /// Bytes that a worker holds beside the list in hand.
    fn scratch(&self) -> u64;

    /// Gets the next lists from disk; called once for each range, in order.
    fn fetch(&mut self, terms: Range<usize>) -> Result<Self::Fetched>;

    /// Gives docids (increasing) and impacts of each fetched list in turn.
    fn visit(&self, fetched: &Self::Fetched, each: &mut EachList<'_>) -> Result<()>;

    /// Called when fetched lists are packed: what they left in memory may go.
    fn packed(&self) {}
}

/// What POSTINGS needs beside it: block and window arrays and term records.
#[derive(Default)]
pub(super) struct Packed {
    pub(super) last: Vec<u32>,
    pub(super) offset: Vec<u32>,
    pub(super) max: Vec<u8>,
    pub(super) windows: Vec<u32>,
    pub(super) records: Vec<TermRecord>,
    /// RANGE_MAXIMA: where each term's list ends, and the lists; empty if not wanted.
    pub(super) range_ends: Vec<u64>,
    pub(super) ranges: Vec<u8>,
    bytes: u64,
}

/// Postings that one task packs: enough to keep the threads busy, few enough that the
/// batches in flight stay small beside the collection.
const BATCH_POSTINGS: u64 = 1 << 20;

/// Bytes a posting of a list in flight: 4 as read, 5 gathered, 8 as a sort key, and up to
/// 7 encoded.
const IN_FLIGHT: u64 = 24;

/// Bytes a posting of block arrays and a term of records, which stay until the end.
fn kept(postings: u64, terms: u64, options: &BuildOptions) -> u64 {
    // Blocks are no smaller than a quarter of their size on average; vectors grow by half.
    let blocks = postings / BLOCK as u64 * 18;
    // 0.4 to 0.6 bytes a posting, and growth.
    let ranges = if options.ranges { postings + 12 * terms } else { 0 };
    blocks + ranges + terms * 80
}

/// Bytes that packing needs at least: one longest list in flight, and what stays.
pub(super) fn least_memory(frequencies: &[u32], scratch: u64, options: &BuildOptions) -> u64 {
    let postings = frequencies.iter().map(|&df| u64::from(df)).sum();
    let longest = u64::from(frequencies.iter().copied().max().unwrap_or(0));
    least_for(postings, longest, frequencies.len() as u64, scratch, options)
}

/// The same for lists of which only so much is known.
pub(super) fn least_for(
    postings: u64,
    longest: u64,
    terms: u64,
    scratch: u64,
    options: &BuildOptions,
) -> u64 {
    longest.max(BATCH_POSTINGS) * IN_FLIGHT + scratch + kept(postings, terms, options)
}

/// Writes POSTINGS in lexicon order; batches in flight stay within `memory` beside `held`.
pub(super) fn write_lists<L: Lists>(
    writer: &mut IndexWriter<'_>,
    lists: &mut L,
    options: &BuildOptions,
    documents: u32,
    held: u64,
    progress: &dyn Progress,
) -> Result<Packed> {
    let terms = lists.frequencies().len();
    progress.begin("packing", terms as u64);
    let mut packed = Packed::default();
    writer.begin(SectionKind::Postings);
    for group in groups(lists, options, held) {
        let fetched =
            group.into_iter().map(|batch| lists.fetch(batch)).collect::<Result<Vec<_>>>()?;
        let lists = &*lists;
        let encoded: Vec<Result<_>> =
            fetched.into_par_iter().map(|batch| encode(lists, batch, options, documents)).collect();
        for batch in encoded {
            let batch = batch?;
            writer.write(&batch.lists.bytes)?;
            advance(progress, batch.records.len() as u64)?;
            packed.append(batch)?;
        }
        lists.packed();
    }
    writer.end()?;
    packed.end()?;
    Ok(packed)
}

/// Ranges of terms for one task each, in groups that are in memory together.
fn groups(lists: &impl Lists, options: &BuildOptions, held: u64) -> Vec<Vec<Range<usize>>> {
    let frequencies = lists.frequencies();
    let postings: u64 = frequencies.iter().map(|&df| u64::from(df)).sum();
    let kept = kept(postings, frequencies.len() as u64, options);
    let left = options.memory.left(held + kept);
    let workers = rayon::current_num_threads().max(1) as u64;
    let (mut groups, mut group, mut in_group) = (Vec::new(), Vec::new(), 0);
    let mut end_batch = |batch: Range<usize>, bytes: u64| {
        let room = left.saturating_sub(lists.scratch() * workers.min(group.len() as u64 + 1));
        if !group.is_empty() && (in_group + bytes > room || group.len() as u64 == 2 * workers) {
            groups.push(std::mem::take(&mut group));
            in_group = 0;
        }
        in_group += bytes;
        group.push(batch);
    };
    let (mut start, mut postings) = (0, 0);
    for (term, &df) in frequencies.iter().enumerate() {
        postings += u64::from(df);
        if postings >= BATCH_POSTINGS {
            end_batch(start..term + 1, postings * IN_FLIGHT);
            (start, postings) = (term + 1, 0);
        }
    }
    end_batch(start..frequencies.len(), postings * IN_FLIGHT);
    groups.push(group);
    groups
}

/// Encoded lists of consecutive terms.
#[derive(Default)]
struct Batch {
    lists: Encoded,
    records: Vec<TermRecord>,
    range_ends: Vec<u64>,
    ranges: Vec<u8>,
}

/// Encodes a batch; its positions count from its own start.
fn encode<L: Lists>(
    lists: &L,
    batch: L::Fetched,
    options: &BuildOptions,
    documents: u32,
) -> Result<Batch> {
    let mut made = Batch::default();
    lists.visit(&batch, &mut |docids, impacts| {
        let df = docids.len() as u32;
        let representation = Representation::choose(options.codec, df, documents);
        let (max_impact, kth_impacts) = impact_statistics(impacts);
        let out = &mut made.lists;
        made.records.push(TermRecord {
            offset: U64::new(out.bytes.len() as u64),
            df: U32::new(df),
            blocks: U32::new(out.last.len() as u32),
            maxima: U32::new(out.max.len() as u32),
            windows: U32::new(out.windows.len() as u32),
            representation: representation as u8,
            max_impact,
            kth_impacts,
            reserved: [0; 3],
        });
        out.push(representation, docids, impacts, documents);
        if options.ranges {
            ranges::encode(docids, impacts, documents, &mut made.ranges);
            made.range_ends.push(made.ranges.len() as u64);
        }
        Ok(())
    })?;
    Ok(made)
}

impl Packed {
    fn append(&mut self, batch: Batch) -> Result<()> {
        let [blocks, maxima, windows] = self.counts()?;
        let part = batch.lists;
        self.records.extend(batch.records.into_iter().map(|mut record| {
            record.offset += self.bytes;
            record.blocks += blocks;
            record.maxima += maxima;
            record.windows += windows;
            record
        }));
        self.bytes += part.bytes.len() as u64;
        self.last.extend(part.last);
        self.offset.extend(part.offset);
        self.max.extend(part.max);
        self.windows.extend(part.windows);
        let before = self.ranges.len() as u64;
        self.range_ends.extend(batch.range_ends.iter().map(|end| before + end));
        self.ranges.extend(batch.ranges);
        Ok(())
    }

    /// Appends the sentinel, where the last list's parts end.
    fn end(&mut self) -> Result<()> {
        let [blocks, maxima, windows] = self.counts()?.map(U32::new);
        self.records.push(TermRecord {
            offset: U64::new(self.bytes),
            df: U32::ZERO,
            blocks,
            maxima,
            windows,
            representation: 0,
            max_impact: 0,
            kth_impacts: [0; 3],
            reserved: [0; 3],
        });
        Ok(())
    }

    fn counts(&self) -> Result<[u32; 3]> {
        let count = |n: usize| {
            u32::try_from(n).map_err(|_| {
                Error::Usage("the index has more than 2^32 blocks; build shards".into())
            })
        };
        Ok([count(self.last.len())?, count(self.max.len())?, count(self.windows.len())?])
    }
}
