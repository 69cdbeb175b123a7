//! `splindex releases` and `splindex rollback`: what was published, and which of it counts.

use std::process::ExitCode;

use super::publish::exit_code;
use super::stop::{Watch, stopped};
use super::{Common, columns, count, human_bytes, out};
use crate::error::{Error, Result};
use crate::lifecycle::release::{CURRENT, Listed, Store};
use crate::table::Table;

/// List the releases of a store, oldest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  splindex releases s3://bucket/passages

DEST is as for publish. A manifest that is damaged is told in its place; exit code 1 if there is one.")]
pub struct ReleasesArgs {
    /// Folder or object store
    #[arg(value_name = "DEST")]
    dest: String,
}

/// Runs `splindex releases`.
pub fn list(args: &ReleasesArgs, common: &Common) -> Result<ExitCode> {
    let store = Store::open(&args.dest)?;
    let watch = Watch::new(common)?;
    let listed = store.releases(&watch);
    watch.finish();
    if let Err(Error::Stopped) = listed {
        return Ok(stopped(&watch, "nothing was changed"));
    }
    let listed = listed?;
    match common.json {
        true => listed.iter().try_for_each(print_json)?,
        false => print_table(&listed, &args.dest, common)?,
    }
    let mut damaged = false;
    for error in listed.iter().filter_map(|listed| listed.release.as_ref().err()) {
        crate::cli::tell!("error: {}", super::said(error));
        damaged = true;
    }
    Ok(ExitCode::from(u8::from(damaged)))
}

fn print_json(listed: &Listed) -> Result<()> {
    let json = match &listed.release {
        Ok(release) => serde_json::json!({
            "release": listed.id, "pointers": listed.pointers, "bytes": release.size(),
            "manifest": release.manifest,
        }),
        Err(error) => serde_json::json!({
            "release": listed.id, "pointers": listed.pointers, "error": super::said(error),
        }),
    };
    out!("{json}");
    Ok(())
}

fn print_table(listed: &[Listed], dest: &str, common: &Common) -> Result<()> {
    if listed.is_empty() {
        if !common.quiet {
            crate::cli::tell!("{dest}: no releases");
        }
        return Ok(());
    }
    let header = ["release", "pointers", "note", "parts", "documents", "bytes"];
    let mut table = Table::new(header, 3);
    for Listed { id, release, pointers } in listed {
        let pointers = pointers.join(" ");
        match release {
            Ok(release) => {
                let manifest = &release.manifest;
                table.row([
                    id.clone(),
                    pointers,
                    manifest.note.clone(),
                    manifest.parts.len().to_string(),
                    crate::table::group(manifest.documents),
                    human_bytes(release.size()),
                ]);
            }
            Err(_) => table.row([id.clone(), pointers, "damaged".into()]),
        }
    }
    super::print(&table.within(columns()))
}

/// Move a pointer to an earlier release, if its objects are all there
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  splindex rollback s3://bucket/passages
  splindex rollback s3://bucket/passages 20261129T041500123Z-1a2b3c4d5e6f

Without RELEASE the pointer goes to the release that it named before; a second time it comes back. The \
digest at the end of a release's name is enough. Exit code 1 if another program moved the pointer \
meanwhile.")]
pub struct RollbackArgs {
    /// Folder or object store, as for publish
    #[arg(value_name = "DEST")]
    dest: String,
    /// The release [default: the one that the pointer named before]
    #[arg(value_name = "RELEASE")]
    release: Option<String>,
    /// The pointer that moves
    #[arg(long, value_name = "NAME", default_value = CURRENT)]
    pointer: String,
}

/// Runs `splindex rollback`.
pub fn rollback(args: &RollbackArgs, common: &Common) -> Result<ExitCode> {
    let store = Store::open(&args.dest)?;
    let watch = Watch::new(common)?;
    let back = store.rollback(&args.pointer, args.release.as_deref(), &watch);
    watch.finish();
    if let Err(Error::Stopped) = back {
        return Ok(stopped(&watch, "`splindex releases DEST` says where the pointer is"));
    }
    let back = back?;
    let id = &back.release.id;
    if common.json {
        out!(
            "{}",
            serde_json::json!({
                "dest": args.dest, "release": id, "pointer": args.pointer, "from": back.from,
                "moved": back.outcome.is_current(),
            })
        );
    }
    if !common.quiet && back.outcome.is_current() {
        let documents = count(back.release.manifest.documents, "document", "documents");
        crate::cli::tell!("{}: {} is {id}, {documents}", args.dest, args.pointer);
    }
    Ok(exit_code(&back.outcome, &args.dest, &args.pointer, id))
}
