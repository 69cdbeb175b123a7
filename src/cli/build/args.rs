//! Arguments of `splindex build`, and the options that they are.

use std::path::{Path, PathBuf};

use super::super::common::parse_shard;
use crate::bm25::{AvgDl, Bm25Params, Stemmer, StopWords};
use crate::builder::{AttributeSource, BuildOptions, Memory, Scale};
use crate::corpus::Fields;
use crate::error::{Error, Result};
use crate::format::{Codec, Pruning};
use crate::vectors::sparse::Sidecars;
use crate::vectors::store::Shard;

/// Build an index file from vectors, a BM25 index from texts, or one of both
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  splindex encode --model data/tiny --input passages.tsv --output vectors
  splindex build --input vectors --output passages.spx
  splindex build --input docs.jsonl.gz --output docs.spx --codec small
  splindex build --input vectors --output big.spx --order bp --memory 8GiB --tmp /mnt/scratch
  splindex build --input today --output today.spx --order-from yesterday.spx
  splindex build --bm25 --input passages.tsv --output bm25.spx
  splindex build --input vectors --hybrid-text passages.tsv --output hybrid.spx
  splindex build --input vectors --attributes about.jsonl --output passages.spx
  splindex build --bm25 --input docs.jsonl --attribute-fields lang,year --output docs.spx")]
pub struct BuildArgs {
    /// Vectors: stores, JsonVectorCollection files or their folder, CIFF, .npz or .csr files;
    /// with --bm25, texts in TSV or JSON Lines
    #[arg(long, value_name = "INPUT", num_args = 1.., required = true)]
    pub(super) input: Vec<PathBuf>,
    /// Document ids of a matrix, one a line [default: NAME-ids.txt beside it, else row numbers]
    #[arg(long, value_name = "FILE", conflicts_with = "bm25")]
    ids: Option<PathBuf>,
    /// Tokens of a matrix's columns, one a line [default: NAME-tokens.txt, else column numbers]
    #[arg(long, value_name = "FILE", conflicts_with = "bm25")]
    vocabulary: Option<PathBuf>,
    /// The index file; an older one is replaced when the new one is complete
    #[arg(long, value_name = "INDEX.spx")]
    pub(super) output: PathBuf,
    /// Layout of the posting lists
    #[arg(long, value_enum, default_value = "fast")]
    pub(super) codec: CodecArg,
    /// Document order: input, bp (recursive graph bisection: smaller lists, better block
    /// maxima), or a file with one original ordinal a line
    #[arg(long, value_name = "input|bp|FILE", default_value = "input", value_parser = parse_order)]
    pub(super) order: OrderArg,
    /// Order as bp does, beginning with the order of this earlier index of about the same
    /// documents: as good, in a third of the time
    #[arg(long, value_name = "INDEX.spx", conflicts_with = "order")]
    pub(super) order_from: Option<PathBuf>,
    /// Adds block maxima and lists that can be read from any document on, for block_pruned: it
    /// pays from two million documents on at small k (docs/skipping.md); 0.7 bytes a posting
    #[arg(long)]
    pub(super) skip_data: bool,
    /// Weight that maps to the largest impact: auto (from the weights), or a number, which
    /// shards of one collection share
    #[arg(long, value_name = "auto|W", default_value = "auto", value_parser = parse_scale)]
    pub(super) scale: ScaleArg,
    /// Bits of an impact, 1 to 8
    #[arg(long, value_name = "BITS", default_value_t = 8)]
    pub(super) bits: u8,
    /// Resident memory to stay within: what does not fit goes to temporary files [default:
    /// half of the machine's memory]
    #[arg(long, value_name = "SIZE")]
    pub(super) memory: Option<Memory>,
    /// Folder for temporary files [default: the folder of the output]
    #[arg(long, value_name = "DIR")]
    pub(super) tmp: Option<PathBuf>,
    /// Keep the N heaviest terms of each document
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) top_per_doc: Option<u32>,
    /// Leave out postings with an impact below N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub(super) min_impact: Option<u8>,
    /// Build part I (from 0) of N equal parts of the vector stores; `splindex merge` joins
    /// them
    #[arg(long, value_name = "I/N", value_parser = parse_shard, conflicts_with = "bm25")]
    pub(super) shard: Option<Shard>,
    /// Build BM25 from texts
    #[arg(long, group = "texts")]
    pub(super) bm25: bool,
    /// Put BM25 of these texts beside the vectors: the same documents in the same order, of a
    /// sharded collection all of them. Pruning and --scale are about the vectors
    #[arg(
        long,
        value_name = "TEXT",
        num_args = 1..,
        group = "texts",
        conflicts_with = "bm25"
    )]
    pub(super) hybrid_text: Vec<PathBuf>,
    /// Values of documents for filters (docs/filters.md): JSON Lines {"id": …, key: value, …}, or TSV of
    /// id and key=value columns
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(super) attributes: Vec<PathBuf>,
    /// The same from these fields of the input, or of the texts beside it, where that is JSON Lines
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(super) attribute_fields: Vec<String>,
    #[command(flatten)]
    pub(super) bm25_args: Bm25Args,
}

