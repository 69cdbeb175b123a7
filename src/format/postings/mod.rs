//! Posting lists: how (docid, impact) pairs become bytes and come back.
//!
//! A list is cut into blocks, the unit that is decoded at once and that has one
//! maximum. Three representations share that view; see their modules for the bytes.
//!
//! | representation | block | used by |
//! |---|---|---|
//! | [`packed`] | 128 postings, Elias-Fano and bit-packed impacts | `small`; rare terms of `fast` |
//! | [`stream`] | ≤ 128 postings of one window, (gap, impact) bytes | `fast` |
//! | [`dense`] | 128 documents, bitmap and impact bytes | frequent terms |
//! | [`positions`] | 128 documents, (position, impact) bytes | streams, with skip data |

mod bits;
pub mod dense;
mod kernels;
pub mod packed;
pub mod positions;
pub mod stream;

use super::meta::Codec;
use super::skip::{self, BlockMaxima, Runs, UNIT, UNITS};
use super::{BLOCK, WINDOW};
use crate::simd::SimdLevel;

/// How a list's bytes are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Representation {
    /// See [`packed`].
    Packed = 0,
    /// See [`stream`].
    Stream = 1,
    /// See [`dense`].
    Bitmap = 2,
    /// See [`positions`].
    Positions = 3,
}

impl Representation {
    /// Every representation by number.
    pub const ALL: [Representation; 4] = [
        Representation::Packed,
        Representation::Stream,
        Representation::Bitmap,
        Representation::Positions,
    ];

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Representation::Packed => "packed",
            Representation::Stream => "stream",
            Representation::Bitmap => "bitmap",
            Representation::Positions => "positions",
        }
    }

    /// The layout of a list: a function of these values only, never of the machine.
    ///
    /// A stream spends two bytes per 255 documents of gap, so below one posting per 128
    /// documents a packed list is smaller; above one in eight a bitmap is. In `small` a
    /// bitmap from one in eight costs 0.04 bytes a posting on SPLADE vectors and halves
    /// the time of long queries.
    ///
    /// With skip data each unit of 256 documents can be read by itself, under either codec.
    pub fn choose(codec: Codec, skip_data: bool, df: u32, documents: u32) -> Self {
        let (df, documents) = (u64::from(df), u64::from(documents));
        if df <= BLOCK as u64 || df * 128 < documents {
            Representation::Packed
        } else if df * 8 < documents {
            match codec {
                _ if skip_data => Representation::Positions,
                Codec::Small => Representation::Packed,
                Codec::Fast => Representation::Stream,
            }
        } else {
            Representation::Bitmap
        }
    }

    /// The representation with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }
}

/// Lists of consecutive terms as they are written: every vector grows list by list.
#[derive(Debug, Clone, Default)]
pub struct Encoded {
    /// POSTINGS.
    pub bytes: Vec<u8>,
    /// BLOCK_LAST.
    pub last: Vec<u32>,
    /// BLOCK_OFFSET, relative to the start of the list.
    pub offset: Vec<u32>,
    /// BLOCK_MAX.
    pub max: Vec<u8>,
    /// WINDOWS, relative to the start of the list.
    pub windows: Vec<u32>,
    /// SKIP_RUNS, of lists of positions.
    pub runs: Vec<Runs>,
    /// SKIP_BLOCKS.
    pub skip_blocks: Vec<u8>,
}

impl Encoded {
    /// Appends one list: docids strictly increasing and < `documents`, impacts ≥ 1.
    pub fn push(
        &mut self,
        representation: Representation,
        docids: &[u32],
        impacts: &[u8],
        documents: u32,
    ) {
        match representation {
            Representation::Packed => packed::encode(docids, impacts, self),
            Representation::Stream => stream::encode(docids, impacts, documents, self),
            Representation::Bitmap => dense::encode_bitmap(docids, impacts, documents, self),
            Representation::Positions => {
                positions::encode(docids, impacts, documents, self);
                skip::push_unit_maxima(docids, impacts, documents, &mut self.max);
            }
        }
    }

    /// Appends a list of a frequent term with its skip data.
    pub fn push_frequent(
        &mut self,
        representation: Representation,
        docids: &[u32],
        impacts: &[u8],
        documents: u32,
    ) {
        let first_max = self.max.len();
        self.push(representation, docids, impacts, documents);
        self.max.truncate(first_max);
        skip::push_unit_maxima(docids, impacts, documents, &mut self.max);
        skip::push_block_maxima(docids, impacts, documents, &mut self.skip_blocks);
    }
}

