//! The same queries asked of two indexes.

use std::time::Instant;

use serde::Serialize;

use super::gate::Value;
use super::similar::{overlap, rank_biased_overlap};
use crate::error::{Error, Result};
use crate::index::Index;
use crate::progress::{Progress, advance};
use crate::queries::Prepared;
use crate::query::{Algorithm, Searcher};

/// Persistence of the rank-biased overlap.
const P: f64 = 0.9;
/// Queries that are shown with both lists.
const SHOWN: usize = 20;
/// Places of a list that is shown.
const PLACES: usize = 10;

/// How the answers of two indexes differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answers {
    /// Queries.
    pub queries: usize,
    /// Queries with the same documents in the same order, whatever their scores.
    pub identical: usize,
    /// Overlap of the first k documents, for each k that was asked for.
    pub overlap: Vec<Overlap>,
    /// Mean rank-biased overlap (p = 0.9) of the lists of the largest k.
    pub rbo: f64,
    /// Scores of documents that both lists have.
    pub scores: ScoreChange,
    /// Retrieval alone, each query once, after a pass that warmed up.
    pub latency: [Latency; 2],
    /// The queries whose lists differ most, the worst first.
    pub changed: Vec<ChangedQuery>,
    /// For each side and query its documents, where the caller wanted them.
    #[serde(skip)]
    pub rankings: Option<[Rankings; 2]>,
}

/// Query ids, each with the ids of its documents, the best first.
pub type Rankings = Vec<(String, Vec<String>)>;

/// Documents in common.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Overlap {
    /// Places that were looked at.
    pub k: usize,
    /// Mean share of them in common.
    pub mean: f64,
    /// The least share of a query.
    pub least: f64,
}

/// Scores, in the units of the weights, of documents that both lists have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ScoreChange {
    /// Pairs of scores.
    pub documents: u64,
    /// Mean change, relative to the old score.
    pub mean: f64,
    /// Mean size of the change, relative to the old score.
    pub mean_size: f64,
    /// The largest size.
    pub largest: f64,
}

/// Times of one index, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Latency {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// A query whose lists differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChangedQuery {
    /// Its id.
    pub id: String,
    /// Overlap at the largest k.
    pub overlap: f64,
    /// Rank-biased overlap.
    pub rbo: f64,
    /// The first places of the old and of the new list.
    pub lists: [Vec<Ranked>; 2],
}

/// A place of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranked {
    /// External id.
    pub id: String,
    /// In the units of the weights.
    pub score: f64,
    /// Its place in the other list, from 1; none if it is not there.
    pub other: Option<usize>,
}

/// Asks the same queries, prepared for either index, of both, with the k largest of `ks` results.
/// Equal scores stand in the order of each index's input. `rankings`: whether to keep all lists.
///
/// # Errors
/// No query, or other queries for one index than for the other; no k, or a k of 0; a damaged list.
pub fn compare_answers(
    indexes: [&Index; 2],
    queries: [&[Prepared]; 2],
    ks: &[usize],
    rankings: bool,
    progress: &dyn Progress,
) -> Result<Answers> {
    let [old, new] = queries;
    if old.is_empty() || !old.iter().map(|q| &q.id).eq(new.iter().map(|q| &q.id)) {
        return Err(Error::Usage(
            "expected the same queries for both indexes, and one at least".into(),
        ));
    }
    let k = ks.iter().copied().max().unwrap_or(0);
    if ks.contains(&0) || k == 0 {
        return Err(Error::setting("k", "1 or more", 0));
    }
    progress.begin("asking", 2 * old.len() as u64);
    let mut sides = [0, 1].map(|side| Side::new(indexes[side], queries[side], k));
    let mut sums = Sums::new(ks);
    let mut kept = rankings.then(|| [Vec::new(), Vec::new()]);
    for (at, query) in queries[0].iter().enumerate() {
        let [old, new] = &mut sides;
        let lists = [old.list(at)?, new.list(at)?];
        sums.add(&query.id, &lists);
        if let Some(kept) = &mut kept {
            for (kept, list) in kept.iter_mut().zip(lists) {
                let documents = list.into_iter().map(|(id, _)| id).collect();
                kept.push((query.id.clone(), documents));
            }
        }
        advance(progress, 1)?;
    }
    for at in 0..old.len() {
        // Each goes first as often as the other.
        for side in [at % 2, 1 - at % 2] {
            sides[side].time(at)?;
        }
        advance(progress, 1)?;
    }
    Ok(sums.answers(sides.map(|side| Latency::of(side.times)), kept))
}

/// An index that is asked.
struct Side<'a> {
    index: &'a Index,
    queries: &'a [Prepared],
    searcher: Searcher,
    k: usize,
    /// Nanoseconds.
    times: Vec<u64>,
}

impl<'a> Side<'a> {
    fn new(index: &'a Index, queries: &'a [Prepared], k: usize) -> Self {
        Side { index, queries, searcher: index.searcher(), k, times: Vec::new() }
    }

    /// Documents and scores of a query.
    fn list(&mut self, at: usize) -> Result<Vec<(String, f64)>> {
        let asked = &self.queries[at];
        let hits = self.searcher.search(&asked.query, self.k, Algorithm::Auto)?;
        let named = |hit: &crate::query::Hit| {
            (self.index.id(hit.ordinal).to_owned(), asked.weighed(hit.score))
        };
        Ok(hits.iter().map(named).collect())
    }

