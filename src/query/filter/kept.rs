//! The documents that a filter keeps, by docid of one index.

use std::fmt;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::super::cursor::END;
use crate::error::{Error, Result};
use crate::format::{WINDOW, skip};
use crate::index::{Index, TermId};

/// At most one in so many documents is few.
const FEW: u32 = 32;

/// The documents of one index that may be answers. A clone costs one atomic addition.
#[derive(Clone)]
pub struct Filter(Arc<Kept>);

/// As algorithms ask for them.
#[derive(PartialEq, Eq)]
pub(in crate::query) struct Kept {
    content_id: [u8; 16],
    documents: u32,
    len: u32,
    /// A bit a docid.
    words: Vec<u64>,
    /// Their docids, if they are few.
    few: Vec<u32>,
    /// Windows with a kept document.
    windows: u32,
}

impl Filter {
    /// The documents with these ordinals.
    pub(super) fn of_ordinals(index: &Index, ordinals: &RoaringBitmap) -> Self {
        let documents = index.documents();
        let mut words = vec![0u64; documents.div_ceil(64) as usize];
        for ordinal in ordinals.iter().take_while(|&ordinal| ordinal < documents) {
            words[ordinal as usize / 64] |= 1 << (ordinal % 64);
        }
        if let Some(order) = index.order() {
            let mut by_docid = vec![0u64; words.len()];
            for (docid, &ordinal) in order.iter().enumerate() {
                // A damaged ORDER may name no document.
                let word = words.get(ordinal as usize / 64).copied().unwrap_or(0);
                by_docid[docid / 64] |= (word >> (ordinal % 64) & 1) << (docid % 64);
            }
            words = by_docid;
        }
        Self::of_words(index, words)
    }

    fn of_words(index: &Index, words: Vec<u64>) -> Self {
        Self::new_kept(index.content_bytes(), index.documents(), words)
    }

    fn new_kept(content_id: [u8; 16], documents: u32, words: Vec<u64>) -> Self {
        let windows = words.chunks(WINDOW as usize / 64);
        let windows = windows.filter(|words| words.iter().any(|&word| word != 0)).count() as u32;
        let len = words.iter().map(|word| word.count_ones()).sum();
        let mut kept = Kept { content_id, documents, len, words, few: Vec::new(), windows };
        if len <= documents / FEW {
            let mut few = Vec::with_capacity(len as usize);
            kept.each(0, documents, |docid| few.push(docid));
            kept.few = few;
        }
        Filter(Arc::new(kept))
    }

    /// The documents that have all terms of `required` and none of `excluded`. Reads those lists
    /// whole.
    ///
    /// # Errors
    /// A damaged list.
    pub fn of_terms(index: &Index, required: &[TermId], excluded: &[TermId]) -> Result<Self> {
        let mut kept = vec![u64::MAX; index.documents().div_ceil(64) as usize];
        if let (Some(last), rest @ 1..) = (kept.last_mut(), index.documents() % 64) {
            *last = (1 << rest) - 1;
        }
        let marked = |term: TermId| {
            let (docids, _) = index.list(term)?.decode_all().map_err(|_| index.damaged(term))?;
            let mut words = vec![0u64; index.documents().div_ceil(64) as usize];
            docids.iter().for_each(|&docid| words[docid as usize / 64] |= 1 << (docid % 64));
            Ok::<_, Error>(words)
        };
        for &term in required {
            kept.iter_mut().zip(marked(term)?).for_each(|(kept, with)| *kept &= with);
        }
        for &term in excluded {
            kept.iter_mut().zip(marked(term)?).for_each(|(kept, with)| *kept &= !with);
        }
        Ok(Self::of_words(index, kept))
    }

    /// The documents that both keep.
    ///
    /// # Panics
    /// If they are of different indexes.
    pub fn and(&self, other: &Filter) -> Self {
        let (a, b) = (&self.0, &other.0);
        assert_eq!(a.content_id, b.content_id, "filters of one index");
        let words: Vec<u64> = a.words.iter().zip(&b.words).map(|(a, b)| a & b).collect();
        Self::new_kept(a.content_id, a.documents, words)
    }

