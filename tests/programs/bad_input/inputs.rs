//! Vectors, texts and models that are not sound.

use std::fs;
use std::path::Path;

use super::index;
use crate::common::{Folder, QUERY, SPLINDEX};

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
        let shop = Folder::new();
        shop.file("bad.jsonl", format!("{good}{second}\n"));
        shop.refuses(SPLINDEX, "build --input bad.jsonl --output out.spx", expected);
    }
}

#[test]
fn numbers_that_json_does_not_have_are_named() {
    for number in ["NaN", "Infinity", "-Infinity"] {
        let shop = Folder::new();
        shop.file("v.jsonl", format!("{{\"id\":\"a\",\"vector\":{{\"x\":{number}}}}}\n"));
        let found = format!("expected a finite number, found {number}");
        shop.refuses(SPLINDEX, "build --input v.jsonl --output out.spx", &["v.jsonl:1:", &found]);
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
        let shop = Folder::new();
        shop.file("bad.tsv", content);
        shop.refuses(SPLINDEX, "build --bm25 --input bad.tsv --output out.spx", expected);
    }
    let shop = Folder::new();
    let arguments = "build --bm25 --input gone.tsv --output out.spx";
    shop.refuses(SPLINDEX, arguments, &["gone.tsv: no such file"]);
}

#[test]
fn an_empty_collection_of_vectors_is_refused() {
    let shop = Folder::new();
    shop.file("none.jsonl", "");
    let arguments = "build --input none.jsonl --output out.spx";
    shop.refuses(SPLINDEX, arguments, &["none.jsonl: expected at least one document, found none"]);
}

#[test]
fn a_document_without_terms_stays_a_document() {
    let shop = Folder::new();
    shop.file("some.tsv", "a\t\nb\tthe of and\nc\tcoffee beans\n");
    let output = shop.splindex("build --bm25 --input some.tsv --output out.spx --json");
    assert!(output.status.success());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["meta"]["documents"], &report["empty_documents"]), (&3.into(), &2.into()));
    let output = shop.splindex("inspect out.spx --doc a");
    assert!(String::from_utf8_lossy(&output.stdout).contains("0 terms"));
}

#[test]
fn a_forgotten_flag_is_named() {
    let shop = Folder::new();
    shop.file("texts.tsv", "a\tsome text\n");
    let arguments = "build --input texts.tsv --output out.spx";
    shop.refuses(SPLINDEX, arguments, &["texts.tsv:1:", "build --bm25"]);
    fs::create_dir(shop.path("store")).unwrap();
    let arguments = "build --bm25 --input store --output out.spx";
    shop.refuses(SPLINDEX, arguments, &["store: expected a file of texts", "without --bm25"]);
    index(&shop);
    shop.file("q.tsv", "1\tx:1\n");
    let arguments = "search good.spx --queries q.tsv --json";
    shop.refuses(QUERY, arguments, &["--output RUN", "--format jsonl"]);
}

#[test]
fn model_directories_that_cannot_encode_say_what_is_missing() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/tiny");
    let shop = Folder::new();
    shop.file("texts.tsv", "a\tsome text\n");
    let encode = "encode --model model --input texts.tsv --output vectors";
    shop.refuses(SPLINDEX, encode, &["model"]);

    fs::create_dir(shop.path("model")).unwrap();
    shop.refuses(SPLINDEX, encode, &["config.json"]);
    let config = fs::read_to_string(data.join("config.json")).unwrap();
    shop.file("model/config.json", config.replace("BertForMaskedLM", "T5ForSomething"));
    shop.refuses(SPLINDEX, encode, &["T5ForSomething", "BertForMaskedLM", "DistilBertForMaskedLM"]);
    shop.file("model/config.json", &config);
    fs::copy(data.join("tokenizer.json"), shop.path("model/tokenizer.json")).unwrap();
    shop.refuses(SPLINDEX, encode, &["model.safetensors"]);
    fs::copy(data.join("model.safetensors"), shop.path("model/model.safetensors")).unwrap();
    fs::remove_file(shop.path("model/tokenizer.json")).unwrap();
    shop.refuses(SPLINDEX, encode, &["tokenizer.json"]);
    shop.file("model/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n");
    shop.refuses(SPLINDEX, encode, &["7", "30522"]);
}

/// Of two values of one field one would be lost without a word.
#[test]
fn a_field_that_a_json_object_has_twice_is_refused() {
    let shop = Folder::new();
    index(&shop);
    for field in ["text", "id"] {
        let line = format!("{{\"id\":\"a\",\"text\":\"blue\",\"{field}\":\"red\"}}\n");
        shop.file("t.jsonl", line);
        let expected = format!(":1: expected the field {field:?} once, found it twice");
        shop.refuses(SPLINDEX, "build --bm25 --input t.jsonl --output t.spx", &[&expected]);
        shop.refuses(QUERY, "search good.spx --queries t.jsonl --output t.run", &[&expected]);
    }
    shop.file("v.jsonl", "{\"id\":\"a\",\"id\":\"b\",\"vector\":{\"x\":1}}\n");
    shop.refuses(SPLINDEX, "build --input v.jsonl --output v.spx", &["\"id\" once"]);
    for twice in ["{\"x\":1}", "null"] {
        let line = format!("{{\"id\":\"a\",\"vector\":{{\"x\":1}},\"vector\":{twice}}}\n");
        shop.file("q.jsonl", line);
        let words = "search good.spx --queries q.jsonl --output q.run";
        shop.refuses(QUERY, words, &["\"vector\" once, found it twice"]);
    }
}
