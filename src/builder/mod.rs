//! From vectors to one index file, within a limit of memory.
//!
//! ```text
//! sources ─► Collection: ids, tokens, documents ─► invert: runs sorted by term ─► pack ─► file
//!            (quantized, pruned; spooled to disk   (in memory, or in a file:      (in parallel, in
//!            when they do not fit)                  ranges of documents)           lexicon order)
//! ```
//!
//! Architecture invariant: whether something lies in memory or in a file, and how many
//! threads there are, never shows in the bytes that come out.

mod assemble;
mod attributes;
mod bisected;
mod collect;
mod estimate;
mod front;
mod impacts;
mod inputs;
mod invert;
mod joined;
mod memory;
mod merge;
mod pack;
pub(crate) mod parts;
mod renumber;
mod spool;
mod summary;
mod texts;

pub use attributes::{AttributeReport, AttributeSource};
pub use bisected::{Bisected, check_earlier};
pub use collect::Collection;
pub use front::{Builder, Loaded, Order};
pub use inputs::check_output;
pub use memory::Memory;
pub use merge::{MergeOrder, MergeReport, merge};
pub use summary::write_summary;
pub(crate) use texts::analysed;

#[cfg(feature = "cli")]
pub(crate) use inputs::{check_shard, input_names, shard_meta, texts_of};

use std::path::Path;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::format::writer::Written;
use crate::format::{
    Codec, FieldKind, FieldMeta, HYBRID_IDF, MAX_DOCUMENTS, Meta, Provenance, Pruning, ShardMeta,
};
use crate::progress::Progress;
use assemble::{Assembly, Target};
use impacts::Impacts;
use invert::{InvertedRuns, Room};
use renumber::Renumber;

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
    /// Write skip data, which `block_pruned` needs.
    pub skip_data: bool,
    /// How weights become impacts.
    pub scale: Scale,
    /// Bits of an impact, 1 to 8.
    pub bits: u8,
    /// Postings to leave out.
    pub pruning: Pruning,
    /// Which part of a collection this is.
    pub shard: ShardMeta,
    /// Origin of the weights.
    pub field: FieldKind,
    /// BM25 beside learned weights, for [`Collection::read_hybrid`]. Pruning leaves it as it
    /// is, and its scale is its own.
    pub hybrid: Option<FieldKind>,
    /// What to record of the origin; the tool's version is added.
    pub provenance: Provenance,
    /// Resident memory that the build may use; never shows in the result.
    pub memory: Memory,
    /// Whether [`Collection::bisect`] will be called: its memory is then checked before the
    /// documents are read.
    pub bisect: bool,
}

impl Default for BuildOptions {
    fn default() -> Self {
        BuildOptions {
            codec: Codec::default(),
            skip_data: false,
            scale: Scale::Auto,
            bits: 8,
            pruning: Pruning::default(),
            shard: ShardMeta::default(),
            field: FieldKind::Learned,
            hybrid: None,
            provenance: Provenance::default(),
            memory: Memory::UNLIMITED,
            bisect: false,
        }
    }
}

/// What a build did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BuildReport {
    /// The META section.
    pub meta: Meta,
    /// Content id and length of the file.
    pub written: Written,
    /// Documents without any term.
    pub empty_documents: u64,
    /// Weights that were zero and dropped.
    pub zero_weights: u64,
    /// What was read of attributes.
    pub attributes: AttributeReport,
    /// Postings that pruning left out.
    pub pruned: u64,
    /// Bytes of documents and of runs that went to temporary files.
    pub spilled: [u64; 2],
    /// Seconds of inverting and of packing and writing.
    pub seconds: [f64; 2],
}

/// Builds `target` from a collection; an older file of that name is replaced when the
/// new one is complete.
///
/// `order` gives the original ordinal of each docid, a permutation; `None` keeps input
/// order; anything else is refused. The file's bytes depend on the collection, the order and the options but
/// `memory` only, not on the number of threads.
///
/// Temporary files go to the folder of `target`; [`build_in`] chooses another. If the
/// collection was read under a scale and pruning of its own, those hold.
pub fn build(
    collection: &Collection,
    order: Option<&[u32]>,
    options: &BuildOptions,
    target: &Path,
    progress: &dyn Progress,
) -> Result<BuildReport> {
    check(collection, order)?;
    let tmp = crate::output::folder(target);
    let names = names(collection)?;
    let prepared = collection.with_impacts(options, progress, |impacts| {
        Prepared::new(collection, impacts, order, options, tmp, progress)
    })?;
    prepared.write(collection, &names, order, options, Target::File(target), progress)
}

/// As [`build`], with temporary files in `tmp`; frees the documents when they are inverted.
pub fn build_in(
    tmp: &Path,
    collection: Collection,
    order: Option<&[u32]>,
    options: &BuildOptions,
    target: &Path,
    progress: &dyn Progress,
) -> Result<BuildReport> {
    build_to(tmp, collection, order, options, Target::File(target), progress)
}

fn build_to(
    tmp: &Path,
    mut collection: Collection,
    order: Option<&[u32]>,
    options: &BuildOptions,
    target: Target<'_>,
    progress: &dyn Progress,
) -> Result<BuildReport> {
    check(&collection, order)?;
    let names = names(&collection)?;
    collection.make_room(order, options, tmp)?;
    let prepared = collection.with_impacts(options, progress, |impacts| {
        Prepared::new(&collection, impacts, order, options, tmp, progress)
    })?;
    collection.forget_documents();
    prepared.write(&collection, &names, order, options, target, progress)
}

