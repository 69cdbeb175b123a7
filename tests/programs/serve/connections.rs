//! Connections that ask slowly, not at all, or while the node stops.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::{Node, answer, bm25};
use crate::common::QUERY;

/// A client that keeps its connection.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn connect(node: &Node) -> Self {
        Client { stream: BufReader::new(TcpStream::connect(&node.address).unwrap()) }
    }

    /// Head and body of the answer.
    fn ask(&mut self, path: &str) -> (String, String) {
        write!(self.stream.get_mut(), "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.stream.read_line(&mut head).unwrap() > 0, "cut after {head:?}");
        }
        let length = head.to_lowercase();
        let length = length.split("content-length: ").nth(1).unwrap();
        let mut body = vec![0; length.split("\r\n").next().unwrap().parse().unwrap()];
        self.stream.read_exact(&mut body).unwrap();
        (head, String::from_utf8(body).unwrap())
    }
}

#[test]
fn while_it_stops_everybody_is_answered_and_asked_to_go() {
    let dir = tempfile::tempdir().unwrap();
    bm25(dir.path(), 20);
    let mut node = Node::start(dir.path(), "--drain-time 1h");
    let mut kept = Client::connect(&node);
    let (head, _) = kept.ask("/search?q=whale");
    assert!(!head.to_lowercase().contains("connection: close"), "{head}");
    assert_eq!(node.get("/ready").0, 200);
    node.signal(Signal::TERM);
    node.says("stopping");
    // `kept` is connected: the node goes on.
    let (status, ready) = node.get("/ready");
    assert_eq!((status, &ready["ready"]), (503, &Value::from(false)), "{ready}");
    assert!(ready["error"].as_str().unwrap().contains("stopping"), "{ready}");
    assert_eq!(node.get("/health").0, 200);
    assert_eq!(node.request("POST /reload", "").0, 503);
    let mut late = Client::connect(&node);
    for client in [&mut late, &mut kept] {
        let (head, body) = client.ask("/search?q=whale&k=2");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.to_lowercase().contains("connection: close\r\n"), "{head}");
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["hits"][1]["rank"], 2);
        let mut rest = String::new();
        assert_eq!(client.stream.read_to_string(&mut rest).unwrap(), 0, "closed, not cut");
    }
    assert!(node.child.wait().unwrap().success());
}

#[test]
fn busy_clients_lose_no_request_when_it_stops() {
    let dir = tempfile::tempdir().unwrap();
    bm25(dir.path(), 200);
    let mut node = Node::start(dir.path(), "--drain-time 1h --threads 2");
    let (ready, begun) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for number in 0..50u32 {
            let (node, ready) = (&node, ready.clone());
            scope.spawn(move || {
                let mut client = Client::connect(node);
                // Until it is asked to go, however many requests that takes.
                for request in 0u64.. {
                    let (head, body) = client.ask(&format!("/search?q=word{}+sea", number % 7));
                    assert!(head.starts_with("HTTP/1.1 200 "), "{head}{body}");
                    if request == 0 {
                        ready.send(()).unwrap();
                    }
                    if head.to_lowercase().contains("connection: close") {
                        break;
                    }
                }
            });
        }
        for _ in 0..50 {
            begun.recv().unwrap();
        }
        node.signal(Signal::TERM);
    });
    assert!(node.child.wait().unwrap().success());
}

/// 300 connections that never finish a request, where there are 64 descriptors.
#[test]
fn half_sent_requests_leave_room_for_whole_ones() {
    let dir = tempfile::tempdir().unwrap();
    bm25(dir.path(), 20);
    let mut limited = Command::new("sh");
    limited.arg("-c").arg(format!(
        "ulimit -n 64; exec {QUERY} serve x.spx --listen 127.0.0.1:0 --json --threads 2"
    ));
    limited.current_dir(dir.path());
    limited.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let node = Node::of(limited);
    let mut half = Vec::new();
    for number in 0..300 {
        let mut stream = TcpStream::connect(&node.address).unwrap();
        // One whose place was given away may be closed before it has said all.
        let _ = write!(stream, "GET /health HTTP/1.1\r\nHost:");
        half.push(stream);
        if number % 50 == 49 {
            assert_eq!(node.get("/search?q=whale").0, 200);
            assert_eq!(node.get("/ready").0, 200);
        }
    }
    let (_, metrics) = node.request("GET /metrics", "");
    let limit = metrics.lines().find(|line| line.contains("reason=\"limit\"")).expect("closed");
    let closed: u32 = limit.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(closed >= 200, "{limit}");
    // Of those that were closed, each was told.
    let (mut told, mut open) = (0, 0);
    for mut stream in half {
        stream.set_nonblocking(true).unwrap();
        let mut text = [0; 12];
        match stream.read(&mut text) {
            Ok(12) if text == *b"HTTP/1.1 503" => told += 1,
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => open += 1,
            // Reset: it was closed while its last bytes were on their way.
            _ => {}
        }
    }
    assert!(told >= 1 && open <= 64, "{told} told, {open} open");
}

#[test]
fn beyond_the_limit_of_busy_connections_one_is_refused_with_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    bm25(dir.path(), 20);
    let node = Node::start(dir.path(), "--max-connections 2 --body-time 1h");
    let mut busy: Vec<BufReader<TcpStream>> = (0..2)
        .map(|_| {
            let mut stream = BufReader::new(TcpStream::connect(&node.address).unwrap());
            let head = "POST /search HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
                        Connection: close\r\nContent-Length: 7\r\n\r\n";
            stream.get_mut().write_all(head.as_bytes()).unwrap();
            // It is a request now, and waits for its body.
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            assert!(line.starts_with("HTTP/1.1 100 "), "{line}");
            stream.read_line(&mut line).unwrap();
            stream
        })
        .collect();
    let (status, body) = answer(TcpStream::connect(&node.address).unwrap());
    let refused = serde_json::from_str::<Value>(&body).unwrap();
    assert_eq!((status, &refused["error"]), (503, &Value::from("too many connections; try again")));
    for stream in &mut busy {
        stream.get_mut().write_all(b"q\twhale").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    }
    drop(busy);
    // Their places are free as soon as the node has seen that they are gone.
    while answer_of(&node, "/health") != 200 {}
    node.metric("splindex_connections 1");
}

/// The status of a GET on a connection that may be refused before it is asked.
fn answer_of(node: &Node, path: &str) -> u16 {
    let mut stream = TcpStream::connect(&node.address).unwrap();
    let _ = write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    answer(stream).0
}

#[test]
fn a_body_that_does_not_come_is_answered_408() {
    let dir = tempfile::tempdir().unwrap();
    bm25(dir.path(), 20);
    let node = Node::start(dir.path(), "--body-time 20ms");
    let mut stream = TcpStream::connect(&node.address).unwrap();
    write!(stream, "POST /search HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nq\twh").unwrap();
    let (status, body) = answer(stream);
    assert_eq!(status, 408, "{body}");
    assert!(body.contains("expected the whole body within 20ms"), "{body}");
}

#[test]
fn head_has_the_head_of_get() {
    let dir = tempfile::tempdir().unwrap();
    bm25(dir.path(), 20);
    let node = Node::start(dir.path(), "");
    for (path, status) in [("/health", 200), ("/search?q=whale", 200), ("/nothing", 404)] {
        let head = format!("HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close");
        assert_eq!(node.head(&head), (status, String::new()), "{path}");
    }
}
