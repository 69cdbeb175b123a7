//! What a model directory holds for documents and for queries.
//!
//! A plain checkpoint is one transformer for both. OpenSearch's document-only models add a
//! table of query weights. A SentenceTransformers `SparseEncoder` names its parts in
//! `modules.json`: a transformer and its SPLADE pooling, or static weights, or a router to
//! either by kind of text; lengths, prompts and activations are in the parts' own files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::reader::{Reader, inside};
use super::router::{class, route};
use super::tokenizer::TextTokenizer;
use crate::error::{Error, Place, Result};
use crate::vectors::store::{Kind, TextDigest};

/// Query tables beside a model, best first: OpenSearch's two forms.
const TABLES: [&str; 2] = ["idf.json", "query_token_weights.txt"];

/// What computes the vectors of one kind of text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Side {
    /// Directory of the transformer or of the table's tokenizer.
    pub dir: PathBuf,
    /// By what.
    pub part: SidePart,
    /// Tokens of a text that the model is meant to read, if it says so; may be more than
    /// it has positions.
    pub max_length: Option<usize>,
    /// Put before every text.
    pub prompt: String,
    /// Heaviest terms kept.
    pub top: Option<usize>,
    /// Whether texts are lower-cased before the tokenizer sees them.
    pub lower_case: bool,
    /// Bytes of the configuration files read here, for the model's digest.
    pub settings: Vec<u8>,
}

/// The computing part of a [`Side`].
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SidePart {
    /// A masked language model, pooled over the text's tokens.
    Transformer(Activated),
    /// A table of token weights in this file.
    Table(PathBuf),
}

/// What pooling makes of the largest logit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Activated {
    /// log(1 + relu(x)): SPLADE.
    #[default]
    Once,
    /// log(1 + log(1 + relu(x))): OpenSearch v3 (Geng et al. 2025).
    Twice,
}

#[cfg(feature = "encode")]
impl Activated {
    /// For manifests.
    pub fn name(self) -> &'static str {
        match self {
            Activated::Once => "max log(1+relu)",
            Activated::Twice => "max log(1+log(1+relu))",
        }
    }
}

#[derive(Deserialize)]
struct Module {
    path: String,
    r#type: String,
}

#[derive(Deserialize)]
struct PoolingConfig {
    pooling_strategy: Option<String>,
    activation_function: Option<String>,
}

#[derive(Deserialize, Default)]
struct TransformerConfig {
    max_seq_length: Option<serde_json::Number>,
    do_lower_case: Option<bool>,
    transformer_task: Option<String>,
}

#[derive(Deserialize, Default)]
struct TokenizerConfig {
    model_max_length: Option<f64>,
}

#[derive(Deserialize, Default)]
struct EncoderConfig {
    prompts: Option<BTreeMap<String, Option<String>>>,
    default_prompt_name: Option<String>,
    max_active_dims: Option<usize>,
}

#[derive(Deserialize)]
struct StaticConfig {
    path: Option<String>,
}

/// Reads what `dir` says about texts of `kind`.
///
/// # Errors
/// A malformed configuration file; modules, poolings or routes that are not supported.
pub(super) fn side(dir: &Path, kind: Kind) -> Result<Side> {
    if !dir.is_dir() {
        let problem = "expected a model directory, found none";
        let error = Error::data(dir, Place::File, problem);
        let error = if dir.exists() { error } else { error.missing() };
        return Err(
            error.hint("give a directory with config.json, tokenizer.json and model.safetensors")
        );
    }
    let mut reader = Reader { settings: Vec::new() };
    let modules = dir.join("modules.json");
    let mut side = match reader.json::<Vec<Module>>(&modules)? {
        None => plain(dir, kind, &mut reader)?,
        Some(list) => from_modules(dir, &modules, list, kind, &mut reader)?,
    };
    side.settings = reader.settings;
    Ok(side)
}

