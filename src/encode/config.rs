//! `config.json`: which architecture, and its sizes.

use std::path::Path;

use serde::Deserialize;

use super::config_modern::{Modern, RawModern};
use crate::error::{Error, Place, Result, foreign};

/// Architectures the encoder knows, as `config.json` names them.
pub const SUPPORTED: &str =
    "BertForMaskedLM, DistilBertForMaskedLM, RobertaForMaskedLM, ModernBertForMaskedLM";

/// A masked language model family. The first three share one graph and differ in tensor
/// names, token types, positions and the names of the configuration's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// `BertForMaskedLM`
    Bert,
    /// `DistilBertForMaskedLM`
    DistilBert,
    /// `RobertaForMaskedLM`
    Roberta,
    /// `ModernBertForMaskedLM`
    ModernBert,
}

impl Architecture {
    /// The name in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Bert => "BertForMaskedLM",
            Architecture::DistilBert => "DistilBertForMaskedLM",
            Architecture::Roberta => "RobertaForMaskedLM",
            Architecture::ModernBert => "ModernBertForMaskedLM",
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
    /// Rows of the embeddings and of the output: the tokenizer's terms, and padding after them.
    pub vocabulary: usize,
    /// Width of a token's state.
    pub hidden: usize,
    /// Transformer layers.
    pub layers: usize,
    /// Attention heads; `hidden` is a multiple of it.
    pub heads: usize,
    /// Width of the feed-forward layers.
    pub intermediate: usize,
    /// Rows of BERT's and RoBERTa's token-type table; 0 where there is none.
    pub token_types: usize,
    /// Longest sequence the model takes.
    pub positions: usize,
    /// RoBERTa's padding token, after whose id its positions begin: the first token of a
    /// text is at `pad + 1`. The others count from 0.
    pub pad: Option<u32>,
    /// Added to the variance in every layer norm.
    pub layer_norm_eps: f64,
    /// Non-linearity of the feed-forward layers.
    pub activation: Activation,
    /// Non-linearity of the output transform.
    pub head_activation: Activation,
    /// What only ModernBERT has.
    pub modern: Option<Modern>,
}

/// The fields of both families; each family uses its own subset.
#[derive(Deserialize)]
struct Raw {
    architectures: Option<Vec<String>>,
    model_type: Option<String>,
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
    // RoBERTa
    pad_token_id: Option<i64>,
    #[serde(flatten)]
    modern: RawModern,
}

