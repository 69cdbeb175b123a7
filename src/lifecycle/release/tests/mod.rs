//! Both kinds of stores, with everything that can go wrong between two of their operations.

mod cached;
mod damage;
mod faulty;
mod races;
mod steps;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use object_store::memory::InMemory;

use super::cloud::Cloud;
use super::folder::Folder;
use super::remote::Remote;
use super::{CURRENT, PublishOptions, Published, Store, publish};
use crate::error::Result;
use crate::index::Summary;
use crate::progress::Silent;
use crate::{Builder, Index, Scale};

/// An index of a few documents that no other number gives; three of them are parts of a collection.
fn index(dir: &Path, number: usize) -> PathBuf {
    let path = dir.join(format!("{number}.spx"));
    let texts = (0..3).map(|i| (format!("{number}-{i}"), format!("whale number {number} of {i}")));
    Builder::new().texts(texts).unwrap().write(&path).unwrap();
    path
}

fn options(indexes: &[&Path]) -> PublishOptions {
    let indexes = indexes.iter().map(|path| path.to_path_buf()).collect();
    PublishOptions { indexes, ..PublishOptions::default() }
}

/// A folder and an object store, empty.
fn remotes(dir: &Path) -> Vec<Arc<dyn Remote>> {
    let memory = Cloud::new(InMemory::new(), "memory://bucket/p", "p".into()).unwrap();
    vec![Arc::new(Folder::new(&dir.join("store")).unwrap()), Arc::new(memory)]
}

fn store(remote: &Arc<dyn Remote>) -> Store {
    Store::of(Arc::clone(remote), "DEST")
}

/// Publishes at a second of its own, so that the names of releases tell their order.
fn at(remote: &Arc<dyn Remote>, options: &PublishOptions, second: u64) -> Result<Published> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + second);
    publish::publish(&**remote, "DEST", options, now, &Silent)
}

/// `current` names a release that can be fetched whole; the content id of its first part.
fn current(remote: &Arc<dyn Remote>) -> String {
    let dir = tempfile::tempdir().unwrap();
    let store = store(remote);
    let release = store.pointed(CURRENT, &Silent).unwrap();
    let fetched = store.fetch(&release, &dir.path().join("node"), &Silent).unwrap();
    let index = Index::open(&fetched.parts[0]).unwrap();
    assert_eq!(index.verify_deep().faults, Vec::<String>::new());
    assert_eq!(index.content_id(), release.manifest.parts[0].content_id);
    index.content_id()
}

fn content_id(path: &Path) -> String {
    Index::open(path).unwrap().content_id()
}

fn paths(remote: &Arc<dyn Remote>, folder: &str) -> Vec<String> {
    remote.list(folder, &Silent).unwrap().into_iter().map(|entry| entry.path).collect()
}

#[test]
fn a_release_is_published_fetched_and_rolled_back() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (index(dir.path(), 1), index(dir.path(), 2));
    for remote in remotes(dir.path()) {
        let store = store(&remote);
        assert_eq!(store.pointer(CURRENT, &Silent).unwrap(), None);
        let first = at(&remote, &options(&[&one]), 1).unwrap();
        let size = std::fs::metadata(&one).unwrap().len();
        assert_eq!((first.sent, first.kept, first.outcome.is_current()), (size, 0, true));
        assert_eq!(first.release.manifest.bm25.as_ref().unwrap().documents, 3);
        assert_eq!(current(&remote), content_id(&one));

        let second = at(&remote, &options(&[&two]), 2).unwrap();
        assert_eq!(current(&remote), content_id(&two));
        let listed = store.releases(&Silent).unwrap();
        let ids: Vec<&str> = listed.iter().map(|listed| &*listed.id).collect();
        assert_eq!(ids, [&first.release.id, &second.release.id]);
        assert_eq!(listed[1].pointers, [CURRENT]);

        let back = store.rollback(CURRENT, None, &Silent).unwrap();
        assert_eq!(back.release, first.release);
        assert_eq!(current(&remote), content_id(&one));
        // The release before is the one that was rolled back: a second time goes forward.
        store.rollback(CURRENT, None, &Silent).unwrap();
        assert_eq!(current(&remote), content_id(&two));
        let digest = first.release.id.rsplit_once('-').unwrap().1;
        store.rollback(CURRENT, Some(digest), &Silent).unwrap();
        assert_eq!(current(&remote), content_id(&one));
        assert!(paths(&remote, "pending").is_empty());
    }
}

#[test]
fn what_is_there_is_not_sent_again_and_other_bytes_get_another_name() {
    let dir = tempfile::tempdir().unwrap();
    let one = index(dir.path(), 1);
    let bytes = std::fs::read(&one).unwrap();
    for remote in remotes(dir.path()) {
        // Bytes of the same length under the name, as a build with another PROVENANCE has.
        let taken = format!("objects/{}.spx", content_id(&one));
        remote.write(&taken, &vec![b'x'; bytes.len()], &Silent).unwrap();
        let first = at(&remote, &options(&[&one]), 1).unwrap();
        assert_eq!(first.sent, bytes.len() as u64);
        assert_eq!(paths(&remote, "objects").len(), 2);
        assert_eq!(current(&remote), content_id(&one));
        // What the release of now has is known, whatever it is called.
        let second = at(&remote, &options(&[&one]), 2).unwrap();
        assert_eq!((second.sent, second.kept), (0, bytes.len() as u64));
        assert_eq!(paths(&remote, "objects").len(), 2);
        // Under the plain name without the digest beside it, as rsync leaves it: it is read.
        for path in paths(&remote, "objects").into_iter().filter(|path| *path != taken) {
            remote.delete(&path, &Silent).unwrap();
        }
        remote.write(&taken, &bytes, &Silent).unwrap();
        assert_eq!(at(&remote, &options(&[&one]), 3).unwrap().sent, 0);
        assert_eq!(current(&remote), content_id(&one));
    }
}

