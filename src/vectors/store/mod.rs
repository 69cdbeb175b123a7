//! The native vector store: what `encode` writes and `build` reads.
//!
//! A directory:
//!
//! | file | what |
//! |---|---|
//! | `part-00000.vec`, … | blocks of records, appended, each with its CRC (`block`) |
//! | `tokens.json` | token strings by term id |
//! | `journal.jsonl` | the plan, then a line per block that is safely on disk (`journal`) |
//! | `manifest.json` | what was done and counted; renamed into place last |
//!
//! A store without a manifest is unfinished: its writer can resume, no reader takes it.
//! Nothing in it names a time, a machine or a path, so the same work gives the same bytes.

mod block;
mod copy;
mod journal;
mod known;
mod manifest;
mod reader;
mod resume;
mod texts;
mod writer;

pub use copy::write_source;
pub use journal::BlockEntry;
pub use known::{KnownVectors, PassedOver};
pub use manifest::{
    Encoding, InputDigest, Kind, Manifest, ModelInfo, Part, Plan, Shard, Totals, WeightFormat,
};
pub use reader::StoreReader;
#[cfg(feature = "encode")]
pub(crate) use resume::{check_end, check_input};
pub use texts::{TextDigest, TextInfo};
pub use writer::{BlockInput, StoreWriter};

/// Records of a block, the unit of writing and of resuming, at most.
pub const BLOCK_RECORDS: usize = 4096;

const TOKENS: &str = "tokens.json";
const JOURNAL: &str = "journal.jsonl";
const MANIFEST: &str = "manifest.json";

fn part_name(index: usize) -> String {
    format!("part-{index:05}.vec")
}
