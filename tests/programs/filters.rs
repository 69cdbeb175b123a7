//! Attributes and filters from the command line: files, queries that have filters of their own, and
//! what is said of those that cannot be.

use crate::common::{Folder, QUERY, SPLINDEX};

/// `x.spx` over six documents, whose attributes stand in `about.jsonl`.
fn index() -> Folder {
    let folder = Folder::new();
    let (mut vectors, mut about) = (String::new(), String::new());
    for d in 0..6 {
        vectors += &format!("{{\"id\":\"d{d}\",\"vector\":{{\"whale\":{}}}}}\n", 10 - d);
        let lang = if d % 2 == 0 { "en" } else { "de" };
        about += &format!("{{\"id\":\"d{d}\",\"lang\":\"{lang}\",\"year\":{}}}\n", 2018 + d);
    }
    folder.file("v.jsonl", vectors);
    folder.file("about.jsonl", about);
    folder.succeeds("build --input v.jsonl --attributes about.jsonl --output x.spx --quiet");
    folder
}

/// Documents found, and what was said.
fn found(folder: &Folder, words: &[&str]) -> (Vec<String>, String) {
    let mut command = std::process::Command::new(QUERY);
    let output = command.current_dir(folder.path("")).args(words).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{words:?}: {stderr}");
    let run = String::from_utf8(output.stdout).unwrap();
    let document = |line: &str| {
        let run: serde_json::Value = serde_json::from_str(line).unwrap();
        run["docid"].as_str().unwrap().to_owned()
    };
    (run.lines().map(document).collect(), stderr)
}

const SEARCH: [&str; 5] = ["search", "x.spx", "whale:1", "--format", "jsonl"];

#[test]
fn only_documents_that_satisfy_the_filter_are_found() {
    let folder = index();
    for (more, expected) in [
        (&["--filter", "lang = 'en'"][..], &["d0", "d2", "d4"][..]),
        (&["--filter", "year >= 2020 and not lang = \"en\""], &["d3", "d5"]),
        (&["--filter", "year > 2030"], &[]),
        (&["--min-score", "8"], &["d0", "d1", "d2"]),
        (
            &["--boost", "100: year = 2023", "--boost", "1 * year"],
            &["d5", "d0", "d1", "d2", "d3", "d4"],
        ),
    ] {
        let (documents, said) = found(&folder, &[&SEARCH[..], more].concat());
        assert_eq!(documents, expected, "{more:?}");
        let filtered = more[0] == "--filter";
        assert_eq!(said.contains("filters: 1 query kept "), filtered, "{said}");
    }
    let explained =
        [&SEARCH[..3], &["--explain", "--filter", "lang = 'de'", "--boost", "5: has(year)"]];
    let output = std::process::Command::new(QUERY)
        .current_dir(folder.path(""))
        .args(explained.concat())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("the filter keeps 3 of 6 documents"), "{text}");
    assert!(text.contains("(boost)"), "{text}");
}

#[test]
fn queries_of_a_file_may_have_filters_of_their_own() {
    let folder = index();
    let lines = r#"{"id":"a","vector":{"whale":1},"filter":"lang = 'en'"}
{"id":"b","vector":{"whale":1},"filter":{"<":["year",2020]},"min_score":10}
{"id":"c","vector":{"whale":1},"filter":null}
{"id":"d","vector":{"whale":1},"boost":["50: year = 2021"]}
"#;
    folder.file("q.jsonl", lines);
    let words = ["search", "x.spx", "--queries", "q.jsonl", "--format", "jsonl", "--k", "2"];
    let (documents, said) = found(&folder, &words);
    assert_eq!(documents, ["d0", "d2", "d0", "d0", "d1", "d3", "d0"]);
    assert!(said.contains("filters: 2 queries kept 2 to 3 of 6 documents"), "{said}");
    let both = [&words[..], &["--filter", "year != 2018"]].concat();
    assert_eq!(found(&folder, &both).0, ["d2", "d4", "d1", "d2", "d3", "d1"]);
    folder.file("q.jsonl", "{\"id\":\"a\",\"vector\":{\"whale\":1},\"filter\":\"lang = 'en\"}\n");
    folder.refuses(QUERY, &words.join(" "), &["q.jsonl:1: ", "at character 8"]);
}

#[test]
fn words_are_required_and_excluded() {
    let folder = Folder::new();
    folder.file("t.tsv", "a\tblue whale\nb\twhales and ships\nc\tblue ship\nd\tred car\n");
    folder.succeeds("build --bm25 --input t.tsv --output x.spx --quiet");
    let words = ["search", "x.spx", "+whale -ship blue", "--operators", "--format", "jsonl"];
    assert_eq!(found(&folder, &words).0, ["a"]);
    assert_eq!(found(&folder, &[&words[..3], &words[4..]].concat()).0.len(), 3);
    let line = r#"{"id":"q","text":"blue","required":["ships"],"excluded":null}"#;
    folder.file("q.jsonl", format!("{line}\n"));
    assert_eq!(
        found(&folder, &["search", "x.spx", "--queries", "q.jsonl", "--format", "jsonl"]).0,
        ["c"]
    );
}

#[test]
fn what_cannot_be_asked_or_read_is_said() {
    let folder = index();
    for (filter, expected) in [
        ("lnag='en'", "there is no key \"lnag\"; the index has lang (strings), year (integers)"),
        ("year='x'", "key \"year\" has integers: expected a number, found \"x\""),
        ("year=", "--filter: at character 6: expected a string between quotes"),
    ] {
        folder.refuses(QUERY, &format!("search x.spx whale:1 --filter {filter}"), &[expected]);
    }
    let build = "build --input v.jsonl --output y.spx --quiet";
    folder.file("bad.tsv", "d0\tyear=1\nd0\tyear=2\n");
    for (more, expected) in [
        ("--attributes bad.tsv", "bad.tsv:2: expected each id once, found \"d0\" a second time"),
        ("--attributes gone.tsv", "gone.tsv: no such file"),
        ("--attribute-fields lang", "expected records with a field \"lang\", found none"),
    ] {
        folder.refuses(SPLINDEX, &format!("{build} {more}"), &[expected]);
    }
    let inspected = folder.succeeds("inspect x.spx").0;
    assert!(inspected.contains("integers, 6 values, 6 entries"), "{inspected}");
}
