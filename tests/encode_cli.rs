//! `splindex encode` as a user runs it: stores, resuming, shards, and every message about
//! bad input. The model is the small random BERT of data/goldens.
#![cfg(feature = "encode")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use splindex::vectors::store::{Manifest, StoreReader};
use splindex::vectors::{VectorRecord, VectorSource};
use tempfile::TempDir;

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
        let mut command = Command::new(env!("CARGO_BIN_EXE_splindex"));
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

/// A copy of the golden model that a test may spoil.
fn model_copy(run: &Run) -> PathBuf {
    let copy = run.path("model");
    std::fs::create_dir(&copy).unwrap();
    for name in ["config.json", "vocab.txt", "model.safetensors"] {
        std::fs::copy(golden("bert").join(name), copy.join(name)).unwrap();
    }
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|e| e.unwrap()) {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
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
    assert_eq!((encoding.max_length, encoding.model.layers), (32, 2));
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
fn a_killed_run_resumes_to_the_same_bytes() {
    let run = Run::new(&many());
    run.encode("whole", &[]);
    let mut child = run.command(&golden("bert"), "killed", &[]).spawn().unwrap();
    let journal = run.path("killed/journal.jsonl");
    let lines = || std::fs::read_to_string(&journal).unwrap_or_default().lines().count();
    while lines() < 2 {
        assert!(child.try_wait().unwrap().is_none(), "ended before its first block");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!run.path("killed/manifest.json").exists(), "killed too late to test anything");
    let e = StoreReader::open(&run.path("killed")).err().unwrap().to_string();
    let end = "killed: the vector store is unfinished; run the same encode command with --resume";
    assert!(e.ends_with(end), "{e}");
    run.encode("killed", &["--resume"]);
    assert_eq!(files(&run.path("whole")), files(&run.path("killed")));
    // Resuming a finished store changes nothing.
    run.encode("killed", &["--resume"]);
    assert_eq!(files(&run.path("whole")), files(&run.path("killed")));
}

#[test]
fn a_run_killed_before_its_first_block_knows_its_input() {
    let run = Run::new("a\triver\nb\tmoon\n");
    run.encode("store", &[]);
    let whole = files(&run.path("store"));
    std::fs::remove_file(run.path("store/manifest.json")).unwrap();
    let journal = run.path("store/journal.jsonl");
    let first = std::fs::read_to_string(&journal).unwrap().lines().next().unwrap().to_owned();
    std::fs::write(&journal, first + "\n").unwrap();
    std::fs::write(run.path("texts.tsv"), "a\triver\nb\tsun\n").unwrap();
    assert!(
        run.refused(&golden("bert"), "store", &["--resume"])
            .starts_with("error: the input differs from what the store was made from")
    );
    std::fs::write(run.path("texts.tsv"), "a\triver\nb\tmoon\n").unwrap();
    run.encode("store", &["--resume"]);
    assert_eq!(files(&run.path("store")), whole);
}

#[cfg(unix)]
#[test]
fn a_signal_stops_a_run_with_whole_blocks_and_says_how_to_go_on() {
    let run = Run::new(&many());
    run.encode("whole", &[]);
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let store = format!("stopped{code}");
        let mut command = run.command(&golden("bert"), &store, &[]);
        let child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
        let journal = run.path(&store).join("journal.jsonl");
        while std::fs::read_to_string(&journal).unwrap_or_default().lines().count() < 2 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let pid = child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", message(&output));
        assert_eq!(
            message(&output),
            format!(
                "stopped: {} is unfinished; the same command with --resume continues it",
                run.path(&store).display()
            )
        );
        run.encode(&store, &["--resume"]);
        assert_eq!(files(&run.path("whole")), files(&run.path(&store)));
    }
}

