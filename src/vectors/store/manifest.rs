//! What a store says about itself.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Place, Result, foreign};
use crate::vectors::WeightSummary;

/// What made the vectors, by content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Name of the model's directory.
    pub name: String,
    /// As in `config.json`; "token weights" for an inference-free query table.
    pub architecture: String,
    /// Transformer layers.
    pub layers: usize,
    /// Width of a token's state.
    pub hidden: usize,
    /// Number of terms.
    pub vocabulary: usize,
    /// blake3 of `config.json`, hexadecimal; empty where there is none.
    pub config_digest: String,
    /// blake3 of the weights file, hexadecimal.
    pub weights_digest: String,
    /// blake3 of the tokenizer file, hexadecimal.
    pub tokenizer_digest: String,
    /// Licence that the model card names, if it has one.
    pub licence: Option<String>,
}

/// How texts became vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Encoding {
    /// The model.
    pub model: ModelInfo,
    /// Tokens of a text that were read, special tokens included; none where all were.
    pub max_length: Option<usize>,
    /// "max log(1+relu)", "max log(1+log(1+relu))", or "token weights" for inference-free
    /// queries.
    pub pooling: String,
    /// What was put before every text, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Number type of the arithmetic.
    pub dtype: String,
    /// "cpu" or "cuda:N".
    pub device: String,
    /// SIMD level of the processor; float sums differ between levels in the last bits.
    pub simd: String,
    /// Tokens of a batch. On a CPU vectors do not depend on it; with candle (GPUs) float sums
    /// do, in the last bits.
    pub batch_tokens: usize,
    /// Input columns or fields that made the text, if chosen.
    pub fields: Option<String>,
    /// Heaviest terms kept per text, if limited.
    pub top: Option<usize>,
    /// Weights below it were dropped.
    pub min_weight: f32,
    /// Whether bad input records were skipped.
    pub skip_bad: bool,
}

/// Which side of the search the vectors are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// To be indexed.
    Document,
    /// To be searched for.
    Query,
}

/// Stored number type of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightFormat {
    /// 32-bit floats.
    F32,
    /// 16-bit floats: half the size, relative error below 0.0005.
    F16,
}

/// Which contiguous part of the input a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// From 0.
    pub index: u64,
    /// Number of shards.
    pub count: u64,
}

/// The whole input, shards included, of a store whose input could be read before encoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputDigest {
    /// Good records.
    pub documents: u64,
    /// blake3 over their ids and texts, hexadecimal.
    pub digest: String,
}

/// All that decides a store's bytes; a run resumes only under an equal plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Program and version.
    pub tool: String,
    /// Documents or queries.
    pub kind: Kind,
    /// Stored number type.
    pub weights: WeightFormat,
    /// How texts became vectors; none if the vectors came from a file.
    pub encoding: Option<Encoding>,
    /// The part of the input, if it was cut.
    pub shard: Option<Shard>,
    /// Documents of the input before this store's first.
    pub doc_base: u64,
    /// The texts, if they came from files.
    #[serde(default)]
    pub input: Option<InputDigest>,
    /// Whether there is a digest of each text, by which a later store takes over its vector.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub digests: bool,
}

impl Plan {
    /// A plan for vectors that come from a file.
    pub fn converted(kind: Kind, weights: WeightFormat) -> Self {
        Plan {
            tool: tool(),
            kind,
            weights,
            encoding: None,
            shard: None,
            doc_base: 0,
            input: None,
            digests: false,
        }
    }
}

/// Program and version, as plans record it.
pub(crate) fn tool() -> String {
    concat!("splindex ", env!("CARGO_PKG_VERSION")).to_owned()
}

/// Counts over a store, or over a block of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Records.
    pub documents: u64,
    /// Records without a term.
    pub empty: u64,
    /// Texts longer than the maximum length.
    pub truncated: u64,
    /// Bad input records that were skipped.
    pub skipped: u64,
    /// Term weights.
    pub postings: u64,
    /// Weights dropped because the stored number type rounds them to 0.
    pub zeros: u64,
    /// Largest weight as stored; 0 if there is none.
    pub largest_weight: f32,
    /// Whether every weight is an integer ≤ 255.
    pub small_integers: bool,
}

impl Default for Totals {
    fn default() -> Self {
        Totals {
            documents: 0,
            empty: 0,
            truncated: 0,
            skipped: 0,
            postings: 0,
            zeros: 0,
            largest_weight: 0.0,
            small_integers: true,
        }
    }
}

impl Totals {
    /// Counts of two sets of records together; those of a damaged journal may be any number.
    pub fn merge(self, other: &Self) -> Self {
        Totals {
            documents: self.documents.saturating_add(other.documents),
            empty: self.empty.saturating_add(other.empty),
            truncated: self.truncated.saturating_add(other.truncated),
            skipped: self.skipped.saturating_add(other.skipped),
            postings: self.postings.saturating_add(other.postings),
            zeros: self.zeros.saturating_add(other.zeros),
            largest_weight: self.largest_weight.max(other.largest_weight),
            small_integers: self.small_integers && other.small_integers,
        }
    }
}

/// A part file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Name in the store's directory.
    pub file: String,
    /// Length.
    pub bytes: u64,
    /// Records in it.
    pub records: u64,
}

/// `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`Manifest::FORMAT`]
    pub format: String,
    /// 1, or [`Manifest::VERSION`]
    pub version: u32,
    /// What was done.
    pub plan: Plan,
    /// What came out.
    pub totals: Totals,
    /// Number of token strings.
    pub tokens: u64,
    /// blake3 of `tokens.json`, hexadecimal.
    pub tokens_digest: String,
    /// The part files in order.
    pub parts: Vec<Part>,
}

impl Manifest {
    /// Names the format in the file.
    pub const FORMAT: &'static str = "splindex vector store";
    /// Changes when an older reader would misread the store. Version 1 is that of stores without
    /// digests of texts, which are written as ever.
    pub const VERSION: u32 = 2;

    /// The version of a store of this plan.
    pub(super) fn version(plan: &Plan) -> u32 {
        if plan.digests { Self::VERSION } else { 1 }
    }

    /// Reads `DIR/manifest.json`.
    ///
    /// # Errors
    /// No store, an unfinished store, another format or version.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(super::MANIFEST);
        if !path.exists() && dir.join(super::JOURNAL).exists() {
            return Err(Error::data(dir, Place::File, "the vector store is unfinished")
                .hint("finish it with encode `resume`, or remove the folder and make it again"));
        }
        let bytes = std::fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|e| {
            let line = Place::Line(e.line() as u64);
            Error::data(&path, line, format!("expected a store's manifest, found {}", foreign(e)))
        })?;
        if manifest.format != Self::FORMAT || !(1..=Self::VERSION).contains(&manifest.version) {
            let problem = format!(
                "expected {:?} version 1 to {}, found {:?} version {}",
                Self::FORMAT,
                Self::VERSION,
                manifest.format,
                manifest.version
            );
            return Err(Error::data(&path, Place::File, problem)
                .hint("read it with the program that made it, or encode again"));
        }
        if manifest.plan.digests && manifest.version < 2 {
            let problem = "expected version 2 of a store with digests, found 1";
            return Err(Error::data(&path, Place::File, problem));
        }
        Ok(manifest)
    }

    /// The range of the weights.
    pub fn summary(&self) -> WeightSummary {
        WeightSummary {
            largest: self.totals.largest_weight,
            small_integers: self.totals.small_integers,
        }
    }
}
