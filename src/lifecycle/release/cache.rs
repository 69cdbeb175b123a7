//! Releases on the disk of a node: fetched once, opened without a network, the oldest gone first.
//!
//! ```text
//! DIR/releases/<id>/        as `fetch` lays a release out, and `in-use`, which who uses it has locked
//! DIR/pointers/<name>       the release that was last used under this name
//! DIR/.filling-<id>/        what is being fetched, or was when a kill came
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::fetch::{Fetched, Filling, MANIFEST_FILE, names, sweep};
use super::manifest::{self, Release};
use super::store::Store;
use crate::error::{Error, Place, Result};
use crate::output::OutputFile;
use crate::progress::Progress;

/// What who uses a release has locked, shared.
const IN_USE: &str = "in-use";
const FILLING: &str = ".filling-";
const EVICTED: &str = ".evicted-";

/// How often a cache that another program fills is asked again.
const TICK: Duration = Duration::from_millis(100);

/// A folder with releases; any number of programs may share it.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: PathBuf,
    most: u64,
}

/// A release of a cache. While a clone of it lives, in any process, it stays there.
#[derive(Debug, Clone)]
pub struct Cached {
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    fetched: Fetched,
    /// Locked, shared.
    _in_use: File,
}

impl Cached {
    /// The release.
    pub fn release(&self) -> &Release {
        &self.held.fetched.release
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.held.fetched.dir
    }

    /// Its indexes, in the order of their documents.
    pub fn parts(&self) -> &[PathBuf] {
        &self.held.fetched.parts
    }

    /// The folder of its query model.
    pub fn query_model(&self) -> Option<&Path> {
        self.held.fetched.query_model.as_deref()
    }
}

