//! The stream of texts that a store is made of: taken block by block, and again when a run is
//! resumed.

use crate::corpus::TextRecord;
use crate::error::{Error, Result};
use crate::vectors::store::{BlockEntry, check_input};

/// Errors of skipped records that a report shows.
const SHOWN_ERRORS: usize = 5;

/// The stream, with account of what was taken from it.
pub(super) struct Input<I> {
    records: I,
    skip_bad: bool,
    /// Documents still to hand out.
    left: u64,
    /// The first errors of skipped records.
    pub errors: Vec<Error>,
}

/// Up to a block's worth of the stream.
pub(super) struct Taken {
    pub records: Vec<TextRecord>,
    pub consumed: u64,
    pub skipped: u64,
    pub crc: u32,
}

impl<I: Iterator<Item = Result<TextRecord>>> Input<I> {
    /// The stream, of which `left` documents are wanted at most.
    pub fn new(records: I, skip_bad: bool, left: u64) -> Self {
        Input { records, skip_bad, left, errors: Vec::new() }
    }

    /// The next record or the next bad one; `None` at the end.
    fn next(&mut self) -> Result<Option<Option<TextRecord>>> {
        match self.records.next() {
            None => Ok(None),
            Some(Ok(record)) => Ok(Some(Some(record))),
            Some(Err(error)) if self.skip_bad && error.is_one_record() => {
                if self.errors.len() < SHOWN_ERRORS {
                    self.errors.push(error);
                }
                Ok(Some(None))
            }
            Some(Err(error)) => Err(error),
        }
    }

    /// Passes over `documents` good records.
    pub fn discard(&mut self, mut documents: u64) -> Result<()> {
        while documents > 0 {
            match self.next()? {
                None => return Ok(()),
                Some(record) => documents -= u64::from(record.is_some()),
            }
        }
        Ok(())
    }

    /// Up to `size` documents; nothing consumed at the end.
    pub fn block(&mut self, size: u64) -> Result<Taken> {
        let mut taken = Taken { records: Vec::new(), consumed: 0, skipped: 0, crc: 0 };
        let mut crc = crc32fast::Hasher::new();
        while (taken.records.len() as u64) < size.min(self.left) {
            let Some(record) = self.next()? else { break };
            taken.consumed += 1;
            match record {
                Some(record) => {
                    add_to_crc(&mut crc, &record);
                    taken.records.push(record);
                }
                None => taken.skipped += 1,
            }
        }
        self.left -= taken.records.len() as u64;
        taken.crc = crc.finalize();
        Ok(taken)
    }

    /// Reads what a block of an earlier run had read, from document `first` (from 0) on, and
    /// checks that it is the same; where the next begins. `each` is given the documents.
    pub fn check_resumed(
        &mut self,
        entry: &BlockEntry,
        first: u64,
        each: &mut dyn FnMut(&TextRecord) -> Result<()>,
    ) -> Result<u64> {
        let (mut crc, mut documents) = (crc32fast::Hasher::new(), 0);
        let mut last = None;
        for _ in 0..entry.consumed {
            if let Some(record) = self.next()?.flatten() {
                add_to_crc(&mut crc, &record);
                each(&record)?;
                documents += 1;
                last = Some((record.path, record.place));
            }
        }
        self.left -= documents;
        let last = last.as_ref().map(|(path, place)| (&**path, place));
        check_input(entry, first, (documents, crc.finalize()), last)?;
        Ok(first + documents)
    }
}

fn add_to_crc(crc: &mut crc32fast::Hasher, record: &TextRecord) {
    for part in [&record.id, &record.text] {
        crc.update(&(part.len() as u64).to_le_bytes());
        crc.update(part.as_bytes());
    }
}
