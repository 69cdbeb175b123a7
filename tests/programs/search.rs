//! `splindex-query search`: where answers go, and what query files may hold.

use std::fs;

use crate::common::{Folder, QUERY, succeeds};

/// `docs.spx`, `bm25.spx` and `hybrid.spx` over six documents.
fn indexes() -> Folder {
    let shop = Folder::new();
    let texts = ["red apple", "green apples", "red car", "a fast car", "the moon", "apple moon"];
    let (mut tsv, mut vectors) = (String::new(), String::new());
    for (i, text) in texts.iter().enumerate() {
        tsv += &format!("d{i}\t{text}\n");
        let words = text.split(' ').map(|word| format!("\"{word}\":{}", i + 1));
        let vector = words.collect::<Vec<_>>().join(",");
        vectors += &format!("{{\"id\":\"d{i}\",\"vector\":{{{vector}}}}}\n");
    }
    shop.file("t.tsv", tsv);
    shop.file("v.jsonl", vectors);
    shop.succeeds("build --input v.jsonl --output docs.spx --quiet");
    shop.succeeds("build --bm25 --input t.tsv --output bm25.spx --quiet");
    shop.succeeds("build --input v.jsonl --hybrid-text t.tsv --output hybrid.spx --quiet");
    shop
}

/// Documents found for the first query, and what was said on standard error.
fn found(shop: &Folder, words: &str) -> (Vec<String>, String) {
    let output = shop.run(QUERY, &format!("search {words} --format msmarco"));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{words}: {stderr}");
    let run = String::from_utf8(output.stdout).unwrap();
    let documents = run.lines().map(|line| line.split('\t').nth(1).unwrap().to_owned());
    (documents.collect(), stderr)
}

#[cfg(unix)]
#[test]
fn a_run_goes_into_a_pipe_and_is_not_read_from_it() {
    let shop = indexes();
    shop.file("q.tsv", "q\tred apple\n");
    let (expected, _) = found(&shop, "bm25.spx --queries q.tsv");
    let pipe = shop.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = {
        let pipe = pipe.clone();
        std::thread::spawn(move || fs::read_to_string(pipe).unwrap())
    };
    let search = |output: &str| {
        let words = format!("search bm25.spx --queries q.tsv --format msmarco --output {output}");
        succeeds(&shop.path(""), QUERY, &words).0
    };
    search("pipe");
    let run = reader.join().unwrap();
    assert_eq!(run.lines().count(), expected.len(), "{run}");
    assert_eq!(search("/dev/stdout"), run);
}

#[test]
fn a_run_is_packed_as_its_name_says_and_eval_reads_it() {
    let shop = indexes();
    shop.file("q.tsv", "q\tred apple\n");
    shop.file("qrels", "q 0 d0 1\nq 0 d5 1\n");
    let mut tables = Vec::new();
    for (name, magic) in
        [("x.run", &b"q Q0 "[..]), ("x.run.gz", b"\x1f\x8b"), ("x.run.zst", b"\x28\xb5\x2f\xfd")]
    {
        let words = format!("search bm25.spx --queries q.tsv --output {name}");
        assert!(shop.run(QUERY, &words).status.success());
        assert!(fs::read(shop.path(name)).unwrap().starts_with(magic), "{name}");
        let (table, _) = shop.succeeds(&format!("eval --qrels qrels --metrics map {name}"));
        tables.push(table.replace(name, "").split_whitespace().collect::<Vec<_>>().join(" "));
    }
    assert!(tables[0].contains("0.7500"), "{tables:?}");
    assert!(tables[1..].iter().all(|table| *table == tables[0]), "{tables:?}");
}

