use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::encode::Encoded;
use crate::error::Place;
use crate::vectors::TokenTable;
use crate::vectors::store::{Encoding, Kind, ModelInfo, Plan, TextDigest, WeightFormat};

/// One term a text, of a weight by its length; remembers the texts that it was given.
struct Lengths(TokenTable, ModelInfo, Mutex<Vec<String>>);

impl Lengths {
    fn new() -> Self {
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
        Lengths(TokenTable::from_tokens(["a", "b"]), model, Mutex::default())
    }

    fn plan(&self) -> Plan {
        let encoding = Encoding {
            model: self.1.clone(),
            max_length: None,
            pooling: "length".into(),
            prompt: None,
            dtype: "f32".into(),
            device: "cpu".into(),
            simd: "none".into(),
            batch_tokens: 0,
            fields: None,
            top: None,
            min_weight: 0.0,
            skip_bad: false,
        };
        let converted = Plan::converted(Kind::Document, WeightFormat::F32);
        Plan { encoding: Some(encoding), digests: true, ..converted }
    }
}

impl TextEncoder for Lengths {
    fn encode_texts(&self, texts: &[&str], done: &Progress<'_>) -> Result<Vec<Encoded>> {
        self.2.lock().unwrap().extend(texts.iter().map(|&text| text.to_owned()));
        let encoded = |text: &&str| {
            // As if more than two bytes were too many, where they are these two.
            let truncated = text.len() > 2 && text.starts_with("yx");
            let read = if truncated { 2 } else { text.len() };
            let part = usize::from(text.len() > 2 && !truncated);
            match done(1) {
                true => Ok(Encoded { terms: vec![(1, read as f32)], truncated, part }),
                false => Err(Error::Stopped),
            }
        };
        texts.iter().map(encoded).collect()
    }

    fn check(&self, _: &str) -> Result<()> {
        Ok(())
    }

