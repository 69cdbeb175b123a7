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

use crate::error::Result;
use crate::vectors::TokenTable;
use crate::vectors::store::ModelInfo;

mod info;
mod query;
mod tokenizer;

#[cfg(feature = "encode")]
mod batch;
#[cfg(feature = "encode")]
mod config;
#[cfg(feature = "encode")]
mod cpu;
#[cfg(feature = "encode")]
mod encoder;
#[cfg(feature = "encode")]
mod graph;
#[cfg(feature = "encode")]
mod kernels;
#[cfg(feature = "encode")]
mod ops;
#[cfg(feature = "encode")]
mod pipeline;
#[cfg(feature = "encode")]
mod pool;
#[cfg(feature = "encode")]
mod weights;

#[cfg(feature = "encode")]
pub use config::{Activation, Architecture, ModelConfig, SUPPORTED};
#[cfg(feature = "encode")]
pub use encoder::{Arithmetic, DeviceChoice, Encoder, EncoderOptions, Precision};
#[cfg(feature = "encode")]
pub use kernels::simd_level;
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

/// Hears how many texts a step finished; false stops the run.
pub type Progress<'a> = dyn Fn(u64) -> bool + Sync + 'a;

/// Anything that turns texts into sparse vectors over one token table.
pub trait TextEncoder: Send + Sync {
    /// One result per text, in order. `done` is told how many texts each step finished, and
    /// says whether to go on; if not, the result is [`crate::Error::Stopped`].
    fn encode_texts(&self, texts: &[&str], done: &Progress<'_>) -> Result<Vec<Encoded>>;

    /// Token strings by term id.
    fn tokens(&self) -> &TokenTable;

    /// What made the vectors.
    fn info(&self) -> &ModelInfo;
}
