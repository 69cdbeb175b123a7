//! Measures of both indexes' answers, against judgements.

use serde::Serialize;

use super::answers::Answers;
use crate::error::{Error, Result};
use crate::eval::{Comparison, Measure, Options, Qrels, Run, compare, evaluate};

/// How a measure has changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasureChange {
    /// Its name, as in `ndcg@10`.
    pub measure: String,
    /// Judged queries.
    pub queries: usize,
    /// Means of the old and of the new index.
    pub means: [f64; 2],
    /// Queries for which the new one is better.
    pub wins: usize,
    /// Queries for which it is worse.
    pub losses: usize,
    /// Queries for which both are equal.
    pub ties: usize,
    /// Two-sided p value of the paired randomisation test.
    pub p: f64,
}

/// Measures the answers of both indexes and compares them query by query (as `splindex eval
/// --compare`, with `trials` random signs from `seed`).
///
/// # Errors
/// Answers without rankings; no judged query among them.
pub fn compare_quality(
    answers: &Answers,
    qrels: &Qrels,
    measures: &[Measure],
    trials: u64,
    seed: u64,
) -> Result<Vec<MeasureChange>> {
    let Some([old, new]) = &answers.rankings else {
        return Err(Error::Usage("measures need the answers' rankings".into()));
    };
    let measured = |rankings: &Vec<(String, Vec<String>)>| {
        let lists = rankings.iter().map(|(query, documents)| {
            (query.clone(), documents.iter().map(String::as_str).collect::<Vec<&str>>())
        });
        evaluate(qrels, &Run::from_rankings(lists), measures, Options::default())
    };
    let compared = compare(&measured(old)?, &measured(new)?, trials, seed)?;
    let change = |c: Comparison| MeasureChange {
        measure: c.measure.to_string(),
        queries: c.queries,
        means: c.means,
        wins: c.wins,
        losses: c.losses,
        ties: c.ties,
        p: c.p,
    };
    Ok(compared.into_iter().map(change).collect())
}
