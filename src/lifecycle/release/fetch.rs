//! Fetching: objects into a hidden folder, verified while they are read; then the folder gets its name.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::manifest::{Object, Release};
use super::prepare::digest;
use super::remote::Remote;
use crate::error::{Error, Place, Result};
use crate::output;
use crate::progress::Progress;

/// The manifest in the folder of a fetched release, as the store has it.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The folder of the query model in that of a fetched release: what `--query-model` takes.
pub const QUERY_MODEL_FOLDER: &str = "query-model";

/// The summary of the parts in the folder of a fetched release.
pub const SUMMARY_FILE: &str = "summary.spx";

/// A release in a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetched {
    /// The release.
    pub release: Release,
    /// Its folder.
    pub dir: PathBuf,
    /// Its indexes, in the order of their documents.
    pub parts: Vec<PathBuf>,
    /// What its parts have in common, if they are several.
    pub summary: Option<PathBuf>,
    /// The folder of its query model.
    pub query_model: Option<PathBuf>,
    /// Bytes that came from the store.
    pub received: u64,
    /// Bytes that were here.
    pub kept: u64,
}

impl Fetched {
    /// The files of `release` in `dir`.
    pub(super) fn at(release: Release, dir: &Path) -> Self {
        let names = names(&release);
        let parts = names[..release.manifest.parts.len()].iter().map(|name| dir.join(name));
        let query_model = release.manifest.query_model.as_ref();
        Fetched {
            parts: parts.collect(),
            summary: release.manifest.summary.as_ref().map(|_| dir.join(SUMMARY_FILE)),
            query_model: query_model.map(|_| dir.join(QUERY_MODEL_FOLDER)),
            dir: dir.to_owned(),
            release,
            received: 0,
            kept: 0,
        }
    }
}

/// Relative paths of the files of a release, in the order of its objects.
pub(super) fn names(release: &Release) -> Vec<String> {
    let manifest = &release.manifest;
    let part = |i: usize| match manifest.parts.len() {
        1 => "index.spx".to_owned(),
        _ => format!("part-{i:04}.spx"),
    };
    let parts = (0..manifest.parts.len()).map(part);
    let files = manifest.query_model.iter().flat_map(|model| &model.files);
    let summary = manifest.summary.iter().map(|_| SUMMARY_FILE.to_owned());
    parts
        .chain(summary)
        .chain(files.map(|file| format!("{QUERY_MODEL_FOLDER}/{}", file.name)))
        .collect()
}

/// As [`Store::fetch`](super::Store::fetch).
pub(super) fn fetch(
    remote: &dyn Remote,
    release: &Release,
    dir: &Path,
    progress: &dyn Progress,
) -> Result<Fetched> {
    if dir.exists() && !is_empty(dir)? {
        return verified(release, dir, progress);
    }
    let parent = output::folder(dir);
    if !parent.is_dir() {
        return Err(
            Error::data(parent, Place::File, "no such folder to write to").hint("create it first")
        );
    }
    let Some(name) = dir.file_name() else {
        return Err(Error::data(dir, Place::File, "expected the name of a new folder, found none"));
    };
    let prefix = format!(".{}.splindex-fetch-", name.to_string_lossy());
    let work = parent.join(format!("{prefix}{}", release.id));
    sweep(parent, &prefix, &work);
    let filling = Filling::open(&work)?;
    let counted = filling.fill(remote, release, &BTreeMap::new(), progress)?;
    filling.publish(dir)?;
    Ok(Fetched { received: counted.0, kept: counted.1, ..Fetched::at(release.clone(), dir) })
}

fn is_empty(dir: &Path) -> Result<bool> {
    let mut entries = std::fs::read_dir(dir).map_err(|e| match e.kind() {
        ErrorKind::NotADirectory => {
            Error::data(dir, Place::File, "expected a folder, found a file")
                .hint("give the name of a new folder as `output`")
        }
        _ => Error::io("list", dir, e),
    })?;
    Ok(entries.next().is_none())
}

