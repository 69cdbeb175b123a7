//! Reading a finished store, one block in memory at a time.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::TOKENS;
use super::block::{BlockHeader, Cursor, HEADER};
use super::journal::BlockEntry;
use super::manifest::{Manifest, Totals};
use crate::error::{Error, Place, Result, foreign};
use crate::vectors::{Size, TokenTable, VectorRecord, VectorSource, WeightSummary};

/// A store's records in order. Each block's CRC is checked when it is read.
pub struct StoreReader {
    dir: PathBuf,
    manifest: Manifest,
    tokens: TokenTable,
    part: Option<OpenPart>,
    next_part: usize,
    block: Cursor,
    /// Where the current block starts in its part, for messages.
    block_at: u64,
    next_block: u64,
}

/// A part file, read from block to block.
pub(super) struct OpenPart {
    file: BufReader<File>,
    path: PathBuf,
    at: u64,
    len: u64,
}

impl StoreReader {
    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Opens the finished store in `dir`.
    ///
    /// # Errors
    /// An unfinished store, missing or shortened files, token strings that do not match.
    pub fn open(dir: &Path) -> Result<Self> {
        if dir.is_dir() && !Self::is_store(dir) {
            let problem =
                "expected vectors, found a folder with neither a vector store nor JSON files";
            return Err(Error::data(dir, Place::File, problem)
                .hint("splindex encode makes stores; other files are named one by one"));
        }
        let manifest = Manifest::read(dir)?;
        let path = dir.join(TOKENS);
        let bytes = std::fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        let digest = blake3::hash(&bytes).to_hex().to_string();
        if digest != manifest.tokens_digest {
            let problem = format!("expected digest {}, found {digest}", manifest.tokens_digest);
            return Err(Error::data(&path, Place::File, problem));
        }
        let list: Vec<String> = serde_json::from_slice(&bytes).map_err(|e| {
            Error::data(
                &path,
                Place::File,
                format!("expected a list of tokens, found {}", foreign(e)),
            )
        })?;
        for part in &manifest.parts {
            let path = dir.join(&part.file);
            let found = std::fs::metadata(&path).map_err(|e| Error::io("read", &path, e))?.len();
            if found != part.bytes {
                let problem = format!("expected {} bytes, found {found}", part.bytes);
                return Err(Error::data(&path, Place::File, problem)
                    .hint("the store is damaged: copy or encode it again"));
            }
        }
        Ok(StoreReader {
            dir: dir.to_owned(),
            manifest,
            tokens: TokenTable::from_tokens(list),
            part: None,
            next_part: 0,
            block: Cursor::default(),
            block_at: 0,
            next_block: 0,
        })
    }

    /// Whether `path` is a directory with a store in it, finished or not.
    pub fn is_store(path: &Path) -> bool {
        path.join(super::MANIFEST).exists() || path.join(super::JOURNAL).exists()
    }

    /// What the store says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Makes the next block current; `false` after the last.
    fn next_block(&mut self) -> Result<bool> {
        let index = self.next_block;
        let Some(part) = self.next_part()? else { return Ok(false) };
        let at = part.at;
        let header = part.read_header(index)?;
        self.block = part.read_body(&header)?;
        (self.block_at, self.next_block) = (at, index + 1);
        Ok(true)
    }

    /// The part that has the next block.
    fn next_part(&mut self) -> Result<Option<&mut OpenPart>> {
        while self.part.as_ref().is_none_or(|part| part.at >= part.len) {
            let Some(part) = self.manifest.parts.get(self.next_part) else { return Ok(None) };
            self.part = Some(OpenPart::open(self.dir.join(&part.file), part.bytes)?);
            self.next_part += 1;
        }
        Ok(self.part.as_mut())
    }
}

impl OpenPart {
    /// Opens `path`, of which the first `len` bytes are blocks.
    pub fn open(path: PathBuf, len: u64) -> Result<Self> {
        let file = File::open(&path).map_err(|e| Error::io("open", &path, e))?;
        Ok(OpenPart { file: BufReader::new(file), path, at: 0, len })
    }

    /// Reads the next block, which must be number `index` and end and count as `entry` says.
    pub fn check(&mut self, index: u64, entry: &BlockEntry) -> Result<()> {
        self.len = entry.end;
        let stored = self.file.get_ref().metadata();
        let stored = stored.map_err(|e| Error::io("read", &self.path, e))?.len();
        if stored < entry.end {
            return Err(
                self.bad(format!("expected it to end at byte {}, found {stored}", entry.end))
            );
        }
        let header = self.read_header(index)?;
        let (records, postings) = (u64::from(header.records), header.postings);
        let end = u128::from(self.at) + HEADER as u128 + header.body_len();
        let totals = &entry.totals;
        if end != u128::from(entry.end)
            || (records, postings) != (totals.documents, totals.postings)
        {
            return Err(self.bad(format!(
                "expected {} records and {} weights to byte {}, found {records} and {postings} to \
                 byte {end}",
                totals.documents, totals.postings, entry.end
            )));
        }
        self.read_body(&header).map(drop)
    }

