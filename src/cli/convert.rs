//! `splindex convert`: vectors from one format to another.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::build::{ScaleArg, parse_scale};
use super::progress::Bars;
use super::{Common, count, out};
use crate::convert::{ConvertOptions, ConvertReport, Target, convert, convert_to};
use crate::corpus::STDIN;
use crate::error::{Error, Result};
use crate::output::{folder, refuse_inputs};
use crate::vectors::sparse::Sidecars;

/// Convert vectors between formats, also out of an index
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Formats read: vector stores, JsonVectorCollection (.jsonl), CIFF, SciPy .npz in compressed \
rows, big-ann .csr, and one index; by content, also packed (.gz, .zst) and from a pipe (-). \
An index gives its impacts, a BM25 index idf × weight. CIFF and PISA hold whole numbers:
whole weights stay as they are, others are quantised as `build` does.

Memory: 1 GiB of postings at a time and some tens of bytes a document; larger collections \
take several passes over a temporary file (8 bytes a posting; --tmp).

Examples:
  splindex convert --input passages.spx --output passages.ciff
  splindex convert --input doc/doc-embeddings.npz --output - --to jsonl
  splindex convert --input vectors --output docs.npz --vocabulary vocab.txt
  splindex convert --input docs.jsonl.gz --output pisa --to pisa")]
pub struct ConvertArgs {
    /// Stores or files of vectors, in order, or one index
    #[arg(long, value_name = "INPUT", num_args = 1.., required = true)]
    input: Vec<PathBuf>,
    /// The file or, for pisa and store, the folder; - is standard output (jsonl)
    #[arg(long, value_name = "OUTPUT")]
    output: PathBuf,
    /// jsonl, ciff, npz, csr, pisa or store [default: from the output's name]
    #[arg(long, value_name = "FORMAT")]
    to: Option<Target>,
    /// Document ids of a matrix, one a line [default: NAME-ids.txt beside it, else row numbers]
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
    /// Tokens of a matrix's columns, one a line, read or written [default: NAME-tokens.txt]
    #[arg(long, value_name = "FILE")]
    vocabulary: Option<PathBuf>,
    /// For ciff and pisa: the weight that maps to the largest impact, or auto
    #[arg(long, value_name = "auto|W", default_value = "auto", value_parser = parse_scale)]
    scale: ScaleArg,
    /// Bits of an impact, 1 to 8, for ciff and pisa
    #[arg(long, value_name = "BITS", default_value_t = 8)]
    bits: u8,
    /// Field of an index with two: learned or bm25
    #[arg(long, value_name = "FIELD")]
    field: Option<String>,
    /// Folder for temporary files [default: the output's]
    #[arg(long, value_name = "DIR")]
    tmp: Option<PathBuf>,
}

/// Runs `splindex convert`.
pub fn run(args: &ConvertArgs, common: &Common) -> Result<ExitCode> {
    common.init_threads()?;
    let to_stdout = args.output == Path::new(STDIN);
    let target = match args.to {
        Some(target) => target,
        None if to_stdout => Target::Jsonl,
        None => Target::of_name(&args.output)?,
    };
    if to_stdout && target != Target::Jsonl {
        return Err(Error::Usage(format!("{target} needs a file: only jsonl goes to a pipe")));
    }
    refuse_inputs(&args.output, &args.input)?;
    let options = ConvertOptions {
        target,
        sidecars: Sidecars {
            ids: args.ids.clone(),
            vocabulary: args.vocabulary.clone(),
            tmp: args.tmp.clone().or((!to_stdout).then(|| folder(&args.output).to_owned())),
        },
        scale: args.scale.0,
        bits: args.bits,
        field: args.field.clone(),
        tmp: args.tmp.clone(),
    };
    let bars = Bars::new(common);
    let report = if to_stdout {
        let out = std::io::BufWriter::new(std::io::stdout().lock());
        match convert_to(&args.input, out, &options, &bars) {
            // A reader that has seen enough is no error.
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => {
                return Ok(ExitCode::SUCCESS);
            }
            report => report?,
        }
    } else {
        convert(&args.input, &args.output, &options, &bars)?
    };
    bars.finish();
    print(&report, args, target, common)?;
    Ok(ExitCode::SUCCESS)
}

fn print(
    report: &ConvertReport,
    args: &ConvertArgs,
    target: Target,
    common: &Common,
) -> Result<()> {
    let ConvertReport { documents, postings, zero_weights, quantized, beside, commands } = report;
    if common.json && args.output != Path::new(STDIN) {
        let json = serde_json::json!({
            "output": args.output, "format": target.to_string(), "documents": documents,
            "postings": postings, "zero_weights": zero_weights, "beside": beside,
            "scale": quantized.map(|(scale, _)| scale),
            "clipped": quantized.map(|(_, clipping)| clipping.clipped),
            "lifted": quantized.map(|(_, clipping)| clipping.lifted),
        });
        out!("{json}");
    }
    if common.quiet {
        return Ok(());
    }
    let dropped = match zero_weights {
        0 => String::new(),
        &zeros => format!(", {} dropped", count(zeros, "zero weight", "zero weights")),
    };
    crate::cli::tell!(
        "{}: {target}, {}, {}{dropped}",
        args.output.display(),
        count(*documents, "document", "documents"),
        count(*postings, "posting", "postings"),
    );
    beside.iter().for_each(|path| crate::cli::tell!("beside it: {}", path.display()));
    if let Some((scale, clipping)) = quantized {
        let share = |n: u64| 100.0 * n as f64 / clipping.total.max(1) as f64;
        crate::cli::tell!(
            "impacts: scale {scale:.4}, {:.3} % clipped at the top, {:.3} % lifted to 1",
            share(clipping.clipped),
            share(clipping.lifted)
        );
    }
    if let Some(commands) = commands {
        crate::cli::tell!(
            "PISA makes an index of it with make-index.sh, which runs:\n{}",
            commands.trim_end()
        );
    }
    Ok(())
}
