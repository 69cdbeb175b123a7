//! Weights of a query made to fit their integers.
//!
//! A query weight is at most 65,535 and a score at most 2^31 − 1. A text of tens of
//! thousands of words asks for more; then all its weights are halved until they fit: the
//! order of its documents stays, up to rounding, and its scores are in another unit.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::index::{Index, TermId};
use crate::query::{MAX_QUERY_WEIGHT, Query, QueryTerm};

/// What rounding did to a query's weights.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rounding {
    /// Largest relative error of a weight, of those that did not become 0.
    pub weight: f64,
    /// Largest possible error of a score, relative to the largest possible score.
    pub score: f64,
    /// Weights are 2^-halvings of what they should be, so that they and all scores fit
    /// their integers.
    pub halvings: u32,
}

impl Rounding {
    /// What the halvings left of a weight of 1.
    pub(super) fn unit(self) -> f64 {
        0.5f64.powi(self.halvings as i32)
    }

    /// The worse of both.
    pub fn max(self, other: Self) -> Self {
        Rounding {
            weight: self.weight.max(other.weight),
            score: self.score.max(other.score),
            halvings: self.halvings.max(other.halvings),
        }
    }
}

/// A known term: its exact weight in units of an integer weight, and its largest impact.
struct Exact {
    term: TermId,
    weight: f64,
    max_impact: f64,
}

/// A field, the tokens that are asked of it, and what makes an exact weight of a token's.
pub(super) type Part<'a> = (u8, &'a [(String, f64)], &'a dyn Fn(f64) -> f64);

/// The query, the number of known tokens whose weight became 0, and what rounding did.
///
/// # Errors
/// A weight that is not finite.
pub(super) fn fit(index: &Index, parts: &[Part<'_>]) -> Result<(Query, u32, Rounding)> {
    let (exact, unknown) = exact(index, parts)?;
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
fn exact(index: &Index, parts: &[Part<'_>]) -> Result<(Vec<Exact>, u32)> {
    let lexicon = index.lexicon();
    let (mut exact, mut unknown) = (Vec::new(), 0);
    for &(field, tokens, weight) in parts {
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
                exact[place].weight += weight(*q);
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
