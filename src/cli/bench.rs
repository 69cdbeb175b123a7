//! `splindex-query bench`: latency, throughput, space, and the paper's table.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::approximate::ApproximateArgs;
use super::common::unique;
use super::progress::Bars;
use super::{Common, columns, model_not_needed, out};
use crate::bench::suite::{self, Inputs, Suite, SuiteReport};
use crate::bench::{
    Plan, QuerySide, Report, Subject, check_load, default_cpu, report, run as measure,
};
use crate::error::{Error, Result};
use crate::index::{Index, Load};
use crate::progress::Progress;
use crate::queries::file::{QueryKind, Sidecars, read_queries_with};
use crate::queries::{QueryBuilder, TEXT_SCALE};
use crate::query::{Algorithm, SimdLevel};

/// Measure queries: latency, throughput, space; or a suite's quality, latency and size
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  splindex-query bench fast.spx small.spx --queries queries.tsv --k 10,1000 --algorithm all
  splindex-query bench passages.spx --queries questions.tsv --query-model data/tiny --report out
  splindex-query bench passages.spx --queries queries.tsv --rate 2000 --threads 2
  splindex-query bench --suite suite.toml --report out

A suite file:
  k = 1000                          # k, runs, algorithm and metrics may be left out
  metrics = \"mrr@10,recall@1000,ndcg@10\"
  [[row]]
  name = \"SPLADE\"
  collection = \"scifact\"           # where there are several; means follow
  index = \"splade.spx\"              # paths are relative to the suite file
  queries = \"questions.tsv\"
  query_model = \"model\"             # of text queries on a learned or hybrid index
  hybrid_weight = 0.5               # of the learned part of a hybrid index
  query_scale = 100                 # of query weights that are not all integers
  qrels = \"qrels.txt\"

Latency is a closed loop on one pinned thread: a pass to warm up, then --runs passes, of each \
query its best; --rate adds an open loop without coordinated omission, --threads throughput. \
No measure looks further than k results: recall@1000 with k = 10 is measured, and called, R@10.")]
pub struct BenchArgs {
    /// Index files
    #[arg(value_name = "INDEX.spx", required_unless_present = "suite")]
    indexes: Vec<PathBuf>,
    /// Texts, token:weight lists, repeated tokens, JSON Lines, or a matrix (.npz, .csr)
    #[arg(long, value_name = "FILE", required_unless_present = "suite", help_heading = "Queries")]
    queries: Option<PathBuf>,
    /// Ids of the rows of a matrix of queries, one a line [default: NAME-ids.txt beside it, else
    /// row numbers]
    #[arg(long, value_name = "FILE", requires = "queries", help_heading = "Queries")]
    ids: Option<PathBuf>,
    /// Tokens of its columns, one a line [default: NAME-tokens.txt, else column numbers]
    #[arg(long, value_name = "FILE", requires = "queries", help_heading = "Queries")]
    vocabulary: Option<PathBuf>,
    /// How to read the queries: auto, text, weighted or repeated
    #[arg(long, value_name = "KIND", default_value = "auto", help_heading = "Queries")]
    query_kind: QueryKind,
    /// Factor of query weights that are not all integers
    #[arg(long, value_name = "S", default_value_t = TEXT_SCALE, help_heading = "Queries")]
    query_scale: f64,
    /// Model directory, or hub id (naver/splade-v3), that turns query texts into weighted tokens: a
    /// model or a table of token weights; BM25 indexes need none
    #[arg(long, value_name = "DIR|HUB_ID", help_heading = "Queries")]
    query_model: Option<PathBuf>,
    /// Weight h of the learned part in hybrid indexes: BM25 + h · learned [default: 0.5]
    #[arg(long, value_name = "H", help_heading = "Queries")]
    hybrid_weight: Option<f64>,
    /// Results a query, several separated by commas
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "10,1000",
        help_heading = "Search"
    )]
    k: Vec<usize>,
    /// Algorithms separated by commas (auto, exhaustive, wand, block_max_wand, maxscore,
    /// block_max_maxscore, windowed, block_pruned), or all that the index has the sections for
    /// (but auto, which picks one of them)
    #[arg(long, value_name = "all|LIST", default_value = "auto", help_heading = "Search")]
    algorithm: String,
    /// Counted passes over the queries
    #[arg(long, value_name = "N", default_value_t = 5, help_heading = "Search")]
    runs: usize,
    /// Core of the measuring thread, or none [default: the last]
    #[arg(long, value_name = "N|none", help_heading = "Search")]
    cpu: Option<String>,
    /// Best instruction set to use: scalar, neon, avx2 or avx512 [default: this machine's best]
    #[arg(long, value_name = "LEVEL", help_heading = "Search")]
    simd: Option<SimdLevel>,
    /// How index bytes get into memory: mmap, populate or ram
    #[arg(long, value_name = "HOW", default_value = "mmap", help_heading = "Search")]
    load: Load,
    /// Compare every list with the exhaustive one
    #[arg(long, help_heading = "More measures")]
    recall: bool,
    #[command(flatten)]
    approximate: ApproximateArgs,
    /// Count postings, blocks and windows, scored and skipped: means a query
    #[arg(long, help_heading = "More measures")]
    counters: bool,
    /// Judgements: adds the paper's table for these indexes
    #[arg(long, value_name = "QRELS", help_heading = "More measures")]
    qrels: Option<PathBuf>,
    /// Also an open loop with so many queries a second in the mean (Poisson arrivals)
    #[arg(long, value_name = "QPS", help_heading = "More measures")]
    rate: Option<f64>,
    /// Seconds of an open loop and of a throughput measurement
    #[arg(long, value_name = "S", default_value_t = 5.0, help_heading = "More measures")]
    seconds: f64,
    /// Write JSON, Markdown, CSV and an HTML page with plots into this directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Measure the rows of a suite file
    #[arg(long, value_name = "FILE.toml", conflicts_with_all = ["indexes", "queries", "rate"])]
    suite: Option<PathBuf>,
}

