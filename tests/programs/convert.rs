//! `splindex convert` and `eval --compare` as a user meets them.

use std::fs;
use std::path::Path;

use crate::common::{Folder, SPLINDEX};

fn docs() -> Folder {
    let folder = Folder::new();
    folder.file(
        "docs.jsonl",
        "{\"id\":\"a\",\"vector\":{\"x\":15,\"y\":2}}\n{\"id\":\"b\",\"vector\":{\"x\":1}}\n",
    );
    folder
}

/// Fails with code 2 and one line that holds `expected`, and leaves nothing behind.
fn refuses(folder: &Folder, words: &str, expected: &str) {
    folder.refuses(SPLINDEX, words, &[expected]);
}

#[test]
fn every_format_leads_back_to_the_same_index() {
    let folder = docs();
    let content_id = |input: &str, output: &str| {
        let build = format!("build --input {input} --output {output} --json");
        let json: serde_json::Value = serde_json::from_str(&folder.succeeds(&build).0).unwrap();
        json["content_id"].clone()
    };
    let expected = content_id("docs.jsonl", "0.spx");
    assert!(expected.is_string());
    for (from, to, more) in [
        ("docs.jsonl", "1.ciff.gz", ""),
        ("1.ciff.gz", "2.npz", ""),
        ("2.npz", "3.csr.zst", ""),
        ("3.csr.zst", "4", "--to store"),
        ("4", "5.jsonl", ""),
        ("0.spx", "6.ciff", ""),
    ] {
        folder.succeeds(&format!("convert --input {from} --output {to} {more}"));
        assert_eq!(content_id(to, "x.spx"), expected, "{to}");
    }
    // What a build does not find beside the matrix it is told, as convert is.
    fs::rename(folder.path("2-ids.txt"), folder.path("names")).unwrap();
    fs::rename(folder.path("2-tokens.txt"), folder.path("columns")).unwrap();
    assert_ne!(content_id("2.npz", "x.spx"), expected);
    assert_eq!(content_id("2.npz --ids names --vocabulary columns", "x.spx"), expected);
    refuses(&folder, "build --input docs.jsonl --ids names --output y.spx", "--ids belongs to one");
    refuses(&folder, "build --input 4 --vocabulary columns --output y.spx", "found none among");
}

#[test]
fn pisa_gets_its_files_and_the_commands_to_run() {
    let folder = docs();
    let (_, err) = folder.succeeds("convert --input docs.jsonl --output pisa --to pisa");
    assert!(err.contains("compress_inverted_index") && err.contains("create_wand_data"), "{err}");
    for name in
        ["inv.docs", "inv.freqs", "inv.sizes", "fwd.terms", "fwd.documents", "make-index.sh"]
    {
        assert!(folder.path("pisa").join(name).is_file(), "{name}");
    }
    refuses(
        &folder,
        "convert --input docs.jsonl --output pisa --to pisa",
        "the output exists already",
    );
}

#[test]
fn standard_output_takes_json_lines_only() {
    let folder = docs();
    let (out, _) = folder.succeeds("convert --input docs.jsonl --output - --quiet");
    assert_eq!(out, fs::read_to_string(folder.path("docs.jsonl")).unwrap());
    refuses(
        &folder,
        "convert --input docs.jsonl --output - --to ciff",
        "only jsonl goes to a pipe",
    );
}

