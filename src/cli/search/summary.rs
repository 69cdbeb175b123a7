//! What `search` says when all queries are answered.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::{Common, count, out};
use super::args::{SearchArgs, View};
use crate::error::Result;
use crate::queries::{Prepared, Rounding};
use crate::query::{Approximation, Filter, with_picks};

/// How the queries were answered.
pub(super) struct Answered<'a> {
    pub(super) picked: BTreeMap<&'static str, usize>,
    /// What answers may lack.
    pub(super) approximate: Option<Approximation>,
    pub(super) query_side: &'a str,
    pub(super) hybrid: bool,
    pub(super) elapsed: Duration,
    /// Why no query has a term, if none has.
    pub(super) no_terms: Option<String>,
    /// What is missing in the file of texts.
    pub(super) no_texts: Option<String>,
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

/// Prints the summary: as JSON on standard output, for people on standard error.
pub(super) fn print(
    args: &SearchArgs,
    common: &Common,
    answered: &Answered<'_>,
    queries: &[Prepared],
) -> Result<()> {
    let totals = Totals::of(queries, answered);
    if common.json {
        let filtered = queries.iter().filter(|query| query.query.filter.is_some()).count();
        out!("{}", json(args, answered, &totals, (queries.len(), filtered)));
    }
    for warning in [&answered.no_terms, &answered.no_texts].into_iter().flatten() {
        crate::cli::tell!("warning: {warning}");
    }
    if common.quiet {
        return Ok(());
    }
    crate::cli::tell!(
        "{}: {} ({}), {}{} at k = {}: {:.1} µs a query, {:.1} µs to encode; {}, {} of weight 0",
        args.index.display(),
        count(queries.len() as u64, "query", "queries"),
        answered.query_side,
        with_picks(args.algorithm.name(), &answered.picked),
        answered.approximate.map_or(String::new(), |a| format!(", approximate: {a},")),
        args.k(),
        totals.mean_us,
        totals.mean_encoding_us,
        count(totals.unknown, "unknown token", "unknown tokens"),
        count(totals.zero_weight, "token", "tokens"),
    );
    print_kept(queries);
    print_rounding(&totals);
    Ok(())
}

fn json(
    args: &SearchArgs,
    answered: &Answered<'_>,
    totals: &Totals,
    (queries, filtered): (usize, usize),
) -> serde_json::Value {
    serde_json::json!({
        "index": args.index, "run": args.output,
        "format": format(args),
        "queries": queries, "query_side": answered.query_side, "k": args.k(),
        "algorithm": args.algorithm.name(), "picked": answered.picked,
        "filtered": filtered,
        "approximate": answered.approximate, "unknown_tokens": totals.unknown,
        "zero_weight_tokens": totals.zero_weight, "mean_us": totals.mean_us,
        "mean_encoding_us": totals.mean_encoding_us,
        "rounding": totals.rounding.map(|r| serde_json::json!({
            "largest_weight_error": r.weight, "largest_score_error": r.score,
            "halvings": r.halvings, "halved_queries": totals.halved,
        })),
    })
}

/// What filters kept, of all queries that have one.
fn print_kept(queries: &[Prepared]) {
    let filters = queries.iter().filter_map(|query| query.query.filter.as_ref());
    let kept: Vec<u32> = filters.map(Filter::len).collect();
    let (Some(least), Some(most)) = (kept.iter().min(), kept.iter().max()) else { return };
    let range = if least == most { least.to_string() } else { format!("{least} to {most}") };
    let filter = queries.iter().find_map(|query| query.query.filter.as_ref());
    let documents = filter.map_or(0, Filter::documents);
    crate::cli::tell!(
        "filters: {} kept {range} of {}",
        count(kept.len() as u64, "query", "queries"),
        count(documents.into(), "document", "documents"),
    );
}

fn format(args: &SearchArgs) -> String {
    match args.view() {
        View::Run(format) => format.to_string(),
        View::Explained { json: true } => "jsonl".into(),
        View::Explained { json: false } | View::Table => "text".into(),
    }
}

/// What integer weights cost the queries of a hybrid index, and long texts of others.
fn print_rounding(&Totals { rounding, halved, .. }: &Totals) {
    if let Some(rounding) = rounding {
        crate::cli::tell!(
            "rounding of query weights: at most {:.2} % of a weight, {:.4} % of a query's largest \
             score",
            100.0 * rounding.weight,
            100.0 * rounding.score
        );
    }
    if halved > 0 {
        crate::cli::tell!(
            "{} so long that weights were halved, {} at most, to fit their integers; scores of \
             these are in another unit",
            if halved == 1 { "1 query is".into() } else { format!("{halved} queries are") },
            count(rounding.map_or(0, |r| r.halvings).into(), "time", "times"),
        );
    }
}