/// Said of each option: a heading of the whole struct would go on to what follows it.
const BM25: &str = "BM25 (with --bm25 or --hybrid-text)";

#[derive(Debug, clap::Args)]
pub(super) struct Bm25Args {
    /// Term frequency saturation
    #[arg(long, value_name = "K1", default_value_t = 0.9, requires = "texts", help_heading = BM25)]
    pub(super) k1: f64,
    /// Length normalisation
    #[arg(long, value_name = "B", default_value_t = 0.4, requires = "texts", help_heading = BM25)]
    pub(super) b: f64,
    /// Mean document length in tokens: auto, or a number, which shards share
    #[arg(long, value_name = "auto|X", default_value = "auto", requires = "texts", help_heading = BM25)]
    pub(super) avgdl: AvgDl,
    /// Stemmer: english or none
    #[arg(long, value_name = "NAME", default_value = "english", requires = "texts", help_heading = BM25)]
    pub(super) stemmer: Stemmer,
    /// Stop words: english or none
    #[arg(long, value_name = "NAME", default_value = "english", requires = "texts", help_heading = BM25)]
    pub(super) stopwords: StopWords,
    /// TSV columns (from 1) or JSON fields that make the text, joined by a space [default: all
    /// behind the first tab; "title", then "contents" or "text"]
    #[arg(long, value_name = "LIST", requires = "texts", help_heading = BM25)]
    pub(super) fields: Option<Fields>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum CodecArg {
    /// Byte streams and bitmaps, no decoding
    Fast,
    /// Bit-packed blocks, fewest bytes
    Small,
}

#[derive(Debug, Clone)]
pub(super) enum OrderArg {
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

impl BuildArgs {
    /// Files that describe a matrix, its copy in `tmp`.
    pub(super) fn sidecars(&self, tmp: &Path) -> Sidecars {
        let (ids, vocabulary) = (self.ids.clone(), self.vocabulary.clone());
        Sidecars { ids, vocabulary, tmp: Some(tmp.to_owned()) }
    }
}

impl BuildArgs {
    /// Where attributes come from: the files of them, then fields of the documents.
    pub(super) fn attribute_sources(&self) -> Result<Vec<AttributeSource>> {
        let mut sources: Vec<_> =
            self.attributes.iter().cloned().map(AttributeSource::File).collect();
        if self.attribute_fields.is_empty() {
            return Ok(sources);
        }
        let lines = |path: &&PathBuf| {
            let name = path.to_string_lossy().to_ascii_lowercase();
            let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
            path.is_file() && [".jsonl", ".json", ".ndjson"].iter().any(|end| name.ends_with(end))
        };
        let before = sources.len();
        for path in self.input.iter().chain(&self.hybrid_text).filter(lines) {
            sources.push(AttributeSource::Fields(path.clone(), self.attribute_fields.clone()));
        }
        if sources.len() == before {
            return Err(Error::Usage(
                "`attribute_fields` needs documents in JSON Lines files (.jsonl), which are read a \
                 second time; give other attributes as a file to `attributes`"
                    .into(),
            ));
        }
        Ok(sources)
    }
}

impl Bm25Args {
    pub(super) fn params(&self) -> Bm25Params {
        let Bm25Args { k1, b, avgdl, stemmer, stopwords, .. } = *self;
        Bm25Params { k1, b, avgdl, stemmer, stopwords }
    }
}

/// clap wants a type of its own for parsed enums with data.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct ScaleArg(pub(in crate::cli) Scale);

pub(in crate::cli) fn parse_scale(text: &str) -> std::result::Result<ScaleArg, String> {
    if text == "auto" {
        return Ok(ScaleArg(Scale::Auto));
    }
    match text.parse::<f64>() {
        Ok(weight) if weight.is_finite() && weight > 0.0 => Ok(ScaleArg(Scale::Fixed(weight))),
        _ => Err("expected auto or a weight above 0".into()),
    }
}

pub(super) fn options(args: &BuildArgs) -> BuildOptions {
    BuildOptions {
        codec: match args.codec {
            CodecArg::Fast => Codec::Fast,
            CodecArg::Small => Codec::Small,
        },
        skip_data: args.skip_data,
        scale: args.scale.0,
        bits: args.bits,
        pruning: Pruning {
            top_per_doc: args.top_per_doc.unwrap_or(0),
            min_impact: args.min_impact.unwrap_or(1),
        },
        memory: args.memory.unwrap_or_else(Memory::of_machine),
        bisect: matches!(args.order, OrderArg::Bp) || args.order_from.is_some(),
        ..BuildOptions::default()
    }
}
