//! What an index takes on disk, beside what its content must take.

use rayon::prelude::*;
use serde::Serialize;

use crate::error::Result;
use crate::index::{Index, TermId};

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
        let bits: Vec<(f64, f64)> = (0..index.lexicon().len())
            .into_par_iter()
            .map(|t| bits(index, t))
            .collect::<Result<_>>()?;
        let postings = index.meta().postings;
        let a_posting = |sum: f64| sum / postings.max(1) as f64;
        Ok(Space {
            file_bytes: index.file_len(),
            list_bytes,
            postings,
            bytes_per_posting: a_posting(list_bytes as f64),
            gap_bits: a_posting(bits.iter().map(|b| b.0).sum()),
            impact_bits: a_posting(bits.iter().map(|b| b.1).sum()),
        })
    }

    /// Bytes a posting if gaps and impacts took their entropy and nothing else.
    pub fn entropy_bytes(&self) -> f64 {
        (self.gap_bits + self.impact_bits) / 8.0
    }
}

/// Entropy of all gaps and of all impacts of one list, bits.
fn bits(index: &Index, term: TermId) -> Result<(f64, f64)> {
    let (mut docids, impacts) = index.list(term)?.decode_all().map_err(|_| index.damaged(term))?;
    for i in (1..docids.len()).rev() {
        docids[i] -= docids[i - 1];
    }
    Ok((entropy(docids), entropy(impacts)))
}

/// Σ log2(n / count of its value) over all values.
fn entropy<T: Ord + Copy>(mut values: Vec<T>) -> f64 {
    values.sort_unstable();
    let n = values.len() as f64;
    let runs = values.chunk_by(|a, b| a == b).map(|run| run.len() as f64);
    runs.map(|count| count * (n / count).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample_index;
    use super::*;

    #[test]
    fn entropy_of_known_distributions() {
        assert_eq!(entropy(vec![7u8; 9]), 0.0);
        assert_eq!(entropy(vec![3u8, 1, 1, 3]), 4.0);
        assert_eq!(entropy((0..8u32).collect()), 24.0);
        assert_eq!(entropy::<u8>(vec![]), 0.0);
    }

    #[test]
    fn an_index_takes_more_than_its_entropy() {
        let (_dir, index, _) = sample_index();
        let space = Space::of(&index).unwrap();
        assert_eq!((space.postings, space.file_bytes), (8, index.file_len()));
        assert!(space.list_bytes < space.file_bytes);
        assert!(space.bytes_per_posting > space.entropy_bytes() && space.entropy_bytes() > 0.0);
    }
}
