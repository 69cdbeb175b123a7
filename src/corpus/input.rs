//! Opening inputs: a file or standard input, plain, gzip or zstd.
//!
//! Compression is recognised by its magic bytes, not by the name, so a `.gz` that was
//! unpacked without renaming and a compressed pipe both read as they should.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::sniff;
use super::unpack::{Packing, Peeked, Trailing, Unpacker};
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

    /// About this share of `total` bytes has been read and used, rather less: what may still
    /// lie in buffers, here and in a decompressor, does not count, but at the beginning, where
    /// that may be all, half of it. `None` before the first byte.
    pub(crate) fn share_of(&self, total: u64) -> Option<f64> {
        let read = self.get();
        let used = read.saturating_sub(4 * BUFFER as u64).max(read / 2);
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

fn decompress(raw: impl Read + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let mut raw = Peeked::new(BufReader::with_capacity(BUFFER, raw));
    Ok(match Packing::of(raw.peek(sniff::HEAD)?) {
        Packing::None => Box::new(raw),
        packing => Box::new(BufReader::with_capacity(BUFFER, Unpacker::new(raw, packing)?)),
    })
}

/// A read error at `place`: damage that a decompressor found has no system error number.
pub(crate) fn unreadable(path: &Path, place: Place, error: io::Error) -> Error {
    if error.raw_os_error().is_some() {
        return Error::io("read", path, error);
    }
    let trailing = error.get_ref().is_some_and(|inner| inner.is::<Trailing>());
    if trailing {
        return Error::data(path, Place::File, format!("expected its end, found {error}"))
            .hint("cut them off (head -c -N), or copy or pack the file again")
            .ends_input();
    }
    let hint = match error.kind() {
        io::ErrorKind::UnexpectedEof => "the file ends too early: copy or make it again",
        _ => "the file is damaged: copy or make it again",
    };
    Error::data(path, place, format!("cannot decompress: {error}")).hint(hint).ends_input()
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
    use std::io::{Cursor, Write};

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
    fn inputs_shorter_than_a_magic_number_are_plain() {
        for text in [&b""[..], b"a", b"ab", b"abc"] {
            assert_eq!(read_back(text).unwrap(), text);
        }
    }

    #[test]
    fn each_cause_of_an_unreadable_packed_file_has_its_own_words() {
        let says = |packed: &[u8]| {
            let error = read_back(packed).unwrap_err();
            unreadable(Path::new("x"), Place::Line(3), error).to_string()
        };
        let text = b"some text that is long enough to be cut somewhere".repeat(20);
        for packed in [gzip(&text), zstd::encode_all(&text[..], 1).unwrap()] {
            let cut = says(&packed[..packed.len() - 5]);
            assert!(cut.starts_with("x:3: cannot decompress: "), "{cut}");
            assert!(cut.ends_with("the file ends too early: copy or make it again"), "{cut}");
            let tail = says(&[&packed[..], b"tail"].concat());
            assert!(
                tail.starts_with("x: expected its end, found 4 bytes after the last "),
                "{tail}"
            );
        }
        let mut packed = gzip(&text);
        let crc = packed.len() - 8;
        packed[crc] ^= 1;
        assert!(says(&packed).ends_with("the file is damaged: copy or make it again"));
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
