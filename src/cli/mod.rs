//! The command line: arguments, one file a command, and everything that prints.

mod common;
mod progress;

pub mod bench;
pub mod build;
#[cfg(feature = "encode")]
pub mod demo;
#[cfg(feature = "encode")]
pub mod encode;
pub mod eval;
pub mod inspect;
pub mod search;
#[cfg(feature = "encode")]
mod stop;
pub mod synth;
pub mod verify;

pub(crate) use common::out;
pub use common::{Common, exit, human_bytes, print, progress};
