//! An open index.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyDict, PyIterator, PyList, PyString, PyTuple};
use splindex::builder::BuildReport;
use splindex::error::Place;
use splindex::queries::file::{QueryFile, QueryInput, QueryKind, read_queries};
use splindex::queries::{Prepared, Tokens};
use splindex::query::partial::Partial;
use splindex::query::{Approximation, Explainer};
use splindex::{Algorithm, BatchOptions, Error, Hit, Load, QueryBuilder, Result, Searcher};

use crate::arrays::Matrix;
use crate::batch::{Batch, Queries};
use crate::build::{Built, report_dict};
use crate::constraints::constraints;
use crate::encode::Encoder;
use crate::error::{Raise, exception, guarded, usage};
use crate::hits::Hits;
use crate::pool;
use crate::query::{asked, check, prepare};
use crate::settings::approximation;

/// Queries answered between two looks at signals.
const BATCH: usize = 8192;

/// What errors call queries that come from no file.
const QUERIES: &str = "<queries>";

/// Bytes, what makes queries of them, and searchers that wait for the next one.
pub struct Opened {
    pub index: splindex::Index,
    queries: QueryBuilder,
    searchers: Mutex<Vec<Searcher>>,
}

impl Opened {
    fn new(index: splindex::Index, queries: QueryBuilder) -> Self {
        Opened { index, queries, searchers: Mutex::default() }
    }

    /// Does something with a searcher, which is kept for the next if nothing went wrong.
    pub fn with_searcher<T>(
        &self,
        approximation: Approximation,
        ask: impl FnOnce(&mut Searcher) -> Result<T>,
    ) -> Result<T> {
        guarded(|| {
            let waiting = self.searchers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let searcher = waiting.unwrap_or_else(|| self.index.searcher());
            let mut searcher = searcher.approximating(approximation);
            let answer = ask(&mut searcher)?;
            self.searchers.lock().unwrap_or_else(PoisonError::into_inner).push(searcher);
            Ok(answer)
        })
    }

    /// What messages call it.
    pub fn name(&self) -> String {
        self.index.path().display().to_string()
    }

    fn is_hybrid(&self) -> bool {
        self.index.meta().is_hybrid()
    }

    fn ordinals(&self, py: Python<'_>, ids: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
        ids.try_iter()?.map(|id| self.ordinal(py, &id?)).collect()
    }

    fn ordinal(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<u32> {
        let Ok(text) = id.cast::<PyString>() else {
            let found = crate::feed::type_name(id);
            return Err(usage(py, format!("expected a str as document id, found {found}")));
        };
        let text = text.to_str()?;
        match self.index.find(text) {
            Some(ordinal) => Ok(ordinal),
            None => {
                let message =
                    format!("{}: expected an id of the index, found {text:?}", self.name());
                let class = py.import("splindex._errors")?.getattr("UnknownIdError")?;
                Err(PyErr::from_value(class.call1((message,))?))
            }
        }
    }

    /// The field byte of a field by its name.
    fn field(&self, py: Python<'_>, name: Option<&str>) -> PyResult<u8> {
        let fields = &self.index.meta().fields;
        let names: Vec<&str> = fields.iter().map(|field| field.kind.name()).collect();
        let found = match name {
            None => Some(0),
            Some(name) => names.iter().position(|&field| field == name),
        };
        match found {
            Some(field) => Ok(field as u8),
            None => {
                let expected = names.join(" or ");
                let found = format!("{:?}", name.unwrap_or_default());
                Err(exception(py, &Error::setting("field", expected, found)))
            }
        }
    }
}

/// An index: a mapped file, or bytes in memory. Threads may share it. Open one with
/// `Index.open`, or build one with `splindex.build`.
///
/// >>> import splindex
/// >>> index = splindex.build([("a", {"whale": 2.0, "sea": 0.5}), ("b", {"whale": 1.2})])
/// >>> len(index), list(index.ids)
/// (2, ['a', 'b'])
/// >>> with index:
/// ...     list(index.search({"whale": 1.0}, k=1))
/// [('a', 255)]
/// >>> index.search({"whale": 1.0})
/// Traceback (most recent call last):
/// splindex.UsageError: the index is closed
#[pyclass(module = "splindex", frozen, weakref)]
pub struct Index {
    opened: Mutex<Option<Arc<Opened>>>,
    /// Where it was opened, for other processes; none for one in memory.
    path: Option<PathBuf>,
    load: Load,
    query_model: Option<Py<PyAny>>,
    hybrid_weight: Option<f64>,
    report: Option<BuildReport>,
}

impl Index {
    /// An index that was just built, at `path` or in memory.
    pub fn built(py: Python<'_>, (index, report): Built, path: Option<PathBuf>) -> PyResult<Self> {
        let path = path.map(|path| absolute(py, &path)).transpose()?;
        let queries = QueryBuilder::new(&index).raise(py)?;
        Ok(Index { report: Some(report), path, ..Index::plain(Opened::new(index, queries)) })
    }

