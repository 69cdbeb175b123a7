//! What an index takes on disk, beside what its content must take.

use serde::Serialize;

use crate::error::Result;
use crate::index::Index;

/// Bytes of an index, and the entropy of what is in its lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Space {
    /// The whole file.
    pub file_bytes: u64,
    /// [`Index::list_bytes`].
    pub list_bytes: u64,
    /// Postings of all lists.
    pub postings: u64,
    /// `list_bytes` a posting.
    pub bytes_per_posting: f64,
    /// Mean entropy of a document gap in bits, each list coded with its own
    /// distribution.
    pub gap_bits: f64,
    /// The same of impacts.
    pub impact_bits: f64,
}

impl Space {
    /// Counts the bytes and decodes every list once.
    pub fn of(index: &Index) -> Result<Self> {
        let list_bytes = index.list_bytes();
        let lists = index.statistics()?.lists;
        let postings = index.meta().postings;
        let a_posting = |sum: f64| sum / postings.max(1) as f64;
        Ok(Space {
            file_bytes: index.file_len(),
            list_bytes,
            postings,
            bytes_per_posting: a_posting(list_bytes as f64),
            gap_bits: a_posting(lists.iter().map(|l| l.gap_bits).sum()),
            impact_bits: a_posting(lists.iter().map(|l| l.impact_bits).sum()),
        })
    }

    /// Bytes a posting if gaps and impacts took their entropy and nothing else.
    pub fn entropy_bytes(&self) -> f64 {
        (self.gap_bits + self.impact_bits) / 8.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample_index;
    use super::*;

    #[test]
    fn an_index_takes_more_than_its_entropy() {
        let (_dir, index, _) = sample_index();
        let space = Space::of(&index).unwrap();
        assert_eq!((space.postings, space.file_bytes), (8, index.file_len()));
        assert!(space.list_bytes < space.file_bytes);
        assert!(space.bytes_per_posting > space.entropy_bytes() && space.entropy_bytes() > 0.0);
    }
}
