//! Texts through a model.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use numpy::ToPyArray;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyTuple};
use splindex::encode::{
    DeviceChoice, EncodeJob, EncodeReport, Encoder as Documents, EncoderOptions, Precision,
    QueryEncoder, TextEncoder, encode_to_store, simd_level,
};
use splindex::output::{folder, refuse_inputs};
use splindex::progress::Progress;
use splindex::vectors::store::{
    Encoding, Kind, KnownVectors, PassedOver, Plan, Shard, StoreWriter, WeightFormat,
};
use splindex::{Error, Memory, Result};

use crate::build::TextSource;
use crate::error::Raise;
use crate::feed::{Feed, text};
use crate::settings::Progressing;
use crate::work::{Watched, Work, go_on};

/// Texts that are encoded together.
const BLOCK: usize = 512;

/// A query or document encoder: a SPLADE checkpoint's folder, a SparseEncoder's, or an
/// inference-free model's, read when it is first needed. Texts become sparse vectors over the
/// model's tokens, on the CPU.
///
/// `threads` are all cores by default, `max_length` (tokens of a text that are read) what the
/// model says. Encoders pickle by their folder.
///
/// Raises `splindex.MissingFileError` or `splindex.DataError` when the model is first used and
/// cannot be read.
///
/// >>> import splindex
/// >>> encoder = splindex.Encoder(splindex.sample().model)
/// >>> vector = encoder.encode_queries(["three threading models"]).to_dicts()[0]
/// >>> sorted(vector, key=vector.get)[-2:]
/// ['models', 'thread']
#[pyclass(module = "splindex", frozen, weakref)]
pub struct Encoder {
    model: PathBuf,
    threads: Option<usize>,
    max_length: Option<usize>,
    documents: Mutex<Option<Arc<Documents>>>,
    queries: Mutex<Option<Arc<QueryEncoder>>>,
}

/// Compressed rows under construction.
#[derive(Default)]
struct Rows {
    indptr: Vec<i64>,
    indices: Vec<i32>,
    data: Vec<f32>,
    truncated: u64,
}

impl Encoder {
    fn options(&self) -> EncoderOptions {
        EncoderOptions { max_length: self.max_length.unwrap_or(0), ..EncoderOptions::default() }
    }

    /// Loaded once; a failure leaves nothing, so that it can be tried again.
    fn loaded<T: Send + Sync>(
        &self,
        py: Python<'_>,
        slot: &Mutex<Option<Arc<T>>>,
        load: impl FnOnce(&Path, &EncoderOptions) -> Result<T> + Send,
    ) -> PyResult<Arc<T>> {
        if let Some(there) = &*slot.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(there));
        }
        let loaded =
            Work::new().silently(py, None, self.threads, |_| load(&self.model, &self.options()))?;
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(slot.get_or_insert_with(|| Arc::new(loaded))))
    }

    /// What encodes documents.
    fn documents(&self, py: Python<'_>) -> PyResult<Arc<Documents>> {
        self.loaded(py, &self.documents, Documents::load)
    }

    /// What encodes queries; indexes share it.
    pub fn queries(&self, py: Python<'_>) -> PyResult<Arc<QueryEncoder>> {
        self.loaded(py, &self.queries, QueryEncoder::load)
    }

    fn encode<'py>(
        &self,
        py: Python<'py>,
        encoder: &dyn TextEncoder,
        texts: &Bound<'py, PyAny>,
        progress: &Bound<'_, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let inputs = py.import("splindex._inputs")?;
        let (items, total): (Bound<'_, PyIterator>, u64) =
            inputs.call_method1("texts", (texts,))?.extract()?;
        let mut work = Work::new();
        let mut feed = Feed::new(&mut work, &items, text);
        let rows = work.run(progress, self.threads, |watched| {
            watched.begin("encode", total);
            rows(encoder, &mut feed, watched)
        })?;
        let tokens = encoder.tokens();
        let vocabulary: Vec<&str> = (0..tokens.len() as u32).map(|id| tokens.token(id)).collect();
        let arrays = (
            rows.indptr.to_pyarray(py),
            rows.indices.to_pyarray(py),
            rows.data.to_pyarray(py),
            vocabulary,
        );
        let vectors = py.import("splindex._vectors")?.getattr("Vectors")?;
        let vectors = vectors.call1(arrays)?;
        vectors.setattr("truncated", rows.truncated)?;
        Ok(vectors)
    }
}

