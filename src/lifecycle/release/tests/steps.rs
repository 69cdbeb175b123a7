//! A kill at every single operation: `current` is what it was or what it becomes, whole, and the same
//! command then ends as if nothing had been.

use std::sync::Arc;

use super::faulty::{Faulty, Kill, Then};
use super::*;
use crate::lifecycle::release::PublishOptions;

/// Calls `run` with a store that breaks at operation 0, 1, 2 … until it no longer gets there.
fn at_every_step(
    fresh: impl Fn() -> (tempfile::TempDir, Vec<Arc<dyn Remote>>),
    run: impl Fn(&Arc<dyn Remote>, &Path) -> Result<()>,
    check: impl Fn(&Arc<dyn Remote>, &Path),
) {
    let mut steps = 0;
    for kill in [Kill::Before, Kill::After] {
        for step in 0.. {
            let (dir, remotes) = fresh();
            let mut reached = false;
            for remote in &remotes {
                let faulty = Faulty::new(remote, step, Then::Break(kill));
                let broken: Arc<dyn Remote> = faulty.clone();
                let ran = run(&broken, dir.path());
                assert_eq!(ran.is_err(), faulty.reached(), "{kill:?} {step}: {ran:?}");
                reached |= faulty.reached();
                check(remote, dir.path());
                run(remote, dir.path()).unwrap();
                check(remote, dir.path());
                steps += 1;
            }
            if !reached {
                break;
            }
        }
    }
    assert!(steps >= 20, "{steps} steps");
}

/// Two releases of three indexes.
fn published() -> (tempfile::TempDir, Vec<Arc<dyn Remote>>) {
    let dir = tempfile::tempdir().unwrap();
    let [one, two, _] = [1, 2, 3].map(|number| index(dir.path(), number));
    let remotes = remotes(dir.path());
    for remote in &remotes {
        at(remote, &options(&[&one]), 1).unwrap();
        at(remote, &options(&[&two]), 2).unwrap();
    }
    (dir, remotes)
}

#[test]
fn publishing_may_be_killed_anywhere() {
    at_every_step(
        published,
        |remote, dir| {
            let options = PublishOptions { keep: Some(1), ..options(&[&dir.join("3.spx")]) };
            let published = at(remote, &options, 3)?;
            assert!(published.outcome.is_current());
            Ok(())
        },
        |remote, dir| {
            let now = current(remote);
            assert!([2, 3].iter().any(|n| now == content_id(&dir.join(format!("{n}.spx")))));
        },
    );
}

#[test]
fn a_first_release_may_be_killed_anywhere() {
    at_every_step(
        || {
            let dir = tempfile::tempdir().unwrap();
            index(dir.path(), 3);
            let remotes = remotes(dir.path());
            (dir, remotes)
        },
        |remote, dir| at(remote, &options(&[&dir.join("3.spx")]), 3).map(drop),
        |remote, dir| {
            if store(remote).pointer(CURRENT, &Silent).unwrap().is_some() {
                assert_eq!(current(remote), content_id(&dir.join("3.spx")));
            }
        },
    );
}

#[test]
fn rolling_back_may_be_killed_anywhere() {
    at_every_step(
        published,
        |remote, dir| {
            let store = store(remote);
            let first = content_id(&dir.join("1.spx"));
            let listed = store.releases(&Silent)?;
            let release = listed.into_iter().map(|listed| listed.release.unwrap());
            let target = release.into_iter().find(|r| r.manifest.parts[0].content_id == first);
            let back = store.rollback(CURRENT, Some(&target.unwrap().id), &Silent)?;
            assert!(back.outcome.is_current());
            Ok(())
        },
        |remote, dir| {
            let now = current(remote);
            assert!([1, 2].iter().any(|n| now == content_id(&dir.join(format!("{n}.spx")))));
        },
    );
}

#[test]
fn fetching_may_be_killed_anywhere_and_goes_on_from_there() {
    at_every_step(
        || {
            let (dir, remotes) = published();
            for remote in &remotes {
                let parts = ["1.spx", "2.spx"].map(|name| dir.path().join(name));
                at(remote, &options(&[&parts[0], &parts[1]]), 4).unwrap();
            }
            (dir, remotes)
        },
        |remote, dir| {
            let target = dir.join("node");
            let store = store(remote);
            let release = store.pointed(CURRENT, &Silent)?;
            let fetched = store.fetch(&release, &target, &Silent)?;
            assert_eq!(fetched.received + fetched.kept, release.size());
            for (part, number) in fetched.parts.iter().zip([1, 2]) {
                let sent = dir.join(format!("{number}.spx"));
                assert_eq!(std::fs::read(part).unwrap(), std::fs::read(sent).unwrap());
            }
            // The next kind of store begins without it.
            std::fs::remove_dir_all(target).unwrap();
            Ok(())
        },
        |_, dir| {
            assert!(!dir.join("node").exists());
        },
    );
}

#[test]
fn what_a_kill_left_of_a_fetch_is_not_fetched_again() {
    let (dir, remotes) = published();
    for remote in &remotes {
        let release = store(remote).pointed(CURRENT, &Silent).unwrap();
        let target = dir.path().join("node");
        // Operation 0 of a fetch of one object is its receipt, which breaks in the middle.
        let broken: Arc<dyn Remote> = Faulty::new(remote, 0, Then::Break(Kill::After));
        store(&broken).fetch(&release, &target, &Silent).unwrap_err();
        let fetched = store(remote).fetch(&release, &target, &Silent).unwrap();
        assert_eq!(fetched.kept, release.size() / 2);
        assert_eq!(fetched.received, release.size() - release.size() / 2);
        // Bytes that are not the object's are thrown away.
        std::fs::remove_dir_all(&target).unwrap();
        let work = dir.path().join(format!(".node.splindex-fetch-{}", release.id));
        std::fs::create_dir(&work).unwrap();
        std::fs::write(work.join("index.spx"), "other bytes").unwrap();
        let fetched = store(remote).fetch(&release, &target, &Silent).unwrap();
        assert_eq!(fetched.received, release.size());
        std::fs::remove_dir_all(&target).unwrap();
    }
}
