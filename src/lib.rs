//! splindex: static learned-sparse indexes.
//!
//! The pipeline, one module a step:
//!
//! ```text
//! text ─► corpus ─► encode ─► vectors ─► quantize ─► order ─► build ─► format ─► index ─► query ─► eval
//!         TSV,      candle    native     u8          BP       blocks,  one .spx  mmap,    exact    runs,
//!         JSONL     or bm25   store      impacts              maxima   file      verify   top-k    measures
//! ```
//!
//! Architecture invariant: modules depend on those to their left in this picture or
//! below it (`error`, `vectors`); `format`, `index` and `query` know no encoder and no
//! command line; only `cli` prints.

#[cfg(feature = "tokenize")]
pub mod encode;

pub mod bench;
pub mod bm25;
pub mod build;
pub mod cli;
pub mod convert;
pub mod corpus;
pub mod error;
pub mod eval;
pub mod format;
pub mod index;
pub mod order;
pub mod output;
mod page;
pub mod progress;
pub mod quantize;
pub mod query;
pub mod retrieve;
#[cfg(feature = "serve")]
pub mod serve;
pub mod simd;
mod spill;
pub mod synth;
pub mod table;
pub mod vectors;

pub use error::{Error, Result};
