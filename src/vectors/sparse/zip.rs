//! Members of `.npz` files, which are zip archives: stored or deflated ones are read, stored ones
//! written.
//!
//! rawzip finds the members; three are read at the same time, each by a reader of its own.

use std::io::{self, BufReader, Read, Write};

use rawzip::time::UtcDateTime;
use rawzip::{
    CompressionMethod, RECOMMENDED_BUFFER_SIZE, ReaderAt, ZipArchive, ZipArchiveEntryWayfinder,
    ZipArchiveWriter, ZipLocator,
};

use crate::error::{Error, Place, Result, foreign};
use crate::vectors::reread::Rereadable;

/// Members of an archive at most, so that a hostile directory takes no memory: matrices have five.
const MOST_ENTRIES: usize = 1000;

/// One file of the archive.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub name: String,
    /// Bytes when unpacked, as the directory says.
    pub len: u64,
    /// None if it is encrypted.
    method: Option<CompressionMethod>,
    crc: u32,
    place: ZipArchiveEntryWayfinder,
}

/// An archive and its directory.
pub(super) struct Archive<'a> {
    file: &'a Rereadable,
    zip: ZipArchive<&'a Rereadable>,
    pub entries: Vec<Entry>,
}

impl ReaderAt for Rereadable {
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        if at >= self.len() {
            return Ok(0);
        }
        self.reader(at).map_err(io::Error::other)?.read(bytes)
    }
}

impl<'a> Archive<'a> {
    /// Reads the directory.
    pub(super) fn open(file: &'a Rereadable) -> Result<Self> {
        let bad = |problem: String| {
            Error::data(file.path(), Place::File, format!("expected a .npz (zip) file: {problem}"))
                .hint("the file is cut off or damaged")
        };
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let zip = ZipLocator::new()
            .locate_in_reader(file, &mut buffer, file.len())
            .map_err(|(_, e)| bad(foreign(e)))?;
        let mut entries = Vec::new();
        let mut records = zip.entries(&mut buffer);
        while let Some(record) = records.next_entry().map_err(|e| bad(e.to_string()))? {
            if entries.len() == MOST_ENTRIES {
                return Err(bad(format!("found more than {MOST_ENTRIES} members")));
            }
            entries.push(Entry {
                name: String::from_utf8_lossy(record.file_path().as_ref()).into_owned(),
                len: record.uncompressed_size_hint(),
                method: (!record.flags().is_encrypted()).then(|| record.compression_method()),
                crc: record.crc32(),
                place: record.wayfinder(),
            });
        }
        Ok(Archive { file, zip, entries })
    }

    /// Opens a member; its checksum is compared when its last byte is read.
    pub(super) fn member(&self, entry: &Entry) -> Result<Member> {
        let bad = |problem: String| {
            let problem = format!("member {:?}: {problem}", entry.name);
            Error::data(self.file.path(), Place::File, problem).hint("save the file again")
        };
        let found = self.zip.get_entry(entry.place);
        let (start, end) = found.map_err(|e| bad(e.to_string()))?.compressed_data_range();
        if start > end || end > self.file.len() {
            return Err(bad("expected it inside the file, found one that exceeds it".into()));
        }
        let raw = self.file.reader(start)?.take(end - start);
        let bytes: Box<dyn Read + Send> = match entry.method {
            Some(CompressionMethod::STORE) if end - start == entry.len => Box::new(raw),
            Some(CompressionMethod::DEFLATE) => {
                Box::new(BufReader::new(flate2::bufread::DeflateDecoder::new(raw)))
            }
            Some(method) => {
                return Err(bad(format!("expected it stored or deflated, found {method}")));
            }
            None => return Err(bad("expected it stored or deflated, found it encrypted".into())),
        };
        let hasher = crc32fast::Hasher::new();
        Ok(Member { bytes, left: entry.len, hasher, crc: entry.crc })
    }
}

/// The unpacked bytes of a member.
pub(super) struct Member {
    bytes: Box<dyn Read + Send>,
    left: u64,
    hasher: crc32fast::Hasher,
    crc: u32,
}

impl Read for Member {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if len == 0 {
            return Ok(0);
        }
        let read = self.bytes.read(&mut buf[..len])?;
        if read == 0 {
            return Err(damaged("expected more bytes, found the end"));
        }
        self.hasher.update(&buf[..read]);
        self.left -= read as u64;
        if self.left == 0 && self.hasher.clone().finalize() != self.crc {
            return Err(damaged("its checksum does not hold"));
        }
        Ok(read)
    }
}

fn damaged(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

/// Writes an archive of stored members.
pub(super) struct ZipWriter<W>(ZipArchiveWriter<W>);

/// The earliest date that zip knows: files with equal content are equal.
const DATE: UtcDateTime = UtcDateTime::from_components(1980, 1, 1, 0, 0, 0, 0).expect("a date");

impl<W: Write> ZipWriter<W> {
    pub(super) fn new(out: W) -> Self {
        ZipWriter(ZipArchiveWriter::new(out))
    }

    /// Writes a member, which `fill` gives piece by piece.
    pub(super) fn member<E: From<io::Error>>(
        &mut self,
        name: &str,
        fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let (mut entry, config) = self.0.new_file(name).last_modified(DATE).start().map_err(io)?;
        let mut data = config.wrap(&mut entry);
        fill(&mut |bytes| data.write_all(bytes))?;
        let (_, descriptor) = data.finish().map_err(io)?;
        entry.finish(descriptor).map_err(io)?;
        Ok(())
    }

    /// Writes the directory and gives the output back.
    pub(super) fn finish(self) -> io::Result<W> {
        self.0.finish().map_err(io)
    }
}

/// What the system said, if it said something.
fn io(error: rawzip::Error) -> io::Error {
    match error.into_kind() {
        rawzip::ErrorKind::IO(error) => error,
        kind => io::Error::other(kind.to_string()),
    }
}
