//! `splindex build`: vectors or texts into one index file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use super::common::parse_shard;
use super::progress::Bars;
use super::{Common, count, human_bytes, out};
use crate::bm25::{AvgDl, Bm25Params, Bm25Source, Stemmer, StopWords};
use crate::build::{
    Agreement, BuildOptions, BuildReport, Collection, DEPTHS, Fidelity, Memory, Scale, build_in,
};
use crate::corpus::{CorpusReader, Fields};
use crate::error::{Error, Place, Result};
use crate::format::{
    BOUND_SIZES, Codec, Dense, FieldKind, FieldMeta, Provenance, Pruning, ShardMeta,
};
use crate::index::Index;
use crate::order;
use crate::output::{OutputFile, folder, refuse_inputs};
use crate::query::file::{QueryKind, read_queries};
use crate::vectors::inputs::open_vectors;
use crate::vectors::store::Shard;
use crate::vectors::{Slice, VectorSource};

/// Build an index file from vectors, a BM25 index from texts, or one of both
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  splindex encode --model data/tiny --input passages.tsv --output vectors
  splindex build --input vectors --output passages.spx
  splindex build --input docs.jsonl.gz --output docs.spx --codec small
  splindex build --input vectors --output big.spx --order bp --memory 8GiB --tmp /mnt/scratch
  splindex build --bm25 --input passages.tsv --output bm25.spx
  splindex build --input vectors --hybrid-text passages.tsv --output hybrid.spx")]
pub struct BuildArgs {
    /// Vectors: stores, JsonVectorCollection, CIFF, .npz or .csr files; with --bm25, TSV or JSON
    /// Lines texts
    #[arg(long, value_name = "INPUT", num_args = 1.., required = true)]
    input: Vec<PathBuf>,
    /// The index file; an older one is replaced when the new one is complete
    #[arg(long, value_name = "INDEX.spx")]
    output: PathBuf,
    /// Layout of the posting lists
    #[arg(long, value_enum, default_value = "fast")]
    codec: CodecArg,
    /// How --codec fast stores terms of an eighth of the documents or more
    #[arg(long, value_enum, default_value = "bitmap")]
    dense: DenseArg,
    /// Document order: input, bp (recursive graph bisection: smaller lists, better block
    /// maxima), or a file with one original ordinal a line
    #[arg(long, value_name = "input|bp|FILE", default_value = "input", value_parser = parse_order)]
    order: OrderArg,
    /// Postings that one block maximum bounds at most; 40 is PISA's usual size
    #[arg(long, value_name = "128|40", default_value = "128", value_parser = parse_block_size)]
    block_size: u32,
    /// Range maxima: none, or those of 64 documents, which range_pruned needs
    #[arg(long, value_enum, default_value = "none")]
    ranges: RangesArg,
    /// Weight that maps to the largest impact: auto (from the weights), or a number, which
    /// shards of one collection share
    #[arg(long, value_name = "auto|W", default_value = "auto", value_parser = parse_scale)]
    scale: ScaleArg,
    /// Bits of an impact
    #[arg(long, value_name = "BITS", default_value_t = 8)]
    bits: u8,
    /// Resident memory to stay within: what does not fit goes to temporary files [default:
    /// half of the machine's memory]
    #[arg(long, value_name = "SIZE")]
    memory: Option<Memory>,
    /// Folder for temporary files [default: the folder of the output]
    #[arg(long, value_name = "DIR")]
    tmp: Option<PathBuf>,
    /// Keep the N heaviest terms of each document
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    top_per_doc: Option<u32>,
    /// Leave out postings with an impact below N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    min_impact: Option<u8>,
    /// Build part I (from 0) of N equal parts of the vector stores; `splindex merge` joins
    /// them
    #[arg(long, value_name = "I/N", value_parser = parse_shard, conflicts_with = "bm25")]
    shard: Option<Shard>,
    /// Compare the index with float scores for these queries (weighted tokens):
    /// overlap of the best 10, 100, 1000
    #[arg(long, value_name = "QUERIES", conflicts_with = "bm25")]
    fidelity: Option<PathBuf>,
    /// Build BM25 from texts
    #[arg(long, group = "texts")]
    bm25: bool,
    /// Put BM25 of these texts beside the vectors: the same documents in the same order, of a
    /// sharded collection all of them. Pruning, --scale and --fidelity are about the vectors
    #[arg(
        long,
        value_name = "TEXT",
        num_args = 1..,
        group = "texts",
        conflicts_with_all = ["bm25", "fidelity"]
    )]
    hybrid_text: Vec<PathBuf>,
    #[command(flatten)]
    bm25_args: Bm25Args,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "BM25 (with --bm25 or --hybrid-text)")]
