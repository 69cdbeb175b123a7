//! Tables from 128-bit digests to numbers, in memory or sorted in a temporary file: what tells
//! which of a hundred million texts or ids is known.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::spill::Spill;

/// The first half of the BLAKE3 digest of `bytes`. With 10^10 different ones, two share a digest with
/// a chance of 10^-19.
pub(crate) fn digest(bytes: &[u8]) -> u128 {
    first_half(blake3::hash(bytes).as_bytes())
}

/// The first 16 bytes of a digest as a number.
pub(crate) fn first_half(digest: &[u8; 32]) -> u128 {
    let (half, _) = digest.split_first_chunk().expect("a digest has 32 bytes");
    u128::from_le_bytes(*half)
}

/// A digest and its number, ordered by digest, then number. In 24 bytes: a `u128` would be aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    high: u64,
    low: u64,
    value: u64,
}

/// Bytes of an entry, in memory and in a file.
const ENTRY: usize = 24;
/// Entries that one look-up in a file reads: 4 KB.
const PAGE: usize = 170;
/// Entries that each run has in memory while runs are merged.
const BUFFER: usize = 16 * PAGE;

impl Entry {
    fn digest(&self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }

    fn write(&self, out: &mut Vec<u8>) {
        [self.high, self.low, self.value].iter().for_each(|n| out.extend(n.to_le_bytes()));
    }

    fn read(bytes: &[u8]) -> Self {
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        Entry { high: number(0), low: number(8), value: number(16) }
    }
}

/// Collects what a [`Lookup`] will hold.
pub(crate) struct LookupBuilder {
    entries: Vec<Entry>,
    /// Entries in memory at most.
    most: usize,
    tmp: PathBuf,
    runs: Option<(Spill, Vec<u64>)>,
}

impl LookupBuilder {
    /// A builder, and then a table, of at most `room` bytes in memory; more go to a temporary file
    /// in `tmp`.
    pub(crate) fn new(room: u64, tmp: &Path) -> Self {
        let most = usize::try_from(room / ENTRY as u64).unwrap_or(usize::MAX).max(4 * BUFFER);
        LookupBuilder { entries: Vec::new(), most, tmp: tmp.to_owned(), runs: None }
    }

    /// Adds a digest. Of equal ones that with the smallest number stays.
    pub(crate) fn insert(&mut self, digest: u128, value: u64) -> Result<()> {
        if self.entries.len() >= self.most {
            self.spill()?;
        }
        if self.entries.len() == self.entries.capacity() {
            // Doubling, but never beyond the room.
            let more = self.entries.len().max(BUFFER).min(self.most - self.entries.len());
            self.entries.reserve_exact(more);
        }
        self.entries.push(Entry { high: (digest >> 64) as u64, low: digest as u64, value });
        Ok(())
    }

    fn spill(&mut self) -> Result<()> {
        self.entries.sort_unstable();
        let (file, runs) = match &mut self.runs {
            Some(runs) => runs,
            none => none.insert((Spill::create(&self.tmp)?, Vec::new())),
        };
        let mut bytes = Vec::with_capacity(BUFFER * ENTRY);
        for part in self.entries.chunks(BUFFER) {
            bytes.clear();
            part.iter().for_each(|entry| entry.write(&mut bytes));
            file.append(&bytes)?;
        }
        runs.push(file.len());
        self.entries.clear();
        Ok(())
    }

    /// The table.
    pub(crate) fn finish(mut self) -> Result<Lookup> {
        if self.runs.is_none() {
            self.entries.sort_unstable();
            self.entries.dedup_by_key(|entry| entry.digest());
            return Ok(Lookup::Memory(self.entries));
        }
        self.spill()?;
        let LookupBuilder { entries, tmp, runs, .. } = self;
        drop(entries);
        let (file, ends) = runs.expect("just spilled");
        merge(&file, &ends, &tmp)
    }
}

/// A sorted part of a file, read from its front.
struct Run<'a> {
    file: &'a Spill,
    at: u64,
    end: u64,
    buffer: std::vec::IntoIter<Entry>,
}

impl Run<'_> {
    fn next(&mut self) -> Result<Option<Entry>> {
        if let Some(entry) = self.buffer.next() {
            return Ok(Some(entry));
        }
        let mut bytes = vec![0; (self.end - self.at).min((BUFFER * ENTRY) as u64) as usize];
        self.file.read(&mut bytes, self.at)?;
        self.at += bytes.len() as u64;
        self.buffer = bytes.chunks_exact(ENTRY).map(Entry::read).collect::<Vec<_>>().into_iter();
        Ok(self.buffer.next())
    }
}

