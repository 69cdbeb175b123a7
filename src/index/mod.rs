//! The read side of an `.spx` file: open, verify, terms, posting lists.
//!
//! Three levels of trust: [`Index::open`] checks the frame and every length (cheap, no
//! scan), [`Index::verify`] the checksums, [`Index::verify_deep`] every promise that the
//! posting lists make.
//!
//! Architecture invariant: nothing here writes, and a file that only passed `open` can give
//! wrong scores, but no docid out of range and no access outside the map.

mod source;
mod statistics;
mod summary;
mod verify;

pub use source::Load;
pub use statistics::{ListStatistics, Statistics};
pub use summary::Summary;
pub use verify::VerifyReport;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use zerocopy::FromBytes;

use crate::corpus::sniff;
use crate::error::{Error, Place, Result};
use crate::format::attributes::{self, Attributes};
use crate::format::header::{MAGIC, SUMMARY, Section, hex};
use crate::format::layout::{self, corrupt};
use crate::format::lexicon::Lexicon;
use crate::format::names::Names;
use crate::format::postings::{List, Representation};
use crate::format::skip::{self, BlockMaxima, Runs};
use crate::format::{Layout, Meta, Provenance, SectionKind, TermRecord};
use source::Source;

/// What errors call an index that was not read from a file.
pub const IN_MEMORY: &str = "<memory>";

/// A term of one index: its position in the lexicon.
pub type TermId = u32;

/// An open index. A clone is another handle of the same bytes and costs one atomic
/// addition; any number of threads may use them without locks. The bytes are given back when the
/// last handle goes.
#[derive(Debug, Clone)]
pub struct Index {
    opened: Arc<Opened>,
}

#[derive(Debug)]
struct Opened {
    path: PathBuf,
    source: Source,
    layout: Layout,
    meta: Meta,
    /// The docid of each ordinal, once somebody asks.
    docids: OnceLock<Vec<u32>>,
}

