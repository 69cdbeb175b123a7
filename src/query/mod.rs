//! Queries and the algorithms that answer them.
//!
//! Architecture invariant: every exact algorithm returns the list of
//! [`exhaustive`](Algorithm::Exhaustive): score descending, then original ordinal
//! ascending, whatever the document order, codec and number of threads.

mod admit;
mod algorithm;
mod approximate;
mod batch;
mod bounds;
mod buffers;
mod costs;
mod counters;
mod cursor;
mod exhaustive;
mod explain;
mod filter;
mod kept;
mod kernels;
mod maxscore;
pub mod partial;
mod pruned;
mod rescore;
mod score;
mod searcher;
mod select;
mod terms;
mod topk;
mod wand;
mod windowed;

pub use algorithm::{Algorithm, with_picks};
pub use approximate::Approximation;
pub use batch::{Batch, BatchOptions};
pub use costs::choose;
pub use counters::Counters;
pub use explain::{Contribution, Explainer};
pub use filter::{Boost, Comparison, Condition, Filter, Literal};
pub use kernels::SimdLevel;
pub use score::DocumentTerm;
pub use searcher::{Hit, Searcher};
pub use terms::{MAX_QUERY_WEIGHT, Query, QueryTerm};

use searcher::Weighted;
