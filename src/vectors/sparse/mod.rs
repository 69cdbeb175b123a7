//! Sparse matrices as vectors: SciPy's `.npz` in compressed rows, with an ids file, and
//! the `.csr` files of the big-ann-benchmarks.

mod npy;
mod read;
mod rows;
mod sidecar;
mod write;
mod zip;

pub use sidecar::Sidecars;

pub(crate) use read::{csr_len, open_csr, open_npz};
pub(crate) use sidecar::{beside, read_vocabulary};
pub(crate) use write::{Columns, write_csr, write_npz};

#[cfg(test)]
mod tests;
