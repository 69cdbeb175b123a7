//! The command line: arguments, one file a command.
//!
//! Architecture invariant: nothing else prints, exits or reads arguments, and nothing but the
//! two programs uses it.

mod approximate;
mod common;
mod progress;

pub mod bench;
pub mod build;
pub mod convert;
#[cfg(feature = "encode")]
pub mod demo;
pub mod diff;
#[cfg(feature = "encode")]
pub mod encode;
pub mod eval;
#[cfg(feature = "publish")]
pub mod fetch;
pub mod inspect;
pub mod merge;
pub mod programs;
#[cfg(feature = "publish")]
pub mod publish;
#[cfg(feature = "publish")]
pub mod releases;
pub mod search;
#[cfg(feature = "serve")]
pub mod serve;
pub mod shell;
#[cfg(any(feature = "encode", feature = "publish"))]
mod stop;
pub mod synth;
pub mod verify;

pub use common::{Common, exit, human_bytes, parse, print, say, warn};
pub(crate) use common::{columns, count, model_not_needed, out, said, tell};
pub use progress::{Bar, progress, waiting};
