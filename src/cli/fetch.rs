//! `splindex fetch`: a release into a folder.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use super::stop::{Watch, stopped};
use super::{Common, count, human_bytes, out};
use crate::error::{Error, Result};
use crate::lifecycle::release::{CURRENT, Fetched, Store};

/// Fetch a release into a new folder, verified while it is read
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  splindex fetch s3://bucket/passages --output passages
  splindex-query search passages/index.spx \"a question\" --query-model passages/query-model

The folder appears when all of it is there and has the digests that the manifest says: index.spx (or \
part-0000.spx …), query-model/ and manifest.json. A fetch that was killed or stopped goes on with the same \
command. A folder that holds the release already is verified.")]
pub struct FetchArgs {
    /// Folder or object store, as for publish
    #[arg(value_name = "DEST")]
    dest: String,
    /// The release, or the digest at the end of its name [default: the one that the pointer names]
    #[arg(value_name = "RELEASE", conflicts_with = "pointer")]
    release: Option<String>,
    /// The new folder
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// The pointer that names the release
    #[arg(long, value_name = "NAME", default_value = CURRENT)]
    pointer: String,
}

/// Runs `splindex fetch`.
pub fn run(args: &FetchArgs, common: &Common) -> Result<ExitCode> {
    let started = Instant::now();
    let store = Store::open(&args.dest)?;
    let watch = Watch::new(common)?;
    let release = match &args.release {
        Some(text) => store.find(text, &watch).and_then(|id| store.release(&id, &watch)),
        None => store.pointed(&args.pointer, &watch),
    };
    let fetched = release.and_then(|release| store.fetch(&release, &args.output, &watch));
    watch.finish();
    if let Err(Error::Stopped) = fetched {
        return Ok(stopped(&watch, "the same command goes on with what was fetched"));
    }
    print(&fetched?, args, common, started.elapsed().as_secs_f64())?;
    Ok(ExitCode::SUCCESS)
}

fn print(fetched: &Fetched, args: &FetchArgs, common: &Common, seconds: f64) -> Result<()> {
    let Fetched { release, dir, parts, query_model, received, kept, .. } = fetched;
    if common.json {
        let json = serde_json::json!({
            "dest": args.dest, "release": release.id, "output": dir, "parts": parts,
            "query_model": query_model, "documents": release.manifest.documents,
            "received": received, "kept": kept, "seconds": seconds,
        });
        out!("{json}");
    }
    if !common.quiet {
        crate::cli::tell!(
            "{}: {}, {}, {} received, {} here already, {seconds:.1} s",
            dir.display(),
            release.id,
            count(release.manifest.documents, "document", "documents"),
            human_bytes(*received),
            human_bytes(*kept),
        );
    }
    Ok(())
}
