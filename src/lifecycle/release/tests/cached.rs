//! A node's cache.

use super::faulty::{Faulty, Kill, Then};
use super::*;
use crate::lifecycle::release::{Cache, Release};

/// Three releases of one index each, of about the same size; and that size.
fn three(dir: &Path, remote: &Arc<dyn Remote>) -> (Vec<Release>, u64) {
    let numbers = [1, 2, 3];
    let releases: Vec<Release> = numbers
        .iter()
        .map(|&n| at(remote, &options(&[&index(dir, n)]), n as u64).unwrap().release)
        .collect();
    let size = releases.iter().map(Release::size).max().unwrap();
    (releases, size)
}

#[test]
fn the_release_that_was_used_longest_ago_goes_and_none_in_use() {
    let dir = tempfile::tempdir().unwrap();
    for (i, remote) in remotes(dir.path()).iter().enumerate() {
        let (releases, size) = three(dir.path(), remote);
        let folder = dir.path().join(format!("cache{i}"));
        let cache = Cache::open(&folder, 2 * size).unwrap();
        let store = store(remote);
        let ensure = |n: usize| cache.ensure(&store, &releases[n], &Silent);
        let [first, second] = [0, 1].map(|n| ensure(n).unwrap());
        assert_eq!(content_id(&first.parts()[0]), content_id(&dir.path().join("1.spx")));
        // Both are in use: the third has no room, and nothing goes.
        let e = ensure(2).unwrap_err();
        assert!(e.to_string().contains("`cache_size` is"), "{e}");
        assert_eq!(e.exit_code(), 2);
        assert!(cache.get(&releases[0].id).unwrap().is_some());
        drop(first.clone());
        assert!(ensure(2).is_err(), "a clone of it lives");
        // Another handle of the folder sees who uses it, too.
        let other = Cache::open(&folder, 2 * size).unwrap();
        assert!(other.ensure(&store, &releases[2], &Silent).is_err());
        drop(first);
        let third = ensure(2).unwrap();
        assert!(cache.get(&releases[0].id).unwrap().is_none());
        assert!(second.parts()[0].exists() && third.parts()[0].exists());
        // Of two that nobody uses, the one that was used longest ago goes.
        drop((second, third));
        let used = |n: usize, seconds: u64| {
            let path = cache.get(&releases[n].id).unwrap().unwrap().dir().join("in-use");
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        };
        used(1, 20);
        used(2, 10);
        ensure(0).unwrap();
        assert!(cache.get(&releases[2].id).unwrap().is_none());
        assert!(cache.get(&releases[1].id).unwrap().is_some());
    }
}

#[test]
fn a_cache_opens_without_its_store_and_takes_what_other_releases_have() {
    let dir = tempfile::tempdir().unwrap();
    for (i, remote) in remotes(dir.path()).iter().enumerate() {
        let (releases, size) = three(dir.path(), remote);
        let cache = Cache::open(&dir.path().join(format!("cache{i}")), 9 * size).unwrap();
        assert!(cache.remembered(CURRENT).unwrap().is_none());
        let cached = cache.ensure(&store(remote), &releases[0], &Silent).unwrap();
        cache.remember(CURRENT, &cached).unwrap();
        // Nothing of this store answers.
        let away: Arc<dyn Remote> = Faulty::new(remote, 0, Then::Break(Kill::Before));
        let held = cache.ensure(&store(&away), &releases[0], &Silent).unwrap();
        assert_eq!(held.release(), &releases[0]);
        let remembered = cache.remembered(CURRENT).unwrap().unwrap();
        assert_eq!(remembered.release(), &releases[0]);
        cache.ensure(&store(&away), &releases[1], &Silent).unwrap_err();
        assert!(cache.get(&releases[1].id).unwrap().is_none());
        // The same index under another note: its bytes are here.
        let noted =
            PublishOptions { note: "again".into(), ..options(&[&dir.path().join("1.spx")]) };
        let noted = at(remote, &noted, 9).unwrap().release;
        let linked = cache.ensure(&store(&away), &noted, &Silent).unwrap();
        assert_eq!(content_id(&linked.parts()[0]), content_id(&cached.parts()[0]));
    }
}

#[test]
fn a_killed_fetch_is_gone_on_with_and_damage_is_fetched_again() {
    let dir = tempfile::tempdir().unwrap();
    for (i, remote) in remotes(dir.path()).iter().enumerate() {
        let (releases, size) = three(dir.path(), remote);
        let folder = dir.path().join(format!("cache{i}"));
        let cache = Cache::open(&folder, 2 * size).unwrap();
        let broken: Arc<dyn Remote> = Faulty::new(remote, 0, Then::Break(Kill::After));
        cache.ensure(&store(&broken), &releases[0], &Silent).unwrap_err();
        assert!(cache.get(&releases[0].id).unwrap().is_none());
        assert!(folder.join(format!(".filling-{}", releases[0].id)).is_dir());
        let cached = cache.ensure(&store(remote), &releases[0], &Silent).unwrap();
        // A file of it is cut by somebody.
        let part = cached.parts()[0].clone();
        drop(cached);
        std::fs::write(&part, "cut").unwrap();
        assert!(cache.get(&releases[0].id).unwrap().is_none());
        let cached = cache.ensure(&store(remote), &releases[0], &Silent).unwrap();
        assert_eq!(content_id(&cached.parts()[0]), releases[0].manifest.parts[0].content_id);
        // What was left of a release that is no longer wanted goes with the next.
        cache.ensure(&store(&broken), &releases[1], &Silent).unwrap_err();
        cache.ensure(&store(remote), &releases[2], &Silent).unwrap();
        let hidden = std::fs::read_dir(&folder).unwrap().flatten();
        let hidden = hidden.filter(|e| e.file_name().to_string_lossy().starts_with(".filling"));
        assert_eq!(hidden.count(), 0);
    }
}
