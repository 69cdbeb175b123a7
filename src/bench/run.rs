//! A whole benchmark: indexes × algorithms × k, by the loops that were asked for.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::answers::{Agreement, answers};
use super::closed::{Case, Times, closed_loop};
use super::machine::Machine;
use super::open::{OpenLoop, open_loop};
use super::space::Space;
use super::subject::Subject;
use super::summary::Summary;
use super::throughput::{Throughput, throughput};
use crate::error::Result;
use crate::format::SectionKind;
use crate::index::Index;
use crate::progress::Progress;
use crate::query::{Algorithm, Approximation, Counters, Query, SimdLevel, with_picks};

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Results a query; every value is a case.
    pub ks: Vec<usize>,
    /// Algorithms; every one is a case.
    pub algorithms: Vec<Algorithm>,
    /// What answers may leave out; every setting is a case.
    pub approximations: Vec<Approximation>,
    /// Best instruction set that the kernels may use.
    pub simd: SimdLevel,
    /// Counted passes over the queries.
    pub runs: usize,
    /// Core of the measuring thread, if it is to be pinned.
    pub cpu: Option<usize>,
    /// Compare every list with the exhaustive one.
    pub agreement: bool,
    /// Leave out, instead of failing, algorithms for which an index lacks a section.
    pub skip_unable: bool,
    /// Count what the algorithms do, in a pass of its own.
    pub counters: bool,
    /// Also an open loop with so many arrivals a second.
    pub rate: Option<f64>,
    /// Also the throughput of so many threads; the open loop uses as many.
    pub threads: Option<usize>,
    /// Length of an open loop and of a throughput measurement.
    pub time: Duration,
}

/// Everything that was measured, and where.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// When the run began: seconds since 1970.
    pub started: u64,
    /// The machine.
    pub machine: Machine,
    /// How it was measured.
    pub protocol: Protocol,
    /// The indexes.
    pub indexes: Vec<IndexReport>,
    /// The cases: index by index, k by k, algorithm by algorithm.
    pub cases: Vec<CaseReport>,
}

/// How a closed loop was run.
#[derive(Debug, Clone, Serialize)]
pub struct Protocol {
    /// Counted passes after one that warms up.
    pub runs: usize,
    /// Core of the measuring thread; `None` if it was not pinned.
    pub cpu: Option<usize>,
}

/// One index of a report.
#[derive(Debug, Clone, Serialize)]
pub struct IndexReport {
    /// Name in this report.
    pub name: String,
    /// Content id.
    pub content_id: String,
    /// Documents.
    pub documents: u64,
    /// Equal where the documents are: their number, length and checksum of their ids.
    #[serde(skip)]
    pub collection: (u64, u64, u32),
    /// Terms.
    pub terms: u64,
    /// Layout of posting lists.
    pub codec: &'static str,
    /// Whether documents were reordered.
    pub reordered: bool,
    /// Bytes and entropy.
    pub space: Space,
    /// What made the queries.
    pub query_side: String,
    /// Text to weighted tokens, µs.
    pub encoding: Summary,
    /// The queries, in file order.
    #[serde(skip)]
    pub queries: Vec<QueryFacts>,
}

/// What is known of a query without running it.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryFacts {
    /// Query id.
    pub id: String,
    /// Terms that the index has.
    pub terms: usize,
    /// Tokens that it does not have.
    pub unknown: u32,
    /// Postings of its terms.
    pub postings: u64,
    /// Text to weighted tokens, ns.
    pub encoding: u64,
}

/// One case of a report.
#[derive(Debug, Clone, Serialize)]
pub struct CaseReport {
    /// Position in [`Report::indexes`].
    pub index: usize,
    /// Name of the algorithm.
    pub algorithm: &'static str,
    /// What answers may leave out; `None` for an exact search.
    pub approximate: Option<Approximation>,
    /// What `auto` ran, and for how many queries; empty for other algorithms.
    pub picked: BTreeMap<&'static str, usize>,
    /// Results a query.
    pub k: usize,
    /// Over queries, of each one's best run, µs.
    pub best: Summary,
    /// Over queries, of each one's mean over runs, µs.
    pub mean: Summary,
    /// Agreement with the exhaustive lists.
    pub agreement: Option<Agreement>,
    /// Mean work of a query, by [`Counters::NAMES`].
    pub work: Option<BTreeMap<&'static str, f64>>,
    /// The open loop.
    pub open_loop: Option<OpenLoop>,
    /// All threads busy.
    pub throughput: Option<Throughput>,
    /// Times by query.
    #[serde(skip)]
    pub times: Times,
}

