//! `splindex-query serve` as a query node runs it.

mod connections;
#[cfg(feature = "publish")]
mod follow;
mod operate;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::{QUERY, SPLINDEX, command, succeeds};

fn bm25(dir: &Path, documents: u32) {
    let line =
        |i: u32| format!("d{i}\tword{} whale {} blue\n", i % 7, "sea ".repeat(i as usize % 5));
    std::fs::write(dir.join("t.tsv"), (0..documents).map(line).collect::<String>()).unwrap();
    succeeds(dir, SPLINDEX, "build --bm25 --input t.tsv --output x.spx --quiet");
}

struct Node {
    child: Child,
    said: BufReader<ChildStderr>,
    address: String,
}

impl Node {
    fn start(dir: &Path, flags: &str) -> Self {
        let words = format!("serve x.spx --listen 127.0.0.1:0 --json {flags}");
        Self::of(command(dir, QUERY, &words))
    }

    fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let started: Value = serde_json::from_str(&line).unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        Node { child, said, address: started["listening"].as_str().unwrap().to_owned() }
    }

    /// Status and body.
    fn request(&self, head: &str, body: &str) -> (u16, String) {
        self.send(head, "", body.as_bytes())
    }

    /// The answer to a request of which no body is sent.
    fn head(&self, head: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{head}\r\n\r\n").unwrap();
        answer(stream)
    }

    /// The same with lines of `headers`, each with its end.
    fn send(&self, head: &str, headers: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        )
        .unwrap();
        stream.write_all(body).unwrap();
        answer(stream)
    }

    fn get(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.request(&format!("GET {path}"), "");
        (status, serde_json::from_str(&body).unwrap())
    }

    /// The line of standard error that has `part`, when it has come.
    fn says(&mut self, part: &str) -> String {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            assert!(self.said.read_line(&mut line).unwrap() > 0, "ended without saying {part:?}");
        }
        line
    }

    /// One of its metrics.
    fn metric(&self, line: &str) {
        let (status, metrics) = self.request("GET /metrics", "");
        assert_eq!(status, 200);
        assert!(metrics.contains(&format!("\n{line}\n")), "expected {line:?} in {metrics}");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

impl Drop for Node {
    fn drop(&mut self) {
        // Ended already where a test waited for it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn answers_are_those_of_search() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    bm25(dir, 500);
    let queries = "a\tblue word3\nb\tsea sea\nc\tnothing known\n";
    std::fs::write(dir.join("q.tsv"), queries).unwrap();
    let search = "search x.spx --queries q.tsv --k 20 --format jsonl --quiet";
    let (run, _) = succeeds(dir, QUERY, search);
    let node = Node::start(dir, "--threads 2");
    let (status, body) = node.request("POST /search?k=20", queries);
    assert_eq!(status, 200, "{body}");
    let mut found = String::new();
    for answer in body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        for hit in answer["hits"].as_array().unwrap() {
            let (qid, docid) = (&answer["qid"], &hit["docid"]);
            let (rank, score) = (&hit["rank"], &hit["score"]);
            found +=
                &format!("{{\"qid\":{qid},\"docid\":{docid},\"rank\":{rank},\"score\":{score}}}\n");
        }
    }
    assert_eq!(found, run);

    let (status, one) = node.get("/search?q=word3&k=2");
    assert_eq!((status, one["hits"].as_array().unwrap().len()), (200, 2));
    assert_eq!(one["hits"][0]["docid"], "d10"); // the first short one with word3
    // A text, whatever its shape.
    let (status, text) = node.get("/search?q=word3:&k=2");
    assert_eq!((status, &text["hits"]), (200, &one["hits"]));
    let (status, health) = node.get("/health");
    assert_eq!((status, &health["documents"]), (200, &Value::from(500)));
    node.metric("splindex_retrieval_seconds_count 5");
    node.metric("splindex_requests_total{route=\"/search\",status=\"200\"} 3");
}

#[test]
fn filters_are_compiled_once_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    bm25(dir, 100);
    let year = |i: u32| format!("d{i}\tyear={i}\n");
    std::fs::write(dir.join("a.tsv"), (0..100).map(year).collect::<String>()).unwrap();
    let build = "build --bm25 --input t.tsv --attributes a.tsv --output x.spx --quiet";
    succeeds(dir, SPLINDEX, build);
    let node = Node::start(dir, "--threads 1");
    let json = "%7B%22%3C%22%3A%5B%22year%22%2C3%5D%7D"; // {"<":["year",3]}
    for path in ["filter=year%3C3", &format!("filter={json}")] {
        let (status, found) = node.get(&format!("/search?q=sea&{path}"));
        assert_eq!((status, &found["kept"]), (200, &Value::from(3)), "{found}");
        let hits = found["hits"].as_array().unwrap();
        let mut documents: Vec<_> = hits.iter().map(|hit| hit["docid"].to_string()).collect();
        documents.sort();
        // Every fifth has no sea.
        assert_eq!(documents, ["\"d1\"", "\"d2\""]);
    }
    node.metric("splindex_filters_compiled_total 1");
    node.metric("splindex_filters_at_hand_total 1");
    let line = "{\"id\":1,\"text\":\"sea\",\"filter\":\"year=7\",\"boost\":\"9:has(year)\"}\n";
    let (status, body) = node.request("POST /search", line);
    assert!(status == 200 && body.contains("\"d7\"") && body.contains("\"kept\":1"), "{body}");
    for (path, expected) in [
        ("filter=lang%3D1", "filter: there is no key \"lang\"; the index has year (integers)"),
        ("filter=year", "filter: at character 5"),
        ("boost=x", "boost must be like"),
    ] {
        let (status, body) = node.get(&format!("/search?q=whale&{path}"));
        assert_eq!(status, 400, "{path}: {body}");
        assert!(body["error"].as_str().unwrap().contains(expected), "{path}: {body}");
    }
}

