//! Old releases go, and nothing that anybody needs goes with them.
//!
//! Publishing and retiring may run at once, on machines that know nothing of each other. Who is about
//! to name objects (a publisher, or a pointer that moves back) first writes what it will name into
//! `pending/`, then reads `retiring.json`, and uses no name that stands there. Who deletes first writes
//! into `retiring.json` what it will delete, then reads pointers, manifests and `pending/`, and spares
//! what is named there. Stores show a write to every read after it, so one of the two always sees the
//! other. A kill leaves names in `retiring.json`, which the next retirement deletes, or a file in
//! `pending/`, which counts for a week.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::manifest;
use super::publish::rfc3339;
use super::remote::{RETIRING, Remote};
use super::store::{pointer_names, read_pointer, read_release, release_ids, release_path};
use crate::error::{Error, Place, Result, foreign};
use crate::progress::Progress;

/// A publisher that has not come back after so long was killed.
const EXPIRY: Duration = Duration::from_secs(7 * 24 * 3600);

/// Attempts to change `retiring.json` while others do.
const ATTEMPTS: usize = 20;

/// Names of paths, as `pending/…` and `retiring.json` have them.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Paths {
    time: String,
    paths: BTreeSet<String>,
}

impl Paths {
    fn parse(file: String, bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|e| {
            Error::data(
                file,
                Place::File,
                format!("expected {{time, paths}}, found {}", foreign(e)),
            )
        })
    }

    fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|e| Error::Internal(format!("paths to JSON: {e}")))
    }
}

/// What a publisher, or a pointer that moves back, is about to name.
pub(super) struct Intent<'r> {
    remote: &'r dyn Remote,
    path: String,
    time: String,
    objects: BTreeSet<String>,
}

impl<'r> Intent<'r> {
    /// Writes it down.
    pub fn announce(
        remote: &'r dyn Remote,
        objects: BTreeSet<String>,
        now: SystemTime,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let time = rfc3339(now);
        let path = format!("pending/{}-{}.json", time.replace(':', ""), nonce()?);
        let intent = Intent { remote, path, time, objects };
        intent.write(None, progress)?;
        Ok(intent)
    }

    /// Adds the release that names the objects.
    pub fn names_release(&self, id: &str, progress: &dyn Progress) -> Result<()> {
        self.write(Some(release_path(id)), progress)
    }

    fn write(&self, release: Option<String>, progress: &dyn Progress) -> Result<()> {
        let paths = self.objects.iter().cloned().chain(release).collect();
        let paths = Paths { time: self.time.clone(), paths };
        self.remote.write(&self.path, &paths.encode()?, progress)
    }

    /// What was announced is named by now, or never will be.
    pub fn done(&self, progress: &dyn Progress) -> Result<()> {
        self.remote.delete(&self.path, progress)
    }
}

/// Eight hexadecimal digits that nobody else has.
pub(super) fn nonce() -> Result<String> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::Internal(format!("the system gives no random bytes: {e}")))?;
    Ok(crate::format::header::hex(&bytes))
}

/// Names that must not be used: somebody deletes what they name.
pub(super) fn retiring(remote: &dyn Remote, progress: &dyn Progress) -> Result<BTreeSet<String>> {
    match remote.read(RETIRING, progress)? {
        None => Ok(BTreeSet::new()),
        Some((bytes, _)) => Ok(Paths::parse(remote.name(RETIRING), &bytes)?.paths),
    }
}

