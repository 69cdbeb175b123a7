//! `splindex encode` as a user runs it: stores and shards here, resuming and models beside it.
//! The model is the small random BERT of data/goldens.

mod models;
mod resume;
mod reuse;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use splindex::vectors::store::{Manifest, StoreReader};
use splindex::vectors::{VectorRecord, VectorSource};
use tempfile::TempDir;

use crate::common::{Folder, SPLINDEX, command};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/goldens").join(name)
}

struct Run {
    dir: TempDir,
}

impl Run {
    fn new(texts: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("texts.tsv"), texts).unwrap();
        Run { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, model: &Path, store: &str, flags: &[&str]) -> Command {
        let mut command = Command::new(crate::common::SPLINDEX);
        command.arg("encode").arg("--model").arg(model);
        command.arg("--input").arg(self.path("texts.tsv"));
        command.arg("--output").arg(self.path(store)).args(["--max-length", "32"]);
        command.args(flags);
        command
    }

    fn encode(&self, store: &str, flags: &[&str]) {
        let output = self.command(&golden("bert"), store, flags).output().unwrap();
        assert!(output.status.success(), "{}", message(&output));
    }

    /// The error message of a run that must fail as bad input.
    fn refused(&self, model: &Path, store: &str, flags: &[&str]) -> String {
        let output = self.command(model, store, flags).output().unwrap();
        let message = message(&output);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        message.replace(&format!("{}/", self.dir.path().display()), "")
    }

    fn records(&self, store: &str) -> Vec<VectorRecord> {
        let mut reader = StoreReader::open(&self.path(store)).unwrap();
        let mut records = Vec::new();
        let mut record = VectorRecord::default();
        while reader.read(&mut record).unwrap() {
            records.push(record.clone());
        }
        records
    }

    fn manifest(&self, store: &str) -> Manifest {
        Manifest::read(&self.path(store)).unwrap()
    }
}

fn message(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap().trim_end().to_owned()
}

