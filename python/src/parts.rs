//! A collection in parts on several machines, for `splindex.ray`: what is counted over all parts, the
//! queries of all of them, and their answers as one list.

use std::path::{Path, PathBuf};

use numpy::ToPyArray;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use splindex::bm25::total_length;
use splindex::index::Summary;
use splindex::queries::file::{QueryKind, one_query, parse_request};
use splindex::queries::{Prepared, TEXT_SCALE, TextLimits, Tokens};
use splindex::query::partial::merged;
use splindex::vectors::store::{Kind, Plan, WeightFormat, write_source};
use splindex::{Algorithm, QueryBuilder};

use crate::arrays::Matrix;
use crate::build::{TextSource, Texts};
use crate::encode::shard_of;
use crate::error::{Raise, guarded};
use crate::query::prepare;
use crate::settings::Bm25Settings;
use crate::work::Work;

/// What errors call the body of a request.
const REQUEST: &str = "request";

/// What queries must know of a collection whose parts lie elsewhere: `Collection.open(path)` of the
/// summary in its release, or of its only index. Queries are made here once, for `Index._answer`
/// of each part: `query`, or `request` as HTTP has them, give `(id, terms, unit, unknown,
/// truncated, k, algorithm)`.
#[pyclass(module = "splindex", frozen)]
pub struct Collection {
    summary: Summary,
    queries: QueryBuilder,
}

/// Id, terms, score of 1.0, unknown tokens, whether more stood there, and the query's own k and algorithm.
type Made<'py> = (String, Bound<'py, PyBytes>, f64, u32, bool, Option<usize>, Option<&'static str>);

impl Collection {
    fn made<'py>(
        &self,
        py: Python<'py>,
        query: &Prepared,
        k: Option<usize>,
        algorithm: Option<Algorithm>,
    ) -> Made<'py> {
        let terms = PyBytes::new(py, &Tokens::of(query, &self.queries).encode());
        let algorithm = algorithm.map(|algorithm| algorithm.name());
        let Prepared { id, unit, truncated, .. } = query;
        (id.clone(), terms, *unit, query.query.unknown, *truncated, k, algorithm)
    }
}

#[pymethods]
impl Collection {
    /// Opens a summary, or an index.
    #[staticmethod]
    #[pyo3(signature = (path, *, query_model=None, hybrid_weight=None, max_query_length=None))]
    fn open(
        py: Python<'_>,
        path: PathBuf,
        query_model: Option<PathBuf>,
        hybrid_weight: Option<f64>,
        max_query_length: Option<usize>,
    ) -> PyResult<Self> {
        let open = || {
            let summary = Summary::open(&path)?;
            let limits = max_query_length.map(|most| TextLimits { tokens: most, words: most });
            let model = query_model.as_deref();
            let queries = QueryBuilder::of_summary(&summary, model, hybrid_weight, limits)?;
            Ok(Collection { summary, queries })
        };
        py.detach(|| guarded(open)).raise(py)
    }

    /// A query as `Index.search` takes it.
    fn query<'py>(&self, query: &Bound<'py, PyAny>) -> PyResult<Made<'py>> {
        let prepared = prepare(&self.queries, query, self.summary.is_hybrid())?;
        Ok(self.made(query.py(), &prepared, None, None))
    }

    /// The queries of a request over HTTP: a text, or the bytes of a query file.
    #[pyo3(signature = (body, kind=None))]
    fn request<'py>(
        &self,
        py: Python<'py>,
        body: Body,
        kind: Option<&str>,
    ) -> PyResult<Vec<Made<'py>>> {
        let texts = self.queries.takes_texts();
        let prepare = || {
            let name = Path::new(REQUEST);
            let kind = kind.map(str::parse).transpose()?;
            let (file, wishes) = match body {
                // One query is too little to guess from.
                Body::Text(text) => {
                    let usual = if texts { QueryKind::Text } else { QueryKind::Auto };
                    (one_query(name, "q", &text, kind.unwrap_or(usual))?, vec![Default::default()])
                }
                Body::File(bytes) => parse_request(name, bytes, kind.unwrap_or(QueryKind::Auto))?,
            };
            Ok((self.queries.prepare(&file, TEXT_SCALE)?, wishes))
        };
        let (prepared, wishes) = py.detach(|| guarded(prepare)).raise(py)?;
        let made = prepared.iter().zip(wishes);
        Ok(made.map(|(query, own)| self.made(py, query, own.k, own.algorithm)).collect())
    }

    /// Documents of all parts.
    #[getter]
    fn documents(&self) -> u64 {
        self.summary.documents()
    }

    /// Whether queries may be texts.
    #[getter]
    fn texts(&self) -> bool {
        self.queries.takes_texts()
    }
}

/// One text, or many queries.
#[derive(FromPyObject)]
enum Body {
    #[pyo3(transparent)]
    Text(String),
    #[pyo3(transparent)]
    File(Vec<u8>),
}

/// The `k` best of what the parts answered to one query: ids, ordinals and scores, as one index
/// lists them.
#[pyfunction]
pub fn merge_answers<'py>(
    py: Python<'py>,
    answers: Vec<Bound<'py, PyBytes>>,
    k: usize,
) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let hits = merged(answers.iter().map(|answer| answer.as_bytes()), k).raise(py)?;
    let ids = PyList::new(py, hits.iter().map(|hit| &hit.id))?;
    let ordinals: Vec<i64> = hits.iter().map(|hit| hit.ordinal as i64).collect();
    let scores: Vec<i64> = hits.iter().map(|hit| i64::from(hit.score)).collect();
    Ok((ids, ordinals.to_pyarray(py).into_any(), scores.to_pyarray(py).into_any()))
}

/// Documents and tokens of texts: sums over all parts give the mean length of the collection.
#[pyfunction]
pub fn count_tokens(py: Python<'_>, texts: Texts<'_>, bm25: Bm25Settings) -> PyResult<(u64, u64)> {
    let mut work = Work::new();
    let texts = TextSource::new(&mut work, texts);
    work.silently(py, None, None, |_| total_length(texts.records()?, &bm25.params()?))
}

/// Writes the rows of a matrix to a new store that is one shard of several, `(number, shards,
/// documents before)`: vectors of an encoder that is not ours.
#[pyfunction]
pub fn write_store(
    py: Python<'_>,
    matrix: Matrix<'_>,
    path: PathBuf,
    shard: (u64, u64, u64),
) -> PyResult<()> {
    let arrays = matrix.arrays()?;
    let slices = arrays.slices(py)?;
    Work::new().silently(py, None, None, |_| {
        let (index, count, before) = shard;
        let plan = Plan {
            shard: Some(shard_of((index, count))?),
            doc_base: before,
            ..Plan::converted(Kind::Document, WeightFormat::F32)
        };
        write_source(&mut *slices.source()?, &path, plan).map(drop)
    })
}
