//! Many queries at once.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::{Algorithm, Approximation, Hit, Query, Searcher, SimdLevel};
use crate::error::{Error, Result};
use crate::index::Index;

/// Queries that a thread answers before it looks for more.
const MOST_OF_A_PART: usize = 16;

/// How a batch is answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchOptions {
    /// Results a query.
    pub k: usize,
    /// How they are found.
    pub algorithm: Algorithm,
    /// What answers may leave out.
    pub approximation: Approximation,
    /// Best instruction set that the kernels may use.
    pub simd: SimdLevel,
    /// Threads of its own; `None` takes those of the pool that the caller runs in.
    pub threads: Option<usize>,
}

impl BatchOptions {
    /// The `k` best, exactly, by the cheapest algorithm, on the caller's pool.
    pub fn new(k: usize) -> Self {
        BatchOptions {
            k,
            algorithm: Algorithm::Auto,
            approximation: Approximation::EXACT,
            simd: SimdLevel::detect(),
            threads: None,
        }
    }
}

/// Answers of a batch, one behind the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Hits of all queries, in the queries' order.
    pub hits: Vec<Hit>,
    /// Where each query's hits begin, and the end of the last: one more than there are queries.
    pub offsets: Vec<usize>,
}

impl Batch {
    /// Number of queries.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there is no query.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Hits of a query, best first.
    ///
    /// # Panics
    /// If there is no such query.
    pub fn of(&self, query: usize) -> &[Hit] {
        &self.hits[self.offsets[query]..self.offsets[query + 1]]
    }

    /// Hits of each query.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[Hit]> {
        self.offsets.windows(2).map(|ends| &self.hits[ends[0]..ends[1]])
    }
}

impl Index {
    /// Answers many queries, on several threads; the lists are those of a [`Searcher`], whatever
    /// the number of threads.
    ///
    /// ```
    /// # use splindex::{BatchOptions, Builder};
    /// # let index = Builder::new().vectors([("d1", [("whale", 2.0)]), ("d2", [("ship", 1.0)])])?.index()?;
    /// let queries = [index.query([("whale", 1.0)])?, index.query([("ship", 1.0)])?];
    /// let batch = index.search_batch(&queries, &BatchOptions::new(10))?;
    /// assert_eq!(batch.iter().map(|hits| index.id(hits[0].ordinal)).collect::<Vec<_>>(), ["d1", "d2"]);
    /// # Ok::<(), splindex::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of searching: that of the first query that has one. No threads can be started.
    pub fn search_batch<Q: AsRef<Query> + Sync>(
        &self,
        queries: &[Q],
        options: &BatchOptions,
    ) -> Result<Batch> {
        let parts = match options.threads {
            None => answer(self, queries, options),
            Some(threads) => rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .map_err(|e| Error::Internal(format!("cannot start threads: {e}")))?
                .install(|| answer(self, queries, options)),
        };
        let mut batch = Batch { hits: Vec::new(), offsets: vec![0] };
        let parts = parts.into_iter().collect::<Result<Vec<Batch>>>()?;
        batch.hits.reserve_exact(parts.iter().map(|part| part.hits.len()).sum());
        batch.offsets.reserve_exact(queries.len());
        for part in parts {
            let before = batch.hits.len();
            batch.hits.extend(part.hits);
            batch.offsets.extend(part.offsets[1..].iter().map(|end| before + end));
        }
        Ok(batch)
    }
}

/// The answers in parts, in the queries' order, by the threads of the pool that this runs in.
fn answer<Q: AsRef<Query> + Sync>(
    index: &Index,
    queries: &[Q],
    options: &BatchOptions,
) -> Vec<Result<Batch>> {
    let BatchOptions { k, algorithm, approximation, simd, .. } = *options;
    // Small enough that no thread is left with a long last part.
    let part = (queries.len() / (4 * rayon::current_num_threads())).clamp(1, MOST_OF_A_PART);
    // As many searchers as threads: their buffers are worth many queries.
    let idle = Mutex::new(Vec::new());
    let searchers = || idle.lock().unwrap_or_else(PoisonError::into_inner);
    let answer = |queries: &[Q]| {
        let taken = searchers().pop();
        let mut searcher =
            taken.unwrap_or_else(|| Searcher::with_simd(index, simd).approximating(approximation));
        let mut batch = Batch { hits: Vec::new(), offsets: vec![0] };
        for query in queries {
            batch.hits.extend_from_slice(searcher.search(query.as_ref(), k, algorithm)?);
            batch.offsets.push(batch.hits.len());
        }
        searchers().push(searcher);
        Ok(batch)
    };
    queries.par_chunks(part).map(answer).collect()
}
