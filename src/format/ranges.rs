//! RANGE_MAXIMA: of each term, the largest impact in every range of 64 documents.
//!
//! `size u32 | 0 u32 | ends u64 × terms | lists`. A list is whichever is shorter: sparse
//! entries (LEB128 of the range's distance to the one before, less one; then the
//! maximum), or one maximum a range, 0 where the term is not. The sparse form is written
//! only where it is shorter, so the length says which it is. Terms of at most 128
//! postings have no list: their postings are as quick to read, and BM25 has millions.

use std::path::Path;

use zerocopy::FromBytes;
use zerocopy::little_endian::{U32, U64};

use super::BLOCK;
use super::layout::corrupt;
use super::postings::Damaged;
use crate::error::Result;
use crate::varint;

/// Documents of one range: a word of a bitmap list, a cache line of a bytes list.
pub const RANGE: u32 = 64;

const HEADER: usize = 8;

/// Appends the list of a term to `out`.
pub fn encode(docids: &[u32], impacts: &[u8], documents: u32, out: &mut Vec<u8>) {
    if docids.len() <= BLOCK {
        return;
    }
    let (start, ranges) = (out.len(), documents.div_ceil(RANGE) as usize);
    let mut next = 0;
    for (range, max) in maxima(docids, impacts) {
        varint::put(u64::from(range - next), out);
        out.push(max);
        next = range + 1;
    }
    if out.len() - start >= ranges {
        out.truncate(start);
        out.resize(start + ranges, 0);
        for (range, max) in maxima(docids, impacts) {
            out[start + range as usize] = max;
        }
    }
}

/// (range, largest impact) of every range that has a posting.
pub fn maxima<'a>(docids: &'a [u32], impacts: &'a [u8]) -> impl Iterator<Item = (u32, u8)> + 'a {
    let mut at = 0;
    std::iter::from_fn(move || {
        let range = docids.get(at)? / RANGE;
        let len = docids[at..].iter().take_while(|&&d| d / RANGE == range).count();
        let max = impacts[at..at + len].iter().copied().max().unwrap_or(0);
        at += len;
        Some((range, max))
    })
}

/// The section's fixed part: what stands before the lists.
pub fn header(ends: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + 8 * ends.len());
    bytes.extend(RANGE.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(ends.iter().flat_map(|end| end.to_le_bytes()));
    bytes
}

/// The section in place in a mapped file.
#[derive(Debug, Clone, Copy)]
pub struct RangeMaxima<'a> {
    ends: &'a [U64],
    bytes: &'a [u8],
    ranges: u32,
}

impl<'a> RangeMaxima<'a> {
    /// Checks the section's size and directory length; reads no list. `at` is its place
    /// in the file.
    ///
    /// # Errors
    /// Another range size, or a section too short for its terms.
    pub fn parse(
        path: &Path,
        section: &'a [u8],
        at: u64,
        terms: u64,
        documents: u32,
    ) -> Result<Self> {
        let bad = |problem: String| {
            corrupt(path, "RANGE_MAXIMA", at, problem).hint("copy or build the file again")
        };
        let ranges = documents.div_ceil(RANGE);
        let size = U32::read_from_prefix(section).map_or(0, |(size, _)| size.get());
        if size != RANGE {
            return Err(bad(format!("expected ranges of {RANGE} documents, found {size}")));
        }
        let parts = section.get(HEADER..).and_then(|rest| {
            <[U64]>::ref_from_prefix_with_elems(rest, usize::try_from(terms).ok()?).ok()
        });
        let Some((ends, bytes)) = parts else {
            let problem = format!("{} bytes do not hold {terms} terms", section.len());
            return Err(bad(problem));
        };
        let end = ends.last().map_or(0, |end| end.get());
        if end != bytes.len() as u64 {
            return Err(bad(format!("expected {end} bytes of lists, found {}", bytes.len())));
        }
        Ok(RangeMaxima { ends, bytes, ranges })
    }

    /// Ranges of the collection.
    pub fn ranges(&self) -> u32 {
        self.ranges
    }

    /// The list of a term; `None` if the directory contradicts itself.
    pub fn list(&self, term: u32) -> Option<RangeList<'a>> {
        let start = match term.checked_sub(1) {
            Some(before) => self.ends.get(before as usize)?.get(),
            None => 0,
        };
        let end = self.ends.get(term as usize)?.get();
        let bytes = self.bytes.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)?;
        Some(if bytes.len() == self.ranges as usize {
            RangeList::Bytes(bytes)
        } else {
            RangeList::Sparse(bytes)
        })
    }
}