#[test]
fn bad_exchange_files_are_refused_with_their_record_and_no_output() {
    let folder = docs();
    folder.succeeds("convert --input docs.jsonl --output good.ciff");
    folder.succeeds("convert --input docs.jsonl --output good.npz");
    folder.succeeds("build --input docs.jsonl --output good.spx");
    let ciff = fs::read(folder.path("good.ciff")).unwrap();
    folder.file("cut.ciff", &ciff[..ciff.len() - 4]);
    folder.file("more.ciff", [&ciff[..], b"\x02\x08\x02"].concat());
    folder.file("good-ids.txt", "a\n");
    for command in ["convert --input", "build --input"] {
        let out = if command.starts_with("build") { "x.spx" } else { "x.jsonl" };
        let refuses = |name: &str, expected: &str| {
            refuses(&folder, &format!("{command} {name} --output {out}"), expected);
        };
        refuses("cut.ciff", "cut.ciff: record 5: expected document 2 of 2 (the header's count)");
        refuses("more.ciff", "expected the end of the file after 2 documents");
        refuses("good.npz", "good-ids.txt: expected 2 ids, one a row of good.npz, found 1");
        refuses("gone.ciff", "gone.ciff: no such file");
    }
    refuses(&folder, "build --input good.spx --output x.spx", "expected vectors, found an index");
    refuses(&folder, "convert --input docs.jsonl --output x", "tells no format: give --to");
    refuses(
        &folder,
        "convert --input docs.jsonl --output x.spx",
        "`splindex build` makes an index",
    );
    refuses(
        &folder,
        "convert --input docs.jsonl --output docs.jsonl",
        "the output is also an input",
    );
    refuses(&folder, "convert --input docs.jsonl --output x.jsonl --field bm25", "--field is for");
    assert!(Path::new(&folder.path("good.ciff")).exists());
}

#[test]
fn only_the_matrixs_own_ids_and_tokens_are_replaced() {
    let folder = docs();
    let convert = |name: &str| format!("convert --input docs.jsonl --output {name}");
    let read = |name: &str| fs::read_to_string(folder.path(name)).unwrap();
    // Somebody's list that happens to have the name.
    folder.file("x-ids.txt", "precious\n");
    let refused = "x-ids.txt: expected none or that of x.npz, found one that belongs to something";
    refuses(&folder, &convert("x.npz"), refused);
    assert_eq!(read("x-ids.txt"), "precious\n");
    fs::remove_file(folder.path("x-ids.txt")).unwrap();
    // The same lists serve several matrices of one collection.
    folder.succeeds(&convert("x.npz"));
    folder.succeeds(&convert("x.csr"));
    folder.file("docs.jsonl", "{\"id\":\"c\",\"vector\":{\"x\":1,\"z\":2}}\n");
    let refused = "x-ids.txt: expected none or that of x.npz, found one that x.csr needs too";
    refuses(&folder, &convert("x.npz"), refused);
    assert_eq!((read("x-ids.txt"), read("x-tokens.txt")), ("a\nb\n".into(), "x\ny\n".into()));
    // Its own are replaced with it.
    fs::remove_file(folder.path("x.csr")).unwrap();
    folder.succeeds(&convert("x.npz"));
    assert_eq!((read("x-ids.txt"), read("x-tokens.txt")), ("c\n".into(), "x\nz\n".into()));
}

#[test]
fn two_runs_are_compared_query_by_query() {
    let folder = docs();
    folder.file("qrels", "1 0 a 1\n2 0 a 1\n3 0 b 1\n");
    folder.file("first", "1 Q0 b 1 2 x\n1 Q0 a 2 1 x\n2 Q0 a 1 2 x\n3 Q0 b 1 1 x\n");
    folder.file("second", "1 Q0 a 1 2 x\n2 Q0 a 1 2 x\n3 Q0 a 1 2 x\n3 Q0 b 2 1 x\n");
    let arguments = "eval --qrels qrels first second --compare --metrics mrr";
    let (out, _) = folder.succeeds(arguments);
    assert!(out.contains("second against first, 3 queries"), "{out}");
    let (json, _) = folder.succeeds(&format!("{arguments} --json"));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let row = &json["compared"][0];
    assert_eq!(
        ["wins", "losses", "ties", "difference", "p"].map(|name| row[name].clone()),
        [1.into(), 1.into(), 1.into(), 0.0.into(), 1.0.into()] as [serde_json::Value; 5]
    );
    refuses(&folder, "eval --qrels qrels first --compare", "--compare needs two runs");
}