/// Postings of one block, decoded.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub struct Block {
    /// Docids, strictly increasing; the first [`len`](Self::len) count.
    pub docids: [u32; BLOCK],
    /// Impacts of those documents.
    pub impacts: [u8; BLOCK],
    /// Postings in the block.
    pub len: usize,
    level: SimdLevel,
}

impl Default for Block {
    fn default() -> Self {
        Block::with_simd(SimdLevel::detect())
    }
}

impl Block {
    /// An empty block that decodes with no more than `level`, and than this machine has.
    pub fn with_simd(level: SimdLevel) -> Self {
        Block { docids: [0; BLOCK], impacts: [0; BLOCK], len: 0, level: level.or_best() }
    }

    fn push(&mut self, docid: u32, impact: u8) -> Option<()> {
        *self.docids.get_mut(self.len)? = docid;
        self.impacts[self.len] = impact;
        self.len += 1;
        Some(())
    }
}

/// The bytes of a block contradict the format: the file is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged;

/// One term's posting list, in place in a mapped file.
///
/// Its lengths were checked against the sections; its bytes were not, and decoding
/// checks them block by block: no docid ≥ [`documents`](Self::documents) comes out.
#[derive(Debug, Clone, Copy)]
pub struct List<'a> {
    /// Layout of `bytes`.
    pub representation: Representation,
    /// Number of postings.
    pub df: u32,
    /// Documents of the index.
    pub documents: u32,
    /// Largest impact.
    pub max_impact: u8,
    /// 10th, 100th and 1000th largest impact, 0 where there are fewer.
    pub kth_impacts: [u8; 3],
    /// The list's part of POSTINGS.
    pub bytes: &'a [u8],
    /// Last docid of each block; empty where blocks are implied.
    pub last: &'a [u32],
    /// Byte offset of each block; empty where blocks are implied.
    pub offset: &'a [u32],
    /// Largest impact of each block; empty for a packed list of one block.
    pub max: &'a [u8],
    /// Byte offset of each window; only of a stream or of positions.
    pub windows: &'a [u32],
    /// Where the pairs of units begin, of each window; only of positions.
    pub runs: &'a [Runs],
    /// Maxima of small blocks of a frequent term, in a file with skip data. Then `max` has one
    /// for each unit of 256 documents.
    pub skip: Option<BlockMaxima<'a>>,
}

impl<'a> List<'a> {
    /// Whether the parts of the list have the lengths that its representation, df and
    /// document count call for. Decoding relies on it for termination, not for safety.
    pub fn consistent(&self) -> bool {
        let (df, documents) = (self.df as usize, self.documents as usize);
        let (blocks, windows) = (self.last.len(), self.windows.len());
        (1..=documents).contains(&df)
            && self.offset.len() == blocks
            && self.maxima_consistent()
            && match self.representation {
                Representation::Packed if df <= BLOCK => (blocks, windows) == (0, 0),
                Representation::Packed => (blocks, windows) == (df.div_ceil(BLOCK), 0),
                Representation::Stream => {
                    blocks > 0 && windows == documents.div_ceil(WINDOW as usize)
                }
                Representation::Bitmap => {
                    (blocks, windows) == (0, 0)
                        && self.bitmap().is_some_and(|bitmap| bitmap.impacts.len() == df)
                }
                Representation::Positions => {
                    blocks == 0
                        && windows == skip::windows(self.documents)
                        && self.runs.len() == windows
                }
            }
    }

    fn maxima_consistent(&self) -> bool {
        if self.bounds_units() {
            return self.max.len() == skip::windows(self.documents) * UNITS;
        }
        let maxima = if self.is_dense() { self.blocks() } else { self.last.len() };
        self.max.len() == maxima
    }

    /// Whether blocks are ranges of documents.
    fn is_dense(&self) -> bool {
        matches!(self.representation, Representation::Bitmap | Representation::Positions)
    }

    /// Whether maxima are those of units.
    fn bounds_units(&self) -> bool {
        self.skip.is_some() || self.representation == Representation::Positions
    }

