//! `splindex-query search`: answers to a question or a query file, as a run or for people.

mod args;
mod explain;
mod no_terms;
mod shown;
mod summary;
mod texts;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::progress::Bar;
use super::{Common, progress};
use crate::error::{Error, Result};
use crate::eval::RunWriter;
use crate::index::Index;
use crate::output::PackedFile;
use crate::queries::QueryBuilder;
use crate::queries::file::{
    QueryBody, QueryFile, QueryInput, QueryKind, one_query, read_queries_with,
};
use crate::queries::{Prepared, operators};
use crate::query::{Approximation, BatchOptions, Hit};
use explain::Explanations;
use summary::Answered;
use texts::Texts;

pub use args::SearchArgs;
use args::View;

/// Queries answered between two writes of the run: bounds memory at k = 1000.
const BATCH: usize = 1024;

/// Runs `splindex-query search`.
pub fn run(args: &SearchArgs, common: &Common) -> Result<ExitCode> {
    // Queries are answered on one thread unless asked otherwise: a query node shares its
    // cores with others.
    let threads = common.threads.unwrap_or(1);
    Common { threads: Some(threads), ..common.clone() }.init_threads()?;
    let approximation = args.check(common)?;
    let constraints = args.constraints()?;
    let index = Index::open_with(&args.index, args.load)?;
    // What is wrong with the queries is said before a model is loaded.
    let file = args
        .queries
        .as_deref()
        .map(|queries| read_queries_with(queries, args.query_kind, &args.sidecars()));
    let file = file.transpose()?;
    let side = QueryBuilder::load(&index, args.query_model.as_deref(), args.hybrid_weight)?;
    let file = match (file, args.question()) {
        (None, Some(question)) => asked(&index, &side, &question, args.query_kind)?,
        (file, _) => file.ok_or_else(|| Error::Internal("nothing is asked".into()))?,
    };
    let file = if args.operators { with_operators(file) } else { file };
    notes(&index, &side, args, common);
    let bar = match file.queries.len() {
        1 => Bar::Hidden,
        n => progress(common, "encoding", n as u64),
    };
    let queries = side.prepare_counted(&file, args.query_scale, || bar.inc(1))?;
    let queries = queries.into_iter().map(|query| side.constrain(query, &constraints));
    let queries = queries.collect::<Result<Vec<_>>>()?;
    bar.finish();

    // Results that scroll past show enough.
    let bar = match args.on_terminal() || args.through_a_pipe() {
        true => Bar::Hidden,
        false => progress(common, "searching", queries.len() as u64),
    };
    let mut texts = args.texts.as_ref().map(|path| Texts::of(path, args.fields.as_ref()));
    let (k, algorithm) = (args.k(), args.algorithm);
    let options = BatchOptions { k, algorithm, approximation, ..BatchOptions::new(k) };
    let mut elapsed = Duration::ZERO;
    write_answers(args, approximation, &index, |out| {
        for (inputs, batch) in file.queries.chunks(BATCH).zip(queries.chunks(BATCH)) {
            let started = Instant::now();
            let answers = index.search_batch(batch, &options)?;
            elapsed += started.elapsed();
            if let Some(texts) = &mut texts {
                let names = index.external_ids();
                texts.look_up(answers.hits.iter().map(|hit| names.get(hit.ordinal)))?;
            }
            for (asked, hits) in inputs.iter().zip(batch).zip(answers.iter()) {
                out.query(&index, asked, hits, texts.as_ref())?;
            }
            bar.inc(batch.len() as u64);
        }
        Ok(())
    })?;
    bar.finish();
    super::warn(&file.notes);
    if let Some(texts) = &texts {
        super::warn(texts.notes());
    }
    let asked = queries.iter().map(|q| &q.query);
    let answered = Answered {
        picked: args.algorithm.picked(&index, asked, args.k(), &approximation),
        approximate: Some(approximation).filter(|a| !a.is_exact()),
        query_side: side.describe(&file),
        hybrid: index.meta().is_hybrid(),
        elapsed,
        no_terms: no_terms::warning(&index, &file, &queries, args.query_scale),
        no_texts: texts.and_then(|texts| texts.warning()),
    };
    summary::print(args, common, &answered, &queries)?;
    Ok(ExitCode::SUCCESS)
}

