//! Measuring a suite's rows, and making rows of what was measured.

use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::answers::answers;
use super::super::closed::{Case, Times, closed_loop};
use super::super::machine::Machine;
use super::super::run::{Plan, Report};
use super::super::subject::{QuerySide, Subject};
use super::super::summary::Summary;
use super::file::{Row, Suite, default_metrics};
use super::inputs::Inputs;
use super::report::{SuiteReport, SuiteRow, label};
use crate::error::{Error, Result};
use crate::eval::{Measure, Options, Qrels, Run, evaluate};
use crate::index::Index;
use crate::progress::Progress;
use crate::queries::TEXT_SCALE;
use crate::queries::file::QueryFile;
use crate::query::{Algorithm, Approximation, Hit, SimdLevel};

/// Measures every row; `inputs` keeps the queries and judgements that were read.
///
/// # Errors
/// A row whose files cannot be read or do not go together, before anything is measured.
pub fn run(
    suite: &Suite,
    inputs: &mut Inputs,
    cpu: Option<usize>,
    progress: &dyn Progress,
) -> Result<SuiteReport> {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let simd = SimdLevel::detect();
    let machine = Machine::read(simd);
    let measures = measures_within(&suite.metrics, suite.k);
    let indexes =
        suite.rows.iter().map(|row| Index::open(&row.index)).collect::<Result<Vec<_>>>()?;
    let files = suite.rows.iter().map(|row| Files::of(row, inputs)).collect::<Result<Vec<_>>>()?;
    let mut systems = Vec::with_capacity(suite.rows.len());
    for ((row, index), Files { queries, qrels }) in suite.rows.iter().zip(&indexes).zip(files) {
        let how = QuerySide {
            model: row.query_model.as_deref(),
            hybrid_weight: row.hybrid_weight,
            scale: row.query_scale.unwrap_or(TEXT_SCALE),
            runs: suite.runs,
            cpu,
        };
        progress.begin("encoding", how.steps(&queries));
        let subject = Subject::encode(row.name.clone(), index, &queries, &how, progress)?;
        systems.push((subject, row, qrels));
    }
    let cases: Vec<Case<'_>> = systems
        .iter()
        .map(|(subject, row, _)| {
            exact(subject, suite.k, row.algorithm.unwrap_or(suite.algorithm), simd)
        })
        .collect();
    let times = closed_loop(&cases, suite.runs, cpu, progress)?;
    let mut rows = Vec::new();
    for (((subject, row, qrels), case), times) in systems.iter().zip(&cases).zip(times) {
        let measured = SuiteRow::of(subject, case, &times, &measures, qrels.as_deref())?;
        rows.push(SuiteRow { collection: row.collection.clone(), ..measured });
    }
    let measures = measures.iter().map(label).collect();
    Ok(SuiteReport { started, machine, k: suite.k, runs: suite.runs, cpu, measures, rows })
}

/// The paper's table of what a benchmark measured: of each index the first algorithm at the
/// greatest depth, which the table has room for.
///
/// # Errors
/// A plan without an exact case of each index.
pub fn of_bench(
    report: &Report,
    subjects: &[Subject<'_>],
    plan: &Plan,
    qrels: &Qrels,
) -> Result<SuiteReport> {
    let k = plan.ks.iter().copied().max().unwrap_or(1000);
    let algorithm = plan.algorithms.first().copied().unwrap_or(Algorithm::Auto);
    let measures = measures_within(&default_metrics(), k);
    let mut rows = Vec::with_capacity(subjects.len());
    for (at, subject) in subjects.iter().enumerate() {
        let of_table = report.cases.iter().find(|case| {
            (case.index, case.k, case.algorithm) == (at, k, algorithm.name())
                && case.approximate.is_none()
        });
        let measured = of_table.ok_or_else(|| Error::Internal("no case of an index".into()))?;
        let case = exact(subject, k, algorithm, plan.simd);
        let mut row = SuiteRow::of(subject, &case, &measured.times, &measures, Some(qrels))?;
        if plan.algorithms.len() > 1 {
            row.name = format!("{}, {}", row.name, row.algorithm);
        }
        rows.push(row);
    }
    Ok(SuiteReport {
        started: report.started,
        machine: report.machine.clone(),
        k,
        runs: plan.runs,
        cpu: plan.cpu,
        measures: measures.iter().map(label).collect(),
        rows,
    })
}

fn exact<'a>(
    subject: &'a Subject<'_>,
    k: usize,
    algorithm: Algorithm,
    simd: SimdLevel,
) -> Case<'a> {
    let Subject { index, queries, .. } = subject;
    Case { index, queries, k, algorithm, approximation: Approximation::EXACT, simd }
}

