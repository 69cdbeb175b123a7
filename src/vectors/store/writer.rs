//! Writing a store, block by block, so that a killed run resumes to the same bytes.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::journal::{BlockEntry, Journal, Line};
use super::manifest::{Manifest, Part, Plan, Totals};
use super::texts::TextInfo;
use super::{BLOCK_RECORDS, JOURNAL, MANIFEST, TOKENS, block, part_name, resume};
use crate::error::{Error, Place, Result};
use crate::vectors::{TokenTable, VectorRecord};

/// A part file of this length is followed by another: 280,000 BERT-vocabulary SPLADE vectors.
const PART_BYTES: u64 = 256 << 20;

/// The caller's account of what a block was made from; the rest of the totals is counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct BlockInput<'a> {
    /// Input records that were taken, bad ones included.
    pub consumed: u64,
    /// CRC over ids and texts, to notice a changed input on resume; 0 if nobody resumes.
    pub crc: u32,
    /// Bad records among them.
    pub skipped: u64,
    /// The text of each record; none where vectors come from elsewhere.
    pub texts: &'a [TextInfo],
}

/// Appends records to a store. One writer at a time: the journal is locked.
pub struct StoreWriter {
    dir: PathBuf,
    plan: Plan,
    tokens: usize,
    tokens_digest: String,
    journal: File,
    blocks: Vec<BlockEntry>,
    part: Option<File>,
    buffer: Vec<u8>,
}

impl StoreWriter {
    /// Starts a store in `dir`, which must be absent or empty.
    pub fn create(dir: &Path, plan: Plan, tokens: &TokenTable) -> Result<Self> {
        if is_used(dir) {
            let unfinished = dir.join(JOURNAL).exists() && !dir.join(MANIFEST).exists();
            let hint = match (unfinished, &plan.encoding) {
                (true, Some(_)) => "continue it with `resume`, choose another, or remove it",
                (true, None) => "it was left unfinished: remove it, or choose another",
                (false, _) => "choose another, or remove it",
            };
            return Err(Error::data(dir, Place::File, "the output exists already").hint(hint));
        }
        Self::start(dir, plan, tokens)
    }

    /// Continues the store in `dir` after its last whole block, or starts one if there is
    /// none. A finished store comes back with [`StoreWriter::is_finished`].
    ///
    /// # Errors
    /// A folder that is no store, a store made under another plan or damaged since.
    pub fn resume(dir: &Path, plan: Plan, tokens: &TokenTable) -> Result<Self> {
        let path = dir.join(JOURNAL);
        if !path.exists() {
            if is_used(dir) {
                let problem = match dir.is_dir() {
                    true => "expected a store to continue, found a folder without journal.jsonl",
                    false => "expected a store to continue, found a file",
                };
                return Err(Error::data(dir, Place::File, problem)
                    .hint("name the folder of an unfinished store, or one that is not there yet"));
            }
            return Self::start(dir, plan, tokens);
        }
        let mut journal = lock(&path)?;
        let read = Journal::read(&path)?;
        let Some((old, tokens_digest)) = read.plan.clone() else {
            drop(journal);
            return Self::start(dir, plan, tokens);
        };
        let (bytes, digest) = tokens_file(tokens)?;
        let finished = dir.join(MANIFEST).exists();
        resume::check(dir, &read, (&old, &tokens_digest), (&plan, &digest), finished)?;
        // Known whole here, so a damaged copy is made good.
        if std::fs::read(dir.join(TOKENS)).ok().as_ref() != Some(&bytes) {
            replace(dir, TOKENS, &bytes)?;
        }
        set_len(&journal, &path, read.len)?;
        journal.seek(SeekFrom::End(0)).map_err(|e| Error::io("write", &path, e))?;
        let blocks = read.blocks;
        let mut writer = StoreWriter {
            dir: dir.to_owned(),
            plan: old,
            tokens: tokens.len(),
            tokens_digest,
            journal,
            part: None,
            blocks,
            buffer: Vec::new(),
        };
        if !writer.is_finished() {
            writer.part = writer.cut_parts()?;
        }
        Ok(writer)
    }

