//! Many queries at once.

use rayon::prelude::*;

use super::{Algorithm, Approximation, Hit, Query, Searcher, SimdLevel};
use crate::error::{Error, Result};
use crate::index::Index;

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
        let BatchOptions { k, algorithm, approximation, simd, threads } = *options;
        let searcher = || Searcher::with_simd(self, simd).approximating(approximation);
        let ask = |searcher: &mut Searcher, query: &Q| {
            searcher.search(query.as_ref(), k, algorithm).map(<[Hit]>::to_vec)
        };
        // A searcher's buffers are worth some queries.
        let answer = || -> Result<Vec<Vec<Hit>>> {
            queries.par_iter().with_min_len(16).map_init(searcher, ask).collect()
        };
        let lists = match threads {
            None => answer(),
            Some(threads) => rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .map_err(|e| Error::Internal(format!("cannot start threads: {e}")))?
                .install(answer),
        }?;
        let mut batch = Batch { hits: Vec::new(), offsets: vec![0] };
        batch.hits.reserve_exact(lists.iter().map(Vec::len).sum());
        for list in lists {
            batch.hits.extend(list);
            batch.offsets.push(batch.hits.len());
        }
        Ok(batch)
    }
}
