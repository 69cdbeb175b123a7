//! `splindex-query`: the query processor.

use std::process::ExitCode;

fn main() -> ExitCode {
    splindex::cli::programs::splindex_query(std::env::args_os())
}
