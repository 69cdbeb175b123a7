//! Output files that are compressed if their name says so.

use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::OutputFile;
use crate::error::{Error, Result};

/// A file on its way: plain, `.gz` or `.zst`.
pub enum PackedFile {
    /// As it is.
    Plain(OutputFile),
    /// Packed by gzip.
    Gzip(Box<GzEncoder<OutputFile>>),
    /// Packed by zstd.
    Zstd(Box<zstd::stream::write::Encoder<'static, OutputFile>>),
}

impl PackedFile {
    /// Starts the file that will be `path`, packed as its name says.
    ///
    /// # Errors
    /// As [`OutputFile::create`].
    pub fn create(path: &Path) -> Result<Self> {
        let file = OutputFile::create(path)?;
        Ok(match path.extension().and_then(|ending| ending.to_str()) {
            Some("gz") => PackedFile::Gzip(Box::new(GzEncoder::new(file, Compression::default()))),
            Some("zst") => {
                let encoder = zstd::stream::write::Encoder::new(file, 0);
                PackedFile::Zstd(Box::new(encoder.map_err(|e| Error::io("write", path, e))?))
            }
            _ => PackedFile::Plain(file),
        })
    }

    /// Ends the stream and renames the file to its target.
    ///
    /// # Errors
    /// What the system says.
    pub fn publish(self) -> Result<()> {
        self.finish()?.publish()
    }

    /// Ends the stream; the file still waits to be published.
    pub(crate) fn finish(self) -> Result<OutputFile> {
        let file = match self {
            PackedFile::Plain(file) => Ok(file),
            PackedFile::Gzip(encoder) => encoder.finish(),
            PackedFile::Zstd(encoder) => encoder.finish(),
        };
        file.map_err(|e| Error::io("write", "output", e))
    }
}

impl Write for PackedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            PackedFile::Plain(file) => file.write(bytes),
            PackedFile::Gzip(encoder) => encoder.write(bytes),
            PackedFile::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            PackedFile::Plain(file) => file.flush(),
            PackedFile::Gzip(encoder) => encoder.flush(),
            PackedFile::Zstd(encoder) => encoder.flush(),
        }
    }
}
