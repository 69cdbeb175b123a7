//! `splindex._engine`: what Python sees of the library. Bindings only: every rule stands in
//! `splindex`.
//!
//! Architecture invariant: Python's objects are read and made here, with its lock held; the
//! library runs without it. What the library refuses becomes an exception of `splindex._errors`.

mod arrays;
mod batch;
mod build;
mod constraints;
mod encode;
mod error;
mod evaluate;
mod feed;
mod hits;
mod index;
mod parts;
mod pool;
mod programs;
mod query;
mod release;
mod settings;
mod work;

use pyo3::prelude::*;

/// The engine of the package splindex; import that instead.
#[pymodule]
mod _engine {
    #[pymodule_export]
    use super::batch::{Batch, Queries};
    #[pymodule_export]
    use super::build::{build, convert, merge};
    #[pymodule_export]
    use super::encode::Encoder;
    #[pymodule_export]
    use super::evaluate::{compare, evaluate};
    #[pymodule_export]
    use super::hits::Hits;
    #[pymodule_export]
    use super::index::{Ids, Index};
    #[pymodule_export]
    use super::parts::{Collection, count_tokens, merge_answers, write_store};
    #[pymodule_export]
    use super::programs::run_program;
    #[pymodule_export]
    use super::query::Parts;
    #[pymodule_export]
    use super::release::{fetch_files, publish, release};
}
