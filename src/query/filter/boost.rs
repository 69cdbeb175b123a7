//! Scores that documents get beside those of their terms.

use std::fmt;
use std::sync::Arc;

use super::Filter;
use crate::error::{Error, Result};
use crate::format::attributes::Kind;
use crate::format::postings::Damaged;
use crate::index::Index;

/// Integers that are added to the scores of documents of one index: exact, by every algorithm. A
/// document without a term of the query stays without a score. A clone costs one atomic addition.
#[derive(Clone)]
pub struct Boost(Arc<Boosts>);

/// As algorithms ask for them.
#[derive(PartialEq, Eq)]
pub(in crate::query) struct Boosts {
    content_id: [u8; 16],
    by_docid: Vec<u32>,
    most: u32,
}

impl Boost {
    /// Documents that a filter keeps get its number; those of several get the sum.
    ///
    /// # Errors
    /// A filter of another index; sums above what a score may be.
    pub fn new<'f>(
        index: &Index,
        filters: impl IntoIterator<Item = (&'f Filter, u32)>,
    ) -> Result<Self> {
        let mut by_docid = vec![0u64; index.documents() as usize];
        for (filter, more) in filters {
            let kept = filter.kept_of(index)?;
            kept.each(0, index.documents(), |docid| by_docid[docid as usize] += u64::from(more));
        }
        Self::of(index, by_docid)
    }

    /// Documents get the value of an integer key, `factor` times; those without the key, and those
    /// with a value below 0, get nothing.
    ///
    /// # Errors
    /// A key that the index does not have as integers; values above what a score may be.
    pub fn of_values(index: &Index, key: &str, factor: u32) -> Result<Self> {
        let attributes = index.attributes();
        let found = attributes.as_ref().and_then(|attributes| attributes.find(key));
        let found = found.filter(|found| found.kind == Kind::Integers).ok_or_else(|| {
            let kind = found.map_or("none of that name".to_owned(), |found| found.kind.to_string());
            Error::Usage(format!("`boost`: expected a key {key:?} of integers, found {kind}"))
        })?;
        let mut by_ordinal = vec![0u64; index.documents() as usize];
        let damaged = |Damaged| index.damaged_attributes(key);
        let column = found.column().ok_or_else(|| damaged(Damaged))?;
        let ordinals = found.at_places(0..column.ordinals().len()).map_err(damaged)?;
        for (&bits, &ordinal) in column.bits().iter().zip(ordinals) {
            let value = u64::try_from(bits as i64).unwrap_or(0);
            by_ordinal[ordinal as usize] = value.saturating_mul(factor.into());
        }
        let by_docid = match index.order() {
            None => by_ordinal,
            Some(order) => {
                let of = |&ordinal: &u32| by_ordinal.get(ordinal as usize).copied().unwrap_or(0);
                order.iter().map(of).collect()
            }
        };
        Self::of(index, by_docid)
    }

    fn of(index: &Index, by_docid: Vec<u64>) -> Result<Self> {
        let most = by_docid.iter().copied().max().unwrap_or(0);
        if most > i32::MAX as u64 {
            let largest = i32::MAX;
            return Err(Error::setting("boost", format!("at most {largest} a document"), most));
        }
        let by_docid = by_docid.into_iter().map(|boost| boost as u32).collect();
        let content_id = index.content_bytes();
        Ok(Boost(Arc::new(Boosts { content_id, by_docid, most: most as u32 })))
    }

    /// Documents get what both give.
    ///
    /// # Errors
    /// A boost of another index; sums above what a score may be.
    pub fn plus(&self, index: &Index, other: &Boost) -> Result<Self> {
        let (a, b) = (self.of_index(index)?, other.of_index(index)?);
        let sums = a.by_docid.iter().zip(&b.by_docid);
        Self::of(index, sums.map(|(&a, &b)| u64::from(a) + u64::from(b)).collect())
    }

    /// The largest number that a document gets.
    pub fn most(&self) -> u32 {
        self.0.most
    }

    /// Refuses an index that it was not made for.
    pub(in crate::query) fn of_index(&self, index: &Index) -> Result<&Boosts> {
        match self.0.content_id == index.content_bytes() {
            true => Ok(&self.0),
            false => Err(Error::Usage(
                "`boost` was made for another index than this: make it again".into(),
            )),
        }
    }
}

impl PartialEq for Boost {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for Boost {}

impl fmt::Debug for Boost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Boost(at most {})", self.0.most)
    }
}

impl Boosts {
    pub(in crate::query) fn most(&self) -> u32 {
        self.most
    }

    #[inline]
    pub(in crate::query) fn of(&self, docid: u32) -> u32 {
        self.by_docid.get(docid as usize).copied().unwrap_or(0)
    }
}
