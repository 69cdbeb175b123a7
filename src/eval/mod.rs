//! Judgements, runs and measures, equal to those of trec_eval 10.
//!
//! ```text
//! qrels ─┐
//!        ├─► evaluate ─► one score a query and measure, and their means
//! run ───┘
//! ```
//!
//! trec_eval orders a run by score and equal scores by document id, descending; the rank
//! column means nothing to it. Version 10 (June 2026) compares scores as 64-bit floats,
//! versions up to 9 as 32-bit ones, and it passes over lines that begin with `#`.
//! [`Run::read`] follows version 10, and [`RunWriter`] writes scores that all of them order
//! alike.
//!
//! Architecture invariant: it knows ids and scores, no index and no query, so that any
//! engine's run is measured alike.

mod compare;
mod evaluate;
mod measure;
mod qrels;
mod run;
mod write;

pub use compare::{Comparison, compare};
pub use evaluate::{Evaluation, Options, QueryScores, evaluate};
pub use measure::{Measure, parse_measures};
pub use qrels::{Qrels, UNJUDGED};
pub use run::Run;
pub use write::{Falling, RunFormat, RunWriter};