fn check(collection: &Collection, order: Option<&[u32]>) -> Result<()> {
    let documents = collection.len() as u64;
    if documents == 0 {
        return Err(Error::Usage("the collection is empty: there is nothing to index".into()));
    }
    if documents > MAX_DOCUMENTS {
        return Err(Error::Usage(format!(
            "{documents} documents exceed the limit of {MAX_DOCUMENTS} an index; build shards"
        )));
    }
    if order.is_some_and(|order| !is_permutation(order, collection.len())) {
        return Err(Error::Usage(format!(
            "the order is no permutation of the {documents} ordinals"
        )));
    }
    Ok(())
}

fn is_permutation(order: &[u32], documents: usize) -> bool {
    let mut seen = vec![false; documents];
    order.len() == documents
        && order.iter().all(|&ordinal| {
            seen.get_mut(ordinal as usize).is_some_and(|seen| !std::mem::replace(seen, true))
        })
}

fn names(collection: &Collection) -> Result<Vec<u8>> {
    let names = collection.names();
    names.encode().map_err(|(a, b)| {
        Error::Usage(format!(
            "document id {:?} is used by records {} and {}; ids must be unique",
            String::from_utf8_lossy(names.get(a as usize)),
            u64::from(a) + 1,
            u64::from(b) + 1
        ))
    })
}

/// Lists ready to be packed, and all that the documents told.
struct Prepared {
    inverted: InvertedRuns,
    /// Term ids in lexicon order.
    terms: Vec<u32>,
    meta: Meta,
    report: BuildReport,
    /// Bytes in use while lists are packed.
    held: u64,
}

impl Prepared {
    fn new(
        collection: &Collection,
        impacts: &Impacts,
        order: Option<&[u32]>,
        options: &BuildOptions,
        tmp: &Path,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let started = Instant::now();
        let documents = impacts.documents as u32;
        let (terms, rank) = collect::lexicon(collection.keys(), &impacts.df);
        let frequencies: Vec<u32> = terms.iter().map(|&t| impacts.df[t as usize]).collect();
        let renumber = Renumber::new(order, documents);
        // The order and its inverse.
        let held = collection.held() + order.map_or(0, |order| 8 * order.len() as u64);
        let least = pack::least_memory(&frequencies, renumber.scratch(), (documents, options));
        options.memory.check(held + impacts.spool.in_memory(), least, "packing the lists")?;
        let left = options.memory.left(held + impacts.spool.in_memory());
        let room = Room { packing: (left - least) / 4, run: run_postings(left), tmp };
        let inverted = invert::invert(impacts, &rank, frequencies, renumber, &room, progress)?;
        let meta = meta(impacts, terms.len(), order.is_some(), options);
        let report = BuildReport {
            meta: meta.clone(),
            written: Written { content_id: [0; 16], file_len: 0, list_bytes: 0 },
            empty_documents: impacts.empty_documents,
            zero_weights: collection.zero_weights(),
            attributes: collection.attribute_report().clone(),
            pruned: impacts.pruned,
            spilled: [impacts.spool.on_disk(), inverted.on_disk()],
            seconds: [started.elapsed().as_secs_f64(), 0.0],
        };
        let held = held + inverted.in_memory();
        Ok(Prepared { inverted, terms, meta, report, held })
    }

    fn write(
        self,
        collection: &Collection,
        names: &[u8],
        order: Option<&[u32]>,
        options: &BuildOptions,
        target: Target<'_>,
        progress: &dyn Progress,
    ) -> Result<BuildReport> {
        let started = Instant::now();
        let Prepared { inverted, terms, meta, mut report, held } = self;
        let key = |&term: &u32| {
            let (&field, token) = collection.keys().token(term).as_bytes().split_first()?;
            Some((field, token))
        };
        let assembly = Assembly {
            meta,
            keys: terms.iter().filter_map(key).collect(),
            names: [names, collection.names().bytes()],
            order,
            attributes: collection.attributes(),
            provenance: options.provenance.clone(),
        };
        report.written = assemble::write(assembly, inverted, options, target, held, progress)?;
        report.seconds[1] = started.elapsed().as_secs_f64();
        Ok(report)
    }
}

/// Postings of a run on its way to disk: 4 bytes each, with room for buffers.
fn run_postings(left: u64) -> u64 {
    left.saturating_sub(8 << 20) / 4
}

fn meta(impacts: &Impacts, terms: usize, reordered: bool, options: &BuildOptions) -> Meta {
    let kinds = [Some(&options.field), options.hybrid.as_ref()].into_iter().flatten();
    let fields: Vec<FieldMeta> = kinds
        .zip(&impacts.fields)
        .map(|(kind, field)| FieldMeta::new(kind.clone(), field.quantizer.scale(), field.clipping))
        .collect();
    let hybrid_constant = fields.get(1).map_or(0.0, |bm25| HYBRID_IDF * bm25.scale);
    Meta {
        documents: impacts.documents as u64,
        postings: impacts.postings(),
        terms: terms as u64,
        codec: options.codec,
        reordered,
        bits: options.bits,
        fields,
        pruning: impacts.fields[0].pruning,
        shard: options.shard,
        hybrid_constant,
    }
}
