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

fn out(shop: &Folder, arguments: &[&str]) -> (String, String) {
    let mut command = std::process::Command::new(QUERY);
    let output = command.current_dir(shop.path("")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{arguments:?}: {err}");
    (out, err)
}

#[test]
fn one_question_needs_no_file() {
    let shop = indexes();
    shop.file("q.tsv", "1\tred apples\n");
    shop.file("w.tsv", "1\tmoon:2 car:1\n");
    for (index, question, file) in
        [("bm25.spx", "red apples", "q.tsv"), ("docs.spx", "moon:2 car:1", "w.tsv")]
    {
        let (expected, _) = out(&shop, &["search", index, "--queries", file]);
        let (run, _) = out(&shop, &["search", index, question]);
        assert!(run.lines().count() > 1 && run == expected, "{index}: {run}");
        // Words may stand there without quotes.
        let words: Vec<&str> = ["search", index].into_iter().chain(question.split(' ')).collect();
        assert_eq!(out(&shop, &words).0, expected);
    }
    // A text with a colon is a text where texts are answered.
    let (run, _) = out(&shop, &["search", "bm25.spx", "apple:1 moon:2"]);
    assert_eq!(run.lines().count(), 4, "{run}");
}

#[test]
fn a_question_that_cannot_be_answered_says_what_is_missing() {
    let shop = indexes();
    for (words, expected) in [
        (
            "docs.spx red apple",
            &["docs.spx is no BM25 index", "--query-model DIR", "\"whale:2 b"][..],
        ),
        (
            "hybrid.spx red apple",
            &["hybrid.spx is no BM25 index", "--query-model DIR", "JSON Lines"],
        ),
        ("docs.spx red:1 apple:x", &["the question:1: expected token:weight, found \"apple:x\""]),
        ("bm25.spx", &["nothing is asked", "--queries FILE"]),
        ("docs.spx red --texts absent.tsv --format jsonl", &["--texts", "--format jsonl"]),
        ("docs.spx red:1 --texts -", &["expected a file of texts"]),
        ("docs.spx red:1 --texts absent.tsv", &["absent.tsv: no such file"]),
    ] {
        shop.refuses(QUERY, &format!("search {words}"), expected);
    }
    // With weight 0 of the learned part a text is enough.
    out(&shop, &["search", "hybrid.spx", "red apple", "--hybrid-weight", "0"]);
}

#[test]
fn texts_stand_beside_their_scores() {
    let shop = indexes();
    let words = ["search", "docs.spx", "apple:2 red:1.5", "--texts", "t.tsv"];
    let (table, _) = out(&shop, &words);
    let lines: Vec<&str> = table.lines().collect();
    // Weights of documents are 1 to 6, kept as they are; those of the query are times 100.
    let expected = [
        "query 1: apple:2 red:1.5",
        "rank    score  integer  document  text",
        "   1  12.0000    1,200  d5        apple moon",
        "   2   4.5000      450  d2        red car",
        "   3   3.5000      350  d0        red apple",
    ];
    assert_eq!(lines, expected);
    // A line between two queries.
    shop.file("q.tsv", "a\tred:2\nb\tmoon:1\n");
    let (tables, _) = out(&shop, &["search", "docs.spx", "--queries", "q.tsv", "--texts", "t.tsv"]);
    assert!(tables.contains("\n\nquery b: moon:1\nrank  score  document  text\n"), "{tables}");
    // Whole weights need no second number.
    let (table, _) = out(&shop, &["search", "docs.spx", "apple:2", "--texts", "t.tsv"]);
    assert_eq!(table.lines().nth(2), Some("   1     12  d5        apple moon"), "{table}");
    // BM25 of Lucene: idf · tf (k1 + 1) / (tf + k1 …), the second decimal rounded by impacts.
    let (table, _) = out(&shop, &["search", "bm25.spx", "moon", "--texts", "t.tsv"]);
    let score: f64 =
        table.lines().nth(2).unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    let idf = (1.0 + (6.0 - 2.0 + 0.5) / (2.0 + 0.5_f64)).ln();
    let length = 0.9 * (0.6 + 0.4 * 1.0 / (12.0 / 6.0 - 1.0 / 6.0));
    assert!((score - idf * 1.9 / (1.0 + length)).abs() < 0.01, "{table}");
    shop.file("less.tsv", "d5\tapple\u{1b}[2J  moon\n");
    let (table, told) = out(&shop, &["search", "docs.spx", "apple:2", "--texts", "less.tsv"]);
    assert!(table.contains("d5        apple [2J moon\n"), "{table}");
    assert!(table.contains("d0        (no text of this id)\n"), "{table}");
    assert!(told.contains("less.tsv: 1 of 2 documents have no text there"), "{told}");
    let (nothing, _) = out(&shop, &["search", "docs.spx", "pear:1", "--texts", "t.tsv"]);
    assert!(nothing.contains("nothing found: none of its tokens is in the index (1 token)"));
}

#[test]
fn explained_scores_stand_in_the_units_of_the_weights() {
    let shop = indexes();
    let words = ["search", "docs.spx", "apple:2 red:1.5", "--explain", "--k", "1"];
    let (text, _) = out(&shop, &[&words[..], &["--texts", "t.tsv"]].concat());
    assert!(text.contains("    1  d5  1200  = 12.0000\n       apple moon\n"), "{text}");
    let (text, _) = out(&shop, &["search", "docs.spx", "apple:2", "--explain", "--k", "1"]);
    assert!(text.contains("    1  d5  12\n"), "{text}");
}

#[test]
fn rows_of_a_matrix_are_queries() {
    let shop = indexes();
    let queries = [r#"{"id":"q7","vector":{"moon":1.5}}"#, r#"{"id":"q8","vector":{"car":2}}"#];
    shop.file("q.jsonl", queries.join("\n"));
    let (expected, _) = out(&shop, &["search", "docs.spx", "--queries", "q.jsonl"]);
    assert!(
        expected.starts_with("q7 Q0 d5 1 ") && expected.contains("\nq8 Q0 d3 1 "),
        "{expected}"
    );
    for name in ["q.npz", "q.csr"] {
        shop.succeeds(&format!("convert --input q.jsonl --output {name} --quiet"));
        // Ids and tokens are found beside it.
        assert_eq!(out(&shop, &["search", "docs.spx", "--queries", name]).0, expected);
        fs::rename(shop.path("q-ids.txt"), shop.path("ids")).unwrap();
        fs::rename(shop.path("q-tokens.txt"), shop.path("tokens")).unwrap();
        let words = ["search", "docs.spx", "--queries", name, "--vocabulary", "tokens"];
        let named = out(&shop, &[&words[..], &["--ids", "ids"]].concat()).0;
        assert_eq!(named, expected);
        let numbered = expected.replace("q7 ", "0 ").replace("q8 ", "1 ");
        assert_eq!(out(&shop, &words).0, numbered, "ids are row numbers");
        let (nothing, told) = out(&shop, &["search", "docs.spx", "--queries", name]);
        assert!(nothing.is_empty() && told.contains("without --vocabulary FILE"), "{told}");
        let bench = ["bench", "docs.spx", "--runs", "1", "--cpu", "none", "--queries", name];
        let (table, _) = out(&shop, &[&bench[..], &["--vocabulary", "tokens"]].concat());
        assert!(table.contains("docs"), "{table}");
    }
    shop.succeeds("convert --input q.jsonl --output store --to store --quiet");
    shop.succeeds("convert --input q.jsonl --output w.ciff --scale 2 --quiet");
    let ids = |run: &str| -> Vec<String> {
        run.lines().map(|line| line.split(' ').take(4).collect::<Vec<_>>().join(" ")).collect()
    };
    // Whole numbers, so with other scores.
    let ciff = out(&shop, &["search", "docs.spx", "--queries", "w.ciff"]).0;
    assert_eq!(ids(&ciff), ids(&expected));
    assert_eq!(out(&shop, &["search", "docs.spx", "--queries", "store"]).0, expected);
}

#[test]
fn what_is_no_file_of_queries_is_called_what_it_is() {
    let shop = indexes();
    shop.file("x.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False}");
    shop.file("q.tsv", "1\tred\n");
    shop.file("q.jsonl", r#"{"id":"q","vector":{"moon":1.5}}"#);
    shop.succeeds("convert --input q.jsonl --output q.npz --quiet");
    for (words, expected) in [
        ("x.npy", &["x.npy: expected a sparse matrix, found a dense NumPy array", "save_npz"][..]),
        ("bm25.spx", &["bm25.spx: expected queries, found an index"]),
        ("q.tsv --ids q.tsv", &["q.tsv: expected a matrix", "--ids"]),
        ("q.npz --query-kind text", &["q.npz: --query-kind text reads lines", "vectors"]),
    ] {
        shop.refuses(QUERY, &format!("search docs.spx --queries {words}"), expected);
    }
    let words = "build --input x.npy --output x.spx";
    shop.refuses(crate::common::SPLINDEX, words, &["x.npy: expected a sparse matrix", "save_npz"]);
}

#[test]
fn a_bm25_index_passes_over_the_query_model() {
    let shop = indexes();
    shop.file("q.tsv", "q\tred apples\n");
    let (expected, _) = found(&shop, "bm25.spx --queries q.tsv");
    // It is not even read.
    let (documents, told) = found(&shop, "bm25.spx --queries q.tsv --query-model absent");
    assert_eq!(documents, expected);
    assert_eq!(told.matches("--query-model is not needed").count(), 1, "{told}");
    let words = "search docs.spx --queries q.tsv --query-model absent";
    shop.refuses(QUERY, words, &["absent"]);
}

#[test]
fn a_terminal_shows_a_table_of_ten_and_a_pipe_gets_a_run_of_all() {
    let shop = Folder::new();
    let text = |i: usize| {
        format!("d{i}\tthe whale {} of many words that go on and on\n", "sea ".repeat(i))
    };
    shop.file("t.tsv", (0..30).map(text).collect::<String>());
    shop.succeeds("build --bm25 --input t.tsv --output x.spx --quiet");
    let piped = out(&shop, &["search", "x.spx", "whale"]).0;
    assert_eq!(piped.lines().count(), 30);
    assert!(piped.starts_with("1 Q0 d0 1 "), "{piped}");
    // Python, which the tests need anyway, gives the program a terminal of 60 columns.
    let spawn = "import fcntl, os, pty, struct, sys, termios
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 60, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:])
try:
    while data := os.read(terminal, 65536):
        sys.stdout.buffer.write(data)
except OSError:
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))";
    let mut python = std::process::Command::new("python3");
    python.args(["-c", spawn, QUERY, "search", "x.spx", "whale", "--texts", "t.tsv", "--quiet"]);
    let output = python.current_dir(shop.path("")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shown = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
    assert_eq!(lines.len(), 12, "{shown}");
    assert!(lines[2].starts_with("   1  0.") && lines[2].ends_with("…"), "{shown}");
    assert!(lines.iter().all(|line| line.chars().count() <= 60), "{shown}");
}
