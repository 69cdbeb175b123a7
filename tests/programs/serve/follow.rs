//! A node that follows releases: it looks when it is asked to, so that nothing here waits for a
//! clock.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use super::{Node, bm25};
use crate::common::{QUERY, SPLINDEX, command, succeeds};

/// A release of so many documents; its name.
fn publish(dir: &Path, documents: u32) -> String {
    bm25(dir, documents);
    let (told, _) = succeeds(dir, SPLINDEX, "publish x.spx store --json");
    let told: Value = serde_json::from_str(&told).unwrap();
    told["release"].as_str().unwrap().to_owned()
}

fn node(dir: &Path, flags: &str) -> Node {
    let words =
        format!("serve store --follow 1h --cache cache --listen 127.0.0.1:0 --json {flags}");
    Node::of(command(dir, QUERY, &words))
}

fn look(node: &Node) -> (u16, Value) {
    let (status, answer) = node.request("POST /reload", "");
    (status, serde_json::from_str(&answer).unwrap())
}

/// The one file of a folder with this ending, of which there may be several folders.
fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found
}

/// The file with one bit otherwise, as a disk or a network gives it.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[3000] ^= 0x10;
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn it_takes_what_the_pointer_names_and_goes_back_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let first = publish(dir, 100);
    let node = node(dir, "");
    assert_eq!(node.get("/ready").1["release"], first);
    let (status, told) = look(&node);
    assert_eq!((status, &told["outcome"]), (200, &"unchanged".into()));
    let second = publish(dir, 200);
    let (status, told) = look(&node);
    assert_eq!(
        (status, &told["outcome"], &told["release"]),
        (200, &"swapped".into(), &second.into())
    );
    assert_eq!(node.get("/search?q=whale&k=1").1["content_id"], told["content_id"]);
    succeeds(dir, SPLINDEX, "rollback store");
    // The release before is open still: it is back though nothing of it is left to read.
    for file in files(&dir.join("cache"), "spx") {
        fs::remove_file(file).unwrap();
    }
    let (status, told) = look(&node);
    assert_eq!(status, 200, "{told}");
    node.metric("splindex_reloads_total{outcome=\"swapped\"} 3");
    node.metric("splindex_index_documents 100.0");
}

#[test]
fn a_damaged_release_is_refused_and_taken_when_it_is_whole_again() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let first = publish(dir, 100);
    let mut node = node(dir, "");
    let before = files(&dir.join("store"), "spx");
    publish(dir, 200);
    let object =
        files(&dir.join("store"), "spx").into_iter().find(|f| !before.contains(f)).unwrap();
    let whole = fs::read(&object).unwrap();
    flip(&object);
    for _ in 0..2 {
        let (status, told) = look(&node);
        assert_eq!((status, &told["outcome"]), (409, &"refused".into()), "{told}");
        node.says("not reloaded: ");
    }
    let (status, ready) = node.get("/ready");
    assert_eq!((status, &ready["release"]), (200, &first.as_str().into()));
    assert!(ready["last_failure"].is_string(), "{ready}");
    assert_eq!(node.get("/search?q=whale&k=1").0, 200);
    node.metric("splindex_reloads_total{outcome=\"refused\"} 2");
    fs::remove_file(&object).unwrap();
    fs::write(&object, whole).unwrap();
    let (status, told) = look(&node);
    assert_eq!((status, &told["documents"]), (200, &200.into()), "{told}");
}

#[test]
fn it_starts_from_the_cache_while_the_store_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let first = publish(dir, 100);
    drop(node(dir, ""));
    fs::rename(dir.join("store"), dir.join("away")).unwrap();
    let mut again = node(dir, "");
    again.says("the release that the cache has is served");
    assert_eq!(again.get("/ready").1["release"], first);
    let (status, told) = look(&again);
    // Nothing was refused: there is nothing to look at.
    assert_eq!((status, &told["outcome"]), (502, &"failed".into()), "{told}");
    assert_eq!(told["serving"]["release"], first);
    assert_eq!(again.get("/search?q=whale&k=1").0, 200);
    fs::rename(dir.join("away"), dir.join("store")).unwrap();
    let second = publish(dir, 200);
    assert_eq!(look(&again).1["release"], second);
    again.signal(Signal::TERM);
    assert!(again.child.wait().unwrap().success());
}

#[test]
fn a_bit_that_a_disk_lost_in_the_cache_is_fetched_again() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let first = publish(dir, 100);
    drop(node(dir, ""));
    let cached = files(&dir.join("cache"), "spx");
    assert_eq!(cached.len(), 1);
    flip(&cached[0]);
    let mut again = node(dir, "");
    again.says("nothing to serve: ");
    assert_eq!(again.get("/ready").1["release"], first);
    drop(again);
    flip(&files(&dir.join("cache"), "spx")[0]);
    fs::rename(dir.join("store"), dir.join("away")).unwrap();
    // Damaged, and not to be had elsewhere: no answers rather than wrong ones.
    let words = "serve store --follow 1h --cache cache --listen 127.0.0.1:0";
    let output = command(dir, QUERY, words).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_new_node_with_nothing_but_a_damaged_release_says_so_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let words = "serve store --cache cache --listen 127.0.0.1:0";
    let ends = |expected: &str| {
        let output = command(dir, QUERY, words).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(expected), "{message}");
    };
    fs::create_dir(dir.join("store")).unwrap();
    ends("expected a release that current names, found none");
    publish(dir, 100);
    flip(&files(&dir.join("store"), "spx")[0]);
    ends("");
    let words = "serve store --listen 127.0.0.1:0";
    let output = command(dir, QUERY, words).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("give --cache DIR"));
}

#[test]
fn a_release_brings_the_model_of_its_queries() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    super::operate::learned(dir);
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/tiny");
    let words = format!("publish tiny.spx store --query-model {}", model.display());
    succeeds(dir, SPLINDEX, &words);
    let node = node(dir, "");
    let (status, found) = node.get("/search?q=whale&k=1");
    assert_eq!((status, &found["hits"][0]["docid"]), (200, &"d1".into()), "{found}");
    assert_eq!(node.get("/ready").1["warning"], Value::Null);
}
