//! Building, merging, converting.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator};
use splindex::builder::{self, AttributeSource, MergeOrder, check_output};
use splindex::convert::{ConvertOptions, Target};
use splindex::corpus::CorpusReader;
use splindex::output::{folder, refuse_inputs};
use splindex::vectors::sparse::Sidecars;
use splindex::{Error, Result, VectorSource};

use crate::arrays::Matrix;
use crate::constraints;
use crate::feed::{DocumentFeed, TextFeed};
use crate::index::Index;
use crate::settings::{BuildSettings, ConvertSettings, MergeSettings, TextFiles, VectorFiles};
use crate::work::{Watched, Work};

/// Where vectors come from; `splindex._inputs` says which.
#[derive(FromPyObject)]
pub enum Vectors<'py> {
    #[pyo3(transparent)]
    Files(VectorFiles),
    #[pyo3(transparent)]
    Matrix(Matrix<'py>),
    #[pyo3(transparent)]
    Documents(Bound<'py, PyIterator>),
}

/// Where texts come from.
#[derive(FromPyObject)]
pub enum Texts<'py> {
    #[pyo3(transparent)]
    Files(TextFiles),
    #[pyo3(transparent)]
    Records(Bound<'py, PyIterator>),
}

/// Texts on the worker's side.
pub enum TextSource {
    Files(TextFiles),
    Feed(TextFeed),
}

/// Texts, or what is wrong with them.
pub type Records = Box<dyn Iterator<Item = Result<splindex::corpus::TextRecord>>>;

impl TextSource {
    /// What the worker reads.
    pub fn new(work: &mut Work, texts: Texts<'_>) -> Self {
        match texts {
            Texts::Files(files) => TextSource::Files(files),
            Texts::Records(items) => TextSource::Feed(TextFeed::new(work, &items)),
        }
    }

    fn inputs(&self) -> &[PathBuf] {
        match self {
            TextSource::Files(files) => &files.paths,
            TextSource::Feed(_) => &[],
        }
    }

    /// Opens it.
    pub fn records(self) -> Result<Records> {
        Ok(match self {
            TextSource::Files(files) => {
                Box::new(CorpusReader::open(&files.paths, files.fields()?.as_ref())?)
            }
            TextSource::Feed(feed) => Box::new(feed),
        })
    }
}

/// Vectors on the worker's side.
enum Source<'a> {
    Files(VectorFiles),
    Slices(crate::arrays::Slices<'a>),
    Feed(DocumentFeed),
}

/// Builds an index of vectors, of texts, or of both, and opens it.
#[pyfunction]
#[pyo3(signature = (vectors, texts, output, settings, progress, attributes=None))]
pub fn build(
    py: Python<'_>,
    vectors: Option<Vectors<'_>>,
    texts: Option<Texts<'_>>,
    output: Option<PathBuf>,
    settings: BuildSettings,
    progress: &Bound<'_, PyAny>,
    attributes: Option<&Bound<'_, PyAny>>,
) -> PyResult<Index> {
    let attributes = constraints::attributes(attributes)?;
    let mut work = Work::new();
    let threads = settings.threads;
    let arrays;
    let source = match vectors {
        None => None,
        Some(Vectors::Files(files)) => Some(Source::Files(files)),
        Some(Vectors::Documents(items)) => Some(Source::Feed(DocumentFeed::new(&mut work, &items))),
        Some(Vectors::Matrix(matrix)) => {
            arrays = matrix.arrays()?;
            Some(Source::Slices(arrays.slices(py)?))
        }
    };
    let texts = texts.map(|texts| TextSource::new(&mut work, texts));
    let target = output.clone();
    let built = work.run(progress, threads, move |watched| {
        built(source, texts, target.as_deref(), (settings, attributes), watched)
    })?;
    Index::built(py, built, output)
}

/// The open index and what its build did.
pub type Built = (splindex::Index, builder::BuildReport);

fn built(
    source: Option<Source<'_>>,
    texts: Option<TextSource>,
    output: Option<&Path>,
    (settings, attributes): (BuildSettings, Vec<AttributeSource>),
    watched: &Watched,
) -> Result<Built> {
    let own_tmp = settings.tmp.is_some();
    let builder = settings.builder()?.attribute_sources(attributes);
    let mut builder = builder.progress(watched.clone());
    if let Some(output) = output {
        let vectors = match &source {
            Some(Source::Files(files)) => &files.paths[..],
            _ => &[],
        };
        refuse_inputs(output, vectors)?;
        refuse_inputs(output, texts.as_ref().map_or(&[][..], TextSource::inputs))?;
        check_output(output)?;
        // What spills of a large collection lies beside its index, as in the programs.
        if !own_tmp {
            builder = builder.tmp(folder(output));
        }
    }
    let mut sources: Vec<Box<dyn VectorSource + '_>> = Vec::new();
    let texts_only = source.is_none();
    match source {
        None => {}
        Some(Source::Files(files)) => {
            (builder, sources) = builder.open(&files.paths, &files.sidecars(None))?;
        }
        Some(Source::Slices(slices)) => sources.push(slices.source()?),
        Some(Source::Feed(feed)) => sources.push(Box::new(feed)),
    }
    if let Some(texts) = &texts {
        builder = builder.naming_inputs(texts.inputs());
    }
    let loaded = match texts {
        None => builder.sources(sources)?,
        Some(texts) if texts_only => builder.records(texts.records()?)?,
        Some(texts) => builder.hybrid_sources(sources, texts.records()?)?,
    };
    match output {
        Some(path) => {
            let report = loaded.write(path)?;
            Ok((splindex::Index::open(path)?, report))
        }
        None => {
            let (bytes, report) = loaded.finish(Cursor::new(Vec::new()))?;
            Ok((splindex::Index::from_bytes(bytes.into_inner())?, report))
        }
    }
}

/// Joins indexes of the parts of a collection.
#[pyfunction]
#[pyo3(signature = (indexes, output, settings, progress))]
pub fn merge(
    py: Python<'_>,
    indexes: Vec<PathBuf>,
    output: PathBuf,
    mut settings: MergeSettings,
    progress: &Bound<'_, PyAny>,
) -> PyResult<Index> {
    let target = output.clone();
    let threads = settings.threads;
    let merged = Work::new().run(progress, threads, move |watched| {
        let order = match &*settings.order {
            "concat" => MergeOrder::Concat,
            "bp" => MergeOrder::Bp,
            other => {
                let expected = "\"concat\" or \"bp\"";
                return Err(Error::setting("order", expected, format!("{other:?}")));
            }
        };
        let memory = settings.memory()?;
        refuse_inputs(&target, &indexes)?;
        check_output(&target)?;
        let open = |path: &PathBuf| splindex::Index::open(path);
        let parts = indexes.iter().map(open).collect::<Result<Vec<_>>>()?;
        if parts.is_empty() {
            return Err(Error::Usage("expected at least one index to merge, found none".into()));
        }
        splindex::merge(parts, order, memory, &target, watched)?;
        splindex::Index::open(&target)
    })?;
    Index::opened_at(py, merged, output)
}

/// Converts vectors, or those of an index, to another format. Gives what was done.
#[pyfunction]
#[pyo3(signature = (vectors, output, settings, progress))]
pub fn convert<'py>(
    py: Python<'py>,
    vectors: Vec<PathBuf>,
    output: PathBuf,
    settings: ConvertSettings,
    progress: &Bound<'_, PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
    let threads = settings.threads;
    let report = Work::new().run(progress, threads, move |watched| {
        let target = match &settings.to {
            Some(name) => name.parse()?,
            None => Target::of_name(&output)?,
        };
        refuse_inputs(&output, &vectors)?;
        let bits = u8::try_from(settings.bits)
            .map_err(|_| Error::setting("bits", "1 to 8", settings.bits))?;
        let (ids, vocabulary) = (settings.ids.clone(), settings.vocabulary.clone());
        let tmp = settings.tmp.clone().or_else(|| Some(folder(&output).to_owned()));
        let options = ConvertOptions {
            target,
            sidecars: Sidecars { ids, vocabulary, tmp },
            scale: settings.scale()?,
            bits,
            field: settings.field.clone(),
            tmp: settings.tmp.clone(),
        };
        splindex::convert::convert(&vectors, &output, &options, watched)
    })?;
    let told = PyDict::new(py);
    told.set_item("documents", report.documents)?;
    told.set_item("postings", report.postings)?;
    told.set_item("zero_weights", report.zero_weights)?;
    told.set_item("scale", report.quantized.map(|(scale, _)| scale))?;
    let beside: Vec<_> = report.beside.iter().map(|path| path.as_os_str()).collect();
    told.set_item("beside", beside)?;
    Ok(told)
}

/// The report of a build as a dict.
pub fn report_dict<'py>(
    py: Python<'py>,
    report: &builder::BuildReport,
) -> PyResult<Bound<'py, PyDict>> {
    let told = PyDict::new(py);
    told.set_item("empty_documents", report.empty_documents)?;
    told.set_item("zero_weights", report.zero_weights)?;
    told.set_item("pruned", report.pruned)?;
    told.set_item("attributes", report.attributes.keys)?;
    told.set_item("attributes_unknown", report.attributes.unknown)?;
    told.set_item("spilled_bytes", report.spilled.iter().sum::<u64>())?;
    Ok(told)
}
