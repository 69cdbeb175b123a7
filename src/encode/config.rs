//! `config.json`: which architecture, and its sizes.

use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Place, Result};

/// Architectures the encoder knows, as `config.json` names them.
pub const SUPPORTED: &str = "BertForMaskedLM, DistilBertForMaskedLM";

/// A masked language model family; the two share one graph and differ in tensor names,
/// in BERT's token types and in the names of the configuration's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// `BertForMaskedLM`
    Bert,
    /// `DistilBertForMaskedLM`
    DistilBert,
}

impl Architecture {
    /// The name in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Bert => "BertForMaskedLM",
            Architecture::DistilBert => "DistilBertForMaskedLM",
        }
    }
}

/// Non-linearity of the feed-forward layers and of the output transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x · Φ(x), with the error function: "gelu" in `config.json`.
    GeluErf,
    /// The tanh approximation: "gelu_new" or "gelu_pytorch_tanh".
    GeluTanh,
    /// max(x, 0)
    Relu,
}

/// Sizes of a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// Tensor naming and embedding parts.
    pub architecture: Architecture,
    /// Number of terms.
    pub vocabulary: usize,
    /// Width of a token's state.
    pub hidden: usize,
    /// Transformer layers.
    pub layers: usize,
    /// Attention heads; `hidden` is a multiple of it.
    pub heads: usize,
    /// Width of the feed-forward layers.
    pub intermediate: usize,
    /// Rows of BERT's token-type table; 0 for DistilBERT, which has none.
    pub token_types: usize,
    /// Longest sequence the position table covers.
    pub positions: usize,
    /// Added to the variance in every layer norm.
    pub layer_norm_eps: f64,
    /// Non-linearity.
    pub activation: Activation,
}

/// The fields of both families; each family uses its own subset.
#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    model_type: String,
    vocab_size: Option<usize>,
    max_position_embeddings: Option<usize>,
    position_embedding_type: Option<String>,
    // BERT
    hidden_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    intermediate_size: Option<usize>,
    hidden_act: Option<String>,
    layer_norm_eps: Option<f64>,
    type_vocab_size: Option<usize>,
    // DistilBERT
    dim: Option<usize>,
    n_layers: Option<usize>,
    n_heads: Option<usize>,
    hidden_dim: Option<usize>,
    activation: Option<String>,
}

impl ModelConfig {
    /// Parses the text of `path`; the path only names the file in errors.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self> {
        let raw: Raw = serde_json::from_slice(text).map_err(|e| {
            let line = Place::Line(e.line() as u64);
            Error::data(path, line, format!("expected a model configuration, found {e}"))
        })?;
        let architecture = architecture(path, &raw)?;
        let bert = architecture == Architecture::Bert;
        let size = |name: &str, value: Option<usize>| match value {
            Some(n) if n > 0 => Ok(n),
            other => {
                let found = other.map_or("none".to_owned(), |n| n.to_string());
                let problem = format!("expected \"{name}\" to be a positive number, found {found}");
                Err(Error::data(path, Place::File, problem))
            }
        };
        let pick = |b: (&str, Option<usize>), d: (&str, Option<usize>)| {
            if bert { size(b.0, b.1) } else { size(d.0, d.1) }
        };
        if let Some(kind) = raw.position_embedding_type.as_deref().filter(|&k| k != "absolute") {
            let problem = format!("expected absolute position embeddings, found {kind:?}");
            return Err(Error::data(path, Place::File, problem));
        }
        let config = ModelConfig {
            architecture,
            vocabulary: size("vocab_size", raw.vocab_size)?,
            hidden: pick(("hidden_size", raw.hidden_size), ("dim", raw.dim))?,
            layers: pick(("num_hidden_layers", raw.num_hidden_layers), ("n_layers", raw.n_layers))?,
            heads: pick(
                ("num_attention_heads", raw.num_attention_heads),
                ("n_heads", raw.n_heads),
            )?,
            intermediate: pick(
                ("intermediate_size", raw.intermediate_size),
                ("hidden_dim", raw.hidden_dim),
            )?,
            token_types: if bert { raw.type_vocab_size.unwrap_or(2) } else { 0 },
            positions: size("max_position_embeddings", raw.max_position_embeddings)?,
            // DistilBERT has no such field: its layer norms are built with 1e-12.
            layer_norm_eps: if bert { raw.layer_norm_eps.unwrap_or(1e-12) } else { 1e-12 },
            activation: activation(path, if bert { &raw.hidden_act } else { &raw.activation })?,
        };
        if !config.hidden.is_multiple_of(config.heads) {
            let problem = format!(
                "expected the hidden size to be a multiple of the heads, found {} and {}",
                config.hidden, config.heads
            );
            return Err(Error::data(path, Place::File, problem));
        }
        Ok(config)
    }
}

