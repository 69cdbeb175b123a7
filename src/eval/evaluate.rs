//! From judgements and a run to scores.

use super::measure::{Judged, Measure};
use super::qrels::Qrels;
use super::run::Run;
use crate::error::{Error, Place, Result};

/// How to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Lowest grade that counts as relevant (trec_eval's `-l`).
    pub level: i32,
    /// Whether judged queries that the run lacks count as 0 (trec_eval's `-c`). If not, the
    /// means are over the queries that are both judged and in the run.
    pub complete: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { level: 1, complete: false }
    }
}

/// Scores of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// What was measured.
    pub measures: Vec<Measure>,
    /// Mean of each measure over `queries`.
    pub means: Vec<f64>,
    /// Each query's scores, by query id in bytewise order.
    pub queries: Vec<QueryScores>,
    /// Judged queries that the run lacks; counted as 0 under `complete`, else left out.
    pub missing: usize,
    /// Queries of the run that are not judged; always left out.
    pub unjudged: usize,
}

/// One query's scores.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryScores {
    /// Query id.
    pub id: String,
    /// One score a measure.
    pub scores: Vec<f64>,
}

/// Measures `run` against `qrels`.
///
/// # Errors
/// If no query of the run is judged: the files do not belong together.
pub fn evaluate(
    qrels: &Qrels,
    run: &Run,
    measures: &[Measure],
    options: Options,
) -> Result<Evaluation> {
    let (mut queries, mut missing, mut judged_and_run) = (Vec::new(), 0, 0);
    for id in qrels.queries() {
        let ranking = run.ranking(id);
        match ranking {
            Some(_) => judged_and_run += 1,
            None => missing += 1,
        }
        if ranking.is_none() && !options.complete {
            continue;
        }
        let judged = Judged { grades: qrels.grades(id).unwrap_or_default(), level: options.level };
        let documents = ranking.unwrap_or_default().iter();
        let ranked: Vec<i32> = documents.map(|document| qrels.grade(id, document)).collect();
        let scores = measures.iter().map(|measure| measure.score(&ranked, &judged)).collect();
        queries.push(QueryScores { id: id.to_owned(), scores });
    }
    if judged_and_run == 0 {
        let (path, problem) = match run.path().as_os_str().is_empty() {
            true => {
                (qrels.path(), "expected judgements of the run's queries, found none".to_owned())
            }
            false => {
                let judge = qrels.path().display();
                let problem = format!("expected queries that {judge} judges, found none of them");
                (run.path(), problem)
            }
        };
        return Err(Error::data(path, Place::File, problem)
            .hint("check that run and judgements belong to the same queries"));
    }
    let mean = |m: usize| {
        let sum: f64 = queries.iter().map(|query: &QueryScores| query.scores[m]).sum();
        sum / queries.len() as f64
    };
    Ok(Evaluation {
        measures: measures.to_vec(),
        means: (0..measures.len()).map(mean).collect(),
        missing,
        unjudged: run.queries().count() - judged_and_run,
        queries,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::parse_measures;

    fn example() -> (Qrels, Run) {
        let mut qrels = Qrels::default();
        for (query, document, grade) in [("a", "1", 1), ("b", "2", 1), ("c", "3", 0)] {
            qrels.insert(query, document, grade);
        }
        let rankings = [("a", vec!["9", "1"]), ("c", vec!["3"]), ("x", vec!["1"])];
        (qrels, Run::from_rankings(rankings.map(|(query, docs)| (query.to_owned(), docs))))
    }

    #[test]
    fn means_are_over_judged_queries_of_the_run_unless_complete() {
        let (qrels, run) = example();
        let measures = parse_measures("mrr").unwrap();
        let some = evaluate(&qrels, &run, &measures, Options::default()).unwrap();
        // Query c is judged, without a relevant document: it counts, as 0.
        assert_eq!((some.means[0], some.missing, some.unjudged), (0.5 / 2.0, 1, 1));
        let complete = Options { complete: true, ..Options::default() };
        let all = evaluate(&qrels, &run, &measures, complete).unwrap();
        assert_eq!((all.means[0], all.missing, all.unjudged), (0.5 / 3.0, 1, 1));
        let ids: Vec<&str> = all.queries.iter().map(|q| q.id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "c"]);
    }

    #[test]
    fn a_run_of_other_queries_is_an_error() {
        let (qrels, _) = example();
        let run = Run::from_rankings([("z".to_owned(), vec!["1"])]);
        let error = evaluate(&qrels, &run, &[Measure::Map(None)], Options::default()).unwrap_err();
        assert!(error.to_string().contains("judgements of the run's queries"), "{error}");
        for complete in [false, true] {
            let options = Options { complete, ..Options::default() };
            assert!(evaluate(&qrels, &run, &[Measure::Map(None)], options).is_err());
        }
    }
}
