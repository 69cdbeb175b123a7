//! Documents between reading and inversion: chunks of term ids and values, in memory
//! while that lasts, then in a temporary file.

use std::path::Path;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::error::Result;
use crate::spill::Spill;

/// A chunk is sealed at this many postings: large enough for sequential disk access,
/// small enough to be nothing beside the memory limit.
const CHUNK_POSTINGS: usize = 1 << 18;
/// Or at this many documents, for collections of nearly empty ones.
const CHUNK_DOCUMENTS: usize = 1 << 16;

/// Value of a posting: a weight (f32) or an impact (u8).
pub(super) trait Value: Copy + IntoBytes + FromBytes + Immutable {}
impl Value for f32 {}
impl Value for u8 {}

/// Consecutive documents, ready to work on.
#[derive(Debug, Clone)]
pub(super) struct Chunk<W> {
    /// Where each document's postings end.
    pub(super) ends: Vec<u32>,
    pub(super) terms: Vec<u32>,
    pub(super) values: Vec<W>,
}

impl<W> Default for Chunk<W> {
    fn default() -> Self {
        Chunk { ends: Vec::new(), terms: Vec::new(), values: Vec::new() }
    }
}

impl<W: Value> Chunk<W> {
    /// Terms and values of each document.
    pub(super) fn documents(&self) -> impl Iterator<Item = (&[u32], &[W])> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let range = start..end as usize;
            start = end as usize;
            (&self.terms[range.clone()], &self.values[range])
        })
    }

    /// Ends a document whose postings were pushed.
    pub(super) fn end_document(&mut self) {
        self.ends.push(self.terms.len() as u32);
    }

    fn clear(&mut self) {
        self.ends.clear();
        self.terms.clear();
        self.values.clear();
    }

    fn pack(&self) -> PackedChunk {
        let narrow = self.terms.iter().all(|&t| t <= u32::from(u16::MAX));
        let width = if narrow { 2 } else { 4 };
        let postings = self.terms.len();
        let mut bytes =
            Vec::with_capacity(self.ends.len() * 4 + postings * (width + size_of::<W>()));
        bytes.extend_from_slice(self.ends.as_bytes());
        if narrow {
            bytes.extend(self.terms.iter().flat_map(|&t| (t as u16).to_ne_bytes()));
        } else {
            bytes.extend_from_slice(self.terms.as_bytes());
        }
        bytes.extend_from_slice(self.values.as_bytes());
        PackedChunk { shape: ChunkShape { documents: self.ends.len(), postings, narrow }, bytes }
    }

    /// Replaces the contents by those of a packed chunk.
    fn unpack(&mut self, shape: ChunkShape, bytes: &[u8]) {
        self.clear();
        let (ends, rest) = bytes.split_at(shape.documents * 4);
        self.ends.resize(shape.documents, 0);
        self.ends.as_mut_bytes().copy_from_slice(ends);
        let (terms, values) = rest.split_at(shape.postings * if shape.narrow { 2 } else { 4 });
        if shape.narrow {
            let (pairs, _) = terms.as_chunks::<2>();
            self.terms.extend(pairs.iter().map(|&pair| u32::from(u16::from_ne_bytes(pair))));
        } else {
            self.terms.resize(shape.postings, 0);
            self.terms.as_mut_bytes().copy_from_slice(terms);
        }
        self.values.resize(shape.postings, W::new_zeroed());
        self.values.as_mut_bytes().copy_from_slice(values);
    }
}

/// What the bytes of a packed chunk mean.
#[derive(Debug, Clone, Copy)]
struct ChunkShape {
    documents: usize,
    postings: usize,
    narrow: bool,
}

struct PackedChunk {
    shape: ChunkShape,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Place {
    Memory(Vec<u8>),
    File { at: u64, len: usize },
}

/// All documents, in input order.
#[derive(Debug)]
pub(super) struct Spool<W> {
    chunks: Vec<(ChunkShape, Place)>,
    open: Chunk<W>,
    in_memory: u64,
    file: Option<Spill>,
}

impl<W> Default for Spool<W> {
    fn default() -> Self {
        Spool { chunks: Vec::new(), open: Chunk::default(), in_memory: 0, file: None }
    }
}

impl<W: Value> Spool<W> {
    /// The chunk that documents are pushed to.
    pub(super) fn open(&mut self) -> &mut Chunk<W> {
        &mut self.open
    }

    /// Whether the open chunk is large enough to be sealed.
    pub(super) fn is_full(&self) -> bool {
        self.open.terms.len() >= CHUNK_POSTINGS || self.open.ends.len() >= CHUNK_DOCUMENTS
    }

