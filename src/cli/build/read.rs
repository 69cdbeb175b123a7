//! Vectors, texts or both into a [`Collection`].

use std::path::{Path, PathBuf};

use super::super::progress::Bars;
use super::args::BuildArgs;
use crate::builder::{
    self, BuildOptions, Collection, Scale, analysed, check_shard, shard_meta, texts_of,
};
use crate::corpus::CorpusReader;
use crate::error::{Error, Place, Result};
use crate::format::{FieldKind, Provenance};
use crate::vectors::inputs::open_documents;
use crate::vectors::{Slice, VectorSource};

/// The documents of `--input`, with BM25 of `--hybrid-text` beside them.
pub(super) fn vectors(
    args: &BuildArgs,
    options: &mut BuildOptions,
    tmp: &Path,
    bars: &Bars<'_>,
) -> Result<Collection> {
    let mut opened = open_documents(&args.input, &args.sidecars(tmp))?;
    check_shard(&args.input[0], &opened, args.scale.0)?;
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
    let mut texts = Slice::new(texts, options.shard.doc_base, texts_of(&sources, &options.shard));
    Collection::read_hybrid(&mut sources, (first, &mut texts), options, tmp, bars)
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
    bars.warn(&notes.all());
    Ok((Box::new(source), kind))
}

fn input_names(args: &BuildArgs) -> Vec<String> {
    builder::input_names(args.input.iter().chain(&args.hybrid_text))
}
