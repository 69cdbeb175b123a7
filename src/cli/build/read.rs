//! Vectors, texts or both into a [`Collection`].

use std::path::{Path, PathBuf};

use super::super::progress::Bars;
use super::args::BuildArgs;
use crate::builder::{BuildOptions, Collection, Scale, analysed};
use crate::corpus::CorpusReader;
use crate::error::{Error, Place, Result};
use crate::format::{FieldKind, Provenance, ShardMeta};
use crate::vectors::inputs::{OpenedVectors, open_documents};
use crate::vectors::store::Shard;
use crate::vectors::{Slice, VectorSource};

/// The documents of `--input`, with BM25 of `--hybrid-text` beside them.
pub(super) fn vectors(
    args: &BuildArgs,
    options: &mut BuildOptions,
    tmp: &Path,
    bars: &Bars<'_>,
) -> Result<Collection> {
    let mut opened = open_documents(&args.input, &args.sidecars(tmp))?;
    lone_shard(args, &opened)?;
    if let Some(shard) = args.shard {
        opened = opened.cut(shard)?;
    }
    options.provenance =
        Provenance { inputs: input_names(args), model: opened.model, ..Default::default() };
    options.shard = shard_meta(opened.shard)?;
    let mut sources = opened.sources;
    let Some(first) = args.hybrid_text.first() else {
        return Collection::read(&mut sources, options, tmp, bars);
    };
    let (texts, kind) = open_texts(args, &args.hybrid_text, &sources, options, tmp, bars)?;
    options.hybrid = Some(kind);
    let mut texts = Slice::new(texts, options.shard.doc_base, documents(&sources, options));
    Collection::read_hybrid(&mut sources, (first, &mut texts), options, tmp, bars)
}

/// One shard of an encoded collection becomes a shard to be merged, and only a scale that
/// all of them share lets them be; without one, the others have rather been forgotten.
fn lone_shard(args: &BuildArgs, opened: &OpenedVectors) -> Result<()> {
    let Some((Shard { index, count }, _)) = opened.shard else { return Ok(()) };
    if !matches!(args.scale.0, Scale::Auto) {
        return Ok(());
    }
    let problem =
        format!("expected all {count} shards of the collection, found shard {index} alone");
    Err(Error::data(&args.input[0], Place::File, problem).hint(
        "give every shard, or a --scale W that all shards share, to build this one for `splindex merge`",
    ))
}

/// How many texts go with the vectors: those of a shard, else all, so that some too many are
/// noticed.
fn documents(sources: &[Box<dyn VectorSource + '_>], options: &BuildOptions) -> u64 {
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

/// BM25 of the texts of `--input`.
pub(super) fn texts(
    args: &BuildArgs,
    options: &mut BuildOptions,
    tmp: &Path,
    bars: &Bars<'_>,
) -> Result<Collection> {
    if !matches!(args.scale.0, Scale::Auto) {
        return Err(Error::Usage("--scale does not go with --bm25: its scale is k1 + 1".into()));
    }
    let (source, kind) = open_texts(args, &args.input, &[], options, tmp, bars)?;
    options.scale = kind.largest_weight().map_or(Scale::Auto, Scale::Fixed);
    options.field = kind;
    options.provenance = Provenance { inputs: input_names(args), ..Default::default() };
    Collection::read(&mut [source], options, tmp, bars)
}

/// BM25 weights of the texts in `paths`, beside the vectors of `sources`, and how they are
/// made.
fn open_texts(
    args: &BuildArgs,
    paths: &[PathBuf],
    sources: &[Box<dyn VectorSource + '_>],
    options: &BuildOptions,
    tmp: &Path,
    bars: &Bars<'_>,
) -> Result<(Box<dyn VectorSource>, FieldKind)> {
    if let Some(store) = paths.iter().find(|path| path.is_dir()) {
        let problem = "expected a file of texts, found a directory";
        return Err(Error::data(store, Place::File, problem).hint(
            "BM25 is made of TSV or JSON Lines; vector stores go to --input without --bm25",
        ));
    }
    let texts = CorpusReader::open(paths, args.bm25_args.fields.as_ref())?;
    let vectors = sources.iter().map(|source| source.size()).collect::<Option<Vec<_>>>();
    let vectors = vectors.unwrap_or_default();
    let (notes, params) = (texts.notes().clone(), args.bm25_args.params());
    let (source, kind) = analysed(texts, params, &vectors, options, tmp, CorpusReader::done)?;
    bars.notes(&notes.all());
    Ok((Box::new(source), kind))
}

/// File names without directories: a shipped index should not tell where it was built.
fn input_names(args: &BuildArgs) -> Vec<String> {
    let name = |path: &PathBuf| {
        path.file_name().map_or_else(|| "-".into(), |name| name.to_string_lossy().into_owned())
    };
    args.input.iter().chain(&args.hybrid_text).map(name).collect()
}
