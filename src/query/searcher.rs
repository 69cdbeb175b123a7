//! One thread's search state: buffers that are reused from query to query.

use super::approximate::Approximation;
use super::counters::{Count, Counters};
use super::cursor::Cursors;
use super::kernels::prefetch_line;
use super::maxscore::MaxScore;
use super::pruned::Pruned;
use super::select::Selector;
use super::topk::TopK;
use super::wand::Wand;
use super::windowed::Windowed;
use super::{Algorithm, Query, QueryTerm, SimdLevel, costs, exhaustive, rescore};
use crate::error::{Error, Result};
use crate::format::postings::{Damaged, List};
use crate::index::Index;

/// One answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// Position of the document in the original input; `Index::names` has its id.
    pub ordinal: u32,
    /// Σ query weight × impact.
    pub score: u32,
}

/// A list with its query weight, as the algorithms take it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weighted<'a> {
    pub(super) list: List<'a>,
    pub(super) weight: u32,
}

/// Answers queries on one index, one at a time; its buffers are reused. Make one a
/// thread.
pub struct Searcher<'a> {
    index: &'a Index,
    level: SimdLevel,
    approximation: Approximation,
    /// The query as it is searched, and the terms that an approximation leaves out.
    kept: Query,
    dropped: Vec<QueryTerm>,
    lists: Vec<Weighted<'a>>,
    late: Vec<Weighted<'a>>,
    cursors: Cursors<'a>,
    top: TopK<'a>,
    selector: Selector<'a>,
    windowed: Windowed<'a>,
    wand: Wand,
    max_score: MaxScore<'a>,
    pruned: Pruned,
    /// Blocks × terms beyond which a scan is quicker than what a sweep left.
    most_block_terms: u64,
    hits: Vec<Hit>,
}

impl<'a> Searcher<'a> {
    /// A searcher for this machine's best instruction set.
    pub fn new(index: &'a Index) -> Self {
        Self::with_simd(index, SimdLevel::detect())
    }

    /// A searcher whose kernels use no more than `level`, and than this machine has.
    pub fn with_simd(index: &'a Index, level: SimdLevel) -> Self {
        let level = level.or_best();
        Searcher {
            index,
            level,
            approximation: Approximation::EXACT,
            kept: Query::default(),
            dropped: Vec::new(),
            lists: Vec::new(),
            late: Vec::new(),
            cursors: Cursors::new(level),
            top: TopK::new(index.order()),
            selector: Selector::new(index.order()),
            windowed: Windowed::new(level),
            wand: Wand::default(),
            max_score: MaxScore::default(),
            pruned: Pruned::new(level),
            most_block_terms: u64::MAX,
            hits: Vec::new(),
        }
    }

    /// The same searcher, whose answers from now on may leave out what `approximation`
    /// says.
    pub fn approximating(mut self, approximation: Approximation) -> Self {
        self.approximation = approximation;
        self
    }

    /// The `k` best documents with a score above 0, best first, ties by ordinal.
    ///
    /// # Errors
    /// The file is damaged where the query reads it, or lacks what the algorithm needs.
    pub fn search(&mut self, query: &Query, k: usize, algorithm: Algorithm) -> Result<&[Hit]> {
        self.search_with(query, k, algorithm, &mut ())?;
        Ok(&self.hits)
    }

    /// As [`search`](Self::search), and what it took. Counting costs time: measure
    /// latency without it.
    pub fn search_counted(
        &mut self,
        query: &Query,
        k: usize,
        algorithm: Algorithm,
    ) -> Result<(&[Hit], Counters)> {
        let mut counters = Counters::default();
        let algorithm = self.search_with(query, k, algorithm, &mut counters)?;
        counters.complete(algorithm, self.lists.iter().map(|l| &l.list));
        Ok((&self.hits, counters))
    }

