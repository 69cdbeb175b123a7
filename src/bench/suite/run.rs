//! Measuring a suite's rows.

use std::rc::Rc;

use super::super::answers::answers;
use super::super::closed::{Case, closed_loop, on_core};
use super::super::machine::Machine;
use super::super::summary::Summary;
use super::file::{Row, Suite};
use super::inputs::Inputs;
use super::report::{SuiteReport, SuiteRow, label};
use crate::error::Result;
use crate::eval::{Measure, Options, Qrels, Run, evaluate, parse_measures};
use crate::index::Index;
use crate::progress::Progress;
use crate::queries::file::QueryFile;
use crate::queries::{Prepared, QueryBuilder, TEXT_SCALE};
use crate::query::{Algorithm, Approximation, Batch, Hit, Query, SimdLevel};

/// Times of encoding and queries ready to run.
#[derive(Debug)]
pub struct EncodedQueries {
    /// The queries.
    pub prepared: Vec<Prepared>,
    /// Best time from text to weighted tokens of each, ns; 0 where there was no text.
    pub encoding: Vec<u64>,
}

/// Prepares all queries of a file on one thread, each text `runs` times after a pass that
/// warms up, and keeps its best time.
pub fn encode_all(
    side: &QueryBuilder,
    file: &QueryFile,
    scale: f64,
    runs: usize,
    cpu: Option<usize>,
) -> Result<EncodedQueries> {
    on_core(cpu, || {
        let prepared = side.prepare(file, scale)?;
        if prepared.iter().all(|p| p.encoding.is_zero()) {
            let encoding = vec![0; prepared.len()];
            return Ok(EncodedQueries { prepared, encoding });
        }
        let mut best = vec![u64::MAX; prepared.len()];
        for _ in 0..runs {
            for (best, again) in best.iter_mut().zip(side.prepare(file, scale)?) {
                *best = (*best).min(again.encoding.as_nanos() as u64);
            }
        }
        Ok(EncodedQueries { prepared, encoding: best })
    })
}

/// Measures every row; `inputs` are the queries and judgements that were read already.
///
/// # Errors
/// A row whose files cannot be read or do not go together, before anything is measured.
pub fn run(
    suite: &Suite,
    inputs: &mut Inputs,
    cpu: Option<usize>,
    progress: &dyn Progress,
) -> Result<SuiteReport> {
    let started = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let simd = SimdLevel::detect();
    let machine = Machine::read(simd);
    let measures = measures_within(&suite.metrics, suite.k)?;
    let indexes =
        suite.rows.iter().map(|row| Index::open(&row.index)).collect::<Result<Vec<_>>>()?;
    let files = suite.rows.iter().map(|row| Files::of(row, inputs)).collect::<Result<Vec<_>>>()?;
    progress.begin("encoding", suite.rows.len() as u64);
    let mut ready = Vec::new();
    for ((row, index), files) in suite.rows.iter().zip(&indexes).zip(files) {
        ready.push(Ready::of(suite, row, index, files, cpu)?);
        progress.advance(1);
    }
    let cases: Vec<Case<'_>> = ready
        .iter()
        .map(|r| {
            let Ready { index, queries, algorithm, .. } = r;
            let (k, approximation) = (suite.k, Approximation::EXACT);
            Case { index, queries, k, algorithm: *algorithm, approximation, simd }
        })
        .collect();
    let times = closed_loop(&cases, suite.runs, cpu, progress)?;
    let mut rows = Vec::new();
    for (((row, ready), case), times) in suite.rows.iter().zip(&ready).zip(&cases).zip(times) {
        let lists = answers(case)?;
        rows.push(ready.report(row, &measures, &lists, Summary::of_nanos(&times.best))?);
    }
    let measures = measures.iter().map(label).collect();
    Ok(SuiteReport { started, machine, k: suite.k, runs: suite.runs, cpu, measures, rows })
}

