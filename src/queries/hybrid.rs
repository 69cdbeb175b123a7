//! Two parts of a query, learned and BM25, as integer weights of one hybrid index.
//!
//! Score = BM25 + h · learned, of de-quantized parts: an impact i of a field of scale s
//! stands for i / s, so a query weight q becomes round(C · q / s), × h for the learned
//! field, with C from META. That is the only rounding: every algorithm is exact on the
//! integers.

use super::fit::{Part, Rounding, fit};
use crate::error::Result;
use crate::index::Index;
use crate::query::Query;

/// The weight h of the learned part where none is given. docs/hybrid.md says how it was
/// chosen.
pub const DEFAULT_HYBRID_WEIGHT: f64 = 0.5;

/// Query tokens with their weights q, in the units of each field.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct HybridParts {
    pub(super) learned: Vec<(String, f64)>,
    pub(super) bm25: Vec<(String, f64)>,
}

/// The query, the number of known tokens whose weight became 0, and what rounding did.
pub(super) fn query(index: &Index, h: f64, parts: &HybridParts) -> Result<(Query, u32, Rounding)> {
    let meta = index.meta();
    let factor = |field: usize, weight| meta.hybrid_constant * weight / meta.fields[field].scale;
    let (learned, bm25) = (factor(0, h), factor(1, 1.0));
    let fields: [Part<'_>; 2] =
        [(0, &parts.learned, &|q: f64| q * learned), (1, &parts.bm25, &|q: f64| q * bm25)];
    fit(index, &fields)
}