    fn search_with<C: Count>(
        &mut self,
        query: &Query,
        k: usize,
        algorithm: Algorithm,
        count: &mut C,
    ) -> Result<Algorithm> {
        let approximation = self.approximation;
        self.kept.terms.clone_from(&query.terms);
        approximation.cut(self.index, &mut self.kept, &mut self.dropped);
        let asked = algorithm;
        let candidates = approximation.candidates(k);
        let algorithm = algorithm.resolve(self.index, &self.kept, candidates);
        self.most_block_terms = match (asked, algorithm) {
            (Algorithm::Auto, Algorithm::BlockPruned) => {
                costs::block_terms_of_a_scan(self.index, &self.kept, candidates)
            }
            _ => u64::MAX,
        };
        algorithm.check(self.index)?;
        // Records first, so that their misses do not wait for each other.
        for term in &self.kept.terms {
            prefetch_line(std::slice::from_ref(self.index.term(term.term)));
        }
        self.lists.clear();
        for &QueryTerm { term, weight } in &self.kept.terms {
            self.lists.push(Weighted { list: self.index.list(term)?, weight });
        }
        self.hits.clear();
        let documents = self.index.documents();
        let k = k.min(documents as usize);
        if k == 0 || self.lists.is_empty() {
            return Ok(algorithm);
        }
        self.answer(k, algorithm, count).map_err(|Damaged| self.name_damage(query))?;
        // k compares a query, so that a damaged ORDER names no document that is not.
        match self.hits.iter().find(|hit| hit.ordinal >= documents) {
            None => Ok(algorithm),
            Some(hit) => Err(self.index.damaged_order(hit.ordinal)),
        }
    }

    /// One step, or two: candidates by the kept terms, then their scores by all.
    fn answer<C: Count>(
        &mut self,
        k: usize,
        algorithm: Algorithm,
        count: &mut C,
    ) -> Result<(), Damaged> {
        let order = self.index.order();
        if self.dropped.is_empty() || !self.approximation.rescore_wanted() {
            return self.run(order, k, algorithm, count);
        }
        let candidates = self.approximation.candidates(k).min(self.index.documents() as usize);
        self.run(None, candidates, algorithm, count)?;
        self.late.clear();
        for &QueryTerm { term, weight } in &self.dropped {
            self.late.push(Weighted { list: self.index.list(term).map_err(|_| Damaged)?, weight });
        }
        rescore::rescore(&mut self.late, &mut self.cursors, order, k, &mut self.hits, count)
    }

    /// Documents are named and ties broken by `order`, or by docid.
    fn run<C: Count>(
        &mut self,
        order: Option<&'a [u32]>,
        k: usize,
        algorithm: Algorithm,
        count: &mut C,
    ) -> Result<(), Damaged> {
        let lists = &self.lists;
        let primed = primed(lists, k);
        self.selector.name_by(order);
        self.top.name_by(order);
        let bound = || lists.iter().map(|l| l.weight * u32::from(l.list.max_impact)).sum();
        match algorithm {
            Algorithm::Auto => unreachable!("resolved by the caller"),
            Algorithm::Exhaustive => {
                return exhaustive::search(lists, order, self.level, k, &mut self.hits);
            }
            Algorithm::Windowed => {
                self.selector.reset(k, primed, bound(), true);
                self.windowed.search(lists, &mut self.selector)?;
                self.selector.drain_into(&mut self.hits);
                return Ok(());
            }
            Algorithm::BlockPruned => {
                self.selector.reset(k, primed, bound(), false);
                let (pruned, most) = (&mut self.pruned, self.most_block_terms);
                if !pruned.search(lists, k, (bound(), most), &mut self.selector, count)? {
                    // As many documents as are wanted reach what enters by now.
                    self.selector.reset(k, self.selector.enter(), bound(), true);
                    self.windowed.search(lists, &mut self.selector)?;
                }
                self.selector.drain_into(&mut self.hits);
                return Ok(());
            }
            Algorithm::Wand => {
                self.top.reset(k, primed);
                let cursors = self.cursors.open(lists, count)?;
                self.wand.search::<false, C>(cursors, &mut self.top, count)?;
            }
            Algorithm::BlockMaxWand => {
                self.top.reset(k, primed);
                let cursors = self.cursors.open(lists, count)?;
                self.wand.search::<true, C>(cursors, &mut self.top, count)?;
            }
            Algorithm::MaxScore => {
                self.top.reset(k, primed);
                let (cursors, top) = (&mut self.cursors, &mut self.top);
                self.max_score.search::<false, C>(lists, cursors, top, count)?;
            }
            Algorithm::BlockMaxMaxScore => {
                self.top.reset(k, primed);
                let (cursors, top) = (&mut self.cursors, &mut self.top);
                self.max_score.search::<true, C>(lists, cursors, top, count)?;
            }
        }
        self.top.drain_into(&mut self.hits);
        Ok(())
    }

