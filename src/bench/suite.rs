//! The suite: rows of {name, index, queries, query model, judgements}, and from them the
//! paper's table of quality, latencies and size.
//!
//! A row is any system that has an index file: BM25, a learned index with a query model,
//! with a table of query weights, or with weighted queries. `demo` prints the same table.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::answers::answers;
use super::closed::{Case, closed_loop, on_core};
use super::machine::Machine;
use super::report::publish;
use super::summary::Summary;
use crate::error::{Error, Place, Result};
use crate::eval::{Measure, Options, Qrels, Run, evaluate, parse_measures};
use crate::format::FieldKind;
use crate::index::Index;
use crate::page;
use crate::progress::Progress;
use crate::query::file::{QueryFile, QueryKind, read_queries};
use crate::query::{Algorithm, Approximation, Query, SimdLevel};
use crate::retrieve::{Prepared, QuerySide, TEXT_SCALE};
use crate::table::{Table, escape, group, micros};

/// What to measure, as the file gives it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Results a query.
    #[serde(default = "default_k")]
    pub k: usize,
    /// Counted passes.
    #[serde(default = "default_runs")]
    pub runs: usize,
    /// Algorithm of rows that name none.
    #[serde(default = "default_algorithm")]
    pub algorithm: String,
    /// Measures, as `eval --metrics` takes them.
    #[serde(default = "default_metrics")]
    pub metrics: String,
    /// The systems, in the order of the table.
    #[serde(rename = "row")]
    pub rows: Vec<Row>,
}

/// One system on one collection. Relative paths are relative to the suite file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// First cell of the row.
    pub name: String,
    /// Index file.
    pub index: PathBuf,
    /// Query file: texts, weighted tokens, or repeated tokens.
    pub queries: PathBuf,
    /// How to read it: auto, text, weighted or repeated.
    #[serde(default = "default_kind")]
    pub kind: String,
    /// Directory that turns query texts into weighted tokens; BM25 needs none.
    pub query_model: Option<PathBuf>,
    /// Weight of the learned part in a hybrid index.
    pub hybrid_weight: Option<f64>,
    /// Judgements; without them the row has no quality.
    pub qrels: Option<PathBuf>,
    /// Algorithm of this row.
    pub algorithm: Option<String>,
}

fn default_k() -> usize {
    1000
}

fn default_runs() -> usize {
    5
}

fn default_algorithm() -> String {
    Algorithm::Auto.name().into()
}

fn default_metrics() -> String {
    "mrr@10,recall@1000,ndcg@10".into()
}

fn default_kind() -> String {
    QueryKind::Auto.to_string()
}

impl Suite {
    /// A suite of `rows` with everything else at its default.
    pub fn of_rows(rows: Vec<Row>) -> Self {
        Suite {
            k: default_k(),
            runs: default_runs(),
            algorithm: default_algorithm(),
            metrics: default_metrics(),
            rows,
        }
    }

    /// Reads a TOML file:
    ///
    /// ```toml
    /// k = 1000                 # these four may be left out
    /// runs = 5
    /// algorithm = "windowed"
    /// metrics = "mrr@10,recall@1000,ndcg@10"
    ///
    /// [[row]]
    /// name = "SPLADE"
    /// index = "splade.spx"
    /// queries = "queries.tsv"
    /// query_model = "model"    # of text queries on a learned or hybrid index
    /// hybrid_weight = 0.5      # of the learned part of a hybrid index
    /// qrels = "qrels.txt"
    /// ```
    ///
    /// # Errors
    /// With the line: what is no TOML, an unknown key, a missing one. A suite without
    /// rows.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
        let mut suite: Suite = toml::from_str(&text).map_err(|e| {
            let line = e.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            Error::data(path, Place::Line(line as u64), e.message())
                .hint("`splindex-query bench --help` shows a suite file")
        })?;
        if suite.rows.is_empty() {
            return Err(Error::data(
                path,
                Place::File,
                "expected at least one [[row]], found none",
            ));
        }
        let base = path.parent().unwrap_or(Path::new(""));
        for row in &mut suite.rows {
            let given = [row.query_model.as_mut(), row.qrels.as_mut()].into_iter().flatten();
            for path in [&mut row.index, &mut row.queries].into_iter().chain(given) {
                *path = base.join(&*path);
            }
        }
        Ok(suite)
    }
}

/// The table of a suite, and where it was measured.
#[derive(Debug, Clone, Serialize)]
pub struct SuiteReport {
    /// When the run began: seconds since 1970.
    pub started: u64,
    /// The machine.
    pub machine: Machine,
    /// Results a query.
    pub k: usize,
    /// Counted passes after one that warms up.
    pub runs: usize,
    /// Core of the measuring thread.
    pub cpu: Option<usize>,
    /// Names of the measures.
    pub measures: Vec<String>,
    /// The systems.
    pub rows: Vec<SuiteRow>,
}

