//! The engine and its library: what every algorithm, build, merge and reader promises.
//! Needs no feature.

mod approximate;
mod architecture;
mod corruption;
mod exact;
mod filters;
mod fuzz_corpus;
mod hybrid;
#[cfg(all(target_os = "linux", feature = "cli"))]
mod killed;
mod library;
#[path = "../mutations/mod.rs"]
mod mutations;
mod order_from;
#[path = "../random/mod.rs"]
mod random;
mod scale;
#[cfg(feature = "cli")]
mod synth_stats;
