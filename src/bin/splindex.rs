//! `splindex`: the offline pipeline.

use std::process::ExitCode;

fn main() -> ExitCode {
    splindex::cli::programs::splindex(std::env::args_os())
}
