//! Vectors of earlier stores, found again by the digests of their texts.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::Value;

use super::block::{self, BlockHeader, Cursor, HEADER, Head};
use super::manifest::{Manifest, Plan};
use super::reader::{OpenPart, StoreReader};
use super::texts::{TextDigest, TextInfo, TextNotes};
use super::writer::tokens_file;
use super::{BLOCK_RECORDS, resume};
use crate::error::{Error, Place, Result};
use crate::lookup::{Lookup, LookupBuilder, digest};
use crate::spill::read_at;
use crate::vectors::{TokenTable, VectorRecord};

/// The vectors of finished stores that a new store takes over for the same texts.
///
/// Memory: 24 bytes a text and as many an id, in temporary files beyond `room`; 64 bytes a block;
/// one block. A vector of a block in hand costs less than a microsecond, any other a few reads. The
/// first vector that is taken from a block has the whole block read and its CRC checked.
pub struct KnownVectors {
    tokens: usize,
    stores: Vec<KnownStore>,
    blocks: Vec<Block>,
    texts: Lookup,
    ids: Lookup,
    passed_over: Vec<PassedOver>,
    state: Mutex<State>,
}

struct KnownStore {
    /// Part files.
    parts: Vec<PathBuf>,
}

struct Block {
    store: u32,
    part: u32,
    /// Where in the part its header starts.
    at: u64,
    header: BlockHeader,
}

#[derive(Default)]
struct State {
    /// The block read last, by its number.
    current: Option<(usize, Cursor)>,
    /// Blocks whose CRC was right.
    sound: Vec<bool>,
    /// The files opened last, by store and part.
    files: VecDeque<((u32, u32), File)>,
    /// Ids that were asked for, a bit each.
    seen: Vec<u64>,
    seen_count: u64,
}

/// A store that nothing is taken from, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// Its folder.
    pub store: PathBuf,
    /// The reason, as a clause.
    pub why: String,
}

/// Files that are open at a time: a large store has hundreds.
const OPEN_FILES: usize = 64;
/// Bits of a record's number in its block, and of its notes.
const RECORD_BITS: u32 = 12;
const NOTES_BITS: u32 = 8;
const _: () = assert!(BLOCK_RECORDS == 1 << RECORD_BITS);

impl KnownVectors {
    /// Reads which texts and ids the finished stores in `dirs` have. A text of several is taken from
    /// the first of them. `plan` and `tokens` are those of the new store: what decides a vector must
    /// be equal in both. At most `room` bytes of digests are held, more go to temporary files in
    /// `tmp`.
    ///
    /// Passed over, with the reason, are stores without digests, of another version of splindex, and
    /// those of another model or other settings if there are other stores.
    ///
    /// # Errors
    /// A folder that holds no finished store, or a damaged one; only stores of other models or
    /// settings.
    pub fn open(
        dirs: &[PathBuf],
        plan: &Plan,
        tokens: &TokenTable,
        room: u64,
        tmp: &Path,
    ) -> Result<Self> {
        let digest = tokens_file(tokens)?.1;
        let mut collected = Collected {
            stores: Vec::new(),
            blocks: Vec::new(),
            texts: LookupBuilder::new(room / 2, tmp),
            ids: LookupBuilder::new(room / 2, tmp),
        };
        let (mut passed_over, mut others) = (Vec::new(), 0);
        for dir in dirs {
            let store = StoreReader::open(dir)?;
            match unfit(store.manifest(), plan, &digest)? {
                None => collected.add(dir, store.manifest())?,
                Some(unfit) => {
                    others += usize::from(unfit.is_other);
                    passed_over.push(PassedOver { store: dir.clone(), why: unfit.why });
                }
            }
        }
        if let Some(first) = passed_over.first().filter(|_| others == dirs.len()) {
            return Err(Error::data(&first.store, Place::File, first.why.clone()).hint(
                "`reuse` takes vectors of the same model and settings: name such a store, or leave \
                 it out to encode every text",
            ));
        }
        let Collected { stores, blocks, texts, ids } = collected;
        let (texts, ids) = (texts.finish()?, ids.finish()?);
        let state = State {
            sound: vec![false; blocks.len()],
            seen: vec![0; ids.len().div_ceil(64)],
            ..State::default()
        };
        let (tokens, state) = (tokens.len(), Mutex::new(state));
        Ok(KnownVectors { tokens, stores, blocks, texts, ids, passed_over, state })
    }

