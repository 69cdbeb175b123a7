//! Indexes, shards and stores that do not belong together.

use std::fs;
use std::path::Path;

use super::spoil;
use crate::common::{Folder, SPLINDEX};

#[test]
fn indexes_that_do_not_belong_together_are_not_merged() {
    let shop = Folder::new();
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
        ("bits", "--input b.jsonl --scale 3 --bits 7", &["expected --bits 8", "found 7"]),
        ("top", "--input b.jsonl --scale 3 --top-per-doc 1", &["--top-per-doc 0", "found 1"]),
        ("least", "--input b.jsonl --scale 3 --min-impact 9", &["--min-impact 1", "found 9"]),
        ("bm25", "--bm25 --input texts.tsv", &["expected kind \"learned\"", "\"bm25\""]),
    ] {
        build(name, flags);
        let mut expected = expected.to_vec();
        let (file, both) = (format!("{name}.spx:"), "a.spx");
        expected.extend([file.as_str(), both]);
        shop.refuses(SPLINDEX, &format!("merge a.spx {name}.spx --output all.spx"), &expected);
    }
    build("stem", "--bm25 --input texts.tsv --stemmer none");
    build("long", "--bm25 --input texts.tsv --avgdl 9");
    for (other, expected) in [("stem", "stemmer \"english\""), ("long", "avgdl 2.0")] {
        let merge = format!("merge bm25.spx {other}.spx --output all.spx");
        shop.refuses(SPLINDEX, &merge, &[expected, "bm25.spx", &format!("{other}.spx:")]);
    }
    shop.refuses(SPLINDEX, "merge a.spx b.jsonl --output all.spx", &["b.jsonl", "found JSON"]);
    let merge = "merge a.spx a.spx --output a.spx";
    shop.refuses(SPLINDEX, merge, &["the output is also an input"]);
    shop.file("newer.spx", spoil(&fs::read(shop.path("a.spx")).unwrap(), 8, 3));
    shop.refuses(SPLINDEX, "merge a.spx newer.spx --output all.spx", &["format version 3.1"]);
}

#[test]
fn shards_that_leave_a_gap_or_come_twice_are_not_merged() {
    let shop = Folder::new();
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
        ("0.spx 1.spx", &["1.spx:", "expected 3 shards, found none after this"]),
        ("0.spx 1.spx 1.spx 2.spx", &["1.spx:", "expected shard 2/3 from document 40 on"]),
        ("0.spx 1.spx whole.spx", &["whole.spx:", "expected a shard of 3", "a whole collection"]),
    ] {
        shop.refuses(SPLINDEX, &format!("merge {parts} --output all.spx"), expected);
    }
    assert!(shop.splindex("merge 2.spx 0.spx 1.spx --output all.spx").status.success());
    let id = |name: &str| {
        let bytes = fs::read(shop.path(name)).unwrap();
        bytes[44..60].to_vec()
    };
    assert_eq!(id("all.spx"), id("whole.spx"));
    // 60 documents in 61 shards: the first is empty, and the others are all there is.
    let empty = "build --input made/documents --shard 0/61 --output 0of61.spx";
    shop.refuses(SPLINDEX, empty, &["shard 0/61 has no document", "leave it out"]);
    let names: Vec<String> = (1..61).map(|index| format!("{index}of61.spx")).collect();
    for (index, name) in (1..61).zip(&names) {
        let build = format!("build --input made/documents --shard {index}/61 --output {name}");
        assert!(shop.splindex(&build).status.success());
    }
    let merge = format!("merge {} --output all.spx", names.join(" "));
    assert!(shop.splindex(&merge).status.success());
    assert_eq!(id("all.spx"), id("whole.spx"));
    shop.file("v.jsonl", "{\"id\":\"a\",\"vector\":{\"x\":1}}\n");
    let build = "build --input v.jsonl --shard 0/2 --output x.spx";
    shop.refuses(SPLINDEX, build, &["--shard needs vector stores"]);
}

#[test]
fn stores_that_do_not_belong_together_are_refused() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/tiny");
    let model = model.display();
    let shop = Folder::new();
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
        ("s0 s1", &["s1:", "expected shards up to 2/3", "found none after 1"][..]),
        (
            "s0",
            &["expected all 3 shards", "found shard 0 alone", "a --scale that all shards share"],
        ),
        ("s0 s2", &["expected a shard that begins at document 1, found one at 2"]),
        ("s0 s1 s2-short", &["s2-short", "--max-length differs from that of s0"]),
        ("questions", &["questions", "found a store of queries"]),
    ] {
        shop.refuses(SPLINDEX, &format!("build --input {stores} --output o.spx"), expected);
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
