//! CIFF, the Common Index File Format: posting lists as protobuf messages.
//!
//! ```text
//! Header | PostingsList × num_postings_lists | DocRecord × num_docs
//! ```
//!
//! Each message stands behind its length; docids are gaps within a list, the first from
//! 0; weights are whole numbers, `tf`.
//! Specification: Lin et al. 2020, <https://github.com/osirrc/ciff>.

mod read;
mod wire;
mod write;

pub(crate) use read::Ciff;
pub(crate) use write::write;

#[cfg(test)]
mod tests;
