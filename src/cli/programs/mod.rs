//! The two programs: what stands in `src/bin/`, and what a binding's console scripts call.

#[cfg(feature = "encode")]
mod splindex;
mod splindex_query;

#[cfg(feature = "encode")]
pub use splindex::splindex;
pub use splindex_query::splindex_query;