    /// An index that was just written to `path`.
    pub fn opened_at(py: Python<'_>, index: splindex::Index, path: PathBuf) -> PyResult<Self> {
        let queries = QueryBuilder::new(&index).raise(py)?;
        let path = Some(absolute(py, &path)?);
        Ok(Index { path, ..Index::plain(Opened::new(index, queries)) })
    }

    fn plain(opened: Opened) -> Self {
        Index {
            opened: Mutex::new(Some(Arc::new(opened))),
            path: None,
            load: Load::Mmap,
            query_model: None,
            hybrid_weight: None,
            report: None,
        }
    }

    fn opened(&self, py: Python<'_>) -> PyResult<Arc<Opened>> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner).clone();
        opened.ok_or_else(|| usage(py, "the index is closed"))
    }
}

/// A path that other folders and processes can open.
fn absolute(py: Python<'_>, path: &Path) -> PyResult<PathBuf> {
    std::path::absolute(path).map_err(|e| Error::io("find", path, e)).raise(py)
}

/// What makes queries: BM25's analyzer, or the query model, of which an Encoder may be given.
fn query_builder(
    py: Python<'_>,
    index: &splindex::Index,
    model: Option<&Py<PyAny>>,
    hybrid_weight: Option<f64>,
) -> PyResult<QueryBuilder> {
    let model = model.map(|model| model.bind(py));
    let (encoder, path) = match model {
        None => (None, None),
        Some(model) => match model.cast::<Encoder>() {
            Ok(encoder) => (Some(encoder.get().queries(py)?), None),
            Err(_) => (None, Some(model.extract::<PathBuf>()?)),
        },
    };
    py.detach(|| {
        guarded(|| match encoder.filter(|_| !QueryBuilder::needs_no_model(index)) {
            None => QueryBuilder::load(index, path.as_deref(), hybrid_weight),
            Some(encoder) => {
                let builder = QueryBuilder::with_encoder(index, encoder)?;
                match hybrid_weight {
                    Some(weight) => builder.weighing(weight),
                    None => Ok(builder),
                }
            }
        })
    })
    .raise(py)
}

#[pymethods]
impl Index {
    /// Opens an index file. `load` is "mmap" (pages are read when they are touched), "populate"
    /// (all now) or "ram" (a copy in memory). Texts as queries go through `query_model`, an
    /// `Encoder` or its folder, unless the index is BM25; `hybrid_weight` weighs the learned part
    /// of a hybrid index (0.5 by default, 0 asks BM25 alone).
    ///
    /// Raises `splindex.MissingFileError` (a `FileNotFoundError`) where there is no file,
    /// `splindex.DataError` for one that is no index or damaged.
    ///
    /// >>> import splindex
    /// >>> splindex.Index.open("no.spx")
    /// Traceback (most recent call last):
    /// splindex.MissingFileError: no.spx: no such file or directory
    #[staticmethod]
    #[pyo3(signature = (path, *, load="mmap", query_model=None, hybrid_weight=None))]
    fn open(
        py: Python<'_>,
        path: PathBuf,
        load: &str,
        query_model: Option<Py<PyAny>>,
        hybrid_weight: Option<f64>,
    ) -> PyResult<Self> {
        let load: Load = load.parse().raise(py)?;
        let index = py.detach(|| guarded(|| splindex::Index::open_with(&path, load))).raise(py)?;
        let queries = query_builder(py, &index, query_model.as_ref(), hybrid_weight)?;
        let path = Some(absolute(py, &path)?);
        let plain = Index::plain(Opened::new(index, queries));
        Ok(Index { path, load, query_model, hybrid_weight, ..plain })
    }

