//! `splindex eval`: measures of runs.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::common::regraded;
use super::{Common, count};
use crate::error::Error;
use crate::error::Result;
use crate::eval::{
    Comparison, Evaluation, Measure, Options, Qrels, Run, compare, evaluate, parse_measures,
};
use crate::table::Table;

/// Measure runs against judgements, as trec_eval 10 does
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Means are over the queries that are judged and in the run, as trec_eval's are; --complete \
counts judged queries that the run lacks as 0, as MS MARCO's script and `trec_eval -c` do \
(without -c, trec_eval 10 stops at such a query). As in trec_eval 10 (June 2026), scores of \
TREC runs are compared as 64-bit floats, equal ones ordered by document id, and lines that \
begin with # are comments; version 9 and pytrec_eval compare 32-bit floats, to which more \
scores are equal.

Example: compare BM25 and SPLADE on the questions of the demo
  cd splindex-demo
  splindex-query search bm25.spx --queries ../data/sample/queries.tsv --output bm25.run
  splindex-query search splade.spx --queries ../data/sample/queries.tsv \\
      --query-model ../data/tiny --output splade.run
  splindex eval --qrels ../data/sample/qrels.txt bm25.run splade.run --metrics mrr@10,ndcg@10

  run         queries  mrr@10  ndcg@10
  bm25.run        100  0.7318   0.6784
  splade.run      100  0.8147   0.7474

--compare adds wins, losses and a p value. MS MARCO's own MRR@10 is that of a run in its \
format (search --format msmarco) with --complete --metrics mrr@10.")]
pub struct EvalArgs {
    /// Judgements: TREC's query 0 document grade, or BEIR's query document grade with or
    /// without a header row; also .gz or .zst
    #[arg(long, value_name = "FILE")]
    qrels: PathBuf,
    /// Runs: TREC, MS MARCO or JSON Lines, also .gz or .zst; - is standard input
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Measures: mrr, mrr@K, recall@K, p@K, ndcg, ndcg@K, map, map@K
    #[arg(long, value_name = "LIST", default_value = "mrr@10,recall@1000,ndcg@10,map")]
    metrics: String,
    /// Lowest grade that counts as relevant
    #[arg(long, value_name = "GRADE", default_value_t = 1)]
    level: i32,
    /// Count judged queries that a run lacks as 0
    #[arg(long)]
    complete: bool,
    /// Every query's scores too
    #[arg(long)]
    per_query: bool,
    /// Compare the other runs with the first one: mean difference, queries won and lost,
    /// and the p value of a paired randomisation test
    #[arg(long)]
    compare: bool,
    /// Random sign changes of that test
    #[arg(long, value_name = "N", default_value_t = 100_000, requires = "compare")]
    trials: u64,
    /// What they are drawn from
    #[arg(long, value_name = "SEED", default_value_t = 1, requires = "compare")]
    seed: u64,
}

/// Runs `splindex eval`.
pub fn run(args: &EvalArgs, common: &Common) -> Result<ExitCode> {
    common.init_threads()?;
    if args.compare && (args.runs.len() < 2 || args.trials == 0) {
        return Err(Error::Usage("--compare needs two runs and --trials of at least 1".into()));
    }
    let measures = parse_measures(&args.metrics)?;
    let options = Options { level: args.level, complete: args.complete };
    let qrels = Qrels::read(&args.qrels)?;
    let mut results = Vec::with_capacity(args.runs.len());
    for path in &args.runs {
        let run = Run::read(path)?;
        let name = path.display().to_string();
        results.push((name, evaluate(&qrels, &run, &measures, options)?));
    }
    let compared = compare_runs(&results, args)?;
    let text = if common.json {
        let mut value = as_json(&results, args.per_query);
        if args.compare {
            value["compared"] = comparisons_json(&compared);
        }
        format!("{value:#}\n")
    } else {
        as_text(&results, &measures, args.per_query) + &comparisons_text(&compared)
    };
    super::print(&text)?;
    super::warn(regraded(&qrels).as_slice());
    if !common.quiet {
        results.iter().for_each(|(name, result)| warn(name, result, args.complete));
    }
    Ok(ExitCode::SUCCESS)
}

/// A run beside the first one.
type Compared = ([String; 2], Vec<Comparison>);

