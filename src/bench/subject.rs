//! What is measured: an index and its queries, encoded and timed on the way.

use std::path::Path;

use super::closed::on_core;
use crate::error::Result;
use crate::index::Index;
use crate::progress::Progress;
use crate::queries::QueryBuilder;
use crate::queries::file::QueryFile;
use crate::query::Query;

/// An index with its queries.
#[derive(Debug)]
pub struct Subject<'a> {
    /// Name in reports.
    pub name: String,
    /// The index.
    pub index: &'a Index,
    /// What made the queries: "weighted tokens", "BM25 analyzer" and so on.
    pub query_side: &'static str,
    /// Query ids.
    pub ids: Vec<String>,
    /// Queries, resolved against the index.
    pub queries: Vec<Query>,
    /// Best time from text to weighted tokens of each, ns; 0 where there was no text.
    pub encoding: Vec<u64>,
    /// What is to be said of the query model.
    pub warning: Option<String>,
}

/// How queries are made, and how often that is timed.
#[derive(Debug, Clone, Copy)]
pub struct QuerySide<'a> {
    /// Directory of the model for texts, where the index wants one.
    pub model: Option<&'a Path>,
    /// Weight of the learned part of a hybrid index.
    pub hybrid_weight: Option<f64>,
    /// Factor of weights that are not all integers.
    pub scale: f64,
    /// Passes after one that warms up.
    pub runs: usize,
    /// Core of the one thread that encodes.
    pub cpu: Option<usize>,
}

impl QuerySide<'_> {
    /// How many queries of `file` are prepared, over all passes.
    pub fn steps(&self, file: &QueryFile) -> u64 {
        (file.queries.len() * (self.runs + 1)) as u64
    }
}

impl<'a> Subject<'a> {
    /// Prepares all queries of `file`, [`steps`](QuerySide::steps) of `progress`, on one thread, each text as often as `how` says, and keeps
    /// its best time.
    ///
    /// # Errors
    /// A model that is missing or not the index's, a query that cannot be made.
    pub fn encode(
        name: String,
        index: &'a Index,
        file: &QueryFile,
        how: &QuerySide<'_>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let side = QueryBuilder::load(index, how.model, how.hybrid_weight)?;
        let (prepared, encoding) = on_core(how.cpu, || {
            let pass = || side.prepare_counted(file, how.scale, || progress.advance(1));
            let prepared = pass()?;
            if prepared.iter().all(|p| p.encoding.is_zero()) {
                let encoding = vec![0; prepared.len()];
                return Ok((prepared, encoding));
            }
            let mut best = vec![u64::MAX; prepared.len()];
            for _ in 0..how.runs {
                for (best, again) in best.iter_mut().zip(pass()?) {
                    *best = (*best).min(again.encoding.as_nanos() as u64);
                }
            }
            Ok((prepared, best))
        })?;
        let (ids, queries) = prepared.into_iter().map(|p| (p.id, p.query)).unzip();
        let (query_side, warning) = (side.describe(file), side.other_model_warning());
        Ok(Subject { name, index, query_side, ids, queries, encoding, warning })
    }
}
