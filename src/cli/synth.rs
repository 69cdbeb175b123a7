//! `splindex synth`: synthetic vectors and queries.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use super::progress::Bars;
use super::{Common, count, out};
use crate::error::{Error, Place, Result};
use crate::queries::file::{QueryKind, integer_weights, read_queries};
use crate::synth::{Generator, Like, LikeOptions, Plain, Pool, Profile, WriteReport, write};
use crate::vectors::inputs::open_vectors;

/// Make a collection of sparse vectors and queries of any size
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  splindex synth --docs 8841823 --queries 1000 --like vectors --output big
  splindex synth --docs 500000 --queries 1000 --profile esplade --output plain
  splindex build --input big/documents --output big.spx
  splindex-query bench big.spx --queries big/queries.tsv

--like resamples real vectors and keeps their co-occurrence, clusters and scores; \
without it a published shape is drawn. The same flags and seed give the same bytes for \
any number of threads. docs/synth.md compares both with real vectors.")]
pub struct SynthArgs {
    /// Documents to make
    #[arg(long, value_name = "N")]
    docs: u64,
    /// Queries to make
    #[arg(long, value_name = "N", default_value_t = 0)]
    queries: u64,
    /// Resample these vectors: stores or JsonVectorCollection files (8 bytes a posting of
    /// memory)
    #[arg(long, value_name = "INPUT", num_args = 1.., conflicts_with = "profile")]
    like: Vec<PathBuf>,
    /// With --like: resample these queries; without, queries are made from documents
    #[arg(long, value_name = "FILE", requires = "like")]
    like_queries: Option<PathBuf>,
    /// Shape to draw: splade, esplade or unicoil
    #[arg(long, value_name = "NAME", default_value = "splade")]
    profile: Profile,
    /// Another seed gives another collection
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Directory for the vector store `documents` and the file `queries.tsv`
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

/// Runs `splindex synth`.
pub fn run(args: &SynthArgs, common: &Common) -> Result<ExitCode> {
    common.init_threads()?;
    if args.docs == 0 {
        return Err(Error::Usage("--docs must be at least 1, found 0".into()));
    }
    if args.docs > u64::from(u32::MAX) {
        return Err(Error::Usage(format!("--docs must be below 2^32, found {}", args.docs)));
    }
    if args.output.exists() && !args.output.is_dir() {
        return Err(Error::data(&args.output, Place::File, "--output is there and is no folder")
            .hint("give the name of a folder"));
    }
    let bars = Bars::new(common);
    let real_queries = match &args.like_queries {
        Some(path) => weighted_queries(path)?,
        None => Vec::new(),
    };
    let generator: Box<dyn Generator> = match args.like.is_empty() {
        true => Box::new(Plain::new(args.profile, args.docs, args.seed)),
        false => {
            let pool = pool(&args.like)?;
            let options = LikeOptions::for_growth(args.docs, u64::from(pool.len()));
            Box::new(Like::new(pool, &real_queries, options, args.seed, &bars)?)
        }
    };
    let started = Instant::now();
    let report = write(&*generator, args.docs, args.queries, &args.output, &bars)?;
    let seconds = started.elapsed().as_secs_f64();
    bars.finish();
    print(&report, seconds, args, common)?;
    Ok(ExitCode::SUCCESS)
}

/// The vectors of `paths`, sources in order; one source, as pools have one token table.
fn pool(paths: &[PathBuf]) -> Result<Pool> {
    let mut opened = open_vectors(paths)?;
    match &mut opened.sources[..] {
        [source] => Pool::read(source.as_mut(), u64::MAX),
        _ => Err(Error::Usage("--like takes one store, or JSON files, not several stores".into())),
    }
}

fn weighted_queries(path: &Path) -> Result<Vec<Vec<(String, u32)>>> {
    let file = read_queries(path, QueryKind::Auto)?;
    let queries = integer_weights(&file, 100.0)?;
    super::warn(&file.notes);
    if queries.iter().all(|q| q.terms.is_empty()) {
        return Err(Error::data(path, Place::File, "expected queries, found none"));
    }
    Ok(queries.into_iter().map(|q| q.terms).collect())
}

fn print(report: &WriteReport, seconds: f64, args: &SynthArgs, common: &Common) -> Result<()> {
    let WriteReport { totals, queries, query_terms } = report;
    let rate = totals.postings as f64 / seconds.max(1e-9);
    if common.json {
        let json = serde_json::json!({
            "output": args.output, "totals": totals, "queries": queries,
            "query_terms": query_terms, "seconds": seconds, "postings_per_second": rate,
        });
        out!("{json}");
    }
    if !common.quiet {
        crate::cli::tell!(
            "{}: {}, {}, {} of {:.1} terms, {seconds:.1} s, \
             {:.1} M postings/s",
            args.output.display(),
            count(totals.documents, "document", "documents"),
            count(totals.postings, "posting", "postings"),
            count(*queries, "query", "queries"),
            *query_terms as f64 / (*queries).max(1) as f64,
            rate / 1e6,
        );
    }
    Ok(())
}