fn plain(dir: &Path, kind: Kind, reader: &mut Reader) -> Result<Side> {
    let part = match table_beside(dir).filter(|_| kind == Kind::Query) {
        Some(table) => SidePart::Table(table),
        None => SidePart::Transformer(Activated::Once),
    };
    let config = reader.transformer(dir)?;
    let max_length = config.length(dir)?;
    Ok(Side { max_length, lower_case: config.lower_cases(), ..Side::of(dir, part) })
}

fn table_beside(dir: &Path) -> Option<PathBuf> {
    TABLES.iter().map(|name| dir.join(name)).find(|path| path.exists())
}

fn from_modules(
    dir: &Path,
    path: &Path,
    list: Vec<Module>,
    kind: Kind,
    reader: &mut Reader,
) -> Result<Side> {
    let mut parts = Vec::new();
    let mut routed = false;
    for module in list {
        let place = inside(path, dir, &module.path)?;
        match class(&module.r#type) {
            "Router" | "Asym" => {
                routed = true;
                parts.extend(route(&place, kind, reader)?);
            }
            other => parts.push((other.to_owned(), place)),
        }
    }
    if let Some(table) = table_beside(dir).filter(|_| kind == Kind::Query && !routed) {
        return Ok(Side::of(dir, SidePart::Table(table)));
    }
    let classes: Vec<&str> = parts.iter().map(|(class, _)| class.as_str()).collect();
    let (from, part) = match classes.as_slice() {
        ["Transformer" | "MLMTransformer", "SpladePooling"] => {
            let activated = reader.pooling(&parts[1].1.join("config.json"))?;
            (&parts[0].1, SidePart::Transformer(activated))
        }
        ["SparseStaticEmbedding" | "IDF"] => (&parts[0].1, reader.static_table(dir, &parts[0].1)?),
        found => {
            let problem = format!(
                "expected the modules Transformer (or MLMTransformer) and SpladePooling, or \
                 SparseStaticEmbedding, found {}",
                found.join(", ")
            );
            return Err(Error::data(path, Place::File, problem)
                .hint("splindex encodes with SPLADE models; this is another kind"));
        }
    };
    let config = reader.transformer(from)?;
    if let Some(task) = config.transformer_task.as_deref().filter(|&task| task != "fill-mask") {
        let problem = format!("expected the transformer_task fill-mask, found {task:?}");
        return Err(Error::data(from.join(TRANSFORMER), Place::File, problem));
    }
    let own = config.length(from)?;
    let tokenizer: TokenizerConfig =
        reader.json(&from.join("tokenizer_config.json"))?.unwrap_or_default();
    // As SparseEncoder: no limit named is the model's own number of positions.
    let max_length = own.or(length(tokenizer.model_max_length)).or(Some(usize::MAX));
    let common: EncoderConfig =
        reader.json(&dir.join("config_sentence_transformers.json"))?.unwrap_or_default();
    Ok(Side {
        max_length,
        prompt: common.prompt(kind),
        top: common.max_active_dims,
        lower_case: config.lower_cases(),
        ..Side::of(from, part)
    })
}

const TRANSFORMER: &str = "sentence_bert_config.json";

impl TransformerConfig {
    fn lower_cases(&self) -> bool {
        self.do_lower_case.unwrap_or(false)
    }

    /// `max_seq_length`, if the file in `dir` has one that is a limit.
    fn length(&self, dir: &Path) -> Result<Option<usize>> {
        let Some(number) = &self.max_seq_length else { return Ok(None) };
        match number.as_f64() {
            Some(n) if n >= UNLIMITED => Ok(None),
            Some(n) if n.fract() == 0.0 && n >= LEAST_LENGTH => Ok(Some(n as usize)),
            _ => {
                let problem = format!(
                    "expected max_seq_length to be a whole number of at least {LEAST_LENGTH}, \
                     found {number}"
                );
                Err(Error::data(dir.join(TRANSFORMER), Place::File, problem)
                    .hint("it counts the tokens of a text that the model reads, 512 for most"))
            }
        }
    }
}

