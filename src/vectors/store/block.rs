//! A block of records as bytes, little-endian.
//!
//! | offset | what |
//! |--:|---|
//! | 0 | `SPVB` |
//! | 4 | u32 flags: 1 = term ids have 16 bits, 2 = weights are 16-bit floats |
//! | 8 | u64 number of the block in the store |
//! | 16 | u32 records |
//! | 20 | u32 bytes of all external ids |
//! | 24 | u64 postings |
//! | 32 | u32 CRC of what follows the header |
//! | 36 | u32 CRC of bytes 0..36 |
//! | 40 | u32 id lengths, u32 term counts, ids, term ids, weights |

use half::f16;

use super::manifest::{Totals, WeightFormat};
use crate::error::{Error, Result};
use crate::vectors::VectorRecord;

const MAGIC: &[u8; 4] = b"SPVB";
pub(super) const HEADER: usize = 40;
const NARROW_IDS: u32 = 1;
const HALF_WEIGHTS: u32 = 2;

/// The fixed start of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
        u128::from(self.records) * 8
            + u128::from(self.id_bytes)
            + u128::from(self.postings) * per_posting as u128
    }

    fn id_width(&self) -> usize {
        if self.flags & NARROW_IDS != 0 { 2 } else { 4 }
    }

    fn weight_width(&self) -> usize {
        if self.flags & HALF_WEIGHTS != 0 { 2 } else { 4 }
    }
}

/// Encodes `records` and counts what is stored. Weights that the format rounds to 0 are
/// dropped and counted.
///
/// # Errors
/// A weight that is not finite, or that 16 bits cannot hold.
pub(super) fn write(
    index: u64,
    records: &[VectorRecord],
    weights: WeightFormat,
    tokens: usize,
    out: &mut Vec<u8>,
) -> Result<Totals> {
    let mut body =
        Body { narrow: tokens <= 1 << 16, half: weights == WeightFormat::F16, ..Body::default() };
    records.iter().try_for_each(|record| body.push(record))?;
    body.seal(index, out);
    Ok(body.totals)
}

/// What follows a header, part by part.
#[derive(Default)]
struct Body {
    narrow: bool,
    half: bool,
    totals: Totals,
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

    /// Appends the header and the parts.
    fn seal(&self, index: u64, out: &mut Vec<u8>) {
        let parts = [&self.id_lengths, &self.counts, &self.ids, &self.terms, &self.weights];
        let mut crc = crc32fast::Hasher::new();
        parts.iter().for_each(|part| crc.update(part));
        let start = out.len();
        out.extend_from_slice(MAGIC);
        let flags = u32::from(self.narrow) * NARROW_IDS + u32::from(self.half) * HALF_WEIGHTS;
        out.extend_from_slice(&flags.to_le_bytes());
        out.extend_from_slice(&index.to_le_bytes());
        out.extend_from_slice(&(self.totals.documents as u32).to_le_bytes());
        out.extend_from_slice(&(self.ids.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.totals.postings.to_le_bytes());
        out.extend_from_slice(&crc.finalize().to_le_bytes());
        let header_crc = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&header_crc.to_le_bytes());
        parts.iter().for_each(|part| out.extend_from_slice(part));
    }
}

/// A block read into memory, handing out one record after another.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    body: Vec<u8>,
    next: usize,
    records: usize,
    narrow: bool,
    half: bool,
    /// Where the next record's id, term ids and weights start in `body`.
    ids_at: usize,
    terms_at: usize,
    weights_at: usize,
}

impl Cursor {
    /// Takes a body whose length is `header.body_len()`; the message says what is wrong.
    pub fn open(header: &BlockHeader, body: Vec<u8>) -> Result<Self, String> {
        let found = crc32fast::hash(&body);
        if found != header.body_crc {
            return Err(format!("expected CRC {:08x}, found {found:08x}", header.body_crc));
        }
        let records = header.records as usize;
        let sum = |from: usize| -> u64 {
            body[from..from + records * 4].chunks_exact(4).map(|b| u64::from(read_u32(b, 0))).sum()
        };
        let (id_bytes, postings) = (sum(0), sum(records * 4));
        if id_bytes != u64::from(header.id_bytes) || postings != header.postings {
            return Err(format!(
                "expected {} id bytes and {} postings, found {id_bytes} and {postings}",
                header.id_bytes, header.postings
            ));
        }
        let ids_at = records * 8;
        let terms_at = ids_at + header.id_bytes as usize;
        let weights_at = terms_at + header.postings as usize * header.id_width();
        let narrow = header.flags & NARROW_IDS != 0;
        let half = header.flags & HALF_WEIGHTS != 0;
        Ok(Cursor { body, next: 0, records, narrow, half, ids_at, terms_at, weights_at })
    }

    /// Whether every record was read.
    pub fn is_empty(&self) -> bool {
        self.next == self.records
    }

