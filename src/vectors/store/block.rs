//! A block of records as bytes, little-endian.
//!
//! | offset | what |
//! |--:|---|
//! | 0 | `SPVB` |
//! | 4 | u32 flags: 1 = term ids have 16 bits, 2 = weights are 16-bit floats, 4 = texts |
//! | 8 | u64 number of the block in the store |
//! | 16 | u32 records |
//! | 20 | u32 bytes of all external ids |
//! | 24 | u64 postings |
//! | 32 | u32 CRC of what follows the header |
//! | 36 | u32 CRC of bytes 0..36 |
//! | 40 | with texts: a digest of 16 bytes a record, then a byte of notes a record (`texts`) |
//! | | u32 id lengths, u32 term counts, ids, term ids, weights |
//!
//! What tells records from each other comes first, so that a reader of digests and ids reads
//! a twentieth of a block.

use half::f16;

use super::manifest::{Totals, WeightFormat};
use super::texts::{TextDigest, TextInfo, TextNotes};
use crate::error::{Error, Result};
use crate::vectors::VectorRecord;

const MAGIC: &[u8; 4] = b"SPVB";
pub(super) const HEADER: usize = 40;
const NARROW_IDS: u32 = 1;
const HALF_WEIGHTS: u32 = 2;
const TEXTS: u32 = 4;
/// Bytes of a digest and its notes.
const TEXT_BYTES: u128 = 17;

/// The fixed start of a block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct BlockHeader {
    flags: u32,
    pub index: u64,
    pub records: u32,
    id_bytes: u32,
    pub postings: u64,
    body_crc: u32,
}

impl BlockHeader {
    /// Parses and checks the header; the message says what is wrong.
    pub fn parse(bytes: &[u8; HEADER]) -> Result<Self, String> {
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        if &bytes[..4] != MAGIC {
            return Err(format!("expected a block to start with SPVB, found {:?}", &bytes[..4]));
        }
        let (found, stored) = (crc32fast::hash(&bytes[..36]), u32_at(36));
        if found != stored {
            return Err(format!("expected header CRC {stored:08x}, found {found:08x}"));
        }
        Ok(BlockHeader {
            flags: u32_at(4),
            index: u64_at(8),
            records: u32_at(16),
            id_bytes: u32_at(20),
            postings: u64_at(24),
            body_crc: u32_at(32),
        })
    }

    /// Length of what follows the header; in u128, where no header overflows it.
    pub fn body_len(&self) -> u128 {
        let per_posting = self.id_width() + self.weight_width();
        self.head_len() + u128::from(self.postings) * per_posting as u128
    }

    /// Length of all before the term ids; in u128, as [`body_len`](Self::body_len).
    pub fn head_len(&self) -> u128 {
        let texts = if self.has_texts() { TEXT_BYTES } else { 0 };
        u128::from(self.records) * (8 + texts) + u128::from(self.id_bytes)
    }

    /// Whether there are digests of texts.
    pub fn has_texts(&self) -> bool {
        self.flags & TEXTS != 0
    }

    /// Where in the body the lengths of ids begin; of a header whose body is in memory or fits a
    /// file, as for the next.
    fn lengths_at(&self) -> usize {
        if self.has_texts() { self.records as usize * TEXT_BYTES as usize } else { 0 }
    }

    /// Where the term counts begin.
    pub fn counts_at(&self) -> usize {
        self.lengths_at() + self.records as usize * 4
    }

    /// Where the ids begin.
    fn ids_at(&self) -> usize {
        self.lengths_at() + self.records as usize * 8
    }

    /// Where in the body the term ids and weights of a record are whose first posting is number
    /// `first` and that has `count`.
    pub fn postings_at(&self, first: u64, count: u32) -> [std::ops::Range<u64>; 2] {
        let (ids, weights) = (self.id_width() as u64, self.weight_width() as u64);
        let (terms_at, count) = (self.head_len() as u64, u64::from(count));
        let weights_at = terms_at + self.postings * ids;
        let range = |at: u64, width: u64| at + first * width..at + (first + count) * width;
        [range(terms_at, ids), range(weights_at, weights)]
    }

    /// Appends a record's terms and weights, which must be below `tokens` and above 0.
    pub fn decode(
        &self,
        [terms, weights]: [&[u8]; 2],
        tokens: usize,
        record: &mut VectorRecord,
    ) -> Result<(), String> {
        if self.id_width() == 2 {
            record.terms.extend(terms.chunks_exact(2).map(|b| u32::from(read_u16(b))));
        } else {
            record.terms.extend(terms.chunks_exact(4).map(|b| read_u32(b, 0)));
        }
        if self.weight_width() == 2 {
            let values = weights.chunks_exact(2).map(|b| f16::from_bits(read_u16(b)).to_f32());
            record.weights.extend(values);
        } else {
            let values = weights.chunks_exact(4).map(|b| f32::from_bits(read_u32(b, 0)));
            record.weights.extend(values);
        }
        if let Some(term) = record.terms.iter().find(|&&t| t as usize >= tokens) {
            return Err(format!("expected term ids below {tokens}, found {term}"));
        }
        if let Some(weight) = record.weights.iter().find(|w| !(w.is_finite() && **w > 0.0)) {
            return Err(format!("expected finite weights above 0, found {weight}"));
        }
        Ok(())
    }

