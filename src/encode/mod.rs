//! The encoder: masked-language-model checkpoints to SPLADE vectors.
//!
//! ```text
//! text ─► tokenizer ─► batch ─► graph ─────────► pool ────────────► store
//!         ids, cut     by       packed rows,     project, max,      (crate::vectors::store)
//!         at a limit   length   no padding       bias, log(1+relu)
//! ```
//!
//! With the feature `tokenize` alone there are only the tokenizer and queries by a table
//! of token weights; the model parts need the feature `encode`.

use crate::error::Result;
use crate::vectors::TokenTable;
use crate::vectors::store::ModelInfo;

mod folder;
mod hub;
mod info;
mod query;
mod table;
mod tokenizer;

#[cfg(feature = "encode")]
mod batch;
#[cfg(feature = "encode")]
mod checkpoint;
#[cfg(feature = "encode")]
mod config;
#[cfg(feature = "encode")]
mod encoder;
#[cfg(feature = "encode")]
mod graph;
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
mod weights;

#[cfg(feature = "encode")]
pub use config::{Activation, Architecture, ModelConfig, SUPPORTED};
#[cfg(feature = "encode")]
pub use encoder::{DeviceChoice, Encoder, EncoderOptions, Precision};
pub use hub::{model_directory, needs_download};
pub use info::simd_level;
#[cfg(feature = "encode")]
pub use pipeline::{EncodeJob, EncodeReport, encode_to_store};
#[cfg(not(feature = "encode"))]
pub use query::EncoderOptions;
pub use query::QueryEncoder;
pub use tokenizer::{TextTokenizer, TokenIds};

/// A text's sparse vector.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Encoded {
    /// (term id, weight > 0), sorted by term id.
    pub terms: Vec<(u32, f32)>,
    /// Whether the text was longer than the maximum length.
    pub truncated: bool,
}

/// Tokens of a text that are read where neither the caller nor the model says.
pub const DEFAULT_MAX_LENGTH: usize = 256;

/// Anything that turns texts into sparse vectors over one token table.
pub trait TextEncoder: Send + Sync {
    /// One result per text, in order. `done` is told how many texts each step finished.
    fn encode_texts(&self, texts: &[&str], done: &(dyn Fn(u64) + Sync)) -> Result<Vec<Encoded>>;

    /// Token strings by term id.
    fn tokens(&self) -> &TokenTable;

    /// What made the vectors.
    fn info(&self) -> &ModelInfo;

    /// Tokens of a text that are read, special tokens included.
    fn max_length(&self) -> usize;

    /// How token weights came from the model, for manifests.
    fn pooling(&self) -> &'static str;

    /// What is put before every text, empty for nothing.
    fn prompt(&self) -> &str;
}