impl CaseReport {
    /// The algorithm, what `auto` picked, and whether answers are approximate.
    pub fn described(&self) -> String {
        let name = with_picks(self.algorithm, &self.picked);
        match &self.approximate {
            None => name,
            Some(approximation) => format!("{name}, approximate: {approximation}"),
        }
    }
}

/// Measures every subject × k × algorithm.
///
/// # Errors
/// A damaged index, or a plan that asks for nothing or for the impossible.
pub fn run(subjects: &[Subject<'_>], plan: &Plan, progress: &dyn Progress) -> Result<Report> {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let machine = Machine::read(plan.simd);
    let indexes = subjects.iter().map(index_report).collect::<Result<Vec<_>>>()?;
    let mut cases = Vec::new();
    for (at, subject) in subjects.iter().enumerate() {
        for &k in &plan.ks {
            for &algorithm in &plan.algorithms {
                let Subject { index, queries, .. } = subject;
                if plan.skip_unable && algorithm.check(index).is_err() {
                    continue;
                }
                let case = Case {
                    index,
                    queries,
                    k,
                    algorithm,
                    approximation: Approximation::EXACT,
                    simd: plan.simd,
                };
                let with = |&approximation| (at, Case { approximation, ..case });
                cases.extend(plan.approximations.iter().map(with));
            }
        }
    }
    let bare: Vec<Case<'_>> = cases.iter().map(|(_, case)| *case).collect();
    let agreements = agreements(&bare, plan, progress)?;
    let times = closed_loop(&bare, plan.runs, plan.cpu, progress)?;
    let mut reports = Vec::with_capacity(cases.len());
    progress.begin(
        "loading",
        if plan.rate.or(plan.threads.map(|_| 0.0)).is_some() { cases.len() as u64 } else { 0 },
    );
    for (((at, case), times), agreement) in cases.iter().zip(times).zip(agreements) {
        let open = |rate| open_loop(case, rate, plan.threads.unwrap_or(1), plan.time);
        reports.push(CaseReport {
            index: *at,
            algorithm: case.algorithm.name(),
            approximate: Some(case.approximation).filter(|a| !a.is_exact()),
            picked: case.algorithm.picked(
                case.index,
                case.queries.iter(),
                case.k,
                &case.approximation,
            ),
            k: case.k,
            best: Summary::of_nanos(&times.best),
            mean: Summary::of_nanos(&times.mean),
            agreement,
            work: plan.counters.then(|| work(case)).transpose()?,
            open_loop: plan.rate.map(open).transpose()?,
            throughput: plan.threads.map(|n| throughput(case, n, plan.time)).transpose()?,
            times,
        });
        progress.advance(1);
    }
    let protocol = Protocol { runs: plan.runs, cpu: plan.cpu };
    Ok(Report { started, machine, protocol, indexes, cases: reports })
}

/// Mean counters of a case's queries.
fn work(case: &Case<'_>) -> Result<BTreeMap<&'static str, f64>> {
    let (mut searcher, mut sum) = (case.searcher(), Counters::default());
    for query in case.queries {
        sum.add(&searcher.search_counted(query, case.k, case.algorithm)?.1);
    }
    let queries = case.queries.len().max(1) as f64;
    Ok(Counters::NAMES.into_iter().zip(sum.values().map(|n| n as f64 / queries)).collect())
}

/// Agreement of every case with the exhaustive lists of its index and k, if wanted.
fn agreements(
    cases: &[Case<'_>],
    plan: &Plan,
    progress: &dyn Progress,
) -> Result<Vec<Option<Agreement>>> {
    if !plan.agreement {
        return Ok(vec![None; cases.len()]);
    }
    progress.begin("comparing", cases.len() as u64);
    let mut agreements = Vec::with_capacity(cases.len());
    // Cases of one index and k follow each other.
    for group in cases.chunk_by(|a, b| std::ptr::eq(a.index, b.index) && a.k == b.k) {
        let (algorithm, approximation) = (Algorithm::Exhaustive, Approximation::EXACT);
        let exact = answers(&Case { algorithm, approximation, ..group[0] })?;
        for case in group {
            let found = answers(case)?;
            agreements.push(Some(Agreement::of(&exact, &found)));
            progress.advance(1);
        }
    }
    Ok(agreements)
}

fn index_report(subject: &Subject<'_>) -> Result<IndexReport> {
    let Subject { name, index, query_side, ids, queries, encoding, .. } = subject;
    let facts = |((id, query), &encoding): ((&String, &Query), &u64)| QueryFacts {
        id: id.clone(),
        terms: query.terms.len(),
        unknown: query.unknown,
        postings: query.terms.iter().map(|t| u64::from(index.term(t.term).df.get())).sum(),
        encoding,
    };
    let meta = index.meta();
    Ok(IndexReport {
        name: name.clone(),
        content_id: index.content_id(),
        documents: meta.documents,
        collection: collection(index),
        terms: meta.terms,
        codec: meta.codec.name(),
        reordered: meta.reordered,
        space: Space::of(index)?,
        query_side: (*query_side).to_owned(),
        encoding: Summary::of_nanos(encoding),
        queries: ids.iter().zip(queries).zip(encoding).map(facts).collect(),
    })
}

/// What [`IndexReport::collection`] says; ids are stored in input order.
fn collection(index: &Index) -> (u64, u64, u32) {
    let names = index.sections().find(|(kind, _)| *kind == SectionKind::Names);
    let (len, crc) = names.map_or((0, 0), |(_, section)| (section.len.get(), section.crc.get()));
    (index.meta().documents, len, crc)
}

#[cfg(test)]
pub(super) use tests::sample_report;

#[cfg(test)]
mod tests {
    use super::super::tests::sample_index;
    use super::*;
    use crate::progress::Silent;

    /// A small report for the tests of its renderings.
    pub(in crate::bench) fn sample_report() -> Report {
        let (_dir, index, queries) = sample_index();
        let subject = |name: &str| Subject {
            name: name.into(),
            index: &index,
            query_side: "weighted tokens",
            ids: (0..queries.len()).map(|i| format!("q,{i}")).collect(),
            queries: queries.clone(),
            encoding: vec![0; queries.len()],
            warning: None,
        };
        let plan = Plan {
            ks: vec![1, 3],
            algorithms: vec![Algorithm::Auto, Algorithm::Wand],
            approximations: vec![Approximation::EXACT],
            simd: SimdLevel::detect(),
            runs: 2,
            cpu: None,
            agreement: true,
            skip_unable: false,
            counters: true,
            rate: Some(500.0),
            threads: Some(1),
            time: Duration::from_millis(20),
        };
        run(&[subject("one"), subject("<two>")], &plan, &Silent).unwrap()
    }

    #[test]
    fn every_index_k_and_algorithm_is_a_case_that_agrees_with_the_oracle() {
        let report = sample_report();
        let cases: Vec<_> = report.cases.iter().map(|c| (c.index, c.k, c.algorithm)).collect();
        assert_eq!(cases.len(), 8);
        assert_eq!(&cases[..3], [(0, 1, "auto"), (0, 1, "wand"), (0, 3, "auto")]);
        for case in &report.cases {
            let agreement = case.agreement.unwrap();
            assert_eq!((agreement.identical, agreement.recall), (4, 1.0));
            assert!(case.best.mean <= case.mean.mean + 1e-3);
            // Five postings stand in the lists of four queries, one of them empty.
            assert!(case.work.as_ref().unwrap()["postings"] > 0.5);
            assert!(case.open_loop.is_some() && case.throughput.is_some());
        }
        assert_eq!(report.cases[0].picked.values().sum::<usize>(), 4);
        assert_eq!(report.cases[1].described(), "wand");
        let facts = &report.indexes[0].queries[3];
        assert_eq!((facts.terms, facts.unknown, facts.postings), (2, 1, 4));
    }
}
