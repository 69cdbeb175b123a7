//! What quantizing costs: the top of the integer scores beside that of the float weights.
//!
//! Float scores are computed while vectors are read, one document after another against
//! all queries, so nothing is read twice and pruning counts as a loss.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Place, Result};
use crate::index::Index;
use crate::query::file::{QueryBody, QueryFile, integer_terms, weight_scale};
use crate::query::{Algorithm, Query, Searcher};
use crate::vectors::{Size, TokenTable, VectorRecord, VectorSource, WeightSummary};

/// Depths at which lists are compared.
pub const DEPTHS: [usize; 3] = [10, 100, 1000];
const DEEPEST: usize = DEPTHS[DEPTHS.len() - 1];

/// Weighted queries and, for each, its best documents by float score so far.
pub struct Fidelity {
    file: QueryFile,
    exact: Arc<Mutex<Exact>>,
}

/// Agreement of two rankings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Queries with at least one document.
    pub queries: usize,
    /// Mean share of the float top k that is in the integer top k, for each of [`DEPTHS`].
    pub overlap: [f64; DEPTHS.len()],
}

/// Float scores of all documents read so far.
struct Exact {
    /// Queries with each token, and its weight there.
    postings: HashMap<String, Vec<(u32, f64)>>,
    best: Vec<BinaryHeap<Reverse<Scored>>>,
    scores: Vec<f64>,
    touched: Vec<u32>,
    documents: u32,
}

/// Better is greater: higher score, then earlier document.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scored {
    score: f64,
    ordinal: u32,
}

impl Eq for Scored {}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.ordinal.cmp(&self.ordinal))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Fidelity {
    /// Compares for the queries of `file`: 24 kB of memory each.
    ///
    /// # Errors
    /// A query that is text.
    pub fn new(file: QueryFile) -> Result<Self> {
        let mut postings: HashMap<String, Vec<(u32, f64)>> = HashMap::new();
        for (query, input) in file.queries.iter().enumerate() {
            let QueryBody::Weighted(tokens) = &input.body else {
                let problem = "expected weighted tokens, found a text query";
                return Err(Error::data(&file.path, Place::Line(input.line), problem)
                    .hint("--fidelity takes qid<TAB>token:weight token:weight …"));
            };
            for (token, weight) in tokens {
                postings.entry(token.clone()).or_default().push((query as u32, *weight));
            }
        }
        let queries = file.queries.len();
        let exact = Exact {
            postings,
            best: vec![BinaryHeap::new(); queries],
            scores: vec![0.0; queries],
            touched: Vec::new(),
            documents: 0,
        };
        Ok(Fidelity { file, exact: Arc::new(Mutex::new(exact)) })
    }

    /// A source that yields the records of `source` and scores them on the way.
    pub fn watch(&self, source: Box<dyn VectorSource>) -> Box<dyn VectorSource> {
        Box::new(Watched { source, of_term: Vec::new(), exact: self.exact.clone() })
    }

    /// Searches the index that was built of all records watched.
    pub fn compare(&self, index: &Index) -> Result<Agreement> {
        let exact = self.exact.lock().unwrap_or_else(PoisonError::into_inner);
        let scale = weight_scale(&self.file, 100.0)?;
        let mut searcher = Searcher::new(index);
        let (mut queries, mut sums) = (0, [0.0; DEPTHS.len()]);
        for (input, best) in self.file.queries.iter().zip(&exact.best) {
            let QueryBody::Weighted(tokens) = &input.body else { continue };
            if best.is_empty() {
                continue;
            }
            let at_line = |problem| Error::data(&self.file.path, Place::Line(input.line), problem);
            let (terms, _) = integer_terms(tokens, scale).map_err(at_line)?;
            let query = Query::new(index, 0, terms.iter().map(|(t, w)| (t.as_str(), *w)))?;
            let hits = searcher.search(&query, DEEPEST, Algorithm::Auto)?;
            let mut best: Vec<Scored> = best.iter().map(|Reverse(scored)| *scored).collect();
            best.sort_by(|a, b| b.cmp(a));
            queries += 1;
            for (sum, k) in sums.iter_mut().zip(DEPTHS) {
                let wanted = &best[..k.min(best.len())];
                let mut found: Vec<u32> = hits.iter().take(k).map(|hit| hit.ordinal).collect();
                found.sort_unstable();
                let both = wanted.iter().filter(|s| found.binary_search(&s.ordinal).is_ok());
                *sum += both.count() as f64 / wanted.len() as f64;
            }
        }
        Ok(Agreement { queries, overlap: sums.map(|sum| sum / queries.max(1) as f64) })
    }
}

struct Watched {
    source: Box<dyn VectorSource>,
    /// Queries with each term of the source.
    of_term: Vec<Vec<(u32, f64)>>,
    exact: Arc<Mutex<Exact>>,
}

