//! Lists of terms that stand in an eighth of the documents or more.
//!
//! `ranks u32 × ⌈N/512⌉ | bitmap u64 × ⌈N/64⌉ | impacts u8 × df`, where a rank counts the
//! postings before its 512 documents. Blocks are fixed at 128 documents, so only their maxima
//! are kept.

use super::{Block, Encoded, List, Representation};
use crate::format::BLOCK;

/// Documents between two rank samples: eight words to count at most.
const RANK_STEP: usize = 512;
const WORDS_PER_RANK: usize = RANK_STEP / 64;

fn push_maxima(docids: &[u32], impacts: &[u8], documents: u32, out: &mut Encoded) {
    let first = out.max.len();
    out.max.resize(first + (documents as usize).div_ceil(BLOCK), 0);
    for (&docid, &impact) in docids.iter().zip(impacts) {
        let max = &mut out.max[first + docid as usize / BLOCK];
        *max = (*max).max(impact);
    }
}

/// Appends a list as a bitmap.
pub fn encode_bitmap(docids: &[u32], impacts: &[u8], documents: u32, out: &mut Encoded) {
    push_maxima(docids, impacts, documents, out);
    let mut words = vec![0u64; (documents as usize).div_ceil(64)];
    for &docid in docids {
        words[docid as usize / 64] |= 1 << (docid % 64);
    }
    let mut rank = 0u32;
    for words in words.chunks(WORDS_PER_RANK) {
        out.bytes.extend(rank.to_le_bytes());
        rank += words.iter().map(|w| w.count_ones()).sum::<u32>();
    }
    out.bytes.extend(words.iter().flat_map(|w| w.to_le_bytes()));
    out.bytes.extend_from_slice(impacts);
}

/// The three parts of a bitmap list.
#[derive(Debug, Clone, Copy)]
pub struct Bitmap<'a> {
    ranks: &'a [[u8; 4]],
    /// Little-endian words; bit `d % 64` of word `d / 64` says that document `d` has the term.
    pub words: &'a [[u8; 8]],
    /// Impacts of those documents in order.
    pub impacts: &'a [u8],
}

impl Bitmap<'_> {
    /// Postings before word `word`, as the ranks and the words say.
    #[inline]
    pub fn rank(&self, word: usize) -> Option<usize> {
        let sample = word / WORDS_PER_RANK;
        let before: u32 = self
            .words
            .get(sample * WORDS_PER_RANK..word)?
            .iter()
            .map(|&w| u64::from_le_bytes(w).count_ones())
            .sum();
        Some(u32::from_le_bytes(*self.ranks.get(sample)?) as usize + before as usize)
    }

    /// Place of the first impact of block `block` of 16 documents, and the block's bits.
    #[inline(always)]
    pub fn sixteen(&self, block: u32) -> Option<(usize, u16)> {
        let (word, shift) = (block as usize / 4, block % 4 * 16);
        let bits = u64::from_le_bytes(*self.words.get(word)?);
        let before = (bits & ((1u64 << shift) - 1)).count_ones() as usize;
        Some((self.rank(word)? + before, (bits >> shift) as u16))
    }

    /// Impact of a document, 0 if the term is not in it; `None` if the parts contradict
    /// each other.
    #[inline]
    pub fn impact(&self, docid: u32) -> Option<u8> {
        let word = docid as usize / 64;
        let (bits, bit) = (u64::from_le_bytes(*self.words.get(word)?), 1u64 << (docid % 64));
        if bits & bit == 0 {
            return Some(0);
        }
        let before = (bits & (bit - 1)).count_ones() as usize;
        self.impacts.get(self.rank(word)? + before).copied()
    }
}

impl<'a> List<'a> {
    /// The parts of a bitmap list; `None` if its length does not fit.
    #[inline]
    pub fn bitmap(&self) -> Option<Bitmap<'a>> {
        debug_assert_eq!(self.representation, Representation::Bitmap);
        let documents = self.documents as usize;
        let (ranks, rest) = self.bytes.split_at_checked(documents.div_ceil(RANK_STEP) * 4)?;
        let (words, impacts) = rest.split_at_checked(documents.div_ceil(64) * 8)?;
        Some(Bitmap { ranks: ranks.as_chunks().0, words: words.as_chunks().0, impacts })
    }
}

/// Decodes block `b` of a bitmap list.
pub fn decode_bitmap(list: &List<'_>, b: usize, out: &mut Block) -> Option<()> {
    let bitmap = list.bitmap()?;
    let first_word = b * (BLOCK / 64);
    let words = bitmap.words.get(first_word..)?;
    let mut len = 0;
    for (i, &word) in words.iter().take(BLOCK / 64).enumerate() {
        let mut bits = u64::from_le_bytes(word);
        let first = ((first_word + i) * 64) as u32;
        while bits != 0 {
            out.docids[len] = first + bits.trailing_zeros();
            len += 1;
            bits &= bits - 1;
        }
    }
    if len > 0 && out.docids[len - 1] >= list.documents {
        return None;
    }
    let rank = bitmap.rank(first_word)?;
    out.impacts[..len].copy_from_slice(bitmap.impacts.get(rank..rank + len)?);
    out.len = len;
    Some(())
}
