//! Files that appear under their name when they are complete, and not before.

mod packed;

use std::fs::{File, TryLockError};
use std::io::{BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

use crate::error::{Error, Place, Result};

pub use packed::PackedFile;

/// Prefix of temporary files beside an output: what a killed run leaves is recognised by it.
pub const TEMP_PREFIX: &str = ".splindex-tmp-";

/// A file being written in its target's directory; dropped before
/// [`publish`](Self::publish), it leaves nothing.
pub struct OutputFile {
    target: PathBuf,
    file: BufWriter<NamedTempFile>,
}

impl OutputFile {
    /// Starts the file that will be `target`; through a symbolic link, what it points to.
    ///
    /// # Errors
    /// The folder is not there, or `target` is something that a rename would destroy: a
    /// folder, a device, a pipe.
    pub fn create(target: &Path) -> Result<Self> {
        let resolved = std::fs::canonicalize(target).ok();
        let target = resolved.as_deref().unwrap_or(target);
        if target.exists() && !target.is_file() {
            return Err(Error::data(target, Place::File, "the output is there and is no file")
                .hint("give the name of a file"));
        }
        if target.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(Error::data(target, Place::File, "expected a file name, found a folder")
                .hint("give the name of a file"));
        }
        let dir = folder(target);
        if !dir.is_dir() {
            return Err(
                Error::data(dir, Place::File, "no such folder to write to").hint("create it first")
            );
        }
        sweep(dir);
        let file = temporary(dir).map_err(|e| Error::io("create a temporary file in", dir, e))?;
        Ok(OutputFile { target: target.to_owned(), file: BufWriter::with_capacity(1 << 20, file) })
    }

    /// The name it will have.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Flushes to the disk and renames the file to its target, replacing an older one.
    pub fn publish(self) -> Result<()> {
        self.flushed()?.persist()
    }

    fn flushed(self) -> Result<Flushed> {
        let OutputFile { target, file } = self;
        let failed = |action, e| Error::io(action, &target, e);
        let temp = file.into_inner().map_err(|e| failed("write", e.into_error()))?;
        // A file that was private stays so.
        if let Ok(replaced) = std::fs::metadata(&target) {
            let kept = temp.as_file().set_permissions(replaced.permissions());
            kept.map_err(|e| failed("set permissions of", e))?;
        }
        temp.as_file().sync_all().map_err(|e| failed("flush", e))?;
        Ok(Flushed { target, temp })
    }
}

/// A file that is complete on the disk, under a temporary name.
struct Flushed {
    target: PathBuf,
    temp: NamedTempFile,
}

impl Flushed {
    fn persist(self) -> Result<()> {
        let Flushed { target, temp } = self;
        temp.persist(&target).map_err(|e| Error::io("rename", &target, e.error))?;
        sync_dir(folder(&target))
    }
}

/// Publishes `main` and the files that belong to it. While they are replaced, which takes
/// as long as the renames, there is no `main`: a reader then, or after a kill in
/// between, finds no file instead of one with another's companions.
pub(crate) fn publish_with(companions: Vec<OutputFile>, main: OutputFile) -> Result<()> {
    if companions.is_empty() {
        return main.publish();
    }
    let companions = companions.into_iter().map(OutputFile::flushed).collect::<Result<Vec<_>>>()?;
    let main = main.flushed()?;
    if main.target.exists() {
        std::fs::remove_file(&main.target).map_err(|e| Error::io("replace", &main.target, e))?;
        sync_dir(folder(&main.target))?;
    }
    companions.into_iter().try_for_each(Flushed::persist)?;
    main.persist()
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Seek for OutputFile {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

/// A temporary file that is locked while its writer lives.
pub(crate) fn temporary(dir: &Path) -> std::io::Result<NamedTempFile> {
    loop {
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMP_PREFIX);
        // Results are shipped and read by others: as open(2) makes files, less the umask.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(dir)?;
        match file.as_file().try_lock() {
            // Between making and locking, another program's `sweep` may have taken it.
            Ok(()) if !file.path().exists() => continue,
            Err(TryLockError::WouldBlock) => continue,
            // File systems without locks: `sweep` removes nothing there.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(file),
        }
    }
}

/// A temporary folder, locked as [`temporary`] files are while the second value lives.
pub(crate) fn temporary_folder(dir: &Path) -> std::io::Result<(TempDir, Option<File>)> {
    sweep(dir);
    loop {
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMP_PREFIX);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let folder = builder.tempdir_in(dir)?;
        // Only some systems open folders as files; elsewhere `sweep` removes none.
        let Ok(file) = File::open(folder.path()) else { return Ok((folder, None)) };
        match file.try_lock() {
            Ok(()) if !folder.path().exists() => continue,
            Err(TryLockError::WouldBlock) => continue,
            Ok(()) | Err(TryLockError::Error(_)) => return Ok((folder, Some(file))),
        }
    }
}

