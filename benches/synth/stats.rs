//! What of a collection decides index size and speed, to compare synthetic with real.

use rayon::prelude::*;

use splindex::error::Result;
use splindex::order::{BpOptions, bisect, identity, log_gap};
use splindex::progress::Progress;
use splindex::quantize::{Clipping, Quantizer};
use splindex::synth::Pool;

/// Ranks whose document frequency is reported.
pub const DF_RANKS: [usize; 6] = [1, 10, 100, 1_000, 5_000, 10_000];
/// Quantiles of weights and lengths.
pub const QUANTILES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];
/// Documents of a range.
pub const RANGES: [usize; 3] = [8, 16, 64];

/// Figures of a collection.
#[derive(Debug, Clone, PartialEq)]
pub struct Stats {
    /// Number of documents.
    pub documents: u64,
    /// Number of postings.
    pub postings: u64,
    /// Different terms.
    pub terms: u64,
    /// Terms of a document, at [`QUANTILES`].
    pub lengths: [u32; 5],
    /// Share of the documents that have the term of each of [`DF_RANKS`].
    pub df_shares: [f64; 6],
    /// Weights over the largest weight, at [`QUANTILES`].
    pub weights: [f64; 5],
    /// Bits per posting in input order.
    pub gap_before: f64,
    /// Bits per posting after bisection.
    pub gap_after: f64,
    /// Queries cut to their six heaviest terms.
    pub short: QueryStats,
    /// Queries as they are.
    pub long: QueryStats,
}

/// Means over the queries that match at least 100 documents.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct QueryStats {
    /// Such queries.
    pub queries: u64,
    /// Terms that the collection has.
    pub terms: f64,
    /// Postings over documents.
    pub postings: f64,
    /// Score at rank 10 over the top score.
    pub tenth: f64,
    /// Score at rank 100 over the top score.
    pub hundredth: f64,
    /// Share of ranges of [`RANGES`] documents, in bisection order, whose maxima reach the
    /// tenth best score.
    pub survivors: [f64; 3],
}

/// Measures `pool` with `queries` (token, weight); impacts are scaled as a build would.
///
/// Memory: 8 bytes a posting beside the pool's own, and 24 bytes a document and worker.
pub fn measure(
    pool: Pool,
    queries: &[Vec<(String, u32)>],
    progress: &dyn Progress,
) -> Result<Stats> {
    let forward = pool.forward();
    let order = bisect(&forward, &BpOptions::default(), progress);
    let gap_before = log_gap(&forward, &identity(forward.len()));
    let gap_after = log_gap(&forward, &order);
    drop(forward);
    let pool = pool.reordered(&order);
    let summary = pool.weights();
    let quantizer = Quantizer::auto(summary, 8)?;
    let inverted = Inverted::new(&pool, &quantizer);
    let mut lengths: Vec<u32> =
        (0..pool.len()).map(|doc| pool.document(doc).0.len() as u32).collect();
    let mut weights = pool.all_weights().to_vec();
    let mut df: Vec<usize> = inverted.lists().map(<[_]>::len).filter(|&df| df > 0).collect();
    df.sort_unstable_by(|a, b| b.cmp(a));
    let n = f64::from(pool.len());
    let queries: Vec<Vec<(u32, u32)>> = queries
        .iter()
        .map(|q| q.iter().filter_map(|(t, w)| Some((pool.tokens().get(t)?, *w))).collect())
        .collect();
    let short: Vec<Vec<(u32, u32)>> = queries.iter().map(|q| heaviest(q, 6)).collect();
    Ok(Stats {
        documents: u64::from(pool.len()),
        postings: pool.num_postings(),
        terms: df.len() as u64,
        lengths: quantiles(&mut lengths, |a, b| a.cmp(b)),
        df_shares: DF_RANKS.map(|rank| df.get(rank - 1).map_or(0.0, |&df| df as f64 / n)),
        weights: quantiles(&mut weights, f32::total_cmp)
            .map(|w| f64::from(w) / f64::from(summary.largest)),
        gap_before,
        gap_after,
        short: inverted.all(&short),
        long: inverted.all(&queries),
    })
}

fn heaviest(query: &[(u32, u32)], terms: usize) -> Vec<(u32, u32)> {
    let mut query = query.to_vec();
    query.sort_unstable_by_key(|&(term, weight)| (std::cmp::Reverse(weight), term));
    query.truncate(terms);
    query
}

