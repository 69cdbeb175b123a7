//! Queries and the algorithms that answer them.
