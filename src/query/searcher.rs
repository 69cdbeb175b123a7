//! One thread's search state: buffers that are reused from query to query.

use super::admit::{Admit, Admitted};
use super::approximate::Approximation;
use super::buffers::emptied;
use super::counters::{Count, Counters};
use super::cursor::Cursors;
use super::kept::KeptOnly;
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
    /// Position of the document in the original input; `Index::id` has its id.
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

/// Answers queries on one index, one at a time, and reuses its buffers. It owns a handle of
/// the index. Make one a thread.
///
/// ```
/// # use splindex::{Algorithm, Builder, Query};
/// # let index = Builder::new().vectors([("d1", [("whale", 2.0)]), ("d2", [("whale", 1.0)])])?.index()?;
/// let mut searcher = index.searcher();
/// let query = Query::new(&index, 0, [("whale", 100)])?;
/// assert_eq!(searcher.search(&query, 10, Algorithm::Auto)?.len(), 2);
/// # Ok::<(), splindex::Error>(())
/// ```
pub struct Searcher {
    index: Index,
    level: SimdLevel,
    approximation: Approximation,
    /// The query as it is searched, and the terms that an approximation leaves out.
    kept: Query,
    dropped: Vec<QueryTerm>,
    /// Between queries; during one they hold lists of `index`.
    buffers: Option<Buffers<'static>>,
    hits: Vec<Hit>,
}

impl Searcher {
    /// A searcher for this machine's best instruction set.
    pub fn new(index: &Index) -> Self {
        Self::with_simd(index, SimdLevel::detect())
    }

    /// A searcher whose kernels use no more than `level`, and than this machine has.
    pub fn with_simd(index: &Index, level: SimdLevel) -> Self {
        Searcher {
            index: index.clone(),
            level: level.or_best(),
            approximation: Approximation::EXACT,
            kept: Query::default(),
            dropped: Vec::new(),
            buffers: None,
            hits: Vec::new(),
        }
    }

    /// The same searcher, whose answers from now on may leave out what `approximation`
    /// says.
    pub fn approximating(mut self, approximation: Approximation) -> Self {
        self.approximation = approximation;
        self
    }

    /// The index that it searches.
    pub fn index(&self) -> &Index {
        &self.index
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
        let lists = self.kept.terms.iter().map(|t| self.index.list(t.term));
        counters.complete(algorithm, lists.collect::<Result<Vec<_>>>()?.iter());
        Ok((&self.hits, counters))
    }

    fn search_with<C: Count>(
        &mut self,
        query: &Query,
        k: usize,
        algorithm: Algorithm,
        count: &mut C,
    ) -> Result<Algorithm> {
        let Searcher { index, level, approximation, kept, dropped, buffers, hits } = self;
        kept.terms.clone_from(&query.terms);
        approximation.cut(index, kept, dropped);
        let (asked, candidates) = (algorithm, approximation.candidates(k));
        let limits = query.limits(index)?;
        let (algorithm, directly) = match (limits.kept, asked) {
            (Some(only), Algorithm::Auto) => costs::choose_kept(index, kept, candidates, only),
            _ => (algorithm.resolve(index, kept, candidates), false),
        };
        let most_block_terms = match (asked, algorithm) {
            (Algorithm::Auto, Algorithm::BlockPruned) => {
                costs::block_terms_of_a_scan(index, kept, candidates)
            }
            _ => u64::MAX,
        };
        algorithm.check(index)?;
        hits.clear();
        let documents = index.documents();
        let k = k.min(documents as usize);
        let none_kept = limits.kept.is_some_and(|kept| kept.len() == 0);
        if k == 0 || kept.terms.is_empty() || none_kept {
            return Ok(algorithm);
        }
        let mut walk = Walk {
            index,
            level: *level,
            approximation: *approximation,
            kept: &kept.terms,
            dropped,
            most_block_terms,
            directly,
            min_score: query.min_score,
            buffers: buffers.take().unwrap_or_else(|| Buffers::new(*level)),
            hits,
        };
        let outcome = match query.filter.is_some() || query.boost.is_some() {
            true => walk.answer(k, algorithm, limits, count),
            false => walk.answer(k, algorithm, (), count),
        };
        *buffers = Some(walk.buffers.release());
        outcome?.map_err(|Damaged| name_damage(index, query))?;
        // k compares a query, so that a damaged ORDER names no document that is not.
        match hits.iter().find(|hit| hit.ordinal >= documents) {
            None => Ok(algorithm),
            Some(hit) => Err(index.damaged_order(hit.ordinal)),
        }
    }
}

/// Everything of a query's size or of the index's that is worth keeping.
struct Buffers<'a> {
    lists: Vec<Weighted<'a>>,
    late: Vec<Weighted<'a>>,
    cursors: Cursors<'a>,
    top: TopK<'a>,
    selector: Selector<'a>,
    windowed: Windowed<'a>,
    wand: Wand,
    max_score: MaxScore<'a>,
    pruned: Pruned,
    kept_only: KeptOnly<'a>,
}

impl Buffers<'_> {
    fn new(level: SimdLevel) -> Self {
        Buffers {
            lists: Vec::new(),
            late: Vec::new(),
            cursors: Cursors::new(level),
            top: TopK::new(None),
            selector: Selector::new(None),
            windowed: Windowed::new(level),
            wand: Wand::default(),
            max_score: MaxScore::default(),
            pruned: Pruned::new(level),
            kept_only: KeptOnly::default(),
        }
    }

    fn release(self) -> Buffers<'static> {
        Buffers {
            lists: emptied(self.lists),
            late: emptied(self.late),
            cursors: self.cursors.release(),
            top: self.top.release(),
            selector: self.selector.release(),
            windowed: self.windowed.release(),
            wand: self.wand,
            max_score: self.max_score.release(),
            pruned: self.pruned,
            kept_only: self.kept_only.release(),
        }
    }
}

