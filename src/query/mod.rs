//! Queries and the algorithms that answer them.
//!
//! Architecture invariant: every exact algorithm returns the list of
//! [`exhaustive`](Algorithm::Exhaustive): score descending, then original ordinal
//! ascending, whatever the document order, codec and number of threads.

mod approximate;
mod bounds;
mod costs;
mod counters;
mod cursor;
mod exhaustive;
mod explain;
pub mod file;
mod kernels;
mod maxscore;
mod ranged;
mod rescore;
mod select;
mod topk;
mod wand;
mod windowed;

pub use approximate::Approximation;
pub use costs::choose;
pub use counters::Counters;
pub use explain::{Contribution, Explainer};
pub use kernels::SimdLevel;

use std::collections::BTreeMap;

use crate::error::{Error, Place, Result};
use crate::format::postings::{Damaged, List};
use crate::index::{Index, TermId};
use counters::Count;
use cursor::Cursors;
use maxscore::MaxScore;
use ranged::Ranged;
use select::Selector;
use topk::TopK;
use wand::Wand;
use windowed::Windowed;

/// One term of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryTerm {
    /// The term in the index.
    pub term: TermId,
    /// Integer weight, ≥ 1.
    pub weight: u32,
}

/// A query against one index: known terms, each once, by term id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Terms in increasing order.
    pub terms: Vec<QueryTerm>,
    /// Tokens that the index does not have.
    pub unknown: u32,
}

/// Largest weight of one query term.
pub const MAX_QUERY_WEIGHT: u32 = 65_535;

impl Query {
    /// Looks tokens up in a field of the index. Repeated tokens are summed, zero weights
    /// dropped, unknown tokens counted.
    ///
    /// # Errors
    /// A weight above 65,535, or a query that could score above `i32::MAX`: kernels
    /// compare scores as signed numbers.
    pub fn new<'t>(
        index: &Index,
        field: u8,
        tokens: impl IntoIterator<Item = (&'t str, u32)>,
    ) -> Result<Self> {
        let lexicon = index.lexicon();
        let (mut terms, mut unknown) = (Vec::new(), 0);
        for (token, weight) in tokens {
            match lexicon.find(field, token) {
                Some(term) => terms.push(QueryTerm { term, weight }),
                None => unknown += 1,
            }
        }
        Self::of_terms(index, terms, unknown)
    }

    /// A query of terms of the index, of any field. Repeated terms are summed, zero weights
    /// dropped; `unknown` tokens are only recorded.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_terms(index: &Index, terms: Vec<QueryTerm>, unknown: u32) -> Result<Self> {
        let mut query = Query { terms, unknown };
        query.terms.sort_unstable_by_key(|t| t.term);
        query.terms.dedup_by(|next, kept| {
            let same = next.term == kept.term;
            if same {
                kept.weight = kept.weight.saturating_add(next.weight);
            }
            same
        });
        query.terms.retain(|t| t.weight > 0);
        query.check(index)?;
        Ok(query)
    }

    fn check(&self, index: &Index) -> Result<()> {
        if let Some(heavy) = self.terms.iter().find(|t| t.weight > MAX_QUERY_WEIGHT) {
            let (_, token) = index.lexicon().token(heavy.term);
            return Err(Error::Usage(format!(
                "token {token:?} has weight {}, the largest allowed is {MAX_QUERY_WEIGHT}; scale \
                 the query's weights down",
                heavy.weight
            )));
        }
        let bound: u64 = self
            .terms
            .iter()
            .map(|t| u64::from(t.weight) * u64::from(index.term(t.term).max_impact))
            .sum();
        if bound > i32::MAX as u64 {
            return Err(Error::Usage(format!(
                "the query could score {bound}, the largest score allowed is {}; scale its \
                 weights down",
                i32::MAX
            )));
        }
        Ok(())
    }
}

/// One answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// Position of the document in the original input; `Index::names` has its id.
    pub ordinal: u32,
    /// Σ query weight × impact.
    pub score: u32,
}

