//! The command line: arguments, one file a command, and everything that prints.

mod common;
#[cfg(feature = "encode")]
pub mod encode;

pub use common::{Common, exit, progress};