fn quantiles<T: Copy + Default>(
    values: &mut [T],
    compare: impl Fn(&T, &T) -> std::cmp::Ordering + Copy,
) -> [T; 5] {
    if values.is_empty() {
        return [T::default(); 5];
    }
    let last = (values.len() - 1) as f64;
    QUANTILES.map(|q| *values.select_nth_unstable_by((last * q).round() as usize, compare).1)
}

/// Posting lists of (docid, impact).
pub struct Inverted {
    documents: usize,
    offsets: Vec<usize>,
    postings: Vec<(u32, u8)>,
}

impl Inverted {
    /// Of all documents.
    pub fn new(pool: &Pool, quantizer: &Quantizer) -> Self {
        let mut offsets = vec![0usize; pool.tokens().len() + 1];
        for doc in 0..pool.len() {
            pool.document(doc).0.iter().for_each(|&t| offsets[t as usize + 1] += 1);
        }
        for i in 1..offsets.len() {
            offsets[i] += offsets[i - 1];
        }
        let mut next = offsets.clone();
        let mut postings = vec![(0, 0); pool.num_postings() as usize];
        let mut clipping = Clipping::default();
        for doc in 0..pool.len() {
            let (terms, weights) = pool.document(doc);
            for (&term, &weight) in terms.iter().zip(weights) {
                let place = &mut next[term as usize];
                postings[*place] = (doc, quantizer.impact(weight, &mut clipping));
                *place += 1;
            }
        }
        Inverted { documents: pool.len() as usize, offsets, postings }
    }

    fn list(&self, term: usize) -> &[(u32, u8)] {
        &self.postings[self.offsets[term]..self.offsets[term + 1]]
    }

    fn lists(&self) -> impl Iterator<Item = &[(u32, u8)]> {
        (0..self.offsets.len() - 1).map(|term| self.list(term))
    }

    fn all(&self, queries: &[Vec<(u32, u32)>]) -> QueryStats {
        let each: Vec<QueryStats> = queries.par_iter().filter_map(|q| self.one(q)).collect();
        let n = each.len().max(1) as f64;
        let mean = |f: &dyn Fn(&QueryStats) -> f64| each.iter().map(f).sum::<f64>() / n;
        QueryStats {
            queries: each.len() as u64,
            terms: mean(&|q| q.terms),
            postings: mean(&|q| q.postings),
            tenth: mean(&|q| q.tenth),
            hundredth: mean(&|q| q.hundredth),
            survivors: [0, 1, 2].map(|i| mean(&|q| q.survivors[i])),
        }
    }

    fn one(&self, query: &[(u32, u32)]) -> Option<QueryStats> {
        let mut scores = vec![0u32; self.documents];
        let mut postings = 0;
        for &(term, weight) in query {
            for &(doc, impact) in self.list(term as usize) {
                scores[doc as usize] += weight * u32::from(impact);
                postings += 1;
            }
        }
        let mut sorted: Vec<u32> = scores.into_iter().filter(|&s| s > 0).collect();
        if sorted.len() < 100 {
            return None;
        }
        let mut rank = |k: usize| *sorted.select_nth_unstable_by(k - 1, |a, b| b.cmp(a)).1;
        let (top, tenth, hundredth) = (rank(1), rank(10), rank(100));
        let share = |score: u32| f64::from(score) / f64::from(top);
        Some(QueryStats {
            queries: 1,
            terms: query.len() as f64,
            postings: postings as f64 / self.documents as f64,
            tenth: share(tenth),
            hundredth: share(hundredth),
            survivors: RANGES.map(|range| self.survivors(query, range, tenth)),
        })
    }

    /// Share of ranges whose summed maxima are no less than `threshold`.
    pub fn survivors(&self, query: &[(u32, u32)], range: usize, threshold: u32) -> f64 {
        let ranges = self.documents.div_ceil(range);
        let mut bounds = vec![0u32; ranges];
        for &(term, weight) in query {
            let groups = self
                .list(term as usize)
                .chunk_by(|a, b| a.0 as usize / range == b.0 as usize / range);
            for group in groups {
                let largest = group.iter().map(|&(_, impact)| u32::from(impact)).max();
                bounds[group[0].0 as usize / range] += weight * largest.unwrap_or(0);
            }
        }
        bounds.iter().filter(|&&bound| bound >= threshold).count() as f64 / ranges as f64
    }
}
