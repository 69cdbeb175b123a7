//! The bytes of an `.spx` file; docs/FORMAT.md is the specification.
//!
//! Architecture invariant: only this module knows byte offsets. Everything above it
//! sees typed slices and [`postings`] lists.

#[cfg(target_endian = "big")]
compile_error!(
    "splindex maps little-endian sections as they are; big-endian targets are unsupported"
);

pub mod attributes;
// Byte layouts, for tests and benchmarks of this package: no promise is made of them.
#[doc(hidden)]
pub mod header;
#[doc(hidden)]
pub mod layout;
pub mod lexicon;
pub mod meta;
pub mod names;
#[doc(hidden)]
pub mod postings;
#[doc(hidden)]
pub mod skip;
pub mod terms;
#[doc(hidden)]
pub mod writer;

pub use header::{Section, SectionKind};
#[doc(hidden)]
pub use layout::Layout;
pub use meta::{Codec, FieldKind, FieldMeta, HYBRID_IDF, Meta, Provenance, Pruning, ShardMeta};
pub use terms::TermRecord;
#[doc(hidden)]
pub use writer::{IndexWriter, Output};

/// Documents in one window of the `fast` codec: the accumulators of a window (32 KiB of
/// u32) stay in the L1 cache. 2^15 took 15 % longer on short queries, 7 % on long ones,
/// and saved 0.02 bytes a posting.
pub const WINDOW: u32 = 1 << 13;

/// Postings in a block: the unit that is decoded at once and has one block maximum.
pub const BLOCK: usize = 128;

/// Most documents of one index: leaves headroom above every docid for sentinels.
pub const MAX_DOCUMENTS: u64 = (1 << 32) - (1 << 16);
