//! Text records in: TSV and JSON Lines, plain, .gz or .zst, from files or standard input.
//!
//! [`CorpusReader`] streams documents, the same for every encoder and for BM25. The parts
//! below it serve all other text readers of the crate: [`open_input`] (decompression),
//! [`Lines`] (numbered UTF-8 lines; what is no text is told by its first bytes) and [`IdSet`]
//! (duplicate ids).
//!
//! Architecture invariant: documents, queries, judgements, runs and orders are all read
//! through [`open_input`], so that each may be packed or standard input; nothing here knows
//! what a record is for.

mod attributes;
mod fields;
mod header;
mod ids;
mod input;
pub(crate) mod json;
mod lines;
mod notes;
mod reader;
pub(crate) mod sniff;
mod unpack;

pub use attributes::{AttributeReader, AttributeRecord, AttributeValue};
pub use fields::Fields;
pub use ids::IdSet;
pub use input::{BytesRead, STDIN, open_counted, open_input, total_bytes};
pub use lines::Lines;
pub use notes::Notes;
pub use reader::{CorpusReader, TextRecord, empty_collection};

pub(crate) use header::{NO_COMMAS, is_header};
pub(crate) use ids::{check_id, trim_id};
pub(crate) use input::{check_inputs, unreadable};
pub(crate) use unpack::Packing;
#[cfg(feature = "serve")]
pub(crate) use unpack::Unpacker;
