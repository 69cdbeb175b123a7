//! The suite: rows of {name, index, queries, query model, judgements}, and from them the
//! paper's table of quality, latencies and size.
//!
//! A row is any system that has an index file: BM25, a learned index with a query model,
//! with a table of query weights, or with weighted queries. `demo` prints the same table.

mod file;
mod inputs;
mod report;
mod run;

pub use file::{Row, Suite};
pub use inputs::{Inputs, judgements};
pub use report::{SuiteReport, SuiteRow};
pub use run::{of_bench, run};