#[test]
fn a_torn_journal_line_and_an_unnamed_tail_are_cut_off() {
    let run = Run::new(&many());
    run.encode("store", &[]);
    let whole = files(&run.path("store"));
    let journal = run.path("store/journal.jsonl");
    let text = std::fs::read(&journal).unwrap();
    for keep in [10, text.len() / 2, text.len() - 1] {
        std::fs::remove_file(run.path("store/manifest.json")).unwrap();
        std::fs::write(&journal, &text[..keep]).unwrap();
        let part = run.path("store/part-00000.vec");
        let mut bytes = std::fs::read(&part).unwrap();
        bytes.extend_from_slice(b"half a block");
        std::fs::write(&part, bytes).unwrap();
        run.encode("store", &["--resume"]);
        assert!(files(&run.path("store")) == whole, "journal cut at {keep}");
    }
}

#[test]
fn resuming_under_another_plan_or_with_other_input_is_refused() {
    let run = Run::new(&many());
    run.encode("store", &[]);
    std::fs::remove_file(run.path("store/manifest.json")).unwrap();
    let model = golden("bert");
    assert_eq!(
        run.refused(&model, "store", &["--resume", "--top", "9"]),
        "error: store: the store was started with encoding.top = null, found 9; resume with \
         the flags and model it was started with"
    );
    assert_eq!(
        run.refused(&model, "store", &[]),
        "error: store: the output exists already; choose another, remove it, or continue it \
         with --resume"
    );
    edit(&run.path("texts.tsv"), "d18\triver", "d18\tgravel");
    assert!(
        run.refused(&model, "store", &["--resume"])
            .starts_with("error: the input differs from what the store was made from")
    );
}

#[test]
fn a_finished_store_of_other_input_is_refused_too() {
    let run = Run::new("a\triver\nb\thill\n");
    run.encode("store", &[]);
    for other in ["a\triver\nb\tsea\n", "a\triver\n", "a\triver\nb\thill\nc\tsea\n"] {
        std::fs::write(run.path("texts.tsv"), other).unwrap();
        assert!(
            run.refused(&golden("bert"), "store", &["--resume"])
                .starts_with("error: the input differs from what the store was made from"),
            "{other}"
        );
    }
}

