//! `splindex merge`: indexes of the parts of a collection into one.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use super::progress::Bars;
use super::{Common, count, human_bytes, out};
use crate::builder::{Memory, MergeOrder, MergeReport, check_output, merge};
use crate::error::Result;
use crate::format::header::hex;
use crate::index::Index;
use crate::output::refuse_inputs;

/// Join indexes of the parts of a collection; results equal those of one build
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  splindex build --input vectors --scale 3 --shard 0/2 --output 0.spx
  splindex build --input vectors --scale 3 --shard 1/2 --output 1.spx
  splindex merge 0.spx 1.spx --output all.spx

Shards are put in the order of their documents, other indexes stay in the order given. All must \
have the same scale, analyzer, tokenizer, codec and pruning.")]
pub struct MergeArgs {
    /// Index files
    #[arg(value_name = "INDEX.spx", required = true)]
    index: Vec<PathBuf>,
    /// The merged file; an older one is replaced when the new one is complete
    #[arg(long, value_name = "INDEX.spx")]
    output: PathBuf,
    /// Document order: concat (the parts as they are) or bp (recursive graph bisection of all)
    #[arg(long, value_enum, default_value = "concat")]
    order: OrderArg,
    /// Resident memory to stay within [default: half of the machine's memory]
    #[arg(long, value_name = "SIZE")]
    memory: Option<Memory>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum OrderArg {
    Concat,
    Bp,
}

/// Runs `splindex merge`.
pub fn run(args: &MergeArgs, common: &Common) -> Result<ExitCode> {
    common.init_threads()?;
    refuse_inputs(&args.output, &args.index)?;
    check_output(&args.output)?;
    let started = Instant::now();
    let bars = Bars::new(common);
    let indexes = args.index.iter().map(|path| Index::open(path)).collect::<Result<Vec<_>>>()?;
    let order = match args.order {
        OrderArg::Concat => MergeOrder::Concat,
        OrderArg::Bp => MergeOrder::Bp,
    };
    let memory = args.memory.unwrap_or_else(Memory::of_machine);
    let report = merge(indexes, order, memory, &args.output, &bars)?;
    bars.finish();
    print(&report, args, common, started.elapsed().as_secs_f64())?;
    Ok(ExitCode::SUCCESS)
}

fn print(report: &MergeReport, args: &MergeArgs, common: &Common, seconds: f64) -> Result<()> {
    let MergeReport { meta, written, log_gap } = report;
    let content_id = hex(&written.content_id);
    if common.json {
        let json = serde_json::json!({
            "index": args.output, "content_id": content_id, "bytes": written.file_len,
            "list_bytes": written.list_bytes, "meta": meta, "log_gap": log_gap,
            "seconds": seconds,
        });
        out!("{json}");
    }
    if common.quiet {
        return Ok(());
    }
    crate::cli::tell!(
        "{}: {} from {}, {}, {}, {} ({:.3} bytes a posting without ids and lexicon), content id \
         {content_id}, {seconds:.1} s",
        args.output.display(),
        count(meta.documents, "document", "documents"),
        count(args.index.len() as u64, "index", "indexes"),
        count(meta.terms, "term", "terms"),
        count(meta.postings, "posting", "postings"),
        human_bytes(written.file_len),
        written.list_bytes as f64 / meta.postings.max(1) as f64,
    );
    if let Some([before, after]) = log_gap {
        crate::cli::tell!(
            "order: log-gap {before:.3} bits a posting in input order, {after:.3} in BP order"
        );
    }
    Ok(())
}