impl EncoderConfig {
    /// The text that SparseEncoder's encode_query and encode_document put first.
    fn prompt(&self, kind: Kind) -> String {
        let names: &[&str] = match kind {
            Kind::Query => &["query"],
            Kind::Document => &["document", "passage", "corpus"],
        };
        let prompt = |name: &str| self.prompts.as_ref()?.get(name).cloned().flatten();
        let named = names.iter().find_map(|name| prompt(name));
        let default = || prompt(self.default_prompt_name.as_ref()?);
        named.or_else(default).unwrap_or_default()
    }
}

impl Side {
    fn of(dir: &Path, part: SidePart) -> Self {
        Side {
            dir: dir.to_owned(),
            part,
            max_length: None,
            prompt: String::new(),
            top: None,
            lower_case: false,
            settings: Vec::new(),
        }
    }

    /// What the tokenizer is given for `text`; a text without words stays without.
    pub fn prepared<'t>(&self, text: &'t str) -> std::borrow::Cow<'t, str> {
        if (self.prompt.is_empty() && !self.lower_case) || text.trim().is_empty() {
            return text.into();
        }
        let text = format!("{}{text}", self.prompt);
        match self.lower_case {
            true => text.chars().flat_map(char::to_lowercase).collect::<String>().into(),
            false => text.into(),
        }
    }

    /// Digests of what the tokenizer may see of a text.
    pub fn digests(&self, tokenizer: &TextTokenizer, text: &str) -> Vec<TextDigest> {
        let text = self.prepared(text);
        TextDigest::of_parts(&text, &tokenizer.parts(&text).collect::<Vec<_>>())
    }
}

impl Reader {
    fn transformer(&mut self, dir: &Path) -> Result<TransformerConfig> {
        Ok(self.json(&dir.join(TRANSFORMER))?.unwrap_or_default())
    }

    fn pooling(&mut self, path: &Path) -> Result<Activated> {
        let config: PoolingConfig = self.json(path)?.ok_or_else(|| {
            Error::data(path, Place::File, "expected SpladePooling's configuration, found none")
        })?;
        let strategy = config.pooling_strategy.as_deref().unwrap_or("max");
        if strategy != "max" {
            let problem = format!("expected the pooling_strategy max, found {strategy:?}");
            return Err(Error::data(path, Place::File, problem)
                .hint("sum pooling (SPLADE v1) is not supported"));
        }
        match config.activation_function.as_deref().unwrap_or("relu") {
            "relu" => Ok(Activated::Once),
            "log1p_relu" => Ok(Activated::Twice),
            other => {
                let problem =
                    format!("expected the activation_function relu or log1p_relu, found {other:?}");
                Err(Error::data(path, Place::File, problem))
            }
        }
    }

    /// A JSON table that the module names, or its own tensor.
    fn static_table(&mut self, root: &Path, dir: &Path) -> Result<SidePart> {
        let config = dir.join("config.json");
        let named = self.json::<StaticConfig>(&config)?.and_then(|c| c.path);
        if let Some(name) = named.filter(|name| name.ends_with(".json")) {
            let candidates = [inside(&config, dir, &name)?, inside(&config, root, &name)?];
            return match candidates.into_iter().find(|path| path.exists()) {
                Some(path) => Ok(SidePart::Table(path)),
                None => {
                    let problem = format!("expected the table {name:?} beside it, found none");
                    Err(Error::data(&config, Place::File, problem))
                }
            };
        }
        let stored = ["model.safetensors", "pytorch_model.bin"].map(|name| dir.join(name));
        match stored.into_iter().find(|path| path.exists()) {
            Some(path) => Ok(SidePart::Table(path)),
            None => {
                let problem = "expected model.safetensors with the token weights, found none";
                Err(Error::data(dir, Place::File, problem).hint("download the whole model folder"))
            }
        }
    }
}

/// Tokenizers without a limit say 1e30.
const UNLIMITED: f64 = 1e9;

/// Two special tokens and one of the text.
const LEAST_LENGTH: f64 = 3.0;

/// A tokenizer's length as JSON has it.
fn length(value: Option<f64>) -> Option<usize> {
    value.filter(|&n| (1.0..UNLIMITED).contains(&n)).map(|n| n as usize)
}

#[cfg(test)]
mod tests;