/// Encodes texts block by block.
fn rows(encoder: &dyn TextEncoder, texts: &mut Feed<String>, watched: &Watched) -> Result<Rows> {
    let mut rows = Rows { indptr: vec![0], ..Rows::default() };
    loop {
        let block: Vec<String> = texts.by_ref().take(BLOCK).collect();
        go_on(watched)?;
        if block.is_empty() {
            return Ok(rows);
        }
        let block: Vec<&str> = block.iter().map(String::as_str).collect();
        let done = |texts: u64| {
            watched.advance(texts);
            !watched.stop_requested()
        };
        for encoded in encoder.encode_texts(&block, &done)? {
            rows.truncated += u64::from(encoded.truncated);
            for (term, weight) in encoded.terms {
                rows.indices.push(term as i32);
                rows.data.push(weight);
            }
            rows.indptr.push(rows.data.len() as i64);
        }
    }
}

#[pymethods]
impl Encoder {
    #[new]
    #[pyo3(signature = (model, *, threads=None, max_length=None))]
    fn new(
        py: Python<'_>,
        model: PathBuf,
        threads: Option<usize>,
        max_length: Option<usize>,
    ) -> PyResult<Self> {
        crate::pool::of(threads).raise(py)?;
        if max_length == Some(0) {
            return Err(Error::setting("max_length", "at least 1", 0)).raise(py);
        }
        Ok(Encoder {
            model,
            threads,
            max_length,
            documents: Mutex::default(),
            queries: Mutex::default(),
        })
    }

