//! `splindex build`: vectors or texts into one index file.

mod args;
mod read;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use super::Common;
use super::progress::Bars;
use crate::builder::{Bisected, BuildOptions, Collection, build_in, check_earlier, check_output};
use crate::error::{Error, Place, Result};
use crate::format::ShardMeta;
use crate::index::Index;
use crate::order;
use crate::output::{folder, refuse_inputs};

pub use args::BuildArgs;
use args::OrderArg;
pub(super) use args::{ScaleArg, parse_scale};
use report::Seconds;

/// Runs `splindex build`.
pub fn run(args: &BuildArgs, common: &Common) -> Result<ExitCode> {
    common.init_threads()?;
    let texts = args.hybrid_text.iter().chain(&args.attributes);
    let inputs: Vec<&PathBuf> = args.input.iter().chain(texts).collect();
    let attributes = args.attribute_sources()?;
    refuse_inputs(&args.output, &inputs)?;
    check_output(&args.output)?;
    let started = Instant::now();
    let bars = Bars::new(common);
    let tmp = args.tmp.as_deref().unwrap_or_else(|| folder(&args.output));
    crate::output::check_tmp(tmp)?;
    let mut options = args::options(args);
    let earlier = args.order_from.as_deref().map(Index::open).transpose()?;
    // Said before documents are read.
    earlier.as_ref().map_or(Ok(()), check_earlier)?;
    let mut collection = if args.bm25 {
        read::texts(args, &mut options, tmp, &bars)?
    } else {
        read::vectors(args, &mut options, tmp, &bars)?
    };
    if collection.is_empty() && options.shard.count > 0 {
        let ShardMeta { index, count, .. } = options.shard;
        let problem = format!("shard {index}/{count} has no document");
        return Err(Error::data(&args.input[0], Place::File, problem)
            .hint("leave it out: build and merge take the other shards alone"));
    }
    if collection.is_empty() {
        return Err(crate::corpus::empty_collection(&args.input));
    }
    collection.read_attributes(&attributes, &options, &bars)?;
    let read = started.elapsed().as_secs_f64();
    options.provenance.order_from = earlier.as_ref().map(Index::content_id);
    let (order, gaps) = match &earlier {
        Some(earlier) => ordered(collection.bisect_from(earlier, &options, tmp, &bars)?),
        None => document_order(&args.order, &mut collection, &options, tmp, &bars)?,
    };
    let ordered = started.elapsed().as_secs_f64() - read;
    let report = build_in(tmp, collection, order.as_deref(), &options, &args.output, &bars)?;
    bars.finish();
    let seconds = Seconds { read, ordered, total: started.elapsed().as_secs_f64() };
    report::print(&report, gaps, &seconds, args, common)?;
    Ok(ExitCode::SUCCESS)
}

/// Original ordinals by docid, and what our own order is worth: bits a posting before and
/// after.
type Ordered = (Option<Vec<u32>>, Option<[f64; 2]>);

fn document_order(
    choice: &OrderArg,
    collection: &mut Collection,
    options: &BuildOptions,
    tmp: &Path,
    bars: &Bars<'_>,
) -> Result<Ordered> {
    match choice {
        OrderArg::Input => Ok((None, None)),
        OrderArg::File(path) => Ok((Some(order::from_file(path, collection.len() as u32)?), None)),
        OrderArg::Bp => Ok(ordered(collection.bisect(options, tmp, bars)?)),
    }
}

fn ordered(made: Bisected) -> Ordered {
    (Some(made.order), Some([made.gap_before, made.gap_after]))
}
