//! As much of the zip format as `.npz` files need: stored and deflated members, zip64.
//!
//! By hand, because three members are read at the same time, each from its own place.
//! Specification: PKWARE's APPNOTE 6.3.

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use crate::error::{Error, Place, Result};
use crate::vectors::reread::{Rereadable, unreadable};

const END: &[u8; 4] = b"PK\x05\x06";
const END64_LOCATOR: &[u8; 4] = b"PK\x06\x07";
const END64: &[u8; 4] = b"PK\x06\x06";
const ENTRY: &[u8; 4] = b"PK\x01\x02";
const LOCAL: &[u8; 4] = b"PK\x03\x04";
/// In a 32-bit field: the number is in the zip64 extra field.
const IN_EXTRA: u32 = u32::MAX;
const ZIP64: u16 = 1;
/// Central directories of `.npz` files take a few hundred bytes.
const LARGEST_DIRECTORY: u64 = 16 << 20;

/// One file of the archive.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub name: String,
    /// Bytes when unpacked, as the directory says.
    pub len: u64,
    packed: u64,
    method: u16,
    crc: u32,
    at: u64,
}

/// Reads the directory of an archive.
pub(super) fn directory(file: &Rereadable) -> Result<Vec<Entry>> {
    let tail_len = file.len().min(22 + u64::from(u16::MAX) + 20);
    let tail = bytes_at(file, file.len() - tail_len, tail_len)?;
    let bad = |problem: &str| {
        Error::data(file.path(), Place::File, format!("expected a .npz (zip) file, {problem}"))
            .hint("the file is cut off or damaged")
    };
    let end = (0..tail.len().saturating_sub(21)).rev().find(|&i| tail[i..].starts_with(END));
    let end = end.ok_or_else(|| bad("found no end of a zip directory"))?;
    let (mut len, mut at) =
        (u64::from(u32_at(&tail, end + 12)), u64::from(u32_at(&tail, end + 16)));
    let locator = end.checked_sub(20).filter(|&i| tail[i..].starts_with(END64_LOCATOR));
    if let Some(locator) = locator {
        let end64 = bytes_at(file, u64_at(&tail, locator + 8), 56)?;
        if !end64.starts_with(END64) {
            return Err(bad("found a wrong zip64 end"));
        }
        (len, at) = (u64_at(&end64, 40), u64_at(&end64, 48));
    }
    if len > LARGEST_DIRECTORY {
        return Err(bad("found a directory of more than 16 MiB"));
    }
    let bytes = bytes_at(file, at, len)?;
    let mut entries = Vec::new();
    let mut left = bytes.as_slice();
    while !left.is_empty() {
        entries.push(Entry::parse(&mut left).ok_or_else(|| bad("found a damaged directory"))?);
    }
    Ok(entries)
}

impl Entry {
    fn parse(left: &mut &[u8]) -> Option<Self> {
        let (head, rest) = left.split_at_checked(46)?;
        if !head.starts_with(ENTRY) {
            return None;
        }
        let (name, rest) = rest.split_at_checked(u16_at(head, 28).into())?;
        let (mut extra, rest) = rest.split_at_checked(u16_at(head, 30).into())?;
        (_, *left) = rest.split_at_checked(u16_at(head, 32).into())?;
        let mut entry = Entry {
            name: String::from_utf8_lossy(name).into_owned(),
            len: u32_at(head, 24).into(),
            packed: u32_at(head, 20).into(),
            // An encrypted member is one we cannot read.
            method: if u16_at(head, 8) & 1 == 1 { u16::MAX } else { u16_at(head, 10) },
            crc: u32_at(head, 16),
            at: u32_at(head, 42).into(),
        };
        while let Some((field, rest)) = extra.split_at_checked(4) {
            let (mut value, rest) = rest.split_at_checked(u16_at(field, 2).into())?;
            extra = rest;
            if u16_at(field, 0) != ZIP64 {
                continue;
            }
            for number in [&mut entry.len, &mut entry.packed, &mut entry.at] {
                if *number == u64::from(IN_EXTRA) {
                    let (bytes, rest) = value.split_at_checked(8)?;
                    (*number, value) = (u64_at(bytes, 0), rest);
                }
            }
        }
        Some(entry)
    }

