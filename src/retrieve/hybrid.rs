//! Two parts of a query, learned and BM25, as integer weights of one hybrid index.
//!
//! Score = BM25 + h · learned, of de-quantized parts: an impact i of a field of scale s
//! stands for i / s, so a query weight q becomes round(C · q / s), × h for the learned
//! field, with C from META. That is the only rounding: every algorithm is exact on the
//! integers.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::index::{Index, TermId};
use crate::query::{MAX_QUERY_WEIGHT, Query, QueryTerm};

/// The weight h of the learned part where none is given. docs/hybrid.md says how it was
/// chosen.
pub const DEFAULT_HYBRID_WEIGHT: f64 = 0.5;

/// Query tokens with their weights q, in the units of each field.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Parts {
    pub(super) learned: Vec<(String, f64)>,
    pub(super) bm25: Vec<(String, f64)>,
}

/// What rounding did to a query's weights.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rounding {
    /// Largest relative error of a weight, of those that did not become 0.
    pub weight: f64,
    /// Largest possible error of a score, relative to the largest possible score.
    pub score: f64,
    /// Weights are 2^-halvings of what C says, so that they and all scores fit their
    /// integers.
    pub halvings: u32,
}

impl Rounding {
    /// The worse of both.
    pub fn max(self, other: Self) -> Self {
        Rounding {
            weight: self.weight.max(other.weight),
            score: self.score.max(other.score),
            halvings: self.halvings.max(other.halvings),
        }
    }
}

/// A known term: its exact weight in units of C, and its largest impact.
struct Exact {
    term: TermId,
    weight: f64,
    max_impact: f64,
}

/// The query, the number of known tokens whose weight became 0, and what rounding did.
pub(super) fn query(index: &Index, h: f64, parts: &Parts) -> Result<(Query, u32, Rounding)> {
    let (exact, unknown) = exact(index, h, parts)?;
    let halvings = halvings(&exact);
    let unit = 0.5f64.powi(halvings as i32);
    let rounded = |e: &Exact| (e.weight * unit + 0.5).floor();
    let (mut rounding, mut dropped) = (Rounding { halvings, ..Rounding::default() }, 0);
    let (mut error, mut bound) = (0.0, 0.0);
    let mut terms = Vec::with_capacity(exact.len());
    for e in &exact {
        let (wanted, weight) = (e.weight * unit, rounded(e));
        let off = (weight - wanted).abs();
        error += off * e.max_impact;
        bound += wanted * e.max_impact;
        if weight > 0.0 {
            rounding.weight = rounding.weight.max(off / wanted);
            terms.push(QueryTerm { term: e.term, weight: weight as u32 });
        } else {
            dropped += 1;
        }
    }
    if bound > 0.0 {
        rounding.score = error / bound;
    }
    Ok((Query::of_terms(index, terms, unknown)?, dropped, rounding))
}

/// Known terms with their weights summed, and the number of different unknown tokens.
fn exact(index: &Index, h: f64, parts: &Parts) -> Result<(Vec<Exact>, u32)> {
    let (meta, lexicon) = (index.meta(), index.lexicon());
    let (mut exact, mut unknown) = (Vec::new(), 0);
    for (field, tokens, weight) in [(0, &parts.learned, h), (1, &parts.bm25, 1.0)] {
        let factor = meta.hybrid_constant * weight / meta.fields[usize::from(field)].scale;
        let mut places: HashMap<&str, Option<usize>> = HashMap::with_capacity(tokens.len());
        for (token, q) in tokens {
            let place = places.entry(token).or_insert_with(|| {
                let Some(term) = lexicon.find(field, token) else {
                    unknown += 1;
                    return None;
                };
                let max_impact = f64::from(index.term(term).max_impact);
                exact.push(Exact { term, weight: 0.0, max_impact });
                Some(exact.len() - 1)
            });
            if let Some(place) = *place {
                exact[place].weight += q * factor;
                if !exact[place].weight.is_finite() {
                    return Err(Error::Usage(format!("token {token:?} has weight {q}: too large")));
                }
            }
        }
    }
    Ok((exact, unknown))
}

/// How often all weights must be halved so that each is a query weight and no score
/// overflows: 0 for nearly every query, more for texts of hundreds of words.
fn halvings(exact: &[Exact]) -> u32 {
    let fits = |halvings: u32| {
        let unit = 0.5f64.powi(halvings as i32);
        let rounded = |e: &Exact| (e.weight * unit + 0.5).floor();
        let bound: f64 = exact.iter().map(|e| rounded(e) * e.max_impact).sum();
        bound <= f64::from(i32::MAX)
            && exact.iter().all(|e| rounded(e) <= f64::from(MAX_QUERY_WEIGHT))
    };
    // Any finite weight is below 2^1024, and none of 0 is too large.
    (0..1100).find(|&n| fits(n)).unwrap_or(1100)
}
