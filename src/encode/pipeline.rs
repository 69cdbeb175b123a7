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
        let block = input.block(block)?;
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
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::encode::Encoded;
    use crate::vectors::TokenTable;
    use crate::vectors::store::{Kind, ModelInfo, Plan, WeightFormat};

    /// One term a text, of a weight by its length.
    struct Lengths(TokenTable, ModelInfo);

    impl TextEncoder for Lengths {
        fn encode_texts(&self, texts: &[&str], done: &Progress<'_>) -> Result<Vec<Encoded>> {
            let encoded = |text: &&str| match done(1) {
                true => Ok(Encoded { terms: vec![(1, text.len() as f32)], truncated: false }),
                false => Err(Error::Stopped),
            };
            texts.iter().map(encoded).collect()
        }

        fn check(&self, _: &str) -> Result<()> {
            Ok(())
        }

        fn tokens(&self) -> &TokenTable {
            &self.0
        }

        fn info(&self) -> &ModelInfo {
            &self.1
        }

        fn max_length(&self) -> usize {
            usize::MAX
        }

        fn pooling(&self) -> &'static str {
            "length"
        }

        fn prompt(&self) -> &str {
            ""
        }
    }

    /// Encodes seven texts, two a block, and stops at a call of `progress`.
    fn run(dir: &Path, stop: u64) -> Result<EncodeReport> {
        let model = ModelInfo {
            name: String::new(),
            architecture: String::new(),
            layers: 0,
            hidden: 0,
            vocabulary: 2,
            config_digest: String::new(),
            weights_digest: String::new(),
            tokenizer_digest: String::new(),
            licence: None,
        };
        let encoder = Lengths(TokenTable::from_tokens(["a", "b"]), model);
        let plan = Plan::converted(Kind::Document, WeightFormat::F32);
        let store = StoreWriter::resume(dir, plan, encoder.tokens())?;
        let calls = AtomicU64::new(0);
        let job = EncodeJob {
            encoder: &encoder,
            top: None,
            min_weight: 0.0,
            skip_bad: false,
            range: None,
            progress: &|_| calls.fetch_add(1, Ordering::Relaxed) < stop,
        };
        let record = |i: usize| TextRecord {
            id: format!("d{i}"),
            text: "x".repeat(i + 1),
            path: Path::new("t.tsv").into(),
            place: Place::Line(i as u64 + 1),
        };
        encode_blocks((0..7).map(|i| Ok(record(i))), store, &job, 2)
    }

    fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
        let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
        let mut files: Vec<_> = entries
            .map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap()))
            .collect();
        files.sort();
        files
    }

    /// A crash keeps any beginning of the journal, and of the vectors at least what it names.
    #[test]
    fn a_store_cut_at_any_byte_is_continued_to_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let whole_dir = dir.path().join("whole");
        run(&whole_dir, u64::MAX).unwrap();
        let whole = files(&whole_dir);
        let content = |name: &str| &whole.iter().find(|(n, _)| n == name).unwrap().1;
        let (journal, part) = (content("journal.jsonl"), content("part-00000.vec"));
        let ends: Vec<usize> = std::str::from_utf8(journal)
            .unwrap()
            .lines()
            .filter_map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["block"]["end"].as_u64()
            })
            .map(|end| end as usize)
            .collect();
        assert_eq!((ends.len(), ends[3]), (4, part.len()));
        let cut = dir.path().join("cut");
        let continues = |journal: &[u8], part: &[u8]| {
            std::fs::create_dir(&cut).unwrap();
            std::fs::write(cut.join("journal.jsonl"), journal).unwrap();
            std::fs::write(cut.join("part-00000.vec"), part).unwrap();
            run(&cut, u64::MAX).unwrap();
            assert!(
                files(&cut) == whole,
                "{} bytes of journal, {} of vectors",
                journal.len(),
                part.len()
            );
            std::fs::remove_dir_all(&cut).unwrap();
        };
        let lines = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'\n').count();
        for at in 0..=journal.len() {
            // The plan's line comes first.
            let blocks = lines(&journal[..at]).saturating_sub(1);
            let named = blocks.checked_sub(1).map_or(0, |last| ends[last]);
            // A block is on disk before its line is begun.
            let whole_lines = at == 0 || journal[at - 1] == b'\n';
            let next = ends.get(blocks).copied().unwrap_or(part.len());
            match whole_lines {
                true => (named..=next).for_each(|end| continues(&journal[..at], &part[..end])),
                false => continues(&journal[..at], &part[..next]),
            }
        }
    }

    #[test]
    fn a_run_stopped_at_any_text_keeps_whole_blocks_and_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        run(&dir.path().join("whole"), u64::MAX).unwrap();
        let whole = files(&dir.path().join("whole"));
        // The first call tells of what was resumed.
        for stop in 1..=7 {
            let store = dir.path().join(format!("{stop}"));
            assert!(matches!(run(&store, stop), Err(Error::Stopped)), "{stop}");
            let journal = std::fs::read_to_string(store.join("journal.jsonl")).unwrap();
            assert_eq!(journal.lines().count() as u64, 1 + (stop - 1) / 2);
            run(&store, u64::MAX).unwrap();
            assert!(files(&store) == whole, "{stop}");
        }
    }
}

/// A text that cannot be encoded.
#[cfg(test)]
mod failing {
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