    /// Stores that nothing is taken from.
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// Whether there is a text to find.
    pub fn is_empty(&self) -> bool {
        self.texts.len() == 0
    }

    /// Whether a text of this digest is known.
    ///
    /// # Errors
    /// What the system says of a temporary file.
    pub fn has(&self, text: TextDigest) -> Result<bool> {
        Ok(self.texts.get(text.bits())?.is_some())
    }

    /// Replaces the terms and weights of `record` with those of the text, and says what its store
    /// knows of the text; `None` if it is not known.
    ///
    /// # Errors
    /// A store that is damaged, or no longer what it was when it was opened.
    pub fn get(&self, text: TextDigest, record: &mut VectorRecord) -> Result<Option<TextInfo>> {
        let Some((place, _)) = self.texts.get(text.bits())? else { return Ok(None) };
        let notes = TextNotes::from_byte(place as u8);
        let number = (place >> NOTES_BITS) as u32 % (1 << RECORD_BITS);
        let block = (place >> (NOTES_BITS + RECORD_BITS)) as usize;
        record.terms.clear();
        record.weights.clear();
        self.read(block, number, record)?;
        let zeros = notes.zeros().unwrap_or(0);
        Ok(Some(TextInfo { digest: text, truncated: notes.truncated(), zeros }))
    }

    /// Notes that there is still a document of this id; whether there was one before.
    ///
    /// # Errors
    /// What the system says of a temporary file.
    pub fn note_id(&self, id: &str) -> Result<bool> {
        let Some((_, at)) = self.ids.get(digest(id.as_bytes()))? else { return Ok(false) };
        let mut state = self.state.lock().expect("nothing panics while it is held");
        let (word, bit) = (at / 64, 1u64 << (at % 64));
        if state.seen[word] & bit == 0 {
            state.seen[word] |= bit;
            state.seen_count += 1;
        }
        Ok(true)
    }

    /// Ids of the stores that were not [noted](Self::note_id).
    pub fn missing_ids(&self) -> u64 {
        let state = self.state.lock().expect("nothing panics while it is held");
        self.ids.len() as u64 - state.seen_count
    }

    fn read(&self, index: usize, number: u32, record: &mut VectorRecord) -> Result<()> {
        let mut state = self.state.lock().expect("nothing panics while it is held");
        let block = &self.blocks[index];
        let path = &self.stores[block.store as usize].parts[block.part as usize];
        let io = |e| Error::io("read", path, e);
        let bad = |problem| damaged(path, block.at, problem);
        let body_at = block.at + HEADER as u64;
        let in_hand = state.current.as_ref().is_some_and(|(current, _)| *current == index);
        if !in_hand && state.sound[index] {
            let file = state.open((block.store, block.part), path)?;
            let header = &block.header;
            // Elsewhere in a block that is known to be sound: only what the record needs.
            let mut counts = vec![0; (number as usize + 1) * 4];
            read_at(file, &mut counts, body_at + header.counts_at() as u64).map_err(io)?;
            let (before, count) = counts.split_at(number as usize * 4);
            let ranges = header.postings_at(block::sum(before), block::read_u32(count, 0));
            let mut parts = [Vec::new(), Vec::new()];
            for (part, range) in parts.iter_mut().zip(ranges) {
                part.resize((range.end - range.start) as usize, 0);
                read_at(file, part, body_at + range.start).map_err(io)?;
            }
            return header.decode([&parts[0], &parts[1]], self.tokens, record).map_err(bad);
        }
        if !in_hand {
            let mut body = vec![0; block.header.body_len() as usize];
            let file = state.open((block.store, block.part), path)?;
            read_at(file, &mut body, body_at).map_err(io)?;
            state.current = Some((index, Cursor::open(&block.header, body).map_err(bad)?));
            state.sound[index] = true;
        }
        let (_, cursor) = state.current.as_mut().expect("just read");
        cursor.read_at(number, record, self.tokens).map_err(bad)
    }
}