    /// What an unpickled index is: the file must be the one that was pickled.
    #[staticmethod]
    fn _reopen(
        py: Python<'_>,
        path: PathBuf,
        load: &str,
        query_model: Option<Py<PyAny>>,
        hybrid_weight: Option<f64>,
        content_id: &str,
    ) -> PyResult<Self> {
        let index = Index::open(py, path, load, query_model, hybrid_weight)?;
        let opened = index.opened(py)?;
        let found = opened.index.content_id();
        if found != content_id {
            let problem = format!("expected the index with content id {content_id}, found {found}");
            let error = Error::data(opened.index.path(), Place::File, problem)
                .hint("the file was replaced after the index was pickled: open it anew");
            return Err(exception(py, &error));
        }
        Ok(index)
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (py, index) = (slf.py(), slf.get());
        let opened = index.opened(py)?;
        let Some(path) = &index.path else {
            return Err(usage(
                py,
                "an index in memory has no path to pickle; build it with `output`, so that other \
                 processes can open the file",
            ));
        };
        let load = match index.load {
            Load::Mmap => "mmap",
            Load::Populate => "populate",
            Load::Ram => "ram",
        };
        let model = index.query_model.as_ref().map(|model| model.clone_ref(py));
        let arguments =
            (path.as_os_str(), load, model, index.hybrid_weight, opened.index.content_id());
        Ok((slf.get_type().getattr("_reopen")?, arguments.into_pyobject(py)?))
    }

    /// The same index, whose texts go through `query_model`, an `Encoder` or its folder, and
    /// whose learned part has the weight `hybrid_weight`.
    #[pyo3(signature = (*, query_model=None, hybrid_weight=None))]
    fn with_queries(
        &self,
        py: Python<'_>,
        query_model: Option<Py<PyAny>>,
        hybrid_weight: Option<f64>,
    ) -> PyResult<Self> {
        let index = self.opened(py)?.index.clone();
        let query_model = query_model.or_else(|| Some(self.query_model.as_ref()?.clone_ref(py)));
        let hybrid_weight = hybrid_weight.or(self.hybrid_weight);
        let queries = query_builder(py, &index, query_model.as_ref(), hybrid_weight)?;
        let plain = Index::plain(Opened::new(index, queries));
        let (path, report) = (self.path.clone(), self.report.clone());
        Ok(Index { path, load: self.load, query_model, hybrid_weight, report, ..plain })
    }

