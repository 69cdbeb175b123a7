//! The sections of an index file around its posting lists; builds and merges share them.

use std::path::Path;

use zerocopy::IntoBytes;

use super::BuildOptions;
use super::pack::{self, PostingLists};
use crate::error::{Error, Result};
use crate::format::Output;
use crate::format::header::SKIP_DATA;
use crate::format::writer::Written;
use crate::format::{IndexWriter, Meta, Provenance, SectionKind, lexicon};
use crate::index::IN_MEMORY;
use crate::output::OutputFile;
use crate::progress::Progress;

/// All of an index but its lists.
pub(super) struct Assembly<'a> {
    pub(super) meta: Meta,
    /// Field byte and token of each term, in bytewise order.
    pub(super) keys: Vec<(u8, &'a [u8])>,
    /// NAMES up to the ids, and the ids.
    pub(super) names: [&'a [u8]; 2],
    pub(super) order: Option<&'a [u32]>,
    /// ATTRIBUTES; empty if there is none.
    pub(super) attributes: &'a [u8],
    pub(super) provenance: Provenance,
}

/// Where an index goes.
pub(super) enum Target<'a> {
    /// A file, which appears under its name when it is complete.
    File(&'a Path),
    /// Memory, or whatever the caller takes for it.
    Memory(&'a mut dyn Output),
}

/// Packs `lists` and writes everything to `target`.
/// `held` bytes of memory are in use.
pub(super) fn write<L: PostingLists>(
    assembly: Assembly<'_>,
    lists: L,
    options: &BuildOptions,
    target: Target<'_>,
    held: u64,
    progress: &dyn Progress,
) -> Result<Written> {
    match target {
        Target::Memory(out) => {
            write_to(assembly, lists, options, (out, Path::new(IN_MEMORY)), held, progress)
        }
        Target::File(path) => {
            let mut file = OutputFile::create(path)?;
            let name = file.target().to_owned();
            let written = write_to(assembly, lists, options, (&mut file, &name), held, progress)?;
            file.publish()?;
            Ok(written)
        }
    }
}

fn write_to<L: PostingLists>(
    assembly: Assembly<'_>,
    mut lists: L,
    options: &BuildOptions,
    (out, name): (&mut dyn Output, &Path),
    held: u64,
    progress: &dyn Progress,
) -> Result<Written> {
    let Assembly { meta, keys, names, order, attributes, provenance } = assembly;
    let mut writer = IndexWriter::new(out, name)?;
    let documents = meta.documents as u32;
    let packed = pack::write_lists(&mut writer, &mut lists, options, documents, held, progress)?;
    drop(lists);
    writer.section(SectionKind::BlockLast, packed.last.as_bytes())?;
    writer.section(SectionKind::BlockOffset, packed.offset.as_bytes())?;
    writer.section(SectionKind::BlockMax, &packed.max)?;
    writer.section(SectionKind::Windows, packed.windows.as_bytes())?;
    writer.section(SectionKind::Terms, packed.records.as_bytes())?;
    if options.skip_data {
        writer.require(SKIP_DATA);
        writer.begin(SectionKind::SkipBlocks);
        packed.skip_blocks.iter().try_for_each(|rows| writer.write(rows))?;
        writer.end()?;
        writer.begin(SectionKind::SkipRuns);
        packed.runs.iter().try_for_each(|runs| writer.write(runs.as_bytes()))?;
        writer.end()?;
    }
    drop(packed);
    writer.section(SectionKind::Lexicon, &lexicon::encode(keys.into_iter())?)?;
    writer.begin(SectionKind::Names);
    names.iter().try_for_each(|part| writer.write(part))?;
    writer.end()?;
    if let Some(order) = order {
        writer.section(SectionKind::Order, order.as_bytes())?;
    }
    if !attributes.is_empty() {
        writer.section(SectionKind::Attributes, attributes)?;
    }
    writer.section(SectionKind::Meta, &meta.encode()?)?;
    let provenance =
        Provenance { tool: concat!("splindex ", env!("CARGO_PKG_VERSION")).into(), ..provenance };
    let provenance = serde_json::to_vec(&provenance)
        .map_err(|e| Error::Internal(format!("PROVENANCE does not encode: {e}")))?;
    writer.section(SectionKind::Provenance, &provenance)?;
    writer.finish()
}
