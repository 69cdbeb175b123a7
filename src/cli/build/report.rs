//! What `splindex build` says when the index is there.

use super::super::{Common, count, human_bytes, out};
use super::args::BuildArgs;
use crate::builder::{AttributeReport, BuildReport};
use crate::error::Result;
use crate::format::FieldMeta;
use crate::format::header::hex;

/// Wall time of what happens before packing, and of all.
pub(super) struct Seconds {
    pub(super) read: f64,
    pub(super) ordered: f64,
    pub(super) total: f64,
}

/// Prints the summary, and with `--json` the same as one object.
pub(super) fn print(
    report: &BuildReport,
    gaps: Option<[f64; 2]>,
    seconds: &Seconds,
    args: &BuildArgs,
    common: &Common,
) -> Result<()> {
    if common.json {
        out!("{}", json(report, gaps, seconds, args));
    }
    if common.quiet {
        return Ok(());
    }
    print_index(report, seconds, args);
    if let Some([before, after]) = gaps {
        crate::cli::tell!(
            "order: log-gap {before:.3} bits a posting in input order, {after:.3} in BP order, \
             {:.1} s",
            seconds.ordered
        );
    }
    print_rest(report);
    print_attributes(&report.attributes);
    report.meta.fields.iter().for_each(print_field);
    Ok(())
}

fn json(
    report: &BuildReport,
    gaps: Option<[f64; 2]>,
    seconds: &Seconds,
    args: &BuildArgs,
) -> serde_json::Value {
    serde_json::json!({
        "index": args.output, "content_id": hex(&report.written.content_id),
        "bytes": report.written.file_len, "list_bytes": report.written.list_bytes,
        "meta": report.meta, "empty_documents": report.empty_documents,
        "attributes": report.attributes,
        "zero_weights": report.zero_weights, "pruned": report.pruned, "log_gap": gaps,
        "spilled": {"documents": report.spilled[0], "runs": report.spilled[1]},
        "seconds": seconds.total,
        "phases": {
            "reading": seconds.read, "ordering": seconds.ordered,
            "inverting": report.seconds[0], "packing": report.seconds[1],
        },
    })
}

/// The file: what it holds, its size and its content id.
fn print_index(report: &BuildReport, seconds: &Seconds, args: &BuildArgs) {
    let BuildReport { meta, written, .. } = report;
    crate::cli::tell!(
        "{}: {} ({} empty), {}, {}, {} ({:.3} bytes a posting without ids and lexicon), content id \
         {}, {:.1} s",
        args.output.display(),
        count(meta.documents, "document", "documents"),
        report.empty_documents,
        count(meta.terms, "term", "terms"),
        count(meta.postings, "posting", "postings"),
        human_bytes(written.file_len),
        written.list_bytes as f64 / meta.postings.max(1) as f64,
        hex(&written.content_id),
        seconds.total,
    );
}

/// What was left out or lay on disk, where something was.
fn print_rest(report: &BuildReport) {
    if report.pruned > 0 {
        crate::cli::tell!(
            "pruned: {} ({:.2} %) left out",
            count(report.pruned, "posting", "postings"),
            100.0 * report.pruned as f64 / (report.pruned + report.meta.postings) as f64,
        );
    }
    if report.spilled != [0, 0] {
        crate::cli::tell!(
            "temporary files: {} of documents, {} of postings",
            human_bytes(report.spilled[0]),
            human_bytes(report.spilled[1]),
        );
    }
    if report.zero_weights > 0 {
        crate::cli::tell!("zero weights dropped: {}", report.zero_weights);
    }
}

fn print_attributes(attributes: &AttributeReport) {
    if attributes.keys > 0 {
        crate::cli::tell!(
            "attributes: {} of {}",
            count(attributes.keys, "key", "keys"),
            count(attributes.documents, "document", "documents"),
        );
    }
    if let Some(first) = &attributes.first_unknown {
        crate::cli::tell!(
            "attributes left out: {} that no document has, the first {first:?}",
            count(attributes.unknown, "id", "ids"),
        );
    }
}

fn print_field(field: &FieldMeta) {
    let share = |n: u64| 100.0 * n as f64 / (field.postings.max(1)) as f64;
    crate::cli::tell!(
        "{} impacts: scale {:.4}, {:.3} % clipped at the top, {:.3} % lifted to 1",
        field.kind.name(),
        field.scale,
        share(field.clipped),
        share(field.lifted),
    );
    // Half the weights at impact 1, or one in a hundred at the top, is no scale that
    // anybody wants.
    if 2 * field.lifted > field.postings || 100 * field.clipped > field.postings {
        crate::cli::tell!(
            "warning: scale {:.4} fits these weights badly; --scale W maps weight W to the \
             largest impact",
            field.scale
        );
    }
}
