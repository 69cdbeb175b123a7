//! Temporary files: anonymous, so that nothing is left of them whatever ends
//! the program, SIGKILL included.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A file without a name in some folder, appended to and read at any place.
#[derive(Debug)]
pub(crate) struct Spill {
    file: File,
    dir: PathBuf,
    len: u64,
}

impl Spill {
    /// Makes the file on the disk of `dir`.
    pub(crate) fn create(dir: &Path) -> Result<Self> {
        crate::output::check_tmp(dir)?;
        let file = tempfile::tempfile_in(dir).map_err(|e| failed(dir, e))?;
        Ok(Spill { file, dir: dir.to_owned(), len: 0 })
    }

    /// Bytes in it.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Appends `bytes` and says where they begin.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<u64> {
        self.file.write_all(bytes).map_err(|e| failed(&self.dir, e))?;
        let at = self.len;
        self.len += bytes.len() as u64;
        Ok(at)
    }

    /// Fills `bytes` from byte `at` on.
    pub(crate) fn read(&self, bytes: &mut [u8], at: u64) -> Result<()> {
        read_at(&self.file, bytes, at)
            .map_err(|e| Error::io("read a temporary file in", &self.dir, e))
    }
}

fn failed(dir: &Path, error: io::Error) -> Error {
    Error::io("write temporary files (another folder: `tmp`) in", dir, error)
}

/// Fills `bytes` from byte `at` of a file on, wherever that is read or written next.
#[cfg(unix)]
pub(crate) fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

/// Fills `bytes` from byte `at` of a file on.
#[cfg(windows)]
pub(crate) fn read_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_read(file, bytes, at)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes = &mut bytes[n..];
        at += n as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_read_at_its_place_and_the_folder_stays_empty() {
        let dir = tempfile::tempdir().unwrap();
        let mut spill = Spill::create(dir.path()).unwrap();
        assert_eq!(spill.append(b"abc").unwrap(), 0);
        assert_eq!(spill.append(b"defg").unwrap(), 3);
        let mut bytes = [0; 3];
        spill.read(&mut bytes, 4).unwrap();
        assert_eq!(&bytes, b"efg");
        assert!(spill.read(&mut bytes, 5).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let message = Spill::create(Path::new("no/such/folder")).unwrap_err().to_string();
        assert!(message.contains("no/such/folder") && message.contains("`tmp`"), "{message}");
    }
}