    /// Number of blocks.
    #[inline]
    pub fn blocks(&self) -> usize {
        if self.is_dense() {
            (self.documents as usize).div_ceil(BLOCK)
        } else {
            self.last.len().max(1)
        }
    }

    /// An upper bound of the docids of block `b`, below those of block `b + 1`: its last
    /// docid, or the last document that it could hold.
    #[inline]
    pub fn block_last(&self, b: usize) -> u32 {
        if let Some(&last) = self.last.get(b) {
            return last;
        }
        if !self.is_dense() {
            return self.documents - 1;
        }
        ((b + 1) * BLOCK - 1).min(self.documents as usize - 1) as u32
    }

    /// Number of maxima: one a block, or a unit.
    #[inline]
    pub fn bounds(&self) -> usize {
        self.max.len().max(1)
    }

    /// As [`block_last`](Self::block_last), of the postings that maximum `i` bounds.
    #[inline]
    pub fn bound_last(&self, i: usize) -> u32 {
        if self.bounds_units() {
            return ((i as u32 + 1) * UNIT - 1).min(self.documents - 1);
        }
        self.block_last(i)
    }

    /// Largest impact of the postings that maximum `i` bounds.
    #[inline]
    pub fn bound_max(&self, i: usize) -> u8 {
        self.max.get(i).copied().unwrap_or(self.max_impact)
    }

    /// Decodes block `b` into `out`.
    ///
    /// # Errors
    /// The bytes contradict the format, or a docid would be ≥ `documents`.
    #[inline]
    pub fn decode(&self, b: usize, out: &mut Block) -> Result<(), Damaged> {
        out.len = 0;
        let decoded = match self.representation {
            Representation::Packed => packed::decode(self, b, out),
            Representation::Stream => stream::decode(self, b, out),
            Representation::Bitmap => dense::decode_bitmap(self, b, out),
            Representation::Positions => positions::decode(self, b, out),
        };
        decoded.ok_or(Damaged)
    }

    /// The impact of one document, if the list has it; decodes one block.
    pub fn impact_of(&self, docid: u32) -> Result<Option<u8>, Damaged> {
        let mut found = None;
        self.impacts_of(std::iter::once(docid), |_, impact| found = Some(impact))?;
        Ok(found)
    }

    /// The impacts of several documents, which come in increasing order: calls `found` with the
    /// place in `docids` of each that the list has. Decodes a block once.
    pub fn impacts_of(
        &self,
        docids: impl Iterator<Item = u32>,
        mut found: impl FnMut(usize, u8),
    ) -> Result<(), Damaged> {
        let (mut block, mut decoded, mut b) = (Block::default(), None, 0);
        for (place, docid) in docids.enumerate() {
            let (mut low, mut high) = (b, self.blocks());
            while low < high {
                let middle = low + (high - low) / 2;
                if self.block_last(middle) < docid {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            b = low;
            if b == self.blocks() {
                return Ok(());
            }
            if decoded != Some(b) {
                self.decode(b, &mut block)?;
                decoded = Some(b);
            }
            if let Ok(at) = block.docids[..block.len].binary_search(&docid) {
                found(place, block.impacts[at]);
            }
        }
        Ok(())
    }

    /// Decodes the whole list; docids increase.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and a block that does not follow the one before.
    pub fn decode_all(&self) -> Result<(Vec<u32>, Vec<u8>), Damaged> {
        let mut block = Block::default();
        let (mut docids, mut impacts) = (Vec::new(), Vec::new());
        for b in 0..self.blocks() {
            self.decode(b, &mut block)?;
            docids.extend_from_slice(&block.docids[..block.len]);
            impacts.extend_from_slice(&block.impacts[..block.len]);
        }
        if docids.is_sorted_by(|a, b| a < b) { Ok((docids, impacts)) } else { Err(Damaged) }
    }

    /// Bytes of block `b` of a packed or stream list, up to the next block or the end of
    /// the list; `None` if there are none.
    #[inline]
    pub fn block_bytes(&self, b: usize) -> Option<&'a [u8]> {
        if self.offset.is_empty() {
            return (b == 0).then_some(self.bytes);
        }
        let start = *self.offset.get(b)? as usize;
        let end = self.offset.get(b + 1).map_or(self.bytes.len(), |&o| o as usize);
        self.bytes.get(start..end)
    }
}

#[cfg(test)]
pub(super) mod tests;