    /// Fills the (cleared) `record`; `false` after the last. Terms must be below `tokens`.
    pub fn read(&mut self, record: &mut VectorRecord, tokens: usize) -> Result<bool, String> {
        if self.next == self.records {
            return Ok(false);
        }
        let id_len = read_u32(&self.body, self.next * 4) as usize;
        let count = read_u32(&self.body, (self.records + self.next) * 4) as usize;
        let id = &self.body[self.ids_at..self.ids_at + id_len];
        record.id.push_str(std::str::from_utf8(id).map_err(|e| format!("document id: {e}"))?);
        let id_width = if self.narrow { 2 } else { 4 };
        let term_bytes = &self.body[self.terms_at..self.terms_at + count * id_width];
        if self.narrow {
            record.terms.extend(term_bytes.chunks_exact(2).map(|b| u32::from(read_u16(b))));
        } else {
            record.terms.extend(term_bytes.chunks_exact(4).map(|b| read_u32(b, 0)));
        }
        let weight_width = if self.half { 2 } else { 4 };
        let weight_bytes = &self.body[self.weights_at..self.weights_at + count * weight_width];
        if self.half {
            let values = weight_bytes.chunks_exact(2).map(|b| f16::from_bits(read_u16(b)).to_f32());
            record.weights.extend(values);
        } else {
            let values = weight_bytes.chunks_exact(4).map(|b| f32::from_bits(read_u32(b, 0)));
            record.weights.extend(values);
        }
        if let Some(term) = record.terms.iter().find(|&&t| t as usize >= tokens) {
            return Err(format!("expected term ids below {tokens}, found {term}"));
        }
        if let Some(weight) = record.weights.iter().find(|w| !(w.is_finite() && **w > 0.0)) {
            return Err(format!("expected finite weights above 0, found {weight}"));
        }
        self.next += 1;
        self.ids_at += id_len;
        self.terms_at += count * id_width;
        self.weights_at += count * weight_width;
        Ok(true)
    }
}

fn read_u16(bytes: &[u8]) -> u16 {
    u16::from_le_bytes([bytes[0], bytes[1]])
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> impl Strategy<Value = VectorRecord> {
        ("\\PC{0,6}", prop::collection::btree_map(0u32..900, 0.001f32..9.0, 0..20)).prop_map(
            |(id, terms)| VectorRecord {
                id,
                terms: terms.keys().copied().collect(),
                weights: terms.values().copied().collect(),
            },
        )
    }

    fn decode(bytes: &[u8], tokens: usize) -> Result<Vec<VectorRecord>, String> {
        let header = BlockHeader::parse(bytes[..HEADER].try_into().unwrap())?;
        assert_eq!(header.body_len(), (bytes.len() - HEADER) as u128);
        let mut cursor = Cursor::open(&header, bytes[HEADER..].to_vec())?;
        let mut records = Vec::new();
        loop {
            let mut record = VectorRecord::default();
            if !cursor.read(&mut record, tokens)? {
                return Ok(records);
            }
            records.push(record);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            records in prop::collection::vec(record(), 0..20),
            wide in any::<bool>(),
            half in any::<bool>(),
        ) {
            let tokens = if wide { 100_000 } else { 900 };
            let format = if half { WeightFormat::F16 } else { WeightFormat::F32 };
            let mut bytes = Vec::new();
            let totals = write(7, &records, format, tokens, &mut bytes).unwrap();
            let mut want = records;
            if half {
                for w in want.iter_mut().flat_map(|r| &mut r.weights) {
                    *w = f16::from_f32(*w).to_f32();
                }
            }
            let got = decode(&bytes, tokens).unwrap();
            prop_assert_eq!(&got, &want);
            let largest = want.iter().flat_map(|r| &r.weights).fold(0f32, |a, &b| a.max(b));
            prop_assert_eq!(totals.largest_weight, largest);
            prop_assert_eq!(totals.postings, want.iter().map(|r| r.terms.len() as u64).sum::<u64>());
        }

        #[test]
        fn no_flipped_bit_goes_unnoticed(bit in 0usize..8 * 100) {
            let records = [VectorRecord {
                id: "a document".into(),
                terms: vec![1, 2, 3, 4, 5, 6, 7, 8],
                weights: vec![0.5; 8],
            }];
            let mut bytes = Vec::new();
            write(0, &records, WeightFormat::F32, 900, &mut bytes).unwrap();
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let header = BlockHeader::parse(bytes[..HEADER].try_into().unwrap());
            let outcome = header.and_then(|h| Cursor::open(&h, bytes[HEADER..].to_vec()));
            prop_assert!(outcome.is_err());
        }
    }

    #[test]
    fn weights_that_f16_loses_are_dropped_or_refused() {
        let record =
            |weight| [VectorRecord { id: "d".into(), terms: vec![3], weights: vec![weight] }];
        let mut bytes = Vec::new();
        let totals = write(0, &record(1e-9), WeightFormat::F16, 9, &mut bytes).unwrap();
        assert_eq!((totals.zeros, totals.postings, totals.empty), (1, 0, 1));
        let e = write(0, &record(70000.0), WeightFormat::F16, 9, &mut bytes).unwrap_err();
        assert_eq!(e.to_string(), "the weight 70000 of document \"d\" does not fit `weights` f16");
    }

    #[test]
    fn small_integers_are_noticed() {
        let of = |weights: Vec<f32>| {
            let terms = (0..weights.len() as u32).collect();
            let records = [VectorRecord { id: "d".into(), terms, weights }];
            write(0, &records, WeightFormat::F32, 9, &mut Vec::new()).unwrap().small_integers
        };
        assert!(of(vec![1.0, 255.0]));
        assert!(!of(vec![1.0, 1.5]));
        assert!(!of(vec![256.0]));
    }
}
