//! What each query term gave to a hit.

use super::score::document;
use super::{Hit, Query};
use crate::error::Result;
use crate::index::{Index, TermId};

/// A term's part of a hit's score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contribution {
    /// The term in the index.
    pub term: TermId,
    /// Its weight in the query.
    pub weight: u32,
    /// Its impact in the document.
    pub impact: u8,
}

impl Contribution {
    /// Weight × impact.
    pub fn score(&self) -> u32 {
        self.weight * u32::from(self.impact)
    }
}

/// Explains hits of one index.
pub struct Explainer {
    index: Index,
}

impl Explainer {
    /// An explainer with a handle of `index`.
    pub fn new(index: &Index) -> Self {
        Explainer { index: index.clone() }
    }

    /// The terms of `query` that `hit` has, largest contribution first; their sum is the
    /// hit's score.
    ///
    /// # Errors
    /// A damaged list.
    pub fn explain(&self, query: &Query, hit: Hit) -> Result<Vec<Contribution>> {
        let docid = document(&self.index, hit.ordinal)?;
        let mut parts = Vec::new();
        for term in &query.terms {
            let list = self.index.list(term.term)?;
            let impact = list.impact_of(docid).map_err(|_| self.index.damaged(term.term))?;
            if let Some(impact) = impact {
                parts.push(Contribution { term: term.term, weight: term.weight, impact });
            }
        }
        parts.sort_by_key(|part| (std::cmp::Reverse(part.score()), part.term));
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{BuildOptions, Collection, build};
    use crate::format::Codec;
    use crate::progress::Silent;
    use crate::query::{Algorithm, Searcher};

    #[test]
    fn contributions_sum_to_the_score_under_any_order_and_codec() {
        let mut collection = Collection::default();
        for i in 0..900u32 {
            let tokens: Vec<String> =
                (0..9u32).filter(|t| i % (t + 1) == 0).map(|t| format!("t{t}")).collect();
            let vector = tokens.iter().map(|t| (t.as_str(), 1.0 + (i % 200) as f32));
            collection.push(&format!("d{i}"), vector).unwrap();
        }
        let order: Vec<u32> = (0..900).map(|d| d * 7 % 900).collect();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.spx");
        for codec in [Codec::Fast, Codec::Small] {
            for order in [None, Some(&order[..])] {
                let options = BuildOptions { codec, ..Default::default() };
                build(&collection, order, &options, &path, &Silent).unwrap();
                let index = Index::open(&path).unwrap();
                let tokens = [("t0", 5), ("t3", 200), ("t8", 65_535), ("none", 1)];
                let query = Query::new(&index, 0, tokens).unwrap();
                let mut searcher = Searcher::new(&index);
                let hits = searcher.search(&query, 1000, Algorithm::Exhaustive).unwrap();
                assert_eq!(hits.len(), 900);
                let explainer = Explainer::new(&index);
                for &hit in hits {
                    let parts = explainer.explain(&query, hit).unwrap();
                    assert_eq!(parts.iter().map(Contribution::score).sum::<u32>(), hit.score);
                    assert!(parts.is_sorted_by(|a, b| a.score() >= b.score()));
                }
            }
        }
    }
}
