//! Attributes beside a collection: read, matched to documents by their ids, made columns.

mod gather;
mod merged;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::{BuildOptions, Collection, Memory};
use crate::corpus::{AttributeReader, AttributeRecord};
use crate::error::{Error, Place, Result};
use crate::format::attributes::encode;
use crate::format::names::NameTable;
use crate::progress::{Progress, advance};
use gather::Gathered;
pub(super) use merged::merged;

/// Where attributes come from.
#[derive(Debug, Clone)]
pub enum AttributeSource {
    /// A file of attributes.
    File(PathBuf),
    /// These fields of a JSON Lines file of documents.
    Fields(PathBuf, Vec<String>),
    /// Records of the caller's.
    Records(Arc<Vec<AttributeRecord>>),
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct AttributeReport {
    /// Keys that documents have.
    pub keys: u64,
    /// Documents with a key.
    pub documents: u64,
    /// Records whose id no document has: they are left out.
    pub unknown: u64,
    /// The first of those ids.
    pub first_unknown: Option<String>,
}

/// Documents by their ids; those that come in the collection's order are found without a search.
struct Ordinals<'a> {
    names: &'a NameTable,
    sorted: Vec<u32>,
    next: usize,
}

impl<'a> Ordinals<'a> {
    fn new(names: &'a NameTable) -> Self {
        Ordinals { names, sorted: names.sorted(), next: 0 }
    }

    fn find(&mut self, id: &str) -> Option<u32> {
        let name = |ordinal: usize| self.names.get(ordinal);
        if self.next >= self.names.len() || name(self.next) != id.as_bytes() {
            let found = |&ordinal: &u32| name(ordinal as usize).cmp(id.as_bytes());
            self.next = self.sorted[self.sorted.binary_search_by(found).ok()?] as usize;
        }
        self.next += 1;
        Some(self.next as u32 - 1)
    }
}

/// Records between two looks at the memory.
const STEP: u64 = 1 << 12;

impl Collection {
    /// Reads attributes of the documents that were read; nothing without a source. Ids that no
    /// document has are counted: a shard's attributes are those of the whole collection.
    ///
    /// # Errors
    /// An id twice in a source; a key whose values are of several types; no known id at all; a
    /// named field that no record has; memory too small.
    pub fn read_attributes(
        &mut self,
        sources: &[AttributeSource],
        options: &BuildOptions,
        progress: &dyn Progress,
    ) -> Result<()> {
        if sources.is_empty() {
            return Ok(());
        }
        let (held, documents) = (self.held(), self.len());
        let mut reading = Reading {
            ordinals: Ordinals::new(self.names()),
            gathered: Gathered::default(),
            any: vec![0; documents.div_ceil(64)],
            report: AttributeReport::default(),
            memory: (options.memory, held),
            read: 0,
            progress,
        };
        progress.begin("reading attributes", 0);
        for source in sources {
            reading.source(source)?;
        }
        if reading.read > 0
            && reading.report.unknown == reading.read
            && options.shard.count == 0
            && let Some(id) = &reading.report.first_unknown
        {
            return Err(Error::Usage(format!(
                "`attributes`: expected ids of the collection's documents, found none of them: the \
                 first is {id:?}"
            )));
        }
        reading.check_memory()?;
        let Reading { gathered, any, mut report, .. } = reading;
        let section = encode(gathered.columns(|ordinal| {
            String::from_utf8_lossy(self.names().get(ordinal as usize)).into_owned()
        })?)?;
        report.documents = any.iter().map(|word: &u64| u64::from(word.count_ones())).sum();
        report.keys = u64::from(u32::from_le_bytes(
            *section.first_chunk().expect("the section begins with a count"),
        ));
        self.set_attributes(section, report);
        Ok(())
    }
}

/// Sources on their way into columns.
struct Reading<'a> {
    ordinals: Ordinals<'a>,
    gathered: Gathered,
    /// Documents with a value, a bit each.
    any: Vec<u64>,
    report: AttributeReport,
    memory: (Memory, u64),
    read: u64,
    progress: &'a dyn Progress,
}

impl Reading<'_> {
    fn source(&mut self, source: &AttributeSource) -> Result<()> {
        // An id is there once in a source; several sources may speak of the same documents.
        let mut seen = vec![0u64; self.any.len()];
        match source {
            AttributeSource::Records(records) => {
                for (number, record) in (1..).zip(&**records) {
                    let place = || format!("record {number} of `attributes`");
                    self.record(record, &mut seen, &place)
                        .map_err(|problem| Error::Usage(format!("{}: {problem}", place())))?;
                    self.step()?;
                }
            }
            AttributeSource::File(path) => {
                self.lines(AttributeReader::open(path, None)?, path.display(), &mut seen)?;
            }
            AttributeSource::Fields(path, keys) => {
                let reader = AttributeReader::open(path, Some(keys))?;
                self.lines(reader, path.display(), &mut seen)?;
                if let Some(key) = keys.iter().find(|key| !self.gathered.has(key)) {
                    let problem = format!("expected records with a field {key:?}, found none");
                    return Err(Error::data(path, Place::File, problem)
                        .hint("`attribute_fields` names fields of the documents"));
                }
            }
        }
        Ok(())
    }

    fn lines(
        &mut self,
        mut reader: AttributeReader,
        path: impl fmt::Display,
        seen: &mut [u64],
    ) -> Result<()> {
        while let Some(record) = reader.read()? {
            let place = || format!("{path}:{}", reader.line());
            self.record(&record, seen, &place).map_err(|problem| reader.error(problem))?;
            self.step()?;
        }
        Ok(())
    }

    fn record(
        &mut self,
        record: &AttributeRecord,
        seen: &mut [u64],
        place: &dyn Fn() -> String,
    ) -> Result<(), String> {
        self.read += 1;
        let AttributeRecord { id, values } = record;
        let Some(ordinal) = self.ordinals.find(id) else {
            self.report.unknown += 1;
            self.report.first_unknown.get_or_insert_with(|| id.clone());
            return Ok(());
        };
        let (word, bit) = (ordinal as usize / 64, 1 << (ordinal % 64));
        if seen[word] & bit != 0 {
            return Err(format!("expected each id once, found {id:?} a second time"));
        }
        seen[word] |= bit;
        for (key, value) in values {
            self.gathered.add(key, value, ordinal, place)?;
            self.any[word] |= bit;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        if self.read.is_multiple_of(STEP) {
            self.check_memory()?;
            advance(self.progress, STEP)?;
        }
        Ok(())
    }

    fn check_memory(&self) -> Result<()> {
        let (memory, held) = self.memory;
        let tables = 4 * self.ordinals.sorted.len() as u64 + 16 * self.any.len() as u64;
        memory.check(held, tables + self.gathered.memory(), "reading the attributes")
    }
}

#[cfg(test)]
mod tests;