/// Every file of a store with its bytes.
fn files(store: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(store).unwrap().map(|e| e.unwrap());
    let mut files: Vec<_> = entries
        .map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// More than two blocks of short, different texts.
fn many() -> String {
    let words = ["river", "sand", "moon", "salt", "bread", "glass", "sound", "stone", "clock"];
    let mut tsv = String::new();
    for i in 0..9000usize {
        let word = |n: usize| words[i / n % words.len()];
        writeln!(tsv, "d{i}\t{} {} {i}", word(1), word(9)).unwrap();
    }
    tsv
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn an_empty_passage_stays_a_document_without_terms() {
    let run = Run::new("a\triver\nb\t\nc\t \nd\tmoon\n");
    run.encode("store", &[]);
    let records = run.records("store");
    let terms: Vec<(&str, bool)> =
        records.iter().map(|r| (r.id.as_str(), r.terms.is_empty())).collect();
    assert_eq!(terms, [("a", false), ("b", true), ("c", true), ("d", false)]);
    let totals = run.manifest("store").totals;
    assert_eq!((totals.documents, totals.empty), (4, 2));
}

#[test]
fn the_manifest_counts_what_the_store_holds() {
    let long = "river ".repeat(40);
    let run = Run::new(&format!("a\triver sand\nb\t{long}\nc\tmoon\n"));
    run.encode("store", &[]);
    let (records, manifest) = (run.records("store"), run.manifest("store"));
    let weights = || records.iter().flat_map(|r| r.weights.iter().copied());
    assert_eq!(manifest.totals.documents, 3);
    assert_eq!(manifest.totals.truncated, 1);
    assert_eq!(manifest.totals.postings, weights().count() as u64);
    assert_eq!(manifest.totals.largest_weight, weights().fold(0.0, f32::max));
    let encoding = manifest.plan.encoding.unwrap();
    assert_eq!((encoding.max_length, encoding.model.layers), (Some(32), 2));
}

#[test]
fn light_terms_can_be_dropped_and_weights_halved() {
    let run = Run::new("a\triver sand\nb\tmoon\n");
    run.encode("full", &[]);
    run.encode("top", &["--top", "5"]);
    run.encode("min", &["--min-weight", "0.4"]);
    run.encode("half", &["--weights", "f16"]);
    let full = run.records("full");
    for (kept, all) in run.records("top").iter().zip(&full) {
        assert_eq!(kept.terms.len(), 5);
        let mut weights = all.weights.clone();
        weights.sort_by(|a, b| b.total_cmp(a));
        assert!(kept.weights.iter().all(|w| *w >= weights[4]));
    }
    for (kept, all) in run.records("min").iter().zip(&full) {
        assert!(kept.weights.iter().all(|w| *w >= 0.4) && kept.terms.len() < all.terms.len());
    }
    for (half, all) in run.records("half").iter().zip(&full) {
        assert_eq!(half.terms, all.terms);
        let near = |(h, a): (&f32, &f32)| (h - a).abs() <= a * 0.0005;
        assert!(half.weights.iter().zip(&all.weights).all(near));
    }
}

#[test]
fn threads_do_not_change_the_bytes_of_a_store() {
    let run = Run::new(&many());
    run.encode("one", &["--threads", "1"]);
    run.encode("three", &["--threads", "3"]);
    assert_eq!(files(&run.path("one")), files(&run.path("three")));
}

#[test]
fn shards_together_hold_the_input_in_order() {
    let texts: String = (0..11).map(|i| format!("d{i}\triver {i}\n")).collect();
    let run = Run::new(&texts);
    run.encode("whole", &[]);
    let (mut records, mut bases) = (Vec::new(), Vec::new());
    for i in 0..3 {
        let store = format!("shard{i}");
        run.encode(&store, &["--shard", &format!("{i}/3")]);
        bases.push(run.manifest(&store).plan.doc_base);
        records.extend(run.records(&store));
    }
    assert_eq!(bases, [0, 3, 7]);
    assert_eq!(records, run.records("whole"));
    let e = run.refused(&golden("bert"), "no", &["--shard", "0/2", "--input", "-"]);
    assert_eq!(e, "error: --shard needs files: standard input cannot be read twice to count");
}

#[test]
fn a_bad_record_stops_the_run_unless_it_may_be_skipped() {
    let run = Run::new("a\triver\nno tab\nb\tmoon\na\tagain\nc\tsalt\n");
    let e = run.refused(&golden("bert"), "store", &[]);
    assert!(e.starts_with("error: texts.tsv:2: "), "{e}");
    assert!(!run.path("store").exists(), "found before anything was written");
    let output = run.command(&golden("bert"), "store", &["--skip-bad"]).output().unwrap();
    assert!(output.status.success());
    let shown = message(&output);
    assert!(shown.contains("texts.tsv:2: ") && shown.contains("texts.tsv:4: "), "{shown}");
    let ids: Vec<String> = run.records("store").into_iter().map(|r| r.id).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(run.manifest("store").totals.skipped, 2);
}

/// What was read until then looks like a whole input: nothing may count it as one bad record.
#[test]
fn a_damaged_stream_stops_a_run_even_where_bad_records_may_be_skipped() {
    let run = Run::new("");
    let gzip = |bytes: &[u8]| {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(bytes).unwrap();
        gz.finish().unwrap()
    };
    let input = run.path("texts.tsv");
    let text = many().into_bytes();
    let (gz, zst) = (gzip(&text), zstd::encode_all(&text[..], 1).unwrap());
    for cut in [&gz[..gz.len() * 3 / 4], &zst[..zst.len() * 3 / 4]] {
        std::fs::write(&input, cut).unwrap();
        let e = run.refused(&golden("bert"), "store", &["--skip-bad"]);
        assert_eq!(e, run.refused(&golden("bert"), "store", &[]));
        assert!(e.starts_with("error: texts.tsv:") && e.contains(": cannot decompress: "), "{e}");
        assert!(e.ends_with("the file ends too early: copy or make it again"), "{e}");
    }
    let mut spoiled = gz.clone();
    let middle = spoiled.len() / 2;
    spoiled[middle] ^= 0xff;
    std::fs::write(&input, &spoiled).unwrap();
    let e = run.refused(&golden("bert"), "store", &["--skip-bad"]);
    assert!(e.contains(": cannot decompress: "), "{e}");
    assert!(!run.path("store").exists(), "found before anything was written");
    // Standard input is not read before it is encoded: the store stays unfinished.
    let packed = gzip(b"a\triver\nno tab\nb\tmoon\n");
    std::fs::write(&input, &packed[..packed.len() - 6]).unwrap();
    let mut command = Command::new(crate::common::SPLINDEX);
    command.args(["encode", "--skip-bad", "--input", "-", "--model"]).arg(golden("bert"));
    command.arg("--output").arg(run.path("piped")).stdin(std::fs::File::open(&input).unwrap());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", message(&output));
    assert!(message(&output).contains("cannot decompress"), "{}", message(&output));
    assert!(!run.path("piped/manifest.json").exists());
}

#[test]
fn an_input_without_documents_is_refused() {
    let run = Run::new("");
    let e = run.refused(&golden("bert"), "store", &[]);
    assert!(e.starts_with("error: texts.tsv: "), "{e}");
}

#[test]
fn flags_that_do_not_go_together_are_refused() {
    let run = Run::new("a\triver\n");
    let refused = |flags: &[&str]| {
        // The last --max-length counts.
        let mut command = run.command(&golden("bert"), "store", &[]);
        let output = command.args(flags).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        message(&output)
    };
    assert_eq!(
        refused(&["--dtype", "f16"]),
        "error: --dtype f16 needs --device cuda:N; the CPU uses f32"
    );
    if !cfg!(feature = "cuda") {
        assert_eq!(
            refused(&["--device", "cuda:0"]),
            "error: --device cuda needs a splindex built with --features cuda"
        );
    }
    assert_eq!(refused(&["--min-weight=-1"]), "error: --min-weight must be 0 or more, found -1");
    assert!(refused(&["--shard", "3/3"]).contains("expected I/N with I from 0 to N−1"));
    assert!(refused(&["--device", "tpu"]).contains("expected cpu or cuda:N"));
}

#[test]
fn a_damaged_store_is_refused_by_block_and_offset() {
    let run = Run::new("a\triver\nb\tmoon\n");
    run.encode("store", &[]);
    let part = run.path("store/part-00000.vec");
    let bytes = std::fs::read(&part).unwrap();
    let mut flipped = bytes.clone();
    let end = flipped.len();
    flipped[end - 1] ^= 1;
    std::fs::write(&part, flipped).unwrap();
    let mut reader = StoreReader::open(&run.path("store")).unwrap();
    let e = reader.read(&mut VectorRecord::default()).unwrap_err().to_string();
    assert!(e.contains("part-00000.vec: section block at byte 0: expected CRC "), "{e}");
    std::fs::write(&part, &bytes[..end - 1]).unwrap();
    let e = StoreReader::open(&run.path("store")).err().unwrap().to_string();
    assert!(e.contains(&format!("expected {end} bytes, found {}", end - 1)), "{e}");
}

#[cfg(unix)]
#[test]
fn an_empty_pipe_is_named_and_leaves_no_store() {
    let folder = Folder::new();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/data/tiny");
    for (input, text) in [("-", ""), ("/dev/null", ""), ("-", "no tab")] {
        folder.file("empty", text);
        let words = format!("encode --model {model} --input {input} --output store");
        let mut command = command(&folder.path(""), SPLINDEX, &words);
        let stdin = std::fs::File::open(folder.path("empty")).unwrap();
        let output = command.stdin(stdin).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("{input}:")), "{said}");
        assert!(!folder.path("store").exists(), "{input}");
    }
}