/// The one question, as a text where the index and its model take texts.
fn asked(index: &Index, side: &QueryBuilder, question: &str, kind: QueryKind) -> Result<QueryFile> {
    let kind = match kind {
        QueryKind::Auto if side.takes_texts() => QueryKind::Text,
        kind => kind,
    };
    let file = one_query(Path::new("the question"), "1", question, kind)?;
    let text = matches!(file.queries[0].body, QueryBody::Text(_));
    // A hybrid index without the model has half of what a text needs.
    if !text || side.takes_texts() || side.is_weighed_as_bm25() {
        return Ok(file);
    }
    let model = index.provenance().model.and_then(|model| {
        let name = model["model"]["name"].as_str()?;
        Some(format!(" (its documents were encoded by {name:?})"))
    });
    let model = match cfg!(feature = "tokenize") {
        true => format!("give --query-model DIR{}, or ", model.unwrap_or_default()),
        false => "this program was built without query models: give ".into(),
    };
    let weighted = match index.meta().is_hybrid() {
        true => "--queries FILE with JSON Lines of a vector and the text",
        false => "weighted tokens, as in \"whale:2 blue:1\"",
    };
    Err(Error::Usage(format!(
        "the question is a text, and {} is no BM25 index: {model}{weighted}",
        index.path().display()
    )))
}

/// The same queries, whose `+word` and `-word` are no text any more.
fn with_operators(mut file: QueryFile) -> QueryFile {
    for query in &mut file.queries {
        for body in [Some(&mut query.body), query.bm25.as_mut()].into_iter().flatten() {
            let QueryBody::Text(text) = body else { continue };
            let (left, required, excluded) = operators(text);
            *text = left;
            query.constraints.required.extend(required);
            query.constraints.excluded.extend(excluded);
        }
    }
    file
}

/// What is good to know before the answers.
fn notes(index: &Index, side: &QueryBuilder, args: &SearchArgs, common: &Common) {
    super::warn(side.other_model_warning().as_slice());
    if !common.quiet && args.query_model.is_some() && QueryBuilder::needs_no_model(index) {
        super::model_not_needed(index);
    }
}

/// A run, explanations, or a table for people.
enum Output<'a, 'w> {
    Run(RunWriter<&'w mut dyn Write>),
    Explained(Explanations<'a, &'w mut dyn Write>),
    Table { out: &'w mut dyn Write, path: &'a Path, width: Option<usize>, between: &'static str },
}

impl Output<'_, '_> {
    fn query(
        &mut self,
        index: &Index,
        asked: (&QueryInput, &Prepared),
        hits: &[Hit],
        texts: Option<&Texts>,
    ) -> Result<()> {
        match self {
            Output::Run(writer) => {
                let named = hits.iter().map(|hit| (index.id(hit.ordinal), hit.score));
                writer.query(&asked.1.id, named)
            }
            Output::Explained(explanations) => explanations.query(asked.1, hits, texts),
            Output::Table { out, path, width, between } => {
                let table = shown::table(index, asked, hits, texts, *width);
                let line_between = std::mem::replace(between, "\n");
                write!(out, "{line_between}{table}").map_err(|e| Error::io("write", *path, e))
            }
        }
    }
}

/// Where answers go: a file that appears when it is complete, or standard output.
fn write_answers(
    args: &SearchArgs,
    approximation: Approximation,
    index: &Index,
    answers: impl FnOnce(&mut Output<'_, '_>) -> Result<()>,
) -> Result<()> {
    // A reader of the run in a year should see it.
    let tag = if approximation.is_exact() { "splindex" } else { "splindex-approximate" };
    let Some(path) = args.output() else {
        let mut out = BufWriter::new(std::io::stdout().lock());
        return enough_read(write_to(&mut out, Path::new("-"), args, tag, index, answers));
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
    let width = args.on_terminal().then(super::columns);
    let mut output = match args.view() {
        View::Run(format) => Output::Run(RunWriter::new(out, path, format, tag)),
        View::Explained { json } => {
            Output::Explained(Explanations::new(out, path, index, json, width))
        }
        View::Table => Output::Table { out, path, width, between: "" },
    };
    answers(&mut output)?;
    match output {
        Output::Run(writer) => writer.finish().map(drop),
        Output::Explained(explanations) => explanations.finish(),
        Output::Table { out, .. } => out.flush().map_err(|e| Error::io("write", path, e)),
    }
}
