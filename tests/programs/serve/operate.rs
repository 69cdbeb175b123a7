//! What who operates a node sees and does: readiness, reloads, logs, metrics, limits of texts.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use super::{Node, bm25};
use crate::common::{QUERY, SPLINDEX, command, succeeds};

/// Sets one bit of the file otherwise, in a new file that takes its name.
fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at % bytes.len();
    bytes[at] ^= 0x10;
    let new = path.with_extension("new");
    fs::write(&new, bytes).unwrap();
    fs::rename(new, path).unwrap();
}

#[test]
fn a_reload_says_what_came_of_it_and_a_damaged_file_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    bm25(dir.path(), 200);
    let mut node = Node::start(dir.path(), "");
    let first = node.get("/ready").1["content_id"].clone();
    flip(&path, 3000);
    let (status, answer) = node.request("POST /reload", "");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((status, &answer["outcome"]), (409, &Value::from("refused")), "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("checksum"), "{answer}");
    assert_eq!(answer["serving"]["content_id"], first);
    node.says("not reloaded: ");
    node.signal(Signal::HUP);
    let line = node.says("not reloaded: ");
    assert!(line.contains("goes on"), "{line}");
    let (status, ready) = node.get("/ready");
    assert_eq!((status, &ready["content_id"]), (200, &first));
    assert!(ready["last_failure"].as_str().unwrap().contains("checksum"), "{ready}");
    node.metric("splindex_reloads_total{outcome=\"refused\"} 2");
    node.metric("splindex_reloads_total{outcome=\"swapped\"} 1");

    bm25(dir.path(), 300);
    let (status, answer) = node.request("POST /reload", "");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        (status, &answer["outcome"], &answer["documents"]),
        (200, &"swapped".into(), &300.into())
    );
    let (_, ready) = node.get("/ready");
    assert_eq!((&ready["documents"], &ready["last_failure"]), (&300.into(), &Value::Null));
    node.metric("splindex_index_documents 300.0");
}

#[test]
fn a_damaged_file_is_refused_at_the_start_unless_it_is_not_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    bm25(dir.path(), 200);
    // A byte of a posting list: the lengths all hold.
    flip(&dir.path().join("x.spx"), 3000);
    for verify in ["", "--verify checksums", "--verify deep"] {
        let words = format!("serve x.spx --listen 127.0.0.1:0 {verify}");
        let output = command(dir.path(), QUERY, &words).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{verify}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains("checksum"), "{verify}: {message}");
    }
    assert_eq!(Node::start(dir.path(), "--verify none").get("/ready").0, 200);
    for (flags, code) in [("", 1), ("--deep", 1)] {
        let words = format!("verify {flags} x.spx");
        assert_eq!(command(dir.path(), QUERY, &words).status().unwrap().code(), Some(code));
    }
    bm25(dir.path(), 200);
    let (said, _) = succeeds(dir.path(), QUERY, "verify --deep x.spx");
    assert!(said.contains("checksums and content"), "{said}");
}

#[test]
fn the_log_is_lines_of_json_with_time_where_asked_and_has_no_query_text() {
    let dir = tempfile::tempdir().unwrap();
    bm25(dir.path(), 20);
    let mut node = Node::start(dir.path(), "--log-format json --access-log");
    node.get("/search?q=secretwhale");
    let line: Value = serde_json::from_str(&node.says("splindex::access")).unwrap();
    assert_eq!(
        (&line["method"], &line["path"], &line["status"]),
        (&"GET".into(), &"/search".into(), &200.into())
    );
    assert!(line["seconds"].as_f64().unwrap() > 0.0 && line["peer"].is_string(), "{line}");
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
    assert!(!line.to_string().contains("secretwhale"), "{line}");
    node.signal(Signal::TERM);
    let line: Value = serde_json::from_str(&node.says("stopping")).unwrap();
    assert_eq!(line["level"], "INFO");
}

