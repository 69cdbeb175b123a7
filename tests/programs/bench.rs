//! `splindex-query bench` and `splindex demo` as a user runs them.

use std::path::{Path, PathBuf};

use splindex::builder::{BuildOptions, Collection, build};
use splindex::format::Codec;
use splindex::progress::Silent;

use crate::common::{QUERY, SPLINDEX, command, succeeds};

/// What `bench` prints to standard output and error.
fn bench(dir: &Path, words: &str) -> (String, String) {
    succeeds(dir, QUERY, &format!("bench {words}"))
}

fn report(dir: &Path, words: &str) -> serde_json::Value {
    serde_json::from_str(&bench(dir, &format!("{words} --json")).0).unwrap()
}

/// `fast.spx`, `small.spx`, `queries.tsv` and `qrels.txt` over fifty documents.
fn files() -> tempfile::TempDir {
    let mut collection = Collection::default();
    for i in 0..50u32 {
        let document =
            (0..10).filter(|t| (i * 7 + t) % 3 != 0).map(|t| (t, (i * t % 17 + 1) as f32));
        let tokens: Vec<(String, f32)> = document.map(|(t, w)| (format!("t{t}"), w)).collect();
        collection.push(&format!("d{i}"), tokens.iter().map(|(t, w)| (t.as_str(), *w))).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    for codec in Codec::ALL {
        let options = BuildOptions { codec, ..BuildOptions::default() };
        let path = dir.path().join(format!("{}.spx", codec.name()));
        build(&collection, None, &options, &path, &Silent).unwrap();
    }
    write(dir.path(), "queries.tsv", "q1\tt1:3 t2:1\nq2\tt9:2\nq3\tt0:1 t3:1 t5:9 t8:2\n");
    write(dir.path(), "qrels.txt", "q1 0 d16 1\nq2 0 d3 1\nq3 0 d9 2\n");
    dir
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    std::fs::write(dir.join(name), text).unwrap();
    dir.join(name)
}

#[test]
fn indexes_by_algorithms_by_depths_in_one_call_with_reports() {
    let dir = files();
    let (out, err) = bench(
        dir.path(),
        "fast.spx small.spx --queries queries.tsv --k 1,10 --algorithm all --recall --runs 2 \
         --qrels qrels.txt --report out",
    );
    // The row says whose latency it shows.
    for part in
        ["block_max_wand", "MRR@10", "3/3", "R@10 ", "fast, exhaustive ", "small, exhaustive "]
    {
        assert!(out.contains(part), "{part}: {out}");
    }
    // Lists of ten have no recall@1000.
    assert!(!out.contains("R@1000"), "{out}");
    assert!(err.contains("report: out/report.html"), "{err}");
    for name in ["report.html", "report.json", "cases.csv", "queries.csv", "suite.md"] {
        assert!(dir.path().join("out").join(name).is_file(), "{name}");
    }
    let cases = std::fs::read_to_string(dir.path().join("out/cases.csv")).unwrap();
    assert!(
        cases.lines().any(|line| line.starts_with("small,") && line.contains(",exhaustive,10,"))
    );
}

#[test]
fn loads_are_measured_when_asked_for() {
    let dir = files();
    let report = report(
        dir.path(),
        "fast.spx --queries queries.tsv --k 3 --runs 1 --rate 300 --threads 2 --seconds 0.1 \
         --cpu none",
    );
    let case = &report["cases"][0];
    assert_eq!(case["throughput"]["threads"], 2);
    assert!(case["open_loop"]["achieved"].as_f64().unwrap() > 0.0);
    // Whatever auto picks, it picks something for each of the three queries.
    let picked = case["picked"].as_object().unwrap().values();
    assert_eq!(picked.map(|n| n.as_u64().unwrap()).sum::<u64>(), 3);
}

#[test]
fn approximate_settings_are_cases_of_their_own_and_marked() {
    let dir = files();
    let report = report(
        dir.path(),
        "fast.spx --queries queries.tsv --k 3 --runs 1 --report out --algorithm windowed,wand \
         --max-query-terms 1,2 --rescore 5 --recall",
    );
    let cases = report["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 2 * 2);
    assert_eq!(cases[0]["approximate"]["max_query_terms"], 1);
    assert!(cases[0]["agreement"]["recall"].as_f64().unwrap() > 0.3);
    for name in ["report.html", "report.md", "cases.csv", "queries.csv"] {
        let text = std::fs::read_to_string(dir.path().join("out").join(name)).unwrap();
        assert!(text.contains("1 term, 5 rescored"), "{name}");
    }
}

#[test]
fn a_suite_prints_the_papers_table() {
    let dir = files();
    let row = |name: &str, index: &str| {
        format!(
            "[[row]]\nname = '{name}'\nindex = '{index}'\nqueries = 'queries.tsv'\nqrels = 'qrels.txt'\n"
        )
    };
    let suite = format!("k = 10\nruns = 1\n{}{}", row("one", "fast.spx"), row("two", "small.spx"));
    write(dir.path(), "suite.toml", &suite);
    let (out, _) = bench(dir.path(), "--suite suite.toml");
    for part in ["nDCG@10", "latency (query encoding)", "two"] {
        assert!(out.contains(part), "{part}: {out}");
    }
}

#[test]
fn what_cannot_be_measured_is_refused_with_the_reason() {
    let dir = files();
    write(dir.path(), "texts.tsv", "q1\twhat is this\n");
    write(dir.path(), "others.txt", "q8 0 d16 1\n");
    write(dir.path(), "bad.tsv", "q1\tt1:3\nq2\tt1:x\nq3\tt1:2\n");
    for (words, message) in [
        ("queries.tsv --algorithm magic", "unknown algorithm \"magic\"; known are auto"),
        ("queries.tsv --k 10,0", "--k must be at least 1"),
        ("queries.tsv --runs 0", "--runs must be at least 1"),
        ("queries.tsv --rate 0", "--rate must be positive"),
        ("queries.tsv --rate 1e9 --seconds 1", "--rate × --seconds must be at most"),
        ("queries.tsv --seconds 1e300", "--seconds must be above 0 and at most 86400"),
        ("queries.tsv --qrels others.txt", "others.txt: expected judgements of the"),
        ("queries.tsv --report absent/out", "absent: no such folder to write to"),
        ("queries.tsv --cpu 4096", "cannot use core 4096"),
        ("texts.tsv", "texts.tsv:1: "),
        ("bad.tsv", "bad.tsv:2: "),
        ("absent.tsv", "absent.tsv: no such file"),
    ] {
        let words = format!("bench fast.spx --queries {words}");
        let output = command(dir.path(), QUERY, &words).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words}: {said}");
        assert!(said.contains(message), "{words}: {said}");
    }
}

#[cfg(unix)]
#[test]
fn queries_and_judgements_may_come_from_pipes() {
    let dir = files();
    let fill = |name: &str, from: &str| {
        let pipe = dir.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let text = std::fs::read(dir.path().join(from)).unwrap();
        std::thread::spawn(move || std::fs::write(pipe, text).unwrap())
    };
    let writers = [fill("queries", "queries.tsv"), fill("qrels", "qrels.txt")];
    let (out, _) = bench(dir.path(), "fast.spx small.spx --queries queries --qrels qrels --runs 1");
    assert!(out.contains("MRR@10") && out.contains("R@1000"), "{out}");
    writers.into_iter().for_each(|writer| writer.join().unwrap());
}

#[test]
fn what_is_named_twice_is_measured_once() {
    let dir = files();
    let report = report(
        dir.path(),
        "fast.spx --queries queries.tsv --k 10,3,10 --runs 1 --algorithm wand,windowed,wand \
         --cpu none",
    );
    let cases = report["cases"].as_array().unwrap().iter();
    let cases: Vec<_> = cases.map(|c| (c["k"].as_u64(), c["algorithm"].as_str())).collect();
    let of = |k, name| (Some(k), Some(name));
    assert_eq!(cases, [of(10, "wand"), of(10, "windowed"), of(3, "wand"), of(3, "windowed")]);
}

#[test]
fn the_demo_runs_from_anywhere_and_again() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let (out, _) = succeeds(dir.path(), SPLINDEX, "demo --dir made");
        for part in ["MRR@10", "BM25", "SPLADE", "hybrid", "What to try next"] {
            assert!(out.contains(part), "{part}: {out}");
        }
        // Both programs are there: by their paths.
        assert!(out.contains(&format!("  {QUERY} search made/splade.spx ")), "{out}");
    }
    let mut made: Vec<String> = std::fs::read_dir(dir.path().join("made"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    made.sort();
    assert_eq!(made, ["bm25.spx", "hybrid.spx", "splade.spx", "vectors"]);
}