    /// The documents that it keeps and `other` does not.
    ///
    /// # Panics
    /// If they are of different indexes.
    pub fn without(&self, other: &Filter) -> Self {
        let (a, b) = (&self.0, &other.0);
        assert_eq!(a.content_id, b.content_id, "filters of one index");
        let words: Vec<u64> = a.words.iter().zip(&b.words).map(|(a, b)| a & !b).collect();
        Self::new_kept(a.content_id, a.documents, words)
    }

    /// Documents that are kept.
    pub fn len(&self) -> u32 {
        self.0.len
    }

    /// Whether it keeps no document.
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// Documents of its index.
    pub fn documents(&self) -> u32 {
        self.0.documents
    }

    /// Whether a document is kept; `index` is the one it was made for.
    pub fn keeps(&self, index: &Index, ordinal: u32) -> bool {
        index.docid(ordinal).is_some_and(|docid| self.0.keeps(docid))
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        8 * self.0.words.len()
    }

    /// Refuses an index that it was not made for.
    pub(in crate::query) fn kept_of(&self, index: &Index) -> Result<&Kept> {
        match self.0.content_id == index.content_bytes() {
            true => Ok(&self.0),
            false => Err(Error::Usage(
                "`filter` was compiled for another index than this: compile it again".into(),
            )),
        }
    }
}

/// Whether they keep the same documents of the same index.
impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for Filter {}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({} of {} documents)", self.0.len, self.0.documents)
    }
}

impl Kept {
    pub(in crate::query) fn len(&self) -> u32 {
        self.len
    }

    /// The kept docids, if they are few: empty also where none is kept.
    pub(in crate::query) fn few(&self) -> Option<&[u32]> {
        (self.len as usize == self.few.len()).then_some(&self.few)
    }

    /// Share of the index's windows that have a kept document.
    pub(in crate::query) fn share_of_windows(&self) -> f64 {
        f64::from(self.windows) / f64::from(self.documents.div_ceil(WINDOW).max(1))
    }

    #[inline]
    pub(in crate::query) fn keeps(&self, docid: u32) -> bool {
        let word = self.words.get(docid as usize / 64).copied().unwrap_or(0);
        word >> (docid % 64) & 1 != 0
    }

    /// The first kept document from `docid` on, or [`END`].
    #[inline]
    pub(in crate::query) fn next(&self, docid: u32) -> u32 {
        let mut at = docid as usize / 64;
        let Some(&word) = self.words.get(at) else { return END };
        let mut word = word >> (docid % 64) << (docid % 64);
        while word == 0 {
            at += 1;
            match self.words.get(at) {
                Some(&next) => word = next,
                None => return END,
            }
        }
        at as u32 * 64 + word.trailing_zeros()
    }

    /// Calls `each` with the kept documents of a range that begins at a multiple of 64.
    #[inline]
    pub(in crate::query) fn each(&self, first: u32, len: u32, mut each: impl FnMut(u32)) {
        let from = first as usize / 64;
        let words = self.words.iter().enumerate().skip(from).take(len.div_ceil(64) as usize);
        for (at, &word) in words {
            let mut word = word;
            while word != 0 {
                each(at as u32 * 64 + word.trailing_zeros());
                word &= word - 1;
            }
        }
    }

    /// Kept documents of a range that begins at a multiple of 64.
    #[inline]
    pub(in crate::query) fn count(&self, first: u32, len: u32) -> u32 {
        let words = self.words.iter().skip(first as usize / 64).take(len.div_ceil(64) as usize);
        words.map(|word| word.count_ones()).sum()
    }

    /// Whether a unit of skip data has a kept document.
    #[inline]
    pub(in crate::query) fn unit(&self, unit: usize) -> bool {
        const WORDS: usize = skip::UNIT as usize / 64;
        self.words.iter().skip(unit * WORDS).take(WORDS).any(|&word| word != 0)
    }

    /// Whether a block of 16 documents has a kept one.
    #[inline]
    pub(in crate::query) fn block(&self, block: u32) -> bool {
        let word = self.words.get(block as usize / 4).copied().unwrap_or(0);
        word >> (block % 4 * 16) & 0xFFFF != 0
    }
}
