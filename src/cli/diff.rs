//! `splindex diff`: what a new index changes, and whether that is too much.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::common::{regraded, unique};
use super::progress::Bars;
use super::{Common, columns, out, print};
use crate::error::{Error, Result};
use crate::eval::{Measure, Qrels, parse_measures};
use crate::index::Index;
use crate::lifecycle::diff::{
    Answers, Diff, Gate, compare, compare_answers, compare_quality, names,
};
use crate::output::{OutputFile, refuse_inputs};
use crate::page::diff::{Shown, page, text};
use crate::queries::file::{QueryBody, QueryFile, QueryKind, read_queries};
use crate::queries::{QueryBuilder, TEXT_SCALE};

/// Compare an index with the one before it: parameters, documents, terms, answers
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  splindex diff yesterday.spx today.spx
  splindex diff yesterday.spx today.spx --queries questions.tsv --query-model data/tiny \\
      --qrels qrels.txt --html diff.html
  splindex diff yesterday.spx today.spx --queries questions.tsv --query-model data/tiny \\
      --fail-if \"overlap@10<0.9,removed>5%,p99>50%\"

Documents are matched by id, terms by token. --fail-if takes conditions NAME<NUMBER (also <=, >, >=) \
separated by commas and makes the exit code 1 if one of them holds. In percent, added, removed, changed \
are shares of the old documents, terms_new and terms_gone of the old terms; documents, postings, bytes \
and the times mean, p50, p99 are growths over what they were; rbo, overlap@K, scores (mean change of a \
score), length_drift and weight_drift are shares of 1. A measure, as in ndcg@10<-0.01, is what it \
has gained.")]
pub struct DiffArgs {
    /// The index before
    #[arg(value_name = "OLD.spx")]
    old: PathBuf,
    /// The index after
    #[arg(value_name = "NEW.spx")]
    new: PathBuf,
    /// Exit with 1 if one of these conditions holds, as in overlap@10<0.9,removed>5%
    #[arg(long, value_name = "CONDITIONS")]
    fail_if: Option<String>,
    /// Write a page with everything
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Ask these of both: texts, token:weight lists, repeated tokens, JSON Lines, or vectors
    #[arg(long, value_name = "FILE", help_heading = QUERIES)]
    queries: Option<PathBuf>,
    /// How to read the queries: auto, text, weighted or repeated
    #[arg(long, value_name = "KIND", default_value = "auto", requires = "queries", help_heading = QUERIES)]
    query_kind: QueryKind,
    /// Model directory, or hub id, that turns query texts into weighted tokens: one for both
    /// indexes, or that of the old and that of the new one
    #[arg(long, value_name = "DIR|HUB_ID", num_args = 1..=2, requires = "queries", help_heading = QUERIES)]
    query_model: Vec<PathBuf>,
    /// Factor of query weights that are not all integers
    #[arg(long, value_name = "S", default_value_t = TEXT_SCALE, requires = "queries", help_heading = QUERIES)]
    query_scale: f64,
    /// Weight h of the learned part in hybrid indexes: BM25 + h · learned [default: 0.5]
    #[arg(long, value_name = "H", requires = "queries", help_heading = QUERIES)]
    hybrid_weight: Option<f64>,
    /// Results a query, several separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "10,100",
        requires = "queries", help_heading = QUERIES)]
    k: Vec<usize>,
    /// Judgements: measure both, with the paired test
    #[arg(long, value_name = "FILE", requires = "queries", help_heading = QUERIES)]
    qrels: Option<PathBuf>,
    /// Measures: mrr, mrr@K, recall@K, p@K, ndcg, ndcg@K, map, map@K [default: ndcg@10,mrr@10 and
    /// recall at the largest k]
    #[arg(long, value_name = "LIST", requires = "qrels", help_heading = QUERIES)]
    metrics: Option<String>,
}

const QUERIES: &str = "Queries";
/// Of the paired test, as `eval --compare` has them.
const TRIALS: u64 = 10_000;
const SEED: u64 = 1;