#[test]
fn a_large_object_goes_in_parts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.spx");
    // 20 MB of ids: three parts.
    let id = |i: usize| format!("{i:>06}{}", "x".repeat(100_000));
    let texts = (0..200).map(|i| (id(i), "whale".to_owned()));
    Builder::new().texts(texts).unwrap().write(&path).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() > 17 << 20);
    for remote in remotes(dir.path()) {
        at(&remote, &options(&[&path]), 1).unwrap();
        assert_eq!(current(&remote), content_id(&path));
        assert_eq!(at(&remote, &options(&[&path]), 2).unwrap().sent, 0);
    }
}

#[test]
fn parts_stand_in_the_order_of_their_documents() {
    let dir = tempfile::tempdir().unwrap();
    let build = |name: &str, number: f32| {
        let path = dir.path().join(format!("{name}.spx"));
        let vectors = (0..3).map(|i| (format!("{name}{i}"), [("whale", number)]));
        Builder::new().scale(Scale::Fixed(9.0)).vectors(vectors).unwrap().write(&path).unwrap();
        path
    };
    let (one, two) = (build("one", 1.0), build("two", 2.0));
    for remote in remotes(dir.path()) {
        let published = at(&remote, &options(&[&two, &one]), 1).unwrap();
        let manifest = &published.release.manifest;
        let parts: Vec<_> =
            manifest.parts.iter().map(|part| (part.first_ordinal, &*part.content_id)).collect();
        assert_eq!(parts, [(0, &*content_id(&two)), (3, &*content_id(&one))]);
        assert_eq!(manifest.documents, 6);
        let target = dir.path().join("node");
        let fetched = store(&remote).fetch(&published.release, &target, &Silent).unwrap();
        let names: Vec<_> = fetched.parts.iter().map(|part| part.file_name().unwrap()).collect();
        assert_eq!(names, ["part-0000.spx", "part-0001.spx"]);
        assert_eq!(content_id(&fetched.parts[1]), content_id(&one));
        let summary = Summary::open(&fetched.summary.unwrap()).unwrap();
        assert_eq!(summary.documents(), 6);
        std::fs::remove_dir_all(&target).unwrap();
        // A node that serves one part fetches that, and again what was damaged on its way.
        let pick = |names: &[&str]| {
            store(&remote).fetch_files(&published.release, names, &target, &Silent)
        };
        pick(&["part-0001.spx"]).unwrap();
        assert_eq!(content_id(&target.join("part-0001.spx")), content_id(&one));
        assert!(!target.join("part-0000.spx").exists());
        std::fs::write(target.join(".summary.spx.partial"), "x").unwrap();
        pick(&["summary.spx", "part-0001.spx"]).unwrap();
        Summary::open(&target.join("summary.spx")).unwrap();
        let e = pick(&["part-0002.spx"]).unwrap_err().to_string();
        assert!(e.contains("part-0002.spx"), "{e}");
        std::fs::remove_dir_all(&target).unwrap();
    }
    let remote = &remotes(dir.path())[0];
    let e = at(remote, &options(&[&one, &one]), 2).unwrap_err().to_string();
    assert!(e.contains("has the content of") && e.contains("every part"), "{e}");
}

#[cfg(feature = "tokenize")]
#[test]
fn a_query_model_goes_with_the_index_that_it_fits() {
    use crate::QueryBuilder;

    let dir = tempfile::tempdir().unwrap();
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/tiny");
    let build = |token: &str| {
        let path = dir.path().join(format!("{token}.spx"));
        Builder::new().vectors([("d1", [(token, 2.0)])]).unwrap().write(&path).unwrap();
        path
    };
    let (fits, other) = (build("whale"), build("qqqqqqqqqq"));
    for remote in remotes(dir.path()) {
        let with =
            |index: &Path| PublishOptions { query_model: Some(tiny.clone()), ..options(&[index]) };
        let e = at(&remote, &with(&other), 1).unwrap_err().to_string();
        assert!(e.contains("has no token \"qqqqqqqqqq\" (1 of 1 tokens"), "{e}");
        assert!(paths(&remote, "objects").is_empty());

        let published = at(&remote, &with(&fits), 2).unwrap();
        let model = published.release.manifest.query_model.clone().unwrap();
        assert_eq!((&*model.name, model.inference_free), ("tiny", true));
        let target = dir.path().join("node");
        let fetched = store(&remote).fetch(&published.release, &target, &Silent).unwrap();
        let index = Index::open(&fetched.parts[0]).unwrap();
        let queries = QueryBuilder::load(&index, fetched.query_model.as_deref(), None).unwrap();
        let asked = queries.text("whale").unwrap();
        let mut searcher = index.searcher();
        let hits = searcher.search(&asked.query, 10, crate::Algorithm::Auto).unwrap();
        assert_eq!((asked.dropped, hits.len()), (0, 1));
        std::fs::remove_dir_all(target).unwrap();
        // The model is sent once.
        let again = at(&remote, &with(&fits), 3).unwrap();
        assert_eq!((again.sent, again.kept), (0, published.release.size()));
    }
}
