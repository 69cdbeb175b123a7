//! From lists of documents by term back to vectors by document.
//!
//! An inverted format gives no document before its last list is read. [`Transposed`]
//! reads the lists once for each range of documents whose postings fit its buffer, 1 GiB
//! unless it is told to take less: small collections in one pass, 1.3 billion postings in
//! ten.

use std::path::Path;

use super::{Size, TokenTable, VectorRecord, VectorSource};
use crate::error::{Error, Place, Result};

/// Bytes of postings held at a time by default.
pub(crate) const ROOM: u64 = 1 << 30;
/// Bytes of a posting: term and weight. A document takes two: its end, and where its next
/// posting goes.
const POSTING: u64 = 8;

/// A collection stored term by term, which can be read again and again.
pub(crate) trait Inverted {
    /// External id of each document and how many terms it has.
    fn documents(&self) -> &DocumentTable;

    /// Token strings by term id.
    fn tokens(&self) -> &TokenTable;

    /// Reads every posting as (term, docid, weight): terms ascending, docids below the
    /// number of documents, weights finite and > 0, each pair of term and docid once.
    fn scan(&mut self, visit: &mut dyn FnMut(u32, u32, f32)) -> Result<()>;

    /// What errors call it.
    fn path(&self) -> &std::path::Path;

    /// Reads [`documents`](Self::documents) and [`tokens`](Self::tokens); called first.
    fn load(&mut self) -> Result<()> {
        Ok(())
    }

    /// Its size before it is loaded, if there is something to load.
    fn size(&self) -> Option<Size> {
        None
    }
}

/// Ids and term counts of an inverted collection's documents, by docid.
#[derive(Debug, Default)]
pub(crate) struct DocumentTable {
    names: String,
    /// Where the id of each document lies in `names`; nowhere yet: empty.
    spans: Vec<(u64, u32)>,
    /// Terms of each document.
    pub terms: Vec<u32>,
}

impl DocumentTable {
    /// Bytes a document beside its id.
    pub(crate) const BYTES: u64 = 16 + 4;

