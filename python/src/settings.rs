//! Keyword arguments as settings of the library.

use std::path::PathBuf;
use std::str::FromStr;

use crate::encode::shard_of;
use pyo3::prelude::*;
use splindex::bm25::{AvgDl, Bm25Params, Stemmer, StopWords};
use splindex::corpus::Fields;
use splindex::format::Pruning;
use splindex::query::Approximation;
use splindex::vectors::sparse::Sidecars;
use splindex::{Builder, Codec, Error, Memory, Order, Result, Scale};

/// A number, or a name such as "auto".
#[derive(FromPyObject)]
enum Named<T> {
    Number(T),
    Name(String),
}

/// The order of documents: a name, or a permutation.
#[derive(FromPyObject)]
enum OrderSetting {
    Name(String),
    Given(Vec<u32>),
}

/// Settings of a build.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct BuildSettings {
    order: OrderSetting,
    codec: String,
    bits: i64,
    scale: Named<f64>,
    skip_data: bool,
    top_per_doc: Option<i64>,
    min_impact: Option<i64>,
    memory: Option<Named<u64>>,
    pub tmp: Option<PathBuf>,
    bm25: Option<Bm25Settings>,
    /// One of so many equal parts of stores.
    shard: Option<(u64, u64)>,
    pub threads: Option<usize>,
}

/// Settings of BM25.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Bm25Settings {
    k1: f64,
    b: f64,
    avgdl: Named<f64>,
    stemmer: String,
    stopwords: String,
}

/// A value that only numbers from 1 have.
fn at_least_one<T: TryFrom<i64>>(setting: &'static str, n: Option<i64>) -> Result<Option<T>> {
    let Some(n) = n else { return Ok(None) };
    match T::try_from(n) {
        Ok(value) if n > 0 => Ok(Some(value)),
        _ => Err(Error::setting(setting, "a whole number from 1", n)),
    }
}

/// A name that the library knows.
fn named<T: FromStr>(setting: &'static str, expected: &str, name: &str) -> Result<T> {
    name.parse().map_err(|_| Error::setting(setting, expected, format!("{name:?}")))
}

/// A size of memory.
fn memory(memory: Option<Named<u64>>) -> Result<Memory> {
    match memory {
        None => Ok(Memory::of_machine()),
        Some(Named::Number(bytes)) => Ok(Memory::new(bytes)),
        Some(Named::Name(size)) => named("memory", "bytes, or a size such as \"8GiB\"", &size),
    }
}

fn scale(scale: &Named<f64>) -> Result<Scale> {
    match scale {
        Named::Number(weight) if weight.is_finite() && *weight > 0.0 => Ok(Scale::Fixed(*weight)),
        Named::Name(name) if name == "auto" => Ok(Scale::Auto),
        Named::Number(weight) => Err(bad_scale(weight.to_string())),
        Named::Name(name) => Err(bad_scale(format!("{name:?}"))),
    }
}

fn bad_scale(found: String) -> Error {
    Error::setting("scale", "\"auto\" or a weight above 0", found)
}

/// Posting list layouts by name.
fn codec(name: &str) -> Result<Codec> {
    let found = Codec::ALL.into_iter().find(|codec| codec.name() == name);
    found.ok_or_else(|| Error::setting("codec", "\"fast\" or \"small\"", format!("{name:?}")))
}

impl BuildSettings {
    /// The builder with these settings.
    ///
    /// # Errors
    /// A setting that no build has.
    pub fn builder(self) -> Result<Builder> {
        let order = match self.order {
            OrderSetting::Given(order) => Order::Given(order),
            OrderSetting::Name(name) => match &*name {
                "input" => Order::Input,
                "bp" => Order::Bisected,
                _ => {
                    let expected = "\"input\", \"bp\" or a permutation of the ordinals";
                    return Err(Error::setting("order", expected, format!("{name:?}")));
                }
            },
        };
        let bits =
            u8::try_from(self.bits).map_err(|_| Error::setting("bits", "1 to 8", self.bits))?;
        let pruning = Pruning {
            top_per_doc: at_least_one("top_per_doc", self.top_per_doc)?.unwrap_or(0),
            min_impact: at_least_one("min_impact", self.min_impact)?.unwrap_or(1),
        };
        let mut builder = Builder::new()
            .codec(codec(&self.codec)?)
            .order(order)
            .scale(scale(&self.scale)?)
            .bits(bits)
            .skip_data(self.skip_data)
            .pruning(pruning)
            .memory(memory(self.memory)?);
        if let Some(tmp) = self.tmp {
            builder = builder.tmp(tmp);
        }
        if let Some(bm25) = self.bm25 {
            builder = builder.bm25(bm25.params()?);
        }
        if let Some(shard) = self.shard {
            builder = builder.shard(shard_of(shard)?).texts_of_shard();
        }
        Ok(builder)
    }
}

