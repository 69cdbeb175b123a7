//! From a stream of texts to a store, block by block.

use std::ops::Range;

use super::{Progress, TextEncoder, prune};
use crate::corpus::TextRecord;
use crate::error::{Error, Place, Result};
use crate::vectors::VectorRecord;
use crate::vectors::store::{BlockEntry, Manifest, StoreWriter, Totals, other_input};

/// Records that are encoded, written and resumed together: what a crash can lose at most.
/// With 4,096 a large model on two cores lost up to four minutes; the rate is the same, since
/// texts are packed without padding and a vector does not depend on its batch (docs/encoder.md).
const BLOCK: u64 = 512;

/// Errors of skipped records that a report shows.
const SHOWN_ERRORS: usize = 5;

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
}

/// Encodes `records` into `store` after what it already holds, and finishes it.
///
/// # Errors
/// The first bad record unless `skip_bad`; in any case an I/O error and a file that cannot be
/// read to its end; a stream that does not repeat the records of the blocks already in the
/// store, or goes on where a finished store ends; no record at all; [`Error::Stopped`] if
/// `progress` says so, with whole blocks in the store to resume from.
pub fn encode_to_store(
    records: impl Iterator<Item = Result<TextRecord>>,
    mut store: StoreWriter,
    job: &EncodeJob<'_>,
) -> Result<EncodeReport> {
    let range = job.range.clone().unwrap_or(0..u64::MAX);
    let mut input = Input {
        records,
        skip_bad: job.skip_bad,
        left: range.end - range.start,
        errors: Vec::new(),
    };
    input.discard(range.start)?;
    let resumed = store.totals().documents;
    let mut first = range.start;
    for entry in store.blocks() {
        first = input.check_resumed(entry, first)?;
    }
    (job.progress)(resumed);
    if store.is_finished() {
        if input.block(1)?.consumed > 0 {
            return Err(other_input(&format!("expected {first} documents, found more")));
        }
        return Ok(EncodeReport { manifest: store.manifest()?, resumed, skipped: Vec::new() });
    }
    // The errors of blocks that an earlier run wrote were its to show.
    input.errors.clear();
    loop {
        let block = input.block(BLOCK)?;
        if block.consumed == 0 {
            break;
        }
        let (records, truncated) = encode_block(&block.records, job)?;
        let seen = Totals { truncated, skipped: block.skipped, ..Totals::default() };
        store.write_block(&records, block.consumed, block.crc, seen)?;
    }
    if store.totals().documents == 0 && job.range.is_none() {
        return Err(Error::Usage("the input has no documents: nothing to encode".into()));
    }
    Ok(EncodeReport { manifest: store.finish()?, resumed, skipped: input.errors })
}

fn encode_block(records: &[TextRecord], job: &EncodeJob<'_>) -> Result<(Vec<VectorRecord>, u64)> {
    let texts: Vec<&str> = records.iter().map(|r| r.text.as_str()).collect();
    let encoded = job.encoder.encode_texts(&texts, job.progress);
    let encoded = encoded.map_err(|error| of_document(error, records, job.encoder))?;
    let truncated = encoded.iter().filter(|e| e.truncated).count() as u64;
    let vectors = records.iter().zip(encoded).map(|(record, encoded)| {
        let kept = prune(encoded.terms, job.top, job.min_weight);
        let (terms, weights) = kept.into_iter().unzip();
        VectorRecord { id: record.id.clone(), terms, weights }
    });
    Ok((vectors.collect(), truncated))
}

/// The error with the document that it is about, if a text is to blame.
fn of_document(error: Error, records: &[TextRecord], encoder: &dyn TextEncoder) -> Error {
    if !error.is_one_record() {
        return error;
    }
    match records.iter().find_map(|r| Some((r, encoder.check(&r.text).err()?))) {
        Some((record, why)) => {
            let problem = format!("document {:?} cannot be encoded: {why}", record.id);
            Error::data(&record.path, record.place.clone(), problem)
        }
        None => error,
    }
}

/// The stream, with account of what was taken from it.
struct Input<I> {
    records: I,
    skip_bad: bool,
    /// Documents still to hand out.
    left: u64,
    errors: Vec<Error>,
}

/// Up to a block's worth of the stream.
struct Taken {
    records: Vec<TextRecord>,
    consumed: u64,
    skipped: u64,
    crc: u32,
}