/// The measures, each at most at depth `k`: a recall@1000 of ten results is a recall@10, and
/// should be called so.
fn measures_within(list: &[Measure], k: usize) -> Vec<Measure> {
    let mut measures = Vec::new();
    for measure in list.iter().map(|measure| measure.within(k)) {
        if !measures.contains(&measure) {
            measures.push(measure);
        }
    }
    measures
}

/// What a row reads beside its index.
struct Files {
    queries: Rc<QueryFile>,
    qrels: Option<Rc<Qrels>>,
}

impl Files {
    fn of(row: &Row, inputs: &mut Inputs) -> Result<Self> {
        let queries = inputs.queries(&row.queries, row.kind)?;
        let qrels = row.qrels.as_ref().map(|path| inputs.qrels(path, &queries)).transpose()?;
        Ok(Files { queries, qrels })
    }
}

impl SuiteRow {
    /// The row of a case that was timed: its answers and what they are worth.
    fn of(
        subject: &Subject<'_>,
        case: &Case<'_>,
        times: &Times,
        measures: &[Measure],
        qrels: Option<&Qrels>,
    ) -> Result<Self> {
        let Subject { name, index, query_side, ids, queries, encoding, .. } = subject;
        let (lists, names) = (answers(case)?, index.external_ids());
        let ranking =
            |hits: &[Hit]| -> Vec<&str> { hits.iter().map(|hit| names.get(hit.ordinal)).collect() };
        let judged = |qrels| {
            let run = Run::from_rankings(ids.iter().cloned().zip(lists.iter().map(ranking)));
            evaluate(qrels, &run, measures, Options::default())
        };
        let evaluation = qrels.map(judged).transpose()?;
        let first = |hits: &[Hit]| Some(names.get(hits.first()?.ordinal).to_owned());
        let encoded = encoding.iter().any(|&nanos| nanos > 0);
        Ok(SuiteRow {
            name: name.clone(),
            collection: None,
            query_side: (*query_side).to_owned(),
            algorithm: case.algorithm.name(),
            queries: queries.len(),
            quality: evaluation.as_ref().map(|evaluation| evaluation.means.clone()),
            retrieval: Summary::of_nanos(&times.best),
            encoding: encoded.then(|| Summary::of_nanos(encoding)),
            bytes: index.file_len(),
            documents: index.meta().documents,
            content_id: index.content_id(),
            first: lists.iter().map(first).collect(),
            evaluation,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::eval::parse_measures;
    use crate::progress::Silent;

    fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
        std::fs::write(dir.join(name), text).unwrap();
        dir.join(name)
    }

    #[test]
    fn a_suite_file_becomes_the_papers_table() {
        let (dir, _, _) = crate::bench::tests::sample_index();
        let dir = dir.path();
        write(dir, "queries.tsv", "q1\ta:2 b:1\nq2\tc:1\nq3\tabsent:1\n");
        write(dir, "qrels.txt", "q1 0 d3 1\nq2 0 d2 1\nq3 0 d0 1\n");
        let rows = "[[row]]\nname = 'judged'\nindex = 'x.spx'\nqueries = 'queries.tsv'\n\
                    qrels = 'qrels.txt'\nalgorithm = 'wand'\n\
                    [[row]]\nname = 'bare'\nindex = 'x.spx'\nqueries = 'queries.tsv'\n";
        let path = write(
            dir,
            "suite.toml",
            &format!("k = 10\nruns = 2\nmetrics = 'mrr@10,recall@5'\n{rows}"),
        );
        let report =
            run(&Suite::read(&path).unwrap(), &mut Inputs::default(), None, &Silent).unwrap();
        let [judged, bare] = &report.rows[..] else { panic!("two rows") };
        // q1: d3 scores 8, the most. q2: d3 scores 5, d2 1. q3 has no answer and counts.
        assert_eq!(judged.quality.as_deref(), Some(&[0.5, 2.0 / 3.0][..]));
        assert_eq!((judged.algorithm, bare.algorithm), ("wand", Algorithm::Auto.name()));
        assert_eq!((&bare.quality, &bare.encoding), (&None, &None));
        assert_eq!(judged.first, [Some("d3".into()), Some("d3".into()), None]);
        let text = report.table().to_string();
        assert!(text.starts_with("system  MRR@10     R@5  latency (retrieval), µs"), "{text}");
        let out = dir.join("out");
        report.write(&out).unwrap();
        assert!(
            std::fs::read_to_string(out.join("suite.md")).unwrap().contains("| judged | 0.5000 |")
        );
        assert!(
            std::fs::read_to_string(out.join("suite.html"))
                .unwrap()
                .contains("<td class=\"left\">bare</td>")
        );
        assert!(std::fs::read_to_string(out.join("suite.json")).unwrap().contains("\"p99\""));
    }

    #[test]
    fn no_measure_looks_further_than_the_lists_are_long() {
        let labels = |k| {
            let list = parse_measures("mrr@10,recall@1000,recall@10,ndcg@10,map").unwrap();
            measures_within(&list, k).iter().map(label).collect::<Vec<_>>()
        };
        assert_eq!(labels(1000), ["MRR@10", "R@1000", "R@10", "nDCG@10", "MAP"]);
        assert_eq!(labels(10), ["MRR@10", "R@10", "nDCG@10", "MAP"]);
        assert_eq!(labels(3), ["MRR@3", "R@3", "nDCG@3", "MAP"]);
    }

    #[test]
    fn the_table_of_a_benchmark_has_the_latencies_that_it_measured() {
        let (_dir, index, queries) = crate::bench::tests::sample_index();
        let ids = (0..queries.len()).map(|i| format!("q{i}")).collect();
        let encoding = vec![0; queries.len()];
        let (name, query_side) = ("x".into(), "weighted tokens");
        let subject =
            Subject { name, index: &index, query_side, ids, queries, encoding, warning: None };
        let plan = Plan {
            ks: vec![3, 1],
            algorithms: vec![Algorithm::Wand, Algorithm::Exhaustive],
            approximations: vec![Approximation::EXACT],
            simd: SimdLevel::detect(),
            runs: 1,
            cpu: None,
            agreement: false,
            skip_unable: false,
            counters: false,
            rate: None,
            threads: None,
            time: std::time::Duration::from_secs(1),
        };
        let subjects = [subject];
        let report = crate::bench::run(&subjects, &plan, &Silent).unwrap();
        let mut qrels = Qrels::default();
        qrels.insert("q0", "d3", 1);
        qrels.insert("q1", "d2", 1);
        let table = of_bench(&report, &subjects, &plan, &qrels).unwrap();
        let [row] = &table.rows[..] else { panic!("one row") };
        assert_eq!((row.name.as_str(), row.algorithm), ("x, wand", "wand"));
        assert_eq!(row.retrieval.mean, report.cases[0].best.mean);
        assert_eq!(table.measures, ["MRR@3", "R@3", "nDCG@3"]);
        assert_eq!(row.quality.as_ref().unwrap()[0], 0.75);
        let none = of_bench(&report, &subjects, &Plan { ks: vec![2], ..plan }, &qrels);
        assert!(none.is_err());
    }

    #[test]
    fn systems_that_all_collections_have_get_a_mean() {
        let (dir, _, _) = crate::bench::tests::sample_index();
        let dir = dir.path();
        write(dir, "queries.tsv", "q1\ta:2 b:1\nq2\tc:1\n");
        write(dir, "first.txt", "q1 0 d3 1\nq2 0 d3 1\n");
        write(dir, "second.txt", "q1 0 d3 1\nq2 0 d2 1\n");
        let row = |name: &str, collection: &str| {
            format!(
                "[[row]]\nname = '{name}'\ncollection = '{collection}'\nindex = 'x.spx'\n\
                 queries = 'queries.tsv'\nqrels = '{collection}.txt'\n"
            )
        };
        let rows = [row("one", "first"), row("two", "first"), row("one", "second")].concat();
        let path = write(dir, "suite.toml", &format!("runs = 1\nmetrics = 'mrr@10'\n{rows}"));
        let report =
            run(&Suite::read(&path).unwrap(), &mut Inputs::default(), None, &Silent).unwrap();
        let text = report.table().to_string();
        let lines: Vec<Vec<&str>> =
            text.lines().map(|line| line.split("  ").filter(|c| !c.is_empty()).collect()).collect();
        let start = |line: usize| lines[line].iter().map(|cell| cell.trim()).take(3);
        assert!(start(0).eq(["collection", "system", "MRR@10"]), "{text}");
        assert!(start(1).eq(["first", "one", "1.0000"]), "{text}");
        assert!(start(3).eq(["second", "one", "0.7500"]), "{text}");
        assert!(start(4).eq(["mean of 2", "one", "0.8750"]), "{text}");
        assert_eq!(lines.len(), 5, "{text}");
        report.write(dir).unwrap();
        for (name, line) in [
            ("suite.md", "| mean of 2 | one | 0.8750 |"),
            (
                "suite.html",
                "<td class=\"left\">mean of 2</td><td class=\"left\">one</td><td>0.8750</td>",
            ),
        ] {
            assert!(std::fs::read_to_string(dir.join(name)).unwrap().contains(line), "{name}");
        }
    }
}
