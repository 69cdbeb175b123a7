//! Bad input gives one clear error, exit code 2, and no output file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of small inputs that tests spoil.
struct Workshop(tempfile::TempDir);

impl Workshop {
    fn new() -> Self {
        Workshop(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    fn run(&self, program: &str, arguments: &str) -> Output {
        let program = match program {
            "splindex" => env!("CARGO_BIN_EXE_splindex"),
            _ => env!("CARGO_BIN_EXE_splindex-query"),
        };
        Command::new(program)
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    fn splindex(&self, arguments: &str) -> Output {
        self.run("splindex", arguments)
    }

    /// The command fails with code 2 and one line that has every part of `expected`, and
    /// leaves nothing behind that was not there.
    fn refuses(&self, program: &str, arguments: &str, expected: &[&str]) {
        let before = self.listing();
        let output = self.run(program, arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {message}");
        assert_eq!(message.trim_end().lines().count(), 1, "{message}");
        for part in expected {
            assert!(message.contains(part), "expected {part:?} in {message:?}");
        }
        assert_eq!(self.listing(), before, "{arguments} left files behind");
    }

    fn listing(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// A sound index of two documents.
    fn index(&self) -> PathBuf {
        self.file(
            "good.jsonl",
            "{\"id\":\"a\",\"vector\":{\"x\":1.5,\"y\":2}}\n{\"id\":\"b\",\"vector\":{\"x\":1}}\n",
        );
        let output = self.splindex("build --input good.jsonl --output good.spx");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::remove_file(self.path("good.jsonl")).unwrap();
        self.path("good.spx")
    }
}

#[test]
fn vectors_that_are_not_sound_are_refused_with_their_line() {
    let good = "{\"id\":\"a\",\"vector\":{\"x\":1}}\n";
    for (second, expected) in [
        ("{\"id\":\"b\",\"vector\":{\"x\":-1}}", &["bad.jsonl:2:", "-1"][..]),
        ("{\"id\":\"b\",\"vector\":{\"x\":NaN}}", &["bad.jsonl:2:"]),
        ("{\"id\":\"b\",\"vector\":{\"x\":1e999}}", &["bad.jsonl:2:"]),
        ("{\"id\":\"b\",\"vector\":{\"x\":\"Infinity\"}}", &["bad.jsonl:2:"]),
        ("{\"id\":\"a\",\"vector\":{\"x\":1}}", &["bad.jsonl:2:", "\"a\""]),
        ("{\"id\":\"b\",\"vector\":{\"x\":1,\"x\":2}}", &["bad.jsonl:2:", "\"x\""]),
        ("{\"id\":\"b\"", &["bad.jsonl:2:"]),
        ("{\"id\":\"b\"}", &["bad.jsonl:2:", "vector"]),
    ] {
        let shop = Workshop::new();
        shop.file("bad.jsonl", format!("{good}{second}\n"));
        shop.refuses("splindex", "build --input bad.jsonl --output out.spx", expected);
    }
}

#[test]
fn texts_that_are_not_sound_are_refused_with_their_line() {
    for (content, expected) in [
        (&b"a\tone\nno tab here\n"[..], &["bad.tsv:2:", "tab"][..]),
        (b"a\tone\nb\tt\xFF\n", &["bad.tsv:2:", "UTF-8"]),
        (b"a\tone\na\ttwo\n", &["bad.tsv:2:", "\"a\""]),
        (b"", &["bad.tsv: expected at least one document, found none"]),
    ] {
        let shop = Workshop::new();
        shop.file("bad.tsv", content);
        shop.refuses("splindex", "build --bm25 --input bad.tsv --output out.spx", expected);
    }
    let shop = Workshop::new();
    let arguments = "build --bm25 --input gone.tsv --output out.spx";
    shop.refuses("splindex", arguments, &["gone.tsv: no such file"]);
}

#[test]
fn an_empty_collection_of_vectors_is_refused() {
    let shop = Workshop::new();
    shop.file("none.jsonl", "");
    let arguments = "build --input none.jsonl --output out.spx";
    shop.refuses(
        "splindex",
        arguments,
        &["none.jsonl: expected at least one document, found none"],
    );
}

#[test]
fn a_document_without_terms_stays_a_document() {
    let shop = Workshop::new();
    shop.file("some.tsv", "a\t\nb\tthe of and\nc\tcoffee beans\n");
    let output = shop.splindex("build --bm25 --input some.tsv --output out.spx --json");
    assert!(output.status.success());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["meta"]["documents"], &report["empty_documents"]), (&3.into(), &2.into()));
    let output = shop.splindex("inspect out.spx --doc a");
    assert!(String::from_utf8_lossy(&output.stdout).contains("0 terms"));
}

#[test]
fn model_directories_that_cannot_encode_say_what_is_missing() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/tiny");
    let shop = Workshop::new();
    shop.file("texts.tsv", "a\tsome text\n");
    let encode = "encode --model model --input texts.tsv --output vectors";
    shop.refuses("splindex", encode, &["model"]);

    fs::create_dir(shop.path("model")).unwrap();
    shop.refuses("splindex", encode, &["config.json"]);
    let config = fs::read_to_string(data.join("config.json")).unwrap();
    shop.file("model/config.json", config.replace("BertForMaskedLM", "T5ForSomething"));
    shop.refuses(
        "splindex",
        encode,
        &["T5ForSomething", "BertForMaskedLM", "DistilBertForMaskedLM"],
    );
    shop.file("model/config.json", &config);
    fs::copy(data.join("tokenizer.json"), shop.path("model/tokenizer.json")).unwrap();
    shop.refuses("splindex", encode, &["model.safetensors"]);
    fs::copy(data.join("model.safetensors"), shop.path("model/model.safetensors")).unwrap();
    fs::remove_file(shop.path("model/tokenizer.json")).unwrap();
    shop.refuses("splindex", encode, &["tokenizer.json"]);
    shop.file("model/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n");
    shop.refuses("splindex", encode, &["7", "30522"]);
}

#[test]
fn files_that_are_no_index_are_refused() {
    let shop = Workshop::new();
    let index = shop.index();
    let bytes = fs::read(&index).unwrap();
    for (name, content, expected) in [
        (
            "text.spx",
            b"not an index, but long enough to have sixty-four bytes in it, really".to_vec(),
            "no .spx file",
        ),
        ("empty.spx", Vec::new(), "expected a header of 64 bytes"),
        ("cut.spx", bytes[..bytes.len() - 20].to_vec(), "truncated"),
        ("half.spx", bytes[..bytes.len() / 2].to_vec(), "truncated"),
        ("newer.spx", spoil(&bytes, 8, 3), "format version 3.0, this program reads 2.0"),
        ("header.spx", spoil(&bytes, 40, 99), "checksum"),
    ] {
        shop.file(name, content);
        shop.refuses("splindex", &format!("inspect {name}"), &[name, expected]);
        let output = shop.splindex(&format!("verify {name} good.spx"));
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(name) && message.contains(expected), "{message}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("good.spx: checksums"));
    }
    shop.refuses("splindex", "verify gone.spx", &["gone.spx: no such file"]);
}

#[test]
fn verify_says_no_to_flipped_bits_with_exit_code_1() {
    let shop = Workshop::new();
    let index = shop.index();
    let bytes = fs::read(&index).unwrap();
    // The first section begins behind the header.
    shop.file("flipped.spx", spoil(&bytes, 64, bytes[64] ^ 1));
    let output = shop.splindex("verify flipped.spx");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("section POSTINGS at byte 64: expected checksum"), "{message}");
    assert!(shop.splindex("verify --deep good.spx").status.success());
}

#[test]
fn query_files_that_are_not_sound_are_refused_with_their_line() {
    let shop = Workshop::new();
    shop.index();
    for (content, arguments, expected) in [
        ("q1\tx:1\nq2\n", "", &["queries.tsv:2:"][..]),
        ("q1\tx:1\nq1\ty:1\n", "", &["queries.tsv:2:", "\"q1\""]),
        ("q1\tx:1\nq2\tx:-3\n", "--query-kind weighted", &["queries.tsv:2:", "-3"]),
        ("q1\tx:1\nq2\tx:70000\n", "", &["queries.tsv:2:", "70000", "65535"]),
        ("q1\tx:1\nq2\tx:65535 y:65535\n", "--k 0", &["--k must be at least 1"]),
        ("q1\twhat is this\n", "", &["queries.tsv:1:", "--query-model"]),
        ("q1\tx:1\nq2\tx:1 y:2z\n", "", &["queries.tsv:2:", "\"y:2z\"", "--query-kind text"]),
        ("q1\tx:1\nq2\ty:2z\n", "", &["queries.tsv:2:", "\"y:2z\""]),
        ("q1\tx:1\n", "--k -3", &["-3"]),
        ("q1\tx:1\n", "--algorithm bmw", &["bmw", "block_max_wand", "exhaustive"]),
    ] {
        shop.file("queries.tsv", content);
        let arguments = format!("search good.spx --queries queries.tsv --output run {arguments}");
        let output = shop.run("splindex-query", &arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {message}");
        for part in expected {
            assert!(message.contains(part), "expected {part:?} in {message:?}");
        }
        assert!(!shop.path("run").exists());
    }
}

#[test]
fn the_older_output_survives_a_failed_build() {
    let shop = Workshop::new();
    let index = shop.index();
    let before = fs::read(&index).unwrap();
    shop.file("bad.jsonl", "{\"id\":\"a\",\"vector\":{\"x\":-1}}\n");
    shop.refuses("splindex", "build --input bad.jsonl --output good.spx", &["bad.jsonl:1:"]);
    assert_eq!(fs::read(&index).unwrap(), before);
}

#[test]
fn an_output_that_is_an_input_is_refused() {
    let shop = Workshop::new();
    shop.index();
    shop.file("texts.tsv", "a\tone\n");
    shop.file("queries.tsv", "q1\tx:1\n");
    let expected = &["the output is also an input"][..];
    shop.refuses("splindex", "build --bm25 --input texts.tsv --output texts.tsv", expected);
    for target in ["good.spx", "queries.tsv", "./queries.tsv"] {
        let search = format!("search good.spx --queries queries.tsv --output {target}");
        shop.refuses("splindex-query", &search, expected);
    }
    let search = "search good.spx --queries queries.tsv --output no/such/run";
    shop.refuses("splindex-query", search, &["no such folder"]);
}

#[test]
fn deep_verification_sees_a_flipped_bit_anywhere() {
    let shop = Workshop::new();
    let bytes = fs::read(shop.index()).unwrap();
    for at in (0..bytes.len()).step_by(7).chain([bytes.len() - 17]) {
        shop.file("flipped.spx", spoil(&bytes, at, bytes[at] ^ 0x10));
        let output = shop.splindex("verify --deep --quiet flipped.spx");
        assert_eq!(output.status.code(), Some(1), "a flipped bit at byte {at}");
    }
}

#[test]
fn indexes_that_do_not_belong_together_are_not_merged() {
    let shop = Workshop::new();
    shop.file("a.jsonl", "{\"id\":\"a\",\"vector\":{\"x\":1.5}}\n");
    shop.file("b.jsonl", "{\"id\":\"b\",\"vector\":{\"x\":1.5,\"y\":2}}\n");
    shop.file("same.jsonl", "{\"id\":\"c\",\"vector\":{}}\n{\"id\":\"a\",\"vector\":{}}\n");
    shop.file("texts.tsv", "t\tone two\n");
    let build = |name: &str, flags: &str| {
        let output = shop.splindex(&format!("build --output {name}.spx {flags}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    build("a", "--input a.jsonl --scale 3");
    for (name, flags, expected) in [
        (
            "scale",
            "--input b.jsonl --scale 2.5",
            &["unit of weight (--scale) 85.0", "found 102.0"][..],
        ),
        ("auto", "--input b.jsonl", &["(--scale) 85.0"]),
        ("same", "--input same.jsonl --scale 3", &["document id \"a\" is also in a.spx"]),
        ("small", "--input b.jsonl --scale 3 --codec small", &["--codec \"fast\"", "\"small\""]),
        ("dense", "--input b.jsonl --scale 3 --dense bytes", &["--dense"]),
        ("bits", "--input b.jsonl --scale 3 --bits 7", &["expected --bits 8", "found 7"]),
        ("top", "--input b.jsonl --scale 3 --top-per-doc 1", &["--top-per-doc 0", "found 1"]),
        ("least", "--input b.jsonl --scale 3 --min-impact 9", &["--min-impact 1", "found 9"]),
        ("bm25", "--bm25 --input texts.tsv", &["expected kind \"learned\"", "\"bm25\""]),
    ] {
        build(name, flags);
        let mut expected = expected.to_vec();
        let (file, both) = (format!("{name}.spx:"), "a.spx");
        expected.extend([file.as_str(), both]);
        shop.refuses("splindex", &format!("merge a.spx {name}.spx --output all.spx"), &expected);
    }
    build("stem", "--bm25 --input texts.tsv --stemmer none");
    build("long", "--bm25 --input texts.tsv --avgdl 9");
    for (other, expected) in [("stem", "stemmer \"english\""), ("long", "avgdl 2.0")] {
        let merge = format!("merge bm25.spx {other}.spx --output all.spx");
        shop.refuses("splindex", &merge, &[expected, "bm25.spx", &format!("{other}.spx:")]);
    }
    shop.refuses("splindex", "merge a.spx b.jsonl --output all.spx", &["b.jsonl", "a header"]);
    let merge = "merge a.spx a.spx --output a.spx";
    shop.refuses("splindex", merge, &["the output is also an input"]);
    shop.file("newer.spx", spoil(&fs::read(shop.path("a.spx")).unwrap(), 8, 3));
    shop.refuses("splindex", "merge a.spx newer.spx --output all.spx", &["format version 3.0"]);
}

#[test]
fn shards_that_leave_a_gap_or_come_twice_are_not_merged() {
    let shop = Workshop::new();
    let output = shop.splindex("synth --docs 60 --seed 3 --profile unicoil --output made --quiet");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for index in 0..3 {
        let build = format!("build --input made/documents --shard {index}/3 --output {index}.spx");
        let output = shop.splindex(&build);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(shop.splindex("build --input made/documents --output whole.spx").status.success());
    for (parts, expected) in [
        ("0.spx 2.spx", &["2.spx:", "expected shard 1/3 from document 20 on"][..]),
        ("1.spx 2.spx", &["1.spx:", "expected shard 0/3"]),
        ("0.spx 1.spx", &["1.spx:", "expected 3 shards, found 2"]),
        ("0.spx 1.spx 1.spx 2.spx", &["1.spx:", "expected shard 2/3 from document 40 on"]),
        ("0.spx 1.spx whole.spx", &["whole.spx:", "expected a shard of 3", "a whole collection"]),
    ] {
        shop.refuses("splindex", &format!("merge {parts} --output all.spx"), expected);
    }
    assert!(shop.splindex("merge 2.spx 0.spx 1.spx --output all.spx").status.success());
    let id = |name: &str| {
        let bytes = fs::read(shop.path(name)).unwrap();
        bytes[44..60].to_vec()
    };
    assert_eq!(id("all.spx"), id("whole.spx"));
    shop.file("v.jsonl", "{\"id\":\"a\",\"vector\":{\"x\":1}}\n");
    let build = "build --input v.jsonl --shard 0/2 --output x.spx";
    shop.refuses("splindex", build, &["--shard needs vector stores"]);
}

#[test]
fn limits_and_folders_that_do_not_do_are_refused() {
    let shop = Workshop::new();
    shop.file("v.jsonl", "{\"id\":\"a\",\"vector\":{\"x\":1}}\n{\"id\":\"b\",\"vector\":{}}\n");
    for (flags, expected) in [
        ("--memory 1MiB", &["--memory 1MiB is too small", "or more"][..]),
        ("--tmp no/such/folder", &["no/such/folder: no such folder", "--tmp"]),
    ] {
        let build = format!("build --input v.jsonl --output x.spx {flags}");
        shop.refuses("splindex", &build, expected);
    }
    let output = shop.splindex("build --input v.jsonl --output x.spx --memory lots");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("expected a size such as 8GiB"), "{message}");
    for (order, expected) in [
        ("0\n0\n", "order.txt:2: ordinal 0 was already given on line 1"),
        ("0\n", "order.txt: expected 2 lines, found 1; ordinal 1 is missing"),
        ("0\n2\n", "order.txt:2: expected an ordinal below 2, found \"2\""),
    ] {
        shop.file("order.txt", order);
        let build = "build --input v.jsonl --output x.spx --order order.txt";
        shop.refuses("splindex", build, &[expected]);
    }
    shop.file("q.tsv", "q\tfree text\n");
    let build = "build --input v.jsonl --output x.spx --fidelity q.tsv";
    shop.refuses("splindex", build, &["q.tsv:1:", "--fidelity takes"]);
}

fn spoil(bytes: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] = value;
    bytes
}

#[test]
fn stores_that_do_not_belong_together_are_refused() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/tiny");
    let model = model.display();
    let shop = Workshop::new();
    shop.file("texts.tsv", "a\tcoffee beans\nb\tgreen tea\nc\tred wine\n");
    for (store, flags) in [
        ("s0", "--shard 0/3"),
        ("s1", "--shard 1/3"),
        ("s2", "--shard 2/3"),
        ("s2-short", "--shard 2/3 --max-length 8"),
        ("questions", "--kind query"),
    ] {
        let encode = format!("encode --model {model} --input texts.tsv --output {store} {flags}");
        assert!(shop.splindex(&encode).status.success());
    }
    for (stores, expected) in [
        ("s0 s1", &["expected all 3 shards", "found 2"][..]),
        ("s0", &["expected all 3 shards", "found shard 0 alone", "--scale W"]),
        ("s0 s2", &["expected a shard that begins at document 1, found one at 2"]),
        ("s0 s1 s2-short", &["s2-short", "--max-length differs from that of s0"]),
        ("questions", &["questions", "found a store of queries"]),
    ] {
        shop.refuses("splindex", &format!("build --input {stores} --output o.spx"), expected);
    }
    let done = |arguments: &str| {
        let output = shop.splindex(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    done("build --input s1 s2 s0 --output o.spx");
    // With a scale that all share, a shard is built where it was encoded, and merged later.
    for shard in 0..3 {
        done(&format!("build --input s{shard} --scale 3 --output i{shard}.spx"));
    }
    done("build --input s0 s1 s2 --scale 3 --output whole.spx");
    done("merge i2.spx i0.spx i1.spx --output merged.spx");
    let id = |name: &str| {
        let json = shop.splindex(&format!("inspect {name} --json")).stdout;
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        json["content_id"].clone()
    };
    assert!(id("whole.spx").is_string() && id("whole.spx") == id("merged.spx"));
}

#[test]
fn damage_is_not_copied_into_a_sound_file() {
    let shop = Workshop::new();
    shop.index();
    let good = fs::read(shop.path("good.spx")).unwrap();
    for at in (good.len() / 8..good.len()).step_by(good.len() / 16) {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        shop.file("bad.spx", &bad);
        if shop.splindex("verify bad.spx").status.success() {
            continue; // padding
        }
        shop.refuses("splindex", "merge bad.spx --output m.spx", &["bad.spx"]);
        shop.refuses("splindex", "convert --input bad.spx --output m.jsonl", &["bad.spx"]);
    }
}

#[test]
fn a_file_of_something_else_is_not_replaced() {
    let shop = Workshop::new();
    shop.index();
    shop.file("v.jsonl", "{\"id\":\"a\",\"vector\":{\"x\":1}}\n");
    shop.file("thesis.txt", "ten years of work");
    shop.file("q.tsv", "1\tx:1\n");
    let build = "build --input v.jsonl --output";
    shop.refuses("splindex", &format!("{build} thesis.txt"), &["thesis.txt", "is no index"]);
    shop.refuses("splindex", &format!("{build} -"), &["standard output"]);
    shop.refuses("splindex", &format!("{build} new/"), &["expected a file name"]);
    let search = "search good.spx --queries q.tsv --output";
    fs::copy(shop.path("good.spx"), shop.path("other.spx")).unwrap();
    shop.refuses("splindex-query", &format!("{search} other.spx"), &["is an index"]);
    shop.refuses("splindex-query", "search . --queries q.tsv", &["found a folder"]);
    fs::create_dir(shop.path("empty")).unwrap();
    shop.refuses(
        "splindex",
        "build --input empty --output o.spx",
        &["found a folder with neither a vector store nor JSON files"],
    );
}

#[test]
fn a_forgotten_flag_is_named() {
    let shop = Workshop::new();
    shop.file("texts.tsv", "a\tsome text\n");
    let arguments = "build --input texts.tsv --output out.spx";
    shop.refuses("splindex", arguments, &["texts.tsv:1:", "build --bm25"]);
    fs::create_dir(shop.path("store")).unwrap();
    let arguments = "build --bm25 --input store --output out.spx";
    shop.refuses("splindex", arguments, &["store: expected a file of texts", "without --bm25"]);
    shop.index();
    shop.file("q.tsv", "1\tx:1\n");
    let arguments = "search good.spx --queries q.tsv --json";
    shop.refuses("splindex-query", arguments, &["--output RUN", "--format jsonl"]);
}

#[test]
fn a_file_without_queries_is_refused() {
    let shop = Workshop::new();
    shop.index();
    shop.file("q.tsv", "");
    let arguments = "search good.spx --queries q.tsv --output run";
    shop.refuses("splindex-query", arguments, &["q.tsv: expected at least one query, found none"]);
}

#[test]
fn numbers_that_json_does_not_have_are_named() {
    for number in ["NaN", "Infinity", "-Infinity"] {
        let shop = Workshop::new();
        shop.file("v.jsonl", format!("{{\"id\":\"a\",\"vector\":{{\"x\":{number}}}}}\n"));
        let found = format!("expected a finite number, found {number}");
        shop.refuses("splindex", "build --input v.jsonl --output out.spx", &["v.jsonl:1:", &found]);
    }
}

#[test]
fn verify_checks_every_file_even_after_one_that_is_missing() {
    let shop = Workshop::new();
    shop.index();
    let output = shop.splindex("verify gone.spx good.spx");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("gone.spx"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("good.spx"));
}

#[test]
fn a_scale_that_does_not_fit_is_warned_of() {
    let shop = Workshop::new();
    shop.file("v.jsonl", "{\"id\":\"a\",\"vector\":{\"x\":1.5,\"y\":2.5}}\n");
    for (scale, warned) in [("0.001", true), ("100000", true), ("2.5", false), ("auto", false)] {
        let output =
            shop.splindex(&format!("build --input v.jsonl --output o.spx --scale {scale}"));
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(message.contains("warning: scale"), warned, "{scale}: {message}");
    }
}

#[test]
fn search_prints_its_summary_as_json() {
    let shop = Workshop::new();
    shop.index();
    shop.file("q.tsv", "1\tx:1 unknown:2\n");
    let output =
        shop.run("splindex-query", "search good.spx --queries q.tsv --output run --json --quiet");
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["queries"], &summary["unknown_tokens"]), (&1.into(), &1.into()));
    assert_eq!(summary["query_side"], "weighted tokens");
}

#[test]
fn approximate_flags_without_a_meaning_are_refused() {
    let shop = Workshop::new();
    shop.index();
    shop.file("q.tsv", "q1\tx:2 y:1\n");
    for (flags, expected) in [
        ("--query-mass 0", &["--query-mass must be above 0 and at most 1", "found 0"][..]),
        ("--query-mass NaN", &["--query-mass must be", "found NaN"]),
        ("--query-mass 1.5", &["--query-mass must be", "found 1.5"]),
        ("--max-query-terms 0", &["--max-query-terms must be at least 1"]),
        (
            "--rescore 10",
            &["--rescore is for queries that --max-query-terms or --query-mass shorten"],
        ),
        ("--max-query-terms 1 --rescore 0", &["--rescore must be at least 1"]),
    ] {
        for command in
            ["search good.spx --queries q.tsv --output run", "bench good.spx --queries q.tsv"]
        {
            shop.refuses("splindex-query", &format!("{command} {flags}"), expected);
        }
    }
    let search = "search good.spx --queries q.tsv --output run";
    let explained = "--max-query-terms 1 --explain";
    shop.refuses("splindex-query", &format!("{search} {explained}"), &["--explain", "--rescore"]);
    let lists = format!("{search} --query-mass 0.5,0.9");
    shop.refuses("splindex-query", &lists, &["one value each", "bench"]);
}

#[test]
fn approximate_answers_are_marked_in_run_and_summary() {
    let shop = Workshop::new();
    shop.index();
    shop.file("q.tsv", "q1\tx:2 y:1\n");
    for (flags, tag, shown) in [
        ("", "splindex", "auto"),
        ("--query-mass 1", "splindex", "auto"),
        ("--max-query-terms 1", "splindex-approximate", "approximate: 1 terms"),
    ] {
        let search = format!("search good.spx --queries q.tsv --output run --json {flags}");
        let output = shop.run("splindex-query", &search);
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["approximate"].is_null(), tag == "splindex");
        assert!(String::from_utf8_lossy(&output.stderr).contains(shown), "{output:?}");
        let run = fs::read_to_string(shop.path("run")).unwrap();
        assert!(run.lines().all(|line| line.ends_with(&format!(" {tag}"))), "{run}");
    }
}
