//! Writes an `.spx` file section by section; it appears under its name when complete.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

use super::header::{
    ALIGN, ENDIAN_TAG, HEADER_LEN, Header, MAGIC, MAJOR, MINOR, Section, SectionKind, Trailer,
};
use crate::error::{Error, Result};
use crate::output::OutputFile;

/// Writer of one file: [`begin`](Self::begin) a section, [`write`](Self::write) its
/// bytes, and [`finish`](Self::finish). Dropping it earlier removes the temporary file.
pub struct FileWriter {
    file: OutputFile,
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

impl FileWriter {
    /// Starts a file that will be published as `target`, in the same directory.
    pub fn create(target: &Path) -> Result<Self> {
        let mut writer = FileWriter {
            file: OutputFile::create(target)?,
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

    /// Writes table, trailer and header, flushes to the disk, and renames the file to
    /// its target, replacing an older one.
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
        self.file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(header.as_bytes()))
            .map_err(|e| Error::io("write", self.file.target(), e))?;
        self.file.publish()?;
        let lists = self.sections.iter().filter(|section| {
            SectionKind::from_number(section.kind.get()).is_some_and(SectionKind::of_lists)
        });
        let list_bytes = lists.map(|section| section.len.get()).sum();
        Ok(Written { content_id, file_len, list_bytes })
    }

    fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| Error::io("write", self.file.target(), e))?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}