impl ModelConfig {
    /// Parses the text of `path`; the path only names the file in errors.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self> {
        let raw: Raw = serde_json::from_slice(text).map_err(|e| {
            let line = Place::Line(e.line() as u64);
            Error::data(path, line, format!("expected a model configuration, found {}", foreign(e)))
        })?;
        let architecture = architecture(path, &raw)?;
        let modern = architecture == Architecture::ModernBert;
        let distil = architecture == Architecture::DistilBert;
        let size = |name: &str, value: Option<usize>| match value {
            Some(n) if n > 0 => Ok(n),
            other => {
                let found = other.map_or("none".to_owned(), |n| n.to_string());
                let problem = format!("expected \"{name}\" to be a positive number, found {found}");
                Err(Error::data(path, Place::File, problem))
            }
        };
        let pick = |b: (&str, Option<usize>), d: (&str, Option<usize>)| {
            if distil { size(d.0, d.1) } else { size(b.0, b.1) }
        };
        if let Some(kind) = raw.position_embedding_type.as_deref().filter(|&k| k != "absolute") {
            let problem = format!("expected absolute position embeddings, found {kind:?}");
            return Err(Error::data(path, Place::File, problem));
        }
        let hidden = pick(("hidden_size", raw.hidden_size), ("dim", raw.dim))?;
        let table = size("max_position_embeddings", raw.max_position_embeddings)?;
        let pad = match (architecture, raw.pad_token_id.unwrap_or(1)) {
            (Architecture::Roberta, pad) => Some(u32::try_from(pad).map_err(|_| {
                let problem = format!("expected \"pad_token_id\" to be a token's id, found {pad}");
                Error::data(path, Place::File, problem)
            })?),
            _ => None,
        };
        let act = match architecture {
            Architecture::DistilBert => &raw.activation,
            Architecture::ModernBert => &raw.modern.hidden_activation,
            Architecture::Bert | Architecture::Roberta => &raw.hidden_act,
        };
        let activation = activation(path, act)?;
        let layers =
            pick(("num_hidden_layers", raw.num_hidden_layers), ("n_layers", raw.n_layers))?;
        let config = ModelConfig {
            architecture,
            vocabulary: size("vocab_size", raw.vocab_size)?,
            hidden,
            layers,
            heads: pick(
                ("num_attention_heads", raw.num_attention_heads),
                ("n_heads", raw.n_heads),
            )?,
            intermediate: pick(
                ("intermediate_size", raw.intermediate_size),
                ("hidden_dim", raw.hidden_dim),
            )?,
            token_types: match architecture {
                Architecture::Bert | Architecture::Roberta => raw.type_vocab_size.unwrap_or(2),
                Architecture::DistilBert | Architecture::ModernBert => 0,
            },
            positions: match pad {
                None => table,
                Some(pad) => size(
                    "max_position_embeddings less the padding token's id and 1",
                    table.checked_sub(pad as usize + 1),
                )?,
            },
            pad,
            layer_norm_eps: match architecture {
                Architecture::Bert | Architecture::Roberta => raw.layer_norm_eps.unwrap_or(1e-12),
                // DistilBERT has no such field: its layer norms are built with 1e-12.
                Architecture::DistilBert => 1e-12,
                Architecture::ModernBert => raw.modern.norm_eps.unwrap_or(1e-5),
            },
            activation,
            head_activation: match architecture {
                Architecture::Bert | Architecture::DistilBert => activation,
                // Its head is built with gelu, whatever the layers have.
                Architecture::Roberta => Activation::GeluErf,
                Architecture::ModernBert => {
                    self::activation(path, &raw.modern.classifier_activation)?
                }
            },
            modern: if modern { Some(raw.modern.read(path, layers)?) } else { None },
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
    let first = raw.architectures.as_ref().and_then(|names| names.first());
    let found = first.or(raw.model_type.as_ref()).map_or("", String::as_str);
    match found {
        "BertForMaskedLM" | "bert" => Ok(Architecture::Bert),
        "DistilBertForMaskedLM" | "distilbert" => Ok(Architecture::DistilBert),
        "RobertaForMaskedLM" | "roberta" => Ok(Architecture::Roberta),
        "ModernBertForMaskedLM" | "modernbert" => Ok(Architecture::ModernBert),
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
        let e = parse(r#"{"architectures":["XLMRobertaForMaskedLM"]}"#).unwrap_err();
        assert_eq!(
            e.to_string(),
            "config.json: architecture \"XLMRobertaForMaskedLM\" is not supported; supported: \
             BertForMaskedLM, DistilBertForMaskedLM, RobertaForMaskedLM, \
             ModernBertForMaskedLM; use a masked-language-model SPLADE checkpoint of one of \
             these"
        );
    }

    #[test]
    fn roberta_counts_positions_after_its_padding_token() {
        let config = parse(
            r#"{"architectures":["RobertaForMaskedLM"],"vocab_size":50265,"hidden_size":384,
            "num_hidden_layers":6,"num_attention_heads":12,"intermediate_size":1536,
            "max_position_embeddings":514,"pad_token_id":1,"type_vocab_size":1,
            "hidden_act":"gelu_new","layer_norm_eps":1e-5}"#,
        )
        .unwrap();
        assert_eq!((config.positions, config.pad, config.token_types), (512, Some(1), 1));
        assert_eq!(config.activation, Activation::GeluTanh);
        assert_eq!(config.head_activation, Activation::GeluErf);
        let e = parse(
            r#"{"model_type":"roberta","vocab_size":9,"hidden_size":8,"num_hidden_layers":1,
            "num_attention_heads":1,"intermediate_size":8,"max_position_embeddings":2}"#,
        );
        assert!(e.unwrap_err().to_string().contains("less the padding token's id and 1"));
    }

    #[test]
    fn null_is_what_a_missing_field_is() {
        let fields = |nulls: &str, kind: &str| {
            format!(
                r#"{{{nulls}"model_type":"{kind}","vocab_size":9,"hidden_size":8,
                "num_hidden_layers":1,"num_attention_heads":1,"intermediate_size":8,
                "max_position_embeddings":64}}"#
            )
        };
        let nulls = r#""architectures":null,"id2label":null,"pad_token_id":null,"hidden_act":null,
            "layer_norm_eps":null,"type_vocab_size":null,"position_embedding_type":null,
            "norm_eps":null,"hidden_activation":null,"classifier_activation":null,
            "local_attention":null,"global_attn_every_n_layers":null,"layer_types":null,
            "rope_parameters":null,"global_rope_theta":null,"#;
        for kind in ["bert", "roberta", "modernbert"] {
            assert_eq!(parse(&fields(nulls, kind)).unwrap(), parse(&fields("", kind)).unwrap());
        }
        let empty = parse(&fields(r#""architectures":[],"pad_token_id":-1,"#, "bert")).unwrap();
        assert_eq!(empty.architecture, Architecture::Bert);
        let e = parse(&fields(r#""pad_token_id":-1,"#, "roberta")).unwrap_err().to_string();
        assert!(e.ends_with("expected \"pad_token_id\" to be a token's id, found -1"), "{e}");
        let e = parse(r#"{"architectures":null,"model_type":null}"#).unwrap_err().to_string();
        assert!(e.contains("expected \"architectures\" with one of Bert"), "{e}");
        let e = parse(&fields("", "bert").replace("9", "null")).unwrap_err().to_string();
        assert!(e.contains("expected \"vocab_size\" to be a positive number, found none"), "{e}");
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