impl State {
    /// A part file, opened now or before.
    fn open(&mut self, part: (u32, u32), path: &Path) -> Result<&File> {
        let at = match self.files.iter().position(|(open, _)| *open == part) {
            Some(at) => at,
            None => {
                if self.files.len() == OPEN_FILES {
                    self.files.pop_front();
                }
                let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
                self.files.push_back((part, file));
                self.files.len() - 1
            }
        };
        Ok(&self.files[at].1)
    }
}

fn damaged(path: &Path, at: u64, problem: String) -> Error {
    Error::data(path, Place::Section("block", at), problem)
        .hint("the store is damaged: copy it again, or leave it out of `reuse`")
}

/// What is read of stores before the first look-up.
struct Collected {
    stores: Vec<KnownStore>,
    blocks: Vec<Block>,
    texts: LookupBuilder,
    ids: LookupBuilder,
}

impl Collected {
    fn add(&mut self, dir: &Path, manifest: &Manifest) -> Result<()> {
        let store = self.stores.len() as u32;
        let mut parts = Vec::with_capacity(manifest.parts.len());
        let mut index = 0;
        for part in &manifest.parts {
            let path = dir.join(&part.file);
            let mut open = OpenPart::open(path.clone(), part.bytes)?;
            while let Some((at, header, head)) = open.read_head(index)? {
                let of = Block { store, part: parts.len() as u32, at, header };
                self.add_block(of, &head, &path)?;
                index += 1;
            }
            parts.push(path);
        }
        self.stores.push(KnownStore { parts });
        Ok(())
    }

    fn add_block(&mut self, block: Block, head: &[u8], path: &Path) -> Result<()> {
        let bad = |problem| damaged(path, block.at, problem);
        if !block.header.has_texts() || block.header.records as usize > BLOCK_RECORDS {
            let problem = "expected digests of at most 4096 texts, found another block";
            return Err(bad(problem.into()));
        }
        let place = (self.blocks.len() as u64) << (NOTES_BITS + RECORD_BITS);
        let head = Head::open(&block.header, head).map_err(bad)?;
        for (number, (text, notes)) in (0u64..).zip(head.texts()) {
            let place = place | number << NOTES_BITS | u64::from(notes.byte());
            if notes.zeros().is_some() {
                self.texts.insert(text.bits(), place)?;
            }
        }
        for id in head.ids() {
            self.ids.insert(digest(id), 0)?;
        }
        self.blocks.push(block);
        Ok(())
    }
}

/// Why no vector of a store fits.
struct Unfit {
    /// Whether another model or other settings are why.
    is_other: bool,
    why: String,
}

/// Why vectors of a store are not those that a run under `plan` would make, if they are not.
fn unfit(old: &Manifest, plan: &Plan, tokens_digest: &str) -> Result<Option<Unfit>> {
    let other = |why: String| Ok(Some(Unfit { is_other: true, why }));
    if old.plan.encoding.is_none() {
        return other("expected vectors of a model, found a store of converted vectors".into());
    }
    let (was, is) = (deciding(&old.plan)?, deciding(plan)?);
    if let Some((field, was, is)) = resume::difference(&was, &is, String::new()) {
        return other(format!("expected vectors made with {field} = {is}, found {was}"));
    }
    if old.tokens_digest != tokens_digest {
        return other("expected vectors over the tokens of this model, found others".into());
    }
    let why = match (old.plan.digests, old.plan.tool == plan.tool) {
        (false, _) => "it has no digests of its texts (an older splindex made it)".to_owned(),
        (true, false) => {
            format!(
                "{} made it, whose last bits may differ from those of {}",
                old.plan.tool, plan.tool
            )
        }
        (true, true) => return Ok(None),
    };
    Ok(Some(Unfit { is_other: false, why }))
}

/// What of a plan decides the vector of a text: all but which texts there are, and names.
fn deciding(plan: &Plan) -> Result<Value> {
    let mut plan = Plan {
        tool: String::new(),
        shard: None,
        doc_base: 0,
        input: None,
        digests: false,
        ..plan.clone()
    };
    if let Some(encoding) = &mut plan.encoding {
        encoding.model.name.clear();
        encoding.model.licence = None;
        encoding.fields = None;
        encoding.skip_bad = false;
    }
    serde_json::to_value(&plan).map_err(|e| Error::Internal(format!("plan: {e}")))
}
