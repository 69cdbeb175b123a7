//! Stores that hold what they must not: one clear line each, and nothing half there.

use super::*;
use crate::error::Error;

fn refused(error: Error, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{text:?} has no {part:?}");
    }
    assert_eq!((text.lines().count(), error.exit_code()), (1, 2), "{text}");
}

#[test]
fn an_object_with_other_bytes_is_refused_and_nothing_appears() {
    let dir = tempfile::tempdir().unwrap();
    let one = index(dir.path(), 1);
    let bytes = std::fs::read(&one).unwrap();
    let object = format!("objects/{}.spx", content_id(&one));
    for remote in remotes(dir.path()) {
        at(&remote, &options(&[&one]), 1).unwrap();
        let (store, target) = (store(&remote), dir.path().join("node"));
        let release = store.pointed(CURRENT, &Silent).unwrap();
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 1;
        remote.write(&object, &flipped, &Silent).unwrap();
        let e = store.fetch(&release, &target, &Silent).unwrap_err();
        refused(e, &[&object, "expected the BLAKE3", "roll back"]);
        remote.write(&object, &bytes[..99], &Silent).unwrap();
        let e = store.fetch(&release, &target, &Silent).unwrap_err();
        refused(e, &[&object, &format!("expected {} bytes, found 99", bytes.len())]);
        remote.delete(&object, &Silent).unwrap();
        let e = store.fetch(&release, &target, &Silent).unwrap_err();
        refused(e, &[&object]);
        assert!(!target.exists());
        // Publishing it again makes it whole.
        at(&remote, &options(&[&one]), 2).unwrap();
        assert_eq!(current(&remote), content_id(&one));
    }
}

#[test]
fn a_pointer_does_not_move_back_to_a_release_whose_objects_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (index(dir.path(), 1), index(dir.path(), 2));
    for remote in remotes(dir.path()) {
        at(&remote, &options(&[&one]), 1).unwrap();
        at(&remote, &options(&[&two]), 2).unwrap();
        remote.delete(&format!("objects/{}.spx", content_id(&one)), &Silent).unwrap();
        let e = store(&remote).rollback(CURRENT, None, &Silent).unwrap_err();
        refused(e, &["gone, and the release", "publish again"]);
        assert_eq!(current(&remote), content_id(&two));
    }
}