    fn digests(&self, text: &str) -> Vec<TextDigest> {
        TextDigest::of_parts(text, if text.len() > 2 { &[2] } else { &[] })
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

const SEVEN: [(&str, &str); 7] = [
    ("d0", "x"),
    ("d1", "xx"),
    ("d2", "xxx"),
    ("d3", "xxxx"),
    ("d4", "xxxxx"),
    ("d5", "xxxxxx"),
    ("d6", "yxxxxxx"),
];

/// Encodes seven texts, two a block, and stops at a call of `progress`.
fn run(dir: &Path, stop: u64) -> Result<EncodeReport> {
    run_of(&Lengths::new(), &SEVEN, dir, None, stop)
}

/// Encodes documents, two a block, and stops at a call of `progress`.
fn run_of(
    encoder: &Lengths,
    documents: &[(&str, &str)],
    dir: &Path,
    known: Option<&KnownVectors>,
    stop: u64,
) -> Result<EncodeReport> {
    let store = StoreWriter::resume(dir, encoder.plan(), encoder.tokens())?;
    let calls = AtomicU64::new(0);
    let job = EncodeJob {
        encoder,
        top: None,
        min_weight: 0.0,
        skip_bad: false,
        range: None,
        known,
        progress: &|_| calls.fetch_add(1, Ordering::Relaxed) < stop,
    };
    let record = |(i, &(id, text)): (usize, &(&str, &str))| TextRecord {
        id: id.into(),
        text: text.into(),
        path: Path::new("t.tsv").into(),
        place: Place::Line(i as u64 + 1),
    };
    encode_blocks(documents.iter().enumerate().map(|r| Ok(record(r))), store, &job, 2)
}

fn known(dirs: &[&Path]) -> KnownVectors {
    let (encoder, dirs) = (Lengths::new(), dirs.iter().map(|dir| dir.to_path_buf()));
    let dirs: Vec<PathBuf> = dirs.collect();
    KnownVectors::open(&dirs, &encoder.plan(), encoder.tokens(), 0, Path::new(".")).unwrap()
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
    let (encoder, known) = (Lengths::new(), known(&[&whole_dir]));
    let continues = |journal: &[u8], part: &[u8], known: Option<&KnownVectors>| {
        std::fs::create_dir(&cut).unwrap();
        std::fs::write(cut.join("journal.jsonl"), journal).unwrap();
        std::fs::write(cut.join("part-00000.vec"), part).unwrap();
        let report = run_of(&encoder, &SEVEN, &cut, known, u64::MAX).unwrap();
        assert_eq!(report.reused.map(|r| (r.kept, r.removed)), known.map(|_| (7, Some(0))));
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
        for known in [None, Some(&known)] {
            match whole_lines {
                true => {
                    (named..=next).for_each(|end| continues(&journal[..at], &part[..end], known));
                }
                false => continues(&journal[..at], &part[..next], known),
            }
        }
    }
}

/// What was encoded of a night's documents, its counts, and whether the store is the one that a full
/// run makes.
fn night(documents: &[(&str, &str)], earlier: &[&[(&str, &str)]]) -> (Vec<String>, Reused) {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let stores: Vec<PathBuf> = (0..earlier.len()).map(|i| path(&format!("{i}"))).collect();
    for (store, documents) in stores.iter().zip(earlier) {
        run_of(&Lengths::new(), documents, store, None, u64::MAX).unwrap();
    }
    let full = run_of(&Lengths::new(), documents, &path("full"), None, u64::MAX).unwrap();
    assert_eq!(full.reused, None);
    let known = known(&stores.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    let encoder = Lengths::new();
    let report = run_of(&encoder, documents, &path("night"), Some(&known), u64::MAX).unwrap();
    assert!(files(&path("full")) == files(&path("night")));
    (encoder.2.into_inner().unwrap(), report.reused.unwrap())
}

#[test]
fn texts_that_an_earlier_store_has_are_not_encoded_and_documents_are_counted() {
    let counts = |kept, renamed, changed, new, removed| Reused {
        kept,
        renamed,
        changed,
        new,
        removed: Some(removed),
    };
    assert_eq!(night(&SEVEN, &[&SEVEN]), (vec![], counts(7, 0, 0, 0, 0)));
    // d1 changed, d2 and d3 changed places, d4 has another id, d5 and d6 are gone, two are new: one
    // of them with a text that was there.
    let today = [
        ("d3", "xxxx"),
        ("d0", "x"),
        ("d1", "z"),
        ("e4", "xxxxx"),
        ("d2", "xxx"),
        ("new", "zz"),
        ("twin", "x"),
    ];
    let (encoded, reused) = night(&today, &[&SEVEN]);
    assert_eq!(encoded, ["z", "zz"]);
    assert_eq!(reused, counts(5, 2, 1, 1, 3));
    // Texts of any of several stores.
    let more = [("m", "zz"), ("d0", "other")];
    let (encoded, reused) = night(&today, &[&more, &SEVEN]);
    assert_eq!(encoded, ["z"]);
    assert_eq!(reused, counts(6, 3, 1, 0, 4));
    // Of some texts two bytes decide, of a text of these two all.
    let long = [("a", "yxabcde"), ("b", "yx"), ("c", "xxabc"), ("e", "yxb")];
    assert_eq!(night(&long, &[&SEVEN]).0, ["yx", "xxabc"]);
}

#[test]
fn blocks_are_read_ahead_where_few_texts_are_new() {
    let all: Vec<(String, String)> = (0..300).map(|i| (format!("d{i}"), format!("{i}"))).collect();
    let mut today = all.clone();
    for i in [0, 7, 99, 100, 101, 299] {
        today[i].1.push_str(" anew");
    }
    let of = |documents: &[(String, String)]| -> Vec<(&'static str, &'static str)> {
        let leak = |text: &String| -> &'static str { text.clone().leak() };
        documents.iter().map(|(id, text)| (leak(id), leak(text))).collect()
    };
    let (encoded, reused) = night(&of(&today), &[&of(&all)]);
    let anew: Vec<String> =
        [0, 7, 99, 100, 101, 299].map(|i| format!("{i} anew")).into_iter().collect();
    assert_eq!(encoded, anew);
    assert_eq!((reused.kept, reused.changed, reused.removed), (294, 6, Some(0)));
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

/// A text that cannot be encoded.
mod failing {
    use super::*;
    use crate::encode::stream::Taken;

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

        fn digests(&self, text: &str) -> Vec<TextDigest> {
            vec![TextDigest::whole(text)]
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
            known: None,
            progress: &|_| true,
        };
        let records = [record(1, "cost"), record(2, "cost £5"), record(3, "£")];
        let block = |records: &[TextRecord]| {
            let taken = Taken { records: records.to_vec(), consumed: 0, skipped: 0, crc: 0 };
            let mut ready = [Reuse::new(&Failing, None).look_up(taken).unwrap()];
            encode_missing(&mut ready, &job).map(|()| ready[0].found())
        };
        let e = block(&records).err().unwrap();
        assert_eq!(
            e.to_string(),
            "docs.tsv:2: document \"d2\" cannot be encoded: tokenizer.json: a panic"
        );
        assert_eq!(block(&records[..1]).unwrap(), 1);
    }
}