    /// Which list was it? Decodes the query's lists again, off the hot path.
    fn name_damage(&self, query: &Query) -> Error {
        let broken = query
            .terms
            .iter()
            .find(|t| self.index.list(t.term).map_or(true, |list| list.decode_all().is_err()));
        self.index.damaged(broken.unwrap_or(&query.terms[0]).term)
    }
}

/// A score that at least `k` documents reach: any list with that many postings promises
/// its stored k-th largest impact times its weight.
fn primed(lists: &[Weighted<'_>], k: usize) -> u32 {
    let promise = |l: &Weighted<'_>| {
        let stored = crate::format::terms::KTH.iter().position(|&stored| stored >= k);
        stored.map_or(0, |i| l.weight * u32::from(l.list.kth_impacts[i]))
    };
    lists.iter().map(promise).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::{BuildOptions, Collection, build};
    use crate::format::Codec;
    use crate::progress::Silent;

    /// Documents with terms of every representation.
    fn index(codec: Codec, dir: &tempfile::TempDir) -> Index {
        let mut collection = Collection::default();
        for d in 0..20_000u32 {
            let mut vector = vec![("everywhere".to_owned(), 1.0 + (d % 7) as f32)];
            let mut add = |name: &str, one_in: u32, weight: f32| {
                if d.wrapping_mul(2_654_435_761) >> 8 & 0xFFFF < 65_536 / one_in {
                    vector.push((name.to_owned(), weight));
                }
            };
            add("often", 3, 2.0 + (d % 5) as f32);
            add("sometimes", 20, 3.0 + (d % 11) as f32);
            add("rarely", 200, 9.0);
            let vector = vector.iter().map(|(token, weight)| (token.as_str(), *weight));
            collection.push(&d.to_string(), vector).unwrap();
        }
        let path = dir.path().join(codec.name());
        let options = BuildOptions { codec, skip_data: true, ..Default::default() };
        build(&collection, None, &options, &path, &Silent).unwrap();
        Index::open(&path).unwrap()
    }

    #[test]
    fn every_algorithm_keeps_to_the_level_of_its_searcher() {
        let dir = tempfile::tempdir().unwrap();
        for codec in [Codec::Fast, Codec::Small] {
            let index = index(codec, &dir);
            let terms = [("everywhere", 3), ("often", 50), ("sometimes", 40_000), ("rarely", 99)];
            let query = Query::new(&index, 0, terms).unwrap();
            assert_eq!(query.terms.len(), 4);
            let mut expected = None;
            for level in SimdLevel::available() {
                let mut searcher = Searcher::with_simd(&index, level);
                for &algorithm in Algorithm::ALL {
                    crate::simd::tests::USED.take();
                    let hits = searcher.search(&query, 10, algorithm).unwrap().to_vec();
                    let used = crate::simd::tests::USED.take();
                    assert!(!used.is_empty(), "{algorithm}");
                    assert!(used.iter().all(|&used| used == level), "{algorithm} {level:?}");
                    assert_eq!(*expected.get_or_insert_with(|| hits.clone()), hits, "{algorithm}");
                }
            }
        }
    }
}
