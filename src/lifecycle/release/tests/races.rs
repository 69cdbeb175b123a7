//! Two programs at once, one acting whole between any two operations of the other.

use std::sync::{Arc, Mutex};

use super::faulty::{Faulty, Then};
use super::*;
use crate::lifecycle::release::{Outcome, PublishOptions, retire};

/// Calls `one` with a store in which `other` acts before operation 0, 1, 2 … of it, and then `check`
/// with what both gave.
fn between_all<A, B: Send + 'static>(
    fresh: impl Fn() -> (tempfile::TempDir, Vec<Arc<dyn Remote>>),
    one: impl Fn(&Arc<dyn Remote>, &Path) -> A,
    other: impl Fn(&Arc<dyn Remote>, &Path) -> B + Copy + Send + Sync + 'static,
    check: impl Fn(&Arc<dyn Remote>, &Path, A, B),
) {
    for step in 0.. {
        let (dir, remotes) = fresh();
        let mut reached = false;
        for remote in &remotes {
            let gave = Arc::new(Mutex::new(None));
            let (out, inner, path) = (Arc::clone(&gave), Arc::clone(remote), dir.path().to_owned());
            let act = move || *out.lock().unwrap() = Some(other(&inner, &path));
            let faulty = Faulty::new(remote, step, Then::Meanwhile(Box::new(act)));
            let interrupted: Arc<dyn Remote> = faulty.clone();
            let first = one(&interrupted, dir.path());
            reached |= faulty.reached();
            let Some(second) = gave.lock().unwrap().take() else { continue };
            check(remote, dir.path(), first, second);
        }
        if !reached {
            assert!(step > 5);
            return;
        }
    }
}

/// Releases of 1 and 2; `current` names 2, so that 1 may go.
fn published() -> (tempfile::TempDir, Vec<Arc<dyn Remote>>) {
    let dir = tempfile::tempdir().unwrap();
    let indexes = [1, 2, 3, 4].map(|number| index(dir.path(), number));
    let remotes = remotes(dir.path());
    for remote in &remotes {
        for (index, second) in indexes[..2].iter().zip(1..) {
            at(remote, &options(&[index]), second).unwrap();
        }
    }
    (dir, remotes)
}

fn publish(remote: &Arc<dyn Remote>, dir: &Path, number: usize, keep: Option<usize>) -> Published {
    let options = PublishOptions { keep, ..options(&[&dir.join(format!("{number}.spx"))]) };
    at(remote, &options, 10 + number as u64).unwrap()
}

#[test]
fn of_two_publishers_one_wins_and_the_other_says_so() {
    between_all(
        published,
        |remote, dir| publish(remote, dir, 3, None),
        |remote, dir| publish(remote, dir, 4, None),
        |remote, dir, one, other| {
            assert!(other.outcome.is_current());
            let now = current(remote);
            match one.outcome {
                // The other one came after it, and says so.
                Outcome::Current if now == content_id(&dir.join("4.spx")) => {
                    let pointer = store(remote).pointer(CURRENT, &Silent).unwrap().unwrap();
                    assert_eq!(pointer.previous, Some(one.release.id));
                }
                Outcome::Current => assert_eq!(now, content_id(&dir.join("3.spx"))),
                Outcome::Lost { to } => {
                    assert_eq!(to.as_deref(), Some(&*other.release.id));
                    assert_eq!(now, content_id(&dir.join("4.spx")));
                    // Its release is there all the same: it can be pointed at.
                    store(remote).rollback(CURRENT, Some(&one.release.id), &Silent).unwrap();
                    assert_eq!(current(remote), content_id(&dir.join("3.spx")));
                }
            }
        },
    );
}

/// `keep` 1 with 2 current and 1 before it: both stay; a third publish lets 1 go.
#[test]
fn nothing_goes_that_a_publisher_is_about_to_name() {
    // Publishing 1 again finds its object in the store, while another publisher retires it.
    between_all(
        published,
        |remote, dir| publish(remote, dir, 1, None),
        |remote, dir| publish(remote, dir, 3, Some(1)),
        |remote, _, one, other| {
            current(remote);
            let whole = |release| publish::check_whole(&**remote, release, &Silent);
            whole(&other.release).unwrap();
            whole(&one.release).unwrap();
        },
    );
    // The other way around: while one retires, another publishes what is being retired.
    between_all(
        published,
        |remote, dir| publish(remote, dir, 3, Some(1)),
        |remote, dir| publish(remote, dir, 1, None),
        |remote, _, one, other| {
            current(remote);
            let whole = |release| publish::check_whole(&**remote, release, &Silent);
            whole(&one.release).unwrap();
            whole(&other.release).unwrap();
        },
    );
}