#[test]
fn an_address_may_be_a_name() {
    let dir = tempfile::tempdir().unwrap();
    bm25(dir.path(), 20);
    let node = Node::of(command(dir.path(), QUERY, "serve x.spx --listen localhost:0 --json"));
    assert_eq!(node.get("/health").0, 200);
    for (address, expected) in [("localhost", "such as localhost:7070"), ("127.0.0.1:x", "such as")]
    {
        let words = format!("serve x.spx --listen {address}");
        let output = command(dir.path(), QUERY, &words).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn bodies_of_another_shape_are_refused_with_the_right_one() {
    let dir = tempfile::tempdir().unwrap();
    bm25(dir.path(), 20);
    let node = Node::start(dir.path(), "--max-k 50");
    let shape = "a line is {\"id\": \"q1\", \"text\": \"blue whale\", \"k\": 10}";
    for (body, expected) in [
        ("[{\"id\": 1, \"text\": \"whale\"}]", "found a JSON array"),
        ("[\n  {\"id\": 1, \"text\": \"whale\"}\n]", "found a JSON array"),
        ("[\"whale\"]", "found a JSON array"),
        ("{\"id\": 1, \"texts\": \"whale\"}", "unknown key \"texts\"; known are id, "),
        ("{\"text\": \"whale\"}", "expected a field \"id\""),
        ("{\n\"id\": 1\n}", "first line only"),
        ("{\"id\": 1, \"text\": [\"whale\"]}", "expected a string in field \"text\""),
        ("{\"id\": 1, \"text\": \"whale\", \"k\": 2.5}", "\"k\" to be 1 or more"),
    ] {
        let (status, answer) = node.request("POST /search", body);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let problem = answer["error"].as_str().unwrap();
        assert_eq!(status, 400, "{body}: {problem}");
        assert!(problem.contains(expected) && problem.contains(shape), "{body}: {problem}");
    }
    // An id may begin so.
    assert_eq!(node.request("POST /search", "[1]\twhale\n").0, 200);
    let lines =
        "{\"id\":1,\"text\":\"whale\",\"k\":3}\n{\"id\":2,\"text\":\"sea\",\"algorithm\":\"wand\"}";
    let (status, answers) = node.request("POST /search?k=5&explain=true", lines);
    assert_eq!(status, 200, "{answers}");
    let answers: Vec<Value> = answers.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let hits = |at: usize| answers[at]["hits"].as_array().unwrap();
    assert_eq!((hits(0).len(), hits(1).len()), (3, 5));
    assert_eq!(answers[1]["algorithm"], "wand");
    let hit = &hits(1)[0];
    assert_eq!(hit["terms"][0]["token"], "sea");
    assert_eq!(hit["terms"][0]["score"], hit["score"]);
    assert!(hit["score_float"].as_f64().unwrap() > 0.0, "{hit}");
}

#[test]
fn of_a_text_of_megabytes_no_more_is_read_than_of_a_short_one() {
    let dir = tempfile::tempdir().unwrap();
    bm25(dir.path(), 200);
    let node = Node::start(dir.path(), "--max-query-length 3");
    let (_, short) = node.get("/search?q=blue+word3+sea");
    assert_eq!(short["truncated"], false);
    let (_, cut) = node.get("/search?q=blue+word3+sea+word5+whale");
    assert_eq!((&cut["hits"], &cut["truncated"]), (&short["hits"], &Value::from(true)));
    let words = "blue word3 sea ".repeat((4 << 20) / 15 - 1);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let (status, long) = node.request("POST /search", &format!("q\t{words}"));
                let long: Value = serde_json::from_str(&long).unwrap();
                assert_eq!((status, &long["hits"]), (200, &short["hits"]));
                assert_eq!(long["truncated"], true);
            });
        }
    });
    // Four such bodies, and not hundreds of megabytes of tokens.
    let (_, metrics) = node.request("GET /metrics", "");
    let line = metrics.lines().find(|line| line.starts_with("process_anonymous_memory_bytes "));
    let bytes: f64 = line.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(bytes < 128e6, "{bytes} bytes");
    let words = "serve x.spx --max-query-length 0";
    let output = command(dir.path(), QUERY, words).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

/// Two indexes of the same texts, by models that read texts otherwise.
pub(super) fn learned(dir: &Path) {
    let texts = "d1\tthe blue whale swims\nd2\tred ships sail the sea\n";
    fs::write(dir.join("t.tsv"), texts).unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    for (name, model) in [("tiny", data.join("tiny")), ("other", data.join("goldens/distilbert"))] {
        let model = model.display();
        succeeds(
            dir,
            SPLINDEX,
            &format!("encode --model {model} --input t.tsv --output {name}.vectors --quiet"),
        );
        let words = format!("build --input {name}.vectors --output {name}.spx --quiet");
        succeeds(dir, SPLINDEX, &words);
    }
}

#[test]
fn a_query_model_that_is_not_that_of_the_documents_is_said_and_refused_at_a_reload() {
    let dir = tempfile::tempdir().unwrap();
    learned(dir.path());
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/tiny");
    let flags = format!("--query-model {}", model.display());
    fs::copy(dir.path().join("other.spx"), dir.path().join("x.spx")).unwrap();
    let mut node = Node::start(dir.path(), &flags);
    node.says("documents were encoded by");
    assert!(node.get("/ready").1["warning"].is_string());
    drop(node);
    fs::write(dir.path().join("q.tsv"), "q\tblue whale\n").unwrap();
    let bench =
        format!("bench other.spx tiny.spx --queries q.tsv --k 2 --runs 1 --cpu none {flags}");
    let (_, said) = succeeds(dir.path(), QUERY, &bench);
    assert_eq!(said.matches("warning: documents were encoded by").count(), 1, "{said}");

    fs::rename(dir.path().join("tiny.spx"), dir.path().join("x.spx")).unwrap();
    let node = Node::start(dir.path(), &flags);
    assert_eq!(node.get("/ready").1["warning"], Value::Null);
    fs::rename(dir.path().join("other.spx"), dir.path().join("x.spx")).unwrap();
    let (status, answer) = node.request("POST /reload", "");
    assert_eq!(status, 409, "{answer}");
    assert!(answer.contains("documents were encoded by"), "{answer}");
    let (status, found) = node.get("/search?q=whale&k=1");
    assert_eq!((status, &found["hits"][0]["docid"]), (200, &"d1".into()));
}