#[test]
fn a_line_of_two_parts_asks_each_index_what_is_for_it() {
    let shop = indexes();
    shop.file("text.jsonl", r#"{"id":"q","vector":{"moon":1.5},"text":"red apples"}"#);
    shop.file("stems.jsonl", r#"{"id":"q","vector":{"moon":1.5},"text":"cars","bm25":{"appl":1}}"#);
    shop.file("vector.jsonl", r#"{"id":"q","vector":{"appl":1.5}}"#);
    shop.file("q.tsv", "q\tred apples\n");
    let of = |index: &str, queries: &str| found(&shop, &format!("{index} --queries {queries}"));
    let (plain, side) = of("bm25.spx", "q.tsv");
    assert!(plain.len() == 4 && side.contains("BM25 analyzer"), "{plain:?} {side}");
    assert_eq!(of("bm25.spx", "text.jsonl").0, plain);
    assert!(of("bm25.spx", "text.jsonl").1.contains("BM25 analyzer"));
    assert_eq!(of("bm25.spx", "stems.jsonl").0, ["d0", "d1", "d5"]);
    // A line without a part for BM25 stays what it was: tokens of the index.
    assert_eq!(of("bm25.spx", "vector.jsonl").0, ["d0", "d1", "d5"]);
    for queries in ["text.jsonl", "stems.jsonl"] {
        assert_eq!(of("docs.spx", queries).0, ["d5", "d4"], "{queries}");
        assert!(of("docs.spx", queries).1.contains("weighted tokens"));
    }
    let (both, _) = of("hybrid.spx", "text.jsonl");
    assert_eq!(both.len(), 5, "{both:?}");
    // One file, all indexes, in one bench.
    let bench = "bench bm25.spx docs.spx hybrid.spx --queries text.jsonl --k 3 --runs 1 --cpu none";
    let output = shop.run(QUERY, &format!("{bench} --json --quiet"));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let sides: Vec<_> =
        report["indexes"].as_array().unwrap().iter().map(|i| i["query_side"].clone()).collect();
    let expected = ["BM25 analyzer", "weighted tokens", "hybrid: BM25 and weighted tokens"];
    assert_eq!(sides, expected);
}

#[test]
fn a_text_of_forty_thousand_words_is_answered_with_its_weights_halved() {
    let shop = indexes();
    shop.file("short.tsv", "q\tred apple moon moon\n");
    let long = ["red apple moon moon "; 10_000].concat();
    shop.file("long.tsv", format!("q\t{long}\n"));
    let (short, quiet) = found(&shop, "bm25.spx --queries short.tsv");
    let (long, said) = found(&shop, "bm25.spx --queries long.tsv");
    assert_eq!(long, short);
    assert!(said.contains("1 query is so long that weights were halved"), "{said}");
    assert!(!quiet.contains("halved"), "{quiet}");
}

#[test]
fn weights_that_all_round_to_zero_are_said_to_do_so() {
    let shop = indexes();
    for (queries, expected) in [
        ("q\tapple:0.004\n", "all query weights × --query-scale 100 rounded to 0; give a larger"),
        ("q\tapple:0\n", "all query weights are 0"),
        ("q\tcoffee:0.5\n", "no query has a term that the index knows"),
        ("q\tcoffee:0.5 apple:0.001\n", "(1 token is of weight 0)"),
    ] {
        shop.file("q.tsv", queries);
        let (documents, said) = found(&shop, "docs.spx --queries q.tsv");
        assert!(documents.is_empty() && said.contains(expected), "{queries}: {said}");
    }
    shop.file("q.tsv", "q\tapple:0.004\n");
    let (_, said) = found(&shop, "docs.spx --queries q.tsv");
    let scale = said.split("such as --query-scale ").nth(1).unwrap().split_whitespace().next();
    let words = format!("docs.spx --queries q.tsv --query-scale {}", scale.unwrap());
    assert_eq!(found(&shop, &words).0.len(), 2);
}

#[test]
fn a_slip_in_a_short_file_of_lists_is_named() {
    let shop = indexes();
    shop.file("q.tsv", "q1\tapple:1\nq2\tapple 1\n");
    let words = "search docs.spx --queries q.tsv";
    shop.refuses(
        QUERY,
        words,
        &["q.tsv:2: expected token:weight, found \"apple\"", "--query-model"],
    );
}

#[test]
fn what_json_prints_where_is_told_by_what_was_asked() {
    let shop = indexes();
    shop.file("q.tsv", "q\tapple:1\n");
    let words = "search docs.spx --queries q.tsv --json";
    shop.refuses(QUERY, words, &["give --output RUN, or --format jsonl instead of --json"]);
    let words = format!("{words} --format jsonl");
    shop.refuses(QUERY, &words, &["give --output RUN, or leave --json out: --format jsonl is a"]);
}

#[test]
fn a_query_model_that_did_not_encode_the_documents_is_told() {
    let shop = Folder::new();
    let goldens = concat!(env!("CARGO_MANIFEST_DIR"), "/data/goldens");
    // Folder names are split at spaces, and the checkout may have some.
    for model in ["distilbert", "roberta"] {
        std::fs::create_dir(shop.path(model)).unwrap();
        for file in fs::read_dir(format!("{goldens}/{model}")).unwrap().map(|f| f.unwrap()) {
            fs::copy(file.path(), shop.path(model).join(file.file_name())).unwrap();
        }
    }
    shop.file("t.tsv", "d0\triver sand\nd1\tmoon\n");
    shop.file("q.tsv", "q\triver\n");
    shop.succeeds("encode --model distilbert --input t.tsv --output v --quiet");
    shop.succeeds("build --input v --output x.spx --quiet");
    let told = |model: &str| {
        let (_, stderr) = found(&shop, &format!("x.spx --queries q.tsv --query-model {model}"));
        stderr.contains("documents were encoded by \"distilbert\", queries are by \"roberta\"")
    };
    assert!(told("roberta") && !told("distilbert"));
}
