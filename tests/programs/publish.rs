//! Releases as a user publishes, lists, fetches and rolls them back, in folders.

use std::path::Path;

use serde_json::Value;

use crate::common::{Folder, QUERY, SPLINDEX};

/// Two BM25 indexes, and one of vectors that the shipped model's queries fit.
fn indexes() -> Folder {
    let folder = Folder::new();
    folder.file("one.tsv", "d1\tblue whale\nd2\tred ship\n");
    folder.file("two.tsv", "d1\tblue whale\nd2\tred ship\nd3\tred whale\n");
    folder.file("v.jsonl", r#"{"id": "d1", "vector": {"whale": 2}}"#);
    folder.succeeds("build --quiet --bm25 --input one.tsv --output one.spx");
    folder.succeeds("build --quiet --bm25 --input two.tsv --output two.spx");
    folder.succeeds("build --quiet --input v.jsonl --output v.spx");
    folder
}

fn json(line: &str) -> Value {
    serde_json::from_str(line.lines().next().unwrap()).unwrap()
}

#[test]
fn a_release_goes_out_comes_in_and_goes_back() {
    let folder = indexes();
    let (out, err) = folder.succeeds("publish one.spx store --note first --json");
    let first = json(&out);
    assert_eq!((first["moved"].as_bool(), first["documents"].as_u64()), (Some(true), Some(2)));
    assert!(
        err.contains("store: current is ") && err.contains(" sent, 0 B there already"),
        "{err}"
    );
    folder.succeeds("publish two.spx store --note second");
    let (list, _) = folder.succeeds("releases store");
    assert_eq!(list.lines().count(), 3, "{list}");
    assert!(list.lines().nth(2).unwrap().contains("current  second"), "{list}");

    folder.succeeds("fetch store --output node");
    let answered = folder.run(QUERY, "search node/index.spx whale --format jsonl");
    assert_eq!(String::from_utf8(answered.stdout).unwrap().matches("docid").count(), 2);
    folder.succeeds("rollback store");
    let (out, _) = folder.succeeds("fetch store --output back --json");
    assert_eq!(json(&out)["release"], first["release"]);
    let digest = first["release"].as_str().unwrap().rsplit_once('-').unwrap().1.to_owned();
    folder.succeeds(&format!("fetch store {digest} --output again"));
    let bytes = |name: &str| std::fs::read(folder.path(name)).unwrap();
    assert_eq!(bytes("again/index.spx"), bytes("one.spx"));
    // A folder that holds it is verified, and damage is seen.
    folder.succeeds("fetch store --output back");
    std::fs::write(folder.path("back/index.spx"), "x").unwrap();
    folder.refuses(SPLINDEX, "fetch store --output back", &["back/index.spx", "BLAKE3"]);
}

#[test]
fn the_query_model_comes_with_it() {
    let folder = indexes();
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/tiny");
    let (_, err) =
        folder.succeeds(&format!("publish v.spx store --query-model {}", tiny.display()));
    assert!(!err.contains("note:"), "{err}");
    folder.succeeds("fetch store --output node");
    let words = "search node/index.spx whales --query-model node/query-model --format jsonl";
    let answered = folder.run(QUERY, words);
    assert!(String::from_utf8(answered.stdout).unwrap().contains("\"d1\""));
    // Nothing of the document side.
    assert!(!folder.path("node/query-model/model.safetensors").exists());
    let (_, err) = folder.succeeds("publish v.spx store");
    assert!(
        err.contains("note: without --query-model the release answers weighted tokens"),
        "{err}"
    );
    let words = format!("publish one.spx bm25 --query-model {}", tiny.display());
    assert!(folder.succeeds(&words).1.contains("note: BM25 analyses texts itself"));
}

#[test]
fn what_cannot_be_published_or_fetched_is_told_in_one_line() {
    let folder = indexes();
    folder.file("photo.jpg", "cat");
    std::fs::create_dir(folder.path("album")).unwrap();
    std::fs::write(folder.path("album/cat.jpg"), "cat").unwrap();
    for (words, expected) in [
        ("publish one.spx album", &["album: expected a store of releases", "cat.jpg"][..]),
        ("publish one.spx photo.jpg", &["photo.jpg", "expected a folder, found a file"]),
        ("publish one.spx no/such/folder", &["no/such", "no such folder"]),
        ("publish one.spx ftp://x/y", &["ftp://x/y", "expected a known kind of store"]),
        ("publish one.spx two.spx store", &["two.spx", "avgdl", "one.spx"]),
        ("publish no.spx store", &["no.spx", "no such file"]),
        ("publish one.tsv store", &["one.tsv"]),
        ("publish one.spx store --keep 0", &["--keep must be at least 1"]),
        ("publish one.spx store --pointer a/b", &["--pointer must be of letters"]),
        ("fetch store --output node", &["store", "nothing was published here"]),
        ("fetch store zzz --output node", &["no release \"zzz\""]),
        ("rollback store", &["nothing was published here"]),
    ] {
        folder.refuses(SPLINDEX, words, expected);
    }
    folder.succeeds("publish one.spx store");
    folder.refuses(SPLINDEX, "rollback store", &["named no release before"]);
    folder.refuses(SPLINDEX, "fetch store --output album", &["does not hold this release"]);
    folder.refuses(SPLINDEX, "fetch store --output no/such/node", &["no such folder"]);
    folder.refuses(SPLINDEX, "fetch store --pointer trial --output node", &["no pointer trial"]);
}

/// A folder that may be read only; nobody stops root.
#[cfg(target_os = "linux")]
#[test]
fn without_permission_nothing_is_half_there() {
    use std::os::unix::fs::PermissionsExt;
    let folder = indexes();
    folder.succeeds("publish one.spx store");
    let store = folder.path("store");
    let allow = |mode| {
        for dir in ["", "objects", "releases", "pointers", "pending"] {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(store.join(dir), permissions).unwrap();
        }
    };
    allow(0o555);
    let writable = tempfile::tempfile_in(store.join("objects")).is_ok();
    let output = folder.splindex("publish two.spx store");
    allow(0o755);
    if !writable {
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), err.lines().count()), (Some(3), 1), "{err}");
        assert!(err.contains("ermission denied"), "{err}");
        folder.succeeds("fetch store --output node");
        assert!(folder.succeeds("verify node/index.spx").0.contains("hold"));
    }
}

/// The manifest of a newer program, and a release whose objects somebody removed.
#[test]
fn a_store_that_is_not_whole_is_told() {
    let folder = indexes();
    folder.succeeds("publish one.spx store");
    folder.succeeds("publish two.spx store");
    let objects = std::fs::read_dir(folder.path("store/objects")).unwrap();
    objects.flatten().for_each(|entry| std::fs::remove_file(entry.path()).unwrap());
    folder.refuses(SPLINDEX, "fetch store --output node", &["store/objects/", "no such file"]);
    folder.refuses(SPLINDEX, "rollback store", &["gone, and the release", "publish again"]);
    folder.succeeds("publish two.spx store");
    folder.succeeds("fetch store --output node");
    let pointer = r#"{"format": "splindex-pointer", "version": 7, "new": 1}"#;
    folder.file("store/pointers/current.json", pointer);
    let newer = ["current.json", "expected version 1 to 1, found 7", "a newer splindex"];
    for words in ["fetch store --output other", "publish two.spx store", "rollback store"] {
        folder.refuses(SPLINDEX, words, &newer);
    }
}
