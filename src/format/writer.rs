//! Writes an `.spx` file section by section; it appears under its name when complete.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

use super::header::{
    ALIGN, ENDIAN_TAG, HEADER_LEN, Header, MAGIC, MAJOR, MINOR, Section, SectionKind, Trailer,
};
use crate::error::{Error, Result};

/// Prefix of temporary files beside an output; the next run to the same directory
/// recognises leftovers of a killed one by it.
pub const TEMP_PREFIX: &str = ".splindex-tmp-";

/// Writer of one file: [`begin`](Self::begin) a section, [`write`](Self::write) its
/// bytes, and [`finish`](Self::finish). Dropping it earlier removes the temporary file.
pub struct FileWriter {
    target: PathBuf,
    file: BufWriter<NamedTempFile>,
    position: u64,
    sections: Vec<Section>,
    open: Option<OpenSection>,
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
}

impl FileWriter {
    /// Starts a file that will be published as `target`, in the same directory.
    pub fn create(target: &Path) -> Result<Self> {
        let dir = parent(target);
        let file = tempfile::Builder::new()
            .prefix(TEMP_PREFIX)
            .suffix(".spx")
            .tempfile_in(dir)
            .map_err(|e| Error::io("create a temporary file in", dir, e))?;
        let mut writer = FileWriter {
            target: target.to_owned(),
            file: BufWriter::with_capacity(1 << 20, file),
            position: 0,
            sections: Vec::new(),
            open: None,
            content: blake3::Hasher::new(),
        };
        writer.raw(&[0; HEADER_LEN])?;
        Ok(writer)
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
            required: U32::ZERO,
            optional: U32::ZERO,
            file_len: U64::new(file_len),
            table_offset: U64::new(table_offset),
            sections: U32::new(self.sections.len() as u32),
            content_id,
            crc: U32::ZERO,
        };
        header.crc = U32::new(header.computed_crc());
        self.publish(&header)?;
        Ok(Written { content_id, file_len })
    }

    fn publish(mut self, header: &Header) -> Result<()> {
        let target = self.target.clone();
        let failed = |action, e| Error::io(action, &target, e);
        self.file.seek(SeekFrom::Start(0)).map_err(|e| failed("write", e))?;
        self.file.write_all(header.as_bytes()).map_err(|e| failed("write", e))?;
        let temp = self.file.into_inner().map_err(|e| failed("write", e.into_error()))?;
        set_default_permissions(temp.as_file()).map_err(|e| failed("set permissions of", e))?;
        temp.as_file().sync_all().map_err(|e| failed("flush", e))?;
        temp.persist(&target).map_err(|e| failed("rename", e.error))?;
        sync_dir(parent(&target))
    }

    fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| Error::io("write", &self.target, e))?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Temporary files are private (0600); an index is shipped and read by others.
fn set_default_permissions(file: &File) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// Makes the rename itself durable.
fn sync_dir(dir: &Path) -> Result<()> {
    #[cfg(unix)]
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| Error::io("flush", dir, e))?;
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}
