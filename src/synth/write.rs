//! A synthetic collection on disk: a vector store and a query file.

use std::io::Write;
use std::path::Path;

use super::Generator;
use super::source::block;
use crate::error::{Error, Result};
use crate::output::OutputFile;
use crate::progress::Progress;
use crate::vectors::store::{BlockInput, Kind, Plan, StoreWriter, Totals, WeightFormat};

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
            || {
                let input = BlockInput { consumed: count, ..BlockInput::default() };
                store.write_block(&made, &input)
            },
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
    let mut out = OutputFile::create(&path)?;
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
    out.publish()?;
    Ok(terms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use crate::queries::file::{QueryKind, integer_weights, read_queries};
    use crate::synth::{Plain, Profile, SynthSource};
    use crate::vectors::store::StoreReader;
    use crate::vectors::{VectorRecord, VectorSource};

    fn made(documents: u64, threads: usize) -> (tempfile::TempDir, Plain) {
        let dir = tempfile::tempdir().unwrap();
        let plain = Plain::new(Profile::Unicoil, documents, 11);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let report = pool.install(|| write(&plain, documents, 20, dir.path(), &Silent)).unwrap();
        assert_eq!((report.totals.documents, report.queries), (documents, 20));
        (dir, plain)
    }

    #[test]
    fn the_store_and_the_query_file_hold_what_the_generator_makes() {
        let (dir, plain) = made(5000, 2);
        let mut stored = StoreReader::open(&dir.path().join(DOCUMENTS)).unwrap();
        let mut source = SynthSource::new(&plain, 5000);
        let (mut a, mut b) = (VectorRecord::default(), VectorRecord::default());
        for _ in 0..5000 {
            assert!(stored.read(&mut a).unwrap() && source.read(&mut b).unwrap());
            assert_eq!(a, b);
        }
        assert!(!stored.read(&mut a).unwrap() && !source.read(&mut b).unwrap());
        let file = read_queries(&dir.path().join(QUERIES), QueryKind::Weighted).unwrap();
        let queries = integer_weights(&file, 100.0).unwrap();
        for (ordinal, query) in queries.iter().enumerate() {
            let made = plain.query(ordinal as u64).into_iter();
            let made: Vec<_> = made.map(|(t, w)| (plain.tokens().token(t).to_owned(), w)).collect();
            assert_eq!(query.terms, made);
        }
    }

    #[test]
    fn the_bytes_are_the_same_for_any_number_of_threads() {
        let (one, _) = made(9000, 1);
        let (three, _) = made(9000, 3);
        let files = |dir: &Path| {
            let mut names: Vec<_> = std::fs::read_dir(dir.join(DOCUMENTS))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .chain([dir.join(QUERIES)])
                .collect();
            names.sort();
            names.iter().map(|path| std::fs::read(path).unwrap()).collect::<Vec<_>>()
        };
        assert!(files(one.path()) == files(three.path()));
    }

    #[test]
    fn a_store_that_is_there_is_not_written_over() {
        let (dir, plain) = made(10, 1);
        assert!(write(&plain, 10, 1, dir.path(), &Silent).is_err());
    }
}
