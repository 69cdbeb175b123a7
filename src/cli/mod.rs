//! The command line: arguments, one file a command, and everything that prints.

mod common;
#[cfg(feature = "encode")]
pub mod encode;
pub mod eval;
mod table;

pub use common::{Common, exit, print, progress};
pub use table::Table;
