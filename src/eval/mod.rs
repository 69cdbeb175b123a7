//! Judgements, runs and measures, equal to trec_eval's.
//!
//! ```text
//! qrels ─┐
//!        ├─► evaluate ─► one score a query and measure, and their means
//! run ───┘
//! ```
//!
//! trec_eval orders a run by score, as 32-bit floats, and equal scores by document id,
//! descending; the rank column means nothing to it. [`Run::read`] does the same with TREC
//! runs, and [`RunWriter`] writes scores that survive it.
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
pub use write::{RunFormat, RunWriter};
