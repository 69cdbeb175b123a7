//! `splindex encode`: texts through a model into a vector store.

use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::builder::Memory;
use crate::corpus::{CorpusReader, Fields, empty_collection};
use crate::encode::{
    DeviceChoice, EncodeJob, EncodeReport, Encoder, EncoderOptions, Precision, QueryEncoder,
    Reused, TextEncoder, encode_to_store, needs_download, simd_level,
};
use crate::error::{Error, Result};
use crate::output::{check_tmp, folder, refuse_inputs};
use crate::vectors::store::{
    Encoding, InputDigest, Kind, KnownVectors, PassedOver, Plan, Shard, StoreWriter, WeightFormat,
};

use super::common::parse_shard;
use super::stop::Stop;
use super::{Common, count, out, progress};

/// Encode texts into a store of sparse vectors
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  splindex encode --model data/tiny --input passages.tsv.zst --output vectors
  splindex build --input vectors --output passages.spx

  splindex encode --model data/tiny --input today.tsv.zst --output today --reuse yesterday

A run that was killed or stopped (Ctrl-C) continues with the same command and --resume, to the \
same bytes.")]
pub struct EncodeArgs {
    /// Model directory (config.json, tokenizer, weights; or a SentenceTransformers folder), or
    /// hub id (naver/splade-v3)
    #[arg(long, value_name = "DIR|HUB_ID")]
    model: PathBuf,
    /// TSV or JSON Lines, plain, .gz or .zst; `-` is standard input
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    input: Vec<PathBuf>,
    /// Directory of the new store
    #[arg(long, value_name = "STORE")]
    output: PathBuf,
    /// Which side of the search the texts are
    #[arg(long, value_enum, default_value = "document")]
    kind: KindArg,
    /// Tokens of a text that are read, special tokens included [default: the model's
    /// max_seq_length, or else 256]
    #[arg(long, value_name = "N")]
    max_length: Option<usize>,
    /// TSV columns (from 1) or JSON fields that make the text, joined by a space [default: all
    /// behind the first tab; "title", then "contents" or "text"]
    #[arg(long, value_name = "LIST")]
    fields: Option<Fields>,
    /// cpu or cuda:N
    #[arg(long, default_value_t)]
    device: DeviceChoice,
    /// Number type of the arithmetic
    #[arg(long, value_enum, default_value = "f32")]
    dtype: Precision,
    /// Number type of stored weights
    #[arg(long, value_enum, default_value = "f32")]
    weights: WeightsArg,
    /// Keep only the N heaviest terms of a text
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Drop weights below W
    #[arg(long, value_name = "W", default_value_t = 0.0)]
    min_weight: f32,
    /// Encode part I (from 0) of N equal parts of the input
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    shard: Option<Shard>,
    /// Continue an unfinished store
    #[arg(long)]
    resume: bool,
    /// Count bad records and go on; a file that cannot be read to its end is an error still
    #[arg(long)]
    skip_bad: bool,
    /// Take over the vectors of texts that these earlier stores have, of the same model and
    /// settings; the result is the same, byte for byte (docs/nightly.md)
    #[arg(long, value_name = "STORE", num_args = 1.., help_heading = REUSE)]
    reuse: Vec<PathBuf>,
    /// Memory for the digests of those stores, 48 bytes a document: more go to temporary files
    /// [default: an eighth of the machine's memory]
    #[arg(long, value_name = "SIZE", requires = "reuse", help_heading = REUSE)]
    memory: Option<Memory>,
    /// Folder for temporary files [default: the folder of the output]
    #[arg(long, value_name = "DIR", requires = "reuse", help_heading = REUSE)]
    tmp: Option<PathBuf>,
}