/// A folder that is there: it must hold this release, whole.
fn verified(release: &Release, dir: &Path, progress: &dyn Progress) -> Result<Fetched> {
    if std::fs::read(dir.join(MANIFEST_FILE)).ok().as_deref() != Some(release.bytes()) {
        return Err(Error::data(dir, Place::File, "it is there, and does not hold this release")
            .hint("give the name of a new folder as `output`"));
    }
    progress.begin("verifying files", release.size());
    for (object, name) in release.manifest.objects().zip(names(release)) {
        let path = dir.join(name);
        if digest(&path, progress)? != (object.size, object.blake3.clone()) {
            return Err(damaged(&path, object).hint("remove the folder and fetch it again"));
        }
    }
    Ok(Fetched { kept: release.size(), ..Fetched::at(release.clone(), dir) })
}

fn damaged(path: &Path, object: &Object) -> Error {
    let problem = format!("expected the BLAKE3 {}, found another", object.blake3);
    Error::data(path, Place::File, problem)
}

/// Removes what fetches of other releases into the same folder left.
pub(super) fn sweep(parent: &Path, prefix: &str, but: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path == but || !name.to_string_lossy().starts_with(prefix) || !path.is_dir() {
            continue;
        }
        let unlocked = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
        if unlocked {
            // What cannot be removed is left to the next fetch.
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

/// A folder that is being filled, locked while it is.
pub(super) struct Filling {
    dir: PathBuf,
    /// The folder itself; its lock ends with the process.
    _lock: File,
}

impl Filling {
    /// Makes the folder, or takes what a stop or a kill left.
    ///
    /// # Errors
    /// Another program fills it.
    pub fn open(dir: &Path) -> Result<Self> {
        match std::fs::create_dir(dir) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                return Err(Error::io("create the folder", dir, e));
            }
            _ => {}
        }
        let lock = File::open(dir).map_err(|e| Error::io("open", dir, e))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                Err(Error::data(dir, Place::File, "another program fetches this release there")
                    .hint("wait for it, or give another folder"))
            }
            // File systems without locks: as with all output, one writer a folder is the user's care.
            Ok(()) | Err(TryLockError::Error(_)) => {
                Ok(Filling { dir: dir.to_owned(), _lock: lock })
            }
        }
    }

    /// Fetches what is not here. `local` has files with known digests that may be linked. Bytes that
    /// came from the store, and that were here.
    pub fn fill(
        &self,
        remote: &dyn Remote,
        release: &Release,
        local: &BTreeMap<String, PathBuf>,
        progress: &dyn Progress,
    ) -> Result<(u64, u64)> {
        progress.begin("fetching", release.size());
        let (mut received, mut kept) = (0, 0);
        for (object, name) in release.manifest.objects().zip(names(release)) {
            let path = self.dir.join(&name);
            let filled = self
                .make_room(&path)
                .and_then(|()| one(remote, object, &path, local.get(&object.blake3), progress));
            let came = filled.inspect_err(|error| self.give_way(error))?;
            received += came;
            kept += object.size - came;
        }
        let manifest = self.dir.join(MANIFEST_FILE);
        let written = write(&manifest, release.bytes());
        written.inspect_err(|error| self.give_way(error))?;
        Ok((received, kept))
    }

    /// A full disk is not to stay full: others need it. And a folder without a byte is worth nothing.
    fn give_way(&self, error: &Error) {
        let full = matches!(error, Error::Io { source, .. }
            if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded));
        if full || holds_nothing(&self.dir) {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }

    fn make_room(&self, path: &Path) -> Result<()> {
        let dir = output::folder(path);
        std::fs::create_dir_all(dir).map_err(|e| Error::io("create the folder", dir, e))
    }

    /// Gives the folder its name. An empty folder of that name is replaced.
    pub fn publish(self, target: &Path) -> Result<()> {
        let folders = [QUERY_MODEL_FOLDER.as_ref(), Path::new("")].map(|dir| self.dir.join(dir));
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            output::sync_dir(folder)?;
        }
        std::fs::rename(&self.dir, target).map_err(|e| Error::io("rename", target, e))?;
        output::sync_dir(output::folder(target))
    }
}