/// Keeps the newest `keep` releases, those that pointers name, and what they consist of. Gives the
/// names of the releases that went.
pub(super) fn retire(
    remote: &dyn Remote,
    keep: usize,
    now: SystemTime,
    progress: &dyn Progress,
) -> Result<Vec<String>> {
    let needed = Needed::read(remote, keep, now, progress)?;
    let doomed = needed.others(remote, progress)?;
    if doomed.is_empty() && retiring(remote, progress)?.is_empty() {
        return Ok(Vec::new());
    }
    let marked = mark(remote, now, progress, |paths| paths.extend(doomed.iter().cloned()))?;
    // Who wrote its intent before this is seen now; who writes it from now on sees the marks.
    let needed = Needed::read(remote, keep, now, progress)?;
    let mut gone = Vec::new();
    // Manifests first: no release may name what is not there.
    let (manifests, objects): (Vec<&String>, Vec<&String>) =
        marked.iter().partition(|path| path.starts_with("releases/"));
    for path in manifests.into_iter().chain(objects) {
        if needed.has(path) {
            continue;
        }
        remote.delete(path, progress)?;
        let id = path.strip_prefix("releases/").and_then(|name| name.strip_suffix(".json"));
        gone.extend(id.map(str::to_owned));
    }
    mark(remote, now, progress, |paths| paths.retain(|path| !marked.contains(path)))?;
    for path in &needed.expired {
        remote.delete(path, progress)?;
    }
    Ok(gone)
}

/// Changes `retiring.json`, whoever else does, and gives what it then says.
fn mark(
    remote: &dyn Remote,
    now: SystemTime,
    progress: &dyn Progress,
    change: impl Fn(&mut BTreeSet<String>),
) -> Result<BTreeSet<String>> {
    for _ in 0..ATTEMPTS {
        let (mut paths, tag) = match remote.read(RETIRING, progress)? {
            None => (BTreeSet::new(), None),
            Some((bytes, tag)) => (Paths::parse(remote.name(RETIRING), &bytes)?.paths, Some(tag)),
        };
        change(&mut paths);
        let changed = Paths { time: rfc3339(now), paths };
        if remote.swap(RETIRING, &changed.encode()?, tag.as_ref(), progress)? {
            return Ok(changed.paths);
        }
    }
    let problem = "other programs keep changing it";
    Err(Error::data(remote.name(RETIRING), Place::File, problem).hint("retire releases later"))
}

/// What must stay.
struct Needed {
    paths: BTreeSet<String>,
    /// Intents that count no more.
    expired: Vec<String>,
}

impl Needed {
    fn read(
        remote: &dyn Remote,
        keep: usize,
        now: SystemTime,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let (mut paths, mut expired) = (BTreeSet::new(), Vec::new());
        // Intents before what they announce: one that ends meanwhile has left a manifest.
        for entry in remote.list("pending", progress)? {
            if now.duration_since(entry.modified).is_ok_and(|age| age > EXPIRY) {
                expired.push(entry.path);
            } else if let Some((bytes, _)) = remote.read(&entry.path, progress)? {
                paths.extend(Paths::parse(remote.name(&entry.path), &bytes)?.paths);
            }
        }
        let ids = release_ids(remote, progress)?;
        let mut kept: BTreeSet<String> = ids.iter().rev().take(keep).cloned().collect();
        for name in pointer_names(remote, progress)? {
            if let Some((pointer, _)) = read_pointer(remote, &name, progress)? {
                kept.extend(pointer.names().map(str::to_owned));
            }
        }
        kept.extend(ids.iter().filter(|id| paths.contains(&release_path(id))).cloned());
        for id in kept.iter().filter(|id| ids.contains(id)) {
            // A manifest that cannot be read names unknown objects: nothing is deleted then.
            let release = read_release(remote, id, progress)?;
            paths.extend(release.manifest.objects().map(|object| object.path.clone()));
            paths.insert(release_path(id));
        }
        Ok(Needed { paths, expired })
    }

    fn has(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// Releases and objects that nobody needs; files that are none of ours stay.
    fn others(&self, remote: &dyn Remote, progress: &dyn Progress) -> Result<BTreeSet<String>> {
        let mut others = BTreeSet::new();
        for id in release_ids(remote, progress)? {
            others.insert(release_path(&id));
        }
        for entry in remote.list("objects", progress)? {
            if entry.path.strip_prefix("objects/").is_some_and(manifest::is_name) {
                others.insert(entry.path);
            }
        }
        others.retain(|path| !self.has(path));
        Ok(others)
    }
}