#[test]
fn bad_requests_say_what_was_expected() {
    let dir = tempfile::tempdir().unwrap();
    bm25(dir.path(), 20);
    let node = Node::start(dir.path(), "--max-k 100");
    for (path, expected) in [
        ("/search", "expected a query"),
        ("/search?q=whale&k=0", "expected k from 1 to 100"),
        ("/search?q=whale&k=101", "expected k from 1 to 100"),
        ("/search?q=whale&algorithm=fastest", "known are"),
        ("/search?q=whale&algorithm=block_pruned", "needs an index built with skip_data"),
        ("/search?q=whale&k=many", "invalid digit"),
        ("/search?q=whale:x+blue:1&kind=weighted", "request:1: expected token:weight"),
    ] {
        let (status, body) = node.get(path);
        assert_eq!(status, 400, "{path}: {body}");
        assert!(body["error"].as_str().unwrap().contains(expected), "{path}: {body}");
    }
    for (body, expected) in
        [("", "at least one query"), ("no tab", "request:1: "), ("{\"id\":1}", "request:1: ")]
    {
        let (status, answer) = node.request("POST /search", body);
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(answer.contains(expected), "{body}: {answer}");
    }
    assert_eq!(node.get("/search?q=whale").0, 200);
    node.metric("splindex_failed_requests_total 10");
}