#[test]
fn manifests_and_pointers_that_are_none_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let one = index(dir.path(), 1);
    for remote in remotes(dir.path()) {
        let published = at(&remote, &options(&[&one]), 1).unwrap();
        let (store, id) = (store(&remote), &published.release.id);
        let path = format!("releases/{id}.json");
        let mut bytes = published.release.bytes().to_vec();
        bytes[40] ^= 1;
        remote.write(&path, &bytes, &Silent).unwrap();
        refused(store.pointed(CURRENT, &Silent).unwrap_err(), &[&path, "expected bytes with"]);
        assert!(store.releases(&Silent).unwrap()[0].release.is_err());
        remote.delete(&path, &Silent).unwrap();
        refused(store.pointed(CURRENT, &Silent).unwrap_err(), &[&path, "no such release"]);

        for (pointer, parts) in [
            (r#"{"format": "splindex-pointer", "version": 2}"#, &["version 1 to 1, found 2"][..]),
            (r#"{"format": "other", "version": 1}"#, &["expected the format"]),
            (r#"{"format": "splindex-pointer", "version": 1}"#, &["missing field \"release\""]),
            ("half", &["expected a pointer in JSON"]),
            ("", &["expected a pointer in JSON"]),
        ] {
            remote.write("pointers/current.json", pointer.as_bytes(), &Silent).unwrap();
            refused(store.pointed(CURRENT, &Silent).unwrap_err(), parts);
            // Nobody publishes over what is not understood.
            refused(at(&remote, &options(&[&one]), 2).unwrap_err(), parts);
        }
        refused(store.pointed("other", &Silent).unwrap_err(), &["no pointer other"]);
        refused(store.pointed("../x", &Silent).unwrap_err(), &["`pointer` must be of letters"]);
    }
}

#[test]
fn a_newer_manifest_and_paths_that_leave_the_folder_are_refused() {
    use crate::lifecycle::release::Release;
    let dir = tempfile::tempdir().unwrap();
    let one = index(dir.path(), 1);
    let remote = &remotes(dir.path())[0];
    let manifest = at(remote, &options(&[&one]), 1).unwrap().release.manifest;
    let parsed = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut json = serde_json::to_value(&manifest).unwrap();
        change(&mut json);
        let bytes = serde_json::to_vec(&json).unwrap();
        let id = format!("x-{}", &blake3::hash(&bytes).to_hex()[..12]);
        Release::parse("m.json", &id, bytes)
    };
    assert!(parsed(&|_| {}).is_ok());
    assert!(parsed(&|json| json["new"] = "skipped".into()).is_ok());
    refused(parsed(&|json| json["version"] = 2.into()).unwrap_err(), &["newer splindex"]);
    let part = |change: &dyn Fn(&mut serde_json::Value)| {
        parsed(&|json| change(&mut json["parts"][0])).unwrap_err()
    };
    for path in ["objects/../x", "/etc/passwd", "objects/", "objects/a/b", "objects/.x"] {
        refused(part(&|part| part["path"] = path.into()), &["expected an object's path"]);
    }
    refused(part(&|part| part["blake3"] = "ab".into()), &["BLAKE3"]);
    refused(part(&|part| part["first_ordinal"] = 1.into()), &["from document 0 on, found 1"]);
    refused(part(&|part| part["documents"] = 4.into()), &["expected 4 documents, found 3"]);
    refused(parsed(&|json| json["parts"] = [(); 0].into()).unwrap_err(), &["at least one part"]);
}

#[test]
fn a_place_that_holds_something_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let one = index(dir.path(), 1);
    for remote in remotes(dir.path()) {
        remote.write("objects/x", b"x", &Silent).unwrap();
        remote.write("photos/cat.jpg", b"cat", &Silent).unwrap();
        let e = at(&remote, &options(&[&one]), 1).unwrap_err();
        refused(e, &["expected a store of releases or nothing", "photos"]);
        refused(store(&remote).releases(&Silent).unwrap_err(), &["photos"]);
        assert_eq!(paths(&remote, "objects"), ["objects/x"]);
    }
    // A store of ours may have company.
    for remote in remotes(&dir.path().join("objects")) {
        std::fs::create_dir_all(dir.path().join("objects")).unwrap();
        at(&remote, &options(&[&one]), 1).unwrap();
        remote.write("photos/cat.jpg", b"cat", &Silent).unwrap();
        at(&remote, &options(&[&one]), 2).unwrap();
        assert_eq!(current(&remote), content_id(&one));
    }
}

#[test]
fn a_damaged_index_is_not_published() {
    let dir = tempfile::tempdir().unwrap();
    let one = index(dir.path(), 1);
    let mut bytes = std::fs::read(&one).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&one, bytes).unwrap();
    for remote in remotes(dir.path()) {
        refused(at(&remote, &options(&[&one]), 1).unwrap_err(), &["1.spx", "damaged"]);
        assert!(paths(&remote, "objects").is_empty() && paths(&remote, "pending").is_empty());
    }
}

#[test]
fn a_folder_that_holds_something_else_is_not_fetched_into() {
    let dir = tempfile::tempdir().unwrap();
    let one = index(dir.path(), 1);
    for remote in remotes(dir.path()) {
        at(&remote, &options(&[&one]), 1).unwrap();
        let (store, target) = (store(&remote), dir.path().join("node"));
        let release = store.pointed(CURRENT, &Silent).unwrap();
        std::fs::create_dir(&target).unwrap();
        // An empty folder is as good as none.
        let fetched = store.fetch(&release, &target, &Silent).unwrap();
        // Again: nothing is fetched, and damage is seen.
        let again = store.fetch(&release, &target, &Silent).unwrap();
        assert_eq!((again.received, again.kept), (0, release.size()));
        std::fs::write(&fetched.parts[0], "x").unwrap();
        refused(store.fetch(&release, &target, &Silent).unwrap_err(), &["index.spx", "BLAKE3"]);
        std::fs::write(target.join("manifest.json"), "other").unwrap();
        let e = store.fetch(&release, &target, &Silent).unwrap_err();
        refused(e, &["does not hold this release"]);
        std::fs::remove_dir_all(&target).unwrap();
        std::fs::write(&target, "file").unwrap();
        refused(store.fetch(&release, &target, &Silent).unwrap_err(), &["found a file"]);
        std::fs::remove_file(&target).unwrap();
    }
}