impl Cache {
    /// The cache in `dir`, made if it is not there, with at most `size` bytes of releases.
    ///
    /// # Errors
    /// A folder that cannot be made, or is none.
    pub fn open(dir: &Path, size: u64) -> Result<Self> {
        for folder in [dir, &dir.join("releases"), &dir.join("pointers")] {
            match std::fs::create_dir(folder) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists && folder.is_dir() => {}
                Err(e) => return Err(Error::io("create the folder", folder, e)),
                Ok(()) => {}
            }
        }
        Ok(Cache { dir: dir.to_owned(), most: size })
    }

    fn release_dir(&self, id: &str) -> PathBuf {
        self.dir.join("releases").join(id)
    }

    /// The release, fetched if it is not here: verified while it is read, and complete or not there.
    /// Objects that another release of the cache has are not fetched again. The releases that were
    /// used longest ago make room, but none that is in use.
    ///
    /// # Errors
    /// Those of [`Store::fetch`]; no room beside what is in use, by name of `cache_size`. What is here
    /// stays.
    pub fn ensure(
        &self,
        store: &Store,
        release: &Release,
        progress: &dyn Progress,
    ) -> Result<Cached> {
        if let Some(cached) = self.get(&release.id)? {
            return Ok(cached);
        }
        let _filling = self.lock(progress)?;
        // Another program may have fetched it meanwhile.
        if let Some(cached) = self.get(&release.id)? {
            return Ok(cached);
        }
        let work = self.dir.join(format!("{FILLING}{}", release.id));
        sweep(&self.dir, FILLING, &work);
        sweep(&self.dir, EVICTED, &work);
        self.remove_damaged()?;
        self.make_room(release)?;
        let filling = Filling::open(&work)?;
        filling.fill(store.remote(), release, &self.files()?, progress)?;
        let in_use = work.join(IN_USE);
        File::create(&in_use).map_err(|e| Error::io("create", &in_use, e))?;
        filling.publish(&self.release_dir(&release.id))?;
        self.get(&release.id)?.ok_or_else(|| {
            let problem = "the release went as soon as it was here";
            Error::data(self.release_dir(&release.id), Place::File, problem)
                .hint("another program removes files of the cache")
        })
    }

    /// A release that is here, whole; none if it is not.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn get(&self, id: &str) -> Result<Option<Cached>> {
        let Some(cached) = self.hold(id)? else { return Ok(None) };
        // When it was used last decides who goes first; a cache that is read only does without.
        let used = File::options().write(true).open(cached.dir().join(IN_USE));
        let _ = used.and_then(|file| file.set_modified(SystemTime::now()));
        Ok(Some(cached))
    }

    /// As [`get`](Self::get), without a trace.
    fn hold(&self, id: &str) -> Result<Option<Cached>> {
        let dir = self.release_dir(id);
        let path = dir.join(IN_USE);
        let file = match File::open(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|e| Error::io("open", &path, e))?,
        };
        // Who evicts has it locked for the time of a rename. File systems without locks: one node a
        // cache is the user's care.
        let _ = file.lock_shared();
        // Between opening and locking it may have been evicted.
        let Some(release) = self.read(id)? else { return Ok(None) };
        let whole =
            names(&release).into_iter().zip(release.manifest.objects()).all(|(name, object)| {
                std::fs::metadata(dir.join(name)).is_ok_and(|file| file.len() == object.size)
            });
        if !whole {
            return Ok(None);
        }
        let held = Held { fetched: Fetched::at(release, &dir), _in_use: file };
        Ok(Some(Cached { held: Arc::new(held) }))
    }

    /// Notes that `cached` is what the name means now: [`remembered`](Self::remembered) gives it while
    /// the store is away.
    ///
    /// # Errors
    /// A name that is none; those of writing.
    pub fn remember(&self, name: &str, cached: &Cached) -> Result<()> {
        super::pointer::path(name)?;
        let path = self.dir.join("pointers").join(name);
        let mut file = OutputFile::create(&path)?;
        writeln!(file, "{}", cached.release().id).map_err(|e| Error::io("write", &path, e))?;
        file.publish()
    }

    /// The release that was last [remembered](Self::remember) under the name, if it is here.
    ///
    /// # Errors
    /// A name that is none; files that cannot be read.
    pub fn remembered(&self, name: &str) -> Result<Option<Cached>> {
        super::pointer::path(name)?;
        let path = self.dir.join("pointers").join(name);
        match std::fs::read_to_string(&path) {
            Ok(id) if manifest::is_id(id.trim_end()) => self.get(id.trim_end()),
            Ok(_) => Ok(None),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &path, e)),
        }
    }

    /// Forgets a release whose files turned out to be damaged: nobody gets it any more, and the next
    /// [`ensure`](Self::ensure) fetches it again.
    ///
    /// # Errors
    /// Those of removing its manifest.
    pub fn discard(&self, cached: &Cached) -> Result<()> {
        let path = cached.dir().join(MANIFEST_FILE);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", &path, e)),
            _ => Ok(()),
        }
    }

    /// Releases that lack files, whoever removed them: they make way for whole ones. Who uses one
    /// keeps the files that it has open.
    fn remove_damaged(&self) -> Result<()> {
        for id in self.ids()? {
            if self.hold(&id).ok().flatten().is_none() {
                self.remove(&id)?;
            }
        }
        Ok(())
    }

    /// Names of all releases that are here.
    fn ids(&self) -> Result<Vec<String>> {
        let dir = self.dir.join("releases");
        let failed = |e| Error::io("list", &dir, e);
        let mut ids = Vec::new();
        for entry in std::fs::read_dir(&dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            ids.extend(manifest::is_id(&name).then_some(name));
        }
        Ok(ids)
    }

    /// The manifest of a release that is here.
    fn read(&self, id: &str) -> Result<Option<Release>> {
        let path = self.release_dir(id).join(MANIFEST_FILE);
        match std::fs::read(&path) {
            Ok(bytes) => Release::parse(&path.display().to_string(), id, bytes).map(Some),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &path, e)),
        }
    }

    /// All releases that are here, the one that was used longest ago first.
    fn releases(&self) -> Result<Vec<Release>> {
        let mut found = Vec::new();
        for id in self.ids()? {
            let file = std::fs::metadata(self.release_dir(&id).join(IN_USE));
            let used = file.and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            // A damaged manifest: what it names is unknown, and nobody can use it.
            let Ok(Some(release)) = self.read(&id) else { continue };
            found.push((used, release));
        }
        found.sort_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.id.cmp(&y.id)));
        Ok(found.into_iter().map(|(_, release)| release).collect())
    }

    /// Files by digest: what a new release need not fetch.
    fn files(&self) -> Result<BTreeMap<String, PathBuf>> {
        let mut files = BTreeMap::new();
        for release in self.releases()? {
            let dir = self.release_dir(&release.id);
            for (object, name) in release.manifest.objects().zip(names(&release)) {
                files.insert(object.blake3.clone(), dir.join(name));
            }
        }
        Ok(files)
    }

    /// Evicts until `new` fits. Nothing goes if it cannot fit.
    fn make_room(&self, new: &Release) -> Result<()> {
        let mut here = self.releases()?;
        let in_use: Vec<bool> = here.iter().map(|release| self.is_in_use(&release.id)).collect();
        let stay: Vec<&Release> = here
            .iter()
            .zip(&in_use)
            .filter(|(_, used)| **used)
            .map(|(release, _)| release)
            .collect();
        let least = bytes(stay.iter().copied().chain([new]));
        if least > self.most {
            let problem = format!(
                "the release {} needs {} bytes beside {} in use, {least} in all, and `cache_size` is {}",
                new.id,
                least - bytes(stay.iter().copied()),
                stay.len(),
                self.most
            );
            return Err(Error::data(&self.dir, Place::File, problem)
                .hint("a node keeps the release of now, the one before and the new one"));
        }
        while bytes(here.iter().chain([new])) > self.most {
            let Some(oldest) = here.iter().position(|release| !self.is_in_use(&release.id)) else {
                break;
            };
            self.evict(&here.remove(oldest).id)?;
        }
        Ok(())
    }

    fn is_in_use(&self, id: &str) -> bool {
        let file = File::open(self.release_dir(id).join(IN_USE));
        file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// Removes a release that nobody uses.
    fn evict(&self, id: &str) -> Result<()> {
        let dir = self.release_dir(id);
        let in_use = dir.join(IN_USE);
        let open = File::options().create(true).truncate(false).write(true).open(&in_use);
        let file = open.map_err(|e| Error::io("open", &in_use, e))?;
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Ok(());
        }
        self.remove(id)
    }

    fn remove(&self, id: &str) -> Result<()> {
        let (dir, away) = (self.release_dir(id), self.dir.join(format!("{EVICTED}{id}")));
        std::fs::rename(&dir, &away).map_err(|e| Error::io("evict", &dir, e))?;
        std::fs::remove_dir_all(&away).map_err(|e| Error::io("remove", &away, e))
    }

    /// One program fills and evicts at a time.
    fn lock(&self, progress: &dyn Progress) -> Result<File> {
        let path = self.dir.join(".lock");
        let open = File::options().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(|e| Error::io("open", &path, e))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if progress.stop_requested() => {
                    return Err(Error::Stopped);
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(TICK),
                Err(TryLockError::Error(e)) => return Err(Error::io("lock", &path, e)),
            }
        }
    }
}

/// Bytes of the distinct objects of releases.
fn bytes<'r>(releases: impl Iterator<Item = &'r Release>) -> u64 {
    let mut seen = BTreeSet::new();
    let objects = releases.flat_map(|release| release.manifest.objects());
    objects.filter(|object| seen.insert(&object.blake3)).map(|object| object.size).sum()
}