/// Runs `splindex diff`.
pub fn run(args: &DiffArgs, common: &Common) -> Result<ExitCode> {
    common.init_threads()?;
    let ks = args.ks()?;
    let measures = args.measures(&ks)?;
    let known = names(if args.queries.is_some() { &ks } else { &[] }, &measures);
    let gate = args.fail_if.as_deref().map(|text| Gate::parse(text, &known)).transpose()?;
    if let Some(html) = &args.html {
        refuse_inputs(html, &[&args.old, &args.new])?;
    }
    let html = args.html.as_deref().map(OutputFile::create).transpose()?;
    let old = Index::open(&args.old)?;
    let new = Index::open(&args.new)?;
    // What is wrong with queries and judgements is said before lists are read.
    let file = args.queries.as_deref().map(|path| read_queries(path, args.query_kind));
    let file = file.transpose()?;
    let qrels = args.qrels.as_deref().map(Qrels::read).transpose()?;
    let bars = Bars::new(common);
    let mut diff = compare(&old, &new, &bars)?;
    if let Some(file) = &file {
        let answers = args.answers([&old, &new], file, &ks, qrels.is_some(), &bars)?;
        if let Some(qrels) = &qrels {
            diff.measures = compare_quality(&answers, qrels, &measures, TRIALS, SEED)?;
        }
        diff.answers = Some(answers);
    }
    bars.finish();
    let failed = gate.map_or_else(Vec::new, |gate| gate.failed(&diff.values()));
    super::warn(file.as_ref().map_or(&[], |file| &file.notes));
    super::warn(qrels.as_ref().and_then(regraded).as_slice());
    show(args, &diff, &failed, file.as_ref(), html, common)?;
    for failed in &failed {
        crate::cli::tell!("failed: {failed}");
    }
    Ok(ExitCode::from(u8::from(!failed.is_empty())))
}

impl DiffArgs {
    fn ks(&self) -> Result<Vec<usize>> {
        match self.k.contains(&0) {
            true => Err(Error::setting("k", "1 or more", 0)),
            false => Ok(unique(self.k.clone())),
        }
    }

    fn measures(&self, ks: &[usize]) -> Result<Vec<Measure>> {
        let largest = ks.iter().copied().max().unwrap_or(1);
        let default = || format!("ndcg@10,mrr@10,recall@{largest}");
        match self.qrels {
            None => Ok(Vec::new()),
            Some(_) => parse_measures(&self.metrics.clone().unwrap_or_else(default)),
        }
    }

    fn answers(
        &self,
        indexes: [&Index; 2],
        file: &QueryFile,
        ks: &[usize],
        rankings: bool,
        bars: &Bars<'_>,
    ) -> Result<Answers> {
        let mut queries = Vec::with_capacity(2);
        for (side, index) in indexes.into_iter().enumerate() {
            let model = self.query_model.get(side).or(self.query_model.last());
            let builder =
                QueryBuilder::load(index, model.map(PathBuf::as_path), self.hybrid_weight)?;
            if let Some(warning) = builder.other_model_warning() {
                bars.warn(&[format!("{}: {warning}", index.path().display())]);
            }
            queries.push(builder.prepare(file, self.query_scale)?);
        }
        compare_answers(indexes, [&queries[0], &queries[1]], ks, rankings, bars)
    }
}

fn show(
    args: &DiffArgs,
    diff: &Diff,
    failed: &[String],
    file: Option<&QueryFile>,
    html: Option<OutputFile>,
    common: &Common,
) -> Result<()> {
    let name = |path: &Path| path.display().to_string();
    let texts: HashMap<&str, &str> = file
        .into_iter()
        .flat_map(|file| &file.queries)
        .filter_map(|query| match (&query.body, &query.bm25) {
            (QueryBody::Text(text), _) | (_, Some(QueryBody::Text(text))) => {
                Some((query.id.as_str(), text.as_str()))
            }
            _ => None,
        })
        .collect();
    let shown = Shown { diff, files: [name(&args.old), name(&args.new)], failed, texts: &texts };
    if let (Some(mut file), Some(path)) = (html, &args.html) {
        let write = file.write_all(page(&shown).as_bytes());
        write.map_err(|e| Error::io("write", path, e))?;
        file.publish()?;
    }
    if common.json {
        let mut json = serde_json::to_value(diff)
            .map_err(|e| Error::Internal(format!("the comparison does not encode: {e}")))?;
        json["old"] = json!(args.old);
        json["new"] = json!(args.new);
        json["failed"] = json!(failed);
        out!("{json}");
        return Ok(());
    }
    print(&text(&shown, columns()))
}
