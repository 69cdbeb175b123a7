//! `splindex-query search`: answers of a query file as a run.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::approximate::ApproximateArgs;
use super::explain::Explanations;
use super::{Common, count, no_terms, out, progress};
use crate::error::{Error, Place, Result};
use crate::eval::{RunFormat, RunWriter};
use crate::index::{Index, Load};
use crate::output::{PackedFile, refuse_inputs};
use crate::query::file::{QueryKind, read_queries};
use crate::query::{Algorithm, Approximation, Hit, Searcher, with_picks};
use crate::retrieve::{Prepared, QuerySide, Rounding};

/// Answer a file of queries
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  splindex-query search bm25.spx --queries questions.tsv --output bm25.run
  splindex-query search splade.spx --queries questions.tsv --query-model data/tiny \\
      --output splade.run
  splindex-query search splade.spx --queries weighted.tsv --k 10 --format jsonl
  splindex-query search splade.spx --queries weighted.tsv --k 3 --explain
  splindex-query search hybrid.spx --queries questions.tsv --query-model data/tiny \\
      --hybrid-weight 0.5 --output hybrid.run

Query files: text (qid<TAB>text), weighted tokens (qid<TAB>token:weight …), repeated tokens
(qid<TAB>token token …, with --query-kind repeated), JSON Lines; plain, .gz or .zst. A hybrid
index takes texts with --query-model, or JSON Lines with `vector` and either `text` or `bm25`
({stem: weight}); it scores BM25 + h · learned, with query weights as they are given. Of such lines
a BM25 index takes `bm25` or `text`, a learned one `vector`: one file asks all three.

Scores are integers. trec_eval reads them as 32-bit floats and orders equal ones by document id,
so a TREC run lowers the later ones of equal scores by the least possible step: its order is ours.
--format jsonl keeps the exact integers.")]
pub struct SearchArgs {
    /// The index file
    #[arg(value_name = "INDEX.spx")]
    index: PathBuf,
    /// The queries; `-` is standard input
    #[arg(long, value_name = "FILE")]
    queries: PathBuf,
    /// What the query file holds: auto, text, weighted or repeated
    #[arg(long, value_name = "KIND", default_value = "auto")]
    query_kind: QueryKind,
    /// Results a query
    #[arg(long, value_name = "K", default_value_t = 1000)]
    k: usize,
    /// auto (the cheapest for each query), exhaustive, wand, block_max_wand, maxscore,
    /// block_max_maxscore, windowed, or block_pruned (of an index built with --skip-data); all
    /// return the same list, unless it may be approximate
    #[arg(long, value_name = "NAME", default_value = "auto")]
    algorithm: Algorithm,
    /// Model directory, or hub id (naver/splade-v3), that turns query texts into weighted tokens: a
    /// model or a table of token weights; BM25 indexes need none
    #[arg(long, value_name = "DIR|HUB_ID")]
    query_model: Option<PathBuf>,
    /// Weight h of the learned part in a hybrid index: BM25 + h · learned [default: 0.5]
    #[arg(long, value_name = "H")]
    hybrid_weight: Option<f64>,
    /// Factor that makes fractional query weights integers; not used by hybrid indexes
    #[arg(long, value_name = "X", default_value_t = 100.0)]
    query_scale: f64,
    /// Format of the run: trec, msmarco or jsonl [default: trec]
    #[arg(long, value_name = "FORMAT")]
    format: Option<RunFormat>,
    #[command(flatten)]
    approximate: ApproximateArgs,
    /// Show what each query term gave to each hit, instead of a run; with --format jsonl as JSON
    #[arg(long)]
    explain: bool,
    /// The run, compressed if it is named .gz or .zst; without it, standard output
    #[arg(long, value_name = "RUN")]
    output: Option<PathBuf>,
    /// How the index gets into memory: mmap, populate or ram
    #[arg(long, value_name = "HOW", default_value = "mmap")]
    load: Load,
}

/// Queries answered between two writes of the run: bounds memory at k = 1000.
const BATCH: usize = 1024;

