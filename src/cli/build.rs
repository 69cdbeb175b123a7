//! `splindex build`: vectors or texts into one index file.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use super::progress::Bars;
use super::{Common, count, human_bytes, out};
use crate::bm25::{AvgDl, Bm25Params, Bm25Source, Stemmer, StopWords};
use crate::build::{BuildOptions, BuildReport, Collection, Scale, build};
use crate::corpus::{CorpusReader, Fields};
use crate::error::{Error, Place, Result};
use crate::format::{Codec, Dense, FieldKind, Provenance};
use crate::index::Index;
use crate::order::{self, BpOptions};
use crate::output::{OutputFile, refuse_inputs};
use crate::vectors::VectorSource;
use crate::vectors::inputs::open_vectors;

/// Build an index file from vectors, or a BM25 index from texts
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  splindex encode --model data/tiny --input passages.tsv --output vectors
  splindex build --input vectors --output passages.spx
  splindex build --input docs.jsonl.gz --output docs.spx --codec small
  splindex build --bm25 --input passages.tsv --output bm25.spx")]
pub struct BuildArgs {
    /// Vector stores or JsonVectorCollection files; with --bm25, TSV or JSON Lines texts
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
    /// Weight that maps to the largest impact: auto (from the weights), or a number, which
    /// shards of one collection share
    #[arg(long, value_name = "auto|W", default_value = "auto", value_parser = parse_scale)]
    scale: ScaleArg,
    /// Bits of an impact
    #[arg(long, value_name = "BITS", default_value_t = 8)]
    bits: u8,
    /// Build BM25 from texts
    #[arg(long)]
    bm25: bool,
    #[command(flatten)]
    bm25_args: Bm25Args,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "BM25 (with --bm25)")]