    fn bad(&self, problem: String) -> Error {
        Error::data(&self.path, Place::Section("block", self.at), problem)
            .hint("the store is damaged: copy or encode it again")
    }

    fn read_header(&mut self, index: u64) -> Result<BlockHeader> {
        let left = u128::from(self.len - self.at);
        let mut bytes = [0; HEADER];
        if left < HEADER as u128 {
            return Err(self.bad(format!("expected a block header, found {left} bytes")));
        }
        self.file.read_exact(&mut bytes).map_err(|e| Error::io("read", &self.path, e))?;
        let header = BlockHeader::parse(&bytes).map_err(|problem| self.bad(problem))?;
        if header.index != index {
            return Err(self.bad(format!("expected block {index}, found {}", header.index)));
        }
        let len = header.body_len();
        if len > left - HEADER as u128 {
            let found = left - HEADER as u128;
            return Err(self.bad(format!("expected {len} bytes, found {found}")));
        }
        Ok(header)
    }

    fn read_body(&mut self, header: &BlockHeader) -> Result<Cursor> {
        let len = header.body_len();
        let mut body = vec![0; len as usize];
        self.file.read_exact(&mut body).map_err(|e| Error::io("read", &self.path, e))?;
        let cursor = Cursor::open(header, body).map_err(|problem| self.bad(problem))?;
        self.at += HEADER as u64 + len as u64;
        Ok(cursor)
    }

    /// Reads where the next block begins, its header, and what its body has before the term
    /// ids, and passes over the rest; `None` at the end.
    pub fn read_head(&mut self, index: u64) -> Result<Option<(u64, BlockHeader, Vec<u8>)>> {
        if self.at >= self.len {
            return Ok(None);
        }
        let at = self.at;
        let header = self.read_header(index)?;
        let mut head = vec![0; header.head_len() as usize];
        self.file.read_exact(&mut head).map_err(|e| Error::io("read", &self.path, e))?;
        self.pass(&header, head.len() as u64)?;
        Ok(Some((at, header, head)))
    }

    fn skip_body(&mut self, header: &BlockHeader) -> Result<()> {
        self.pass(header, 0)
    }

    /// Passes over the rest of a body of which `read` bytes were read.
    fn pass(&mut self, header: &BlockHeader, read: u64) -> Result<()> {
        let len = header.body_len() as u64;
        self.file
            .seek_relative((len - read) as i64)
            .map_err(|e| Error::io("read", &self.path, e))?;
        self.at += HEADER as u64 + len;
        Ok(())
    }
}

impl VectorSource for StoreReader {
    fn read(&mut self, record: &mut VectorRecord) -> Result<bool> {
        loop {
            record.clear();
            let read = self.block.read(record, self.tokens.len()).map_err(|problem| {
                let path = self.part.as_ref().map_or(&self.dir, |part| &part.path);
                Error::data(path, Place::Section("block", self.block_at), problem)
            })?;
            if read {
                return Ok(true);
            }
            if !self.next_block()? {
                return Ok(false);
            }
        }
    }

    fn skip(&mut self, mut records: u64) -> Result<()> {
        let mut record = VectorRecord::default();
        while records > 0 {
            if self.block.is_empty() {
                let index = self.next_block;
                let Some(part) = self.next_part()? else { return Ok(()) };
                let at = part.at;
                let header = part.read_header(index)?;
                if u64::from(header.records) <= records {
                    part.skip_body(&header)?;
                    records -= u64::from(header.records);
                } else {
                    self.block = part.read_body(&header)?;
                    self.block_at = at;
                }
                self.next_block = index + 1;
            } else {
                self.read(&mut record)?;
                records -= 1;
            }
        }
        Ok(())
    }

    fn tokens(&self) -> &TokenTable {
        &self.tokens
    }

    fn place(&self) -> Option<(&Path, Place)> {
        let part = self.part.as_ref()?;
        Some((&part.path, Place::Section("block", self.block_at)))
    }

    fn weights(&self) -> Option<WeightSummary> {
        Some(self.manifest.summary())
    }

    fn len_hint(&self) -> Option<u64> {
        Some(self.manifest.totals.documents)
    }

    fn size(&self) -> Option<Size> {
        let Totals { documents, postings, .. } = self.manifest.totals;
        let tokens = self.tokens.len() as u64;
        Some(Size {
            documents,
            tokens,
            // The manifest does not say; ids of 24 bytes are long ones.
            id_bytes: [documents, 24 * documents],
            postings: [postings; 2],
            longest: [postings / tokens.max(1), documents.min(postings)],
            held: 160 * tokens,
        })
    }

    fn memory(&self) -> u64 {
        160 * self.tokens.len() as u64
    }

    fn zero_weights(&self) -> u64 {
        self.manifest.totals.zeros
    }
}