#[test]
fn every_error_is_json_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    bm25(dir.path(), 20);
    let node = Node::start(dir.path(), "");
    // A body that is announced as too long is refused before it is sent.
    let long = "POST /search HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4194305";
    let many: String = (0..150).map(|i| format!("\r\nX-{i}: y")).collect();
    let answers = [
        (node.request("GET /nothing", ""), 404, "expected /search, /health, /ready"),
        (node.request("DELETE /search", ""), 405, "expected GET or POST for /search, found DELETE"),
        (node.request("POST /health", ""), 405, "expected GET for /health, found POST"),
        (node.request("GET /reload", ""), 405, "expected POST for /reload, found GET"),
        (node.request("OPTIONS /search", ""), 405, "expected GET or POST for /search, found OPT"),
        (node.request("GET /", ""), 404, "found the path \"/\""),
        // No length, so no body.
        (node.head("POST /search HTTP/1.1\r\nHost: x\r\nConnection: close"), 400, "found none"),
        (
            node.send("POST /search", "Content-Type: multipart/form-data; boundary=x\r\n", b"--x"),
            415,
            "the query file itself as the body",
        ),
        (node.request("GET /search?q=caf%E9", ""), 400, "expected percent-encoded UTF-8"),
        (node.request("POST /search?kind=%FF", "q\twhale"), 400, "found \"kind=%FF\""),
        (node.request("GET /search?query=whale", ""), 400, "unknown field \"query\""),
        (node.request("POST /search", "q\tx:1 y"), 400, "say kind text"),
        (node.head(long), 413, "at most 4194304 bytes"),
        // What the HTTP library refuses before any route is asked.
        (
            node.head(&format!("GET /{} HTTP/1.1\r\nHost: x", "a".repeat(65_535))),
            414,
            "65,534 bytes",
        ),
        // Longer than what is read of a head.
        (
            node.head(&format!("GET /{} HTTP/1.1\r\nHost: x", "a".repeat(200_000))),
            414,
            "65,534 bytes",
        ),
        (
            node.request("GET /search?foo=1", ""),
            400,
            "unknown field \"foo\", expected one of \"q\", ",
        ),
        (node.head("GET /search?q=blue whale HTTP/1.1\r\nHost: x"), 400, "a space as + or %20"),
        (
            node.head("GET /search?q=caf\u{e9} HTTP/1.1\r\nHost: x\r\nno colon"),
            400,
            "cannot be read",
        ),
        (node.head("blue whale"), 400, "expected a request of HTTP/1.1"),
        (node.head(&format!("GET /{} HTTP/1.1", "a".repeat(1 << 20))), 414, "65,534 bytes"),
        (node.head(&format!("GET /health HTTP/1.1\r\nHost: x{many}")), 431, "at most 100 header"),
    ];
    for ((status, body), expected, problem) in &answers {
        assert_eq!(status, expected, "{body}");
        let body: Value = serde_json::from_str(body).unwrap();
        assert!(body["error"].as_str().unwrap().contains(problem), "{body}");
    }
    node.metric(&format!("splindex_failed_requests_total {}", answers.len()));
    assert_eq!(node.get("/search?q=caf%C3%A9+50%").0, 200);
}

#[test]
fn an_answer_before_one_that_cannot_be_read_arrives_whole() {
    let dir = tempfile::tempdir().unwrap();
    bm25(dir.path(), 20);
    let node = Node::start(dir.path(), "");
    let mut stream = TcpStream::connect(&node.address).unwrap();
    write!(stream, "GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /a b HTTP/1.1\r\n\r\n").unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    let second = answers.rfind("HTTP/1.1 ").unwrap();
    let (first, second) = answers.split_at(second);
    assert!(first.starts_with("HTTP/1.1 200 ") && first.ends_with('}'), "{answers}");
    assert!(second.starts_with("HTTP/1.1 400 ") && second.ends_with("\"}"), "{answers}");
    node.metric("splindex_failed_requests_total 1");
}

