//! Runs against judgements.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use splindex::eval::{self, Evaluation, Measure, Options, Qrels, Run};
use splindex::{Error, Result};

use crate::batch::Batch;
use crate::error::{Raise, guarded};
use crate::pool;

/// Judgements of `splindex._frames`: a file, or `{query: {document: grade}}`.
#[derive(FromPyObject)]
pub enum Judgements {
    #[pyo3(transparent)]
    File(PathBuf),
    #[pyo3(transparent)]
    Grades(Vec<(String, Vec<(String, i32)>)>),
}

/// A run of `splindex._frames`: a batch, a file, scores, or rankings.
#[derive(FromPyObject)]
pub enum AnyRun<'py> {
    #[pyo3(transparent)]
    Batch(Bound<'py, Batch>),
    #[pyo3(transparent)]
    File(PathBuf),
    #[pyo3(transparent)]
    Scores(Vec<(String, Vec<(String, f64)>)>),
    #[pyo3(transparent)]
    Rankings(Vec<(String, Vec<String>)>),
}

impl Judgements {
    fn read(self) -> Result<Qrels> {
        match self {
            Judgements::File(path) => Qrels::read(&path),
            Judgements::Grades(grades) => {
                let mut qrels = Qrels::default();
                for (query, documents) in &grades {
                    for (document, grade) in documents {
                        qrels.insert(query, document, *grade);
                    }
                }
                Ok(qrels)
            }
        }
    }
}

impl AnyRun<'_> {
    /// The run; a file is read with Python's lock given back.
    fn read(self, py: Python<'_>) -> PyResult<Run> {
        match self {
            AnyRun::Batch(batch) => Ok(batch.get().run()),
            AnyRun::File(path) => py.detach(|| guarded(|| Run::read(&path))).raise(py),
            AnyRun::Scores(scores) => Run::from_scores(scores).raise(py),
            AnyRun::Rankings(rankings) => Ok(Run::from_rankings(rankings)),
        }
    }
}

fn measures(names: &[String]) -> Result<Vec<Measure>> {
    if names.is_empty() {
        return Err(Error::Usage("expected at least one measure, found none".into()));
    }
    eval::parse_measures(&names.join(","))
}

/// Means, scores by query, and counts of queries left out.
#[pyfunction]
#[pyo3(signature = (qrels, run, names, level, complete))]
pub fn evaluate<'py>(
    py: Python<'py>,
    qrels: Judgements,
    run: AnyRun<'py>,
    names: Vec<String>,
    level: i32,
    complete: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let measures = measures(&names).raise(py)?;
    let run = run.read(py)?;
    let evaluation = py.detach(|| {
        guarded(|| eval::evaluate(&qrels.read()?, &run, &measures, Options { level, complete }))
    });
    told(py, &evaluation.raise(py)?)
}

fn told<'py>(py: Python<'py>, evaluation: &Evaluation) -> PyResult<Bound<'py, PyDict>> {
    let names: Vec<String> = evaluation.measures.iter().map(Measure::to_string).collect();
    let by_name = |scores: &[f64]| -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        names.iter().zip(scores).try_for_each(|(name, score)| dict.set_item(name, score))?;
        Ok(dict)
    };
    let (told, queries) = (PyDict::new(py), PyDict::new(py));
    for query in &evaluation.queries {
        queries.set_item(&query.id, by_name(&query.scores)?)?;
    }
    told.set_item("means", by_name(&evaluation.means)?)?;
    told.set_item("per_query", queries)?;
    told.set_item("missing", evaluation.missing)?;
    told.set_item("unjudged", evaluation.unjudged)?;
    Ok(told)
}

/// A measure: its name, the queries, both means, wins, losses, ties, p.
type Compared = (String, usize, f64, f64, usize, usize, usize, f64);

/// How a run differs from another.
#[pyfunction]
#[pyo3(signature = (qrels, base, other, names, level, complete, trials, seed))]
#[expect(clippy::too_many_arguments)]
pub fn compare(
    py: Python<'_>,
    qrels: Judgements,
    base: AnyRun<'_>,
    other: AnyRun<'_>,
    names: Vec<String>,
    level: i32,
    complete: bool,
    trials: u64,
    seed: u64,
) -> PyResult<Vec<Compared>> {
    let measures = measures(&names).raise(py)?;
    let (base, other) = (base.read(py)?, other.read(py)?);
    let pool = pool::of(None).raise(py)?;
    let compared = py.detach(|| {
        guarded(|| {
            let (qrels, options) = (qrels.read()?, Options { level, complete });
            let base = eval::evaluate(&qrels, &base, &measures, options)?;
            let other = eval::evaluate(&qrels, &other, &measures, options)?;
            pool.install(|| eval::compare(&base, &other, trials, seed))
        })
    });
    let row = |c: &eval::Comparison| {
        let [base, other] = c.means;
        (c.measure.to_string(), c.queries, base, other, c.wins, c.losses, c.ties, c.p)
    };
    Ok(compared.raise(py)?.iter().map(row).collect())
}
