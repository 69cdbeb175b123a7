//! Many queries at once: prepared, and their answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use numpy::{PyArray1, ToPyArray};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyIterator, PyList, PyString};
use splindex::Hit;
use splindex::eval::{Falling, Run, RunFormat, RunWriter};
use splindex::output::PackedFile;
use splindex::queries::Prepared;
use splindex::query::Approximation;

use crate::error::{Raise, guarded, usage};
use crate::hits::{Hits, id_array};
use crate::index::Opened;

/// Queries that are ready for an index: what `index.prepare` gives and `search_batch` takes.
/// Searching them again costs no preparation.
#[pyclass(module = "splindex", frozen)]
pub struct Queries {
    pub opened: Arc<Opened>,
    pub prepared: Arc<Vec<Prepared>>,
}

#[pymethods]
impl Queries {
    /// The queries' ids.
    #[getter]
    fn ids(&self) -> Vec<&str> {
        self.prepared.iter().map(|query| query.id.as_str()).collect()
    }

    /// Tokens of each query that the index does not have: int64.
    #[getter]
    fn unknown<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        let unknown = self.prepared.iter().map(|query| i64::from(query.query.unknown));
        unknown.collect::<Vec<_>>().to_pyarray(py)
    }

    fn __len__(&self) -> usize {
        self.prepared.len()
    }

    fn __repr__(&self) -> String {
        format!("Queries({} for {})", self.prepared.len(), self.opened.name())
    }
}

/// Answers of many queries, one behind the other: `ids`, `ordinals`, `scores` and
/// `float_scores` hold those of all of them, and those of query i stand at
/// `offsets[i]:offsets[i + 1]`, best first.
///
/// >>> import splindex
/// >>> index = splindex.build([("a", {"whale": 2.0}), ("b", {"ship": 1.0, "sea": 0.5})])
/// >>> batch = index.search_batch({"q1": {"whale": 1.0}, "q2": {"sea": 1.0}}, k=10)
/// >>> batch.queries, batch.ids.tolist(), batch.offsets.tolist()
/// (['q1', 'q2'], ['a', 'b'], [0, 1, 2])
/// >>> batch["q2"]
/// Hits(1: [('b', 64)])
#[pyclass(module = "splindex", frozen)]
pub struct Batch {
    opened: Arc<Opened>,
    prepared: Arc<Vec<Prepared>>,
    hits: Vec<Hit>,
    offsets: Vec<usize>,
    approximation: Approximation,
    ids: PyOnceLock<Py<PyArray1<Py<PyAny>>>>,
}

impl Batch {
    /// Answers of `prepared`, with where each query's begin.
    pub fn new(
        opened: Arc<Opened>,
        prepared: Arc<Vec<Prepared>>,
        (hits, offsets): (Vec<Hit>, Vec<usize>),
        approximation: Approximation,
    ) -> Self {
        Batch { opened, prepared, hits, offsets, approximation, ids: PyOnceLock::new() }
    }

    /// Each query with its hits.
    fn each(&self) -> impl Iterator<Item = (&Prepared, &[Hit])> {
        let hits = self.offsets.windows(2).map(|ends| &self.hits[ends[0]..ends[1]]);
        self.prepared.iter().zip(hits)
    }

    /// The answers as a run: in this order, ties included.
    pub fn run(&self) -> Run {
        let ranking = |(query, hits): (&Prepared, &[Hit])| {
            let ids = hits.iter().map(|hit| self.opened.index.id(hit.ordinal));
            (query.id.clone(), ids.collect())
        };
        Run::from_rankings(self.each().map(ranking))
    }

    fn of(&self, at: usize) -> Option<Hits> {
        let hits = self.hits.get(*self.offsets.get(at)?..*self.offsets.get(at + 1)?)?;
        let unit = self.prepared.get(at)?.unit;
        Some(Hits::new(Arc::clone(&self.opened), hits.to_vec(), unit, self.approximation))
    }
}

#[pymethods]
impl Batch {
    /// The queries' ids, in their order.
    #[getter]
    fn queries(&self) -> Vec<&str> {
        self.prepared.iter().map(|query| query.id.as_str()).collect()
    }

    /// Ids of the documents: an array of `str` objects.
    #[getter]
    fn ids(&self, py: Python<'_>) -> Py<PyArray1<Py<PyAny>>> {
        let made = || id_array(py, &self.opened, &self.hits).unbind();
        self.ids.get_or_init(py, made).clone_ref(py)
    }

