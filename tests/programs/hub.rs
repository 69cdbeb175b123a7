//! A hub id over HTTP: a small server that answers as the hub's API does, on localhost.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use splindex::vectors::store::Manifest;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Serves the files of `data/goldens/FOLDER` as the model own/tiny.
struct Hub {
    address: String,
    /// Paths asked for.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    fn serve(folder: &str, extra: &[&str]) -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/goldens").join(folder);
        let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap());
        let mut files: BTreeMap<String, Vec<u8>> = entries
            .map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap()))
            .collect();
        files.extend(extra.iter().map(|name| ((*name).to_owned(), b"unwanted".to_vec())));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (files, log) = (Arc::new(files), seen.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (files, log) = (files.clone(), log.clone());
                std::thread::spawn(move || answer(stream, &files, &log));
            }
        });
        Hub { address, seen }
    }
}

/// Answers the requests of one connection.
fn answer(stream: TcpStream, files: &BTreeMap<String, Vec<u8>>, log: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request).unwrap_or(0) == 0 {
            return;
        }
        let mut header = String::new();
        while reader.read_line(&mut header).unwrap_or(0) > 2 {
            header.clear();
        }
        let mut words = request.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap().to_owned());
        log.lock().unwrap().push(path.clone());
        let path = path.split('?').next().unwrap();
        let (status, body) = respond(path, files);
        let etag = blake3::hash(&body).to_hex();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"{etag}\"\r\nX-Repo-Commit: {COMMIT}\r\n\
             Content-Type: application/json\r\n\r\n",
            body.len()
        )
        .unwrap();
        if method != "HEAD" {
            stream.write_all(&body).unwrap();
        }
    }
}

fn respond(path: &str, files: &BTreeMap<String, Vec<u8>>) -> (&'static str, Vec<u8>) {
    if let Some(name) = path.strip_prefix(&format!("/own/tiny/resolve/{COMMIT}/")) {
        if let Some(bytes) = files.get(name) {
            return ("200 OK", bytes.clone());
        }
    } else if path.starts_with("/api/models/own/tiny/tree/") {
        let entry = |(name, bytes): (&String, &Vec<u8>)| serde_json::json!({"type": "file", "path": name, "size": bytes.len(), "oid": "0"});
        let list: Vec<_> = files.iter().map(entry).collect();
        return ("200 OK", serde_json::to_vec(&list).unwrap());
    } else if path.starts_with("/api/models/own/tiny") {
        let siblings: Vec<_> =
            files.keys().map(|name| serde_json::json!({"rfilename": name})).collect();
        let info = serde_json::json!({"id": "own/tiny", "sha": COMMIT, "siblings": siblings});
        return ("200 OK", serde_json::to_vec(&info).unwrap());
    }
    ("404 Not Found", b"{}".to_vec())
}

struct Run {
    dir: tempfile::TempDir,
}

impl Run {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("texts.tsv"), "a\triver\n").unwrap();
        Run { dir }
    }

    fn encode(&self, store: &str, endpoint: &str) -> std::process::Output {
        Command::new(crate::common::SPLINDEX)
            .args(["encode", "--model", "own/tiny", "--input", "texts.tsv", "--output", store])
            .current_dir(self.dir.path())
            .env("HF_HUB_CACHE", self.dir.path().join("cache"))
            .env("HF_ENDPOINT", endpoint)
            .env("NO_PROXY", "*")
            .env_remove("HF_HUB_OFFLINE")
            .env_remove("HF_TOKEN")
            .env("HF_HOME", self.dir.path())
            .output()
            .unwrap()
    }
}

fn message(output: &std::process::Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_model_is_downloaded_once_and_then_read_from_the_cache() {
    let hub = Hub::serve("bert", &["tf_model.h5", "pytorch_model.bin", "README.md"]);
    let run = Run::new();
    let output = run.encode("one", &hub.address);
    assert!(output.status.success(), "{}", message(&output));
    assert!(message(&output).starts_with("downloading model own/tiny from the hub\n"));
    let store = run.dir.path().join("one");
    let model = Manifest::read(&store).unwrap().plan.encoding.unwrap().model;
    assert_eq!((model.name.as_str(), model.layers), ("own/tiny", 2));
    let asked = hub.seen.lock().unwrap().join("\n");
    assert!(asked.contains("/model.safetensors"), "{asked}");
    for unwanted in ["tf_model.h5", "pytorch_model.bin"] {
        assert!(!asked.contains(&format!("{COMMIT}/{unwanted}")), "{asked}");
    }
    // Nothing listens on port 9 of this machine.
    let again = run.encode("two", "http://127.0.0.1:9");
    assert!(again.status.success(), "{}", message(&again));
}

#[test]
fn an_archive_is_downloaded_where_there_are_no_safetensors() {
    let hub = Hub::serve("roberta", &[]);
    let run = Run::new();
    let output = run.encode("one", &hub.address);
    assert!(output.status.success(), "{}", message(&output));
}

#[test]
fn a_hub_out_of_reach_is_one_line_with_the_way_around() {
    let run = Run::new();
    let output = run.encode("one", "http://127.0.0.1:9");
    assert_eq!(output.status.code(), Some(2));
    let e = message(&output);
    let last = e.trim_end().lines().last().unwrap();
    assert!(last.starts_with("error: model own/tiny: "), "{e}");
    assert!(last.contains("downloading it failed: ") && last.contains("`hf download own/tiny"));
}
