//! What a build records of the files that it reads, and where it may write.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use super::Scale;
use crate::error::{Error, Place, Result};
use crate::format::ShardMeta;
use crate::index::Index;
use crate::output::OutputFile;
use crate::vectors::VectorSource;
use crate::vectors::inputs::OpenedVectors;
use crate::vectors::store::Shard;

/// Says now, not after the work, that an index cannot be written there.
///
/// # Errors
/// Standard output; a file that is no index; a folder that is not there or not ours.
pub fn check_output(output: &Path) -> Result<()> {
    if output.as_os_str() == "-" {
        return Err(Error::Usage(
            "`output` must be a file: an index cannot be written to standard output".into(),
        ));
    }
    let old = std::fs::metadata(output).ok().filter(|old| old.is_file() && old.len() > 0);
    if old.is_some() && !Index::is_index_file(output) {
        let problem = "the output is there and is no index";
        return Err(
            Error::data(output, Place::File, problem).hint("remove it, or give another `output`")
        );
    }
    drop(OutputFile::create(output)?);
    Ok(())
}

/// File names without directories: a shipped index should not tell where it was built.
pub(crate) fn input_names<'p>(paths: impl IntoIterator<Item = &'p PathBuf>) -> Vec<String> {
    let name = |path: &PathBuf| {
        path.file_name().map_or_else(|| "-".into(), |name| name.to_string_lossy().into_owned())
    };
    paths.into_iter().map(name).collect()
}

/// One shard of an encoded collection becomes a shard to be merged, and only a scale that
/// all of them share lets them be; without one, the others have rather been forgotten.
pub(crate) fn check_shard(input: &Path, opened: &OpenedVectors, scale: Scale) -> Result<()> {
    let Some((Shard { index, count }, _)) = opened.shard else { return Ok(()) };
    if scale != Scale::Auto {
        return Ok(());
    }
    let problem =
        format!("expected all {count} shards of the collection, found shard {index} alone");
    Err(Error::data(input, Place::File, problem).hint(
        "give every shard, or a `scale` that all shards share, to build this one for \
         `splindex merge`",
    ))
}

/// The part of its collection that an index of `shard` is.
pub(crate) fn shard_meta(shard: Option<(Shard, u64)>) -> Result<ShardMeta> {
    let Some((Shard { index, count }, doc_base)) = shard else { return Ok(ShardMeta::default()) };
    match (u32::try_from(index), u32::try_from(count)) {
        (Ok(index), Ok(count)) => Ok(ShardMeta { index, count, doc_base }),
        _ => Err(Error::Usage(format!("`shard` {index}/{count}: at most 2^32 shards"))),
    }
}

/// How many texts go with the vectors: those of a shard, else all, so that some too many are
/// noticed.
pub(crate) fn texts_of<'s>(
    sources: &[impl Deref<Target = dyn VectorSource + 's>],
    shard: &ShardMeta,
) -> u64 {
    let last = shard.index + 1 >= shard.count;
    let known = sources.iter().map(|source| source.len_hint()).sum::<Option<u64>>();
    known.filter(|_| !last).unwrap_or(u64::MAX)
}