struct Bm25Args {
    /// Term frequency saturation
    #[arg(long, value_name = "K1", default_value_t = 0.9, requires = "texts")]
    k1: f64,
    /// Length normalisation
    #[arg(long, value_name = "B", default_value_t = 0.4, requires = "texts")]
    b: f64,
    /// Mean document length in tokens: auto, or a number, which shards share
    #[arg(long, value_name = "auto|X", default_value = "auto", requires = "texts")]
    avgdl: AvgDl,
    /// Stemmer: english or none
    #[arg(long, value_name = "NAME", default_value = "english", requires = "texts")]
    stemmer: Stemmer,
    /// Stop words: english or none
    #[arg(long, value_name = "NAME", default_value = "english", requires = "texts")]
    stopwords: StopWords,
    /// TSV columns (from 1) or JSON fields that make the text, joined by a space
    #[arg(long, value_name = "LIST", requires = "texts")]
    fields: Option<Fields>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum CodecArg {
    /// Byte streams and bitmaps, no decoding
    Fast,
    /// Bit-packed blocks, fewest bytes
    Small,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum DenseArg {
    /// A bitmap and the impacts
    Bitmap,
    /// One byte a document: larger and faster
    Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, clap::ValueEnum)]
enum RangesArg {
    /// No such section
    None,
    /// Every 64 documents
    #[value(name = "64")]
    Of64,
}

fn parse_block_size(text: &str) -> std::result::Result<u32, String> {
    let size = text.parse().ok().filter(|size| BOUND_SIZES.contains(size));
    size.ok_or_else(|| "expected 128 or 40".into())
}

#[derive(Debug, Clone)]
enum OrderArg {
    Input,
    Bp,
    File(PathBuf),
}

fn parse_order(text: &str) -> std::result::Result<OrderArg, String> {
    Ok(match text {
        "input" => OrderArg::Input,
        "bp" => OrderArg::Bp,
        path => OrderArg::File(path.into()),
    })
}

/// clap wants a type of its own for parsed enums with data.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScaleArg(pub(super) Scale);

pub(super) fn parse_scale(text: &str) -> std::result::Result<ScaleArg, String> {
    if text == "auto" {
        return Ok(ScaleArg(Scale::Auto));
    }
    match text.parse::<f64>() {
        Ok(weight) if weight.is_finite() && weight > 0.0 => Ok(ScaleArg(Scale::Fixed(weight))),
        _ => Err("expected auto or a weight above 0".into()),
    }
}

/// Says now, not after the work, that an index cannot be written there.
pub(super) fn check_output(output: &Path) -> Result<()> {
    if output.as_os_str() == "-" {
        return Err(Error::Usage(
            "--output must be a file: an index cannot be written to standard output".into(),
        ));
    }
    let old = std::fs::metadata(output).ok().filter(|old| old.is_file() && old.len() > 0);
    if old.is_some() && !Index::is_one(output) {
        let problem = "the output is there and is no index";
        return Err(
            Error::data(output, Place::File, problem).hint("remove it, or give another --output")
        );
    }
    drop(OutputFile::create(output)?);
    Ok(())
}

/// Runs `splindex build`.
pub fn run(args: &BuildArgs, common: &Common) -> Result<ExitCode> {
    common.init_threads()?;
    let inputs: Vec<&PathBuf> = args.input.iter().chain(&args.hybrid_text).collect();
    refuse_inputs(&args.output, &inputs)?;
    check_output(&args.output)?;
    let started = Instant::now();
    let bars = Bars::new(common);
    let tmp = args.tmp.as_deref().unwrap_or_else(|| folder(&args.output));
    crate::output::check_tmp(tmp)?;
    let mut options = options(args);
    let fidelity = match &args.fidelity {
        Some(path) => Some(Fidelity::new(read_queries(path, QueryKind::Auto)?)?),
        None => None,
    };
    let mut collection = if args.bm25 {
        read_texts(args, &mut options, tmp, &bars)?
    } else {
        read_vectors(args, &mut options, fidelity.as_ref(), tmp, &bars)?
    };
    if collection.is_empty() {
        return Err(crate::corpus::empty_collection(&args.input));
    }
    let read = started.elapsed().as_secs_f64();
    let (order, gaps) = document_order(&args.order, &mut collection, &options, tmp, &bars)?;
    let ordered = started.elapsed().as_secs_f64() - read;
    let report = build_in(tmp, collection, order.as_deref(), &options, &args.output, &bars)?;
    let fidelity = match &fidelity {
        Some(fidelity) => Some(fidelity.compare(&Index::open(&args.output)?)?),
        None => None,
    };
    bars.finish();
    let seconds = Seconds { read, ordered, total: started.elapsed().as_secs_f64() };
    print(&report, gaps, fidelity, &seconds, args, common)?;
    Ok(ExitCode::SUCCESS)
}

/// Wall time of what happens before [`build_in`], and of all.
struct Seconds {
    read: f64,
    ordered: f64,
    total: f64,
}

fn options(args: &BuildArgs) -> BuildOptions {
    BuildOptions {
        codec: match args.codec {
            CodecArg::Fast => Codec::Fast,
            CodecArg::Small => Codec::Small,
        },
        dense: match args.dense {
            DenseArg::Bitmap => Dense::Bitmap,
            DenseArg::Bytes => Dense::Bytes,
        },
        block_size: args.block_size,
        ranges: args.ranges == RangesArg::Of64,
        scale: args.scale.0,
        bits: args.bits,
        pruning: Pruning {
            top_per_doc: args.top_per_doc.unwrap_or(0),
            min_impact: args.min_impact.unwrap_or(1),
        },
        memory: args.memory.unwrap_or_else(Memory::of_machine),
        ..BuildOptions::default()
    }
}

fn read_vectors(
    args: &BuildArgs,
    options: &mut BuildOptions,
    fidelity: Option<&Fidelity>,
    tmp: &Path,
    bars: &Bars<'_>,
) -> Result<Collection> {
    let mut opened = open_vectors(&args.input)?;
    if let Some(shard) = args.shard {
        opened = opened.cut(shard)?;
    }
    options.provenance =
        Provenance { inputs: input_names(args), model: opened.model, ..Default::default() };
    options.shard = shard_meta(opened.shard)?;
    let mut sources = opened.sources;
    if let Some(fidelity) = fidelity {
        sources = sources.into_iter().map(|source| fidelity.watch(source)).collect();
    }
    let Some(first) = args.hybrid_text.first() else {
        return Collection::read(&mut sources, options, tmp, bars);
    };
    let (texts, kind) = open_texts(args, &args.hybrid_text, options, tmp)?;
    options.hybrid = Some(kind);
    let mut texts = Slice::new(texts, options.shard.doc_base, documents(&sources, options));
    Collection::read_hybrid(&mut sources, (first, &mut texts), options, tmp, bars)
}

/// How many texts go with the vectors: those of a shard, else all, so that some too many are
/// noticed.
fn documents(sources: &[Box<dyn VectorSource>], options: &BuildOptions) -> u64 {
    let ShardMeta { index, count, .. } = options.shard;
    let last = index + 1 >= count;
    let known = sources.iter().map(|source| source.len_hint()).sum::<Option<u64>>();
    known.filter(|_| !last).unwrap_or(u64::MAX)
}

fn shard_meta(shard: Option<(Shard, u64)>) -> Result<ShardMeta> {
    let Some((Shard { index, count }, doc_base)) = shard else { return Ok(ShardMeta::default()) };
    match (u32::try_from(index), u32::try_from(count)) {
        (Ok(index), Ok(count)) => Ok(ShardMeta { index, count, doc_base }),
        _ => Err(Error::Usage(format!("--shard {index}/{count}: at most 2^32 shards"))),
    }
}

fn read_texts(
    args: &BuildArgs,
    options: &mut BuildOptions,
    tmp: &Path,
    bars: &Bars<'_>,
) -> Result<Collection> {
    if !matches!(args.scale.0, Scale::Auto) {
        return Err(Error::Usage("--scale does not go with --bm25: its scale is k1 + 1".into()));
    }
    let (source, kind) = open_texts(args, &args.input, options, tmp)?;
    options.scale = kind.largest_weight().map_or(Scale::Auto, Scale::Fixed);
    options.field = kind;
    options.provenance = Provenance { inputs: input_names(args), ..Default::default() };
    Collection::read(&mut [source], options, tmp, bars)
}

/// BM25 weights of the texts in `paths`, and how they are made.
fn open_texts(
    args: &BuildArgs,
    paths: &[PathBuf],
    options: &BuildOptions,
    tmp: &Path,
) -> Result<(Box<dyn VectorSource>, FieldKind)> {
    let Bm25Args { k1, b, avgdl, stemmer, stopwords, ref fields } = args.bm25_args;
    let params = Bm25Params { k1, b, avgdl, stemmer, stopwords };
    if let Some(store) = paths.iter().find(|path| path.is_dir()) {
        let problem = "expected a file of texts, found a directory";
        return Err(Error::data(store, Place::File, problem).hint(
            "BM25 is made of TSV or JSON Lines; vector stores go to --input without --bm25",
        ));
    }
    let texts = CorpusReader::open(paths, fields.as_ref())?;
    // A quarter for analysed texts: what is made of them needs the rest.
    let room = options.memory.left(0) / 4;
    let source = Bm25Source::within(room, tmp, texts, params)?;
    let used = source.params();
    let AvgDl::Fixed(avgdl) = used.avgdl else {
        return Err(Error::Internal("BM25 has no mean document length".into()));
    };
    let (stemmer, stopwords) = (stemmer.to_string(), stopwords.to_string());
    Ok((Box::new(source), FieldKind::Bm25 { k1, b, avgdl, stemmer, stopwords }))
}

/// Original ordinals by docid, and what our own order is worth: bits a posting before and
/// after.
type Ordered = (Option<Vec<u32>>, Option<[f64; 2]>);

fn document_order(
    choice: &OrderArg,
    collection: &mut Collection,
    options: &BuildOptions,
    tmp: &Path,
    bars: &Bars<'_>,
) -> Result<Ordered> {
    match choice {
        OrderArg::Input => Ok((None, None)),
        OrderArg::File(path) => Ok((Some(order::from_file(path, collection.len() as u32)?), None)),
        OrderArg::Bp => {
            let made = collection.bisect(options, tmp, bars)?;
            Ok((Some(made.order), Some([made.gap_before, made.gap_after])))
        }
    }
}

/// File names without directories: where a build ran is nobody's business.
fn input_names(args: &BuildArgs) -> Vec<String> {
    let name = |path: &PathBuf| {
        path.file_name().map_or_else(|| "-".into(), |name| name.to_string_lossy().into_owned())
    };
    args.input.iter().chain(&args.hybrid_text).map(name).collect()
}

fn print(
    report: &BuildReport,
    gaps: Option<[f64; 2]>,
    fidelity: Option<Agreement>,
    seconds: &Seconds,
    args: &BuildArgs,
    common: &Common,
) -> Result<()> {
    let meta = &report.meta;
    let content_id: String =
        report.written.content_id.iter().map(|byte| format!("{byte:02x}")).collect();
    if common.json {
        let json = serde_json::json!({
            "index": args.output, "content_id": content_id, "bytes": report.written.file_len,
            "list_bytes": report.written.list_bytes,
            "meta": meta, "empty_documents": report.empty_documents,
            "zero_weights": report.zero_weights, "pruned": report.pruned, "log_gap": gaps,
            "spilled": {"documents": report.spilled[0], "runs": report.spilled[1]},
            "fidelity": fidelity.map(|f| serde_json::json!({
                "queries": f.queries, "depths": DEPTHS, "overlap": f.overlap,
            })),
            "seconds": seconds.total,
            "phases": {
                "reading": seconds.read, "ordering": seconds.ordered,
                "inverting": report.seconds[0], "packing": report.seconds[1],
            },
        });
        out!("{json}");
    }
    if common.quiet {
        return Ok(());
    }
    eprintln!(
        "{}: {} ({} empty), {}, {}, {} ({:.3} bytes a posting without ids and lexicon), content id \
         {content_id}, {:.1} s",
        args.output.display(),
        count(meta.documents, "document", "documents"),
        report.empty_documents,
        count(meta.terms, "term", "terms"),
        count(meta.postings, "posting", "postings"),
        human_bytes(report.written.file_len),
        report.written.list_bytes as f64 / meta.postings.max(1) as f64,
        seconds.total,
    );
    if let Some([before, after]) = gaps {
        eprintln!(
            "order: log-gap {before:.3} bits a posting in input order, {after:.3} in BP order, \
             {:.1} s",
            seconds.ordered
        );
    }
    if let Some(Agreement { queries, overlap }) = fidelity {
        let depths = DEPTHS.iter().zip(overlap);
        let list: Vec<String> = depths.map(|(k, share)| format!("top {k}: {share:.4}")).collect();
        eprintln!(
            "fidelity: {}, overlap with float scores {}",
            count(queries as u64, "query", "queries"),
            list.join(", "),
        );
    }
    if report.pruned > 0 {
        eprintln!(
            "pruned: {} ({:.2} %) left out",
            count(report.pruned, "posting", "postings"),
            100.0 * report.pruned as f64 / (report.pruned + meta.postings) as f64,
        );
    }
    if report.spilled != [0, 0] {
        eprintln!(
            "temporary files: {} of documents, {} of postings",
            human_bytes(report.spilled[0]),
            human_bytes(report.spilled[1]),
        );
    }
    eprintln!("zero weights dropped: {}", report.zero_weights);
    meta.fields.iter().for_each(print_field);
    Ok(())
}

fn print_field(field: &FieldMeta) {
    let share = |n: u64| 100.0 * n as f64 / (field.postings.max(1)) as f64;
    eprintln!(
        "{} impacts: scale {:.4}, {:.3} % clipped at the top, {:.3} % lifted to 1",
        field.kind.name(),
        field.scale,
        share(field.clipped),
        share(field.lifted),
    );
    // Half the weights at impact 1, or one in a hundred at the top, is no scale that
    // anybody wants.
    if 2 * field.lifted > field.postings || 100 * field.clipped > field.postings {
        eprintln!(
            "warning: scale {:.4} fits these weights badly; --scale W maps weight W to the \
             largest impact",
            field.scale
        );
    }
}