#[test]
fn packed_bodies_are_unpacked_within_the_limit_of_plain_ones() {
    let dir = tempfile::tempdir().unwrap();
    bm25(dir.path(), 50);
    let node = Node::start(dir.path(), "");
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    let post = |encoding: &str, body: &[u8]| {
        node.send("POST /search?k=5", &format!("Content-Encoding: {encoding}\r\n"), body)
    };
    let docids = |(status, body): (u16, String)| {
        assert_eq!(status, 200, "{body}");
        let answers = body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        answers.map(|answer| answer["hits"].clone()).collect::<Vec<_>>()
    };
    let queries = b"a\tblue word3\nb\tsea sea\n";
    let plain = docids(node.send("POST /search?k=5", "", queries));
    assert_eq!(plain.len(), 2);
    for (encoding, body) in [
        ("identity", queries.to_vec()),
        ("gzip", gzip(queries)),
        ("GZIP", gzip(queries)),
        ("zstd", zstd(queries)),
        ("gzip", [gzip(queries), vec![0; 512]].concat()),
    ] {
        assert_eq!(docids(post(encoding, &body)), plain, "{encoding}");
    }
    let cut = &gzip(queries)[..20];
    let large = format!("q\t{}\n", "sea ".repeat(2 << 20)).into_bytes();
    for (encoding, body, status, expected) in [
        ("br", queries.to_vec(), 415, "gzip or zstd, found \\\"br\\\""),
        ("gzip, zstd", gzip(queries), 415, "found \\\"gzip, zstd\\\""),
        ("gzip", queries.to_vec(), 400, "no sound gzip"),
        ("gzip", cut.to_vec(), 400, "no sound gzip"),
        ("gzip", [&gzip(queries)[..], b"tail"].concat(), 400, "4 bytes after the last gzip member"),
        ("zstd", queries.to_vec(), 400, "no sound zstd"),
        ("gzip", gzip(&large), 413, "at most 4194304 bytes"),
        ("zstd", zstd(&large), 413, "at most 4194304 bytes"),
    ] {
        let (found, answer) = post(encoding, &body);
        assert_eq!(found, status, "{encoding}: {answer}");
        assert!(answer.contains(expected), "{encoding}: {answer}");
    }
    assert_eq!(node.get("/health").0, 200);
}

#[test]
fn hangup_takes_the_new_file_and_terminate_ends_without_error() {
    let dir = tempfile::tempdir().unwrap();
    bm25(dir.path(), 20);
    let mut node = Node::start(dir.path(), "");
    node.says("listening on");
    bm25(dir.path(), 30);
    assert_eq!(node.get("/health").1["documents"], 20);
    node.signal(Signal::HUP);
    node.says("now content id");
    assert_eq!(node.get("/health").1["documents"], 30);
    node.signal(Signal::TERM);
    assert!(node.child.wait().unwrap().success());
}

#[test]
fn a_client_that_never_finishes_its_request_does_not_keep_the_node() {
    let dir = tempfile::tempdir().unwrap();
    bm25(dir.path(), 20);
    let mut node = Node::start(dir.path(), "");
    let mut stream = TcpStream::connect(&node.address).unwrap();
    write!(stream, "GET /health HTTP/1.1\r\nHost:").unwrap();
    assert_eq!(node.get("/health").0, 200);
    node.signal(Signal::TERM);
    node.says("stopping");
    node.signal(Signal::TERM);
    assert!(node.child.wait().unwrap().success());
}

#[test]
fn a_request_that_has_begun_is_answered_after_a_signal_to_stop() {
    let dir = tempfile::tempdir().unwrap();
    bm25(dir.path(), 20);
    let mut node = Node::start(dir.path(), "");
    let mut stream = TcpStream::connect(&node.address).unwrap();
    write!(stream, "GET /health HTTP/1.1\r\nHost:").unwrap();
    // Accepted after the one before it, so that one is accepted too.
    assert_eq!(node.get("/health").0, 200);
    node.signal(Signal::TERM);
    node.says("stopping");
    write!(stream, " x\r\nConnection: close\r\n\r\n").unwrap();
    let (status, health) = answer(stream);
    assert!(status == 200 && health.contains("\"documents\":20"), "{health}");
    assert!(node.child.wait().unwrap().success());
}

#[test]
fn an_index_that_is_none_is_refused_before_listening() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x.spx"), "no index").unwrap();
    let output = command(dir.path(), QUERY, "serve x.spx --listen 127.0.0.1:0").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("x.spx"));
}