    /// Opens the member; its checksum is compared when its last byte is read.
    pub(super) fn open(&self, file: &Rereadable) -> Result<Member> {
        let bad = |problem: String| {
            let problem = format!("member {:?}: {problem}", self.name);
            Error::data(file.path(), Place::File, problem).hint("save the file again")
        };
        let local = bytes_at(file, self.at, 30)?;
        if !local.starts_with(LOCAL) {
            return Err(bad("expected its header, found other bytes".into()));
        }
        let skip = 30 + u64::from(u16_at(&local, 26)) + u64::from(u16_at(&local, 28));
        let start = self.at.saturating_add(skip);
        if start.checked_add(self.packed).is_none_or(|end| end > file.len()) {
            return Err(bad("expected it inside the file, found one that exceeds it".into()));
        }
        let raw = file.reader(start)?.take(self.packed);
        let bytes: Box<dyn Read + Send> = match self.method {
            0 if self.packed == self.len => Box::new(raw),
            8 => Box::new(BufReader::new(flate2::bufread::DeflateDecoder::new(raw))),
            method => {
                return Err(bad(format!(
                    "expected it stored or deflated, found compression method {method}"
                )));
            }
        };
        Ok(Member { bytes, left: self.len, hasher: crc32fast::Hasher::new(), crc: self.crc })
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

fn bytes_at(file: &Rereadable, at: u64, len: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = file.reader(at)?.take(len).read_to_end(&mut bytes);
    match read.map_err(|e| unreadable(file.path(), e))? as u64 == len {
        true => Ok(bytes),
        false => {
            let problem = format!("expected a .npz (zip) file, found no {len} bytes at byte {at}");
            Err(Error::data(file.path(), Place::File, problem)
                .hint("the file is cut off or damaged"))
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// Writes an archive of stored members, all of them zip64, as NumPy does.
pub(super) struct ZipWriter<W> {
    out: W,
    at: u64,
    directory: Vec<u8>,
    entries: u64,
}

impl<W: Write + Seek> ZipWriter<W> {
    pub(super) fn new(out: W) -> Self {
        ZipWriter { out, at: 0, directory: Vec::new(), entries: 0 }
    }

    /// Writes a member of `len` bytes, which `fill` gives piece by piece.
    pub(super) fn member<E: From<io::Error>>(
        &mut self,
        name: &str,
        len: u64,
        fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let start = self.at;
        // The checksum is known afterwards and put in place then.
        self.put(&local_header(name, len, 0))?;
        let data = self.at;
        let mut hasher = crc32fast::Hasher::new();
        fill(&mut |bytes| {
            hasher.update(bytes);
            self.at += bytes.len() as u64;
            self.out.write_all(bytes)
        })?;
        if self.at - data != len {
            return Err(io::Error::other(format!("{name} is not {len} bytes long")).into());
        }
        let crc = hasher.finalize();
        self.out.seek(SeekFrom::Start(start))?;
        self.out.write_all(&local_header(name, len, crc))?;
        self.out.seek(SeekFrom::Start(self.at))?;
        self.entries += 1;
        let common = common_header(name, crc, 28);
        for part in [&ENTRY[..], &[45, 0], &common, &[0; 10], &IN_EXTRA.to_le_bytes()] {
            self.directory.extend_from_slice(part);
        }
        self.directory.extend_from_slice(name.as_bytes());
        self.directory.extend([ZIP64.to_le_bytes(), 24u16.to_le_bytes()].concat());
        [len, len, start].iter().for_each(|n| self.directory.extend(n.to_le_bytes()));
        Ok(())
    }

    /// Writes the directory and gives the output back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        let (start, len, entries) = (self.at, self.directory.len() as u64, self.entries);
        let directory = std::mem::take(&mut self.directory);
        self.put(&directory)?;
        let end64 = self.at;
        let mut end = Vec::from(*END64);
        end.extend(44u64.to_le_bytes());
        end.extend([45, 0, 45, 0]);
        end.extend([0; 8]);
        [entries, entries, len, start].iter().for_each(|n| end.extend(n.to_le_bytes()));
        end.extend(END64_LOCATOR);
        end.extend([0; 4]);
        end.extend(end64.to_le_bytes());
        end.extend(1u32.to_le_bytes());
        end.extend(END);
        end.extend([0; 4]);
        end.extend([0xff; 12]);
        end.extend([0; 2]);
        self.put(&end)?;
        Ok(self.out)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

fn local_header(name: &str, len: u64, crc: u32) -> Vec<u8> {
    let mut header = Vec::from(*LOCAL);
    header.extend(common_header(name, crc, 20));
    header.extend_from_slice(name.as_bytes());
    header.extend([ZIP64.to_le_bytes(), 16u16.to_le_bytes()].concat());
    [len, len].iter().for_each(|n| header.extend(n.to_le_bytes()));
    header
}

/// From "version needed" to the length of the extra field. The date is the earliest one
/// there is: files with equal content are equal.
fn common_header(name: &str, crc: u32, extra: u16) -> Vec<u8> {
    let mut header = vec![45, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
    header.extend(crc.to_le_bytes());
    header.extend([0xff; 8]);
    header.extend((name.len() as u16).to_le_bytes());
    header.extend(extra.to_le_bytes());
    header
}