    fn start(dir: &Path, plan: Plan, tokens: &TokenTable) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(|e| Error::io("create", dir, e))?;
        let path = dir.join(JOURNAL);
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| Error::io("create", &path, e))?;
        let mut journal = lock(&path)?;
        let (bytes, tokens_digest) = tokens_file(tokens)?;
        replace(dir, TOKENS, &bytes)?;
        set_len(&journal, &path, 0)?;
        let line =
            Line::Plan { plan: Box::new(plan.clone()), tokens_digest: tokens_digest.clone() };
        append(&mut journal, &path, line.text()?.as_bytes())?;
        Ok(StoreWriter {
            dir: dir.to_owned(),
            plan,
            tokens: tokens.len(),
            tokens_digest,
            journal,
            blocks: Vec::new(),
            part: None,
            buffer: Vec::new(),
        })
    }

    /// Whether the store was finished before it was opened.
    pub fn is_finished(&self) -> bool {
        self.dir.join(MANIFEST).exists()
    }

    /// What a finished store says about itself.
    pub fn manifest(&self) -> Result<Manifest> {
        Manifest::read(&self.dir)
    }

    /// The plan it is written under.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Blocks on disk so far.
    pub fn blocks(&self) -> &[BlockEntry] {
        &self.blocks
    }

    /// Counts of the blocks on disk.
    pub fn totals(&self) -> Totals {
        self.blocks.iter().fold(Totals::default(), |sum, block| sum.merge(&block.totals))
    }

    /// Writes the next block, at most [`BLOCK_RECORDS`] records, and returns when it is
    /// safely on disk.
    ///
    /// # Panics
    /// Under a plan with digests, unless `input` has the text of each record.
    pub fn write_block(&mut self, records: &[VectorRecord], input: &BlockInput<'_>) -> Result<()> {
        assert!(records.len() <= BLOCK_RECORDS, "a block has at most {BLOCK_RECORDS} records");
        let texts = if self.plan.digests { input.texts } else { &[] };
        assert!(!self.plan.digests || texts.len() == records.len(), "a text each record");
        let index = self.blocks.len();
        self.buffer.clear();
        let (weights, tokens) = (self.plan.weights, self.tokens);
        let counted =
            block::write(index as u64, records, texts, weights, tokens, &mut self.buffer)?;
        let truncated = input.texts.iter().filter(|text| text.truncated).count() as u64;
        let totals = Totals { truncated, skipped: input.skipped, ..counted };
        let (part, before) = match self.blocks.last() {
            None => (0, 0),
            Some(last) if last.end >= PART_BYTES => (last.part + 1, 0),
            Some(last) => (last.part, last.end),
        };
        let path = self.dir.join(part_name(part));
        if before == 0 {
            let file = File::create(&path).map_err(|e| Error::io("create", &path, e))?;
            self.part = Some(file);
        }
        let file = self.part.as_mut().expect("open from the part's first block on");
        append(file, &path, &self.buffer)?;
        let end = before + self.buffer.len() as u64;
        let BlockInput { consumed, crc: input_crc, .. } = *input;
        let entry = BlockEntry { part, end, consumed, input_crc, totals };
        let line = Line::Block(entry).text()?;
        append(&mut self.journal, &self.dir.join(JOURNAL), line.as_bytes())?;
        self.blocks.push(entry);
        Ok(())
    }

    /// Writes the manifest, which makes the store one that readers take.
    pub fn finish(self) -> Result<Manifest> {
        let mut parts: Vec<Part> = Vec::new();
        for block in &self.blocks {
            if block.part == parts.len() {
                parts.push(Part { file: part_name(block.part), bytes: 0, records: 0 });
            }
            let part = parts.last_mut().expect("blocks start at part 0");
            part.bytes = block.end;
            part.records += block.totals.documents;
        }
        let manifest = Manifest {
            format: Manifest::FORMAT.into(),
            version: Manifest::version(&self.plan),
            totals: self.totals(),
            plan: self.plan,
            tokens: self.tokens as u64,
            tokens_digest: self.tokens_digest,
            parts,
        };
        let mut json = serde_json::to_vec_pretty(&manifest)
            .map_err(|e| Error::Internal(format!("manifest: {e}")))?;
        json.push(b'\n');
        replace(&self.dir, MANIFEST, &json)?;
        Ok(manifest)
    }

    /// Cuts off what the journal does not name; gives the part to append to, if any.
    fn cut_parts(&self) -> Result<Option<File>> {
        let Some(last) = self.blocks.last() else { return Ok(None) };
        let path = self.dir.join(part_name(last.part));
        let mut file =
            OpenOptions::new().write(true).open(&path).map_err(|e| Error::io("open", &path, e))?;
        set_len(&file, &path, last.end)?;
        file.seek(SeekFrom::End(0)).map_err(|e| Error::io("write", &path, e))?;
        Ok(Some(file))
    }
}

/// Whether something is there that a new store must not touch.
fn is_used(dir: &Path) -> bool {
    dir.is_file() || std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some())
}

fn lock(path: &Path) -> Result<File> {
    let file = OpenOptions::new().write(true).open(path).map_err(|e| Error::io("open", path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let dir = path.parent().unwrap_or(path);
            Err(Error::data(dir, Place::File, "another process is writing this store")
                .hint("wait for it, or choose another output"))
        }
        Err(TryLockError::Error(e)) => Err(Error::io("lock", path, e)),
    }
}

fn set_len(file: &File, path: &Path, len: u64) -> Result<()> {
    file.set_len(len).map_err(|e| Error::io("truncate", path, e))
}

fn append(file: &mut File, path: &Path, bytes: &[u8]) -> Result<()> {
    file.write_all(bytes).and_then(|()| file.sync_data()).map_err(|e| Error::io("write", path, e))
}

/// `tokens.json` and its digest.
pub(super) fn tokens_file(tokens: &TokenTable) -> Result<(Vec<u8>, String)> {
    let list: Vec<&str> = (0..tokens.len() as u32).map(|id| tokens.token(id)).collect();
    let bytes =
        serde_json::to_vec(&list).map_err(|e| Error::Internal(format!("token list: {e}")))?;
    let digest = blake3::hash(&bytes).to_hex().to_string();
    Ok((bytes, digest))
}

/// Writes a small file completely or not at all.
fn replace(dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let (path, temporary) = (dir.join(name), dir.join(format!("{name}.tmp")));
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|e| Error::io("write", &path, e))
}