impl Bm25Settings {
    /// BM25's parameters.
    ///
    /// # Errors
    /// Those outside their ranges.
    pub fn params(self) -> Result<Bm25Params> {
        let avgdl = match self.avgdl {
            Named::Number(length) => AvgDl::Fixed(length),
            Named::Name(name) => name.parse()?,
        };
        let stemmer: Stemmer = self.stemmer.parse()?;
        let stopwords: StopWords = self.stopwords.parse()?;
        let params = Bm25Params { k1: self.k1, b: self.b, avgdl, stemmer, stopwords };
        params.check()?;
        Ok(params)
    }
}

/// Settings of a merge.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct MergeSettings {
    pub order: String,
    memory: Option<Named<u64>>,
    pub threads: Option<usize>,
}

impl MergeSettings {
    /// The limit of memory.
    pub fn memory(&mut self) -> Result<Memory> {
        memory(self.memory.take())
    }
}

/// Settings of a conversion.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct ConvertSettings {
    pub to: Option<String>,
    pub ids: Option<PathBuf>,
    pub vocabulary: Option<PathBuf>,
    scale: Named<f64>,
    pub bits: i64,
    pub field: Option<String>,
    pub tmp: Option<PathBuf>,
    pub threads: Option<usize>,
}

impl ConvertSettings {
    /// The weight that the largest impact stands for.
    pub fn scale(&self) -> Result<Scale> {
        scale(&self.scale)
    }
}

/// Files of texts and the columns that make them.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct TextFiles {
    pub paths: Vec<PathBuf>,
    fields: Option<String>,
}

impl TextFiles {
    /// The columns.
    pub fn fields(&self) -> Result<Option<Fields>> {
        self.fields.as_deref().map(str::parse).transpose()
    }
}

/// Files of vectors, with those that describe a matrix.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct VectorFiles {
    pub paths: Vec<PathBuf>,
    ids: Option<PathBuf>,
    vocabulary: Option<PathBuf>,
}

impl VectorFiles {
    /// The files beside a matrix, its unpacked copy in `tmp`.
    pub fn sidecars(&self, tmp: Option<PathBuf>) -> Sidecars {
        Sidecars { ids: self.ids.clone(), vocabulary: self.vocabulary.clone(), tmp }
    }
}

/// What answers may leave out.
///
/// # Errors
/// A value out of its range.
pub fn approximation(
    max_query_terms: Option<usize>,
    query_mass: Option<f64>,
    rescore: Option<usize>,
) -> Result<Approximation> {
    let mut approximation = Approximation::EXACT;
    if let Some(terms) = max_query_terms {
        approximation = approximation.keeping_terms(terms)?;
    }
    if let Some(share) = query_mass {
        approximation = approximation.keeping_mass(share)?;
    }
    if let Some(candidates) = rescore {
        approximation = approximation.rescoring(candidates)?;
    }
    Ok(approximation)
}

/// `progress` of a method: True, False, or a function of phase, done and total.
#[derive(FromPyObject)]
pub enum Progressing<'py> {
    #[pyo3(transparent)]
    Shown(bool),
    #[pyo3(transparent)]
    Function(Bound<'py, PyAny>),
}

impl<'py> Progressing<'py> {
    /// The object.
    pub fn of(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Progressing::Function(function) => Ok(function),
            Progressing::Shown(shown) => Ok(shown.into_pyobject(py)?.to_owned().into_any()),
        }
    }
}
