//! Answers of a set of queries, and how far two algorithms agree.

use std::collections::HashSet;

use serde::Serialize;

use super::closed::Case;
use crate::error::Result;
use crate::query::{Batch, BatchOptions, Hit};

/// Answers of all queries of a case, computed on all cores; no part of any timing.
pub fn answers(case: &Case<'_>) -> Result<Batch> {
    let Case { index, queries, k, algorithm, approximation, simd } = *case;
    index.search_batch(queries, &BatchOptions { k, algorithm, approximation, simd, threads: None })
}

/// How far answers agree with exact ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// Mean share of the exact documents that were found; an empty exact answer counts
    /// as found.
    pub recall: f64,
    /// Queries whose list is the exact one: documents, scores and order.
    pub identical: usize,
    /// Queries compared.
    pub queries: usize,
}

impl Agreement {
    /// Compares the lists of each query.
    pub fn of(exact: &Batch, found: &Batch) -> Self {
        let recall = |exact: &[Hit], found: &[Hit]| {
            let found: HashSet<u32> = found.iter().map(|hit| hit.ordinal).collect();
            let hits = exact.iter().filter(|hit| found.contains(&hit.ordinal)).count();
            if exact.is_empty() { 1.0 } else { hits as f64 / exact.len() as f64 }
        };
        let sum: f64 = exact.iter().zip(found.iter()).map(|(e, f)| recall(e, f)).sum();
        Agreement {
            recall: if exact.is_empty() { 1.0 } else { sum / exact.len() as f64 },
            identical: exact.iter().zip(found.iter()).filter(|(e, f)| e == f).count(),
            queries: exact.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{sample_case, sample_index};
    use super::*;
    use crate::query::Algorithm;

    #[test]
    fn every_algorithm_agrees_with_the_exhaustive_one() {
        let (_dir, index, queries) = sample_index();
        let case = sample_case(&index, &queries);
        let exact = answers(&case).unwrap();
        for &algorithm in Algorithm::ALL {
            let found = answers(&Case { algorithm, ..case }).unwrap();
            let agreement = Agreement::of(&exact, &found);
            assert_eq!(agreement, Agreement { recall: 1.0, identical: 4, queries: 4 });
        }
    }

    #[test]
    fn recall_counts_documents_and_identity_counts_order_and_scores() {
        let hit = |ordinal, score| Hit { ordinal, score };
        let batch = |hits: [Hit; 4]| Batch { hits: hits.to_vec(), offsets: vec![0, 2, 2, 4] };
        let exact = batch([hit(1, 9), hit(2, 8), hit(5, 1), hit(6, 1)]);
        let found = batch([hit(2, 8), hit(1, 9), hit(5, 1), hit(7, 1)]);
        let got = Agreement::of(&exact, &found);
        assert_eq!((got.identical, got.queries), (1, 3));
        assert!((got.recall - 2.5 / 3.0).abs() < 1e-12);
    }
}