/// One system's figures.
#[derive(Debug, Clone, Serialize)]
pub struct SuiteRow {
    /// Name from the suite.
    pub name: String,
    /// What made the queries.
    pub query_side: String,
    /// Algorithm.
    pub algorithm: &'static str,
    /// Queries asked.
    pub queries: usize,
    /// Mean of each measure; `None` without judgements.
    pub quality: Option<Vec<f64>>,
    /// Weighted tokens to answers, µs.
    pub retrieval: Summary,
    /// Text to weighted tokens, µs; `None` where queries came as weighted tokens.
    pub encoding: Option<Summary>,
    /// Bytes of the index file.
    pub bytes: u64,
    /// Documents of the index.
    pub documents: u64,
    /// Content id of the index.
    pub content_id: String,
    /// Id of the first document of each query, in file order: an example for people.
    #[serde(skip)]
    pub first: Vec<Option<String>>,
}

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
    side: &QuerySide<'_>,
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

/// The query side of an index: a BM25 index analyses texts itself, another takes the
/// model, if there is one.
pub fn query_side<'a>(index: &'a Index, model: Option<&Path>) -> Result<QuerySide<'a>> {
    let bm25 = matches!(index.meta().fields[0].kind, FieldKind::Bm25 { .. });
    match model.filter(|_| !bm25) {
        None => QuerySide::of_index(index),
        #[cfg(feature = "tokenize")]
        Some(dir) => {
            use crate::encode::{EncoderOptions, QueryEncoder};
            // One worker: the time of a query is that of one thread.
            #[cfg(feature = "encode")]
            let options = EncoderOptions { threads: 1, ..EncoderOptions::default() };
            #[cfg(not(feature = "encode"))]
            let options = EncoderOptions::default();
            QuerySide::with_encoder(index, QueryEncoder::load(dir, &options)?)
        }
        #[cfg(not(feature = "tokenize"))]
        Some(_) => Err(crate::retrieve::without_models()),
    }
}