    /// `documents` without names; `id_bytes` is how long those will be at most.
    pub(crate) fn new(documents: usize, id_bytes: usize) -> Self {
        DocumentTable {
            names: String::with_capacity(id_bytes),
            spans: vec![(0, 0); documents],
            terms: vec![0; documents],
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// The id of a document.
    pub(crate) fn name(&self, docid: usize) -> &str {
        let (start, len) = self.spans[docid];
        &self.names[start as usize..][..len as usize]
    }

    /// Names a document; `false` if it has a name or there is no such document.
    pub(crate) fn set_name(&mut self, docid: usize, name: &str) -> bool {
        match self.spans.get_mut(docid) {
            Some(span @ (_, 0)) => {
                *span = (self.names.len() as u64, name.len() as u32);
                self.names.push_str(name);
                true
            }
            _ => false,
        }
    }

    /// Bytes that it holds.
    fn memory(&self) -> u64 {
        Self::BYTES * self.len() as u64 + self.names.len() as u64
    }
}

/// Vectors of an [`Inverted`] collection in docid order; terms of a vector ascend by id.
pub(crate) struct Transposed<I> {
    lists: I,
    loaded: bool,
    /// Bytes of the buffer.
    room: u64,
    /// Documents of the buffer, and the next to hand out.
    range: std::ops::Range<usize>,
    next: usize,
    /// Where each document of the range ends in `terms` and `weights`.
    ends: Vec<u64>,
    terms: Vec<u32>,
    weights: Vec<f32>,
}

impl<I: Inverted> Transposed<I> {
    pub(crate) fn new(lists: I) -> Self {
        let (ends, terms, weights) = Default::default();
        let loaded = lists.size().is_none();
        Transposed { lists, loaded, room: ROOM, range: 0..0, next: 0, ends, terms, weights }
    }

    /// Reads the lists for the next range of documents.
    fn fill(&mut self) -> Result<()> {
        let counts = &self.lists.documents().terms;
        let start = self.range.end;
        let mut cursors = Vec::new();
        let mut sum = 0u64;
        for &count in &counts[start..] {
            let held = sum + u64::from(count) + 2 * (cursors.len() as u64 + 1);
            if !cursors.is_empty() && held * POSTING > self.room {
                break;
            }
            cursors.push(sum);
            sum += u64::from(count);
        }
        self.range = start..start + cursors.len();
        self.ends = cursors.iter().skip(1).copied().chain([sum]).collect();
        // Not resized: a vector that grows may take twice what it needs.
        (self.terms, self.weights) = (Vec::new(), Vec::new());
        (self.terms, self.weights) = (vec![0; sum as usize], vec![0.0; sum as usize]);
        let (mut placed, mut fits) = (0, true);
        let Transposed { lists, range, ends, terms, weights, .. } = self;
        lists.scan(&mut |term, docid, weight| {
            let Some(at) = (docid as usize).checked_sub(range.start) else { return };
            let Some(cursor) = cursors.get_mut(at) else { return };
            if *cursor == ends[at] {
                fits = false;
                return;
            }
            terms[*cursor as usize] = term;
            weights[*cursor as usize] = weight;
            *cursor += 1;
            placed += 1;
        })?;
        if !fits || placed != sum {
            let problem = "expected the same postings at every reading, found others";
            return Err(Error::data(self.lists.path(), Place::File, problem)
                .hint("do not change the file while it is read"));
        }
        Ok(())
    }
}

impl<I: Inverted> VectorSource for Transposed<I> {
    fn read(&mut self, record: &mut VectorRecord) -> Result<bool> {
        record.clear();
        if !self.loaded {
            self.prepare(self.room)?;
        }
        if self.next == self.lists.documents().len() {
            (self.ends, self.terms, self.weights) = Default::default();
            return Ok(false);
        }
        if self.next == self.range.end {
            self.fill()?;
        }
        let at = self.next - self.range.start;
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        let postings = start..self.ends[at] as usize;
        record.id.push_str(self.lists.documents().name(self.next));
        record.terms.extend_from_slice(&self.terms[postings.clone()]);
        record.weights.extend_from_slice(&self.weights[postings]);
        self.next += 1;
        Ok(true)
    }

    fn tokens(&self) -> &TokenTable {
        self.lists.tokens()
    }

    fn place(&self) -> Option<(&Path, Place)> {
        Some((self.lists.path(), Place::File))
    }

    fn len_hint(&self) -> Option<u64> {
        match self.loaded {
            true => Some(self.lists.documents().len() as u64),
            false => self.lists.size().map(|size| size.documents),
        }
    }

    fn size(&self) -> Option<Size> {
        self.lists.size()
    }

    fn prepare(&mut self, room: u64) -> Result<()> {
        self.room = room;
        if !std::mem::replace(&mut self.loaded, true) {
            self.lists.load()?;
        }
        Ok(())
    }

    fn memory(&self) -> u64 {
        let buffer = (self.terms.len() + 2 * self.ends.len()) as u64 * POSTING;
        self.lists.documents().memory() + 160 * self.lists.tokens().len() as u64 + buffer
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct LoneLists {
        documents: DocumentTable,
        tokens: TokenTable,
        lists: Vec<Vec<(u32, f32)>>,
    }

    impl LoneLists {
        fn of(vectors: &[Vec<(u32, f32)>], terms: u32) -> Self {
            let mut lists = vec![Vec::new(); terms as usize];
            for (docid, vector) in vectors.iter().enumerate() {
                vector.iter().for_each(|&(t, w)| lists[t as usize].push((docid as u32, w)));
            }
            let mut documents = DocumentTable::new(vectors.len(), 0);
            for (i, vector) in vectors.iter().enumerate() {
                assert!(documents.set_name(i, &format!("d{i}")));
                documents.terms[i] = vector.len() as u32;
            }
            let tokens = TokenTable::from_tokens((0..terms).map(|t| t.to_string()));
            LoneLists { documents, tokens, lists }
        }
    }

    impl Inverted for LoneLists {
        fn documents(&self) -> &DocumentTable {
            &self.documents
        }

        fn tokens(&self) -> &TokenTable {
            &self.tokens
        }

        fn scan(&mut self, visit: &mut dyn FnMut(u32, u32, f32)) -> Result<()> {
            for (term, list) in self.lists.iter().enumerate() {
                list.iter().for_each(|&(docid, weight)| visit(term as u32, docid, weight));
            }
            Ok(())
        }

        fn path(&self) -> &std::path::Path {
            std::path::Path::new("lists")
        }
    }

    fn vectors() -> impl Strategy<Value = Vec<Vec<(u32, f32)>>> {
        let vector = prop::collection::btree_map(0u32..20, 1u16..300, 0..12);
        let plain = |v: std::collections::BTreeMap<u32, u16>| {
            v.into_iter().map(|(t, w)| (t, f32::from(w))).collect()
        };
        prop::collection::vec(vector.prop_map(plain), 0..40)
    }

    proptest! {
        #[test]
        fn every_buffer_size_gives_the_vectors(vectors in vectors(), room in 1u64..600) {
            let mut source = Transposed::new(LoneLists::of(&vectors, 20));
            source.prepare(room).unwrap();
            let mut record = VectorRecord::default();
            for (i, vector) in vectors.iter().enumerate() {
                prop_assert!(source.read(&mut record).unwrap());
                prop_assert_eq!(&record.id, &format!("d{}", i));
                let found: Vec<(u32, f32)> =
                    record.terms.iter().copied().zip(record.weights.iter().copied()).collect();
                prop_assert_eq!(&found, vector);
            }
            prop_assert!(!source.read(&mut record).unwrap());
        }
    }

    #[test]
    fn lists_that_change_between_readings_are_an_error() {
        let mut lists = LoneLists::of(&[vec![(0, 1.0)], vec![(1, 2.0)]], 2);
        lists.lists[1].clear();
        let mut source = Transposed::new(lists);
        source.prepare(1).unwrap();
        let mut record = VectorRecord::default();
        assert!(source.read(&mut record).unwrap());
        assert!(source.read(&mut record).unwrap_err().to_string().contains("do not change"));
    }
}
