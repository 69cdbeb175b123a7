//! A synthetic collection on disk: a vector store and a query file.

use std::io::Write;
use std::path::Path;

use super::Generator;
use super::source::block;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::vectors::store::{Kind, Plan, StoreWriter, Totals, WeightFormat};

/// Name of the store inside the output directory.
pub const DOCUMENTS: &str = "documents";
/// Name of the query file inside the output directory.
pub const QUERIES: &str = "queries.tsv";

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WriteReport {
    /// Counts of the store.
    pub totals: Totals,
    /// Queries written.
    pub queries: u64,
    /// Terms of all queries.
    pub query_terms: u64,
}

/// Writes `documents` documents to `dir`/documents (a store; small integer weights take
/// two bytes each) and `queries` queries to `dir`/queries.tsv (token:weight lines).
///
/// # Errors
/// A store is there already; the disk says no. The query file appears complete or not at
/// all, and readers refuse an unfinished store.
pub fn write(
    generator: &dyn Generator,
    documents: u64,
    queries: u64,
    dir: &Path,
    progress: &dyn Progress,
) -> Result<WriteReport> {
    let format = match generator.weights().small_integers {
        true => WeightFormat::F16,
        false => WeightFormat::F32,
    };
    let plan = Plan::converted(Kind::Document, format);
    let mut store = StoreWriter::create(&dir.join(DOCUMENTS), plan, generator.tokens())?;
    progress.begin("generating", documents);
    let mut made = block(generator, 0, documents);
    let mut next = made.len() as u64;
    while !made.is_empty() {
        let count = made.len() as u64;
        // The next block is made while this one goes to disk.
        let (following, written) = rayon::join(
            || block(generator, next, documents),
            || store.write_block(&made, count, 0, Totals::default()),
        );
        written?;
        progress.advance(count);
        made = following;
        next += made.len() as u64;
    }
    let query_terms = write_queries(generator, queries, dir)?;
    let totals = store.finish()?.totals;
    Ok(WriteReport { totals, queries, query_terms })
}

fn write_queries(generator: &dyn Generator, queries: u64, dir: &Path) -> Result<u64> {
    let path = dir.join(QUERIES);
    let io = |e: std::io::Error| Error::io("write", &path, e);
    let file = tempfile::NamedTempFile::new_in(dir).map_err(io)?;
    let mut out = std::io::BufWriter::new(file);
    let mut terms = 0;
    for ordinal in 0..queries {
        write!(out, "{ordinal}\t").map_err(io)?;
        for (i, (term, weight)) in generator.query(ordinal).into_iter().enumerate() {
            let space = if i == 0 { "" } else { " " };
            write!(out, "{space}{}:{weight}", generator.tokens().token(term)).map_err(io)?;
            terms += 1;
        }
        writeln!(out).map_err(io)?;
    }
    let file = out.into_inner().map_err(|e| io(e.into_error()))?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(&path).map_err(|e| io(e.error))?;
    Ok(terms)
}
