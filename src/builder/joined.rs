//! Records of two sources of the same documents, joined into one of two fields.

use std::path::{Path, PathBuf};

use crate::error::{Error, Place, Result};
use crate::vectors::{Size, TokenTable, VectorRecord, VectorSource};

/// The key of a token in LEXICON: its field byte, then its own bytes.
pub(super) fn key(field: u8, token: &str) -> String {
    let mut key = String::with_capacity(token.len() + 1);
    key.push(char::from(field));
    key.push_str(token);
    key
}

/// A source whose terms become ids of the collection's key table.
pub(super) struct Interned<'a> {
    source: &'a mut dyn VectorSource,
    field: u8,
    /// The collection's id of each of the source's terms.
    ids: Vec<u32>,
}

impl<'a> Interned<'a> {
    pub(super) fn new(field: u8, source: &'a mut dyn VectorSource) -> Self {
        Interned { source, field, ids: Vec::new() }
    }

    /// Reads the next record; `false` at the end.
    pub(super) fn read(
        &mut self,
        keys: &mut TokenTable,
        record: &mut VectorRecord,
    ) -> Result<bool> {
        if !self.source.read(record)? {
            return Ok(false);
        }
        let tokens = self.source.tokens();
        for new in self.ids.len()..tokens.len() {
            self.ids.push(keys.intern(&key(self.field, tokens.token(new as u32))));
        }
        record.terms.iter_mut().for_each(|term| *term = self.ids[*term as usize]);
        Ok(true)
    }

    pub(super) fn memory(&self) -> u64 {
        self.source.memory()
    }

    pub(super) fn done(&self) -> Option<f64> {
        self.source.done()
    }

    pub(super) fn zero_weights(&self) -> u64 {
        self.source.zero_weights()
    }
}

/// The source of field 1, read in step with that of field 0.
pub(super) struct Second<'a> {
    source: Interned<'a>,
    path: PathBuf,
    record: VectorRecord,
    /// Documents of the collection so far.
    documents: u64,
}

impl<'a> Second<'a> {
    /// `documents` come before the first; `path` is for errors.
    pub(super) fn new(path: &Path, source: &'a mut dyn VectorSource, documents: u64) -> Self {
        let (source, path) = (Interned::new(1, source), path.to_owned());
        Second { source, path, record: VectorRecord::default(), documents }
    }

    /// Appends the next record's terms to `first`, which is of the same document.
    pub(super) fn join(&mut self, keys: &mut TokenTable, first: &mut VectorRecord) -> Result<()> {
        self.documents += 1;
        let found = match self.source.read(keys, &mut self.record)? {
            true if self.record.id == first.id => {
                first.terms.extend_from_slice(&self.record.terms);
                first.weights.extend_from_slice(&self.record.weights);
                return Ok(());
            }
            true => format!("{:?}", self.record.id),
            false => "the end of the texts".into(),
        };
        Err(self.differs(format!("document {:?} as in the vectors", first.id), &found))
    }

    /// What it adds to the documents of the vectors.
    pub(super) fn size(&self) -> Option<Size> {
        Some(Size { documents: 0, id_bytes: [0; 2], ..self.source.source.size()? })
    }

    /// Checks that the texts end where the vectors do.
    pub(super) fn end(mut self, keys: &mut TokenTable) -> Result<()> {
        if !self.source.read(keys, &mut self.record)? {
            return Ok(());
        }
        self.documents += 1;
        Err(self.differs("the end, as in the vectors".into(), &format!("{:?}", self.record.id)))
    }

    fn differs(&self, expected: String, found: &str) -> Error {
        let problem = format!("expected {expected}, found {found}");
        Error::data(&self.path, Place::Record(self.documents), problem)
            .hint("give the texts that the vectors were made of, in the same order")
    }

    pub(super) fn memory(&self) -> u64 {
        self.source.memory()
    }
}
