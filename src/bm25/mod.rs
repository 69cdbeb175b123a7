//! BM25 as one more source of sparse vectors: analyzer and weights.
//!
//! The document weight holds only the term-frequency part,
//! tf·(k1+1) / (tf + k1·(1 − b + b·dl/avgdl)) < k1 + 1, so it is stored at the fixed scale
//! W = k1 + 1; the query weight is round(100 · idf · qtf) with Lucene's
//! idf = ln(1 + (N − df + 0.5)/(df + 0.5)), computed at query time from the index.
//!
//! Architecture invariant: a document's weights depend on its text and the parameters (avgdl
//! is one), never on df, so shards of one collection with the same parameters merge exactly.
//!
//! N and avgdl count every document, so that ordinals, shards and hybrid indexes share one N.
//! Lucene counts those with at least one term after analysis, in both. Where a share e of the
//! documents is empty, Lucene's idf is lower by at most ln(1 / (1 − e)) and its avgdl higher by
//! 1 / (1 − e); without empty documents there is no difference.

mod analyzer;
mod chunk;
mod length;
mod params;
mod source;

pub use analyzer::{Analyzer, word_start};
pub use length::total_length;
pub use params::{AvgDl, Bm25Params, Stemmer, StopWords};
pub use source::Bm25Source;

/// Integer query weights are 100 · idf · qtf.
pub const QUERY_SCALE: f64 = 100.0;

/// Lucene's inverse document frequency of a term in `df` of `documents` documents, > 0.
pub fn idf(documents: u64, df: u64) -> f64 {
    let (n, df) = (documents as f64, df as f64);
    (1.0 + (n - df + 0.5) / (df + 0.5)).ln()
}

/// Whole weight of a query term of weight idf · qtf: round(100 · idf · qtf), half up. It may
/// be 0 (a term of nearly every document): then the term counts nothing. It may be more than
/// a query weight can be: then all weights of the query are halved.
pub fn query_weight(weight: f64) -> f64 {
    (QUERY_SCALE * weight + 0.5).floor()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idf_is_lucenes() {
        assert!((idf(10, 1) - 1.992_430_164_690_206).abs() < 1e-12, "ln(22/3)");
        assert!((idf(10, 10) - 0.046_520_015_634_892_76).abs() < 1e-12, "ln(22/21)");
        assert_eq!([query_weight(idf(10, 1)), query_weight(idf(10, 1) * 2.0)], [199.0, 398.0]);
        assert_eq!(query_weight(idf(1000, 1000)), 0.0);
    }
}
