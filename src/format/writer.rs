//! Writes an index section by section.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

use super::header::{
    ALIGN, ENDIAN_TAG, HEADER_LEN, Header, MAGIC, MAJOR, MINOR, Section, SectionKind, Trailer,
};
use crate::error::{Error, Result};

/// What an index is written to: a file, or memory. It is written from its beginning on, and at
/// the end its first bytes are written once more.
pub trait Output: Write + Seek {}

impl<W: Write + Seek> Output for W {}

/// Writer of one index: [`begin`](Self::begin) a section, [`write`](Self::write) its
/// bytes, and [`finish`](Self::finish).
pub struct IndexWriter<'w> {
    out: &'w mut dyn Output,
    /// Where `out` stood at first.
    start: u64,
    /// What errors call it.
    name: &'w Path,
    position: u64,
    sections: Vec<Section>,
    open: Option<OpenSection>,
    required: u32,
    content: blake3::Hasher,
}

struct OpenSection {
    kind: SectionKind,
    offset: u64,
    crc: crc32fast::Hasher,
}

/// What a finished file is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The header's content id.
    pub content_id: [u8; 16],
    /// Bytes in the file.
    pub file_len: u64,
    /// Bytes of the sections that are [lists](SectionKind::of_lists).
    pub list_bytes: u64,
}

impl<'w> IndexWriter<'w> {
    /// Starts an index where `out` stands; errors call it `name`.
    pub fn new(out: &'w mut dyn Output, name: &'w Path) -> Result<Self> {
        let start = out.stream_position().map_err(|e| Error::io("write", name, e))?;
        let mut writer = IndexWriter {
            out,
            start,
            name,
            position: 0,
            sections: Vec::new(),
            open: None,
            required: 0,
            content: blake3::Hasher::new(),
        };
        writer.raw(&[0; HEADER_LEN])?;
        Ok(writer)
    }

    /// Sets bits of [`Header::required`].
    pub fn require(&mut self, features: u32) {
        self.required |= features;
    }

    /// Starts the next section; the one before must be ended.
    pub fn begin(&mut self, kind: SectionKind) {
        assert!(self.open.is_none(), "one section at a time");
        debug_assert_eq!(self.position % ALIGN, 0);
        let crc = crc32fast::Hasher::new();
        self.open = Some(OpenSection { kind, offset: self.position, crc });
    }

    /// Appends bytes to the open section.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let open = self.open.as_mut().expect("a section is open");
        open.crc.update(bytes);
        if open.kind != SectionKind::Provenance {
            self.content.update(bytes);
        }
        self.raw(bytes)
    }

    /// Ends the open section and pads to the next boundary; posting lists get a whole
    /// boundary more, so that vector loads past the last list stay inside the file.
    pub fn end(&mut self) -> Result<()> {
        let OpenSection { kind, offset, crc } = self.open.take().expect("a section is open");
        self.sections.push(Section {
            kind: U32::new(kind as u32),
            codec: U32::ZERO,
            offset: U64::new(offset),
            len: U64::new(self.position - offset),
            crc: U32::new(crc.finalize()),
            reserved: U32::ZERO,
        });
        let mut padding = self.position.next_multiple_of(ALIGN) - self.position;
        if kind == SectionKind::Postings {
            padding += ALIGN;
        }
        self.raw(&[0; 2 * ALIGN as usize][..padding as usize])
    }

    /// Writes a whole section at once.
    pub fn section(&mut self, kind: SectionKind, bytes: &[u8]) -> Result<()> {
        self.begin(kind);
        self.write(bytes)?;
        self.end()
    }

    /// Writes table, trailer and header; the caller flushes and publishes what it is written to.
    pub fn finish(mut self) -> Result<Written> {
        let table_offset = self.position;
        let mut table = self.sections.as_bytes().to_vec();
        table.extend_from_slice(&crc32fast::hash(&table).to_le_bytes());
        table.resize(table.len().next_multiple_of(16), 0);
        self.raw(&table)?;

        let file_len = self.position + size_of::<Trailer>() as u64;
        self.raw(Trailer { magic: MAGIC, file_len: U64::new(file_len) }.as_bytes())?;

        let mut content_id = [0; 16];
        content_id.copy_from_slice(&self.content.finalize().as_bytes()[..16]);
        let mut header = Header {
            magic: MAGIC,
            major: U16::new(MAJOR),
            minor: U16::new(MINOR),
            endian: U32::new(ENDIAN_TAG),
            required: U32::new(self.required),
            optional: U32::ZERO,
            file_len: U64::new(file_len),
            table_offset: U64::new(table_offset),
            sections: U32::new(self.sections.len() as u32),
            content_id,
            crc: U32::ZERO,
        };
        header.crc = U32::new(header.computed_crc());
        let end = self.start + file_len;
        self.out
            .seek(SeekFrom::Start(self.start))
            .and_then(|_| self.out.write_all(header.as_bytes()))
            .and_then(|()| self.out.seek(SeekFrom::Start(end)))
            .and_then(|_| self.out.flush())
            .map_err(|e| Error::io("write", self.name, e))?;
        let lists = self.sections.iter().filter(|section| {
            SectionKind::from_number(section.kind.get()).is_some_and(SectionKind::of_lists)
        });
        let list_bytes = lists.map(|section| section.len.get()).sum();
        Ok(Written { content_id, file_len, list_bytes })
    }

    fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|e| Error::io("write", self.name, e))?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}
