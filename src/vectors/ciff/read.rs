//! Reading CIFF.

use std::path::Path;

use super::wire::{CiffFields, Messages};
use crate::corpus::{check_id, trim_id};
use crate::error::{Error, Result};
use crate::vectors::reread::Rereadable;
use crate::vectors::transpose::{DocumentTable, Inverted};
use crate::vectors::{Size, TokenTable};

/// f32 holds whole numbers up to here exactly.
const LARGEST_TF: i32 = 1 << 24;

/// Bytes that a list in hand takes for each byte in the file: itself, and 8 for a posting of
/// at least [`SHORTEST`].
const LIST: [u64; 2] = [7, 3];
/// Bytes of a posting, the first of a list aside: tag and length of its message, of its gap,
/// and of its tf.
const SHORTEST: u64 = 6;
/// Bytes of a posting with large numbers: gap and tf take four each.
const LONG: u64 = 12;
/// Bytes that a document's message may have beside its id: three tags, a docid and a document
/// length of 5 bytes, and the length of the id.
const BESIDE_ID: u64 = 3 + 5 + 5 + 3;

/// A CIFF file. Opening looks at the lengths of its messages only.
///
/// Loading reads everything once and checks the structure from the first byte to the last:
/// memory is [`DocumentTable::BYTES`] a document and the ids, the tokens, and the largest list
/// as it stands in the file and as postings. Weights are read again, list by list, by
/// [`Inverted::scan`].
pub(crate) struct Ciff {
    file: Rereadable,
    lists: u64,
    size: Size,
    documents: DocumentTable,
    tokens: TokenTable,
}

impl Ciff {
    /// # Errors
    /// With the number of the message, the header being 1: counts that are not those of
    /// the header, an unknown version. When it is loaded also: a message that ends before
    /// its fields do, a term or a docid that occurs twice, docids that do not increase or
    /// exceed the header's count, a df that is not the number of postings, tf ≤ 0 or above 2^24; of what a
    /// build does not need, what no collection can have: totals below the file's counts,
    /// a cf below the df, a negative document length.
    pub(crate) fn open(file: Rereadable) -> Result<Self> {
        let mut messages = Messages::new(&file)?;
        let header =
            CiffHeader::parse(messages.next("a header")?).map_err(|p| messages.error(p))?;
        let (lists, documents) = header.counts().map_err(|p| messages.error(p))?;
        // A message takes a byte at least: promises beyond that must not allocate.
        if lists + documents > messages.left() {
            return Err(messages.error(format!(
                "expected {lists} posting lists and {documents} documents as the header says, \
                 found only {} bytes",
                messages.left()
            )));
        }
        let measured = measure(&mut messages, lists, documents);
        let size = *measured.as_ref().unwrap_or(&Size { documents, ..Size::default() });
        let (documents, tokens) = Default::default();
        let mut ciff = Ciff { file, lists, size, documents, tokens };
        match measured {
            Ok(_) => Ok(ciff),
            // The first fault in the file says more than the last one's consequence.
            Err(error) => Err(ciff.load().err().unwrap_or(error)),
        }
    }
}

/// What the lengths of the messages behind the header tell.
fn measure(messages: &mut Messages<'_>, lists: u64, documents: u64) -> Result<Size> {
    let mut size = Size { documents, tokens: lists, ..Size::default() };
    let mut largest = 0;
    for list in 1..=lists {
        let len = messages.skip(&format!("posting list {list} of {lists} (the header's count)"))?;
        let postings = [len / LONG, len / SHORTEST + 1];
        for (i, n) in postings.into_iter().enumerate() {
            size.postings[i] += n;
            size.longest[i] = size.longest[i].max(n).min(documents);
        }
        largest = largest.max(len);
    }
    for i in 1..=documents {
        let len = messages.skip(&format!("document {i} of {documents} (the header's count)"))?;
        size.id_bytes[0] += len.saturating_sub(BESIDE_ID);
        size.id_bytes[1] += len;
    }
    size.held = DocumentTable::BYTES * documents
        + size.id_bytes[0]
        + 160 * lists
        + largest * LIST[0] / LIST[1];
    Ok(size)
}

