//! What differs between two indexes.