macro_rules! algorithms {
    ($($(#[$doc:meta])* $name:ident = $label:literal;)*) => {
        /// How the top k are found.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Algorithm { $($(#[$doc])* $name,)* }

        impl Algorithm {
            /// Every algorithm.
            pub const ALL: &'static [Algorithm] = &[$(Algorithm::$name,)*];

            /// Its name on the command line and in reports.
            pub fn name(self) -> &'static str {
                match self { $(Algorithm::$name => $label,)* }
            }
        }
    };
}

algorithms! {
    /// The cheapest of the others, by [`choose`].
    Auto = "auto";
    /// Scores every posting of every term and sorts: the oracle.
    Exhaustive = "exhaustive";
    /// Broder et al., Efficient query evaluation using a two-level retrieval process
    /// (CIKM 2003).
    Wand = "wand";
    /// Ding and Suel, Faster top-k document retrieval using block-max indexes (SIGIR 2011).
    BlockMaxWand = "block_max_wand";
    /// Turtle and Flood, Query evaluation: strategies and optimizations (IP&M 1995).
    MaxScore = "maxscore";
    /// Chakrabarti et al., Interval-based pruning for top-k processing over compressed
    /// lists (ICDE 2011), as in PISA.
    BlockMaxMaxScore = "block_max_maxscore";
    /// Scores ranges of 64 documents whose maxima reach the threshold, the highest first;
    /// needs the section RANGE_MAXIMA.
    RangePruned = "range_pruned";
    /// Scores every posting, window by window, in a few SIMD passes.
    Windowed = "windowed";
}

/// An algorithm's name with what it picked, as [`Algorithm::picked`] counts: "auto (windowed
/// 98×, maxscore 2×)".
pub fn with_picks(name: &str, picked: &BTreeMap<&'static str, usize>) -> String {
    let counts: Vec<String> = picked.iter().map(|(name, n)| format!("{name} {n}×")).collect();
    match counts.is_empty() {
        true => name.to_owned(),
        false => format!("{name} ({})", counts.join(", ")),
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Algorithm {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if name == "ranked_or" {
            return Ok(Algorithm::Exhaustive);
        }
        Algorithm::ALL.iter().copied().find(|a| a.name() == name).ok_or_else(|| {
            let known: Vec<&str> = Algorithm::ALL.iter().map(|a| a.name()).collect();
            Error::Usage(format!(
                "unknown algorithm {name:?}; known are {} and ranked_or (= exhaustive)",
                known.join(", ")
            ))
        })
    }
}

impl Algorithm {
    /// The algorithm that runs: what [`choose`] says for [`Auto`](Algorithm::Auto), else
    /// itself.
    pub fn resolve(self, index: &Index, query: &Query, k: usize) -> Self {
        if self == Algorithm::Auto { choose(index, query, k) } else { self }
    }

    /// What [`Auto`](Self::Auto) picks, and for how many of `queries`; empty for others.
    pub fn picked<'q>(
        self,
        index: &Index,
        queries: impl Iterator<Item = &'q Query>,
        k: usize,
        approximation: &Approximation,
    ) -> BTreeMap<&'static str, usize> {
        let mut picked = BTreeMap::new();
        if self == Algorithm::Auto {
            for query in queries {
                let kept = approximation.kept(index, query);
                let runs = choose(index, &kept, approximation.candidates(k));
                *picked.entry(runs.name()).or_default() += 1;
            }
        }
        picked
    }

    /// Whether the index has what the algorithm needs.
    ///
    /// # Errors
    /// It lacks a section; the error says how to build it.
    pub fn check(self, index: &Index) -> Result<()> {
        if self == Algorithm::RangePruned && index.range_maxima().is_none() {
            let problem = "range_pruned needs the section RANGE_MAXIMA, which is not there";
            return Err(Error::data(index.path(), Place::File, problem)
                .hint("build the index with --ranges 64, or use another algorithm"));
        }
        Ok(())
    }
}

/// A list with its query weight, as the algorithms take it.
#[derive(Debug, Clone, Copy)]
struct Weighted<'a> {
    list: List<'a>,
    weight: u32,
}

/// Answers queries on one index, one at a time; its buffers are reused. Make one a
/// thread.
pub struct Searcher<'a> {
    index: &'a Index,
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
    ranged: Ranged<'a>,
    hits: Vec<Hit>,
}

impl<'a> Searcher<'a> {
    /// A searcher for this machine's best instruction set.
    pub fn new(index: &'a Index) -> Self {
        Self::with_simd(index, SimdLevel::detect())
    }

    /// A searcher whose kernels use no more than `level`.
    pub fn with_simd(index: &'a Index, level: SimdLevel) -> Self {
        Searcher {
            index,
            approximation: Approximation::EXACT,
            kept: Query::default(),
            dropped: Vec::new(),
            lists: Vec::new(),
            late: Vec::new(),
            cursors: Cursors::default(),
            top: TopK::new(index.order()),
            selector: Selector::new(index.order()),
            windowed: Windowed::new(level),
            wand: Wand::default(),
            max_score: MaxScore::default(),
            ranged: Ranged::new(level),
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
        let algorithm = algorithm.resolve(self.index, &self.kept, approximation.candidates(k));
        algorithm.check(self.index)?;
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
                return exhaustive::search(lists, order, k, &mut self.hits);
            }
            Algorithm::Windowed => {
                self.selector.reset(k, primed, bound(), true);
                self.windowed.search(lists, &mut self.selector)?;
                self.selector.drain_into(&mut self.hits);
                return Ok(());
            }
            Algorithm::RangePruned => {
                let index: &'a Index = self.index;
                let maxima = index.range_maxima().ok_or(Damaged)?;
                let of_terms = self.kept.terms.iter().map(|t| maxima.list(t.term));
                self.selector.reset(k, primed, bound(), false);
                self.ranged.search(lists, of_terms, k, &mut self.selector, count)?;
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
