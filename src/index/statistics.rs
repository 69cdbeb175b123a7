//! What is in an index's lists, and what its content must take.

use rayon::prelude::*;

use super::{Index, TermId};
use crate::error::Result;
use crate::format::postings::List;
use crate::format::terms::TermRecord;

/// One posting list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ListStatistics {
    /// Postings.
    pub df: u32,
    /// Bytes of postings, block and window entries, and the term's record.
    pub bytes: u64,
    /// Entropy of all document gaps, bits: their size if each list were coded with its own
    /// distribution.
    pub gap_bits: f64,
    /// The same of impacts.
    pub impact_bits: f64,
}

/// Every list of an index.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// By term.
    pub lists: Vec<ListStatistics>,
    /// Postings of each impact, 0 to 255.
    pub impacts: Vec<u64>,
}

impl Statistics {
    /// Decodes every list once, in parallel.
    ///
    /// # Errors
    /// A damaged list.
    pub(super) fn of(index: &Index) -> Result<Self> {
        // Each part counts impacts for itself; sums of integers are the same in any order.
        let terms = index.lexicon().len();
        let part = terms.div_ceil(64).max(1);
        let parts: Vec<Statistics> = (0..terms)
            .step_by(part as usize)
            .collect::<Vec<_>>()
            .into_par_iter()
            .map(|start| Self::part(index, start..terms.min(start + part)))
            .collect::<Result<_>>()?;
        let mut all =
            Statistics { lists: Vec::with_capacity(terms as usize), impacts: vec![0; 256] };
        for part in parts {
            all.lists.extend(part.lists);
            all.impacts.iter_mut().zip(part.impacts).for_each(|(sum, n)| *sum += n);
        }
        Ok(all)
    }

    fn part(index: &Index, terms: std::ops::Range<TermId>) -> Result<Self> {
        let mut part = Statistics { lists: Vec::new(), impacts: vec![0; 256] };
        for term in terms {
            let list = index.list(term)?;
            let (mut docids, impacts) = list.decode_all().map_err(|_| index.damaged(term))?;
            for i in (1..docids.len()).rev() {
                docids[i] -= docids[i - 1];
            }
            impacts.iter().for_each(|&impact| part.impacts[usize::from(impact)] += 1);
            let (gap_bits, impact_bits) = (entropy(docids), entropy(impacts));
            part.lists.push(ListStatistics {
                df: list.df,
                bytes: list_bytes(&list),
                gap_bits,
                impact_bits,
            });
        }
        Ok(part)
    }
}

fn list_bytes(list: &List<'_>) -> u64 {
    let words = list.last.len() + list.offset.len() + list.windows.len();
    (list.bytes.len() + list.max.len() + 4 * words + size_of::<TermRecord>()) as u64
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
    use super::*;

    #[test]
    fn entropy_of_known_distributions() {
        assert_eq!(entropy(vec![7u8; 9]), 0.0);
        assert_eq!(entropy(vec![3u8, 1, 1, 3]), 4.0);
        assert_eq!(entropy((0..8u32).collect()), 24.0);
        assert_eq!(entropy::<u8>(vec![]), 0.0);
    }
}
