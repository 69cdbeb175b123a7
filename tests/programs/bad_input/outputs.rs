//! Where outputs and temporary files may go, limits and scales.

use std::fs;

use super::index;
use crate::common::{Folder, QUERY, SPLINDEX, command};

#[test]
fn the_older_output_survives_a_failed_build() {
    let shop = Folder::new();
    let index = index(&shop);
    let before = fs::read(&index).unwrap();
    shop.file("bad.jsonl", "{\"id\":\"a\",\"vector\":{\"x\":-1}}\n");
    shop.refuses(SPLINDEX, "build --input bad.jsonl --output good.spx", &["bad.jsonl:1:"]);
    assert_eq!(fs::read(&index).unwrap(), before);
}

#[test]
fn an_output_that_is_an_input_is_refused() {
    let shop = Folder::new();
    index(&shop);
    shop.file("texts.tsv", "a\tone\n");
    shop.file("queries.tsv", "q1\tx:1\n");
    let expected = &["the output is also an input"][..];
    shop.refuses(SPLINDEX, "build --bm25 --input texts.tsv --output texts.tsv", expected);
    for target in ["good.spx", "queries.tsv", "./queries.tsv"] {
        let search = format!("search good.spx --queries queries.tsv --output {target}");
        shop.refuses(QUERY, &search, expected);
    }
    let search = "search good.spx --queries queries.tsv --output no/such/run";
    shop.refuses(QUERY, search, &["no such folder"]);
}

#[test]
fn a_file_of_something_else_is_not_replaced() {
    let shop = Folder::new();
    index(&shop);
    shop.file("v.jsonl", "{\"id\":\"a\",\"vector\":{\"x\":1}}\n");
    shop.file("thesis.txt", "ten years of work");
    shop.file("q.tsv", "1\tx:1\n");
    let build = "build --input v.jsonl --output";
    shop.refuses(SPLINDEX, &format!("{build} thesis.txt"), &["thesis.txt", "is no index"]);
    shop.refuses(SPLINDEX, &format!("{build} -"), &["standard output"]);
    shop.refuses(SPLINDEX, &format!("{build} new/"), &["expected a file name"]);
    let search = "search good.spx --queries q.tsv --output";
    fs::copy(shop.path("good.spx"), shop.path("other.spx")).unwrap();
    shop.refuses(QUERY, &format!("{search} other.spx"), &["is an index"]);
    shop.refuses(QUERY, "search . --queries q.tsv", &["found a folder"]);
    fs::create_dir(shop.path("empty")).unwrap();
    shop.refuses(
        SPLINDEX,
        "build --input empty --output o.spx",
        &["found a folder with neither a vector store nor JSON files"],
    );
}

#[test]
fn limits_and_folders_that_do_not_do_are_refused() {
    let shop = Folder::new();
    shop.file("v.jsonl", "{\"id\":\"a\",\"vector\":{\"x\":1}}\n{\"id\":\"b\",\"vector\":{}}\n");
    for (flags, expected) in [
        ("--memory 1MiB", &["--memory 1MiB is too small", "or more"][..]),
        ("--tmp no/such/folder", &["no/such/folder: no such folder", "--tmp"]),
    ] {
        let build = format!("build --input v.jsonl --output x.spx {flags}");
        shop.refuses(SPLINDEX, &build, expected);
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
        shop.refuses(SPLINDEX, build, &[expected]);
    }
}

#[test]
fn a_scale_that_does_not_fit_is_warned_of() {
    let shop = Folder::new();
    shop.file("v.jsonl", "{\"id\":\"a\",\"vector\":{\"x\":1.5,\"y\":2.5}}\n");
    for (scale, warned) in [("0.001", true), ("100000", true), ("2.5", false), ("auto", false)] {
        let output =
            shop.splindex(&format!("build --input v.jsonl --output o.spx --scale {scale}"));
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(message.contains("warning: scale"), warned, "{scale}: {message}");
    }
}

#[test]
fn what_a_stopped_synth_left_is_called_so() {
    let shop = Folder::new();
    let synth = "synth --docs 5 --seed 3 --profile unicoil --output made --quiet";
    assert!(shop.splindex(synth).status.success());
    shop.refuses(SPLINDEX, synth, &["made/documents: the output exists already; choose another"]);
    fs::remove_file(shop.path("made/documents/manifest.json")).unwrap();
    shop.refuses(SPLINDEX, synth, &["it was left unfinished: remove it, or choose another"]);
}

/// `2>&1 | head` has gone, or the disk of a log is full: work and exit code stay.
#[cfg(target_os = "linux")]
#[test]
fn a_standard_error_that_cannot_be_written_changes_nothing_else() {
    let shop = Folder::new();
    index(&shop);
    shop.file("tabs.tsv", "a\tone\ttwo\nb\tthree\n");
    shop.file("q.tsv", "1\tx:1\n");
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for (program, words, code) in [
        (SPLINDEX, "build --bm25 --input tabs.tsv --output tabs.spx", 0),
        (SPLINDEX, "build --bm25 --input none.tsv --output none.spx", 2),
        (SPLINDEX, "convert --input good.spx --output good.ciff", 0),
        (QUERY, "search good.spx --queries q.tsv --output good.run", 0),
        (QUERY, "search none.spx --queries q.tsv", 2),
    ] {
        let mut command = command(&shop.path("."), program, words);
        let output = command.stderr(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{words}");
    }
    for made in ["tabs.spx", "good.ciff", "good.run"] {
        assert!(shop.path(made).is_file(), "{made}");
    }
}