    fn id_width(&self) -> usize {
        if self.flags & NARROW_IDS != 0 { 2 } else { 4 }
    }

    fn weight_width(&self) -> usize {
        if self.flags & HALF_WEIGHTS != 0 { 2 } else { 4 }
    }
}

/// Encodes `records` and counts what is stored. Weights that the format rounds to 0 are
/// dropped and counted. `texts` are those of the records, or none.
///
/// # Errors
/// A weight that is not finite, or that 16 bits cannot hold.
pub(super) fn write(
    index: u64,
    records: &[VectorRecord],
    texts: &[TextInfo],
    weights: WeightFormat,
    tokens: usize,
    out: &mut Vec<u8>,
) -> Result<Totals> {
    let mut body =
        Body { narrow: tokens <= 1 << 16, half: weights == WeightFormat::F16, ..Body::default() };
    for (i, record) in records.iter().enumerate() {
        let before = body.totals.zeros;
        body.push(record)?;
        if let Some(text) = texts.get(i) {
            body.totals.zeros += text.zeros;
            body.push_text(text, body.totals.zeros - before);
        }
    }
    body.seal(index, !texts.is_empty(), out);
    Ok(body.totals)
}

/// What follows a header, part by part.
#[derive(Default)]
struct Body {
    narrow: bool,
    half: bool,
    totals: Totals,
    digests: Vec<u8>,
    notes: Vec<u8>,
    id_lengths: Vec<u8>,
    counts: Vec<u8>,
    ids: Vec<u8>,
    terms: Vec<u8>,
    weights: Vec<u8>,
}

impl Body {
    fn push(&mut self, record: &VectorRecord) -> Result<()> {
        let mut count = 0u32;
        for (&term, &weight) in record.terms.iter().zip(&record.weights) {
            let stored = if self.half { f16::from_f32(weight).to_f32() } else { weight };
            if !stored.is_finite() {
                return Err(Error::Usage(format!(
                    "the weight {weight} of document {:?} does not fit `weights` {}",
                    record.id,
                    if self.half { "f16" } else { "f32" }
                )));
            }
            if stored <= 0.0 {
                self.totals.zeros += 1;
                continue;
            }
            count += 1;
            self.totals.largest_weight = self.totals.largest_weight.max(stored);
            self.totals.small_integers &= stored <= 255.0 && stored.fract() == 0.0;
            if self.narrow {
                self.terms.extend_from_slice(&(term as u16).to_le_bytes());
            } else {
                self.terms.extend_from_slice(&term.to_le_bytes());
            }
            if self.half {
                self.weights.extend_from_slice(&f16::from_f32(weight).to_le_bytes());
            } else {
                self.weights.extend_from_slice(&weight.to_le_bytes());
            }
        }
        self.totals.documents += 1;
        self.totals.postings += u64::from(count);
        self.totals.empty += u64::from(count == 0);
        self.id_lengths.extend_from_slice(&(record.id.len() as u32).to_le_bytes());
        self.counts.extend_from_slice(&count.to_le_bytes());
        self.ids.extend_from_slice(record.id.as_bytes());
        Ok(())
    }

    fn push_text(&mut self, text: &TextInfo, zeros: u64) {
        self.totals.truncated += u64::from(text.truncated);
        self.digests.extend(text.digest.to_bytes());
        self.notes.push(TextNotes::new(text.truncated, zeros).byte());
    }

    /// Appends the header and the parts.
    fn seal(&self, index: u64, texts: bool, out: &mut Vec<u8>) {
        let vectors = [&self.id_lengths, &self.counts, &self.ids, &self.terms, &self.weights];
        let parts = [&self.digests, &self.notes].into_iter().chain(vectors);
        let mut crc = crc32fast::Hasher::new();
        parts.clone().for_each(|part| crc.update(part));
        let start = out.len();
        out.extend_from_slice(MAGIC);
        let flags = u32::from(self.narrow) * NARROW_IDS
            + u32::from(self.half) * HALF_WEIGHTS
            + u32::from(texts) * TEXTS;
        out.extend_from_slice(&flags.to_le_bytes());
        out.extend_from_slice(&index.to_le_bytes());
        out.extend_from_slice(&(self.totals.documents as u32).to_le_bytes());
        out.extend_from_slice(&(self.ids.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.totals.postings.to_le_bytes());
        out.extend_from_slice(&crc.finalize().to_le_bytes());
        let header_crc = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&header_crc.to_le_bytes());
        parts.for_each(|part| out.extend_from_slice(part));
    }
}

/// What comes before the term ids of a block: which texts and ids it has.
#[derive(Debug)]
pub(super) struct Head<'a> {
    header: &'a BlockHeader,
    bytes: &'a [u8],
}