    /// The `k` best documents for a query, best first; equal scores stand in the order of the
    /// input.
    ///
    /// `query` is a dict `{token: weight}` with weights of 0 or more (integers are taken as they
    /// are, others × 100 and rounded), a text (for BM25, or with a query model), or `Parts` for a
    /// hybrid index. `algorithm` changes the time, never the answer: "auto", "windowed", "wand",
    /// "block_max_wand", "maxscore", "block_max_maxscore", "block_pruned", "exhaustive".
    ///
    /// `filter` leaves documents out by their attributes: a text such as `'lang = "en" and year >=
    /// 2020'`, or the same as a dict. `boost` adds integers to scores, `'500: lang = "en"'` or
    /// `'3 * popularity'`, one or a list; `min_score` is the least score of a hit.
    ///
    /// `max_query_terms`, `query_mass` and `rescore` make it approximate, and the hits say so.
    ///
    /// Raises `splindex.UsageError` for a query that the index cannot be asked.
    ///
    /// >>> import splindex
    /// >>> index = splindex.build_bm25([("a", "the blue whale"), ("b", "a red ship")])
    /// >>> index.search("whales").ids.tolist()
    /// ['a']
    #[pyo3(signature = (query, k=10, algorithm="auto", *, filter=None, boost=None, min_score=0,
        max_query_terms=None, query_mass=None, rescore=None))]
    #[expect(clippy::too_many_arguments)]
    fn search(
        &self,
        py: Python<'_>,
        query: &Bound<'_, PyAny>,
        k: usize,
        algorithm: &str,
        filter: Option<&Bound<'_, PyAny>>,
        boost: Option<&Bound<'_, PyAny>>,
        min_score: u32,
        max_query_terms: Option<usize>,
        query_mass: Option<f64>,
        rescore: Option<usize>,
    ) -> PyResult<Hits> {
        let opened = self.opened(py)?;
        let approximation = approximation(max_query_terms, query_mass, rescore).raise(py)?;
        let algorithm: Algorithm = algorithm.parse().raise(py)?;
        let constraints = constraints(py, filter, boost, min_score)?;
        let prepared = prepare(&opened.queries, query, opened.is_hybrid())?;
        let constrain = || opened.queries.constrain(prepared, &constraints);
        let prepared = py.detach(|| guarded(constrain)).raise(py)?;
        let hits = py.detach(|| {
            opened.with_searcher(approximation, |searcher| {
                searcher.search(&prepared.query, k, algorithm).map(<[Hit]>::to_vec)
            })
        });
        Ok(Hits::new(opened, hits.raise(py)?, prepared.unit, approximation))
    }

    /// Queries ready to be searched, once or often. `queries` is a dict `{id: query}`, an
    /// iterable of `(id, query)`, a SciPy matrix or `Vectors` (with `ids`, by default row
    /// numbers, and `vocabulary`), or the path of a query file. Weights are taken as integers if
    /// all of them are, else × `query_scale`, rounded.
    ///
    /// Raises `splindex.DataError` with the record for a query that cannot be asked.
    #[pyo3(signature = (queries, *, ids=None, vocabulary=None, query_scale=100.0, threads=None))]
    fn prepare(
        &self,
        py: Python<'_>,
        queries: &Bound<'_, PyAny>,
        ids: Option<&Bound<'_, PyAny>>,
        vocabulary: Option<&Bound<'_, PyAny>>,
        query_scale: f64,
        threads: Option<usize>,
    ) -> PyResult<Queries> {
        let opened = self.opened(py)?;
        let pool = pool::of(threads).raise(py)?;
        let file = match Asked::read(py, &opened, queries, ids, vocabulary)? {
            Asked::Queries(queries) => Ok(queries),
            Asked::File(path) => py.detach(|| guarded(|| read_queries(&path, QueryKind::Auto))),
        };
        let file = file.raise(py)?;
        let prepare = || pool.install(|| opened.queries.prepare_together(&file, query_scale));
        let prepared = Arc::new(py.detach(|| guarded(prepare)).raise(py)?);
        Ok(Queries { opened, prepared })
    }

    /// Answers many queries on several threads: those of `prepare`, or anything that it takes.
    /// The lists are those of `search`, whatever the number of threads (one a core by default).
    /// `filter`, `boost` and `min_score` are those of `search`, for all queries; lines of a JSON query
    /// file may have their own.
    ///
    /// >>> import splindex
    /// >>> index = splindex.build([("a", {"whale": 2.0}), ("b", {"ship": 1.0})])
    /// >>> batch = index.search_batch([("q1", {"whale": 1.0}), ("q2", {"ship": 2.0})], k=5)
    /// >>> batch.ids.tolist(), batch.scores.tolist(), batch.offsets.tolist()
    /// (['a', 'b'], [2, 2], [0, 1, 2])
    #[pyo3(signature = (queries, k=10, threads=None, algorithm="auto", *, ids=None, vocabulary=None,
        query_scale=100.0, filter=None, boost=None, min_score=0, max_query_terms=None, query_mass=None,
        rescore=None))]
    #[expect(clippy::too_many_arguments)]
    fn search_batch(
        &self,
        py: Python<'_>,
        queries: &Bound<'_, PyAny>,
        k: usize,
        threads: Option<usize>,
        algorithm: &str,
        ids: Option<&Bound<'_, PyAny>>,
        vocabulary: Option<&Bound<'_, PyAny>>,
        query_scale: f64,
        filter: Option<&Bound<'_, PyAny>>,
        boost: Option<&Bound<'_, PyAny>>,
        min_score: u32,
        max_query_terms: Option<usize>,
        query_mass: Option<f64>,
        rescore: Option<usize>,
    ) -> PyResult<Batch> {
        let opened = self.opened(py)?;
        let options = BatchOptions {
            algorithm: algorithm.parse().raise(py)?,
            approximation: approximation(max_query_terms, query_mass, rescore).raise(py)?,
            ..BatchOptions::new(k)
        };
        let pool = pool::of(threads).raise(py)?;
        let prepared = match queries.cast::<Queries>() {
            Ok(queries) if !queries.get().opened.index.is_same(&opened.index) => {
                return Err(usage(py, "the queries were prepared for another index"));
            }
            Ok(queries) => Arc::clone(&queries.get().prepared),
            Err(_) => self.prepare(py, queries, ids, vocabulary, query_scale, threads)?.prepared,
        };
        let constraints = constraints(py, filter, boost, min_score)?;
        let prepared = match constraints.is_empty() {
            true => prepared,
            false => {
                let constrain =
                    |query: &Prepared| opened.queries.constrain(query.clone(), &constraints);
                let constrain = || prepared.iter().map(constrain).collect::<Result<Vec<_>>>();
                Arc::new(py.detach(|| guarded(constrain)).raise(py)?)
            }
        };
        let (mut hits, mut offsets) = (Vec::new(), vec![0]);
        for part in prepared.chunks(BATCH) {
            py.check_signals()?;
            let answer = || pool.install(|| opened.index.search_batch(part, &options));
            let answered = py.detach(|| guarded(answer)).raise(py)?;
            let before = hits.len();
            hits.extend(answered.hits);
            offsets.extend(answered.offsets[1..].iter().map(|end| before + end));
        }
        Ok(Batch::new(opened, prepared, (hits, offsets), options.approximation))
    }

    /// The exact scores of given documents, in the order given: those of a search, 0 where a
    /// document has none of the terms. For rerankers, interpolation, judged pools.
    ///
    /// Raises `splindex.UnknownIdError` (a `KeyError`) for an id that the index does not have.
    ///
    /// >>> import splindex
    /// >>> index = splindex.build([("a", {"whale": 2.0}), ("b", {"ship": 1.0})])
    /// >>> index.score({"whale": 3.0}, ["b", "a"]).scores.tolist()
    /// [0, 6]
    fn score(
        &self,
        py: Python<'_>,
        query: &Bound<'_, PyAny>,
        ids: &Bound<'_, PyAny>,
    ) -> PyResult<Hits> {
        let opened = self.opened(py)?;
        let ordinals = opened.ordinals(py, ids)?;
        let prepared = prepare(&opened.queries, query, opened.is_hybrid())?;
        let exact = Approximation::EXACT;
        let scores = py.detach(|| {
            opened.with_searcher(exact, |searcher| searcher.score(&prepared.query, &ordinals))
        });
        let scores = scores.raise(py)?;
        let hits = ordinals.into_iter().zip(scores);
        let hits = hits.map(|(ordinal, score)| Hit { ordinal, score }).collect();
        Ok(Hits::new(opened, hits, prepared.unit, exact))
    }

    /// What a document holds: `{token: impact}`, impacts from 1 to 255 as the index has them
    /// (quantized and pruned). `field` is "learned" or "bm25" of a hybrid index, by default
    /// "learned". An index is stored by term, so every list is asked: some milliseconds.
    ///
    /// Raises `splindex.UnknownIdError` (a `KeyError`) for an id that the index does not have.
    ///
    /// >>> import splindex
    /// >>> index = splindex.build([("a", {"whale": 2.0, "sea": 0.5})])
    /// >>> index.vector("a")
    /// {'sea': 64, 'whale': 255}
    #[pyo3(signature = (id, *, field=None))]
    fn vector<'py>(
        &self,
        py: Python<'py>,
        id: &Bound<'py, PyAny>,
        field: Option<&str>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let opened = self.opened(py)?;
        let field = opened.field(py, field)?;
        let ordinal = opened.ordinal(py, id)?;
        let vector = py.detach(|| guarded(|| opened.index.vector(ordinal))).raise(py)?;
        let (dict, lexicon) = (PyDict::new(py), opened.index.lexicon());
        for posting in vector {
            let (of, token) = lexicon.token(posting.term);
            if of == field {
                dict.set_item(token, posting.impact)?;
            }
        }
        Ok(dict)
    }

    /// What each term of a query gave to a document, the largest part first: a list of
    /// `Contribution(token, field, weight, impact, score)`. The scores add up to the document's.
    ///
    /// >>> import splindex
    /// >>> index = splindex.build([("a", {"whale": 2.0, "sea": 1.0})])
    /// >>> index.explain({"whale": 1.0, "sea": 3.0}, "a")[0]
    /// Contribution(token='sea', field='learned', weight=3, impact=1, score=3)
    fn explain<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, PyAny>,
        id: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let opened = self.opened(py)?;
        let ordinal = opened.ordinal(py, id)?;
        let prepared = prepare(&opened.queries, query, opened.is_hybrid())?;
        let explain = || {
            let explainer = Explainer::new(&opened.index);
            explainer.explain(&prepared.query, Hit { ordinal, score: 0 })
        };
        let parts = py.detach(|| guarded(explain)).raise(py)?;
        let class = py.import("splindex._types")?.getattr("Contribution")?;
        let lexicon = opened.index.lexicon();
        let made = parts.iter().map(|part| {
            let (field, token) = lexicon.token(part.term);
            let field = opened.index.meta().field_name(field);
            class.call1((token, field, part.weight, part.impact, part.score()))
        });
        PyList::new(py, made.collect::<PyResult<Vec<_>>>()?)
    }

    /// Documents that have a token in a field ("learned" or "bm25" of a hybrid index), 0 for one
    /// that the index does not have. Tokens of BM25 are stems.
    #[pyo3(signature = (token, *, field=None))]
    fn document_frequency(
        &self,
        py: Python<'_>,
        token: &str,
        field: Option<&str>,
    ) -> PyResult<u32> {
        let opened = self.opened(py)?;
        let field = opened.field(py, field)?;
        let term = opened.index.lexicon().find(field, token);
        Ok(term.map_or(0, |term| opened.index.term(term).df.get()))
    }

    /// The position of a document in the input, from 0.
    ///
    /// Raises `splindex.UnknownIdError` (a `KeyError`) for an id that the index does not have.
    fn ordinal(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<u32> {
        self.opened(py)?.ordinal(py, id)
    }

    /// Ids of all documents, in the order of the input: a sequence that reads them from the
    /// index as they are asked for.
    #[getter]
    fn ids(&self, py: Python<'_>) -> PyResult<Ids> {
        Ok(Ids { opened: self.opened(py)? })
    }

    /// Counts, sizes and how it was built, as a dict. After `build` also what that did:
    /// `empty_documents`, `zero_weights` (dropped), `pruned` (postings), `spilled_bytes`.
    #[getter]
    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let opened = self.opened(py)?;
        let index = &opened.index;
        let meta = index.meta();
        let mut value = serde_json::to_value(meta).unwrap_or_default();
        value["bytes"] = index.file_len().into();
        value["list_bytes"] = index.list_bytes().into();
        value["skip_data"] = index.has_skip_data().into();
        value["provenance"] = serde_json::to_value(index.provenance()).unwrap_or_default();
        let dict = py.import("json")?.call_method1("loads", (value.to_string(),))?;
        if let Some(report) = &self.report {
            dict.call_method1("update", (report_dict(py, report)?,))?;
        }
        Ok(dict)
    }

    /// As a part of a collection, whose first document here is number `first`: the answers to
    /// queries of a `Collection`, each as bytes for `merge_answers`.
    fn _answer(
        &self,
        py: Python<'_>,
        queries: Vec<Vec<u8>>,
        k: Vec<usize>,
        algorithms: Vec<String>,
        first: u64,
    ) -> PyResult<Vec<Cow<'static, [u8]>>> {
        let opened = self.opened(py)?;
        let answers = py.detach(|| {
            opened.with_searcher(Approximation::EXACT, |searcher| {
                let asked = queries.iter().zip(k).zip(&algorithms);
                let answer = |((query, k), algorithm): ((&Vec<u8>, usize), &String)| {
                    let query = Tokens::decode(query)?.query(&opened.index)?;
                    let hits = searcher.search(&query, k, algorithm.parse()?)?;
                    Ok(Cow::Owned(Partial::encode(&opened.index, first, hits)))
                };
                asked.map(answer).collect()
            })
        });
        answers.raise(py)
    }

    /// 32 hexadecimal digits, equal for equal indexes.
    #[getter]
    fn content_id(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.opened(py)?.index.content_id())
    }

    /// The file, or None for an index in memory.
    #[getter]
    fn path<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let path = |path: &PathBuf| py.import("pathlib")?.call_method1("Path", (path.as_os_str(),));
        self.path.as_ref().map(path).transpose()
    }

    /// Names of its fields: ["learned"], ["bm25"], or both.
    #[getter]
    fn fields(&self, py: Python<'_>) -> PyResult<Vec<&'static str>> {
        let opened = self.opened(py)?;
        Ok(opened.index.meta().fields.iter().map(|field| field.kind.name()).collect())
    }

    /// Whether it has been closed.
    #[getter]
    fn closed(&self) -> bool {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Reads the whole file and checks every checksum; with `deep` also every promise that the
    /// posting lists make. Returns nothing if it is sound.
    ///
    /// Raises `splindex.DataError` with the faults.
    #[pyo3(signature = (*, deep=false))]
    fn verify(&self, py: Python<'_>, deep: bool) -> PyResult<()> {
        let opened = self.opened(py)?;
        let pool = pool::of(None).raise(py)?;
        let index = &opened.index;
        let verify = || pool.install(|| if deep { index.verify_deep() } else { index.verify() });
        let report = py.detach(|| guarded(|| Ok(verify()))).raise(py)?;
        if report.faults.is_empty() {
            return Ok(());
        }
        let error = Error::data(index.path(), Place::File, report.faults.join("; "))
            .hint("copy or build the file again");
        Err(exception(py, &error))
    }

    /// Gives its handle of the bytes back; hits and batches keep theirs. Asking a closed index
    /// raises `splindex.UsageError`, closing it again does nothing.
    fn close(&self) {
        drop(self.opened.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) {
        self.close();
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.opened(py)?.index.documents() as usize)
    }

    fn __contains__(&self, py: Python<'_>, id: &str) -> PyResult<bool> {
        Ok(self.opened(py)?.index.find(id).is_some())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let Ok(opened) = self.opened(py) else { return "Index(closed)".into() };
        let meta = opened.index.meta();
        let fields: Vec<&str> = meta.fields.iter().map(|field| field.kind.name()).collect();
        let name = match &self.path {
            Some(path) => format!("{:?}", path.display().to_string()),
            None => "in memory".into(),
        };
        format!(
            "Index({name}, {} documents, {} terms, {} postings, {}, {})",
            meta.documents,
            meta.terms,
            meta.postings,
            fields.join(" and "),
            meta.codec.name(),
        )
    }
}

/// Many queries as they came.
enum Asked {
    Queries(QueryFile),
    File(PathBuf),
}

impl Asked {
    fn read(
        py: Python<'_>,
        opened: &Opened,
        queries: &Bound<'_, PyAny>,
        ids: Option<&Bound<'_, PyAny>>,
        vocabulary: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        // A path, a matrix, or pairs of id and query.
        let normal =
            py.import("splindex._inputs")?.call_method1("queries", (queries, ids, vocabulary))?;
        if let Ok(path) = normal.extract::<PathBuf>() {
            return Ok(Asked::File(path));
        }
        if normal.is_instance_of::<PyDict>() {
            let arrays = normal.extract::<Matrix<'_>>()?.arrays()?;
            let slices = arrays.slices(py)?;
            let read = || QueryFile::of_vectors(Path::new(QUERIES), vec![slices.source()?]);
            return Ok(Asked::Queries(py.detach(|| guarded(read)).raise(py)?));
        }
        let mut inputs = Vec::new();
        for (number, pair) in (1u64..).zip(normal.try_iter()?) {
            let (id, query): (PyBackedStr, Bound<'_, PyAny>) = pair?.extract()?;
            let at = |e: PyErr| at_record(py, e, number);
            let asked = asked(&query).map_err(at)?;
            check(py, &opened.queries, &asked, opened.is_hybrid()).map_err(at)?;
            let (body, bm25) = asked;
            inputs.push(QueryInput { bm25, ..QueryInput::new(&*id, number, body) });
        }
        let file = py.detach(|| guarded(|| QueryFile::of_queries(Path::new(QUERIES), inputs)));
        Ok(Asked::Queries(file.raise(py)?))
    }
}

/// The error of one query, as one of its record.
fn at_record(py: Python<'_>, error: PyErr, number: u64) -> PyErr {
    let problem = error.value(py).to_string();
    exception(py, &Error::data(QUERIES, Place::Record(number), problem))
}

/// Ids of all documents of an index, in the order of the input: a sequence.
///
/// >>> import splindex
/// >>> ids = splindex.build([("a", {"x": 1.0}), ("b", {"x": 2.0})]).ids
/// >>> len(ids), ids[1], "a" in ids, list(ids)
/// (2, 'b', True, ['a', 'b'])
#[pyclass(module = "splindex", frozen, sequence)]
pub struct Ids {
    opened: Arc<Opened>,
}

#[pymethods]
impl Ids {
    fn __len__(&self) -> usize {
        self.opened.index.documents() as usize
    }

    fn __getitem__(&self, position: isize) -> PyResult<&str> {
        let len = self.__len__();
        let at = if position < 0 { position + len as isize } else { position };
        match u32::try_from(at).ok().filter(|&at| (at as usize) < len) {
            Some(at) => Ok(self.opened.index.id(at)),
            None => Err(PyIndexError::new_err(format!(
                "expected a position below {len}, found {position}"
            ))),
        }
    }

    fn __contains__(&self, id: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(id) = id.cast::<PyString>() else { return Ok(false) };
        Ok(self.opened.index.find(id.to_str()?).is_some())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let names = self.opened.index.external_ids();
        PyList::new(py, (0..self.opened.index.documents()).map(|at| names.get(at)))?.try_iter()
    }

    fn __repr__(&self) -> String {
        format!("Ids({} of {})", self.__len__(), self.opened.name())
    }
}