    /// Document vectors of texts: an iterable of str, or a column of pandas or pyarrow. A text
    /// without words has none.
    ///
    /// Ctrl-C stops it.
    #[pyo3(signature = (texts, *, progress=Progressing::Shown(true)),
        text_signature = "($self, texts, *, progress=True)")]
    fn encode_documents<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        progress: Progressing<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let encoder = self.documents(py)?;
        self.encode(py, &*encoder, texts, &progress.of(py)?)
    }

    /// Query vectors of texts, as `encode_documents` takes them: by a table of token weights
    /// where the model has one, else by the model.
    #[pyo3(signature = (texts, *, progress=Progressing::Shown(true)),
        text_signature = "($self, texts, *, progress=True)")]
    fn encode_queries<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        progress: Progressing<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let encoder = self.queries(py)?;
        self.encode(py, &*encoder, texts, &progress.of(py)?)
    }

    /// Encodes texts with ids into a store of vectors, a folder that `build` reads.
    ///
    /// `texts` are as `build_bm25` takes them: `(id, text)`, a column with `ids`, a frame, a file.
    /// What was encoded when it stopped (Ctrl-C, a crash) is kept, and `resume=True` with the same
    /// texts goes on to the same bytes. `kind` is "document" or "query", `top` keeps the heaviest
    /// terms of a text, `min_weight` drops lighter ones, `weights` is "f32" or "f16". Vectors of
    /// texts that the finished stores of `reuse` have, made alike, are taken over. Gives counts:
    /// `documents`, `resumed`, `empty`, `truncated`, `postings`, `largest_weight`, and with `reuse`
    /// `kept`, `renamed`, `changed`, `new`, `removed`. `shard`, `(number, shards, documents before)`,
    /// says that the texts are one of several consecutive parts of a collection, which may be empty:
    /// `build` takes the stores of all of them.
    ///
    /// Raises `splindex.DataError` where `path` is there already, `splindex.UsageError` where the
    /// texts are not those of the unfinished store. The stores of `reuse` that nothing is taken from
    /// are named by a warning.
    #[pyo3(
        signature = (texts, path, *, ids=None, resume=false, kind="document", top=None,
            min_weight=0.0, weights="f32", fields=None, reuse=Vec::new(), shard=None,
            progress=Progressing::Shown(true)),
        text_signature = "($self, texts, path, *, ids=None, resume=False, kind='document', \
            top=None, min_weight=0.0, weights='f32', fields=None, reuse=(), shard=None, \
            progress=True)"
    )]
    #[expect(clippy::too_many_arguments)]
    fn encode_to_store<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        path: PathBuf,
        ids: Option<&Bound<'py, PyAny>>,
        resume: bool,
        kind: &str,
        top: Option<usize>,
        min_weight: f32,
        weights: &str,
        fields: Option<String>,
        reuse: Vec<PathBuf>,
        shard: Option<(u64, u64, u64)>,
        progress: Progressing<'py>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let kind = named_kind(kind).raise(py)?;
        check_kept(top, min_weight).raise(py)?;
        let encoder: Arc<dyn TextEncoder> = match kind {
            Kind::Document => self.documents(py)?,
            Kind::Query => self.queries(py)?,
        };
        let inputs = py.import("splindex._inputs")?;
        let total: u64 = inputs.call_method1("count", (texts,))?.extract()?;
        let normal = inputs.call_method1("text_records", (texts, ids, &fields))?;
        let mut work = Work::new();
        let texts = TextSource::new(&mut work, normal.extract()?);
        let mut plan = plan(&*encoder, kind, weights, (top, min_weight, fields)).raise(py)?;
        if let Some((index, count, before)) = shard {
            plan.shard = Some(shard_of((index, count)).raise(py)?);
            plan.doc_base = before;
        }
        let report = work.run(&progress.of(py)?, self.threads, |watched| {
            watched.begin("encode", total);
            let known = known(&reuse, &path, &plan, &*encoder)?;
            let store = match resume {
                true => StoreWriter::resume(&path, plan, encoder.tokens())?,
                false => StoreWriter::create(&path, plan, encoder.tokens())?,
            };
            let job = EncodeJob {
                encoder: &*encoder,
                top,
                min_weight,
                skip_bad: false,
                range: shard.map(|_| 0..u64::MAX),
                known: known.as_ref(),
                progress: &|texts| {
                    watched.advance(texts);
                    !watched.stop_requested()
                },
            };
            let report = encode_to_store(texts.records()?, store, &job)?;
            Ok((report, known.map_or_else(Vec::new, |known| known.passed_over().to_vec())))
        })?;
        let (report, passed_over) = report;
        for PassedOver { store, why } in passed_over {
            let warning = format!("reuse: nothing is taken from {}: {why}", store.display());
            py.import("warnings")?.call_method1("warn", (warning,))?;
        }
        told(py, &report)
    }

    /// Tokens by term id.
    #[getter]
    fn vocabulary(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let encoder = self.queries(py)?;
        let tokens = encoder.tokens();
        Ok((0..tokens.len() as u32).map(|id| tokens.token(id).to_owned()).collect())
    }

    /// Whether queries are read from a table of token weights, without a model.
    #[getter]
    fn inference_free(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.queries(py)?.is_inference_free())
    }

    /// The folder.
    #[getter]
    fn model<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("pathlib")?.call_method1("Path", (self.model.as_os_str(),))
    }

    #[staticmethod]
    fn _rebuild(
        py: Python<'_>,
        model: PathBuf,
        threads: Option<usize>,
        max_length: Option<usize>,
    ) -> PyResult<Self> {
        Encoder::new(py, model, threads, max_length)
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (py, encoder) = (slf.py(), slf.get());
        // Other processes may stand in other folders; a hub id is no path.
        let model = match encoder.model.exists() {
            true => std::path::absolute(&encoder.model)
                .map_err(|e| Error::io("find", &encoder.model, e))
                .raise(py)?,
            false => encoder.model.clone(),
        };
        let arguments = (model.as_os_str(), encoder.threads, encoder.max_length);
        Ok((slf.get_type().getattr("_rebuild")?, arguments.into_pyobject(py)?))
    }

    fn __repr__(&self) -> String {
        format!("Encoder({:?})", self.model.display().to_string())
    }
}