/// Runs `splindex-query bench`.
pub fn run(args: &BenchArgs, common: &Common) -> Result<ExitCode> {
    common.init_threads()?;
    let cpu = cpu(args.cpu.as_deref())?;
    if let Some(dir) = &args.report {
        report::check_dir(dir)?;
    }
    match (&args.suite, &args.queries) {
        (Some(path), _) => run_suite(&Suite::read(path)?, cpu, args, common)?,
        (None, Some(queries)) => run_bench(args, queries, cpu, common)?,
        (None, None) => return Err(Error::Usage("bench needs --queries or --suite".into())),
    }
    Ok(ExitCode::SUCCESS)
}

fn run_bench(args: &BenchArgs, queries: &Path, cpu: Option<usize>, common: &Common) -> Result<()> {
    let plan = plan(args, cpu, common)?;
    let sidecars =
        Sidecars { ids: args.ids.clone(), vocabulary: args.vocabulary.clone(), tmp: None };
    let file = read_queries_with(queries, args.query_kind, &sidecars)?;
    // Faults of what is used last are said before minutes of measuring.
    let qrels = match &args.qrels {
        Some(path) => check_exact(&plan).and_then(|()| suite::judgements(path, &file).map(Some))?,
        None => None,
    };
    let open = |path: &PathBuf| Index::open_with(path, args.load);
    let indexes = args.indexes.iter().map(open).collect::<Result<Vec<_>>>()?;
    if let (Some(h), false) = (args.hybrid_weight, indexes.iter().any(|i| i.meta().is_hybrid())) {
        return Err(Error::Usage(format!("--hybrid-weight {h}: none of the indexes is hybrid")));
    }
    if args.query_model.is_some()
        && !common.quiet
        && indexes.iter().all(QueryBuilder::needs_no_model)
    {
        model_not_needed(&indexes[0]);
    }
    let bars = Bars::new(common);
    let (mut subjects, mut warnings) = (Vec::with_capacity(indexes.len()), Vec::new());
    for (name, index) in names(&args.indexes).into_iter().zip(&indexes) {
        let how = QuerySide {
            model: args.query_model.as_deref(),
            // Where it means something.
            hybrid_weight: args.hybrid_weight.filter(|_| index.meta().is_hybrid()),
            scale: args.query_scale,
            runs: args.runs,
            cpu,
        };
        bars.begin("encoding", how.steps(&file));
        let subject = Subject::encode(name, index, &file, &how, &bars)?;
        warnings.extend(subject.warning.clone());
        subjects.push(subject);
    }
    bars.warn(&unique(warnings));
    let measured = measure(&subjects, &plan, &bars)?;
    let table = qrels.map(|qrels| suite::of_bench(&measured, &subjects, &plan, &qrels));
    bars.finish();
    bars.warn(&file.notes);
    if let Some(dir) = &args.report {
        report::write(&measured, dir)?;
    }
    print_measured(&measured, common)?;
    if let Some(table) = table {
        show_table(&table?, args, common)?;
    }
    told_where(args, common);
    Ok(())
}

fn check_exact(plan: &Plan) -> Result<()> {
    if plan.approximations.iter().any(|a| !a.is_exact()) {
        return Err(Error::Usage(
            "--qrels measures the exact search; for approximate answers, search with --output \
             RUN, then `splindex eval`"
                .into(),
        ));
    }
    Ok(())
}

