//! A store in a folder: of a disk, of a network file system.
//!
//! Files appear by rename. A pointer moves under an exclusive lock on `.lock` at the top: who holds it
//! reads the pointer, compares, renames the new one over it. Locks end with their process, so a kill
//! leaves none.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::manifest::Object;
use super::remote::{Entry, Head, Remote, Sink, TOP, Tag};
use crate::error::{Error, Place, Result};
use crate::output::OutputFile;
use crate::progress::{Progress, advance};

/// Bytes that are read and hashed at a time.
const STEP: usize = 1 << 20;

/// See the module.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The folder need not be there yet.
    ///
    /// # Errors
    /// Something that is no folder.
    pub fn new(root: &Path) -> Result<Self> {
        if root.exists() && !root.is_dir() {
            return Err(Error::data(root, Place::File, "expected a folder, found a file")
                .hint("DEST is a folder, or s3://BUCKET/PREFIX, gs://…, az://…"));
        }
        Ok(Folder { root: root.to_owned() })
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Makes the folder of `path`; the top itself, if what holds it is there.
    fn make_room(&self, path: &Path) -> Result<()> {
        let made = |dir: &Path| match std::fs::create_dir(dir) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                Err(Error::io("create the folder", dir, e))
            }
            _ => Ok(()),
        };
        let holder = crate::output::folder(&self.root);
        if !holder.is_dir() {
            return Err(Error::data(holder, Place::File, "no such folder to publish to")
                .hint("create it first"));
        }
        made(&self.root)?;
        made(crate::output::folder(path))
    }

    /// Waits for the lock, which is held for the time of one rename.
    fn lock(&self) -> Result<File> {
        let path = self.path(".lock");
        let lock = || -> std::io::Result<File> {
            let file = File::options().create(true).truncate(false).write(true).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|e| Error::io("lock", &path, e))
    }
}

impl Remote for Folder {
    fn name(&self, path: &str) -> String {
        self.path(path).display().to_string()
    }

    fn read(&self, path: &str, _: &dyn Progress) -> Result<Option<(Vec<u8>, Tag)>> {
        let path = self.path(path);
        match std::fs::read(&path) {
            Ok(bytes) => {
                let tag = Tag::Digest(blake3::hash(&bytes));
                Ok(Some((bytes, tag)))
            }
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &path, e)),
        }
    }

    fn write(&self, path: &str, bytes: &[u8], _: &dyn Progress) -> Result<()> {
        let path = self.path(path);
        self.make_room(&path)?;
        let mut file = OutputFile::create(&path)?;
        file.write_all(bytes).map_err(|e| Error::io("write", &path, e))?;
        file.publish()
    }

    fn swap(
        &self,
        path: &str,
        bytes: &[u8],
        seen: Option<&Tag>,
        progress: &dyn Progress,
    ) -> Result<bool> {
        self.make_room(&self.path(path))?;
        let _lock = self.lock()?;
        let now = self.read(path, progress)?.map(|(_, tag)| tag);
        if now.as_ref() != seen {
            return Ok(false);
        }
        self.write(path, bytes, progress)?;
        Ok(true)
    }

    fn head(&self, path: &str, _: &dyn Progress) -> Result<Option<Head>> {
        let path = self.path(path);
        match std::fs::metadata(&path) {
            Ok(file) => Ok(Some(Head { size: file.len(), blake3: None })),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("look at", &path, e)),
        }
    }

    fn send(&self, local: &Path, object: &Object, progress: &dyn Progress) -> Result<()> {
        let path = self.path(&object.path);
        self.make_room(&path)?;
        let mut input = File::open(local).map_err(|e| Error::io("open", local, e))?;
        let mut output = OutputFile::create(&path)?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; STEP];
        loop {
            let len = input.read(&mut buffer).map_err(|e| Error::io("read", local, e))?;
            if len == 0 {
                break;
            }
            hasher.update(&buffer[..len]);
            output.write_all(&buffer[..len]).map_err(|e| Error::io("write", &path, e))?;
            advance(progress, len as u64)?;
        }
        if hasher.finalize().to_hex().as_str() != object.blake3 {
            return Err(changed(local));
        }
        output.publish()
    }

    fn receive(
        &self,
        object: &Object,
        from: u64,
        sink: Sink<'_>,
        progress: &dyn Progress,
    ) -> Result<()> {
        let path = self.path(&object.path);
        let failed = |e| Error::io("read", &path, e);
        let mut file = File::open(&path).map_err(|e| Error::io("open", &path, e))?;
        let found = file.metadata().map_err(failed)?.len();
        if found != object.size {
            return Err(other_size(&path.display().to_string(), object.size, found));
        }
        file.seek(SeekFrom::Start(from)).map_err(failed)?;
        let mut buffer = vec![0; STEP];
        loop {
            let len = file.read(&mut buffer).map_err(failed)?;
            if len == 0 {
                return Ok(());
            }
            sink(&buffer[..len])?;
            advance(progress, len as u64)?;
        }
    }

    fn list(&self, folder: &str, _: &dyn Progress) -> Result<Vec<Entry>> {
        let dir = self.path(folder);
        let failed = |e| Error::io("list", &dir, e);
        let entries = match std::fs::read_dir(&dir) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Locks, and what is being written.
            if name.starts_with('.') {
                continue;
            }
            match entry.metadata() {
                Ok(file) => found.push(Entry {
                    path: format!("{folder}/{name}"),
                    modified: file.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                }),
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(failed(e)),
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    fn foreign(&self, _: &dyn Progress) -> Result<Option<String>> {
        let failed = |e| Error::io("list", &self.root, e);
        let entries = match std::fs::read_dir(&self.root) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            entries => entries.map_err(failed)?,
        };
        let mut foreign = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') && !TOP.contains(&&*name) {
                foreign.push(name);
            }
        }
        Ok(foreign.into_iter().min())
    }

    fn delete(&self, path: &str, _: &dyn Progress) -> Result<()> {
        let path = self.path(path);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("delete", &path, e)),
            _ => Ok(()),
        }
    }
}

/// The file that is sent is not the one that was checked.
pub(super) fn changed(local: &Path) -> Error {
    Error::data(local, Place::File, "it changed while it was sent")
        .hint("publish files that nobody writes to")
}

/// An object that was cut or replaced.
pub(super) fn other_size(name: &str, expected: u64, found: u64) -> Error {
    Error::data(name, Place::File, format!("expected {expected} bytes, found {found}"))
        .hint("the object is damaged: publish again, or roll back")
}