impl Inverted for Ciff {
    /// Reads the lists and the documents for the first time.
    fn load(&mut self) -> Result<()> {
        let Ciff { file, lists, size, documents, tokens } = self;
        *documents = DocumentTable::new(size.documents as usize, size.id_bytes[1] as usize);
        let mut messages = Messages::new(file)?;
        messages.next("a header")?;
        let mut postings = Vec::new();
        for list in 1..=*lists {
            let counts = documents.terms.as_mut_slice();
            next_list(&mut messages, list, *lists, counts.len(), &mut postings, |term| {
                let new = tokens.len() as u32;
                match tokens.intern(term) == new {
                    true => Ok(new),
                    false => Err(format!("expected every term once, found {term:?} again")),
                }
            })?;
            postings.iter().for_each(|&(docid, _)| counts[docid as usize] += 1);
        }
        let count = documents.len();
        for i in 1..=count {
            let what = format!("document {i} of {count} (the header's count)");
            let message = messages.next(&what)?;
            let at = |problem: String| format!("{what}: {problem}");
            let parsed = document(message).map(|(docid, name)| (docid, name.to_owned()));
            let (docid, name) = parsed.map_err(|p| messages.error(at(p)))?;
            let problem = match usize::try_from(docid).ok().filter(|&docid| docid < count) {
                Some(known) if documents.set_name(known, &name) => continue,
                Some(_) => format!("found docid {docid} a second time"),
                None => format!("expected a docid below {count}, found {docid}"),
            };
            return Err(messages.error(at(problem)));
        }
        match messages.left() {
            0 => Ok(()),
            left => Err(messages.error(format!(
                "expected the end of the file after {count} documents (the header's count), found \
                 {left} more bytes"
            ))),
        }
    }

    fn size(&self) -> Option<Size> {
        Some(self.size)
    }

    fn documents(&self) -> &DocumentTable {
        &self.documents
    }

    fn tokens(&self) -> &TokenTable {
        &self.tokens
    }

    fn scan(&mut self, visit: &mut dyn FnMut(u32, u32, f32)) -> Result<()> {
        let mut messages = Messages::new(&self.file)?;
        messages.next("a header")?;
        let mut postings = Vec::new();
        let documents = self.documents.len();
        for list in 1..=self.lists {
            let known = |term: &str| self.tokens.get(term).ok_or("an unknown term".to_owned());
            let term = next_list(&mut messages, list, self.lists, documents, &mut postings, known)?;
            postings.iter().for_each(|&(docid, tf)| visit(term, docid, tf as f32));
        }
        Ok(())
    }

    fn path(&self) -> &Path {
        self.file.path()
    }
}

/// Counts of the file, and of the collection that it may be a part of: exporters leave
/// those out, or fill them in with what they think of as terms.
#[derive(Default)]
struct CiffHeader {
    version: i32,
    lists: i32,
    documents: i32,
    total_lists: i32,
    total_documents: i32,
    total_terms: i64,
    average_length: f64,
}

impl CiffHeader {
    fn parse(message: &[u8]) -> Result<Self, String> {
        let (mut header, mut fields) = (CiffHeader::default(), CiffFields(message));
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => header.version = value.int32("a version")?,
                2 => header.lists = value.int32("a number of posting lists")?,
                3 => header.documents = value.int32("a number of documents")?,
                4 => header.total_lists = value.int32("the collection's posting lists")?,
                5 => header.total_documents = value.int32("the collection's documents")?,
                6 => header.total_terms = value.int64("the collection's terms")?,
                7 => header.average_length = value.double("an average document length")?,
                _ => (),
            }
        }
        Ok(header)
    }

    fn counts(&self) -> Result<(u64, u64), String> {
        let CiffHeader { version, lists, documents, .. } = *self;
        if !(0..=1).contains(&version) {
            return Err(format!("expected a CIFF header of version 1, found version {version}"));
        }
        self.check_totals()?;
        match (u64::try_from(lists), u64::try_from(documents)) {
            (Ok(lists), Ok(documents)) => Ok((lists, documents)),
            _ => Err(format!(
                "expected counts of lists and documents, found {lists} and {documents}"
            )),
        }
    }

    /// A file holds no more than its collection.
    fn check_totals(&self) -> Result<(), String> {
        let CiffHeader { lists, documents, total_lists, total_documents, .. } = *self;
        for (what, total, found) in [
            ("total_postings_lists", total_lists, lists),
            ("total_docs", total_documents, documents),
        ] {
            if total != 0 && total < found {
                return Err(format!("expected {what} of at least {found}, found {total}"));
            }
        }
        let CiffHeader { total_terms, average_length, .. } = *self;
        if total_terms < 0 {
            return Err(format!("expected total_terms_in_collection ≥ 0, found {total_terms}"));
        }
        if !(average_length.is_finite() && average_length >= 0.0) {
            return Err(format!("expected average_doclength ≥ 0, found {average_length}"));
        }
        Ok(())
    }
}

