//! Posting lists to bytes, in parallel by ranges of terms, written in term order.

use rayon::prelude::*;
use zerocopy::little_endian::{U32, U64};

use super::BuildOptions;
use super::invert::Inverted;
use crate::error::{Error, Result};
use crate::format::postings::{Encoded, Representation};
use crate::format::terms::impact_statistics;
use crate::format::{FileWriter, SectionKind, TermRecord};
use crate::progress::Progress;

/// What POSTINGS needs beside it: block and window arrays and term records.
#[derive(Default)]
pub(super) struct Packed {
    pub(super) last: Vec<u32>,
    pub(super) offset: Vec<u32>,
    pub(super) max: Vec<u8>,
    pub(super) windows: Vec<u32>,
    pub(super) records: Vec<TermRecord>,
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
        let encoded: Vec<(Encoded, Vec<TermRecord>)> = group
            .par_iter()
            .map(|batch| encode(inverted, batch, options, documents as u32))
            .collect();
        for (part, records) in encoded {
            writer.write(&part.bytes)?;
            progress.advance(records.len() as u64);
            packed.append(part, records)?;
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

/// Encodes a batch; the records' positions count from the batch's own start.
fn encode(
    inverted: &Inverted,
    terms: &[u32],
    options: &BuildOptions,
    documents: u32,
) -> (Encoded, Vec<TermRecord>) {
    let mut out = Encoded::default();
    let mut records = Vec::with_capacity(terms.len());
    for &term in terms {
        let (docids, impacts) = inverted.list(term);
        let df = docids.len() as u32;
        let representation = Representation::choose(options.codec, options.dense, df, documents);
        let (max_impact, kth_impacts) = impact_statistics(impacts);
        records.push(TermRecord {
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
    }
    (out, records)
}

impl Packed {
    fn append(&mut self, part: Encoded, records: Vec<TermRecord>) -> Result<()> {
        let [blocks, maxima, windows] = self.counts()?;
        self.records.extend(records.into_iter().map(|mut record| {
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