impl Index {
    /// Maps a file and checks its frame: header, section table, lengths. Reads no
    /// posting.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, Load::Mmap)
    }

    /// As [`open`](Self::open), with a choice of how the bytes get into memory.
    pub fn open_with(path: &Path, load: Load) -> Result<Self> {
        Self::of_source(path, Source::open(path, load)?)
    }

    /// An index that is in memory already: what [`Builder`](crate::Builder) gave, or bytes
    /// from elsewhere. Errors call it [`IN_MEMORY`].
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self> {
        Self::of_source(Path::new(IN_MEMORY), Source::of_bytes(bytes.into())?)
    }

    fn of_source(path: &Path, source: Source) -> Result<Self> {
        let index = Self::framed(path, source)?;
        if index.is_summary() {
            let problem = "expected an index, found the summary of the parts of one";
            return Err(Error::data(path, Place::File, problem).hint("give the parts"));
        }
        Ok(index)
    }

    /// As [`of_source`](Self::of_source), of a summary too.
    fn framed(path: &Path, source: Source) -> Result<Self> {
        let bytes = source.bytes();
        if !bytes.starts_with(&MAGIC)
            && let Some((found, hint)) = sniff::instead_of_index(bytes)
        {
            let problem = format!("expected an index of splindex, found {found}");
            return Err(Error::data(path, Place::File, problem).hint(hint));
        }
        let layout = Layout::parse(path, bytes)?;
        let at = layout.required(path, SectionKind::Meta)?;
        let meta = Meta::decode(path, &bytes[at.clone()], at.start as u64)?;
        let path = path.to_owned();
        let opened = Opened { path, source, layout, meta, docids: OnceLock::new() };
        let index = Index { opened: Arc::new(opened) };
        index.check_lengths()?;
        Ok(index)
    }

    /// Whether it has no lists and no ids: a [`Summary`].
    fn is_summary(&self) -> bool {
        self.opened.layout.header.required.get() & SUMMARY != 0
    }

    /// Every accessor below relies on what is checked here.
    fn check_lengths(&self) -> Result<()> {
        use SectionKind::*;
        let all = [Terms, Lexicon, Postings, BlockLast, BlockOffset, BlockMax, Windows, Names];
        let kinds = if self.is_summary() { &all[..2] } else { &all[..] };
        for &kind in kinds {
            self.opened.layout.required(&self.opened.path, kind)?;
        }
        let expect = |kind: SectionKind, expected: u64| {
            let found = self.section(kind).len() as u64;
            if found == expected {
                return Ok(());
            }
            let at = self.opened.layout.range(kind).map_or(0, |r| r.start as u64);
            let problem = format!("expected {expected} bytes, found {found}");
            Err(corrupt(&self.opened.path, kind.label(), at, problem)
                .hint("copy or build the file again"))
        };
        expect(Terms, (self.opened.meta.terms + 1) * size_of::<TermRecord>() as u64)?;
        expect(BlockOffset, self.section(BlockLast).len() as u64)?;
        for kind in [BlockLast, Windows] {
            expect(kind, self.section(kind).len() as u64 / 4 * 4)?;
        }
        let windows = skip::windows(self.documents()) as u64;
        let entries = self.section(Windows).len() as u64 / 4;
        expect(SkipRuns, if self.has_skip_data() { entries * skip::RUNS_LEN as u64 } else { 0 })?;
        let step = (windows * skip::ROW_STEP as u64).max(1);
        expect(SkipBlocks, self.section(SkipBlocks).len() as u64 / step * step)?;
        expect(Order, if self.opened.meta.reordered { self.opened.meta.documents * 4 } else { 0 })?;
        let at =
            |kind| self.opened.layout.range(kind).map_or(0, |r: std::ops::Range<usize>| r.start);
        crate::format::lexicon::Lexicon::parse(
            &self.opened.path,
            self.section(Lexicon),
            at(Lexicon) as u64,
            self.opened.meta.terms,
        )?;
        if self.is_summary() {
            return Ok(());
        }
        crate::format::names::Names::parse(
            &self.opened.path,
            self.section(Names),
            at(Names) as u64,
            self.opened.meta.documents,
        )?;
        if !self.section(Attributes).is_empty() {
            let (bytes, offset) = (self.section(Attributes), at(Attributes) as u64);
            attributes::Attributes::parse(&self.opened.path, bytes, offset, self.documents())?;
        }
        Ok(())
    }

    /// Bytes of a section; empty if the file does not have it.
    pub(crate) fn section(&self, kind: SectionKind) -> &[u8] {
        self.opened.layout.range(kind).map_or(&[], |range| &self.opened.source.bytes()[range])
    }

    fn words(&self, kind: SectionKind) -> &[u32] {
        // An absent section is a slice of nothing, aligned to nothing.
        if self.section(kind).is_empty() {
            return &[];
        }
        <[u32]>::ref_from_bytes(self.section(kind))
            .expect("sections are aligned, and `open` checked their lengths")
    }

    /// Whether `path` begins as an `.spx` file does; for commands that must not replace
    /// one, or nothing else. Opens nothing but a regular file: reading from a pipe would wait
    /// for its writer, who may be the caller.
    pub fn is_index_file(path: &Path) -> bool {
        use std::io::Read;
        if !path.is_file() {
            return false;
        }
        let mut magic = [0; 8];
        std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok()
            && magic == MAGIC
    }

    /// The file this index was opened from.
    pub fn path(&self) -> &Path {
        &self.opened.path
    }

    /// Whether it is another handle of the same bytes.
    pub fn is_same(&self, other: &Index) -> bool {
        Arc::ptr_eq(&self.opened, &other.opened)
    }

    /// Build parameters and statistics.
    pub fn meta(&self) -> &Meta {
        &self.opened.meta
    }

    /// Who made the file and from what.
    pub fn provenance(&self) -> Provenance {
        serde_json::from_slice(self.section(SectionKind::Provenance)).unwrap_or_default()
    }

    /// The content id as the header has it.
    pub(crate) fn content_bytes(&self) -> [u8; 16] {
        self.opened.layout.header.content_id
    }

    /// First 128 bits of BLAKE3 over the file's content: equal for equal indexes.
    pub fn content_id(&self) -> String {
        hex(&self.opened.layout.header.content_id)
    }

    /// Sections in file order, for reports.
    pub fn sections(&self) -> impl Iterator<Item = (SectionKind, &Section)> {
        self.opened.layout.sections()
    }

    /// Bytes of the whole file.
    pub fn file_len(&self) -> u64 {
        self.opened.layout.header.file_len.get()
    }

    /// Bytes of posting lists, term records, block and window directories; not of the
    /// lexicon, the names and the document order, which other engines keep elsewhere.
    pub fn list_bytes(&self) -> u64 {
        self.sections().filter(|(kind, _)| kind.of_lists()).map(|(_, s)| s.len.get()).sum()
    }

    /// Documents, those without a term included.
    pub fn documents(&self) -> u32 {
        self.opened.meta.documents as u32
    }

    /// The tokens.
    pub fn lexicon(&self) -> Lexicon<'_> {
        Lexicon::parse(
            &self.opened.path,
            self.section(SectionKind::Lexicon),
            0,
            self.opened.meta.terms,
        )
        .expect("`open` checked the lexicon's lengths")
    }

    /// External ids by ordinal.
    pub fn external_ids(&self) -> Names<'_> {
        Names::parse(
            &self.opened.path,
            self.section(SectionKind::Names),
            0,
            self.opened.meta.documents,
        )
        .expect("`open` checked the lengths of names")
    }

    /// Attributes of documents, if it was built with any.
    pub fn attributes(&self) -> Option<Attributes<'_>> {
        let section = Some(self.section(SectionKind::Attributes)).filter(|s| !s.is_empty())?;
        let parsed = Attributes::parse(&self.opened.path, section, 0, self.documents());
        Some(parsed.expect("`open` checked the lengths of attributes"))
    }

    /// Bytes of the attributes.
    pub(crate) fn attribute_bytes(&self) -> u64 {
        self.section(SectionKind::Attributes).len() as u64
    }

    /// The error for attributes whose bytes contradict the format.
    pub(crate) fn damaged_attributes(&self, key: &str) -> Error {
        let at = self.opened.layout.range(SectionKind::Attributes).map_or(0, |r| r.start as u64);
        let problem = format!("the values of key {key:?} are damaged");
        corrupt(&self.opened.path, SectionKind::Attributes.label(), at, problem)
            .hint("run `splindex verify`, then copy or build the file again")
    }

    /// The external id of a document; empty where the section is damaged. An ordinal that no document has gives an empty id.
    pub fn id(&self, ordinal: u32) -> &str {
        self.external_ids().get(ordinal)
    }

    /// The document with an external id: by bisection.
    pub fn find(&self, id: &str) -> Option<u32> {
        self.external_ids().find(id)
    }

    /// The docid of an original ordinal, `None` if there is no such document. The first call on
    /// an index under another order inverts it: 4 bytes a document, until the last handle goes.
    pub fn docid(&self, ordinal: u32) -> Option<u32> {
        if ordinal >= self.documents() {
            return None;
        }
        let Some(order) = self.order() else { return Some(ordinal) };
        let docids = self.opened.docids.get_or_init(|| {
            let mut docids = vec![0; order.len()];
            for (docid, &ordinal) in order.iter().enumerate() {
                // A damaged ORDER may name no document; such hits are refused elsewhere.
                if let Some(slot) = docids.get_mut(ordinal as usize) {
                    *slot = docid as u32;
                }
            }
            docids
        });
        docids.get(ordinal as usize).copied()
    }

    /// Original ordinal of each docid; `None` when they are equal.
    pub fn order(&self) -> Option<&[u32]> {
        self.opened.meta.reordered.then(|| self.words(SectionKind::Order))
    }

    /// Original ordinal of a docid.
    ///
    /// # Panics
    /// If the index has an order and no such docid.
    #[inline]
    pub fn ordinal(&self, docid: u32) -> u32 {
        self.order().map_or(docid, |order| order[docid as usize])
    }

    /// The record of a term.
    ///
    /// # Panics
    /// If the index has no such term.
    pub fn term(&self, term: TermId) -> &TermRecord {
        &self.records()[term as usize]
    }

    fn records(&self) -> &[TermRecord] {
        <[TermRecord]>::ref_from_bytes(self.section(SectionKind::Terms))
            .expect("`open` checked the length of TERMS")
    }

    /// The posting list of a term.
    ///
    /// # Errors
    /// The record points outside its sections or contradicts itself.
    #[doc(hidden)]
    pub fn list(&self, term: TermId) -> Result<List<'_>> {
        self.checked_list(term).ok_or_else(|| self.damaged(term))
    }

    fn checked_list(&self, term: TermId) -> Option<List<'_>> {
        let [record, next] = self.records().get(term as usize..term as usize + 2)? else {
            return None;
        };
        let bytes =
            span(self.section(SectionKind::Postings), record.offset.get(), next.offset.get())?;
        let blocks = (u64::from(record.blocks.get()), u64::from(next.blocks.get()));
        let maxima = (u64::from(record.maxima.get()), u64::from(next.maxima.get()));
        let windows = (u64::from(record.windows.get()), u64::from(next.windows.get()));
        let representation = Representation::from_number(record.representation)?;
        let frequent = self.has_skip_data() && representation != Representation::Packed;
        let runs = if representation == Representation::Positions {
            span(self.runs(), windows.0, windows.1)?
        } else {
            &[]
        };
        let list = List {
            representation,
            df: record.df.get(),
            documents: self.documents(),
            max_impact: record.max_impact,
            kth_impacts: record.kth_impacts,
            bytes,
            last: span(self.words(SectionKind::BlockLast), blocks.0, blocks.1)?,
            offset: span(self.words(SectionKind::BlockOffset), blocks.0, blocks.1)?,
            max: span(self.section(SectionKind::BlockMax), maxima.0, maxima.1)?,
            windows: span(self.words(SectionKind::Windows), windows.0, windows.1)?,
            runs,
            skip: if frequent { Some(self.block_maxima(record)?) } else { None },
        };
        list.consistent().then_some(list)
    }

    /// Whether the file was built with skip data.
    pub fn has_skip_data(&self) -> bool {
        self.opened.layout.range(SectionKind::SkipBlocks).is_some()
    }

    fn runs(&self) -> &[Runs] {
        <[Runs]>::ref_from_bytes(self.section(SectionKind::SkipRuns))
            .expect("`open` checked the length of SKIP_RUNS")
    }

    /// Block maxima of a list of `df` postings; `None` if they would lie outside.
    fn block_maxima(&self, record: &TermRecord) -> Option<BlockMaxima<'_>> {
        let (df, documents) = (record.df.get(), self.documents());
        let step = (skip::windows(documents) * skip::ROW_STEP) as u64;
        let row = u64::from(record.skip_row());
        let end = row + u64::from(skip::row_steps(df, documents));
        let row = span(self.section(SectionKind::SkipBlocks), row * step, end * step)?;
        Some(BlockMaxima { row, fine: skip::is_fine(df, documents) })
    }

    /// The error for an ORDER that maps a docid to an ordinal that no document has.
    pub(crate) fn damaged_order(&self, ordinal: u32) -> Error {
        let at = self.opened.layout.range(SectionKind::Order).map_or(0, |r| r.start as u64);
        let problem =
            format!("expected ordinals below {}, found {ordinal}", self.opened.meta.documents);
        corrupt(&self.opened.path, SectionKind::Order.label(), at, problem)
            .hint("run `splindex verify`, then copy or build the file again")
    }

    /// The error for a list whose bytes contradict the format.
    #[doc(hidden)]
    pub fn damaged(&self, term: TermId) -> Error {
        let start = self.opened.layout.range(SectionKind::Postings).map_or(0, |r| r.start as u64);
        // A damaged record may say any offset; one that no file has is not worth an answer.
        let offset = self.records().get(term as usize).map_or(0, |r| r.offset.get());
        let at = start.checked_add(offset).filter(|&at| at < self.file_len()).unwrap_or(start);
        let (_, token) = self.lexicon().token(term);
        corrupt(&self.opened.path, "POSTINGS", at, format!("the list of term {token:?} is damaged"))
            .hint("run `splindex verify`, then copy or build the file again")
    }

    /// Computes the checksum of every section and the content id; what does not hold is a
    /// fault of the report.
    pub fn verify(&self) -> VerifyReport {
        verify::checksums(self)
    }

    /// Checks the checksum of every section and the bytes between them, for readers whose output
    /// would hide damage.
    ///
    /// # Errors
    /// One that does not hold.
    pub fn check(&self) -> Result<()> {
        match verify::first_fault(self) {
            None => match self.padding_fault() {
                None => Ok(()),
                Some(fault) => Err(Error::data(&self.opened.path, Place::File, fault)
                    .hint("run `splindex verify`, then copy or build the file again")),
            },
            Some((kind, at)) => Err(corrupt(
                &self.opened.path,
                kind,
                at,
                "its checksum does not hold: the bytes are damaged",
            )
            .hint("run `splindex verify`, then copy or build the file again")),
        }
    }

    /// Decodes every list and counts what is in it.
    ///
    /// # Errors
    /// A damaged list.
    pub fn statistics(&self) -> Result<Statistics> {
        Statistics::of(self)
    }

    /// [`verify`](Self::verify), then decodes everything and checks every promise.
    pub fn verify_deep(&self) -> VerifyReport {
        let mut report = verify::checksums(self);
        report.faults.extend(verify::structure(self));
        report
    }

    /// Bytes between header, sections, table and trailer are zero in every sound file.
    fn padding_fault(&self) -> Option<String> {
        use crate::format::header::{HEADER_LEN, SECTION_LEN, TRAILER_LEN};
        let bytes = self.opened.source.bytes();
        let table = self.opened.layout.header.table_offset.get() as usize;
        let table_len = self.opened.layout.header.sections.get() as usize * SECTION_LEN + 4;
        let mut known: Vec<std::ops::Range<usize>> =
            self.opened.layout.entries().iter().map(layout::range).collect();
        known.push(table..table + table_len);
        known.push(bytes.len() - TRAILER_LEN..bytes.len());
        known.sort_by_key(|range| (range.start, range.end));
        let mut end = HEADER_LEN;
        for range in known {
            let padding = bytes.get(end..range.start).unwrap_or_default();
            if let Some(at) = padding.iter().position(|&byte| byte != 0) {
                return Some(format!(
                    "padding at byte {}: expected 0, found {}",
                    end + at,
                    padding[at]
                ));
            }
            end = end.max(range.end);
        }
        None
    }

    /// Asks the system to have every page of a mapped file at hand. A refusal, or a system
    /// that cannot, changes nothing.
    pub fn touch(&self) {
        self.opened.source.touch();
    }

    /// Gives mapped pages back to the system, so that reading a whole file once does not
    /// count as memory in use; they are read again when they are touched.
    pub fn release(&self) {
        self.opened.source.release();
    }

    pub(crate) fn section_bytes(&self, section: &Section) -> &[u8] {
        &self.opened.source.bytes()[layout::range(section)]
    }
}

fn span<T>(all: &[T], start: u64, end: u64) -> Option<&[T]> {
    all.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}
