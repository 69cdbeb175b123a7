//! Two runs over the same queries: who wins, by how much, and could it be chance?

use rayon::prelude::*;

use super::evaluate::Evaluation;
use super::measure::Measure;
use crate::error::{Error, Result};

/// Signs drawn by one stream of random numbers; streams run in parallel.
const CHUNK: u64 = 1000;
/// Up to here all 2^n signs are tried, and the p value is exact.
const ALL_SIGNS: usize = 16;
/// Scores are sums of a few fractions: differences below are rounding.
const TIE: f64 = 1e-12;

/// How one measure differs between two runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What was measured.
    pub measure: Measure,
    /// Queries that both runs answer (or, complete, all judged ones).
    pub queries: usize,
    /// Means of the first and the second run over these queries.
    pub means: [f64; 2],
    /// Queries for which the second run is better.
    pub wins: usize,
    /// Queries for which it is worse.
    pub losses: usize,
    /// Queries for which both are equal.
    pub ties: usize,
    /// Two-sided p value of the randomisation test.
    pub p: f64,
}

impl Comparison {
    /// Mean of the second run less that of the first.
    pub fn difference(&self) -> f64 {
        self.means[1] - self.means[0]
    }
}

/// Compares `other` with `base`, measure by measure, over the queries of both.
///
/// The p value is that of Fisher's paired randomisation test (Smucker, Allan, Carterette,
/// CIKM 2007): the share of sign changes of the queries' differences that make the mean
/// difference at least as large as it is, in either direction. All of them are tried for
/// up to 16 queries that differ, else `trials` random ones, of which the observed one
/// counts as one more; they depend on `seed` only, not on the number of threads.
///
/// # Errors
/// Evaluations of other measures, or without a common query.
pub fn compare(
    base: &Evaluation,
    other: &Evaluation,
    trials: u64,
    seed: u64,
) -> Result<Vec<Comparison>> {
    if base.measures != other.measures {
        return Err(Error::Internal("evaluations of different measures".into()));
    }
    let pairs = common(base, other);
    if pairs.is_empty() {
        return Err(Error::Usage("the runs have no judged query in common".into()));
    }
    let measures = base.measures.iter().enumerate();
    Ok(measures.map(|(m, &measure)| one(measure, m, &pairs, trials, seed)).collect())
}

/// Scores of the queries that both have; queries stand in bytewise order.
fn common<'a>(base: &'a Evaluation, other: &'a Evaluation) -> Vec<(&'a [f64], &'a [f64])> {
    let mut others = other.queries.iter().peekable();
    let mut pairs = Vec::new();
    for query in &base.queries {
        while others.next_if(|o| o.id < query.id).is_some() {}
        if let Some(found) = others.next_if(|o| o.id == query.id) {
            pairs.push((&*query.scores, &*found.scores));
        }
    }
    pairs
}

fn one(
    measure: Measure,
    m: usize,
    pairs: &[(&[f64], &[f64])],
    trials: u64,
    seed: u64,
) -> Comparison {
    let differences: Vec<f64> = pairs.iter().map(|(a, b)| b[m] - a[m]).collect();
    let wins = differences.iter().filter(|&&d| d > TIE).count();
    let losses = differences.iter().filter(|&&d| d < -TIE).count();
    let n = pairs.len() as f64;
    let changed: Vec<f64> = differences.into_iter().filter(|d| d.abs() > TIE).collect();
    Comparison {
        measure,
        queries: pairs.len(),
        means: [
            pairs.iter().map(|(a, _)| a[m]).sum::<f64>() / n,
            pairs.iter().map(|(_, b)| b[m]).sum::<f64>() / n,
        ],
        wins,
        losses,
        ties: pairs.len() - wins - losses,
        p: p_value(&changed, trials, seed),
    }
}

