//! Queries and flags of search.

use std::fs;

use super::index;
use crate::common::{Folder, QUERY};

#[test]
fn query_files_that_are_not_sound_are_refused_with_their_line() {
    let shop = Folder::new();
    index(&shop);
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
        let output = shop.run(QUERY, &arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {message}");
        for part in expected {
            assert!(message.contains(part), "expected {part:?} in {message:?}");
        }
        assert!(!shop.path("run").exists());
    }
}

#[test]
fn a_file_without_queries_is_refused() {
    let shop = Folder::new();
    index(&shop);
    shop.file("q.tsv", "");
    let arguments = "search good.spx --queries q.tsv --output run";
    shop.refuses(QUERY, arguments, &["q.tsv: expected at least one query, found none"]);
}

#[test]
fn search_prints_its_summary_as_json() {
    let shop = Folder::new();
    index(&shop);
    shop.file("q.tsv", "1\tx:1 unknown:2\n");
    let output = shop.run(QUERY, "search good.spx --queries q.tsv --output run --json --quiet");
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["queries"], &summary["unknown_tokens"]), (&1.into(), &1.into()));
    assert_eq!(summary["query_side"], "weighted tokens");
}

#[test]
fn approximate_flags_without_a_meaning_are_refused() {
    let shop = Folder::new();
    index(&shop);
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
            shop.refuses(QUERY, &format!("{command} {flags}"), expected);
        }
    }
    let search = "search good.spx --queries q.tsv --output run";
    let explained = "--max-query-terms 1 --explain";
    shop.refuses(QUERY, &format!("{search} {explained}"), &["--explain", "--rescore"]);
    let lists = format!("{search} --query-mass 0.5,0.9");
    shop.refuses(QUERY, &lists, &["one value each", "bench"]);
}

#[test]
fn approximate_answers_are_marked_in_run_and_summary() {
    let shop = Folder::new();
    index(&shop);
    shop.file("q.tsv", "q1\tx:2 y:1\n");
    for (flags, tag, shown) in [
        ("", "splindex", "auto"),
        ("--query-mass 1", "splindex", "auto"),
        ("--max-query-terms 1", "splindex-approximate", "approximate: 1 term"),
    ] {
        let search = format!("search good.spx --queries q.tsv --output run --json {flags}");
        let output = shop.run(QUERY, &search);
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["approximate"].is_null(), tag == "splindex");
        assert!(String::from_utf8_lossy(&output.stderr).contains(shown), "{output:?}");
        let run = fs::read_to_string(shop.path("run")).unwrap();
        assert!(run.lines().all(|line| line.ends_with(&format!(" {tag}"))), "{run}");
    }
}
