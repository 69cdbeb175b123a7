//! Hybrid indexes as a user builds, searches and looks at them.

use std::path::Path;

use serde_json::Value;

use crate::common::{QUERY, SPLINDEX, command, succeeds as ok};

fn fails(dir: &Path, program: &str, words: &str) -> String {
    let output = command(dir, program, words).output().unwrap();
    assert!(!output.status.success(), "{words}");
    String::from_utf8(output.stderr).unwrap()
}

/// Six documents of text, vectors of them, and queries of both kinds.
fn files() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let texts = ["red apple", "green apples", "red car", "a fast car", "the moon", "apple moon"];
    let (mut tsv, mut vectors) = (String::new(), String::new());
    for (i, text) in texts.iter().enumerate() {
        tsv += &format!("d{i}\t{text}\n");
        let learned: Vec<String> =
            text.split(' ').map(|word| format!("\"{word}\":{}", 0.5 + i as f64 / 7.0)).collect();
        vectors += &format!("{{\"id\":\"d{i}\",\"vector\":{{{}}}}}\n", learned.join(","));
    }
    let line = "{\"id\":\"q\",\"text\":\"apples\",\"vector\":{\"apple\":1.5,\"moon\":0.25}}\n";
    for (name, text) in [("t.tsv", &*tsv), ("v.jsonl", &*vectors), ("q.jsonl", line)] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    std::fs::write(dir.path().join("q.tsv"), "q\tred apple\n").unwrap();
    std::fs::write(dir.path().join("qrels.txt"), "q 0 d0 1\n").unwrap();
    dir
}

const BUILD: &str = "build --input v.jsonl --hybrid-text t.tsv --output x.spx";

#[test]
fn both_parts_are_searched_explained_and_inspected() {
    let dir = files();
    let dir = dir.path();
    let (_, stderr) = ok(dir, SPLINDEX, BUILD);
    assert!(stderr.contains("learned impacts: ") && stderr.contains("bm25 impacts: "), "{stderr}");
    assert!(ok(dir, SPLINDEX, "verify --deep x.spx").1.is_empty());

    // The stem "appl" is of BM25 alone; the token "apple" is learned.
    let (text, stderr) = ok(dir, QUERY, "search x.spx --queries q.jsonl --explain");
    assert!(text.contains("appl  (bm25, query ") && text.contains("apple  (learned, query "));
    assert!(text.contains("(BM25 ") && stderr.contains("hybrid: BM25 and weighted tokens"));
    assert!(stderr.contains("rounding of query weights: at most 0."), "{stderr}");

    let explain = "search x.spx --queries q.jsonl --explain --format jsonl --hybrid-weight 2";
    let (json, _) = ok(dir, QUERY, explain);
    let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    let terms = first["terms"].as_array().unwrap();
    let sum: u64 = terms.iter().map(|term| term["score"].as_u64().unwrap()).sum();
    assert_eq!((first["docid"].as_str(), first["score"].as_u64()), (Some("d5"), Some(sum)));
    assert_eq!(terms.iter().filter(|term| term["field"] == "bm25").count(), 1);

    let (text, _) = ok(dir, SPLINDEX, "inspect x.spx --term car");
    assert_eq!(text.matches("field        ").count(), 2, "{text}");
    let (json, _) = ok(dir, SPLINDEX, "inspect x.spx --doc d1 --json");
    let document: Value = serde_json::from_str(&json).unwrap();
    assert!(document["vector"]["apples"].is_u64() && document["bm25"]["appl"].is_u64());
    assert!(document["vector"]["appl"].is_null(), "{document}");
}

#[test]
fn a_suite_row_has_its_hybrid_weight() {
    let dir = files();
    let dir = dir.path();
    ok(dir, SPLINDEX, BUILD);
    let row = |h| {
        format!(
            "[[row]]\nname = 'h{h}'\nindex = 'x.spx'\nqueries = 'q.jsonl'\nqrels = 'qrels.txt'\n\
             hybrid_weight = {h}\n"
        )
    };
    std::fs::write(dir.join("s.toml"), format!("runs = 1\n{}{}", row(0), row(1))).unwrap();
    let (json, _) = ok(dir, QUERY, "bench --suite s.toml --json");
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["rows"][1]["query_side"], "hybrid: BM25 and weighted tokens");
    // BM25 alone finds apples; with h the moon counts too.
    let recall = |row: usize| report["rows"][row]["quality"][1].as_f64().unwrap();
    assert_eq!([recall(0), recall(1)], [1.0, 1.0]);
    ok(dir, QUERY, "bench x.spx --queries q.jsonl --hybrid-weight 0.7 --runs 1 --algorithm all");
}

#[test]
fn what_does_not_go_together_is_said() {
    let dir = files();
    let dir = dir.path();
    std::fs::write(dir.join("short.tsv"), "d0\tred apple\n").unwrap();
    let words = "build --input v.jsonl --hybrid-text short.tsv --output y.spx";
    let message = fails(dir, SPLINDEX, words);
    assert!(message.contains("short.tsv: record 2: expected document \"d1\""), "{message}");
    assert!(!dir.join("y.spx").exists());
    let message = fails(dir, SPLINDEX, "build --bm25 --input t.tsv --hybrid-text t.tsv --output y");
    assert!(message.contains("cannot be used with"), "{message}");
    let message = fails(dir, SPLINDEX, "build --input v.jsonl --k1 1.2 --output y.spx");
    assert!(message.contains("--hybrid-text"), "{message}");
    ok(dir, SPLINDEX, BUILD);
    let message = fails(dir, QUERY, "search x.spx --queries q.tsv");
    assert!(message.contains("q.tsv:1: the index is hybrid") && message.contains("--query-model"));
    ok(dir, QUERY, "search x.spx --queries q.tsv --hybrid-weight 0");
    ok(dir, SPLINDEX, "build --input v.jsonl --output l.spx");
    let message = fails(dir, QUERY, "search l.spx --queries q.jsonl --hybrid-weight 1");
    assert!(message.contains("has one field"), "{message}");
}
