//! Posting lists to bytes, in parallel by ranges of terms, written in term order.

use std::ops::Range;

use rayon::prelude::*;
use zerocopy::little_endian::{U32, U64};

use super::BuildOptions;
use crate::error::{Error, Result};
use crate::format::postings::{Encoded, Representation};
use crate::format::skip::{self, Runs};
use crate::format::terms::impact_statistics;
use crate::format::{BLOCK, IndexWriter, SectionKind, TermRecord};
use crate::progress::{Progress, advance};

/// Takes docids and impacts of one list.
pub(super) type EachList<'a> = dyn FnMut(&[u32], &[u8]) -> Result<()> + 'a;

/// Posting lists in lexicon order, wherever they lie.
pub(super) trait PostingLists: Sync {
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
pub(super) struct PackedSections {
    pub(super) last: Vec<u32>,
    pub(super) offset: Vec<u32>,
    pub(super) max: Vec<u8>,
    pub(super) windows: Vec<u32>,
    pub(super) records: Vec<TermRecord>,
    /// SKIP_BLOCKS and SKIP_RUNS, batch by batch: joined they would be copied as they grow.
    pub(super) skip_blocks: Vec<Vec<u8>>,
    pub(super) runs: Vec<Vec<Runs>>,
    /// Steps of the rows so far.
    row: u64,
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
    // 0.8 bytes a posting; known better when the frequencies are.
    let skip = if options.skip_data { postings } else { 0 };
    blocks + skip + terms * 80
}

/// Bytes of the skip data of these terms: maxima of units, which grow with the other maxima,
/// maxima of blocks and runs.
fn skip_bytes(frequencies: &[u32], documents: u32) -> u64 {
    let steps = |&df: &u32| u64::from(skip::row_steps(df, documents));
    let of_term =
        |df| 2 * skip::UNITS as u64 + skip::RUNS_LEN as u64 + steps(df) * skip::ROW_STEP as u64;
    let frequent = frequencies.iter().filter(|&&df| skip::is_frequent(df, documents));
    frequent.map(of_term).sum::<u64>() * skip::windows(documents) as u64
}

/// Bytes of what stays until the end.
fn kept_of(frequencies: &[u32], documents: u32, options: &BuildOptions) -> u64 {
    let postings = frequencies.iter().map(|&df| u64::from(df)).sum();
    let without = BuildOptions { skip_data: false, ..options.clone() };
    let skip = if options.skip_data { skip_bytes(frequencies, documents) } else { 0 };
    kept(postings, frequencies.len() as u64, &without) + skip
}

/// Bytes that packing needs at least: one longest list in flight, and what stays.
pub(super) fn least_memory(
    frequencies: &[u32],
    scratch: u64,
    (documents, options): (u32, &BuildOptions),
) -> u64 {
    let longest = u64::from(frequencies.iter().copied().max().unwrap_or(0));
    in_flight(longest) + scratch + kept_of(frequencies, documents, options)
}

/// Bytes of one longest list in flight.
fn in_flight(longest: u64) -> u64 {
    longest.max(BATCH_POSTINGS) * IN_FLIGHT
}

/// The same for lists of which only so much is known.
pub(super) fn least_for(
    postings: u64,
    longest: u64,
    terms: u64,
    scratch: u64,
    options: &BuildOptions,
) -> u64 {
    in_flight(longest) + scratch + kept(postings, terms, options)
}

/// Writes POSTINGS in lexicon order; batches in flight stay within `memory` beside `held`.
pub(super) fn write_lists<L: PostingLists>(
    writer: &mut IndexWriter<'_>,
    lists: &mut L,
    options: &BuildOptions,
    documents: u32,
    held: u64,
    progress: &dyn Progress,
) -> Result<PackedSections> {
    let terms = lists.frequencies().len();
    progress.begin("packing", terms as u64);
    let mut packed = PackedSections::default();
    writer.begin(SectionKind::Postings);
    for group in groups(lists, documents, options, held) {
        let fetched =
            group.into_iter().map(|batch| lists.fetch(batch)).collect::<Result<Vec<_>>>()?;
        let lists = &*lists;
        let encoded: Vec<Result<_>> =
            fetched.into_par_iter().map(|batch| encode(lists, batch, options, documents)).collect();
        for batch in encoded {
            let batch = batch?;
            writer.write(&batch.lists.bytes)?;
            advance(progress, batch.records.len() as u64)?;
            packed.append(batch, documents, options)?;
        }
        lists.packed();
    }
    writer.end()?;
    packed.end()?;
    Ok(packed)
}

/// Ranges of terms for one task each, in groups that are in memory together.
fn groups(
    lists: &impl PostingLists,
    documents: u32,
    options: &BuildOptions,
    held: u64,
) -> Vec<Vec<Range<usize>>> {
    let frequencies = lists.frequencies();
    let kept = kept_of(frequencies, documents, options);
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
struct PackedBatch {
    lists: Encoded,
    records: Vec<TermRecord>,
}

/// Encodes a batch; its positions count from its own start.
fn encode<L: PostingLists>(
    lists: &L,
    batch: L::Fetched,
    options: &BuildOptions,
    documents: u32,
) -> Result<PackedBatch> {
    let mut made = PackedBatch::default();
    lists.visit(&batch, &mut |docids, impacts| {
        let df = docids.len() as u32;
        let BuildOptions { codec, skip_data, .. } = *options;
        let representation = Representation::choose(codec, skip_data, df, documents);
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
            row: [0; 3],
        });
        if skip_data && skip::is_frequent(df, documents) {
            out.push_frequent(representation, docids, impacts, documents);
        } else {
            out.push(representation, docids, impacts, documents);
        }
        Ok(())
    })?;
    Ok(made)
}

impl PackedSections {
    fn append(
        &mut self,
        mut batch: PackedBatch,
        documents: u32,
        options: &BuildOptions,
    ) -> Result<()> {
        let [blocks, maxima, windows] = self.counts()?;
        if options.skip_data {
            self.number_rows(&mut batch.records, documents)?;
        }
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
        self.skip_blocks.push(part.skip_blocks);
        self.runs.push(part.runs);
        Ok(())
    }

    /// Says where the rows of frequent terms begin.
    fn number_rows(&mut self, records: &mut [TermRecord], documents: u32) -> Result<()> {
        for record in records.iter_mut() {
            let df = record.df.get();
            if skip::is_frequent(df, documents) {
                let row = u32::try_from(self.row).ok().and_then(TermRecord::row_bytes);
                record.row = row.ok_or_else(|| {
                    Error::Usage(
                        "the documents have too many terms for skip data; leave --skip-data out"
                            .into(),
                    )
                })?;
                self.row += u64::from(skip::row_steps(df, documents));
            }
        }
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
            row: [0; 3],
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
