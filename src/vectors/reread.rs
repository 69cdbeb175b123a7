//! An input that is read more than once, or at several places at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::corpus::{Packing, STDIN};
use crate::error::{Error, Place, Result};
use crate::spill::Spill;

const BUFFER: usize = 256 << 10;

/// Plain bytes that any number of readers can look at. A plain file is read where it is;
/// pipes, standard input and compressed files are first copied to the folder for
/// temporary files.
pub(crate) struct Rereadable {
    path: PathBuf,
    copy: Option<Arc<Spill>>,
    len: u64,
}

impl Rereadable {
    /// Takes over an input opened by [`open_input`](crate::corpus::open_input), of which
    /// nothing has been consumed yet; a copy goes to `tmp`.
    pub(crate) fn new(path: &Path, mut input: impl BufRead, tmp: &Path) -> Result<Self> {
        if let Some(len) = plain_len(path)? {
            return Ok(Rereadable { path: path.to_owned(), copy: None, len });
        }
        let mut copy = Spill::create(tmp)?;
        loop {
            let bytes = match input.fill_buf() {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(unreadable(path, e)),
            };
            if bytes.is_empty() {
                break;
            }
            copy.append(bytes)?;
            let read = bytes.len();
            input.consume(read);
        }
        let len = copy.len();
        Ok(Rereadable { path: path.to_owned(), copy: Some(Arc::new(copy)), len })
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
    pub(crate) fn reader(&self, at: u64) -> Result<BufReader<Bytes>> {
        if at > self.len {
            let problem = format!("expected a place in its {} bytes, found byte {at}", self.len);
            return Err(Error::data(&self.path, Place::File, problem)
                .hint("the file is damaged: copy or make it again"));
        }
        let bytes = match &self.copy {
            Some(copy) => Bytes::Copy(Arc::clone(copy), at),
            None => {
                let mut file =
                    File::open(&self.path).map_err(|e| Error::io("open", &self.path, e))?;
                file.seek(SeekFrom::Start(at)).map_err(|e| Error::io("read", &self.path, e))?;
                Bytes::File(file)
            }
        };
        Ok(BufReader::with_capacity(BUFFER, bytes))
    }
}

/// The bytes of a file, or of a copy from some byte on.
pub(crate) enum Bytes {
    File(File),
    Copy(Arc<Spill>, u64),
}

impl Read for Bytes {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Bytes::File(file) => file.read(bytes),
            Bytes::Copy(copy, at) => {
                let read = bytes.len().min((copy.len() - *at) as usize);
                copy.read(&mut bytes[..read], *at).map_err(io::Error::other)?;
                *at += read as u64;
                Ok(read)
            }
        }
    }
}

impl Seek for Bytes {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Bytes::File(file) => file.seek(to),
            Bytes::Copy(copy, at) => {
                let place = match to {
                    SeekFrom::Start(place) => Some(place),
                    SeekFrom::Current(by) => at.checked_add_signed(by),
                    SeekFrom::End(by) => copy.len().checked_add_signed(by),
                };
                // Places beyond the end are those of a damaged file: nothing is there.
                *at = place.ok_or(io::ErrorKind::InvalidInput)?.min(copy.len());
                Ok(*at)
            }
        }
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
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let mut head = Vec::new();
    file.take(4).read_to_end(&mut head).map_err(|e| Error::io("read", path, e))?;
    Ok((Packing::of(&head) == Packing::None).then_some(meta.len()))
}

/// A read error of vectors, which know no lines.
pub(crate) fn unreadable(path: &Path, error: io::Error) -> Error {
    crate::corpus::unreadable(path, Place::File, error)
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
            let input = Rereadable::new(&path, open_input(&path).unwrap(), dir.path()).unwrap();
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
        let Err(error) = Rereadable::new(&path, open_input(&path).unwrap(), dir.path()) else {
            panic!("read")
        };
        assert!(error.to_string().contains("cannot decompress"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}
