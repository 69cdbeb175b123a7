//! Files that appear under their name when they are complete, and not before.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Place, Result};

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
        let dir = parent(target);
        if !dir.is_dir() {
            return Err(
                Error::data(dir, Place::File, "no such folder to write to").hint("create it first")
            );
        }
        let file = tempfile::Builder::new()
            .prefix(TEMP_PREFIX)
            .tempfile_in(dir)
            .map_err(|e| Error::io("create a temporary file in", dir, e))?;
        Ok(OutputFile { target: target.to_owned(), file: BufWriter::with_capacity(1 << 20, file) })
    }

    /// The name it will have.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Flushes to the disk and renames the file to its target, replacing an older one.
    pub fn publish(self) -> Result<()> {
        let OutputFile { target, file } = self;
        let failed = |action, e| Error::io(action, &target, e);
        let temp = file.into_inner().map_err(|e| failed("write", e.into_error()))?;
        set_default_permissions(temp.as_file()).map_err(|e| failed("set permissions of", e))?;
        temp.as_file().sync_all().map_err(|e| failed("flush", e))?;
        temp.persist(&target).map_err(|e| failed("rename", e.error))?;
        sync_dir(parent(&target))
    }
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

/// Refuses an output that is one of the inputs: the rename would destroy it.
pub fn refuse_inputs<P: AsRef<Path>>(output: &Path, inputs: &[P]) -> Result<()> {
    let Ok(output_file) = std::fs::canonicalize(output) else { return Ok(()) };
    let same = |input: &P| std::fs::canonicalize(input).is_ok_and(|input| input == output_file);
    if inputs.iter().any(same) {
        return Err(Error::data(output, Place::File, "the output is also an input")
            .hint("give another --output"));
    }
    Ok(())
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Temporary files are private (0600); results are shipped and read by others.
fn set_default_permissions(file: &File) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// Makes the rename itself durable.
fn sync_dir(dir: &Path) -> Result<()> {
    #[cfg(unix)]
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| Error::io("flush", dir, e))?;
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
