//! Posting lists to bytes, in parallel by ranges of terms, written in term order.

use rayon::prelude::*;
use zerocopy::little_endian::{U32, U64};

use super::BuildOptions;
use super::invert::Inverted;
use crate::error::{Error, Result};
use crate::format::postings::{Encoded, Representation};
use crate::format::terms::impact_statistics;
use crate::format::{FileWriter, SectionKind, TermRecord, ranges};
use crate::progress::Progress;

/// What POSTINGS needs beside it: block and window arrays and term records.
#[derive(Default)]
pub(super) struct Packed {
    pub(super) last: Vec<u32>,
    pub(super) offset: Vec<u32>,
    pub(super) max: Vec<u8>,
    pub(super) bound_last: Vec<u32>,
    pub(super) windows: Vec<u32>,
    pub(super) records: Vec<TermRecord>,
    /// RANGE_MAXIMA: where each term's list ends, and the lists; empty if not wanted.
    pub(super) range_ends: Vec<u64>,
    pub(super) ranges: Vec<u8>,
    bytes: u64,
}

/// Postings that one task packs: enough to keep the threads busy, few enough that the
/// batches in flight stay small beside the collection.
const BATCH_POSTINGS: usize = 1 << 20;

/// Writes POSTINGS for `terms` in their order.
pub(super) fn write_lists(
    writer: &mut FileWriter,
    inverted: &Inverted,
    terms: &[u32],
    options: &BuildOptions,
    documents: usize,
    progress: &dyn Progress,
) -> Result<Packed> {
    progress.begin("packing", terms.len() as u64);
    let mut packed = Packed::default();
    writer.begin(SectionKind::Postings);
    let batches = batches(inverted, terms);
    for group in batches.chunks(rayon::current_num_threads().max(1) * 2) {
        let encoded: Vec<Batch> = group
            .par_iter()
            .map(|batch| encode(inverted, batch, options, documents as u32))
            .collect();
        for batch in encoded {
            writer.write(&batch.lists.bytes)?;
            progress.advance(batch.records.len() as u64);
            packed.append(batch)?;
        }
    }
    writer.end()?;
    packed.end()?;
    Ok(packed)
}

fn batches<'a>(inverted: &Inverted, terms: &'a [u32]) -> Vec<&'a [u32]> {
    let (mut batches, mut start, mut postings) = (Vec::new(), 0, 0);
    for (i, &term) in terms.iter().enumerate() {
        postings += inverted.list(term).0.len();
        if postings >= BATCH_POSTINGS {
            batches.push(&terms[start..=i]);
            (start, postings) = (i + 1, 0);
        }
    }
    batches.push(&terms[start..]);
    batches
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
fn encode(inverted: &Inverted, terms: &[u32], options: &BuildOptions, documents: u32) -> Batch {
    let mut batch = Batch::default();
    for &term in terms {
        let (docids, impacts) = inverted.list(term);
        let df = docids.len() as u32;
        let representation = Representation::choose(options.codec, options.dense, df, documents);
        let (max_impact, kth_impacts) = impact_statistics(impacts);
        let out = &mut batch.lists;
        batch.records.push(TermRecord {
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
        out.push(representation, docids, impacts, documents, options.block_size as usize);
        if options.ranges {
            ranges::encode(docids, impacts, documents, &mut batch.ranges);
            batch.range_ends.push(batch.ranges.len() as u64);
        }
    }
    batch
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
        self.bound_last.extend(part.bound_last);
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