    /// Packs the open chunk away; into the file, once there is one.
    pub(super) fn seal(&mut self) -> Result<()> {
        if self.open.ends.is_empty() {
            return Ok(());
        }
        let PackedChunk { shape, bytes } = self.open.pack();
        let place = match &mut self.file {
            Some(file) => Place::File { at: file.append(&bytes)?, len: bytes.len() },
            None => {
                self.in_memory += bytes.len() as u64;
                Place::Memory(bytes)
            }
        };
        self.chunks.push((shape, place));
        self.open.clear();
        Ok(())
    }

    /// Ends writing: seals what is left and frees the buffers.
    pub(super) fn close(&mut self) -> Result<()> {
        self.seal()?;
        self.open = Chunk::default();
        Ok(())
    }

    /// Moves everything that is in memory to a file in `dir`, where later chunks go too.
    pub(super) fn spill(&mut self, dir: &Path) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(Spill::create(dir)?),
        };
        for (_, place) in &mut self.chunks {
            if let Place::Memory(bytes) = place {
                *place = Place::File { at: file.append(bytes)?, len: bytes.len() };
            }
        }
        self.in_memory = 0;
        Ok(())
    }

    /// Number of sealed chunks.
    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Documents and postings of chunk `i`.
    pub(super) fn shape(&self, i: usize) -> (usize, usize) {
        (self.chunks[i].0.documents, self.chunks[i].0.postings)
    }

    /// Reads chunk `i` into `chunk`; `buffer` is for bytes from the file.
    pub(super) fn read(&self, i: usize, chunk: &mut Chunk<W>, buffer: &mut Vec<u8>) -> Result<()> {
        let (shape, place) = &self.chunks[i];
        match (place, &self.file) {
            (Place::File { at, len }, Some(file)) => {
                buffer.resize(*len, 0);
                file.read(buffer, *at)?;
                chunk.unpack(*shape, buffer);
            }
            (Place::Memory(bytes), _) => chunk.unpack(*shape, bytes),
            (Place::File { .. }, None) => unreachable!("chunks go to a file that stays open"),
        }
        Ok(())
    }

    /// Copies the chunk that is still open; `false` if it is empty.
    pub(super) fn read_open(&self, chunk: &mut Chunk<W>) -> bool {
        chunk.clone_from(&self.open);
        !chunk.ends.is_empty()
    }

    /// Frees chunk `i` in memory; it is not read again.
    pub(super) fn forget(&mut self, i: usize) {
        if let Place::Memory(bytes) = &mut self.chunks[i].1 {
            self.in_memory -= bytes.len() as u64;
            *bytes = Vec::new();
        }
    }

    /// Every chunk in turn.
    pub(super) fn for_each(&self, mut chunk: impl FnMut(&Chunk<W>)) -> Result<()> {
        let (mut buffer, mut read) = (Vec::new(), Chunk::default());
        for i in 0..self.len() {
            self.read(i, &mut read, &mut buffer)?;
            chunk(&read);
        }
        Ok(())
    }

    /// Whether documents go to a file.
    pub(super) fn is_spilled(&self) -> bool {
        self.file.is_some()
    }

    /// Bytes of packed chunks in memory.
    pub(super) fn in_memory(&self) -> u64 {
        self.in_memory
    }

    /// Bytes in the file.
    pub(super) fn on_disk(&self) -> u64 {
        self.file.as_ref().map_or(0, Spill::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Document = Vec<(u32, f32)>;

    fn spool(documents: &[Document], spill_at: usize, dir: &Path) -> Spool<f32> {
        let mut spool = Spool::default();
        for (i, document) in documents.iter().enumerate() {
            for &(term, weight) in document {
                spool.open().terms.push(term);
                spool.open().values.push(weight);
            }
            spool.open().end_document();
            if i % 3 == 0 {
                spool.seal().unwrap();
            }
            if i == spill_at {
                spool.spill(dir).unwrap();
            }
        }
        spool.close().unwrap();
        spool
    }

    proptest! {
        #[test]
        fn documents_come_back_from_memory_and_from_the_file(
            documents in prop::collection::vec(
                prop::collection::vec((prop_oneof![0u32..9, 65_530u32..65_540], 0.1f32..9.0), 0..9),
                0..20,
            ),
            spill_at in 0usize..25,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let spool = spool(&documents, spill_at, dir.path());
            prop_assert_eq!(spool.is_spilled(), spill_at < documents.len());
            prop_assert!(!spool.is_spilled() || spool.in_memory() == 0);
            let mut found: Vec<Document> = Vec::new();
            spool.for_each(|chunk| {
                found.extend(chunk.documents().map(|(terms, weights)| {
                    terms.iter().copied().zip(weights.iter().copied()).collect::<Document>()
                }));
            }).unwrap();
            prop_assert_eq!(found, documents);
        }
    }
}
