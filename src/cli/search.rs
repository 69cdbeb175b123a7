//! `splindex-query search`: answers of a query file as a run.

use super::Common;
use crate::error::Result;
use std::process::ExitCode;

/// Answer a file of queries
#[derive(Debug, clap::Args)]
pub struct SearchArgs {}

/// Runs `splindex-query search`.
pub fn run(_: &SearchArgs, _: &Common) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