impl<'a> Head<'a> {
    /// Takes the first `header.head_len()` bytes of a body; the message says what is wrong. They
    /// have no CRC of their own.
    pub fn open(header: &'a BlockHeader, bytes: &'a [u8]) -> Result<Self, String> {
        let lengths = &bytes[header.lengths_at()..header.counts_at()];
        let found = sum(lengths);
        match found == u64::from(header.id_bytes) {
            true => Ok(Head { header, bytes }),
            false => Err(format!("expected {} id bytes, found {found}", header.id_bytes)),
        }
    }

    /// The text of each record, where they are known.
    pub fn texts(&self) -> impl Iterator<Item = (TextDigest, TextNotes)> {
        let records = if self.header.has_texts() { self.header.records as usize } else { 0 };
        let (digests, rest) = self.bytes.split_at(records * 16);
        let digests = digests.as_chunks::<16>().0.iter().map(|&b| TextDigest::from_bytes(b));
        digests.zip(rest.iter().map(|&byte| TextNotes::from_byte(byte)))
    }

    /// Each record's external id.
    pub fn ids(&self) -> impl Iterator<Item = &[u8]> {
        let lengths = &self.bytes[self.header.lengths_at()..self.header.counts_at()];
        let mut at = self.header.ids_at();
        lengths.chunks_exact(4).map(move |length| {
            let from = at;
            at += read_u32(length, 0) as usize;
            &self.bytes[from..at]
        })
    }
}

/// A block read into memory, handing out one record after another.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    header: BlockHeader,
    body: Vec<u8>,
    next: u32,
    /// Where the next record's id starts in `body`, and the number of its first posting.
    id_at: usize,
    posting: u64,
}

impl Cursor {
    /// Takes a body whose length is `header.body_len()`; the message says what is wrong.
    pub fn open(header: &BlockHeader, body: Vec<u8>) -> Result<Self, String> {
        let found = crc32fast::hash(&body);
        if found != header.body_crc {
            return Err(format!("expected CRC {:08x}, found {found:08x}", header.body_crc));
        }
        let id_bytes = sum(&body[header.lengths_at()..header.counts_at()]);
        let postings = sum(&body[header.counts_at()..header.ids_at()]);
        if id_bytes != u64::from(header.id_bytes) || postings != header.postings {
            return Err(format!(
                "expected {} id bytes and {} postings, found {id_bytes} and {postings}",
                header.id_bytes, header.postings
            ));
        }
        Ok(Cursor { header: *header, body, next: 0, id_at: header.ids_at(), posting: 0 })
    }

    /// Whether every record was read.
    pub fn is_empty(&self) -> bool {
        self.next == self.header.records
    }

    /// Fills the (cleared) `record`; `false` after the last. Terms must be below `tokens`.
    pub fn read(&mut self, record: &mut VectorRecord, tokens: usize) -> Result<bool, String> {
        if self.is_empty() {
            return Ok(false);
        }
        let [id_len, count] = self.lengths(self.next);
        let id = &self.body[self.id_at..self.id_at + id_len as usize];
        record.id.push_str(std::str::from_utf8(id).map_err(|e| format!("document id: {e}"))?);
        self.vector(count, record, tokens)?;
        self.pass();
        Ok(true)
    }

    /// Fills the terms and weights of the (cleared) `record` with those of record `number`, below
    /// the block's number of records; forwards it is as quick as [`read`](Self::read).
    pub fn read_at(
        &mut self,
        number: u32,
        record: &mut VectorRecord,
        tokens: usize,
    ) -> Result<(), String> {
        if number < self.next {
            (self.next, self.id_at, self.posting) = (0, self.header.ids_at(), 0);
        }
        while self.next < number {
            self.pass();
        }
        let [_, count] = self.lengths(number);
        self.vector(count, record, tokens)
    }

    fn vector(&self, count: u32, record: &mut VectorRecord, tokens: usize) -> Result<(), String> {
        let bytes = self.header.postings_at(self.posting, count);
        let bytes = bytes.map(|range| &self.body[range.start as usize..range.end as usize]);
        self.header.decode(bytes, tokens, record)
    }

    /// Passes over the next record.
    fn pass(&mut self) {
        let [id_len, count] = self.lengths(self.next);
        self.id_at += id_len as usize;
        self.posting += u64::from(count);
        self.next += 1;
    }

    /// Bytes of a record's id and number of its terms.
    fn lengths(&self, record: u32) -> [u32; 2] {
        let at = |from: usize| read_u32(&self.body, from + record as usize * 4);
        [at(self.header.lengths_at()), at(self.header.counts_at())]
    }
}

/// Sum of 32-bit numbers.
pub(super) fn sum(bytes: &[u8]) -> u64 {
    bytes.chunks_exact(4).map(|b| u64::from(read_u32(b, 0))).sum()
}

fn read_u16(bytes: &[u8]) -> u16 {
    u16::from_le_bytes([bytes[0], bytes[1]])
}

pub(super) fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

#[cfg(test)]
mod tests;