/// What is known of texts, if stores are to be reused.
fn known(
    reuse: &[PathBuf],
    output: &Path,
    plan: &Plan,
    encoder: &dyn TextEncoder,
) -> Result<Option<KnownVectors>> {
    if reuse.is_empty() {
        return Ok(None);
    }
    refuse_inputs(output, reuse)?;
    let (room, tmp) = (Memory::of_machine().limit() / 4, folder(output));
    KnownVectors::open(reuse, plan, encoder.tokens(), room, tmp).map(Some)
}

/// Refuses what keeps nothing or means nothing, before a model is loaded.
fn check_kept(top: Option<usize>, min_weight: f32) -> Result<()> {
    if top == Some(0) {
        return Err(Error::setting("top", "at least 1", 0));
    }
    if !(min_weight.is_finite() && min_weight >= 0.0) {
        return Err(Error::setting("min_weight", "0 or more", min_weight));
    }
    Ok(())
}

/// One of several parts.
pub fn shard_of((index, count): (u64, u64)) -> Result<Shard> {
    match index < count {
        true => Ok(Shard { index, count }),
        false => Err(Error::setting("shard", "a number below that of shards", index)),
    }
}

fn named_kind(name: &str) -> Result<Kind> {
    match name {
        "document" => Ok(Kind::Document),
        "query" => Ok(Kind::Query),
        other => Err(Error::setting("kind", "\"document\" or \"query\"", format!("{other:?}"))),
    }
}

/// What decides a store's bytes, as `splindex encode` plans it for standard input.
fn plan(
    encoder: &dyn TextEncoder,
    kind: Kind,
    weights: &str,
    (top, min_weight, fields): (Option<usize>, f32, Option<String>),
) -> Result<Plan> {
    let weights = match weights {
        "f32" => WeightFormat::F32,
        "f16" => WeightFormat::F16,
        other => {
            return Err(Error::setting("weights", "\"f32\" or \"f16\"", format!("{other:?}")));
        }
    };
    let encoding = Encoding {
        pooling: encoder.pooling().into(),
        model: encoder.info().clone(),
        max_length: Some(encoder.max_length()).filter(|&n| n < usize::MAX),
        prompt: Some(encoder.prompt().to_owned()).filter(|prompt| !prompt.is_empty()),
        dtype: Precision::F32.name().into(),
        device: DeviceChoice::Cpu.to_string(),
        simd: simd_level().into(),
        batch_tokens: EncoderOptions::default().batch_tokens,
        fields,
        top,
        min_weight,
        skip_bad: false,
    };
    Ok(Plan { encoding: Some(encoding), digests: true, ..Plan::converted(kind, weights) })
}

/// What a finished store holds.
fn told<'py>(py: Python<'py>, report: &EncodeReport) -> PyResult<Bound<'py, PyDict>> {
    let (told, totals) = (PyDict::new(py), report.manifest.totals);
    told.set_item("documents", totals.documents)?;
    told.set_item("resumed", report.resumed)?;
    told.set_item("empty", totals.empty)?;
    told.set_item("truncated", totals.truncated)?;
    told.set_item("postings", totals.postings)?;
    told.set_item("largest_weight", totals.largest_weight)?;
    if let Some(reused) = report.reused {
        told.set_item("kept", reused.kept)?;
        told.set_item("renamed", reused.renamed)?;
        told.set_item("changed", reused.changed)?;
        told.set_item("new", reused.new)?;
        told.set_item("removed", reused.removed)?;
    }
    Ok(told)
}
