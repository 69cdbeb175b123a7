//! Approximate answers: never unless asked for, and marked wherever they are shown.
//!
//! docs/approximate.md says what these ways save and lose, and which
//! others were measured and are not here.

use std::cmp::Reverse;
use std::fmt;

use serde::Serialize;

use super::{Query, QueryTerm};
use crate::error::{Error, Result};
use crate::index::Index;

/// What a search may leave out. The default leaves out nothing: answers are exact.
///
/// Values are checked where they are set, so every value of this type is sound.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Approximation {
    max_query_terms: Option<usize>,
    query_mass: Option<f64>,
    rescore: Option<usize>,
}

impl Approximation {
    /// Leaves out nothing.
    pub const EXACT: Self =
        Approximation { max_query_terms: None, query_mass: None, rescore: None };

    /// Searches with the `terms` heaviest terms of a query, those with the largest
    /// weight × largest impact of the list (as the query cut of Seismic, Bruch, Nardini,
    /// Rulli and Venturini, SIGIR 2024). Unless candidates are
    /// [rescored](Self::rescoring), a score is that of these terms alone, at most the
    /// document's score.
    ///
    /// # Errors
    /// No terms.
    pub fn keeping_terms(self, terms: usize) -> Result<Self> {
        let max_query_terms = Some(at_least_one("max_query_terms", terms)?);
        Ok(Approximation { max_query_terms, ..self })
    }

    /// Searches with the fewest of the heaviest terms that hold a share of the query's
    /// bound Σ weight × largest impact (Seismic's α-mass subvector, of bounds). Scores are
    /// as with [`keeping_terms`](Self::keeping_terms). A share of 1 is exact.
    ///
    /// # Errors
    /// A share that is not above 0 and at most 1.
    pub fn keeping_mass(self, share: f64) -> Result<Self> {
        let query_mass = Some(self::share("query_mass", share)?).filter(|&mass| mass < 1.0);
        Ok(Approximation { query_mass, ..self })
    }

    /// Finds this many candidates (k, if that is more) with the terms that are kept, then
    /// gives them their scores for the whole query (Lassance, Dejean, Clinchant and
    /// Tonellotto, Two-Step SPLADE, ECIR 2024). Scores are exact; documents may be missing.
    ///
    /// # Errors
    /// No candidates.
    pub fn rescoring(self, candidates: usize) -> Result<Self> {
        let rescore = Some(at_least_one("rescore", candidates)?);
        Ok(Approximation { rescore, ..self })
    }

    /// Whether answers are those of the exact search, by these settings alone.
    pub fn is_exact(&self) -> bool {
        // Rescoring without fewer terms changes nothing.
        *self == Approximation { rescore: self.rescore, ..Self::EXACT }
    }

    /// Whether scores may lack terms of the query.
    pub fn lowers_scores(&self) -> bool {
        self.keeps_fewer_terms() && self.rescore.is_none()
    }

    fn keeps_fewer_terms(&self) -> bool {
        self.max_query_terms.is_some() || self.query_mass.is_some()
    }

    /// Documents to find before the best `k` are told.
    pub(super) fn candidates(&self, k: usize) -> usize {
        if self.rescore_wanted() { k.max(self.rescore.unwrap_or(0)) } else { k }
    }

    /// Whether terms were dropped whose scores are to be added at the end.
    pub(super) fn rescore_wanted(&self) -> bool {
        self.keeps_fewer_terms() && self.rescore.is_some()
    }

    /// Moves the terms that are left out from `query` to `dropped`; both stay in term
    /// order.
    pub(super) fn cut(&self, index: &Index, query: &mut Query, dropped: &mut Vec<QueryTerm>) {
        dropped.clear();
        if !self.keeps_fewer_terms() {
            return;
        }
        let bound = |t: &QueryTerm| u64::from(t.weight) * u64::from(index.term(t.term).max_impact);
        let whole: u64 = query.terms.iter().map(bound).sum();
        query.terms.sort_unstable_by_key(|t| (Reverse(bound(t)), t.term));
        let mass = self.query_mass.map_or(f64::INFINITY, |share| share * whole as f64);
        let mut sum = 0;
        let enough = query.terms.iter().take_while(|t| {
            let wanted = (sum as f64) < mass;
            sum += bound(t);
            wanted
        });
        let kept = enough.count().min(self.max_query_terms.unwrap_or(usize::MAX));
        dropped.extend(query.terms.drain(kept..));
        query.terms.sort_unstable_by_key(|t| t.term);
        dropped.sort_unstable_by_key(|t| t.term);
    }

    /// The query of the terms that are kept.
    pub fn kept(&self, index: &Index, query: &Query) -> Query {
        let mut kept = query.clone();
        self.cut(index, &mut kept, &mut Vec::new());
        kept
    }
}

fn at_least_one(setting: &'static str, n: usize) -> Result<usize> {
    match n {
        0 => Err(Error::setting(setting, "at least 1", 0)),
        n => Ok(n),
    }
}

fn share(setting: &'static str, share: f64) -> Result<f64> {
    if share > 0.0 && share <= 1.0 {
        return Ok(share);
    }
    Err(Error::setting(setting, "above 0 and at most 1 (1 is exact)", share))
}

/// "exact", or the settings: "8 terms, 100 rescored".
impl fmt::Display for Approximation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.max_query_terms.map(|n| format!("{n} term{}", if n == 1 { "" } else { "s" })),
            self.query_mass.map(|share| format!("mass {share}")),
            self.rescore.map(|n| format!("{n} rescored")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        match self.is_exact() {
            true => f.write_str("exact"),
            false => f.write_str(&parts.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neutral_values_are_exact_and_others_say_what_they_are() {
        let exact = Approximation::EXACT;
        assert!(exact.keeping_mass(1.0).unwrap() == exact && exact.is_exact());
        assert!(exact.rescoring(100).unwrap().is_exact());
        let two = exact.keeping_terms(8).unwrap();
        assert!(two.lowers_scores() && !two.rescoring(100).unwrap().lowers_scores());
        assert_eq!(two.rescoring(100).unwrap().to_string(), "8 terms, 100 rescored");
        assert_eq!(exact.to_string(), "exact");
    }

    #[test]
    fn values_that_mean_nothing_are_refused_by_name() {
        let exact = Approximation::EXACT;
        for share in [0.0, -0.5, 1.01, f64::NAN, f64::INFINITY] {
            let error = exact.keeping_mass(share).unwrap_err().to_string();
            assert!(error.contains("`query_mass` must be above 0 and at most 1"), "{error}");
        }
        assert!(exact.keeping_terms(0).is_err() && exact.rescoring(0).is_err());
    }
}