impl Exact {
    fn score(&mut self, record: &VectorRecord, of_term: &[Vec<(u32, f64)>]) {
        for (&term, &weight) in record.terms.iter().zip(&record.weights) {
            for &(query, query_weight) in &of_term[term as usize] {
                let score = &mut self.scores[query as usize];
                if *score == 0.0 {
                    self.touched.push(query);
                }
                *score += query_weight * f64::from(weight);
            }
        }
        for query in self.touched.drain(..) {
            let score = std::mem::take(&mut self.scores[query as usize]);
            let best = &mut self.best[query as usize];
            let scored = Scored { score, ordinal: self.documents };
            if score > 0.0 && (best.len() < DEEPEST || best.peek().is_some_and(|w| scored > w.0)) {
                if best.len() == DEEPEST {
                    best.pop();
                }
                best.push(Reverse(scored));
            }
        }
        self.documents += 1;
    }
}

impl VectorSource for Watched {
    fn read(&mut self, record: &mut VectorRecord) -> Result<bool> {
        if !self.source.read(record)? {
            return Ok(false);
        }
        let mut exact = self.exact.lock().unwrap_or_else(PoisonError::into_inner);
        let tokens = self.source.tokens();
        for term in self.of_term.len()..tokens.len() {
            let queries = exact.postings.get(tokens.token(term as u32));
            self.of_term.push(queries.cloned().unwrap_or_default());
        }
        exact.score(record, &self.of_term);
        Ok(true)
    }

    fn tokens(&self) -> &TokenTable {
        self.source.tokens()
    }

    fn place(&self) -> Option<(&Path, Place)> {
        self.source.place()
    }

    fn weights(&self) -> Option<WeightSummary> {
        self.source.weights()
    }

    fn len_hint(&self) -> Option<u64> {
        self.source.len_hint()
    }

    fn size(&self) -> Option<Size> {
        self.source.size()
    }

    fn done(&self) -> Option<f64> {
        self.source.done()
    }

    fn prepare(&mut self, room: u64) -> Result<()> {
        self.source.prepare(room)
    }

    fn zero_weights(&self) -> u64 {
        self.source.zero_weights()
    }

    fn memory(&self) -> u64 {
        let queries = self.exact.lock().unwrap_or_else(PoisonError::into_inner).best.len();
        self.source.memory() + 24 * (DEEPEST * queries) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{BuildOptions, Collection, Scale, build_in};
    use crate::progress::Silent;
    use crate::query::file::{QueryKind, read_queries};
    use crate::vectors::inputs::open_vectors;

    /// 40 documents of one token, weights rising to 39.5.
    fn agreement(scale: Scale) -> Agreement {
        let dir = tempfile::tempdir().unwrap();
        let line = |i: u32| format!("{{\"id\":\"d{i}\",\"vector\":{{\"x\":{i}.5}}}}\n");
        let (vectors, queries) = (dir.path().join("v.jsonl"), dir.path().join("q.tsv"));
        std::fs::write(&vectors, (0..40).map(line).collect::<String>()).unwrap();
        std::fs::write(&queries, "q\tx:1.5\nnone\ty:1\n").unwrap();
        let fidelity = Fidelity::new(read_queries(&queries, QueryKind::Auto).unwrap()).unwrap();
        let sources = open_vectors(&[vectors]).unwrap().sources;
        let mut sources: Vec<_> = sources.into_iter().map(|s| fidelity.watch(s)).collect();
        let options = BuildOptions { scale, ..Default::default() };
        let collection = Collection::read(&mut sources, &options, dir.path(), &Silent).unwrap();
        let index = dir.path().join("x.spx");
        build_in(dir.path(), collection, None, &options, &index, &Silent).unwrap();
        fidelity.compare(&Index::open(&index).unwrap()).unwrap()
    }

    #[test]
    fn impacts_that_tell_documents_apart_agree_with_floats() {
        let all = agreement(Scale::Auto);
        assert_eq!((all.queries, all.overlap), (1, [1.0; 3]));
    }

    #[test]
    fn a_scale_that_makes_all_impacts_equal_costs_overlap() {
        // Equal impacts go by input order, in which the heaviest ten come last.
        let coarse = agreement(Scale::Fixed(100_000.0));
        assert_eq!(coarse.overlap, [0.0, 1.0, 1.0]);
    }

    #[test]
    fn text_queries_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("q.tsv");
        std::fs::write(&path, "q\tfree text\n").unwrap();
        let message = Fidelity::new(read_queries(&path, QueryKind::Auto).unwrap())
            .err()
            .expect("refused")
            .to_string();
        assert!(message.contains("q.tsv:1:") && message.contains("--fidelity"), "{message}");
    }
}