fn architecture(path: &Path, raw: &Raw) -> Result<Architecture> {
    let found = match raw.architectures.first() {
        Some(name) => name.as_str(),
        None => raw.model_type.as_str(),
    };
    match found {
        "BertForMaskedLM" | "bert" => Ok(Architecture::Bert),
        "DistilBertForMaskedLM" | "distilbert" => Ok(Architecture::DistilBert),
        "" => Err(Error::data(
            path,
            Place::File,
            format!("expected \"architectures\" with one of {SUPPORTED}, found none"),
        )),
        other => Err(Error::data(
            path,
            Place::File,
            format!("architecture {other:?} is not supported; supported: {SUPPORTED}"),
        )
        .hint("use a masked-language-model SPLADE checkpoint of one of these")),
    }
}

fn activation(path: &Path, name: &Option<String>) -> Result<Activation> {
    match name.as_deref() {
        None | Some("gelu") => Ok(Activation::GeluErf),
        Some("gelu_new" | "gelu_pytorch_tanh") => Ok(Activation::GeluTanh),
        Some("relu") => Ok(Activation::Relu),
        Some(other) => Err(Error::data(
            path,
            Place::File,
            format!(
                "expected the activation gelu, gelu_new, gelu_pytorch_tanh or relu, found {other:?}"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<ModelConfig> {
        ModelConfig::parse(Path::new("config.json"), json.as_bytes())
    }

    #[test]
    fn both_families_give_the_same_sizes_under_their_own_names() {
        let bert = parse(
            r#"{"architectures":["BertForMaskedLM"],"vocab_size":30522,"hidden_size":128,
            "num_hidden_layers":2,"num_attention_heads":2,"intermediate_size":512,
            "max_position_embeddings":512,"hidden_act":"gelu","layer_norm_eps":1e-12}"#,
        )
        .unwrap();
        let distil = parse(
            r#"{"model_type":"distilbert","vocab_size":30522,"dim":128,"n_layers":2,"n_heads":2,
            "hidden_dim":512,"max_position_embeddings":512,"activation":"gelu"}"#,
        )
        .unwrap();
        let renamed = ModelConfig { architecture: Architecture::Bert, token_types: 2, ..distil };
        assert_eq!(renamed, bert);
    }

    #[test]
    fn an_unknown_architecture_lists_the_supported_ones() {
        let e = parse(r#"{"architectures":["RobertaForMaskedLM"]}"#).unwrap_err().to_string();
        assert_eq!(
            e,
            "config.json: architecture \"RobertaForMaskedLM\" is not supported; supported: \
             BertForMaskedLM, DistilBertForMaskedLM; use a masked-language-model SPLADE \
             checkpoint of one of these"
        );
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        let e = parse(
            r#"{"model_type":"distilbert","vocab_size":10,"dim":130,"n_layers":2,"n_heads":4,
            "hidden_dim":512,"max_position_embeddings":512}"#,
        );
        assert!(e.unwrap_err().to_string().contains("found 130 and 4"));
        let e = parse(r#"{"model_type":"bert","vocab_size":10}"#).unwrap_err().to_string();
        assert_eq!(e, "config.json: expected \"hidden_size\" to be a positive number, found none");
        let e = parse("{\n\"model_type\": 3}").unwrap_err().to_string();
        assert!(e.starts_with("config.json:2: expected a model configuration"), "{e}");
    }
}