fn merge(file: &Spill, ends: &[u64], tmp: &Path) -> Result<Lookup> {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let mut runs: Vec<Run<'_>> = starts
        .zip(ends)
        .map(|(at, &end)| Run { file, at, end, buffer: Vec::new().into_iter() })
        .collect();
    let mut heap = BinaryHeap::new();
    for (i, run) in runs.iter_mut().enumerate() {
        heap.extend(run.next()?.map(|entry| Reverse((entry, i))));
    }
    let mut sorted = Spill::create(tmp)?;
    let (mut firsts, mut len, mut last) = (Vec::new(), 0, None);
    let mut bytes = Vec::with_capacity(BUFFER * ENTRY);
    while let Some(Reverse((entry, i))) = heap.pop() {
        heap.extend(runs[i].next()?.map(|entry| Reverse((entry, i))));
        if last.replace(entry.digest()) == Some(entry.digest()) {
            continue;
        }
        if len % PAGE == 0 {
            firsts.push(entry.digest());
        }
        len += 1;
        entry.write(&mut bytes);
        if bytes.len() >= BUFFER * ENTRY {
            sorted.append(&bytes)?;
            bytes.clear();
        }
    }
    sorted.append(&bytes)?;
    Ok(Lookup::File { sorted, firsts, len })
}

/// A table from digests to numbers.
pub(crate) enum Lookup {
    /// Sorted, each digest once.
    Memory(Vec<Entry>),
    /// The same in a file, and the first digest of each page.
    File { sorted: Spill, firsts: Vec<u128>, len: usize },
}

impl Lookup {
    /// Number of digests.
    pub(crate) fn len(&self) -> usize {
        match self {
            Lookup::Memory(entries) => entries.len(),
            Lookup::File { len, .. } => *len,
        }
    }

    /// The number of `digest`, and its place among all, from 0.
    pub(crate) fn get(&self, digest: u128) -> Result<Option<(u64, usize)>> {
        let find = |entries: &[Entry]| entries.binary_search_by_key(&digest, Entry::digest).ok();
        match self {
            Lookup::Memory(entries) => Ok(find(entries).map(|at| (entries[at].value, at))),
            Lookup::File { sorted, firsts, len } => {
                let pages = firsts.partition_point(|&first| first <= digest);
                let Some(page) = pages.checked_sub(1) else { return Ok(None) };
                let entries = read_page(sorted, page, *len)?;
                Ok(find(&entries).map(|at| (entries[at].value, page * PAGE + at)))
            }
        }
    }
}

fn read_page(sorted: &Spill, page: usize, len: usize) -> Result<Vec<Entry>> {
    let mut bytes = [0; PAGE * ENTRY];
    let bytes = &mut bytes[..(len - page * PAGE).min(PAGE) * ENTRY];
    sorted.read(bytes, (page * PAGE * ENTRY) as u64)?;
    Ok(bytes.chunks_exact(ENTRY).map(Entry::read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(room: u64, n: u64) -> Lookup {
        let dir = std::env::temp_dir();
        let mut builder = LookupBuilder::new(room, &dir);
        // Each digest three times, the smallest number neither first nor last.
        for round in [2, 0, 1] {
            for i in 0..n {
                builder.insert(digest(&i.to_le_bytes()), i + round * n).unwrap();
            }
        }
        builder.finish().unwrap()
    }

    #[test]
    fn a_table_in_a_file_answers_as_one_in_memory() {
        let n = 3 * BUFFER as u64 + 7;
        let (memory, file) = (table(u64::MAX, n), table(0, n));
        assert!(matches!((&memory, &file), (Lookup::Memory(_), Lookup::File { .. })));
        assert_eq!((memory.len() as u64, file.len() as u64), (n, n));
        for i in 0..n + 100 {
            let digest = digest(&i.to_le_bytes());
            let found = memory.get(digest).unwrap();
            assert_eq!(found.map(|(value, _)| value), (i < n).then_some(i));
            assert_eq!(file.get(digest).unwrap(), found);
        }
        let mut places: Vec<usize> =
            (0..n).map(|i| file.get(digest(&i.to_le_bytes())).unwrap().unwrap().1).collect();
        places.sort_unstable();
        assert!(places.iter().enumerate().all(|(i, &at)| i == at));
    }

    #[test]
    fn digests_before_the_first_and_behind_the_last_are_not_there() {
        for room in [0, u64::MAX] {
            let table = table(room, 5 * BUFFER as u64);
            assert_eq!(table.get(0).unwrap(), None);
            assert_eq!(table.get(u128::MAX).unwrap(), None);
        }
        assert_eq!(table(0, 0).get(7).unwrap(), None);
    }
}
