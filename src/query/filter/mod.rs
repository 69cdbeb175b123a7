//! Filters: which documents may be answers, by their attributes and terms.
//!
//! A [`Condition`] is what was asked, as text, as JSON or as a tree; a [`Filter`] is the set of
//! documents of one index that satisfy it, compiled once for any number of queries; a [`Boost`] is what
//! documents get beside the score of their terms.

mod boost;
mod compile;
mod condition;
mod json;
mod kept;
mod parse;

pub use boost::Boost;
pub(super) use boost::Boosts;
pub use condition::{Comparison, Condition, Literal};
pub use kept::Filter;
pub(super) use kept::Kept;

#[cfg(test)]
mod tests;