/// Removes what killed programs left in `dir`: temporary files and folders that nobody has
/// locked. What cannot be removed is left to the next program.
fn sweep(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(TEMP_PREFIX) {
            continue;
        }
        let Ok(kind) = entry.file_type() else { continue };
        // Opening a pipe would wait for its other end.
        if !(kind.is_file() || kind.is_dir()) {
            continue;
        }
        let Ok(file) = File::open(entry.path()) else { continue };
        if file.try_lock().is_err() {
            continue;
        }
        let _ = match kind.is_dir() {
            true => std::fs::remove_dir_all(entry.path()),
            false => std::fs::remove_file(entry.path()),
        };
    }
}

/// Refuses an output that is one of the inputs: the rename would destroy it.
pub fn refuse_inputs<P: AsRef<Path>>(output: &Path, inputs: &[P]) -> Result<()> {
    let Ok(output_file) = std::fs::canonicalize(output) else { return Ok(()) };
    let same = |input: &P| std::fs::canonicalize(input).is_ok_and(|input| input == output_file);
    if inputs.iter().any(same) {
        return Err(Error::data(output, Place::File, "the output is also an input")
            .hint("give another `output`"));
    }
    Ok(())
}

/// Refuses a folder for temporary files that is not there.
pub fn check_tmp(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    Err(Error::data(dir, Place::File, "no such folder for temporary files")
        .hint("create it, or give another `tmp`"))
}

/// The folder of a path, `.` if it names none.
pub fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Makes the rename itself durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    #[cfg(unix)]
    match File::open(dir).and_then(|d| d.sync_all()) {
        // Some network file systems flush files only.
        Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {}
        flushed => flushed.map_err(|e| Error::io("flush", dir, e))?,
    }
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_rename_would_destroy_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("input");
        std::fs::write(&file, "precious").unwrap();
        assert!(refuse_inputs(&file, &[&file]).is_err());
        assert!(refuse_inputs(&dir.path().join("other"), &[&file]).is_ok());
        assert!(OutputFile::create(dir.path()).is_err());
        assert!(OutputFile::create(&dir.path().join("no/such/file")).is_err());
    }

    #[test]
    fn what_a_killed_program_left_is_removed_and_what_is_being_written_stays() {
        let dir = tempfile::tempdir().unwrap();
        let mut living = OutputFile::create(&dir.path().join("a")).unwrap();
        living.write_all(b"living").unwrap();
        let left = dir.path().join(format!("{TEMP_PREFIX}killed"));
        std::fs::write(&left, "half").unwrap();
        let folder = dir.path().join(format!("{TEMP_PREFIX}folder"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("part"), "half").unwrap();
        let filling = temporary_folder(dir.path()).unwrap();
        std::fs::write(filling.0.path().join("part"), "living").unwrap();
        std::fs::write(dir.path().join("other"), "not ours").unwrap();
        let later = OutputFile::create(&dir.path().join("b")).unwrap();
        assert!(!left.exists() && !folder.exists());
        assert!(filling.0.path().join("part").exists());
        drop(filling);
        living.publish().unwrap();
        later.publish().unwrap();
        assert_eq!(std::fs::read(dir.path().join("a")).unwrap(), b"living");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[cfg(unix)]
    #[test]
    fn a_replaced_file_hands_on_its_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("x");
        let mode = || std::fs::metadata(&target).unwrap().permissions().mode() & 0o777;
        OutputFile::create(&target).unwrap().publish().unwrap();
        assert_eq!(mode() & 0o111, 0);
        std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o640)).unwrap();
        OutputFile::create(&target).unwrap().publish().unwrap();
        assert_eq!(mode(), 0o640);
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_stays_and_its_target_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        std::fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut file = OutputFile::create(&link).unwrap();
        file.write_all(b"new").unwrap();
        file.publish().unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&real).unwrap(), b"new");
    }

    #[test]
    fn a_file_is_gone_before_one_of_its_companions_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let make = |name: &str| {
            let mut file = OutputFile::create(&path(name)).unwrap();
            file.write_all(b"new").unwrap();
            file
        };
        for name in ["main", "one"] {
            std::fs::write(path(name), "old").unwrap();
        }
        // The second companion cannot be renamed: a folder came in its way.
        let (one, two, main) = (make("one"), make("two"), make("main"));
        std::fs::create_dir(path("two")).unwrap();
        assert!(publish_with(vec![one, two], main).is_err());
        assert!(!path("main").exists());
        std::fs::remove_dir(path("two")).unwrap();
        publish_with(vec![make("one"), make("two")], make("main")).unwrap();
        for name in ["main", "one", "two"] {
            assert_eq!(std::fs::read(path(name)).unwrap(), b"new");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_file_appears_when_published_and_a_dropped_one_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("run");
        std::fs::write(&target, "old").unwrap();
        let mut file = OutputFile::create(&target).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
        let mut file = OutputFile::create(&target).unwrap();
        file.write_all(b"new").unwrap();
        file.publish().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