/// Runs `splindex-query search`.
pub fn run(args: &SearchArgs, common: &Common) -> Result<ExitCode> {
    // Queries are answered on one thread unless asked otherwise: a query node shares its
    // cores with others.
    let threads = common.threads.unwrap_or(1);
    Common { threads: Some(threads), ..common.clone() }.init_threads()?;
    let approximation = check(args, common)?;
    let index = Index::open_with(&args.index, args.load)?;
    let file = read_queries(&args.queries, args.query_kind)?;
    let side = QuerySide::load(&index, args.query_model.as_deref(), args.hybrid_weight)?;
    if let Some(note) = side.foreign_model().filter(|_| !common.quiet) {
        eprintln!("warning: {note}");
    }
    let queries = side.prepare(&file, args.query_scale)?;

    let bar = progress(common, "searching", queries.len() as u64);
    let mut elapsed = Duration::ZERO;
    write_run(args, approximation, &index, |out| {
        for batch in queries.chunks(BATCH) {
            let started = Instant::now();
            let answers = answer(&index, batch, args, approximation, threads)?;
            elapsed += started.elapsed();
            for (query, hits) in batch.iter().zip(&answers) {
                out.query(query, hits)?;
            }
            bar.inc(batch.len() as u64);
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    let hybrid = index.meta().is_hybrid();
    let asked = queries.iter().map(|q| &q.query);
    let picked = args.algorithm.picked(&index, asked, args.k, &approximation);
    let approximate = Some(approximation).filter(|a| !a.is_exact());
    let no_terms = no_terms::warning(&args.index, &file, &queries, args.query_scale, hybrid);
    let query_side = side.describe(&file);
    let answered = Answered { picked, approximate, query_side, hybrid, elapsed, no_terms };
    summary(args, common, &answered, &queries)?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses what does not go together, before anything is opened; what answers may lack.
fn check(args: &SearchArgs, common: &Common) -> Result<Approximation> {
    let to_file = args.output.as_deref().is_some_and(|path| path != Path::new("-"));
    if common.json && !to_file {
        let instead = match args.format {
            Some(RunFormat::Jsonl) => "or leave --json out: --format jsonl is a run in JSON",
            _ => "or --format jsonl instead of --json for a run in JSON",
        };
        return Err(Error::Usage(format!(
            "--json prints a summary on standard output, where the run goes; give --output RUN, \
             {instead}"
        )));
    }
    if args.explain && matches!(args.format, Some(RunFormat::Trec | RunFormat::MsMarco)) {
        return Err(Error::Usage(
            "--explain writes text, or JSON with --format jsonl; no run format holds terms".into(),
        ));
    }
    if args.k == 0 {
        return Err(Error::Usage("--k must be at least 1".into()));
    }
    let approximation = args.approximate.one()?;
    if args.explain && approximation.lowers_scores() {
        return Err(Error::Usage(
            "--explain tells what makes a whole score, and scores of shortened queries are not; \
             add --rescore N, or leave --max-query-terms and --query-mass out"
                .into(),
        ));
    }
    if let Some(output) = &args.output {
        refuse_inputs(output, &[&args.index, &args.queries])?;
        if Index::is_one(output) {
            let problem = "the output is there and is an index";
            return Err(Error::data(output, Place::File, problem).hint("give another --output"));
        }
    }
    Ok(approximation)
}

fn answer(
    index: &Index,
    queries: &[Prepared],
    args: &SearchArgs,
    approximation: Approximation,
    threads: usize,
) -> Result<Vec<Vec<Hit>>> {
    let part = queries.len().div_ceil(threads).max(1);
    let parts: Vec<Vec<Vec<Hit>>> = queries
        .par_chunks(part)
        .map(|queries| {
            let mut searcher = Searcher::new(index).approximating(approximation);
            let answer =
                |q: &Prepared| Ok(searcher.search(&q.query, args.k, args.algorithm)?.to_vec());
            queries.iter().map(answer).collect::<Result<Vec<_>>>()
        })
        .collect::<Result<_>>()?;
    Ok(parts.into_iter().flatten().collect())
}

/// A run, or explanations.
enum Output<'a, 'w> {
    Run(&'a Index, RunWriter<&'w mut dyn Write>),
    Explained(Explanations<'a, &'w mut dyn Write>),
}

impl Output<'_, '_> {
    fn query(&mut self, query: &Prepared, hits: &[Hit]) -> Result<()> {
        match self {
            Output::Run(index, writer) => {
                let named = hits.iter().map(|hit| (index.names().get(hit.ordinal), hit.score));
                writer.query(&query.id, named)
            }
            Output::Explained(explanations) => explanations.query(query, hits),
        }
    }
}

/// Where answers go: a file that appears when it is complete, or standard output.
fn write_run(
    args: &SearchArgs,
    approximation: Approximation,
    index: &Index,
    answers: impl FnOnce(&mut Output<'_, '_>) -> Result<()>,
) -> Result<()> {
    // Whoever finds the run in a year should see it.
    let tag = if approximation.is_exact() { "splindex" } else { "splindex-approximate" };
    let path = match &args.output {
        Some(path) if path != Path::new("-") => path,
        _ => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            return enough_read(write_to(&mut out, Path::new("-"), args, tag, index, answers));
        }
    };
    // A device or a pipe is written to; a rename would replace it.
    if path.exists() && !path.is_file() && !path.is_dir() {
        let file =
            File::options().write(true).open(path).map_err(|e| Error::io("write", path, e))?;
        return enough_read(write_to(&mut BufWriter::new(file), path, args, tag, index, answers));
    }
    let mut file = PackedFile::create(path)?;
    write_to(&mut file, path, args, tag, index, answers)?;
    file.publish()
}

/// `| head` has read enough: no error.
fn enough_read(written: Result<()>) -> Result<()> {
    match written {
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn write_to(
    out: &mut dyn Write,
    path: &Path,
    args: &SearchArgs,
    tag: &str,
    index: &Index,
    answers: impl FnOnce(&mut Output<'_, '_>) -> Result<()>,
) -> Result<()> {
    let format = args.format.unwrap_or_default();
    let mut output = if args.explain {
        Output::Explained(Explanations::new(out, path, index, format == RunFormat::Jsonl))
    } else {
        Output::Run(index, RunWriter::new(out, path, format, tag))
    };
    answers(&mut output)?;
    match output {
        Output::Run(_, writer) => writer.finish().map(drop),
        Output::Explained(explanations) => explanations.finish(),
    }
}

/// How the queries were answered.
struct Answered<'a> {
    picked: BTreeMap<&'static str, usize>,
    /// What answers may lack.
    approximate: Option<Approximation>,
    query_side: &'a str,
    hybrid: bool,
    elapsed: Duration,
    /// Why no query has a term, if none has.
    no_terms: Option<String>,
}

/// Sums and means over all queries.
struct Totals {
    unknown: u64,
    zero_weight: u64,
    mean_us: f64,
    mean_encoding_us: f64,
    /// The largest of all, for hybrid indexes and where weights were halved.
    rounding: Option<Rounding>,
    halved: usize,
}

impl Totals {
    fn of(queries: &[Prepared], answered: &Answered<'_>) -> Self {
        let mean = |total: Duration| total.as_secs_f64() * 1e6 / queries.len().max(1) as f64;
        let rounding = queries.iter().map(|q| q.rounding).reduce(Rounding::max);
        Totals {
            unknown: queries.iter().map(|q| u64::from(q.query.unknown)).sum(),
            zero_weight: queries.iter().map(|q| u64::from(q.dropped)).sum(),
            mean_us: mean(answered.elapsed),
            mean_encoding_us: mean(queries.iter().map(|q| q.encoding).sum()),
            rounding: rounding.filter(|r| answered.hybrid || r.halvings > 0),
            halved: queries.iter().filter(|q| q.rounding.halvings > 0).count(),
        }
    }
}

fn summary(
    args: &SearchArgs,
    common: &Common,
    answered: &Answered<'_>,
    queries: &[Prepared],
) -> Result<()> {
    let totals = Totals::of(queries, answered);
    if common.json {
        out!("{}", json(args, answered, &totals, queries.len()));
    }
    if common.quiet {
        return Ok(());
    }
    if let Some(warning) = &answered.no_terms {
        eprintln!("warning: {warning}");
    }
    eprintln!(
        "{}: {} ({}), {}{} at k = {}: {:.1} µs a query, {:.1} µs to encode; {}, {} of weight 0",
        args.index.display(),
        count(queries.len() as u64, "query", "queries"),
        answered.query_side,
        with_picks(args.algorithm.name(), &answered.picked),
        answered.approximate.map_or(String::new(), |a| format!(", approximate: {a},")),
        args.k,
        totals.mean_us,
        totals.mean_encoding_us,
        count(totals.unknown, "unknown token", "unknown tokens"),
        count(totals.zero_weight, "token", "tokens"),
    );
    print_rounding(&totals);
    Ok(())
}

fn json(
    args: &SearchArgs,
    answered: &Answered<'_>,
    totals: &Totals,
    queries: usize,
) -> serde_json::Value {
    serde_json::json!({
        "index": args.index, "run": args.output,
        "format": args.format.unwrap_or_default().to_string(),
        "queries": queries, "query_side": answered.query_side, "k": args.k,
        "algorithm": args.algorithm.name(), "picked": answered.picked,
        "approximate": answered.approximate, "unknown_tokens": totals.unknown,
        "zero_weight_tokens": totals.zero_weight, "mean_us": totals.mean_us,
        "mean_encoding_us": totals.mean_encoding_us,
        "rounding": totals.rounding.map(|r| serde_json::json!({
            "largest_weight_error": r.weight, "largest_score_error": r.score,
            "halvings": r.halvings, "halved_queries": totals.halved,
        })),
    })
}

/// What integer weights cost the queries of a hybrid index, and long texts of others.
fn print_rounding(&Totals { rounding, halved, .. }: &Totals) {
    if let Some(rounding) = rounding {
        eprintln!(
            "rounding of query weights: at most {:.2} % of a weight, {:.4} % of a query's largest \
             score",
            100.0 * rounding.weight,
            100.0 * rounding.score
        );
    }
    if halved > 0 {
        eprintln!(
            "{} so long that weights were halved, {} at most, to fit their integers; scores of \
             these are in another unit",
            if halved == 1 { "1 query is".into() } else { format!("{halved} queries are") },
            count(rounding.map_or(0, |r| r.halvings).into(), "time", "times"),
        );
    }
}