fn print_measured(measured: &Report, common: &Common) -> Result<()> {
    if common.json {
        let json = serde_json::to_string(measured)
            .map_err(|e| Error::Internal(format!("the report does not encode: {e}")))?;
        out!("{json}");
        return Ok(());
    }
    let width = columns();
    out!("{}\n\n{}", report::protocol(measured), report::latency_table(measured).within(width));
    if let Some(load) = report::load_table(measured) {
        if let Some(arrivals) = report::arrivals(measured) {
            out!("{arrivals}\n");
        }
        out!("{}", load.within(width));
    }
    if let Some(work) = report::work_table(measured) {
        out!("{}", work.within(width));
    }
    out!("{}\n{}", report::space_table(measured).within(width), report::machine(measured));
    Ok(())
}

fn run_suite(suite: &Suite, cpu: Option<usize>, args: &BenchArgs, common: &Common) -> Result<()> {
    let (bars, mut inputs) = (Bars::new(common), Inputs::default());
    let measured = suite::run(suite, &mut inputs, cpu, &bars)?;
    bars.finish();
    bars.warn(&inputs.notes());
    show_table(&measured, args, common)?;
    told_where(args, common);
    Ok(())
}

fn show_table(measured: &SuiteReport, args: &BenchArgs, common: &Common) -> Result<()> {
    if let Some(dir) = &args.report {
        measured.write(dir)?;
    }
    if common.json {
        let json = serde_json::to_string(measured)
            .map_err(|e| Error::Internal(format!("the report does not encode: {e}")))?;
        out!("{json}");
    } else {
        out!("\n{}\n{}", measured.table().within(columns()), measured.protocol());
    }
    Ok(())
}

fn told_where(args: &BenchArgs, common: &Common) {
    if let (Some(dir), false) = (&args.report, common.quiet) {
        let page = if args.suite.is_some() { "suite.html" } else { "report.html" };
        crate::cli::tell!("report: {}", dir.join(page).display());
    }
}

/// Seconds in a day: no load is longer.
const LONGEST: f64 = 86_400.0;

fn plan(args: &BenchArgs, cpu: Option<usize>, common: &Common) -> Result<Plan> {
    let algorithms = match args.algorithm.as_str() {
        "all" => Algorithm::ALL.iter().copied().filter(|&a| a != Algorithm::Auto).collect(),
        list => list.split(',').map(str::parse).collect::<Result<Vec<Algorithm>>>()?,
    };
    let approximations = args.approximate.all()?;
    if args.k.contains(&0) {
        return Err(Error::Usage("--k must be at least 1".into()));
    }
    if !(args.seconds > 0.0 && args.seconds <= LONGEST) {
        return Err(Error::Usage(format!(
            "--seconds must be above 0 and at most {LONGEST}, found {}",
            args.seconds
        )));
    }
    let time = Duration::from_secs_f64(args.seconds);
    args.rate.map_or(Ok(()), |rate| check_load(rate, time))?;
    Ok(Plan {
        ks: unique(args.k.clone()),
        algorithms: unique(algorithms),
        approximations,
        simd: args.simd.unwrap_or_else(SimdLevel::detect),
        runs: args.runs,
        cpu,
        agreement: args.recall,
        skip_unable: args.algorithm == "all",
        counters: args.counters,
        rate: args.rate,
        threads: common.threads,
        time,
    })
}

fn cpu(text: Option<&str>) -> Result<Option<usize>> {
    match text {
        None => Ok(default_cpu()),
        Some("none") => Ok(None),
        Some(number) => number
            .parse()
            .map(Some)
            .map_err(|_| Error::Usage(format!("--cpu is a number or none, found {number:?}"))),
    }
}

/// File names without directory and extension where they differ, else the paths.
fn names(paths: &[PathBuf]) -> Vec<String> {
    let stem = |path: &PathBuf| {
        path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
    };
    let stems: Vec<String> = paths.iter().map(stem).collect();
    let mut unique = stems.clone();
    unique.sort();
    unique.dedup();
    if unique.len() == stems.len() {
        return stems;
    }
    paths.iter().map(|path| path.display().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_where_they_differ() {
        let of = |paths: &[&str]| names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(of(&["a/x.spx", "a/y.spx"]), ["x", "y"]);
        assert_eq!(of(&["a/x.spx", "b/x.spx"]), ["a/x.spx", "b/x.spx"]);
    }

    #[test]
    fn a_core_is_a_number_or_none() {
        assert_eq!(cpu(Some("none")).unwrap(), None);
        assert_eq!(cpu(Some("3")).unwrap(), Some(3));
        assert!(cpu(Some("all")).unwrap_err().to_string().contains("\"all\""));
    }
}