    fn time(&mut self, at: usize) -> Result<()> {
        let query = &self.queries[at].query;
        let start = Instant::now();
        self.searcher.search(query, self.k, Algorithm::Auto)?;
        self.times.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
        Ok(())
    }
}

impl Latency {
    fn of(mut nanos: Vec<u64>) -> Self {
        nanos.sort_unstable();
        let micros = |at: usize| nanos.get(at).map_or(0.0, |&n| n as f64 / 1e3);
        let rank = |percent: usize| micros((nanos.len() * percent).div_ceil(100).max(1) - 1);
        let sum: u64 = nanos.iter().sum();
        Latency { mean: sum as f64 / 1e3 / nanos.len().max(1) as f64, p50: rank(50), p99: rank(99) }
    }
}

/// What is added up query by query.
struct Sums {
    ks: Vec<usize>,
    queries: usize,
    identical: usize,
    overlaps: Vec<Overlap>,
    rbo: f64,
    scores: ScoreChange,
    changed: Vec<ChangedQuery>,
}

impl Sums {
    fn new(ks: &[usize]) -> Self {
        Sums {
            ks: ks.to_vec(),
            queries: 0,
            identical: 0,
            overlaps: ks.iter().map(|&k| Overlap { k, mean: 0.0, least: 1.0 }).collect(),
            rbo: 0.0,
            scores: ScoreChange::default(),
            changed: Vec::new(),
        }
    }

    fn add(&mut self, id: &str, lists: &[Vec<(String, f64)>; 2]) {
        let ids = [0, 1].map(|side| lists[side].iter().map(|(id, _)| id.as_str()).collect());
        let [old, new]: &[Vec<&str>; 2] = &ids;
        self.queries += 1;
        self.identical += usize::from(old == new);
        for sum in &mut self.overlaps {
            let found = overlap(old, new, sum.k);
            sum.mean += found;
            sum.least = sum.least.min(found);
        }
        let rbo = rank_biased_overlap(old, new, P);
        self.rbo += rbo;
        let places: [std::collections::HashMap<&str, usize>; 2] =
            [old, new].map(|ids| ids.iter().copied().zip(1..).collect());
        for (id, score) in &lists[0] {
            let Some(&place) = places[1].get(id.as_str()) else { continue };
            let change = if *score == 0.0 { 0.0 } else { lists[1][place - 1].1 / score - 1.0 };
            self.scores.documents += 1;
            self.scores.mean += change;
            self.scores.mean_size += change.abs();
            self.scores.largest = self.scores.largest.max(change.abs());
        }
        if old != new {
            let largest = self.ks.iter().copied().max().unwrap_or(0);
            self.keep(ChangedQuery {
                id: id.to_owned(),
                overlap: overlap(old, new, largest),
                rbo,
                lists: [0, 1].map(|side| shown(&lists[side], &places[1 - side])),
            });
        }
    }

    /// Keeps the query if it is among those that differ most; of equal ones the first.
    fn keep(&mut self, query: ChangedQuery) {
        let key = |query: &ChangedQuery| (query.rbo, query.overlap);
        let before = |kept: &ChangedQuery| key(kept) <= key(&query);
        let at = self.changed.partition_point(before);
        if at < SHOWN {
            self.changed.insert(at, query);
            self.changed.truncate(SHOWN);
        }
    }

    fn answers(self, latency: [Latency; 2], rankings: Option<[Rankings; 2]>) -> Answers {
        let queries = self.queries as f64;
        let of_scores = self.scores.documents.max(1) as f64;
        let mean = |sum: &Overlap| Overlap { mean: sum.mean / queries, ..*sum };
        Answers {
            queries: self.queries,
            identical: self.identical,
            overlap: self.overlaps.iter().map(mean).collect(),
            rbo: self.rbo / queries,
            scores: ScoreChange {
                mean: self.scores.mean / of_scores,
                mean_size: self.scores.mean_size / of_scores,
                ..self.scores
            },
            latency,
            changed: self.changed,
            rankings,
        }
    }
}

fn shown(list: &[(String, f64)], other: &std::collections::HashMap<&str, usize>) -> Vec<Ranked> {
    let place = |(id, score): &(String, f64)| Ranked {
        id: id.clone(),
        score: *score,
        other: other.get(id.as_str()).copied(),
    };
    list.iter().take(PLACES).map(place).collect()
}

impl Answers {
    /// What a gate can ask of.
    pub(super) fn values(&self) -> Vec<Value> {
        let overlap = |o: &Overlap| Value::share(&format!("overlap@{}", o.k), o.mean);
        let mut values: Vec<Value> = self.overlap.iter().map(overlap).collect();
        let [old, new] = &self.latency;
        let slower = |old: f64, new: f64| (new - old, Some(old));
        let numbers = [
            (self.rbo, None),
            (self.scores.mean_size, None),
            slower(old.mean, new.mean),
            slower(old.p50, new.p50),
            slower(old.p99, new.p99),
        ];
        let value = |(name, (number, of)): (&str, _)| Value { name: name.to_owned(), number, of };
        values.extend(super::ANSWERS.into_iter().zip(numbers).map(value));
        values
    }
}
