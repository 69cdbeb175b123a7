//! The command line: arguments, one file a command, and everything that prints.

mod common;

pub use common::{Common, exit, progress};
