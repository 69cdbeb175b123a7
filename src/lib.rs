//! splindex: static learned-sparse indexes.
//!
//! The pipeline, one module a step:
//!
//! ```text
//! text ─► corpus ─► encode ─► vectors ─► quantize ─► order ─► builder ─► format ─► index ─► query ─► eval
//!         TSV,      candle    native     u8          BP       blocks,  one .spx  mmap,    exact    runs,
//!         JSONL     or bm25   store      impacts              maxima   file      verify   top-k    measures
//! ```
//!
//! Architecture invariant: every module uses modules above it in the table of
//! ARCHITECTURE.md only, and those that the table names (`tests/engine/architecture.rs` checks it);
//! `format`, `index` and `query` use no code of an encoder or of the command line; only `cli` prints.
//!
//! # A first index
//!
//! ```
//! use splindex::{Algorithm, Builder, Index};
//!
//! # let dir = tempfile::tempdir().expect("a temporary folder");
//! # let path = dir.path().join("whales.spx");
//! // An id and its tokens with weights ≥ 0; also compressed rows, files, vector stores.
//! let documents = [("d1", [("whale", 2.0), ("sea", 0.5)]), ("d2", [("whale", 1.2), ("ship", 1.9)])];
//! Builder::new().vectors(documents)?.write(&path)?;
//!
//! let index = Index::open(&path)?; // maps the file; clone it, send it, share it
//! let mut searcher = index.searcher(); // reused from query to query, one a thread
//! let query = index.query([("whale", 1.0), ("ship", 0.6)])?;
//! let hits = searcher.search(&query, 10, Algorithm::Auto)?;
//! let ids: Vec<&str> = hits.iter().map(|hit| index.id(hit.ordinal)).collect();
//! assert_eq!(ids, ["d2", "d1"]);
//!
//! // Exact scores of given documents, without a search; and what a document holds.
//! assert_eq!(searcher.score(&query, &[0, 1])?.len(), 2);
//! assert_eq!(index.vector(0)?.len(), 2);
//! # Ok::<(), splindex::Error>(())
//! ```
//!
//! # Where to go on
//!
//! | to | take |
//! |---|---|
//! | build, in memory or to a file | [`Builder`]: vectors, [`Rows`], texts for BM25, or both |
//! | read any file of vectors, or a store | [`vectors::inputs::open_vectors`] |
//! | open, check, look into an index | [`Index`] |
//! | make queries of texts, tokens or both | [`QueryBuilder`], [`Index::query`] |
//! | answer one query, or many | [`Searcher`], [`Index::search_batch`] |
//! | encode texts (feature `encode`) | [`encode::Encoder`](crate::encode) |
//! | measure runs | [`eval`] |
//! | publish and fetch releases (feature `publish`) | [`lifecycle::release`] |
//! | join indexes of parts | [`merge()`] |
//! | match on what went wrong | [`Error`] |
//!
//! Scores are integers, Σ query weight × impact; equal scores stand in the order of the input. Every
//! algorithm gives the list of [`Algorithm::Exhaustive`].
//!
//! Features: `encode` (candle, tokenizers), `tokenize` (inference-free query encoders only), `publish`
//! (releases in folders and object stores), `serve` (a node over HTTP), `cli` (the two programs), `hub`, `cuda`, `mkl`. A library that only builds and
//! searches takes `default-features = false`.

#[cfg(feature = "tokenize")]
pub mod encode;

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod bench;
pub mod bm25;
pub mod builder;
/// For the two programs of this package.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod convert;
pub mod corpus;
pub mod error;
pub mod eval;
pub mod format;
pub mod index;
pub mod lifecycle;
mod lookup;
pub mod order;
pub mod output;
#[cfg(feature = "cli")]
mod page;
pub mod progress;
pub mod quantize;
pub mod queries;
pub mod query;
#[cfg(feature = "serve")]
pub mod serve;
pub mod simd;
mod spill;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod synth;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod table;
mod timestamp;
mod varint;
pub mod vectors;

pub use builder::{Builder, Loaded, Memory, Order, Scale, merge};
pub use error::{Error, Result};
pub use format::Codec;
pub use index::{Index, Load};
pub use queries::QueryBuilder;
pub use query::{Algorithm, Batch, BatchOptions, Hit, Query, Searcher};
pub use vectors::{Rows, VectorSource};
