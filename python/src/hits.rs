//! Answers of one query, or scores of given documents.

use std::sync::Arc;

use numpy::{PyArray1, ToPyArray};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyIterator, PyList};
use splindex::Hit;
use splindex::query::Approximation;

use crate::index::Opened;

/// Documents with their scores: answers of a search, best first, or the documents given to
/// `score`, as given. Arrays of equal length, made when they are asked for; iterating gives
/// `(id, score)`.
///
/// >>> import splindex
/// >>> index = splindex.build([("a", {"whale": 2.0}), ("b", {"whale": 1.0, "sea": 0.5})])
/// >>> hits = index.search({"whale": 1.0, "sea": 2.0}, k=10)
/// >>> list(hits)
/// [('b', 256), ('a', 255)]
/// >>> hits.float_scores.round(2).tolist()
/// [2.01, 2.0]
#[pyclass(module = "splindex", frozen)]
pub struct Hits {
    opened: Arc<Opened>,
    hits: Vec<Hit>,
    unit: f64,
    approximation: Approximation,
    ids: PyOnceLock<Py<PyArray1<Py<PyAny>>>>,
}

impl Hits {
    /// Answers of a query of which `unit` is the score of 1.0.
    pub fn new(
        opened: Arc<Opened>,
        hits: Vec<Hit>,
        unit: f64,
        approximation: Approximation,
    ) -> Self {
        Hits { opened, hits, unit, approximation, ids: PyOnceLock::new() }
    }

    fn pair<'py>(&self, py: Python<'py>, hit: &Hit) -> PyResult<Bound<'py, PyAny>> {
        Ok((self.opened.index.id(hit.ordinal), hit.score).into_pyobject(py)?.into_any())
    }
}

/// Ids of hits as an array of objects.
pub fn id_array<'py>(
    py: Python<'py>,
    opened: &Opened,
    hits: &[Hit],
) -> Bound<'py, PyArray1<Py<PyAny>>> {
    let names = opened.index.external_ids();
    let id = |hit: &Hit| pyo3::types::PyString::new(py, names.get(hit.ordinal)).into_any().unbind();
    PyArray1::from_vec(py, hits.iter().map(id).collect())
}

#[pymethods]
impl Hits {
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

    /// Scores in the units of the weights (of BM25, Lucene's score): float64. They differ from
    /// sums of the unquantized weights by what 8-bit impacts round.
    #[getter]
    fn float_scores<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        let scores: Vec<f64> =
            self.hits.iter().map(|hit| f64::from(hit.score) / self.unit).collect();
        scores.to_pyarray(py)
    }

    /// "exact", or what an approximate search may have left out.
    #[getter]
    fn approximation(&self) -> String {
        self.approximation.to_string()
    }

    /// The integer scores by id.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for hit in &self.hits {
            dict.set_item(self.opened.index.id(hit.ordinal), hit.score)?;
        }
        Ok(dict)
    }

    fn __len__(&self) -> usize {
        self.hits.len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, position: isize) -> PyResult<Bound<'py, PyAny>> {
        let at = if position < 0 { position + self.hits.len() as isize } else { position };
        let hit = usize::try_from(at).ok().and_then(|at| self.hits.get(at));
        match hit {
            Some(hit) => self.pair(py, hit),
            None => {
                let hits = self.hits.len();
                Err(PyIndexError::new_err(format!(
                    "expected a position below {hits}, found {position}"
                )))
            }
        }
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let pairs = self.hits.iter().map(|hit| self.pair(py, hit)).collect::<PyResult<Vec<_>>>()?;
        PyList::new(py, pairs)?.try_iter()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let shown = self.hits.iter().take(3).map(|hit| self.pair(py, hit));
        let shown = PyList::new(py, shown.collect::<PyResult<Vec<_>>>()?)?.repr()?.to_string();
        let more = if self.hits.len() > 3 { ", …]" } else { "]" };
        let marked = match self.approximation.is_exact() {
            true => String::new(),
            false => format!(", approximate: {}", self.approximation),
        };
        let shown = shown.trim_end_matches(']');
        Ok(format!("Hits({}: {shown}{more}{marked})", self.hits.len()))
    }
}
