//! Document orders: input order, recursive graph bisection, from a file.
//!
//! An order is a permutation `order[new docid] = old ordinal`. A good one puts documents
//! that share terms next to each other, so that posting lists have small gaps and block
//! maxima mean something.
//!
//! ```text
//! ForwardBuilder ─► ForwardIndex ─► bisect ─► order ─► log_gap (what it was worth)
//! ```
//!
//! Architecture invariant: what comes out is a permutation of the ordinals, the same for any
//! number of threads; it knows terms of documents and no weights.

mod bisect;
mod costs;
mod file;
mod forward;
mod local;
mod log_gap;
mod nightly;
mod refine;

pub use bisect::{BpOptions, bisect, bisect_bytes, bisect_from};
pub use file::from_file;
pub use forward::{ForwardBuilder, ForwardIndex};
pub use log_gap::log_gap;
pub use nightly::nightly;

/// The order that changes nothing.
pub fn identity(docs: u32) -> Vec<u32> {
    (0..docs).collect()
}