fn compare_runs(results: &[(String, Evaluation)], args: &EvalArgs) -> Result<Vec<Compared>> {
    let Some(((base_name, base), others)) = results.split_first().filter(|_| args.compare) else {
        return Ok(Vec::new());
    };
    let one = |(name, other): &(String, Evaluation)| {
        let found = compare(base, other, args.trials, args.seed)?;
        Ok(([base_name.clone(), name.clone()], found))
    };
    others.iter().map(one).collect()
}

fn comparisons_text(compared: &[Compared]) -> String {
    let mut text = String::new();
    for ([base, other], comparisons) in compared {
        let columns = ["measure", "first", "second", "difference", "wins", "losses", "ties", "p"];
        let mut table = Table::new(columns.map(str::to_owned), 1);
        for c in comparisons {
            table.row([
                c.measure.to_string(),
                format!("{:.4}", c.means[0]),
                format!("{:.4}", c.means[1]),
                format!("{:+.4}", c.difference()),
                c.wins.to_string(),
                c.losses.to_string(),
                c.ties.to_string(),
                format!("{:.4}", c.p),
            ]);
        }
        let queries = comparisons.first().map_or(0, |c| c.queries);
        let queries = count(queries as u64, "query", "queries");
        write!(text, "\n{other} against {base}, {queries}\n{table}")
            .expect("memory takes every line");
    }
    text
}

fn comparisons_json(compared: &[Compared]) -> Value {
    let all = compared.iter().flat_map(|([base, other], comparisons)| {
        comparisons.iter().map(move |c| {
            json!({
                "first": base, "second": other, "measure": c.measure.to_string(),
                "queries": c.queries, "first_mean": c.means[0], "second_mean": c.means[1],
                "difference": c.difference(), "wins": c.wins, "losses": c.losses,
                "ties": c.ties, "p": c.p,
            })
        })
    });
    Value::Array(all.collect())
}

fn warn(name: &str, result: &Evaluation, complete: bool) {
    if result.missing > 0 {
        let how = match complete {
            true => "counted as 0",
            false => "left out; --complete counts them as 0",
        };
        let missing = count(result.missing as u64, "judged query is", "judged queries are");
        crate::cli::tell!("{name}: {missing} not in the run and {how}");
    }
    if result.unjudged > 0 {
        let unjudged =
            count(result.unjudged as u64, "query of the run is", "queries of the run are");
        crate::cli::tell!("{name}: {unjudged} not judged and left out");
    }
}

fn as_text(results: &[(String, Evaluation)], measures: &[Measure], per_query: bool) -> String {
    let names = measures.iter().map(Measure::to_string);
    let format = |scores: &[f64]| scores.iter().map(|s| format!("{s:.4}")).collect::<Vec<_>>();
    let mut text = String::new();
    if per_query {
        let mut table =
            Table::new(["query", "run"].map(str::to_owned).into_iter().chain(names.clone()), 2);
        // The same query of all runs together.
        let mut rows: Vec<(&str, &str, &[f64])> = results
            .iter()
            .flat_map(|(name, r)| r.queries.iter().map(|q| (&*q.id, &**name, &*q.scores)))
            .collect();
        rows.sort_by(|a, b| a.0.cmp(b.0));
        for (query, name, scores) in rows {
            table.row([query.to_owned(), name.to_owned()].into_iter().chain(format(scores)));
        }
        writeln!(text, "{table}").expect("memory takes every line");
    }
    let mut table = Table::new(["run", "queries"].map(str::to_owned).into_iter().chain(names), 1);
    for (name, result) in results {
        let start = [name.clone(), result.queries.len().to_string()];
        table.row(start.into_iter().chain(format(&result.means)));
    }
    write!(text, "{table}").expect("memory takes every line");
    text
}

fn as_json(results: &[(String, Evaluation)], per_query: bool) -> Value {
    let object = |measures: &[Measure], scores: &[f64]| {
        let pairs = measures.iter().zip(scores);
        Value::Object(pairs.map(|(m, &s)| (m.to_string(), s.into())).collect())
    };
    let runs = results.iter().map(|(name, result)| {
        let mut run = json!({
            "run": name,
            "queries": result.queries.len(),
            "missing": result.missing,
            "unjudged": result.unjudged,
            "mean": object(&result.measures, &result.means),
        });
        if per_query {
            let queries = result.queries.iter();
            let queries: Map<String, Value> =
                queries.map(|q| (q.id.clone(), object(&result.measures, &q.scores))).collect();
            run["per_query"] = Value::Object(queries);
        }
        run
    });
    json!({ "runs": runs.collect::<Vec<_>>() })
}
