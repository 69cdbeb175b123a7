//! From bytes to a checked section table: the cheap part of opening a file.

use std::ops::Range;
use std::path::Path;

use zerocopy::FromBytes;

use super::header::{
    ALIGN, ENDIAN_TAG, HEADER_LEN, Header, MAGIC, MAJOR, MINOR, SECTION_LEN, SKIP_DATA, SUMMARY,
    Section, SectionKind, TRAILER_LEN, Trailer,
};
use crate::error::{Error, Place, Result};

/// Where everything lies in one file whose frame (header, table, trailer) is sound.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The header as read.
    pub header: Header,
    entries: Vec<Section>,
    /// Byte range of each kind by number, resolved once: posting lists ask for six of
    /// them each.
    ranges: [Option<Range<usize>>; SectionKind::NUMBERS],
}

impl Layout {
    /// Checks header, section table and trailer of `bytes`; reads no section.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let header = parse_header(path, bytes)?;
        let entries = parse_table(path, bytes, &header)?;
        let mut ranges = [const { None }; SectionKind::NUMBERS];
        for (kind, section) in known(&entries) {
            ranges[kind as usize] = Some(range(section));
        }
        Ok(Layout { header, entries, ranges })
    }

    /// Byte range of a section, if the file has it.
    #[inline]
    pub fn range(&self, kind: SectionKind) -> Option<Range<usize>> {
        self.ranges[kind as usize].clone()
    }

    /// Byte range of a section that every file has.
    pub fn required(&self, path: &Path, kind: SectionKind) -> Result<Range<usize>> {
        self.range(kind).ok_or_else(|| {
            corrupt(path, "TABLE", self.header.table_offset.get(), "is missing a section")
                .hint(format!("{} is required; copy or build the file again", kind.label()))
        })
    }

    /// The sections that this reader knows, in file order.
    pub fn sections(&self) -> impl Iterator<Item = (SectionKind, &Section)> {
        known(&self.entries)
    }

    /// All sections in file order, those of a newer minor version included.
    pub fn entries(&self) -> &[Section] {
        &self.entries
    }
}

fn known(entries: &[Section]) -> impl Iterator<Item = (SectionKind, &Section)> {
    entries.iter().filter_map(|entry| Some((SectionKind::from_number(entry.kind.get())?, entry)))
}

/// Byte range of a section in the file.
pub fn range(section: &Section) -> Range<usize> {
    let start = section.offset.get() as usize;
    start..start + section.len.get() as usize
}

/// A fault in the structure of a file.
pub fn corrupt(
    path: &Path,
    section: &'static str,
    offset: u64,
    problem: impl Into<String>,
) -> Error {
    Error::data(path, Place::Section(section, offset), problem)
}

fn parse_header(path: &Path, bytes: &[u8]) -> Result<Header> {
    let again = "copy or build the file again";
    let Ok((header, _)) = Header::read_from_prefix(bytes) else {
        let problem = format!(
            "expected a header of {HEADER_LEN} bytes, found a file of {} bytes",
            bytes.len()
        );
        return Err(corrupt(path, "HEADER", 0, problem).hint(again));
    };
    if header.magic != MAGIC {
        let problem = "expected the signature of a splindex index, found other bytes";
        return Err(corrupt(path, "HEADER", 0, problem)
            .hint("this is no .spx file; `splindex build` makes one"));
    }
    let (major, minor) = (header.major.get(), header.minor.get());
    let required = header.required.get() & !(SKIP_DATA | SUMMARY);
    if major != MAJOR || required != 0 {
        let features = match required {
            0 => String::new(),
            bits => format!(" and features {bits:#x}"),
        };
        let problem = format!(
            "the file has format version {major}.{minor}{features}, this program reads \
             {MAJOR}.{MINOR}"
        );
        return Err(corrupt(path, "HEADER", 8, problem)
            .hint("use the splindex version that wrote it, or build the index again"));
    }
    if header.endian.get() != ENDIAN_TAG {
        let problem = format!(
            "expected byte-order tag {ENDIAN_TAG:#010x}, found {:#010x}",
            header.endian.get()
        );
        return Err(corrupt(path, "HEADER", 12, problem).hint(again));
    }
    if header.crc.get() != header.computed_crc() {
        let problem = format!(
            "expected checksum {:#010x}, found {:#010x}",
            header.crc.get(),
            header.computed_crc()
        );
        return Err(corrupt(path, "HEADER", 60, problem).hint(again));
    }
    if header.file_len.get() != bytes.len() as u64 {
        let problem = format!("expected {} bytes, found {}", header.file_len.get(), bytes.len());
        return Err(corrupt(path, "HEADER", 24, problem)
            .hint(format!("the file is truncated or was appended to; {again}")));
    }
    Ok(header)
}

fn parse_table(path: &Path, bytes: &[u8], header: &Header) -> Result<Vec<Section>> {
    let offset = header.table_offset.get();
    let bad = |problem: String| {
        corrupt(path, "TABLE", offset, problem).hint("copy or build the file again")
    };
    let count = header.sections.get() as usize;
    let end_of_sections = bytes.len().saturating_sub(TRAILER_LEN) as u64;
    let table_len = count as u64 * SECTION_LEN as u64;
    let end = offset.checked_add(table_len + 4);
    if offset < HEADER_LEN as u64 || count > 1024 || end.is_none_or(|end| end > end_of_sections) {
        return Err(bad(format!("{count} entries do not fit into {} bytes", bytes.len())));
    }
    let start = offset as usize;
    let table = &bytes[start..start + table_len as usize];
    let stored = u32::from_le_bytes(
        bytes[start + table.len()..][..4].try_into().expect("four bytes were checked above"),
    );
    let computed = crc32fast::hash(table);
    if stored != computed {
        return Err(bad(format!("expected checksum {stored:#010x}, found {computed:#010x}")));
    }
    let trailer = Trailer::read_from_suffix(bytes).map(|(_, trailer)| trailer);
    if !trailer.is_ok_and(|t| t.magic == MAGIC && t.file_len == header.file_len) {
        return Err(corrupt(path, "TRAILER", end_of_sections, "expected magic and file length")
            .hint("the file was not written to its end; copy or build it again"));
    }
    let mut sections: Vec<Section> = Vec::with_capacity(count);
    for entry in table.chunks_exact(SECTION_LEN) {
        let section = Section::read_from_bytes(entry).expect("chunks have the entry's length");
        // A newer minor version may add sections that this reader does not need.
        let kind = SectionKind::from_number(section.kind.get());
        let label = kind.map_or("of an unknown kind", SectionKind::label);
        let (from, len) = (section.offset.get(), section.len.get());
        let in_bounds = from.checked_add(len).is_some_and(|end| end <= offset);
        if !from.is_multiple_of(ALIGN) || from < HEADER_LEN as u64 || !in_bounds {
            return Err(bad(format!("section {label} claims bytes {from} + {len}")));
        }
        let encoded = kind.is_some() && section.codec.get() != 0;
        if encoded || sections.iter().any(|other| other.kind == section.kind) {
            return Err(bad(format!("section {label} is repeated or of an unknown encoding")));
        }
        sections.push(section);
    }
    Ok(sections)
}