/// Reads list number `list` of `lists` into `postings`, docids absolute; gives what
/// `term_id` says of its term.
fn next_list(
    messages: &mut Messages<'_>,
    list: u64,
    lists: u64,
    documents: usize,
    postings: &mut Vec<(u32, i32)>,
    mut term_id: impl FnMut(&str) -> Result<u32, String>,
) -> Result<u32> {
    let what = format!("posting list {list} of {lists} (the header's count)");
    let message = messages.next(&what)?;
    let parsed = parse_list(message, documents, postings)
        .and_then(|term| term_id(term).map_err(|problem| (None, problem)));
    parsed.map_err(|(term, problem)| {
        let term = term.map_or(String::new(), |term: String| format!(", term {term:?}"));
        wrong(messages, &what, &term, &problem)
    })
}

fn wrong(messages: &Messages<'_>, what: &str, term: &str, problem: &str) -> Error {
    messages.error(format!("{what}{term}: {problem}"))
}

/// The term, or the problem and the term if it is known.
fn parse_list<'m>(
    message: &'m [u8],
    documents: usize,
    postings: &mut Vec<(u32, i32)>,
) -> Result<&'m str, (Option<String>, String)> {
    postings.clear();
    let (mut term, mut df, mut cf, mut fields) = ("", 0, 0, CiffFields(message));
    let mut docid = 0i64;
    let mut parse = || {
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => term = value.string("a term")?,
                2 => df = value.int64("a document frequency")?,
                3 => cf = value.int64("a collection frequency")?,
                4 => {
                    let (gap, tf) = posting(value.bytes("a posting")?)?;
                    check_gap(gap, postings.is_empty())?;
                    docid += i64::from(gap);
                    if docid >= documents as i64 {
                        return Err(format!("expected docids below {documents}, found {docid}"));
                    }
                    if !(1..=LARGEST_TF).contains(&tf) {
                        let problem = format!("expected tf 1 to {LARGEST_TF}, found {tf}");
                        return Err(format!("{problem} in document {docid}"));
                    }
                    postings.push((docid as u32, tf));
                }
                _ => (),
            }
        }
        if df != postings.len() as i64 {
            return Err(format!("expected {df} postings (its df), found {}", postings.len()));
        }
        // Not the sum of tf everywhere: where those were made impacts, some kept the old sum.
        match cf == 0 || cf >= df {
            true => Ok(()),
            false => Err(format!("expected a cf of at least its df, {df}, found {cf}")),
        }
    };
    match parse() {
        Ok(()) => Ok(term),
        Err(problem) => Err(((!term.is_empty()).then(|| term.to_owned()), problem)),
    }
}

fn check_gap(gap: i32, first: bool) -> Result<(), String> {
    match gap >= i32::from(!first) {
        true => Ok(()),
        false => Err(format!("expected increasing docids, found a gap of {gap}")),
    }
}

fn posting(message: &[u8]) -> Result<(i32, i32), String> {
    let (mut gap, mut tf, mut fields) = (0, 0, CiffFields(message));
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => gap = value.int32("a docid gap")?,
            2 => tf = value.int32("a tf")?,
            _ => (),
        }
    }
    Ok((gap, tf))
}

fn document(message: &[u8]) -> Result<(i32, &str), String> {
    let (mut docid, mut name, mut length, mut fields) = (0, "", 0, CiffFields(message));
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => docid = value.int32("a docid")?,
            2 => name = trim_id(value.string("a document id")?),
            3 => length = value.int32("a document length")?,
            _ => (),
        }
    }
    // Rounded by some exporters (Lucene keeps a byte of it): no sum of the document's tf.
    if length < 0 {
        return Err(format!("expected a document length ≥ 0, found {length}"));
    }
    check_id(name)?;
    Ok((docid, name))
}