/// Measures every row.
///
/// # Errors
/// A row whose files cannot be read or do not go together, named by its row.
pub fn run(suite: &Suite, cpu: Option<usize>, progress: &dyn Progress) -> Result<SuiteReport> {
    let started = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let simd = SimdLevel::detect();
    let machine = Machine::read(simd);
    let measures = parse_measures(&suite.metrics)?;
    let indexes =
        suite.rows.iter().map(|row| Index::open(&row.index)).collect::<Result<Vec<_>>>()?;
    progress.begin("encoding", suite.rows.len() as u64);
    let mut ready = Vec::new();
    for (row, index) in suite.rows.iter().zip(&indexes) {
        ready.push(Ready::of(suite, row, index, cpu)?);
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

/// A row with its index open and its queries encoded.
struct Ready<'a> {
    index: &'a Index,
    algorithm: Algorithm,
    query_side: &'static str,
    ids: Vec<String>,
    queries: Vec<Query>,
    encoding: Vec<u64>,
}

impl<'a> Ready<'a> {
    fn of(suite: &Suite, row: &Row, index: &'a Index, cpu: Option<usize>) -> Result<Self> {
        let algorithm = row.algorithm.as_ref().unwrap_or(&suite.algorithm).parse()?;
        let file = read_queries(&row.queries, row.kind.parse()?)?;
        let mut side = query_side(index, row.query_model.as_deref())?;
        if let Some(h) = row.hybrid_weight {
            side = side.weighing(h)?;
        }
        let EncodedQueries { prepared, encoding } =
            encode_all(&side, &file, TEXT_SCALE, suite.runs, cpu)?;
        let (ids, queries) = prepared.into_iter().map(|p| (p.id, p.query)).unzip();
        Ok(Ready { index, algorithm, query_side: side.describe(&file), ids, queries, encoding })
    }

    fn report(
        &self,
        row: &Row,
        measures: &[Measure],
        lists: &[Vec<crate::query::Hit>],
        retrieval: Summary,
    ) -> Result<SuiteRow> {
        let names = self.index.names();
        let ranking = |hits: &Vec<crate::query::Hit>| -> Vec<&str> {
            hits.iter().map(|hit| names.get(hit.ordinal)).collect()
        };
        let quality = match &row.qrels {
            None => None,
            Some(path) => {
                let rankings = self.ids.iter().cloned().zip(lists.iter().map(ranking));
                let run = Run::from_rankings(rankings);
                let qrels = Qrels::read(path)?;
                Some(evaluate(&qrels, &run, measures, Options::default())?.means)
            }
        };
        let first =
            |hits: &Vec<crate::query::Hit>| Some(names.get(hits.first()?.ordinal).to_owned());
        let encoded = self.encoding.iter().any(|&nanos| nanos > 0);
        Ok(SuiteRow {
            name: row.name.clone(),
            query_side: self.query_side.into(),
            algorithm: self.algorithm.name(),
            queries: self.queries.len(),
            quality,
            retrieval,
            encoding: encoded.then(|| Summary::of_nanos(&self.encoding)),
            bytes: self.index.file_len(),
            documents: self.index.meta().documents,
            content_id: self.index.content_id(),
            first: lists.iter().map(first).collect(),
        })
    }
}

/// A measure as papers write it: MRR@10, R@1000, nDCG@10.
fn label(measure: &Measure) -> String {
    let name = measure.to_string();
    let (kind, cut) = name.find('@').map_or((&*name, ""), |at| name.split_at(at));
    let kind = match measure {
        Measure::Recall(_) => "R".to_owned(),
        Measure::Ndcg(_) => "nDCG".to_owned(),
        _ => kind.to_uppercase(),
    };
    kind + cut
}

impl SuiteReport {
    /// The paper's table; latencies are means in µs.
    pub fn table(&self) -> Table {
        let mut header = vec!["system".to_owned()];
        header.extend(self.measures.iter().cloned());
        header.extend(
            ["latency (retrieval), µs", "latency (query encoding), µs", "index bytes"]
                .map(str::to_owned),
        );
        let mut table = Table::new(header, 1);
        for row in &self.rows {
            let mut cells = vec![row.name.clone()];
            match &row.quality {
                Some(means) => cells.extend(means.iter().map(|mean| format!("{mean:.4}"))),
                None => cells.extend(self.measures.iter().map(|_| "–".to_owned())),
            }
            cells.push(micros(row.retrieval.mean));
            cells.push(row.encoding.map_or("–".into(), |encoding| micros(encoding.mean)));
            cells.push(group(row.bytes));
            table.row(cells);
        }
        table
    }

    /// How and where it was measured, one line.
    pub fn protocol(&self) -> String {
        let core = self.cpu.map_or("not pinned".to_owned(), |cpu| format!("pinned to core {cpu}"));
        let machine = &self.machine;
        let cpu = machine.cpu.as_deref().unwrap_or("unknown processor");
        format!(
            "k = {}; mean over queries of the best of {} after one to warm up, one thread \
             {core}; {cpu}, {}; splindex {}; {}",
            self.k,
            super::report::passes(self.runs),
            machine.simd,
            machine.splindex,
            super::report::utc(self.started)
        )
    }

    /// The table and how it was measured, in Markdown.
    pub fn markdown(&self) -> String {
        format!("{}\n{}.\n", self.table().to_markdown(), self.protocol())
    }

    /// Writes `suite.json`, `suite.md` and `suite.html` into `dir`, which is made if it is
    /// not there.
    pub fn write(&self, dir: &Path) -> Result<()> {
        std::fs::create_dir_all(dir).map_err(|e| Error::io("create", dir, e))?;
        let json = serde_json::to_string_pretty(self)
            .map_err(|e| Error::Internal(format!("the report does not encode: {e}")))?;
        publish(dir, "suite.json", &(json + "\n"))?;
        publish(dir, "suite.md", &self.markdown())?;
        let body = format!(
            "<h1>splindex: quality, latency, size</h1>\n<p>{}.</p>\n{}",
            escape(&self.protocol()),
            page::wide(&self.table())
        );
        publish(dir, "suite.html", &page::document("splindex: quality, latency, size", &body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
        std::fs::write(dir.join(name), text).unwrap();
        dir.join(name)
    }

    #[test]
    fn a_suite_file_becomes_the_papers_table() {
        let (dir, _, _) = super::super::tests::sample_index();
        let dir = dir.path();
        write(dir, "queries.tsv", "q1\ta:2 b:1\nq2\tc:1\nq3\tabsent:1\n");
        write(dir, "qrels.txt", "q1 0 d3 1\nq2 0 d2 1\nq3 0 d0 1\n");
        let rows = "[[row]]\nname = 'judged'\nindex = 'x.spx'\nqueries = 'queries.tsv'\n\
                    qrels = 'qrels.txt'\nalgorithm = 'wand'\n\
                    [[row]]\nname = 'bare'\nindex = 'x.spx'\nqueries = 'queries.tsv'\n";
        let path =
            write(dir, "suite.toml", &format!("k = 10\nruns = 2\nmetrics = 'mrr@10,r@5'\n{rows}"));
        let report = run(&Suite::read(&path).unwrap(), None, &Silent).unwrap();
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
    fn faults_of_a_suite_name_the_line() {
        let dir = tempfile::tempdir().unwrap();
        let fails =
            |text: &str| Suite::read(&write(dir.path(), "s.toml", text)).unwrap_err().to_string();
        let row = "[[row]]\nname = 'x'\nindex = 'i'\nqueries = 'q'\n";
        assert!(fails("k = 10\n[[row]\n").contains("s.toml:2: "));
        let e = fails(&format!("{row}colour = 'red'\n"));
        assert!(e.contains("s.toml:5: unknown field `colour`"), "{e}");
        assert!(fails("[[row]]\nname = 'x'\n").contains("missing field `index`"));
        assert!(fails("row = []\n").contains("expected at least one [[row]]"));
        let missing = Suite::read(&dir.path().join("absent.toml")).unwrap_err();
        assert_eq!(missing.exit_code(), 2);
    }

    #[test]
    fn measures_are_labelled_as_in_papers() {
        let measures = parse_measures("mrr@10,recall@1000,ndcg@10,map,p@5").unwrap();
        let labels: Vec<String> = measures.iter().map(label).collect();
        assert_eq!(labels, ["MRR@10", "R@1000", "nDCG@10", "MAP", "P@5"]);
    }
}