const REUSE: &str = "Reuse";

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum KindArg {
    /// To be indexed
    Document,
    /// To be searched for
    Query,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum WeightsArg {
    F32,
    F16,
}

/// Runs `splindex encode`.
pub fn run(args: &EncodeArgs, common: &Common) -> Result<ExitCode> {
    common.init_threads()?;
    check(args)?;
    let encoder = load(args, common)?;
    if encoder.padding() > 0 && !common.quiet {
        crate::cli::tell!(
            "note: of the model's vocabulary, {} after the tokenizer's {} tokens have no token and \
             are passed over as padding",
            count(encoder.padding() as u64, "row", "rows"),
            encoder.tokens().len(),
        );
    }
    let input = survey(args, common)?;
    let documents = input.as_ref().map(|i| i.documents);
    let range = range(args.shard, documents)?;
    let mut plan = plan(args, &*encoder, range.as_ref().map_or(0, |r| r.start));
    plan.input = input;
    let known = known(args, &plan, &*encoder, common)?;
    let records = CorpusReader::open(&args.input, args.fields.as_ref())?;
    let notes = records.notes().clone();
    let mut records = records.peekable();
    // Of an input that can be read once only, its first record is known before there is a store.
    if plan.input.is_none() {
        let passes = |e: &Error| args.skip_bad && e.is_one_record();
        if records.peek().is_none() {
            return Err(empty_collection(&args.input));
        }
        let bad = records.next_if(|record| record.as_ref().is_err_and(|e| !passes(e)));
        bad.transpose()?;
    }
    let store = match args.resume {
        true => StoreWriter::resume(&args.output, plan, encoder.tokens())?,
        false => StoreWriter::create(&args.output, plan, encoder.tokens())?,
    };
    let total = range.as_ref().map_or(documents.unwrap_or(0), |r| r.end - r.start);
    let bar = progress(common, "encode", total);
    let started = Instant::now();
    let stop = Stop::listen()?;
    let job = EncodeJob {
        encoder: &*encoder,
        top: args.top,
        min_weight: args.min_weight,
        skip_bad: args.skip_bad,
        range,
        known: known.as_ref(),
        progress: &|n| {
            bar.inc(n);
            !stop.requested()
        },
    };
    let report = encode_to_store(records, store, &job);
    bar.finish();
    if let Err(Error::Stopped) = report {
        let dir = args.output.display();
        crate::cli::tell!(
            "stopped: {dir} is unfinished; the same command with --resume continues it"
        );
        return Ok(stop.exit_code());
    }
    let report = report?;
    super::warn(&notes.all());
    print(&report, started.elapsed(), args, common)?;
    Ok(ExitCode::SUCCESS)
}

/// The vectors of earlier stores.
fn known(
    args: &EncodeArgs,
    plan: &Plan,
    encoder: &dyn TextEncoder,
    common: &Common,
) -> Result<Option<KnownVectors>> {
    if args.reuse.is_empty() {
        return Ok(None);
    }
    let room = args.memory.map_or_else(|| Memory::of_machine().limit() / 4, Memory::limit);
    let tmp = args.tmp.as_deref().unwrap_or_else(|| folder(&args.output));
    let known = KnownVectors::open(&args.reuse, plan, encoder.tokens(), room, tmp)?;
    if !common.quiet {
        for PassedOver { store, why } in known.passed_over() {
            let store = store.display();
            crate::cli::tell!("note: {store} is passed over, nothing is kept of it: {why}");
        }
        if !known.is_empty() && args.device != DeviceChoice::Cpu {
            crate::cli::tell!(
                "note: on a GPU a vector's last bits depend on its batch: kept ones are those of \
                 an earlier run's batches"
            );
        }
    }
    Ok(Some(known))
}

/// Refuses what means nothing, before a model is loaded.
fn check(args: &EncodeArgs) -> Result<()> {
    refuse_inputs(&args.output, &args.reuse)?;
    if let Some(tmp) = &args.tmp {
        check_tmp(tmp)?;
    }
    if !(args.min_weight.is_finite() && args.min_weight >= 0.0) {
        let problem = format!("--min-weight must be 0 or more, found {}", args.min_weight);
        return Err(Error::Usage(problem));
    }
    if args.top == Some(0) {
        return Err(Error::Usage("--top must be at least 1".into()));
    }
    if args.max_length == Some(0) {
        return Err(Error::Usage("--max-length must be at least 3, found 0".into()));
    }
    Ok(())
}

/// The records that belong to `shard`; `None` is all.
fn range(shard: Option<Shard>, documents: Option<u64>) -> Result<Option<Range<u64>>> {
    let Some(shard) = shard else { return Ok(None) };
    let Some(n) = documents else {
        let problem = "--shard needs files: standard input cannot be read twice to count";
        return Err(Error::Usage(problem.into()));
    };
    Ok(Some(crate::vectors::range_of(shard, n)))
}

fn load(args: &EncodeArgs, common: &Common) -> Result<Box<dyn TextEncoder>> {
    let options = EncoderOptions {
        max_length: args.max_length.unwrap_or(0),
        dtype: args.dtype,
        device: args.device,
        threads: common.threads.unwrap_or(0),
        ..EncoderOptions::default()
    };
    if needs_download(&args.model) && !common.quiet {
        crate::cli::tell!("downloading model {} from the hub", args.model.display());
    }
    Ok(match args.kind {
        KindArg::Document => Box::new(Encoder::load(&args.model, &options)?),
        KindArg::Query => Box::new(QueryEncoder::load(&args.model, &options)?),
    })
}

/// What the input holds; none if it cannot be read twice. Costs a reading, finds a bad record
/// before hours of encoding, and lets a store know its input before its first block.
fn survey(args: &EncodeArgs, common: &Common) -> Result<Option<InputDigest>> {
    let mut records = CorpusReader::open(&args.input, args.fields.as_ref())?;
    if records.bytes_total().is_none() {
        return Ok(None);
    }
    let mut digest = blake3::Hasher::new();
    let bar = progress(common, "counting", 0);
    for record in &mut records {
        bar.inc(1);
        match record {
            Err(error) if args.skip_bad && error.is_one_record() => (),
            Err(error) => return Err(error),
            Ok(record) => {
                for part in [&record.id, &record.text] {
                    digest.update(&(part.len() as u64).to_le_bytes());
                    digest.update(part.as_bytes());
                }
            }
        }
    }
    records.require_records()?;
    let digest = digest.finalize().to_hex().to_string();
    Ok(Some(InputDigest { documents: records.records(), digest }))
}

fn plan(args: &EncodeArgs, encoder: &dyn TextEncoder, doc_base: u64) -> Plan {
    let model = encoder.info().clone();
    let encoding = Encoding {
        pooling: encoder.pooling().into(),
        model,
        max_length: Some(encoder.max_length()).filter(|&n| n < usize::MAX),
        prompt: Some(encoder.prompt().to_owned()).filter(|prompt| !prompt.is_empty()),
        dtype: args.dtype.name().into(),
        device: args.device.to_string(),
        simd: simd_level().into(),
        batch_tokens: EncoderOptions::default().batch_tokens,
        fields: args.fields.as_ref().map(|f| f.to_string()),
        top: args.top,
        min_weight: args.min_weight,
        skip_bad: args.skip_bad,
    };
    let kind = match args.kind {
        KindArg::Document => Kind::Document,
        KindArg::Query => Kind::Query,
    };
    let weights = match args.weights {
        WeightsArg::F32 => WeightFormat::F32,
        WeightsArg::F16 => WeightFormat::F16,
    };
    Plan {
        encoding: Some(encoding),
        shard: args.shard,
        doc_base,
        digests: true,
        ..Plan::converted(kind, weights)
    }
}

fn print(
    report: &EncodeReport,
    elapsed: Duration,
    args: &EncodeArgs,
    common: &Common,
) -> Result<()> {
    let totals = report.manifest.totals;
    let fresh = totals.documents - report.resumed;
    let seconds = elapsed.as_secs_f64();
    let rate = if seconds > 0.0 { fresh as f64 / seconds } else { 0.0 };
    if common.json {
        let json = serde_json::json!({
            "store": args.output, "totals": totals, "resumed": report.resumed,
            "seconds": seconds, "documents_per_second": rate, "reuse": report.reused,
        });
        out!("{json}");
    }
    if totals.empty == totals.documents && totals.documents > 0 {
        crate::cli::tell!(
            "warning: every document is empty: no text has a term with a weight above 0 or \
             --min-weight; are these weights (and texts) the right ones?"
        );
    }
    if common.quiet {
        return Ok(());
    }
    for error in &report.skipped {
        crate::cli::tell!("skipped: {}", super::said(error));
    }
    let per_document = totals.postings as f64 / totals.documents.max(1) as f64;
    crate::cli::tell!(
        "{}: {} ({} resumed, {} empty, {} truncated, {} skipped), {per_document:.1} \
         terms each, largest weight {:.4}, {rate:.1} documents/s",
        args.output.display(),
        count(totals.documents, "document", "documents"),
        report.resumed,
        totals.empty,
        totals.truncated,
        totals.skipped,
        totals.largest_weight,
    );
    if let Some(reused) = &report.reused {
        crate::cli::tell!("reuse: {}", reuse(reused));
    }
    Ok(())
}

/// What became of the documents of earlier stores.
fn reuse(reused: &Reused) -> String {
    let Reused { kept, renamed, changed, new, removed } = *reused;
    let under = match renamed {
        0 => String::new(),
        n => format!(" ({n} under {})", if n == 1 { "another id" } else { "other ids" }),
    };
    let removed = match removed {
        Some(n) => format!("{n} removed"),
        None => "removed ones are not known of a shard".to_owned(),
    };
    format!("{kept} kept{under}, {changed} changed, {new} new, {removed}")
}
