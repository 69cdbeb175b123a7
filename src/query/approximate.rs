//! Approximate answers: never unless asked for, and marked wherever they are shown.
//!
//! What was measured, and where each of these pays, stands in docs/benchmarks.md
//! ("Approximate modes").

use std::cmp::Reverse;
use std::fmt;

use serde::Serialize;

use super::{Algorithm, Query, QueryTerm};
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
    threshold_factor: Option<f64>,
    range_budget: Option<f64>,
}

impl Approximation {
    /// Leaves out nothing.
    pub const EXACT: Self = Approximation {
        max_query_terms: None,
        query_mass: None,
        rescore: None,
        threshold_factor: None,
        range_budget: None,
    };

    /// Searches with the `terms` heaviest terms of a query, those with the largest
    /// weight × largest impact of the list (as the query cut of Seismic, Bruch, Nardini,
    /// Rulli and Venturini, SIGIR 2024). Unless candidates are
    /// [rescored](Self::rescoring), a score is that of these terms alone, at most the
    /// document's score.
    ///
    /// # Errors
    /// No terms.
    pub fn keeping_terms(self, terms: usize) -> Result<Self> {
        let max_query_terms = Some(at_least_one("--max-query-terms", terms)?);
        Ok(Approximation { max_query_terms, ..self })
    }

    /// Searches with the fewest of the heaviest terms that hold a share of the query's
    /// bound Σ weight × largest impact (Seismic's α-mass subvector, of bounds). Scores are
    /// as with [`keeping_terms`](Self::keeping_terms). A share of 1 is exact.
    ///
    /// # Errors
    /// A share that is not above 0 and at most 1.
    pub fn keeping_mass(self, share: f64) -> Result<Self> {
        let query_mass = Some(self::share("--query-mass", share)?).filter(|&mass| mass < 1.0);
        Ok(Approximation { query_mass, ..self })
    }

    /// Finds this many candidates (k, if that is more) with the terms that are kept, then
    /// gives them their scores for the whole query (Lassance, Dejean, Clinchant and
    /// Tonellotto, Two-Step SPLADE, ECIR 2024). Scores are exact; documents may be missing.
    ///
    /// # Errors
    /// No candidates.
    pub fn rescoring(self, candidates: usize) -> Result<Self> {
        let rescore = Some(at_least_one("--rescore", candidates)?);
        Ok(Approximation { rescore, ..self })
    }

    /// Compares bounds with so many times the k-th score, as soon as there are k results
    /// (Broder et al., CIKM 2003; Macdonald, Tonellotto and Ounis, Effect of dynamic
    /// pruning safety on learning to rank effectiveness, SIGIR 2012). Scores are exact;
    /// documents may be missing. A factor of 1 is exact.
    ///
    /// # Errors
    /// A factor that is not a number of at least 1.
    pub fn overestimating(self, factor: f64) -> Result<Self> {
        if !(factor.is_finite() && factor >= 1.0) {
            return Err(Error::Usage(format!(
                "--threshold-factor must be a number of at least 1 (1 is exact), found {factor}"
            )));
        }
        Ok(Approximation { threshold_factor: Some(factor).filter(|&f| f > 1.0), ..self })
    }

