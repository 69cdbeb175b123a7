//! `splindex publish`: indexes and what their queries need, to where nodes take them from.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use super::stop::{Watch, stopped};
use super::{Common, count, human_bytes, out};
use crate::error::{Error, Result};
use crate::lifecycle::release::{CURRENT, Outcome, PublishOptions, Published, Store};

/// Publish indexes as a release: to a folder or an object store, whole or not at all
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  splindex publish passages.spx /mnt/releases --query-model data/tiny --keep 7
  splindex publish 0.spx 1.spx s3://bucket/passages --note \"night of the 12th\"
  splindex publish new.spx s3://bucket/passages --pointer trial

DEST is a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX; credentials come from \
the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS, \
AZURE_STORAGE_ACCOUNT_NAME …). Several indexes are the parts of one collection. Every index is verified \
first; an object that is there already is not sent again. The pointer moves last, and only if nobody else \
moved it meanwhile: exit code 1 if somebody did, and the release is there all the same. docs/releases.md \
tells the format.")]
pub struct PublishArgs {
    /// Index files
    #[arg(value_name = "INDEX.spx", required = true)]
    index: Vec<PathBuf>,
    /// Folder or object store
    #[arg(value_name = "DEST", required = true)]
    dest: String,
    /// Folder (or hub id) of the model that answers text queries; what it needs is published too
    #[arg(long, value_name = "DIR")]
    query_model: Option<PathBuf>,
    /// The pointer that is to name the release
    #[arg(long, value_name = "NAME", default_value = CURRENT)]
    pointer: String,
    /// Remove all but the newest N releases, and those that a pointer names or named before
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// What is to be said of the release
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
}

/// Runs `splindex publish`.
pub fn run(args: &PublishArgs, common: &Common) -> Result<ExitCode> {
    common.init_threads()?;
    let started = Instant::now();
    let store = Store::open(&args.dest)?;
    let options = PublishOptions {
        indexes: args.index.clone(),
        query_model: args.query_model.clone(),
        pointer: args.pointer.clone(),
        keep: args.keep,
        note: args.note.clone(),
    };
    let watch = Watch::new(common)?;
    let published = store.publish(&options, &watch);
    watch.finish();
    if let Err(Error::Stopped) = published {
        return Ok(stopped(&watch, "what was sent is not sent again by the same command"));
    }
    let published = published?;
    print(&published, args, common, started.elapsed().as_secs_f64())?;
    Ok(exit_code(&published.outcome, &args.dest, &args.pointer, &published.release.id))
}

/// 1, and why, where another program moved the pointer.
pub(super) fn exit_code(outcome: &Outcome, dest: &str, pointer: &str, release: &str) -> ExitCode {
    let Outcome::Lost { to } = outcome else { return ExitCode::SUCCESS };
    let to = to.as_deref().unwrap_or("nothing");
    crate::cli::tell!(
        "error: {dest}: another program moved {pointer} to {to} meanwhile; `splindex rollback DEST \
         {release}` moves it to this release"
    );
    ExitCode::from(1)
}

fn print(published: &Published, args: &PublishArgs, common: &Common, seconds: f64) -> Result<()> {
    let Published { release, outcome, sent, kept, retired, notes } = published;
    if common.json {
        let json = serde_json::json!({
            "dest": args.dest, "release": release.id, "pointer": args.pointer,
            "moved": outcome.is_current(), "parts": release.manifest.parts.len(),
            "documents": release.manifest.documents, "bytes": release.size(), "sent": sent,
            "kept": kept, "retired": retired, "notes": notes, "seconds": seconds,
        });
        out!("{json}");
    }
    if common.quiet {
        return Ok(());
    }
    for note in notes {
        crate::cli::tell!("note: {}", super::said(&Error::Usage(note.clone())));
    }
    let moved = match outcome {
        Outcome::Current => format!("{} is ", args.pointer),
        Outcome::Lost { .. } => String::new(),
    };
    crate::cli::tell!(
        "{}: {moved}{}, {}, {} sent, {} there already, {seconds:.1} s",
        args.dest,
        release.id,
        count(release.manifest.documents, "document", "documents"),
        human_bytes(*sent),
        human_bytes(*kept),
    );
    if !retired.is_empty() {
        crate::cli::tell!("retired: {}", retired.join(", "));
    }
    Ok(())
}