/// One query on its way.
struct Walk<'a, 's> {
    index: &'a Index,
    level: SimdLevel,
    approximation: Approximation,
    kept: &'s [QueryTerm],
    dropped: &'s [QueryTerm],
    /// Blocks × terms beyond which a scan is quicker than what a sweep left.
    most_block_terms: u64,
    /// Whether each kept document is asked for.
    directly: bool,
    min_score: u32,
    buffers: Buffers<'a>,
    hits: &'s mut Vec<Hit>,
}

impl<'a> Walk<'a, '_> {
    /// One step, or two: candidates by the kept terms, then their scores by all. The outer
    /// error is of a term's record, the inner one of a list's bytes.
    fn answer<A: Admit, C: Count>(
        &mut self,
        k: usize,
        algorithm: Algorithm,
        admit: A,
        count: &mut C,
    ) -> Result<Result<(), Damaged>> {
        // Records first, so that their misses do not wait for each other.
        for term in self.kept {
            prefetch_line(std::slice::from_ref(self.index.term(term.term)));
        }
        for &QueryTerm { term, weight } in self.kept {
            self.buffers.lists.push(Weighted { list: self.index.list(term)?, weight });
        }
        let order = self.index.order();
        if self.dropped.is_empty() || !self.approximation.rescore_wanted() {
            return Ok(self.run(order, (k, self.min_score), (algorithm, admit), count));
        }
        for &QueryTerm { term, weight } in self.dropped {
            self.buffers.late.push(Weighted { list: self.index.list(term)?, weight });
        }
        let candidates = self.approximation.candidates(k).min(self.index.documents() as usize);
        if let Err(damaged) = self.run(None, (candidates, 0), (algorithm, admit), count) {
            return Ok(Err(damaged));
        }
        let Buffers { late, cursors, .. } = &mut self.buffers;
        let rescored = rescore::rescore(late, cursors, order, k, self.hits, count);
        self.hits.retain(|hit| hit.score >= self.min_score);
        Ok(rescored)
    }

    /// Documents are named and ties broken by `order`, or by docid.
    fn run<A: Admit, C: Count>(
        &mut self,
        order: Option<&'a [u32]>,
        (k, min_score): (usize, u32),
        (algorithm, admit): (Algorithm, A),
        count: &mut C,
    ) -> Result<(), Damaged> {
        let Buffers {
            lists,
            cursors,
            top,
            selector,
            windowed,
            wand,
            max_score,
            pruned,
            kept_only: direct,
            ..
        } = &mut self.buffers;
        // Lists promise what all documents score, not those that a filter keeps.
        let primed = if admit.kept().is_some() { 0 } else { primed(lists, k) }.max(min_score);
        let bound = || lists.iter().map(|l| l.weight * u32::from(l.list.max_impact)).sum::<u32>();
        let most = bound() + admit.most();
        selector.set_order(order);
        top.set_order(order);
        let kept_only = match (self.directly, admit.kept()) {
            (true, Some(kept)) => kept.few(),
            _ => None,
        };
        if let Some(few) = kept_only {
            selector.reset(k, primed, most, true);
            let mut best = Admitted { best: &mut *selector, admit };
            direct.search(lists, few, cursors, &mut best, count)?;
            selector.drain_into(self.hits);
            return Ok(());
        }
        match algorithm {
            Algorithm::Auto => unreachable!("resolved by the caller"),
            Algorithm::Exhaustive => {
                return exhaustive::search(lists, order, self.level, (k, primed, admit), self.hits);
            }
            Algorithm::Windowed => {
                selector.reset(k, primed, most, true);
                windowed.search(lists, &mut Admitted { best: &mut *selector, admit })?;
                selector.drain_into(self.hits);
                return Ok(());
            }
            Algorithm::BlockPruned => {
                selector.reset(k, primed, most, false);
                let limits = (bound(), self.most_block_terms);
                let mut best = Admitted { best: &mut *selector, admit };
                if !pruned.search(lists, k, limits, &mut best, count)? {
                    // As many documents as are wanted reach what enters by now.
                    selector.reset(k, selector.enter(), most, true);
                    windowed.search(lists, &mut Admitted { best: &mut *selector, admit })?;
                }
                selector.drain_into(self.hits);
                return Ok(());
            }
            Algorithm::Wand | Algorithm::BlockMaxWand => {
                top.reset(k, primed);
                let mut best = Admitted { best: &mut *top, admit };
                let cursors = cursors.open(lists, count)?;
                if algorithm == Algorithm::Wand {
                    wand.search::<false, A, C>(cursors, &mut best, count)?;
                } else {
                    wand.search::<true, A, C>(cursors, &mut best, count)?;
                }
            }
            Algorithm::MaxScore | Algorithm::BlockMaxMaxScore => {
                top.reset(k, primed);
                let mut best = Admitted { best: &mut *top, admit };
                if algorithm == Algorithm::MaxScore {
                    max_score.search::<false, A, C>(lists, cursors, &mut best, count)?;
                } else {
                    max_score.search::<true, A, C>(lists, cursors, &mut best, count)?;
                }
            }
        }
        top.drain_into(self.hits);
        Ok(())
    }
}

/// Which list was it? Decodes the query's lists again, off the hot path.
fn name_damage(index: &Index, query: &Query) -> Error {
    let broken = query
        .terms
        .iter()
        .find(|t| index.list(t.term).map_or(true, |list| list.decode_all().is_err()));
    index.damaged(broken.unwrap_or(&query.terms[0]).term)
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
    use crate::builder::{BuildOptions, Collection, build};
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
