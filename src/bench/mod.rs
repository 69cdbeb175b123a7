//! Latency and throughput of queries, the space an index takes, and reports of both.
//!
//! Three ways to load an index, each for its own question:
//! - `closed_loop`: one query after the other on one pinned thread, the protocol of
//!   PISA's `queries` tool: how long does a query take?
//! - `open_loop`: queries arrive at a fixed mean rate whether or not the last one is
//!   done: how long does a user wait, queueing included?
//! - `throughput`: every thread always busy: how many queries a second?
//!
//! Architecture invariant: what is timed is a search of a
//! [`Query`](crate::query::Query) that is already resolved; reading files is never timed, and
//! encoding is timed apart, by [`Subject::encode`]

mod answers;
mod closed;
mod machine;
mod open;
mod pin;
pub mod report;
mod run;
mod space;
mod subject;
pub mod suite;
mod summary;
mod throughput;

pub use answers::{Agreement, answers};
pub use closed::{Case, Times, closed_loop};
pub use machine::Machine;
pub use open::{OpenLoop, check_load, open_loop};
pub use pin::{default_cpu, pin};
pub use run::{CaseReport, IndexReport, Plan, Protocol, QueryFacts, Report, run};
pub use space::Space;
pub use subject::{QuerySide, Subject};
pub use summary::Summary;
pub use throughput::{Throughput, throughput};

#[cfg(test)]
mod tests {
    use super::Case;
    use crate::builder::{BuildOptions, Collection, build};
    use crate::index::Index;
    use crate::progress::Silent;
    use crate::query::{Algorithm, Approximation, Query, SimdLevel};

    /// The exhaustive algorithm at a depth of three.
    pub(super) fn sample_case<'a>(index: &'a Index, queries: &'a [Query]) -> Case<'a> {
        let (algorithm, simd) = (Algorithm::Exhaustive, SimdLevel::detect());
        Case { index, queries, k: 3, algorithm, approximation: Approximation::EXACT, simd }
    }

    /// Five documents over four tokens, and four queries, one of them empty.
    pub(super) fn sample_index() -> (tempfile::TempDir, Index, Vec<Query>) {
        let mut collection = Collection::default();
        let documents: [&[(&str, f32)]; 5] = [
            &[("a", 1.0), ("b", 2.0)],
            &[("b", 3.0)],
            &[("a", 2.0), ("c", 1.0)],
            &[("c", 5.0), ("d", 1.0), ("a", 4.0)],
            &[],
        ];
        for (i, document) in documents.into_iter().enumerate() {
            collection.push(&format!("d{i}"), document.iter().copied()).unwrap();
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.spx");
        let options = BuildOptions { skip_data: true, ..Default::default() };
        build(&collection, None, &options, &path, &Silent).unwrap();
        let index = Index::open(&path).unwrap();
        let queries: [&[(&str, u32)]; 4] =
            [&[("a", 2), ("b", 1)], &[("c", 1)], &[], &[("d", 7), ("absent", 1), ("a", 1)]];
        let queries =
            queries.map(|tokens| Query::new(&index, 0, tokens.iter().copied()).unwrap()).to_vec();
        (dir, index, queries)
    }
}
