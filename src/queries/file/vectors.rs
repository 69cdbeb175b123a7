//! Queries as vectors: rows of a matrix, records of a store.

use std::path::Path;

use super::{QueryBody, QueryFile, QueryInput, QueryKind};
use crate::corpus::IdSet;
use crate::error::{Error, Place, Result};
use crate::vectors::{VectorRecord, VectorSource};

/// All records of `sources`, each a query of weighted tokens.
pub(super) fn read(
    path: &Path,
    sources: Vec<Box<dyn VectorSource>>,
    kind: QueryKind,
) -> Result<QueryFile> {
    if !matches!(kind, QueryKind::Auto | QueryKind::Weighted) {
        let problem = format!("`query_kind` {kind} reads lines, found a file of vectors");
        return Err(Error::data(path, Place::File, problem).hint("leave `query_kind` out"));
    }
    let file = of_sources(path, sources)?;
    if file.queries.is_empty() {
        return Err(Error::data(path, Place::File, "expected at least one query, found none"));
    }
    Ok(file)
}

/// As [`read`], also no record at all.
pub(super) fn of_sources(
    path: &Path,
    sources: Vec<Box<dyn VectorSource + '_>>,
) -> Result<QueryFile> {
    let (mut queries, mut ids) = (Vec::new(), IdSet::default());
    let mut record = VectorRecord::default();
    for mut source in sources {
        while source.read(&mut record)? {
            let line = queries.len() as u64 + 1;
            let id = std::mem::take(&mut record.id);
            if !ids.insert(&id) {
                let (file, place) = source.place().unwrap_or((path, Place::Record(line)));
                let problem = format!("expected unique query ids, found {id:?} a second time");
                return Err(Error::data(file, place, problem));
            }
            let token = |&term: &u32| source.tokens().token(term).to_owned();
            let weights = record.weights.iter().map(|&weight| f64::from(weight));
            let body = QueryBody::Weighted(record.terms.iter().map(token).zip(weights).collect());
            queries.push(QueryInput::new(id, line, body));
        }
    }
    Ok(QueryFile { path: path.to_owned(), queries, vectors: true, notes: Vec::new() })
}