impl<I: Iterator<Item = Result<TextRecord>>> Input<I> {
    /// The next record or the next bad one; `None` at the end.
    fn next(&mut self) -> Result<Option<Option<TextRecord>>> {
        match self.records.next() {
            None => Ok(None),
            Some(Ok(record)) => Ok(Some(Some(record))),
            Some(Err(error)) if self.skip_bad && error.is_one_record() => {
                if self.errors.len() < SHOWN_ERRORS {
                    self.errors.push(error);
                }
                Ok(Some(None))
            }
            Some(Err(error)) => Err(error),
        }
    }

    /// Passes over `documents` good records.
    fn discard(&mut self, mut documents: u64) -> Result<()> {
        while documents > 0 {
            match self.next()? {
                None => return Ok(()),
                Some(record) => documents -= u64::from(record.is_some()),
            }
        }
        Ok(())
    }

    fn block(&mut self, size: u64) -> Result<Taken> {
        let mut taken = Taken { records: Vec::new(), consumed: 0, skipped: 0, crc: 0 };
        let mut crc = crc32fast::Hasher::new();
        while (taken.records.len() as u64) < size.min(self.left) {
            let Some(record) = self.next()? else { break };
            taken.consumed += 1;
            match record {
                Some(record) => {
                    add_to_crc(&mut crc, &record);
                    taken.records.push(record);
                }
                None => taken.skipped += 1,
            }
        }
        self.left -= taken.records.len() as u64;
        taken.crc = crc.finalize();
        Ok(taken)
    }

    /// Reads what a block of an earlier run had read, from document `first` (from 0) on, and
    /// checks that it is the same; where the next begins.
    fn check_resumed(&mut self, entry: &BlockEntry, first: u64) -> Result<u64> {
        let (mut crc, mut documents) = (crc32fast::Hasher::new(), 0);
        let mut last = None;
        for _ in 0..entry.consumed {
            if let Some(record) = self.next()?.flatten() {
                add_to_crc(&mut crc, &record);
                documents += 1;
                last = Some((record.path, record.place));
            }
        }
        self.left -= documents;
        let expected = entry.totals.documents;
        if crc.finalize() == entry.input_crc && documents == expected {
            return Ok(first + documents);
        }
        let place = match last {
            Some((path, Place::Line(line))) => format!(" (up to {}:{line})", path.display()),
            _ => String::new(),
        };
        let from = first + 1;
        Err(other_input(&match documents == expected {
            true => {
                format!("documents {from} to {}{place} have other ids or texts", first + expected)
            }
            false => format!(
                "expected {expected} documents from number {from} on, found {documents}{place}"
            ),
        }))
    }
}

fn add_to_crc(crc: &mut crc32fast::Hasher, record: &TextRecord) {
    for part in [&record.id, &record.text] {
        crc.update(&(part.len() as u64).to_le_bytes());
        crc.update(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::Encoded;
    use crate::vectors::TokenTable;
    use crate::vectors::store::ModelInfo;

    /// Fails at texts with a pound sign, as a tokenizer with a fault does.
    struct Failing;

    impl TextEncoder for Failing {
        fn encode_texts(&self, texts: &[&str], _: &Progress<'_>) -> Result<Vec<Encoded>> {
            texts.iter().try_for_each(|text| self.check(text))?;
            Ok(vec![Encoded::default(); texts.len()])
        }

        fn check(&self, text: &str) -> Result<()> {
            match text.contains('£') {
                true => Err(Error::data("tokenizer.json", Place::File, "a panic")),
                false => Ok(()),
            }
        }

        fn tokens(&self) -> &TokenTable {
            unreachable!("not asked for")
        }

        fn info(&self) -> &ModelInfo {
            unreachable!("not asked for")
        }

        fn max_length(&self) -> usize {
            8
        }

        fn pooling(&self) -> &'static str {
            "none"
        }

        fn prompt(&self) -> &str {
            ""
        }
    }

    #[test]
    fn a_text_that_cannot_be_encoded_is_an_error_about_its_document() {
        let record = |line: u64, text: &str| TextRecord {
            id: format!("d{line}"),
            text: text.into(),
            place: Place::Line(line),
            path: std::path::Path::new("docs.tsv").into(),
        };
        let job = EncodeJob {
            encoder: &Failing,
            top: None,
            min_weight: 0.0,
            skip_bad: false,
            range: None,
            progress: &|_| true,
        };
        let records = [record(1, "cost"), record(2, "cost £5"), record(3, "£")];
        let e = encode_block(&records, &job).unwrap_err();
        assert_eq!(
            e.to_string(),
            "docs.tsv:2: document \"d2\" cannot be encoded: tokenizer.json: a panic"
        );
        assert_eq!(encode_block(&records[..1], &job).unwrap().0.len(), 1);
    }
}