    /// Positions of the documents in the input, from 0: int64.
    #[getter]
    fn ordinals<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        let ordinals: Vec<i64> = self.hits.iter().map(|hit| i64::from(hit.ordinal)).collect();
        ordinals.to_pyarray(py)
    }

    /// Exact scores, Σ query weight × impact: int64.
    #[getter]
    fn scores<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        let scores: Vec<i64> = self.hits.iter().map(|hit| i64::from(hit.score)).collect();
        scores.to_pyarray(py)
    }

    /// Scores in the units of the weights (of BM25, Lucene's score): float64.
    #[getter]
    fn float_scores<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        let each =
            self.each().flat_map(|(query, hits)| hits.iter().map(|hit| query.weighed(hit.score)));
        each.collect::<Vec<f64>>().to_pyarray(py)
    }

    /// `float_scores` as float32 that fall strictly down each list: for readers that order
    /// equal scores by id (trec_eval, ir_measures), where ties shall keep their order.
    #[getter]
    fn falling_scores<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        let falling = self.each().flat_map(|(query, hits)| {
            let mut fall = Falling::default();
            hits.iter().map(move |hit| fall.below(query.weighed(hit.score) as f32))
        });
        falling.collect::<Vec<f32>>().to_pyarray(py)
    }

    /// Where each query's answers begin, and the end of the last: int64, one more than queries.
    #[getter]
    fn offsets<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        self.offsets.iter().map(|&offset| offset as i64).collect::<Vec<_>>().to_pyarray(py)
    }

    /// "exact", or what an approximate search may have left out.
    #[getter]
    fn approximation(&self) -> String {
        self.approximation.to_string()
    }

    /// `{query: {id: score}}`, as pytrec_eval and ir_measures take runs. Scores are those of a
    /// TREC run that the program writes: they fall strictly, so that equal integer scores keep
    /// their order for readers that order ties by id.
    fn to_run<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let run = PyDict::new(py);
        for (query, hits) in self.each() {
            let (documents, mut fall) = (PyDict::new(py), Falling::default());
            for hit in hits {
                let score = fall.below(hit.score as f32);
                documents.set_item(self.opened.index.id(hit.ordinal), score)?;
            }
            run.set_item(&query.id, documents)?;
        }
        Ok(run)
    }

    /// A pandas frame with a row a hit: `qid`, `docno`, `rank` (from 0), `score`
    /// (`falling_scores`), `integer_score`, `ordinal`.
    fn to_pandas<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("splindex._frames")?.call_method1("of_batch", (slf,))
    }

    /// Writes a run file (also `.gz` or `.zst`), which appears when it is complete: `format` is "trec", "msmarco" or
    /// "jsonl", `tag` the last column of TREC runs.
    ///
    /// Raises `splindex.UsageError` for an id that the format cannot hold.
    #[pyo3(signature = (path, *, format="trec", tag="splindex"))]
    fn write(&self, py: Python<'_>, path: PathBuf, format: &str, tag: &str) -> PyResult<()> {
        py.detach(|| guarded(|| self.write_run(&path, format.parse()?, tag))).raise(py)
    }

    fn __len__(&self) -> usize {
        self.prepared.len()
    }

    fn __getitem__(&self, query: &Bound<'_, PyAny>) -> PyResult<Hits> {
        let at = match query.cast::<PyString>() {
            Ok(id) => {
                let id = id.to_str()?;
                self.prepared.iter().position(|query| query.id == id)
            }
            Err(_) => {
                let at: isize = query
                    .extract()
                    .map_err(|_| usage(query.py(), "expected a query's id or its position"))?;
                usize::try_from(if at < 0 { at + self.prepared.len() as isize } else { at }).ok()
            }
        };
        let found = at.and_then(|at| self.of(at));
        found.ok_or_else(|| PyKeyError::new_err(query.clone().unbind()))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let pairs = (0..self.prepared.len())
            .filter_map(|at| Some((self.prepared[at].id.as_str(), self.of(at)?)));
        PyList::new(py, pairs.collect::<Vec<_>>())?.try_iter()
    }

    fn __repr__(&self) -> String {
        let marked = match self.approximation.is_exact() {
            true => String::new(),
            false => format!(", approximate: {}", self.approximation),
        };
        format!("Batch({} queries, {} hits{marked})", self.prepared.len(), self.hits.len())
    }
}

impl Batch {
    fn write_run(&self, path: &Path, format: RunFormat, tag: &str) -> splindex::Result<()> {
        let mut writer = RunWriter::new(PackedFile::create(path)?, path, format, tag);
        for (query, hits) in self.each() {
            let index = &self.opened.index;
            writer.query(&query.id, hits.iter().map(|hit| (index.id(hit.ordinal), hit.score)))?;
        }
        writer.finish()?.publish()
    }
}