#[test]
fn nothing_goes_that_a_pointer_moves_back_to() {
    let back = |remote: &Arc<dyn Remote>| {
        let store = store(remote);
        let listed = store.releases(&Silent).unwrap();
        store.rollback(CURRENT, Some(&listed[0].id), &Silent)
    };
    let check = |remote: &Arc<dyn Remote>| drop(current(remote));
    // Three releases; 1 is the oldest and named by nothing.
    let three = || {
        let (dir, remotes) = published();
        remotes.iter().for_each(|remote| drop(publish(remote, dir.path(), 3, None)));
        (dir, remotes)
    };
    between_all(
        three,
        move |remote, _| back(remote),
        |remote, _| retire::retire(&**remote, 1, SystemTime::now(), &Silent).unwrap(),
        |remote, _, _, _| check(remote),
    );
    between_all(
        three,
        |remote, _| retire::retire(&**remote, 1, SystemTime::now(), &Silent).unwrap(),
        move |remote, _| back(remote).is_ok_and(|back| back.outcome.is_current()),
        |remote, _, _, _| check(remote),
    );
}

#[test]
fn old_releases_go_and_what_a_pointer_names_stays() {
    let dir = tempfile::tempdir().unwrap();
    let indexes = [1, 2, 3, 4, 5].map(|number| index(dir.path(), number));
    for remote in remotes(dir.path()) {
        let trial = PublishOptions { pointer: "trial".into(), ..options(&[&indexes[0]]) };
        let tried = at(&remote, &trial, 1).unwrap().release;
        let mut releases = vec![tried];
        for (index, second) in indexes[1..].iter().zip(2..) {
            releases.push(at(&remote, &options(&[index]), second).unwrap().release);
        }
        let last = PublishOptions { keep: Some(1), ..options(&[&indexes[4]]) };
        let published = at(&remote, &last, 9).unwrap();
        // The trial's, the one before and the new one stay.
        let gone: Vec<_> = releases[1..4].iter().map(|release| release.id.clone()).collect();
        assert_eq!(published.retired, gone);
        let ids: Vec<_> =
            store(&remote).releases(&Silent).unwrap().into_iter().map(|listed| listed.id).collect();
        assert_eq!(
            ids,
            [&releases[0].id, &releases[4].id, &published.release.id].map(String::clone)
        );
        let left = [&indexes[0], &indexes[4]].map(|i| format!("objects/{}.spx", content_id(i)));
        let mut left = left.to_vec();
        left.sort();
        assert_eq!(paths(&remote, "objects"), left);
        store(&remote).rollback("trial", Some(&releases[4].id), &Silent).unwrap();
        let again = PublishOptions { keep: Some(1), ..options(&[&indexes[1]]) };
        at(&remote, &again, 10).unwrap();
        current(&remote);
    }
}

#[test]
fn what_a_killed_retirement_left_is_burnt_until_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let one = index(dir.path(), 1);
    for remote in remotes(dir.path()) {
        let object = format!("objects/{}.spx", content_id(&one));
        remote.write(&object, &std::fs::read(&one).unwrap(), &Silent).unwrap();
        let marks = format!(r#"{{"time": "", "paths": ["{object}"]}}"#);
        remote.write("retiring.json", marks.as_bytes(), &Silent).unwrap();
        // Somebody may yet delete it: it is sent under another name.
        let published = at(&remote, &options(&[&one]), 1).unwrap();
        assert_ne!(published.release.manifest.parts[0].object.path, object);
        remote.delete(&object, &Silent).unwrap();
        current(&remote);
        let kept = PublishOptions { keep: Some(1), ..options(&[&one]) };
        at(&remote, &kept, 2).unwrap();
        assert!(retire::retiring(&*remote, &Silent).unwrap().is_empty());
        current(&remote);
    }
}
