//! `splindex inspect`: what is in an index file.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::{Common, count, human_bytes, out, waiting};
use crate::error::{Error, Place, Result};
use crate::format::attributes::{Key, Kind};
use crate::format::terms::KTH;
use crate::index::{Index, TermId};
use crate::output::{OutputFile, refuse_inputs};
use crate::page::inspect::{model_facts, page};

/// Show what is in an index file: the whole, a term's list, a document's terms
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  splindex inspect passages.spx
  splindex inspect passages.spx --html passages.html
  splindex inspect passages.spx --term coffee
  splindex inspect passages.spx --doc p042")]
pub struct InspectArgs {
    /// The index file
    #[arg(value_name = "INDEX.spx")]
    index: PathBuf,
    /// Statistics of this token's posting list
    #[arg(long, value_name = "TOKEN", conflicts_with = "doc")]
    term: Option<String>,
    /// Terms of the document with this id, heaviest first (reads every list)
    #[arg(long, value_name = "ID")]
    doc: Option<String>,
    /// Write a page with the model, the longest lists, and plots of lists, impacts and bytes (reads
    /// every list)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["term", "doc"])]
    html: Option<PathBuf>,
}

/// Runs `splindex inspect`.
pub fn run(args: &InspectArgs, common: &Common) -> Result<ExitCode> {
    common.init_threads()?;
    let index = Index::open(&args.index)?;
    if let Some(html) = &args.html {
        refuse_inputs(html, &[&args.index])?;
        let mut file = OutputFile::create(html)?;
        let bar = waiting(common, "counting");
        let html_page = page(&index, &index.statistics()?);
        bar.finish();
        file.write_all(html_page.as_bytes()).map_err(|e| Error::io("write", html, e))?;
        file.publish()?;
    }
    match (&args.term, &args.doc) {
        (Some(token), _) => terms(&index, token, common)?,
        (None, Some(id)) => document(&index, id, common)?,
        (None, None) => whole(&index, common)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn whole(index: &Index, common: &Common) -> Result<()> {
    let meta = index.meta();
    let sections: Vec<(&str, u64)> =
        index.sections().map(|(kind, section)| (kind.label(), section.len.get())).collect();
    if common.json {
        let json = json!({
            "index": index.path(), "content_id": index.content_id(), "bytes": index.file_len(),
            "meta": meta, "provenance": index.provenance(),
            "attributes": attributes(index),
            "sections": sections.iter().copied().collect::<std::collections::BTreeMap<_, _>>(),
        });
        out!("{json}");
        return Ok(());
    }
    let provenance = index.provenance();
    out!("file        {} ({})", index.path().display(), human_bytes(index.file_len()));
    out!("content id  {}", index.content_id());
    out!("documents   {}", meta.documents);
    out!("terms       {}", meta.terms);
    out!("postings    {}", meta.postings);
    out!("codec       {}", meta.codec.name());
    out!("order       {}", if meta.reordered { "reordered" } else { "input" });
    for field in &meta.fields {
        out!(
            "field       {}, scale {:.4}, {} bits, {} postings",
            field.kind,
            field.scale,
            meta.bits,
            field.postings
        );
    }
    if meta.is_hybrid() {
        out!("hybrid      scores are {:.1} · (BM25 + h · learned)", meta.hybrid_constant);
    }
    out!("made by     {} from {}", provenance.tool, provenance.inputs.join(", "));
    if let Some(model) = provenance.model {
        out!("model");
        for (name, value) in model_facts(&model) {
            out!("  {name:<18} {value}");
        }
    }
    let keys = attributes(index);
    if !keys.is_empty() {
        out!("attributes");
        for AttributeKey { key, kind, values, entries } in keys {
            let (values, entries) =
                (count(values, "value", "values"), count(entries, "entry", "entries"));
            out!("  {key:<18} {kind}, {values}, {entries}");
        }
    }
    out!("sections");
    for (label, len) in sections {
        let share = len as f64 / meta.postings.max(1) as f64;
        out!("  {label:<14} {:>12}  {share:.3} bytes a posting", human_bytes(len));
    }
    Ok(())
}

#[derive(serde::Serialize)]
struct AttributeKey {
    key: String,
    kind: Kind,
    values: u64,
    entries: u64,
}

fn attributes(index: &Index) -> Vec<AttributeKey> {
    let key = |key: Key<'_>| AttributeKey {
        key: key.name.to_owned(),
        kind: key.kind,
        values: key.values,
        entries: key.entries,
    };
    index.attributes().iter().flat_map(|keys| keys.keys()).map(key).collect()
}

fn terms(index: &Index, token: &str, common: &Common) -> Result<()> {
    let fields = 0..index.meta().fields.len() as u8;
    let found: Vec<(u8, TermId)> =
        fields.filter_map(|field| Some((field, index.lexicon().find(field, token)?))).collect();
    if found.is_empty() {
        let problem = format!("there is no term {token:?}");
        return Err(Error::data(index.path(), Place::File, problem)
            .hint("tokens are those of the vectors; of BM25, the stemmed words"));
    }
    found.into_iter().try_for_each(|(field, id)| term(index, token, field, id, common))
}

fn term(index: &Index, token: &str, field: u8, term: TermId, common: &Common) -> Result<()> {
    let list = index.list(term)?;
    let (_, impacts) = list.decode_all().map_err(|_| index.damaged(term))?;
    let sum: u64 = impacts.iter().map(|&i| u64::from(i)).sum();
    let mean = sum as f64 / impacts.len().max(1) as f64;
    let bits = 8.0 * list.bytes.len() as f64 / f64::from(list.df.max(1));
    if common.json {
        let json = json!({
            "token": token, "field": index.meta().field_name(field), "df": list.df,
            "representation": list.representation.name(),
            "bytes": list.bytes.len(), "blocks": list.blocks(), "max_impact": list.max_impact,
            "mean_impact": mean, "kth_impacts": list.kth_impacts,
        });
        out!("{json}");
        return Ok(());
    }
    let share = 100.0 * f64::from(list.df) / f64::from(index.documents());
    out!("token        {token}");
    out!("field        {}", index.meta().field_name(field));
    out!("df           {} ({share:.3} % of the documents)", list.df);
    out!(
        "list         {}, {} bytes, {bits:.2} bits a posting, {} blocks",
        list.representation.name(),
        list.bytes.len(),
        list.blocks()
    );
    out!("impacts      largest {}, mean {mean:.2}", list.max_impact);
    for (k, impact) in KTH.iter().zip(list.kth_impacts).filter(|(_, i)| *i > 0) {
        out!("{k:>6}th      {impact}");
    }
    let maxima: Vec<u8> = (0..list.bounds()).map(|i| list.bound_max(i)).collect();
    out!("block maxima {}", profile(&maxima));
    Ok(())
}

/// Block maxima as one line of bars, lists longer than 64 blocks summarised by maxima.
fn profile(maxima: &[u8]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let step = maxima.len().div_ceil(64).max(1);
    let bar = |chunk: &[u8]| BARS[chunk.iter().copied().max().unwrap_or(0) as usize / 32];
    maxima.chunks(step).map(bar).collect()
}

fn document(index: &Index, id: &str, common: &Common) -> Result<()> {
    let Some(ordinal) = index.external_ids().find(id) else {
        return Err(Error::data(index.path(), Place::File, format!("there is no document {id:?}")));
    };
    let mut terms = document_terms(index, ordinal)?;
    terms.sort_by_key(|&(term, impact)| (std::cmp::Reverse(impact), term));
    let lexicon = index.lexicon();
    let fields: Vec<Vec<(&str, u8)>> = (0..index.meta().fields.len() as u8)
        .map(|field| {
            let named = terms.iter().map(|&(term, impact)| (lexicon.token(term), impact));
            named.filter(|((f, _), _)| *f == field).map(|((_, t), impact)| (t, impact)).collect()
        })
        .collect();
    if common.json {
        let mut json = json!({ "id": id, "ordinal": ordinal });
        for (name, named) in ["vector", "bm25"].iter().zip(fields) {
            let vector: serde_json::Map<String, serde_json::Value> =
                named.iter().map(|&(token, impact)| (token.to_owned(), impact.into())).collect();
            json[name] = vector.into();
        }
        out!("{json}");
        return Ok(());
    }
    out!("document {id} (ordinal {ordinal}): {}", count(terms.len() as u64, "term", "terms"));
    for (field, named) in (0..).zip(fields) {
        if index.meta().is_hybrid() {
            out!("{}: {} terms", index.meta().field_name(field), named.len());
        }
        for (token, impact) in named {
            out!("{impact:>4}  {token}");
        }
    }
    Ok(())
}

/// Every (term, impact) of a document. An inverted file has them only list by list.
fn document_terms(index: &Index, ordinal: u32) -> Result<Vec<(TermId, u8)>> {
    use rayon::prelude::*;
    let docid = match index.order() {
        None => ordinal,
        Some(order) => match order.iter().position(|&o| o == ordinal) {
            Some(docid) => docid as u32,
            None => {
                return Err(Error::data(index.path(), Place::File, "section ORDER is damaged")
                    .hint("run `splindex verify --deep`"));
            }
        },
    };
    let found: Vec<Option<(TermId, u8)>> = (0..index.lexicon().len())
        .into_par_iter()
        .map(|term| {
            let list = index.list(term)?;
            let impact = list.impact_of(docid).map_err(|_| index.damaged(term))?;
            Ok(impact.map(|impact| (term, impact)))
        })
        .collect::<Result<_>>()?;
    Ok(found.into_iter().flatten().collect())
}
