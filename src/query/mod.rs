//! Queries and the algorithms that answer them.

mod file;

pub use file::{
    IntegerQuery, LARGEST_QUERY_WEIGHT, QueryBody, QueryFile, QueryInput, QueryKind, integer_terms,
    integer_weights, read_queries,
};
