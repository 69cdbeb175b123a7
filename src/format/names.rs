//! NAMES: external document ids by ordinal, and the ordinals sorted by id.
//!
//! ```text
//! count u64 | ends u64 × count | by_name u32 × count | zero padding to 8 | id bytes …
//! ```

use std::path::Path;

use rayon::slice::ParallelSliceMut;
use zerocopy::{FromBytes, IntoBytes};

use super::layout::corrupt;
use crate::error::Result;

/// External ids in input order, one allocation for all bytes.
#[derive(Debug, Clone, Default)]
pub struct NameTable {
    bytes: Vec<u8>,
    ends: Vec<u64>,
}

impl NameTable {
    /// Appends the id of the next ordinal.
    pub fn push(&mut self, name: &str) {
        self.bytes.extend_from_slice(name.as_bytes());
        self.ends.push(self.bytes.len() as u64);
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The id of `ordinal`.
    pub fn get(&self, ordinal: usize) -> &[u8] {
        let start = if ordinal == 0 { 0 } else { self.ends[ordinal - 1] as usize };
        &self.bytes[start..self.ends[ordinal] as usize]
    }

    /// All ids, one behind the other: the end of the section.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The ordinals in bytewise order of their ids.
    pub fn sorted(&self) -> Vec<u32> {
        let mut by_name: Vec<u32> = (0..self.len() as u32).collect();
        by_name.par_sort_unstable_by_key(|&i| (self.get(i as usize), i));
        by_name
    }

    /// The section up to [`bytes`](Self::bytes).
    ///
    /// # Errors
    /// The first two ordinals that have the same id.
    pub fn encode(&self) -> Result<Vec<u8>, (u32, u32)> {
        let by_name = self.sorted();
        for pair in by_name.windows(2) {
            if self.get(pair[0] as usize) == self.get(pair[1] as usize) {
                return Err((pair[0], pair[1]));
            }
        }
        let mut head = Vec::with_capacity(16 + self.len() * 12);
        head.extend((self.len() as u64).to_le_bytes());
        head.extend_from_slice(self.ends.as_bytes());
        head.extend_from_slice(by_name.as_bytes());
        head.resize(head.len().next_multiple_of(8), 0);
        Ok(head)
    }
}

/// The section in place.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    ends: &'a [u64],
    by_name: &'a [u32],
    bytes: &'a [u8],
}

impl<'a> Names<'a> {
    /// Checks counts against the section's size; reads no id.
    pub fn parse(path: &Path, section: &'a [u8], offset: u64, documents: u64) -> Result<Self> {
        let bad = || {
            let problem = format!("{documents} documents do not fit {} bytes", section.len());
            corrupt(path, "NAMES", offset, problem)
        };
        let (count, rest) = u64::read_from_prefix(section).map_err(|_| bad())?;
        if count != documents {
            return Err(bad());
        }
        let n = documents as usize;
        let (ends, rest) = <[u64]>::ref_from_prefix_with_elems(rest, n).map_err(|_| bad())?;
        let (by_name, rest) = <[u32]>::ref_from_prefix_with_elems(rest, n).map_err(|_| bad())?;
        let bytes = rest.get((n % 2) * 4..).ok_or_else(bad)?;
        if ends.last().copied().unwrap_or(0) != bytes.len() as u64 {
            return Err(bad());
        }
        Ok(Names { ends, by_name, bytes })
    }

    /// Number of documents.
    pub fn len(&self) -> u32 {
        self.ends.len() as u32
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The id of an ordinal; empty where the section is corrupt.
    pub fn get(&self, ordinal: u32) -> &'a str {
        let end = |i: usize| self.ends.get(i).map_or(0, |&end| end as usize);
        let start = (ordinal as usize).checked_sub(1).map_or(0, end);
        let bytes = self.bytes.get(start..end(ordinal as usize)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// The ordinals by id, in bytewise order; those of a corrupt section may be any numbers.
    pub fn sorted(&self) -> &'a [u32] {
        self.by_name
    }

    /// The ordinal of an id.
    pub fn find(&self, name: &str) -> Option<u32> {
        let at = self
            .by_name
            .binary_search_by(|&o| {
                if o < self.len() { self.get(o).cmp(name) } else { std::cmp::Ordering::Greater }
            })
            .ok()?;
        Some(self.by_name[at])
    }

    /// Why the section is not sound, if it is not: reads all of it.
    pub fn fault(&self) -> Option<String> {
        let ordered = self.ends.windows(2).all(|w| w[0] <= w[1]);
        if !ordered {
            return Some("the ends of ids do not increase".into());
        }
        let text = std::str::from_utf8(self.bytes).ok();
        let whole = |text: &str| self.ends.iter().all(|&end| text.is_char_boundary(end as usize));
        if !text.is_some_and(whole) {
            return Some("an id is not UTF-8".into());
        }
        let in_range = self.by_name.iter().all(|&o| o < self.len());
        if !in_range {
            return Some("the sorted ordinals exceed the document count".into());
        }
        let pair = self.by_name.windows(2).find(|w| self.get(w[0]) >= self.get(w[1]))?;
        Some(format!("ids {:?} and {:?} are not in order", self.get(pair[0]), self.get(pair[1])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(names: &[&str]) -> Result<Vec<u8>, (u32, u32)> {
        let mut table = NameTable::default();
        names.iter().for_each(|n| table.push(n));
        Ok([&table.encode()?[..], table.bytes()].concat())
    }

    /// A copy whose first byte is aligned as a mapped section is.
    fn aligned(bytes: &[u8]) -> Vec<u64> {
        let mut words = vec![0u64; bytes.len().div_ceil(8)];
        words.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
        words
    }

    #[test]
    fn ids_are_found_by_ordinal_and_by_name() {
        for names in [&["b", "", "a"][..], &["x", "é"], &[]] {
            let bytes = section(names).unwrap();
            let words = aligned(&bytes);
            let n = names.len() as u64;
            let parsed =
                Names::parse(Path::new("x"), &words.as_bytes()[..bytes.len()], 0, n).unwrap();
            for (i, name) in names.iter().enumerate() {
                assert_eq!(parsed.get(i as u32), *name);
                assert_eq!(parsed.find(name), Some(i as u32));
            }
            assert_eq!(parsed.find("zz"), None);
            assert_eq!(parsed.fault(), None);
        }
    }

    #[test]
    fn a_repeated_id_gives_both_ordinals() {
        assert_eq!(section(&["a", "b", "a"]), Err((0, 2)));
    }
}