/// Range maxima of one term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeList<'a> {
    /// One a range.
    Bytes(&'a [u8]),
    /// Those above 0; empty for a term of at most 128 postings.
    Sparse(&'a [u8]),
}

impl RangeList<'_> {
    /// Whether the term has too few postings for a list of its own.
    pub fn is_absent(&self) -> bool {
        matches!(self, RangeList::Sparse([]))
    }

    /// Calls `found(range, maximum)` for every maximum above 0, in order.
    ///
    /// # Errors
    /// The bytes contradict the format, or `found` returns `None`: it knows how many
    /// ranges there are.
    #[inline]
    pub fn for_each(&self, mut found: impl FnMut(u32, u8) -> Option<()>) -> Result<(), Damaged> {
        let mut visit = || match self {
            RangeList::Bytes(bytes) => {
                for (range, &max) in bytes.iter().enumerate() {
                    if max > 0 {
                        found(range as u32, max)?;
                    }
                }
                Some(())
            }
            RangeList::Sparse(bytes) => {
                let (mut rest, mut next) = (*bytes, 0u32);
                while !rest.is_empty() {
                    let range = next.checked_add(varint::take_u32(&mut rest)?)?;
                    found(range, *rest.split_off_first()?)?;
                    next = range.checked_add(1)?;
                }
                Some(())
            }
        };
        visit().ok_or(Damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::postings::tests::from_gaps;
    use proptest::prelude::*;

    fn parsed<'a>(section: &'a [u8], documents: u32) -> Option<RangeMaxima<'a>> {
        RangeMaxima::parse(Path::new("x"), section, 0, 1, documents).ok()
    }

    fn section(docids: &[u32], impacts: &[u8], documents: u32) -> Vec<u8> {
        let mut list = Vec::new();
        encode(docids, impacts, documents, &mut list);
        [header(&[list.len() as u64]), list].concat()
    }

    fn postings() -> impl Strategy<Value = (u32, Vec<u32>, Vec<u8>)> {
        let gap = prop_oneof![Just(1u32..4), Just(1..300), Just(1..40_000)];
        let gaps = gap.prop_flat_map(|gap| prop::collection::vec((gap, 1u8..=255), 1..600));
        (gaps, 0u32..20_000).prop_map(|(pairs, tail)| from_gaps(pairs, tail))
    }

    proptest! {
        #[test]
        fn every_range_has_the_largest_of_its_impacts((documents, docids, impacts) in postings()) {
            let section = section(&docids, &impacts, documents);
            let list = parsed(&section, documents).unwrap().list(0).unwrap();
            prop_assert_eq!(list.is_absent(), docids.len() <= BLOCK);
            let mut found = vec![0; documents.div_ceil(RANGE) as usize];
            list.for_each(|range, max| {
                found[range as usize] = max;
                Some(())
            }).unwrap();
            let mut expected = vec![0; found.len()];
            for (&docid, &impact) in docids.iter().zip(&impacts) {
                let max: &mut u8 = &mut expected[(docid / RANGE) as usize];
                *max = (*max).max(impact);
            }
            prop_assert!(list.is_absent() || found == expected);
        }

        #[test]
        fn damaged_bytes_are_an_error_or_other_maxima(
            (documents, docids, impacts) in postings(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..9),
        ) {
            let mut section = section(&docids, &impacts, documents);
            for (at, byte) in damage {
                let at = at.index(section.len());
                section[at] = byte;
            }
            if let Some(list) = parsed(&section, documents).and_then(|maxima| maxima.list(0)) {
                let mut entries = 0;
                let _ = list.for_each(|_, _| {
                    entries += 1;
                    Some(())
                });
                prop_assert!(entries <= section.len());
            }
        }
    }

    #[test]
    fn frequent_terms_have_a_byte_a_range() {
        let docids: Vec<u32> = (0..1000).collect();
        let section = section(&docids, &[5; 1000], 1024);
        let list = parsed(&section, 1024).unwrap().list(0).unwrap();
        assert_eq!(list, RangeList::Bytes(&[5; 16]));
    }
}