    /// Visits at most this share of the ranges of 64 documents, those with the highest
    /// bounds (Mackenzie, Petri and Moffat, Anytime ranking on document-ordered indexes,
    /// TOIS 2021; ranges of 64 as in BMP, Mallia et al., SIGIR 2024). Scores are exact;
    /// documents may be missing. A share of 1 is exact.
    ///
    /// # Errors
    /// A share that is not above 0 and at most 1.
    pub fn within_ranges(self, share: f64) -> Result<Self> {
        let range_budget = Some(self::share("--range-budget", share)?).filter(|&s| s < 1.0);
        Ok(Approximation { range_budget, ..self })
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

    /// The settings that change what `algorithm` does: [`Auto`](Algorithm::Auto) takes all.
    pub fn for_algorithm(self, algorithm: Algorithm) -> Self {
        use Algorithm::{Auto, BlockMaxMaxScore, BlockMaxWand, MaxScore, RangePruned, Wand};
        let ranged = matches!(algorithm, Auto | RangePruned);
        let prunes = ranged || matches!(algorithm, Wand | BlockMaxWand | MaxScore | BlockMaxMaxScore);
        Approximation {
            rescore: self.rescore.filter(|_| self.keeps_fewer_terms()),
            threshold_factor: self.threshold_factor.filter(|_| prunes),
            range_budget: self.range_budget.filter(|_| ranged),
            ..self
        }
    }

    /// Whether `algorithm` can do what is asked.
    ///
    /// # Errors
    /// A setting that it has no use for; the error names those that have one.
    pub fn check(self, algorithm: Algorithm) -> Result<()> {
        let useful = self.for_algorithm(algorithm);
        let refuse = |problem: &str| {
            Err(Error::Usage(format!("{problem}, not for {algorithm}; leave one of the two out")))
        };
        if useful.range_budget != self.range_budget {
            return refuse("--range-budget is for range_pruned and auto");
        }
        if useful.threshold_factor != self.threshold_factor {
            return refuse("--threshold-factor is for algorithms that compare bounds (wand, \
                           block_max_wand, maxscore, block_max_maxscore, range_pruned)");
        }
        if useful.rescore != self.rescore {
            return Err(Error::Usage(
                "--rescore is for queries that --max-query-terms or --query-mass cut; give one of \
                 them"
                .into(),
            ));
        }
        Ok(())
    }

    /// The algorithm that runs, as [`Algorithm::resolve`] for the terms that are kept;
    /// a budget of ranges is one for `range_pruned`.
    pub fn resolve(&self, algorithm: Algorithm, index: &Index, kept: &Query, k: usize) -> Algorithm {
        match algorithm {
            Algorithm::Auto if self.range_budget.is_some() => Algorithm::RangePruned,
            algorithm => algorithm.resolve(index, kept, self.candidates(k)),
        }
    }

    /// Documents to find before the best `k` are told.
    pub(super) fn candidates(&self, k: usize) -> usize {
        if self.rescore_wanted() { k.max(self.rescore.unwrap_or(0)) } else { k }
    }

    /// Whether terms were dropped whose scores are to be added at the end.
    pub(super) fn rescore_wanted(&self) -> bool {
        self.keeps_fewer_terms() && self.rescore.is_some()
    }

    pub(super) fn threshold_factor(&self) -> f64 {
        self.threshold_factor.unwrap_or(1.0)
    }

    /// How many of `ranges` may be visited: at least one.
    pub(super) fn budget(&self, ranges: usize) -> usize {
        let of = |share: f64| ((share * ranges as f64).ceil() as usize).clamp(1, ranges.max(1));
        self.range_budget.map_or(usize::MAX, of)
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

fn at_least_one(flag: &str, n: usize) -> Result<usize> {
    match n {
        0 => Err(Error::Usage(format!("{flag} must be at least 1, found 0"))),
        n => Ok(n),
    }
}

fn share(flag: &str, share: f64) -> Result<f64> {
    if share > 0.0 && share <= 1.0 {
        return Ok(share);
    }
    Err(Error::Usage(format!("{flag} must be above 0 and at most 1 (1 is exact), found {share}")))
}

/// "exact", or the settings: "8 terms, 100 rescored".
impl fmt::Display for Approximation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.max_query_terms.map(|n| format!("{n} terms")),
            self.query_mass.map(|share| format!("mass {share}")),
            self.rescore.map(|n| format!("{n} rescored")),
            self.threshold_factor.map(|factor| format!("threshold × {factor}")),
            self.range_budget.map(|share| format!("{share} of the ranges")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(if self.is_exact() { "exact" } else { &parts.join(", ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neutral_values_are_exact_and_others_say_what_they_are() {
        let exact = Approximation::EXACT;
        let neutral = exact.keeping_mass(1.0).and_then(|a| a.overestimating(1.0)?.within_ranges(1.0));
        assert!(neutral.unwrap() == exact && exact.is_exact());
        assert!(exact.rescoring(100).unwrap().is_exact());
        let two = exact.keeping_terms(8).unwrap();
        assert!(two.lowers_scores() && !two.rescoring(100).unwrap().lowers_scores());
        assert_eq!(two.rescoring(100).unwrap().to_string(), "8 terms, 100 rescored");
        assert_eq!(exact.to_string(), "exact");
    }

    #[test]
    fn values_that_mean_nothing_are_refused_with_the_flag() {
        let exact = Approximation::EXACT;
        for share in [0.0, -0.5, 1.01, f64::NAN, f64::INFINITY] {
            let error = exact.keeping_mass(share).unwrap_err().to_string();
            assert!(error.contains("--query-mass must be above 0 and at most 1"), "{error}");
            assert!(exact.within_ranges(share).unwrap_err().to_string().contains("--range-budget"));
        }
        for factor in [0.0, 0.99, -1.0, f64::NAN, f64::INFINITY] {
            let error = exact.overestimating(factor).unwrap_err().to_string();
            assert!(error.contains("--threshold-factor must be a number"), "{error}");
        }
        assert!(exact.keeping_terms(0).is_err() && exact.rescoring(0).is_err());
    }

    #[test]
    fn settings_without_a_use_are_refused() {
        let exact = Approximation::EXACT;
        let ranges = exact.within_ranges(0.1).unwrap();
        assert!(ranges.check(Algorithm::Auto).is_ok() && ranges.check(Algorithm::Wand).is_err());
        let factor = exact.overestimating(1.5).unwrap();
        assert!(factor.check(Algorithm::Windowed).unwrap_err().to_string().contains("windowed"));
        assert!(factor.check(Algorithm::MaxScore).is_ok());
        assert_eq!(factor.for_algorithm(Algorithm::Windowed), exact);
        let rescored = exact.rescoring(50).unwrap();
        assert!(rescored.check(Algorithm::Auto).unwrap_err().to_string().contains("--rescore"));
        assert!(rescored.keeping_terms(3).unwrap().check(Algorithm::Windowed).is_ok());
    }

    #[test]
    fn a_budget_is_never_none_of_the_ranges() {
        let budget = |share, ranges| Approximation::EXACT.within_ranges(share).unwrap().budget(ranges);
        assert_eq!((budget(0.01, 1000), budget(0.01, 3), budget(0.5, 0)), (10, 1, 1));
        assert_eq!(budget(1.0, 5), usize::MAX);
    }
}