struct Bm25Args {
    /// Term frequency saturation
    #[arg(long, value_name = "K1", default_value_t = 0.9, requires = "bm25")]
    k1: f64,
    /// Length normalisation
    #[arg(long, value_name = "B", default_value_t = 0.4, requires = "bm25")]
    b: f64,
    /// Mean document length in tokens: auto, or a number, which shards share
    #[arg(long, value_name = "auto|X", default_value = "auto", requires = "bm25")]
    avgdl: AvgDl,
    /// Stemmer: english or none
    #[arg(long, value_name = "NAME", default_value = "english", requires = "bm25")]
    stemmer: Stemmer,
    /// Stop words: english or none
    #[arg(long, value_name = "NAME", default_value = "english", requires = "bm25")]
    stopwords: StopWords,
    /// TSV columns (from 1) or JSON fields that make the text, joined by a space
    #[arg(long, value_name = "LIST", requires = "bm25")]
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
struct ScaleArg(Scale);

fn parse_scale(text: &str) -> std::result::Result<ScaleArg, String> {
    if text == "auto" {
        return Ok(ScaleArg(Scale::Auto));
    }
    match text.parse::<f64>() {
        Ok(weight) if weight.is_finite() && weight > 0.0 => Ok(ScaleArg(Scale::Fixed(weight))),
        _ => Err("expected auto or a weight above 0".into()),
    }
}

/// Runs `splindex build`.
pub fn run(args: &BuildArgs, common: &Common) -> Result<ExitCode> {
    common.init_threads()?;
    refuse_inputs(&args.output, &args.input)?;
    if args.output.as_os_str() == "-" {
        return Err(Error::Usage(
            "--output must be a file: an index cannot be written to standard output".into(),
        ));
    }
    let old = std::fs::metadata(&args.output).ok().filter(|old| old.is_file() && old.len() > 0);
    if old.is_some() && !Index::is_one(&args.output) {
        let problem = "the output is there and is no index";
        return Err(Error::data(&args.output, Place::File, problem)
            .hint("remove it, or give another --output"));
    }
    // Says now, not after the build, that the output cannot be written.
    drop(OutputFile::create(&args.output)?);
    let started = Instant::now();
    let bars = Bars::new(common);
    let mut options = BuildOptions {
        codec: match args.codec {
            CodecArg::Fast => Codec::Fast,
            CodecArg::Small => Codec::Small,
        },
        dense: match args.dense {
            DenseArg::Bitmap => Dense::Bitmap,
            DenseArg::Bytes => Dense::Bytes,
        },
        scale: args.scale.0,
        bits: args.bits,
        ..BuildOptions::default()
    };
    let collection = if args.bm25 {
        read_texts(args, &mut options, &bars)?
    } else {
        read_vectors(args, &mut options, &bars)?
    };
    if collection.is_empty() {
        return Err(crate::corpus::empty_collection(&args.input));
    }
    let ordered = document_order(&args.order, &collection, &bars)?;
    let order = ordered.as_ref().map(|o| o.order.as_slice());
    let report = build(&collection, order, &options, &args.output, &bars)?;
    bars.finish();
    if let Some(Ordered { gaps: Some([before, after]), seconds, .. }) = ordered
        && !common.quiet
    {
        eprintln!(
            "order: log-gap {before:.3} bits a posting in input order, {after:.3} in BP order, \
             {seconds:.1} s"
        );
    }
    print(&report, args, common, started.elapsed().as_secs_f64())?;
    Ok(ExitCode::SUCCESS)
}

fn read_vectors(
    args: &BuildArgs,
    options: &mut BuildOptions,
    bars: &Bars<'_>,
) -> Result<Collection> {
    let opened = open_vectors(&args.input)?;
    options.provenance =
        Provenance { inputs: input_names(args), model: opened.model, ..Default::default() };
    let mut sources = opened.sources;
    Collection::read(&mut sources, bars)
}

fn read_texts(args: &BuildArgs, options: &mut BuildOptions, bars: &Bars<'_>) -> Result<Collection> {
    let Bm25Args { k1, b, avgdl, stemmer, stopwords, ref fields } = args.bm25_args;
    if !matches!(args.scale.0, Scale::Auto) {
        return Err(Error::Usage("--scale does not go with --bm25: its scale is k1 + 1".into()));
    }
    let params = Bm25Params { k1, b, avgdl, stemmer, stopwords };
    if let Some(store) = args.input.iter().find(|path| path.is_dir()) {
        let problem = "expected a file of texts, found a directory";
        return Err(Error::data(store, Place::File, problem)
            .hint("--bm25 reads TSV or JSON Lines; a vector store is built without it"));
    }
    let texts = CorpusReader::open(&args.input, fields.as_ref())?;
    let source = Bm25Source::new(texts, params)?;
    let used = source.params();
    let AvgDl::Fixed(avgdl) = used.avgdl else {
        return Err(Error::Internal("BM25 has no mean document length".into()));
    };
    options.scale = Scale::Fixed(params.largest_weight());
    options.field = FieldKind::Bm25 {
        k1,
        b,
        avgdl,
        stemmer: stemmer.to_string(),
        stopwords: stopwords.to_string(),
    };
    options.provenance = Provenance { inputs: input_names(args), ..Default::default() };
    let mut sources: Vec<Box<dyn VectorSource>> = vec![Box::new(source)];
    Collection::read(&mut sources, bars)
}

/// A document order and, where we made it, what it was worth.
struct Ordered {
    order: Vec<u32>,
    gaps: Option<[f64; 2]>,
    seconds: f64,
}

fn document_order(
    choice: &OrderArg,
    collection: &Collection,
    bars: &Bars<'_>,
) -> Result<Option<Ordered>> {
    let documents = collection.len() as u32;
    match choice {
        OrderArg::Input => Ok(None),
        OrderArg::File(path) => {
            let order = order::from_file(path, documents)?;
            Ok(Some(Ordered { order, gaps: None, seconds: 0.0 }))
        }
        OrderArg::Bp => {
            let started = Instant::now();
            let forward = collection.forward();
            let order = order::bisect(&forward, &BpOptions::default(), bars);
            let seconds = started.elapsed().as_secs_f64();
            let input = order::log_gap(&forward, &order::identity(documents));
            let gaps = Some([input, order::log_gap(&forward, &order)]);
            Ok(Some(Ordered { order, gaps, seconds }))
        }
    }
}

/// File names without directories: where a build ran is nobody's business.
fn input_names(args: &BuildArgs) -> Vec<String> {
    let name = |path: &PathBuf| {
        path.file_name().map_or_else(|| "-".into(), |name| name.to_string_lossy().into_owned())
    };
    args.input.iter().map(name).collect()
}

fn print(report: &BuildReport, args: &BuildArgs, common: &Common, seconds: f64) -> Result<()> {
    let meta = &report.meta;
    let field = &meta.fields[0];
    let content_id: String =
        report.written.content_id.iter().map(|byte| format!("{byte:02x}")).collect();
    if common.json {
        let json = serde_json::json!({
            "index": args.output, "content_id": content_id, "bytes": report.written.file_len,
            "list_bytes": report.written.list_bytes,
            "meta": meta, "empty_documents": report.empty_documents,
            "zero_weights": report.zero_weights, "seconds": seconds,
        });
        out!("{json}");
    }
    if common.quiet {
        return Ok(());
    }
    let share = |n: u64| 100.0 * n as f64 / (field.postings.max(1)) as f64;
    eprintln!(
        "{}: {} ({} empty), {}, {}, {} ({:.3} bytes a posting without ids and lexicon), content id \
         {content_id}, {seconds:.1} s",
        args.output.display(),
        count(meta.documents, "document", "documents"),
        report.empty_documents,
        count(meta.terms, "term", "terms"),
        count(meta.postings, "posting", "postings"),
        human_bytes(report.written.file_len),
        report.written.list_bytes as f64 / meta.postings.max(1) as f64,
    );
    eprintln!(
        "impacts: scale {:.4}, {:.3} % clipped at the top, {:.3} % lifted to 1, {} zero weights \
         dropped",
        field.scale,
        share(field.clipped),
        share(field.lifted),
        report.zero_weights,
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
    Ok(())
}
