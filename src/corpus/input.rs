//! Opening inputs: a file or standard input, plain, gzip or zstd.
//!
//! Compression is recognised by its magic bytes, not by the name, so a `.gz` that was
//! unpacked without renaming and a compressed pipe both read as they should.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Place, Result};

/// The path that means standard input.
pub const STDIN: &str = "-";

/// Read buffer: large enough that a system call costs nothing beside decompression.
const BUFFER: usize = 256 << 10;

/// Compressed bytes taken from inputs so far; clones share one count, so a progress bar
/// can watch it from another thread.
#[derive(Debug, Clone, Default)]
pub struct BytesRead(Arc<AtomicU64>);

impl BytesRead {
    /// Bytes read so far, as they lie on disk (before decompression).
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// At least this share of `total` bytes has been read and used: what may still lie in
    /// buffers, here and in a decompressor, does not count. `None` as long as all may.
    pub(crate) fn share_of(&self, total: u64) -> Option<f64> {
        let used = self.get().saturating_sub(4 * BUFFER as u64);
        (used > 0 && total > 0).then(|| used as f64 / total as f64)
    }
}

struct Counting<R> {
    inner: R,
    count: BytesRead,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.count.0.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// Opens `path` (`-` is standard input) and decompresses gzip (all members) and zstd (all
/// frames). A file that is missing or a directory is a data error.
pub fn open_input(path: &Path) -> Result<Box<dyn BufRead + Send>> {
    open_counted(path, &BytesRead::default())
}

/// [`open_input`] that adds the compressed bytes it reads to `count`.
pub fn open_counted(path: &Path, count: &BytesRead) -> Result<Box<dyn BufRead + Send>> {
    let inner: Box<dyn Read + Send> = if path == Path::new(STDIN) {
        Box::new(io::stdin())
    } else {
        let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
        if file.metadata().map_err(|e| Error::io("read", path, e))?.is_dir() {
            return Err(directory(path));
        }
        Box::new(file)
    };
    decompress(Counting { inner, count: count.clone() }).map_err(|e| Error::io("read", path, e))
}

fn decompress(mut raw: impl Read + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let (head, packing) = Packing::of(&mut raw)?;
    let raw = BufReader::with_capacity(BUFFER, Cursor::new(head).chain(raw));
    Ok(match packing {
        Packing::Gzip => {
            let unpacked = flate2::bufread::MultiGzDecoder::new(raw);
            Box::new(BufReader::with_capacity(BUFFER, unpacked))
        }
        Packing::Zstd => {
            let unpacked = zstd::stream::read::Decoder::with_buffer(raw)?;
            Box::new(BufReader::with_capacity(BUFFER, unpacked))
        }
        Packing::None => Box::new(raw),
    })
}

/// How an input is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    /// Takes the first four bytes, or what there is, and what they mean.
    pub(crate) fn of(raw: &mut impl Read) -> io::Result<(Vec<u8>, Self)> {
        let mut head = Vec::with_capacity(4);
        raw.take(4).read_to_end(&mut head)?;
        let packing = match head[..] {
            [0x1f, 0x8b, ..] => Packing::Gzip,
            // A frame, or a skippable frame before it (parallel zstd writes those).
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Packing::Zstd,
            _ => Packing::None,
        };
        Ok((head, packing))
    }
}

/// Refuses, before anything is read, an empty list, inputs that are not there,
/// directories, and standard input named twice.
pub(crate) fn check_inputs(paths: &[impl AsRef<Path>]) -> Result<()> {
    let mut stdin = 0;
    for path in paths {
        let path = path.as_ref();
        if path == Path::new(STDIN) {
            stdin += 1;
        } else if fs::metadata(path).map_err(|e| Error::io("open", path, e))?.is_dir() {
            return Err(directory(path));
        }
    }
    if paths.is_empty() {
        return Err(Error::Usage("expected at least one input file, found none".into()));
    }
    if stdin > 1 {
        return Err(Error::Usage(
            "standard input (-) can be read only once, found it twice".into(),
        ));
    }
    Ok(())
}

/// Size on disk of all `paths`; `None` if one is a pipe or standard input.
pub fn total_bytes(paths: &[impl AsRef<Path>]) -> Option<u64> {
    paths.iter().try_fold(0, |sum, path| {
        let path = path.as_ref();
        let known = fs::metadata(path).ok().filter(|m| m.is_file() && path != Path::new(STDIN));
        known.map(|m| sum + m.len())
    })
}

fn directory(path: &Path) -> Error {
    Error::data(path, Place::File, "expected a file, found a directory")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read_back(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        decompress(Cursor::new(bytes.to_vec()))?.read_to_end(&mut text)?;
        Ok(text)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(bytes).unwrap();
        gz.finish().unwrap()
    }

    #[test]
    fn compression_is_recognised_by_content() {
        let zst = zstd::encode_all(&b"hello"[..], 1).unwrap();
        for packed in [b"hello".to_vec(), gzip(b"hello"), zst] {
            assert_eq!(read_back(&packed).unwrap(), b"hello");
        }
    }

    #[test]
    fn concatenated_members_read_as_one() {
        let gz = [gzip(b"ab"), gzip(b"cd")].concat();
        let zst = [zstd::encode_all(&b"ab"[..], 1), zstd::encode_all(&b"cd"[..], 1)];
        assert_eq!(read_back(&gz).unwrap(), b"abcd");
        assert_eq!(read_back(&zst.map(Result::unwrap).concat()).unwrap(), b"abcd");
    }

    #[test]
    fn inputs_shorter_than_a_magic_number_are_plain() {
        for text in [&b""[..], b"a", b"ab", b"abc"] {
            assert_eq!(read_back(text).unwrap(), text);
        }
    }

    #[test]
    fn a_truncated_stream_is_an_error_not_a_short_read() {
        let text = b"some text that is long enough to be cut somewhere".repeat(20);
        for packed in [gzip(&text), zstd::encode_all(&text[..], 1).unwrap()] {
            assert!(read_back(&packed[..packed.len() - 5]).is_err());
        }
    }

    #[test]
    fn bad_inputs_are_refused_before_reading() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        let message = |paths: &[&Path]| check_inputs(paths).unwrap_err().to_string();
        assert!(message(&[&gone]).ends_with("gone: no such file or directory"));
        assert!(message(&[dir.path()]).ends_with(": expected a file, found a directory"));
        assert!(message(&[]).contains("at least one input"));
        assert!(message(&[Path::new("-"), Path::new("-")]).contains("only once"));
        assert_eq!(total_bytes(&[Path::new("-")]), None);
    }
}
