//! From a stream of texts to a store, block by block.

use std::ops::Range;

use super::reuse::{Ready, Reuse, Reused};
use super::stream::Input;
use super::{Progress, TextEncoder, prune};
use crate::corpus::TextRecord;
use crate::error::{Error, Result};
use crate::vectors::VectorRecord;
use crate::vectors::store::{BlockInput, KnownVectors, Manifest, StoreWriter, TextInfo, check_end};

/// Records that are encoded, written and resumed together: what a crash can lose at most, twice
/// that with reuse.
/// With 4,096 a large model on two cores lost up to four minutes; the rate is the same, since
/// texts are packed without padding and a vector does not depend on its batch (docs/encoder.md).
const BLOCK: u64 = 512;

/// Blocks that are read ahead until a block's worth of their texts must be encoded: with reuse a
/// block has a few such, which would leave most workers idle.
const AHEAD: usize = 16;

/// How to turn a stream of texts into a store.
pub struct EncodeJob<'a> {
    /// What encodes.
    pub encoder: &'a dyn TextEncoder,
    /// Heaviest terms kept per text; of equal weights the smaller term id stays.
    pub top: Option<usize>,
    /// Smaller weights are dropped.
    pub min_weight: f32,
    /// Count bad records and go on, in place of stopping at the first.
    pub skip_bad: bool,
    /// Only these documents of the stream, counted from 0 (bad records not counted).
    pub range: Option<Range<u64>>,
    /// Vectors that are taken over for the same texts, in place of encoding them. The store is the
    /// same, byte for byte, on a CPU; GPUs round by batch.
    pub known: Option<&'a KnownVectors>,
    /// Told how many documents each step finished, resumed ones included.
    pub progress: &'a Progress<'a>,
}

/// What a run did.
#[derive(Debug)]
pub struct EncodeReport {
    /// The finished store's manifest.
    pub manifest: Manifest,
    /// Documents that an earlier run had encoded.
    pub resumed: u64,
    /// The first errors of skipped records of this run.
    pub skipped: Vec<Error>,
    /// How the documents compare with those of [`EncodeJob::known`], resumed ones included.
    pub reused: Option<Reused>,
}

/// Encodes `records` into `store` after what it already holds, and finishes it.
///
/// # Errors
/// The first bad record unless `skip_bad`; in any case an I/O error and a file that cannot be
/// read to its end; a stream that does not repeat the records of the blocks already in the
/// store, or goes on where a finished store ends; no record at all; a damaged store of known
/// vectors; [`Error::Stopped`] if `progress` says so, with whole blocks in the store to resume from.
pub fn encode_to_store(
    records: impl Iterator<Item = Result<TextRecord>>,
    store: StoreWriter,
    job: &EncodeJob<'_>,
) -> Result<EncodeReport> {
    encode_blocks(records, store, job, BLOCK)
}

fn encode_blocks(
    records: impl Iterator<Item = Result<TextRecord>>,
    mut store: StoreWriter,
    job: &EncodeJob<'_>,
    block: u64,
) -> Result<EncodeReport> {
    let range = job.range.clone().unwrap_or(0..u64::MAX);
    let mut input = Input::new(records, job.skip_bad, range.end - range.start);
    let mut reuse = Reuse::new(job.encoder, job.known);
    input.discard(range.start)?;
    let resumed = store.totals().documents;
    let mut first = range.start;
    for entry in store.blocks() {
        first = input.check_resumed(entry, first, &mut |record| reuse.note(record))?;
    }
    (job.progress)(resumed);
    if store.is_finished() {
        check_end(first, input.block(1)?.consumed > 0)?;
        let reused = reuse.finish(job.range.is_none());
        return Ok(EncodeReport { manifest: store.manifest()?, resumed, skipped: vec![], reused });
    }
    // The errors of blocks that an earlier run wrote were its to show.
    input.errors.clear();
    loop {
        let mut ahead = read_ahead(&mut input, &mut reuse, job, block)?;
        if ahead.is_empty() {
            break;
        }
        encode_missing(&mut ahead, job)?;
        ahead.into_iter().try_for_each(|ready| write(&mut store, ready))?;
    }
    if store.totals().documents == 0 && job.range.is_none() {
        return Err(Error::Usage("the input has no documents: nothing to encode".into()));
    }
    let reused = reuse.finish(job.range.is_none());
    Ok(EncodeReport { manifest: store.finish()?, resumed, skipped: input.errors, reused })
}

/// The next blocks with the vectors that are known: so many that a block's worth is not; none at
/// the end.
fn read_ahead(
    input: &mut Input<impl Iterator<Item = Result<TextRecord>>>,
    reuse: &mut Reuse<'_>,
    job: &EncodeJob<'_>,
    block: u64,
) -> Result<Vec<Ready>> {
    let (mut ahead, mut missing) = (Vec::new(), 0);
    while ahead.len() < AHEAD && missing < block {
        let taken = input.block(block)?;
        if taken.consumed == 0 {
            break;
        }
        let ready = reuse.look_up(taken)?;
        let found = ready.found();
        missing += ready.taken.records.len() as u64 - found;
        if found > 0 && !(job.progress)(found) {
            return Err(Error::Stopped);
        }
        ahead.push(ready);
    }
    Ok(ahead)
}

/// Encodes the texts whose vectors are not known.
fn encode_missing(ahead: &mut [Ready], job: &EncodeJob<'_>) -> Result<()> {
    let missing: Vec<(usize, usize)> = ahead
        .iter()
        .enumerate()
        .flat_map(|(b, ready)| ready.missing().map(move |i| (b, i)))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let record = |&(b, i): &(usize, usize)| &ahead[b].taken.records[i];
    let texts: Vec<&str> = missing.iter().map(|at| record(at).text.as_str()).collect();
    let encoded = job.encoder.encode_texts(&texts, job.progress);
    let encoded =
        encoded.map_err(|error| of_document(error, missing.iter().map(record), job.encoder))?;
    for (&(b, i), encoded) in missing.iter().zip(encoded) {
        let digest = ahead[b].digests[i][encoded.part];
        let info = TextInfo { digest, truncated: encoded.truncated, zeros: 0 };
        let kept = prune(encoded.terms, job.top, job.min_weight);
        let (terms, weights) = kept.into_iter().unzip();
        let id = ahead[b].taken.records[i].id.clone();
        ahead[b].vectors[i] = Some((VectorRecord { id, terms, weights }, info));
    }
    Ok(())
}

fn write(store: &mut StoreWriter, ready: Ready) -> Result<()> {
    let (records, texts): (Vec<VectorRecord>, Vec<TextInfo>) =
        ready.vectors.into_iter().flatten().unzip();
    let taken = ready.taken;
    let input = BlockInput {
        consumed: taken.consumed,
        crc: taken.crc,
        skipped: taken.skipped,
        texts: &texts,
    };
    store.write_block(&records, &input)
}

/// The error with the document that it is about, if a text is to blame.
fn of_document<'r>(
    error: Error,
    mut records: impl Iterator<Item = &'r TextRecord>,
    encoder: &dyn TextEncoder,
) -> Error {
    if !error.is_one_record() {
        return error;
    }
    match records.find_map(|r| Some((r, encoder.check(&r.text).err()?))) {
        Some((record, why)) => {
            let problem = format!("document {:?} cannot be encoded: {why}", record.id);
            Error::data(&record.path, record.place.clone(), problem)
        }
        None => error,
    }
}

#[cfg(test)]
mod tests;
