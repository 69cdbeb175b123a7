//! The command line: arguments, one file a command, and everything that prints.

mod common;
mod progress;

pub mod build;
#[cfg(feature = "encode")]
pub mod encode;
pub mod inspect;
pub mod search;
pub mod synth;
pub mod verify;

pub use common::{Common, exit, human_bytes, progress};