/// The measures of a list, each at most at depth `k`: a recall@1000 of ten results is a
/// recall@10, and should be called so.
fn measures_within(list: &str, k: usize) -> Result<Vec<Measure>> {
    let mut measures = Vec::new();
    for measure in parse_measures(list)? {
        let measure = measure.within(k);
        if !measures.contains(&measure) {
            measures.push(measure);
        }
    }
    Ok(measures)
}

/// What a row reads beside its index.
struct Files {
    queries: Rc<QueryFile>,
    qrels: Option<Rc<Qrels>>,
}

impl Files {
    fn of(row: &Row, inputs: &mut Inputs) -> Result<Self> {
        let queries = inputs.queries(&row.queries, row.kind.parse()?)?;
        let qrels = row.qrels.as_ref().map(|path| inputs.qrels(path, &queries)).transpose()?;
        Ok(Files { queries, qrels })
    }
}

/// A row with its index open and its queries encoded.
struct Ready<'a> {
    index: &'a Index,
    algorithm: Algorithm,
    query_side: &'static str,
    ids: Vec<String>,
    queries: Vec<Query>,
    encoding: Vec<u64>,
    qrels: Option<Rc<Qrels>>,
}

impl<'a> Ready<'a> {
    fn of(
        suite: &Suite,
        row: &Row,
        index: &'a Index,
        Files { queries: file, qrels }: Files,
        cpu: Option<usize>,
    ) -> Result<Self> {
        let algorithm = row.algorithm.as_ref().unwrap_or(&suite.algorithm).parse()?;
        let side = QueryBuilder::load(index, row.query_model.as_deref(), row.hybrid_weight)?;
        let scale = row.query_scale.unwrap_or(TEXT_SCALE);
        let EncodedQueries { prepared, encoding } =
            encode_all(&side, &file, scale, suite.runs, cpu)?;
        let (ids, queries) = prepared.into_iter().map(|p| (p.id, p.query)).unzip();
        let query_side = side.describe(&file);
        Ok(Ready { index, algorithm, query_side, ids, queries, encoding, qrels })
    }

    fn report(
        &self,
        row: &Row,
        measures: &[Measure],
        lists: &Batch,
        retrieval: Summary,
    ) -> Result<SuiteRow> {
        let names = self.index.external_ids();
        let ranking =
            |hits: &[Hit]| -> Vec<&str> { hits.iter().map(|hit| names.get(hit.ordinal)).collect() };
        let evaluation = match &self.qrels {
            None => None,
            Some(qrels) => {
                let rankings = self.ids.iter().cloned().zip(lists.iter().map(ranking));
                let run = Run::from_rankings(rankings);
                Some(evaluate(qrels, &run, measures, Options::default())?)
            }
        };
        let first = |hits: &[Hit]| Some(names.get(hits.first()?.ordinal).to_owned());
        let encoded = self.encoding.iter().any(|&nanos| nanos > 0);
        Ok(SuiteRow {
            name: row.name.clone(),
            collection: row.collection.clone(),
            query_side: self.query_side.into(),
            algorithm: self.algorithm.name(),
            queries: self.queries.len(),
            quality: evaluation.as_ref().map(|evaluation| evaluation.means.clone()),
            retrieval,
            encoding: encoded.then(|| Summary::of_nanos(&self.encoding)),
            bytes: self.index.file_len(),
            documents: self.index.meta().documents,
            content_id: self.index.content_id(),
            first: lists.iter().map(first).collect(),
            evaluation,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
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
            let measures = measures_within("mrr@10,recall@1000,recall@10,ndcg@10,map", k).unwrap();
            measures.iter().map(label).collect::<Vec<_>>()
        };
        assert_eq!(labels(1000), ["MRR@10", "R@1000", "R@10", "nDCG@10", "MAP"]);
        assert_eq!(labels(10), ["MRR@10", "R@10", "nDCG@10", "MAP"]);
        assert_eq!(labels(3), ["MRR@3", "R@3", "nDCG@3", "MAP"]);
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