#[test]
fn another_simd_level_needs_consent_and_is_recorded() {
    let run = Run::new("a\triver\n");
    run.encode("store", &[]);
    std::fs::remove_file(run.path("store/manifest.json")).unwrap();
    let level = splindex::encode::simd_level();
    edit(&run.path("store/journal.jsonl"), &format!("\"simd\":\"{level}\""), "\"simd\":\"mmx\"");
    assert_eq!(
        run.refused(&golden("bert"), "store", &["--resume"]),
        format!(
            "error: store: the store was started with encoding.simd = \"mmx\", found \
             \"{level}\"; resume on the same kind of processor, or accept it with --allow-mixed"
        )
    );
    run.encode("store", &["--resume", "--allow-mixed"]);
    assert_eq!(run.manifest("store").mixed_simd, [level]);
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

#[test]
fn an_input_without_documents_is_refused() {
    let run = Run::new("");
    let e = run.refused(&golden("bert"), "store", &[]);
    assert!(e.starts_with("error: texts.tsv: "), "{e}");
}

#[test]
fn every_fault_of_a_model_directory_has_its_message() {
    let run = Run::new("a\triver\n");
    let model = model_copy(&run);
    let refused = || run.refused(&model, "store", &[]);
    let file = |name: &str| model.join(name);
    let restore = |name: &str| {
        std::fs::copy(golden("bert").join(name), file(name)).unwrap();
    };

    let e = run.refused(&run.path("nowhere"), "store", &[]);
    assert_eq!(
        e,
        "error: nowhere: expected a model directory, found none; give a directory with \
         config.json, tokenizer.json and model.safetensors"
    );

    std::fs::remove_file(file("model.safetensors")).unwrap();
    assert_eq!(
        refused(),
        "error: model: expected model.safetensors or pytorch_model.bin (or shards with their \
         index) in the model directory, found none; download the model's weights into it"
    );
    std::fs::write(file("pytorch_model.bin"), "version https://git-lfs").unwrap();
    let e = refused();
    assert!(e.starts_with("error: model/pytorch_model.bin: expected a PyTorch archive, "), "{e}");
    assert!(e.ends_with("it may be truncated or a Git LFS pointer"), "{e}");
    std::fs::remove_file(file("pytorch_model.bin")).unwrap();
    std::fs::copy(golden("roberta/pytorch_model.bin"), file("pytorch_model.bin")).unwrap();
    assert_eq!(
        refused(),
        "error: model/pytorch_model.bin: expected a tensor \
         \"bert.embeddings.word_embeddings.weight\" of shape [191, 32], found none; the \
         checkpoint must hold the model and its masked-language-model head"
    );
    restore("model.safetensors");

    edit(&file("config.json"), "BertForMaskedLM", "T5ForConditionalGeneration");
    assert_eq!(
        refused(),
        "error: model/config.json: architecture \"T5ForConditionalGeneration\" is not \
         supported; supported: BertForMaskedLM, DistilBertForMaskedLM, RobertaForMaskedLM, \
         ModernBertForMaskedLM; use a masked-language-model SPLADE checkpoint of one of these"
    );
    restore("config.json");

    edit(&file("vocab.txt"), "river\n", "");
    let e = refused();
    assert!(e.starts_with("error: model/vocab.txt: expected the "), "{e}");
    assert!(e.ends_with("use the tokenizer that the model was trained with"), "{e}");
    std::fs::remove_file(file("vocab.txt")).unwrap();
    assert_eq!(
        refused(),
        "error: model: expected tokenizer.json or vocab.txt in the model directory, found \
         none; copy it from where the model comes from"
    );
    std::fs::write(file("tokenizer.json"), "{}").unwrap();
    assert!(refused().starts_with("error: model/tokenizer.json: expected a tokenizer, found: "));
    std::fs::remove_file(file("tokenizer.json")).unwrap();
    restore("vocab.txt");

    edit(&file("config.json"), "\"intermediate_size\": 64", "\"intermediate_size\": 65");
    assert_eq!(
        refused(),
        "error: model/model.safetensors: expected tensor \
         \"bert.encoder.layer.0.intermediate.dense.weight\" to have the shape [65, 32] of \
         config.json, found [64, 32]"
    );
    restore("config.json");
    edit(&file("config.json"), "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
    let e = refused();
    assert!(e.contains("expected a tensor \"bert.encoder.layer.2."), "{e}");
    restore("config.json");

    let weights = std::fs::read(file("model.safetensors")).unwrap();
    std::fs::write(file("model.safetensors"), &weights[..weights.len() / 2]).unwrap();
    let e = refused();
    assert!(e.contains("model.safetensors: expected a safetensors file, found: "), "{e}");
    let mut spoiled = weights.clone();
    let end = spoiled.len();
    spoiled[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(file("model.safetensors"), spoiled).unwrap();
    let e = refused();
    assert!(e.contains("expected finite numbers in tensor ") && e.contains("found NaN"), "{e}");
}

#[test]
fn a_shard_that_is_missing_or_of_another_download_is_named() {
    let run = Run::new("a\triver\n");
    let model = run.path("model");
    copy_folder(&golden("modernbert"), &model);
    let index = model.join("model.safetensors.index.json");
    let second = model.join("model-00002-of-00006.safetensors");
    std::fs::remove_file(&second).unwrap();
    assert_eq!(
        run.refused(&model, "store", &[]),
        "error: model/model.safetensors.index.json: expected the shard \
         \"model-00002-of-00006.safetensors\" beside it, found none; download all 6 shards"
    );
    std::fs::copy(model.join("model-00006-of-00006.safetensors"), &second).unwrap();
    let e = run.refused(&model, "store", &[]);
    assert!(e.contains("index.json: expected tensor \""), "{e}");
    assert!(e.ends_with("index and shards must come from one download"), "{e}");
    std::fs::write(&index, "{\n\"weight_map\": 3}").unwrap();
    let e = run.refused(&model, "store", &[]);
    assert!(e.contains("index.json:2: expected {\"weight_map\": {…}}, found"), "{e}");
}

#[test]
fn a_sparse_encoder_folder_sets_length_and_prompt_and_the_manifest_says_so() {
    let run = Run::new(&format!("a\t{}\n", "river ".repeat(40)));
    let encode = |kind: &str, flags: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_splindex"));
        command.args(["encode", "--kind", kind, "--model"]).arg(golden("router"));
        command.arg("--input").arg(run.path("texts.tsv")).args(flags);
        let store = format!("{kind}{}", flags.len());
        let output = command.arg("--output").arg(run.path(&store)).output().unwrap();
        assert!(output.status.success(), "{}", message(&output));
        run.manifest(&store).plan.encoding.unwrap()
    };
    let document = encode("document", &[]);
    assert_eq!((document.max_length, document.prompt.as_deref()), (20, Some("salt: ")));
    assert_eq!(document.pooling, "max log(1+log(1+relu))");
    assert_eq!(document.model.name, "router");
    assert_eq!(encode("document", &["--max-length", "30"]).max_length, 30);
    let query = encode("query", &[]);
    assert_eq!((query.pooling.as_str(), query.prompt.as_deref()), ("token weights", Some("sea: ")));
}

#[test]
fn a_hub_id_is_read_from_the_cache_or_refused_with_the_way_to_get_it() {
    let run = Run::new("a\triver\n");
    let cache = run.path("cache");
    let repository = cache.join("hub/models--own--tiny");
    let with = |id: &str, store: &str, variables: &[(&str, &Path)]| {
        let mut command = run.command(Path::new(id), store, &[]);
        for name in ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME"] {
            command.env_remove(name);
        }
        // Nothing here may ask a network.
        command.env("HF_HUB_OFFLINE", "1").envs(variables.iter().copied());
        command.current_dir(run.dir.path()).output().unwrap()
    };
    let hub = cache.join("hub");
    let refused = with("own/tiny", "no", &[("HF_HUB_CACHE", &hub)]);
    assert_eq!(refused.status.code(), Some(2));
    let e = message(&refused);
    assert!(
        e.starts_with("error: model own/tiny: there is no such directory, it is not in"),
        "{e}"
    );
    assert!(e.contains("`hf download own/tiny --local-dir tiny`"), "{e}");
    assert_eq!(e.contains("the feature hub"), !cfg!(feature = "hub"), "{e}");

    copy_folder(&golden("bert"), &repository.join("snapshots/0123abc"));
    std::fs::create_dir_all(repository.join("refs")).unwrap();
    std::fs::write(repository.join("refs/main"), "0123abc").unwrap();
    for (store, name, value) in [("one", "HF_HUB_CACHE", &hub), ("two", "HF_HOME", &cache)] {
        let output = with("own/tiny", store, &[(name, value)]);
        assert!(output.status.success(), "{}", message(&output));
        assert_eq!(run.manifest(store).plan.encoding.unwrap().model.name, "own/tiny");
    }
    // A directory of that name wins.
    copy_folder(&golden("distilbert"), &run.path("own/tiny"));
    assert!(with("own/tiny", "three", &[("HF_HUB_CACHE", &hub)]).status.success());
    let model = run.manifest("three").plan.encoding.unwrap().model;
    assert_eq!(
        (model.name.as_str(), model.architecture.as_str()),
        ("tiny", "DistilBertForMaskedLM")
    );
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
fn a_length_beyond_the_models_positions_is_refused() {
    let run = Run::new("a\triver\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_splindex"));
    command.args(["encode", "--max-length", "65", "--model"]).arg(golden("bert"));
    command.arg("--input").arg(run.path("texts.tsv")).arg("--output").arg(run.path("store"));
    let output = command.output().unwrap();
    assert_eq!(message(&output), "error: --max-length 65 is more than the model's 64 positions");
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
