//! From vectors to one index file: collect, quantize, order, invert, pack, write.

mod collect;
mod invert;
mod pack;

pub use collect::Collection;

use std::path::Path;

use zerocopy::IntoBytes;

use crate::error::{Error, Result};
use crate::format::writer::Written;
use crate::format::{
    BLOCK, BOUND_SIZES, Codec, Dense, FieldKind, FieldMeta, FileWriter, MAX_DOCUMENTS, Meta,
    Provenance, SectionKind, ranges,
};
use crate::progress::Progress;
use crate::quantize::{Clipping, Quantizer};

/// How weights become impacts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Scale {
    /// From the weights: kept if they are small integers, else the largest maps to the top.
    #[default]
    Auto,
    /// This weight maps to the largest impact; what shards of one collection share.
    Fixed(f64),
}

/// What a build is asked for.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Layout of posting lists.
    pub codec: Codec,
    /// Layout of frequent terms in `fast`.
    pub dense: Dense,
    /// Postings that one maximum bounds at most: 128, or 40 as in PISA's wand data.
    pub block_size: u32,
    /// Write RANGE_MAXIMA, which `range_pruned` needs.
    pub ranges: bool,
    /// How weights become impacts.
    pub scale: Scale,
    /// Bits of an impact, 1 to 8.
    pub bits: u8,
    /// Origin of the weights.
    pub field: FieldKind,
    /// What to record of the origin; the tool's version is added.
    pub provenance: Provenance,
}

impl Default for BuildOptions {
    fn default() -> Self {
        BuildOptions {
            codec: Codec::Small,
            dense: Dense::Bitmap,
            block_size: BLOCK as u32,
            ranges: false,
            scale: Scale::Auto,
            bits: 8,
            field: FieldKind::Learned,
            provenance: Provenance::default(),
        }
    }
}

/// What a build did.
#[derive(Debug, Clone)]
pub struct BuildReport {
    /// The META section.
    pub meta: Meta,
    /// Content id and length of the file.
    pub written: Written,
    /// Documents without any term.
    pub empty_documents: u64,
    /// Weights that were zero and dropped.
    pub zero_weights: u64,
}

/// Builds `target` from a collection; an older file of that name is replaced when the
/// new one is complete.
///
/// `order` gives the original ordinal of each docid, a permutation; `None` keeps input
/// order. The file's bytes depend on the collection, the order and the options only,
/// not on the number of threads.
pub fn build(
    collection: &Collection,
    order: Option<&[u32]>,
    options: &BuildOptions,
    target: &Path,
    progress: &dyn Progress,
) -> Result<BuildReport> {
    let documents = collection.len();
    if documents == 0 {
        return Err(Error::Usage("the collection is empty: there is nothing to index".into()));
    }
    if documents as u64 > MAX_DOCUMENTS {
        return Err(Error::Usage(format!(
            "{documents} documents exceed the limit of {MAX_DOCUMENTS} an index; build shards"
        )));
    }
    if !BOUND_SIZES.contains(&options.block_size) {
        return Err(Error::Usage(format!(
            "the block size is 128 or 40, found {}",
            options.block_size
        )));
    }
    let quantizer = match options.scale {
        Scale::Auto => Quantizer::auto(collection.weights(), options.bits)?,
        Scale::Fixed(weight) => Quantizer::fixed(weight, options.bits)?,
    };
    let names = collection.names().encode()?;
    let mut writer = FileWriter::create(target)?;

    let mut clipping = Clipping::default();
    let inverted = invert::invert(collection, order, &quantizer, &mut clipping, progress);
    let terms = collection.sorted_terms();
    let packed = pack::write_lists(&mut writer, &inverted, &terms, options, documents, progress)?;

    let keys: Vec<Vec<u8>> =
        terms.iter().map(|&t| [&[0], collection.tokens().token(t).as_bytes()].concat()).collect();
    writer.section(SectionKind::BlockLast, packed.last.as_bytes())?;
    writer.section(SectionKind::BlockOffset, packed.offset.as_bytes())?;
    writer.section(SectionKind::BlockMax, &packed.max)?;
    if options.block_size < BLOCK as u32 {
        writer.section(SectionKind::BoundLast, packed.bound_last.as_bytes())?;
    }
    writer.section(SectionKind::Windows, packed.windows.as_bytes())?;
    writer.section(SectionKind::Terms, packed.records.as_bytes())?;
    if options.ranges {
        writer.begin(SectionKind::RangeMaxima);
        writer.write(&ranges::header(&packed.range_ends))?;
        writer.write(&packed.ranges)?;
        writer.end()?;
    }
    let lexicon = crate::format::lexicon::encode(keys.iter().map(Vec::as_slice))?;
    writer.section(SectionKind::Lexicon, &lexicon)?;
    writer.begin(SectionKind::Names);
    names.iter().try_for_each(|part| writer.write(part))?;
    writer.end()?;
    if let Some(order) = order {
        writer.section(SectionKind::Order, order.as_bytes())?;
    }

    let meta = Meta {
        documents: documents as u64,
        postings: clipping.total,
        terms: terms.len() as u64,
        codec: options.codec,
        dense: options.dense,
        block_size: options.block_size,
        reordered: order.is_some(),
        bits: options.bits,
        fields: vec![FieldMeta::new(options.field.clone(), quantizer.scale(), clipping)],
    };
    writer.section(SectionKind::Meta, &meta.encode()?)?;
    let provenance = Provenance {
        tool: concat!("splindex ", env!("CARGO_PKG_VERSION")).into(),
        ..options.provenance.clone()
    };
    let provenance = serde_json::to_vec(&provenance)
        .map_err(|e| Error::Internal(format!("PROVENANCE does not encode: {e}")))?;
    writer.section(SectionKind::Provenance, &provenance)?;
    Ok(BuildReport {
        meta,
        written: writer.finish()?,
        empty_documents: collection.empty_documents(),
        zero_weights: collection.zero_weights(),
    })
}