/// Whether all files below a folder are empty.
fn holds_nothing(dir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    entries.flatten().all(|entry| match entry.metadata() {
        Ok(file) if file.is_dir() => holds_nothing(&entry.path()),
        Ok(file) => file.len() == 0,
        Err(_) => false,
    })
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|e| Error::io("write", path, e))
}

/// Makes `path` hold `object`; gives the bytes that had to come from the store.
pub(super) fn one(
    remote: &dyn Remote,
    object: &Object,
    path: &Path,
    local: Option<&PathBuf>,
    progress: &dyn Progress,
) -> Result<u64> {
    if let Some(source) = local.filter(|_| !path.exists()) {
        // A copy that is damaged or gone is fetched.
        let sound = |(size, blake3)| size == object.size && blake3 == object.blake3;
        if digest(source, &Uncounted(progress)).is_ok_and(sound)
            && std::fs::hard_link(source, path).is_ok()
        {
            crate::progress::advance(progress, object.size)?;
            return Ok(0);
        }
    }
    let mut part = Partial::open(path, object)?;
    let from = part.len;
    progress.advance(from);
    let came = part.receive(remote, object, &Uncounted(progress), progress);
    match came {
        Ok(true) => return Ok(object.size - from),
        Ok(false) if from == 0 => {
            part.clear()?;
            let name = remote.name(&object.path);
            return Err(damaged(Path::new(&name), object)
                .hint("the object is damaged: publish again, or roll back"));
        }
        // What was here is not of this object.
        Ok(false) => part.clear()?,
        Err(error) => return Err(error),
    }
    match part.receive(remote, object, &Uncounted(progress), &Uncounted(progress))? {
        true => Ok(object.size),
        false => {
            part.clear()?;
            let name = remote.name(&object.path);
            Err(damaged(Path::new(&name), object)
                .hint("the object is damaged: publish again, or roll back"))
        }
    }
}

/// Hears stops and counts nothing.
pub(super) struct Uncounted<'p>(pub &'p dyn Progress);

impl Progress for Uncounted<'_> {
    fn begin(&self, _: &'static str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn stop_requested(&self) -> bool {
        self.0.stop_requested()
    }
}

/// A file that grows to an object.
struct Partial {
    path: PathBuf,
    file: File,
    /// Bytes that are here.
    len: u64,
}

impl Partial {
    fn open(path: &Path, object: &Object) -> Result<Self> {
        let open = || -> std::io::Result<(File, u64)> {
            let file =
                File::options().create(true).truncate(false).read(true).write(true).open(path)?;
            let mut len = file.metadata()?.len();
            if len > object.size {
                file.set_len(0)?;
                len = 0;
            }
            Ok((file, len))
        };
        let (file, len) = open().map_err(|e| Error::io("open", path, e))?;
        Ok(Partial { path: path.to_owned(), file, len })
    }

    fn clear(&mut self) -> Result<()> {
        self.len = 0;
        self.file.set_len(0).map_err(|e| Error::io("write", &self.path, e))
    }

    /// Reads the rest; whether the whole then has the object's digest.
    fn receive(
        &mut self,
        remote: &dyn Remote,
        object: &Object,
        reading: &dyn Progress,
        progress: &dyn Progress,
    ) -> Result<bool> {
        let (path, len) = (self.path.clone(), self.len);
        let failed = |action| {
            let path = path.clone();
            move |e| Error::io(action, &path, e)
        };
        self.file.seek(SeekFrom::Start(0)).map_err(failed("read"))?;
        let mut hasher = blake3::Hasher::new();
        let (mut buffer, mut left) = (vec![0; 1 << 20], len);
        while left > 0 {
            let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.file.read_exact(&mut buffer[..want]).map_err(failed("read"))?;
            hasher.update(&buffer[..want]);
            left -= want as u64;
            crate::progress::advance(reading, 0)?;
        }
        if len < object.size {
            let mut file = &self.file;
            let mut sink = |bytes: &[u8]| {
                hasher.update(bytes);
                file.write_all(bytes).map_err(failed("write"))
            };
            remote.receive(object, len, &mut sink, progress)?;
            self.file.sync_all().map_err(failed("flush"))?;
        }
        Ok(hasher.finalize().to_hex().as_str() == object.blake3)
    }
}
