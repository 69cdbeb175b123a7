//! What [`Algorithm::Auto`] runs: the algorithm whose estimated cost is least.

use super::{Algorithm, Query};
use crate::index::Index;

/// The cheapest algorithm for a query, by estimate.
///
/// Costs in nanoseconds, measured on SPLADE and BM25 lists: the windowed scan pays for
/// every document once and little for a posting; a walk over cursors pays 30 ns for a
/// posting and nothing for documents, so it wins when postings are rare.
pub fn choose(index: &Index, query: &Query, k: usize) -> Algorithm {
    let _ = k;
    let postings: u64 = query.terms.iter().map(|t| u64::from(index.term(t.term).df.get())).sum();
    let scan = 0.05 * f64::from(index.documents()) + 1.0 * postings as f64;
    let walk = 30.0 * postings as f64;
    if walk < scan { Algorithm::BlockMaxWand } else { Algorithm::Windowed }
}