/// Differences of 0 have no sign to change and are left out.
fn p_value(differences: &[f64], trials: u64, seed: u64) -> f64 {
    let observed = differences.iter().sum::<f64>().abs();
    // Equal sums in another order of addition count as equal.
    let bar = observed - TIE * differences.len() as f64;
    if differences.len() <= ALL_SIGNS {
        let all = 1u64 << differences.len();
        let reached = (0..all).filter(|&signs| signed_sum(differences, &mut || signs) >= bar);
        return reached.count() as f64 / all as f64;
    }
    let reached: u64 = (0..trials.div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| {
            let mut state = seed ^ (chunk + 1).wrapping_mul(0xD134_2543_DE82_EF95);
            let draws = CHUNK.min(trials - chunk * CHUNK);
            (0..draws).filter(|_| signed_sum(differences, &mut || next(&mut state)) >= bar).count()
                as u64
        })
        .sum();
    (reached + 1) as f64 / (trials + 1) as f64
}

/// |Σ ± d|, 64 signs a draw of `bits`.
fn signed_sum(differences: &[f64], bits: &mut impl FnMut() -> u64) -> f64 {
    let mut sum = 0.0;
    for part in differences.chunks(64) {
        let mut signs = bits();
        for difference in part {
            // The lowest bit becomes the sign bit.
            sum += f64::from_bits(difference.to_bits() ^ (signs << 63));
            signs >>= 1;
        }
    }
    sum.abs()
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::QueryScores;

    fn evaluation(scores: &[(&str, f64)]) -> Evaluation {
        let queries = scores.iter().map(|&(id, s)| QueryScores { id: id.into(), scores: vec![s] });
        Evaluation {
            measures: vec![Measure::Map(None)],
            means: vec![0.0],
            queries: queries.collect(),
            missing: 0,
            unjudged: 0,
        }
    }

    #[test]
    fn only_queries_of_both_runs_count() {
        let a = evaluation(&[("a", 0.5), ("b", 0.25), ("c", 0.5), ("d", 0.5)]);
        let b = evaluation(&[("a", 0.75), ("c", 0.5), ("d", 0.25), ("e", 1.0)]);
        let found = &compare(&a, &b, 1000, 1).unwrap()[0];
        assert_eq!((found.queries, found.wins, found.losses, found.ties), (3, 1, 1, 1));
        assert_eq!((found.means, found.difference(), found.p), ([0.5, 0.5], 0.0, 1.0));
        assert!(compare(&a, &evaluation(&[("x", 1.0)]), 1000, 1).is_err());
    }

    #[test]
    fn few_queries_give_the_exact_p_value() {
        // All five differ in the same direction: 2 of 32 signs reach the sum.
        assert_eq!(p_value(&[0.1, 0.2, 0.3, 0.4, 0.5], 10, 1), 2.0 / 32.0);
        // |±1 ±2 ±4| ≥ 3 for all but +1 +2 -4 = -1 and +1 -2 ... of both signs: 1, 3, 5, 7.
        assert_eq!(p_value(&[1.0, 2.0, -4.0], 10, 1), 1.0);
        assert_eq!(p_value(&[-1.0, 2.0, 4.0], 10, 1), 4.0 / 8.0);
        assert_eq!(p_value(&[], 10, 1), 1.0);
    }

    #[test]
    fn random_signs_come_near_the_exact_p_value_and_repeat() {
        // 20 differences of 1, 14 of them up: the sum is 8, and P(|sum| ≥ 8) is binomial.
        let differences: Vec<f64> = (0..20).map(|i| if i < 14 { 1.0 } else { -1.0 }).collect();
        let choose = |k: u64| (0..k).fold(1.0, |c, i| c * (20 - i) as f64 / (i + 1) as f64);
        let exact: f64 = (14..=20).map(choose).sum::<f64>() * 2.0 / 2f64.powi(20);
        let found = p_value(&differences, 50_000, 7);
        assert!((found - exact).abs() < 0.01, "{found} for {exact}");
        assert_eq!(found, p_value(&differences, 50_000, 7));
        assert_ne!(found, p_value(&differences, 50_000, 8));
    }

    #[test]
    fn a_certain_difference_is_not_called_impossible() {
        let p = p_value(&[1.0; 100], 999, 1);
        assert_eq!(p, 1.0 / 1000.0);
    }
}
