//! What queries must know of a collection whose parts lie on other machines.

use std::path::Path;

use super::{Index, Load, Source};
use crate::error::Result;

/// Terms of a whole collection with their document frequencies and largest impacts, the number of
/// its documents and its scales: enough to make a query whose integer weights are those of one
/// index of all parts. It has neither lists nor ids.
///
/// [`builder::write_summary`](crate::builder::write_summary) makes one of all parts. An index is its own.
#[derive(Debug, Clone)]
pub struct Summary {
    index: Index,
}

impl Summary {
    /// Opens a summary, or an index that is the whole collection.
    ///
    /// # Errors
    /// As [`Index::open`].
    pub fn open(path: &Path) -> Result<Self> {
        let source = Source::open(path, Load::Mmap)?;
        Ok(Summary { index: Index::framed(path, source)? })
    }

    /// Its terms, counts and scales, for those who make queries. There may be no lists to search.
    pub(crate) fn terms(&self) -> &Index {
        &self.index
    }

    /// Documents of all parts.
    pub fn documents(&self) -> u64 {
        self.index.meta().documents
    }

    /// Whether BM25 stands beside learned weights.
    pub fn is_hybrid(&self) -> bool {
        self.index.meta().is_hybrid()
    }
}
