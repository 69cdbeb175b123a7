//! What happens to indexes from night to night.

pub mod diff;
