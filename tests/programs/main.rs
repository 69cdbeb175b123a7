//! The two programs as a user runs them.

mod bad_input;
mod bench;
mod common;
mod convert;
mod deterministic;
mod diff;
mod encode;
mod filters;
mod help;
#[cfg(feature = "hub")]
mod hub;
mod hybrid;
#[cfg(feature = "publish")]
mod publish;
#[path = "../random/mod.rs"]
#[allow(dead_code)] // The other test programs use the rest of it.
mod random;
#[cfg(target_os = "linux")]
mod resources;
mod search;
#[cfg(all(target_os = "linux", feature = "serve"))]
mod serve;
