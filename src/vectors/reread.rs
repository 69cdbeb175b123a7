//! An input that is read more than once, or at several places at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::corpus::{Packing, STDIN};
use crate::error::{Error, Place, Result};

const BUFFER: usize = 256 << 10;

/// Plain bytes that any number of readers can look at. A plain file is read where it is;
/// pipes, standard input and compressed files are first copied to the folder for
/// temporary files.
pub(crate) struct Rereadable {
    path: PathBuf,
    copy: Option<NamedTempFile>,
    len: u64,
}

impl Rereadable {
    /// Takes over an input opened by [`open_input`](crate::corpus::open_input), of which
    /// nothing has been consumed yet.
    pub(crate) fn new(path: &Path, input: impl BufRead) -> Result<Self> {
        if let Some(len) = plain_len(path)? {
            return Ok(Rereadable { path: path.to_owned(), copy: None, len });
        }
        let mut copy = NamedTempFile::new()
            .map_err(|e| Error::io("create a temporary file in", std::env::temp_dir(), e))?;
        let mut input = Checked { input, failed: false };
        let len = io::copy(&mut input, &mut copy).map_err(|e| match input.failed {
            true => unreadable(path, e),
            false => Error::io("write", copy.path(), e),
        })?;
        Ok(Rereadable { path: path.to_owned(), copy: Some(copy), len })
    }

    /// What the user calls it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its length, unpacked.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// A reader of its own that starts at byte `at`.
    pub(crate) fn reader(&self, at: u64) -> Result<BufReader<File>> {
        let path = self.copy.as_ref().map_or(self.path.as_path(), |copy| copy.path());
        let mut file = File::open(path).map_err(|e| Error::io("open", path, e))?;
        let len = file.metadata().map_err(|e| Error::io("read", path, e))?.len();
        if at > len {
            let problem = format!("expected a place in its {len} bytes, found byte {at}");
            return Err(Error::data(&self.path, Place::File, problem)
                .hint("the file is damaged: copy or make it again"));
        }
        file.seek(SeekFrom::Start(at)).map_err(|e| Error::io("read", path, e))?;
        Ok(BufReader::with_capacity(BUFFER, file))
    }
}

/// The length of a file that can be read in place.
fn plain_len(path: &Path) -> Result<Option<u64>> {
    if path == Path::new(STDIN) {
        return Ok(None);
    }
    let meta = std::fs::metadata(path).map_err(|e| Error::io("open", path, e))?;
    if !meta.is_file() {
        return Ok(None);
    }
    let mut file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let (_, packing) = Packing::of(&mut file).map_err(|e| Error::io("read", path, e))?;
    Ok((packing == Packing::None).then_some(meta.len()))
}

/// Tells a failure of the reading side from one of the writing side.
struct Checked<R> {
    input: R,
    failed: bool,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buf);
        self.failed |= read.is_err();
        read
    }
}

/// A read error: damage that a decompressor found has no system error number.
pub(crate) fn unreadable(path: &Path, error: io::Error) -> Error {
    if error.raw_os_error().is_some() {
        return Error::io("read", path, error);
    }
    Error::data(path, Place::File, format!("cannot decompress: {error}"))
        .hint("the file is truncated or damaged")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::corpus::open_input;

    #[test]
    fn readers_of_plain_and_packed_files_are_independent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let text: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        let packed = zstd::encode_all(&text[..], 1).unwrap();
        for bytes in [&text, &packed] {
            File::create(&path).unwrap().write_all(bytes).unwrap();
            let input = Rereadable::new(&path, open_input(&path).unwrap()).unwrap();
            assert_eq!(input.len(), text.len() as u64);
            let (mut a, mut b) = (input.reader(0).unwrap(), input.reader(4000).unwrap());
            let mut word = [0; 4];
            for expected in [0u32, 1] {
                a.read_exact(&mut word).unwrap();
                assert_eq!(u32::from_le_bytes(word), expected);
                b.read_exact(&mut word).unwrap();
                assert_eq!(u32::from_le_bytes(word), 1000 + expected);
            }
        }
    }

    #[test]
    fn a_cut_off_packed_file_is_a_data_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.zst");
        let packed = zstd::encode_all(&[7u8; 10_000][..], 1).unwrap();
        std::fs::write(&path, &packed[..packed.len() - 3]).unwrap();
        let Err(error) = Rereadable::new(&path, open_input(&path).unwrap()) else { panic!("read") };
        assert!(error.to_string().contains("cannot decompress"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}
