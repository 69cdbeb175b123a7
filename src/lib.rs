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
//! Architecture invariant: every module uses modules above it in the table of
//! ARCHITECTURE.md only, and those that the table names (`tests/engine/architecture.rs` checks it);
//! `format`, `index` and `query` use no code of an encoder or of the command line, though
//! errors may name a flag in what to do; only `cli` prints.
//!
//! # Example
//!
//! Building an index and asking it, in a program of one's own:
//!
//! ```
//! use splindex::builder::{BuildOptions, Collection, build};
//! use splindex::index::Index;
//! use splindex::progress::Silent;
//! use splindex::query::{Algorithm, Query, Searcher};
//!
//! # fn main() -> splindex::Result<()> {
//! # let dir = tempfile::tempdir().expect("a temporary folder");
//! # let path = dir.path().join("whales.spx");
//! let mut collection = Collection::default();
//! collection.push("d1", [("whale", 2.0), ("sea", 0.5)])?; // tokens and weights ≥ 0
//! collection.push("d2", [("whale", 1.2), ("ship", 1.9)])?;
//! build(&collection, None, &BuildOptions::default(), &path, &Silent)?;
//!
//! let index = Index::open(&path)?; // maps the file; any number of threads may share it
//! let mut searcher = Searcher::new(&index); // reused from query to query, one a thread
//! let query = Query::new(&index, 0, [("whale", 100), ("ship", 60)])?; // integer weights
//! let hits = searcher.search(&query, 10, Algorithm::Auto)?;
//! let ids: Vec<&str> = hits.iter().map(|hit| index.names().get(hit.ordinal)).collect();
//! assert_eq!(ids, ["d2", "d1"]);
//! # Ok(())
//! # }
//! ```
//!
//! Texts become queries by [`queries::QueryBuilder`], BM25 and encoders alike.

#[cfg(feature = "tokenize")]
pub mod encode;

pub mod bench;
pub mod bm25;
pub mod builder;
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
pub mod queries;
pub mod query;

#[cfg(feature = "serve")]
pub mod serve;
pub mod simd;
mod spill;
pub mod synth;
pub mod table;
mod varint;
pub mod vectors;

pub use builder::{Builder, Loaded, Memory, Order, Scale, merge};
pub use error::{Error, Result};
pub use format::Codec;
pub use index::{Index, Load};
pub use queries::QueryBuilder;
pub use query::{Algorithm, Batch, BatchOptions, Hit, Query, Searcher};
pub use vectors::{Rows, VectorSource};
