//! `splindex verify`: is the file what was written?

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Common, human_bytes, out, waiting};
use crate::error::{Error, Result};
use crate::index::Index;

/// Check an index file's checksums, or everything that it promises
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  splindex verify --deep passages.spx
  splindex-query verify passages.spx

Every file is checked, whatever the ones before it were. Exit code 0 if all are sound, 1 if one \
is not, 2 if one is not there.")]
pub struct VerifyArgs {
    /// Index files
    #[arg(value_name = "INDEX.spx", required = true)]
    index: Vec<PathBuf>,
    /// Also decode every list and check order, counts and maxima
    #[arg(long)]
    deep: bool,
}

/// Runs `splindex verify`.
pub fn run(args: &VerifyArgs, common: &Common) -> Result<ExitCode> {
    common.init_threads()?;
    let (mut sound, mut unread) = (true, None);
    for path in &args.index {
        let index = match Index::open(path) {
            Ok(index) => index,
            // A file that is there and does not open is not sound: the answer is no.
            Err(error @ Error::Data(_)) if path.is_file() => {
                if common.json {
                    let faults = [super::said(&error)];
                    out!("{}", serde_json::json!({ "index": path, "faults": faults }));
                } else {
                    crate::cli::tell!("error: {}", super::said(&error));
                }
                sound = false;
                continue;
            }
            Err(error) => {
                if let Some(earlier) = unread.replace(error) {
                    crate::cli::tell!("error: {earlier}");
                }
                continue;
            }
        };
        let bar = waiting(common, "verifying");
        let report = if args.deep { index.verify_deep() } else { index.verify() };
        bar.finish();
        sound &= report.faults.is_empty();
        if common.json {
            let json = serde_json::json!({
                "index": path, "content_id": index.content_id(), "deep": args.deep,
                "faults": report.faults,
            });
            out!("{json}");
            continue;
        }
        for fault in &report.faults {
            crate::cli::tell!("{}: {fault}", path.display());
        }
        if report.faults.is_empty() && !common.quiet {
            let what = if args.deep { "checksums and content" } else { "checksums" };
            out!(
                "{}: {what} of {} sections hold, {}, content id {}",
                path.display(),
                report.sections.len(),
                human_bytes(index.file_len()),
                index.content_id(),
            );
        }
    }
    if let Some(error) = unread {
        return Err(error);
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
