//! The encoder: masked-language-model checkpoints to SPLADE vectors.
//!
//! ```text
//! text ─► tokenizer ─► batch ─► graph ─────────► pool ────────────► store
//!         ids, cut     by       packed rows,     project, max,      (crate::vectors::store)
//!         at a limit   length   no padding       bias, log(1+relu)
//! ```
//!
//! `graph` and `pool` are candle operations: they load every checkpoint, run GPUs and are
//! the oracle. On a CPU `cpu` runs the same graph with our own `kernels`.
//!
//! With the feature `tokenize` alone there are only the tokenizer and queries by a table
//! of token weights; the model parts need the feature `encode`.
//!
//! Architecture invariant: on a CPU a text's vector depends on the text, the model and the
//! level of instructions, not on the batch or the number of threads.

use crate::error::Result;
use crate::vectors::TokenTable;
use crate::vectors::store::{ModelInfo, TextDigest};

mod cut;
mod folder;
mod hub;
mod info;
mod query;
mod reader;
mod router;
mod shipped;
mod table;
mod tokenizer;

#[cfg(feature = "encode")]
mod batch;
#[cfg(feature = "encode")]
mod checkpoint;
#[cfg(feature = "encode")]
mod config;
#[cfg(feature = "encode")]
mod config_modern;
#[cfg(feature = "encode")]
mod cpu;
#[cfg(feature = "encode")]
mod cpu_modern;
#[cfg(feature = "encode")]
mod cpu_parts;
#[cfg(feature = "encode")]
mod encoder;
#[cfg(feature = "encode")]
mod erf;
#[cfg(feature = "encode")]
mod graph;
#[cfg(feature = "encode")]
mod kernels;
#[cfg(feature = "encode")]
mod modernbert;
#[cfg(feature = "encode")]
mod ops;
#[cfg(feature = "encode")]
mod pickle;
#[cfg(feature = "encode")]
mod pipeline;
#[cfg(feature = "encode")]
mod pool;
#[cfg(feature = "encode")]
mod reuse;
#[cfg(feature = "encode")]
mod stream;
#[cfg(feature = "encode")]
mod weights;

#[cfg(feature = "encode")]
pub use config::{Activation, Architecture, ModelConfig, SUPPORTED};
#[cfg(feature = "encode")]
pub use config_modern::Modern;
#[cfg(feature = "encode")]
pub use encoder::{DeviceChoice, Encoder, EncoderOptions, Precision};
pub use hub::{model_directory, needs_download};
#[cfg(feature = "encode")]
pub use kernels::simd_level;
#[cfg(feature = "encode")]
pub use pipeline::{EncodeJob, EncodeReport, encode_to_store};
#[cfg(not(feature = "encode"))]
pub use query::EncoderOptions;
pub use query::QueryEncoder;
#[cfg(feature = "encode")]
pub use reuse::Reused;
pub use shipped::{QueryFiles, query_files};
pub use tokenizer::{TextTokenizer, TokenIds};

/// A text's sparse vector.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Encoded {
    /// (term id, weight > 0), sorted by term id.
    pub terms: Vec<(u32, f32)>,
    /// Whether the text was longer than the maximum length.
    pub truncated: bool,
    /// Which of the text's [digests](TextEncoder::digests) stands for what was read of it.
    pub part: usize,
}

/// Tokens of a text that are read where neither the caller nor the model says.
pub const DEFAULT_MAX_LENGTH: usize = 256;

/// Hears how many texts a step finished; false stops the run.
pub type Progress<'a> = dyn Fn(u64) -> bool + Sync + 'a;

/// Anything that turns texts into sparse vectors over one token table.
pub trait TextEncoder: Send + Sync {
    /// One result per text, in order. `done` is told how many texts each step finished, and
    /// says whether to go on; if not, the result is [`crate::Error::Stopped`].
    fn encode_texts(&self, texts: &[&str], done: &Progress<'_>) -> Result<Vec<Encoded>>;

    /// Whether a text can be tokenized: tells which of many made [`TextEncoder::encode_texts`]
    /// fail.
    ///
    /// # Errors
    /// What is wrong with the text, or with the tokenizer.
    fn check(&self, text: &str) -> Result<()>;

    /// What may be read of a text: digests of the first parts that may be all that the tokenizer
    /// sees of it, then of the whole. [`Encoded::part`] says which decided a vector.
    fn digests(&self, text: &str) -> Vec<TextDigest>;

    /// Token strings by term id.
    fn tokens(&self) -> &TokenTable;

    /// Rows of the model's vocabulary after the last token, which are not read.
    fn padding(&self) -> usize {
        0
    }

    /// What made the vectors.
    fn info(&self) -> &ModelInfo;

    /// Tokens of a text that are read, special tokens included; `usize::MAX` for all.
    fn max_length(&self) -> usize;

    /// How token weights came from the model, for manifests.
    fn pooling(&self) -> &'static str;

    /// What is put before every text, empty for nothing.
    fn prompt(&self) -> &str;
}

/// Drops light terms; the rest stays sorted by term id.
fn prune(mut terms: Vec<(u32, f32)>, top: Option<usize>, min_weight: f32) -> Vec<(u32, f32)> {
    terms.retain(|&(_, weight)| weight >= min_weight);
    if let Some(top) = top.filter(|&n| n < terms.len()) {
        terms.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        terms.truncate(top);
        terms.sort_unstable_by_key(|&(id, _)| id);
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(weights: &[f32]) -> Vec<(u32, f32)> {
        weights.iter().enumerate().map(|(i, &w)| (i as u32, w)).collect()
    }

    #[test]
    fn pruning_keeps_the_heaviest_terms_in_term_order() {
        let of = |top, min| prune(encoded(&[0.5, 2.0, 0.1, 2.0, 1.0]), top, min);
        assert_eq!(of(Some(2), 0.0), [(1, 2.0), (3, 2.0)]);
        assert_eq!(of(Some(3), 0.0), [(1, 2.0), (3, 2.0), (4, 1.0)]);
        assert_eq!(of(Some(1), 0.0), [(1, 2.0)]);
        assert_eq!(of(None, 0.5), [(0, 0.5), (1, 2.0), (3, 2.0), (4, 1.0)]);
        assert_eq!(of(Some(0), 0.0), []);
    }
}
