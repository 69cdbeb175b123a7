//! The threads of one generation.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::generation::Loaded;
use super::request::{Answer, Found, MOST_EXPLAINED, MOST_HITS, Part, Questions, REQUEST, Request};
use super::{Job, Shared};
use crate::error::{Error, Place, Result};
use crate::queries::Prepared;
use crate::queries::file::{QueryFile, Wishes, one_query, parse_request};
use crate::query::{Algorithm, Explainer, Filter, Hit, Searcher};

/// What the workers of one generation share.
pub(super) struct Worker {
    pub(super) loaded: Arc<Loaded>,
    pub(super) shared: Arc<Shared>,
    pub(super) retired: Arc<AtomicBool>,
    pub(super) scale: f64,
}

impl Worker {
    /// Answers until the generation is retired or nobody can send any more.
    pub(super) fn work(&self) {
        let mut searcher = Searcher::new(&self.loaded.index);
        while let Some(job) = self.shared.jobs.pop(&self.retired) {
            let Job { request, client, since } = job;
            self.shared.metrics.taken(since.elapsed());
            // Who has gone while it waited takes no time from others.
            if !client.waits() {
                self.shared.metrics.abandoned();
                continue;
            }
            // A bug met by one query must not take a worker away from all others.
            let answers = catch_unwind(AssertUnwindSafe(|| self.answer(request, &mut searcher)));
            let answers = answers.unwrap_or_else(|_| {
                searcher = Searcher::new(&self.loaded.index);
                Err(Error::Internal("a worker panicked on this request".into()))
            });
            if let Ok(answers) = &answers {
                self.shared.metrics.answered(answers);
            }
            client.reply(answers.map(|answers| (Arc::clone(&self.loaded.serving), answers)));
        }
    }

    fn answer(&self, request: Request, searcher: &mut Searcher) -> Result<Vec<Answer>> {
        let Request { questions, kind, k, max_k, algorithm, explain, constraints } = request;
        let (queries, wishes) = match questions {
            Questions::One(text) => {
                (one_query(Path::new(REQUEST), "q", &text, kind)?, vec![Wishes::default()])
            }
            Questions::File(bytes) => parse_request(Path::new(REQUEST), bytes, kind)?,
        };
        let asked = Asked { queries: &queries, wishes: &wishes, k, max_k, algorithm };
        asked.check_hits(explain)?;
        for at in 0..wishes.len() {
            self.check_algorithm(&asked, at)?;
        }
        let side = &self.loaded.side;
        let prepared = side.prepare(&queries, self.scale).and_then(|prepared| {
            prepared.into_iter().map(|query| side.constrain(query, &constraints)).collect()
        });
        self.shared.metrics.filters(side.filters_used());
        let prepared: Vec<Prepared> = prepared?;
        let explainer = explain.then(|| Explainer::new(&self.loaded.index));
        let mut answers = Vec::with_capacity(prepared.len());
        for (at, query) in prepared.iter().enumerate() {
            let (k, algorithm) = (asked.k(at), asked.algorithm(at));
            let resolved = algorithm.resolve(&self.loaded.index, &query.query, k);
            let start = Instant::now();
            let hits = searcher.search(&query.query, k, algorithm)?;
            let retrieval = start.elapsed();
            let found = hits.iter().map(|&hit| self.found(query, hit, explainer.as_ref()));
            answers.push(Answer {
                hits: found.collect::<Result<_>>()?,
                query: query.id.clone(),
                algorithm: resolved.name(),
                unknown: query.query.unknown,
                truncated: query.truncated,
                kept: query.query.filter.as_ref().map(Filter::len),
                encoding: query.encoding,
                retrieval,
            });
        }
        Ok(answers)
    }

    fn check_algorithm(&self, asked: &Asked<'_>, at: usize) -> Result<()> {
        let algorithm = asked.algorithm(at);
        if algorithm.check(&self.loaded.index).is_ok() {
            return Ok(());
        }
        let problem = format!("{} needs an index built with `skip_data`", algorithm.name());
        Err(match asked.wishes[at].algorithm {
            None => Error::Usage(problem),
            Some(_) => asked.at(at, problem),
        })
    }

    fn found(&self, query: &Prepared, hit: Hit, explainer: Option<&Explainer>) -> Result<Found> {
        let index = &self.loaded.index;
        let part = |part: crate::query::Contribution| {
            let (field, token) = index.lexicon().token(part.term);
            let (token, field) = (token.to_owned(), index.meta().field_name(field).to_string());
            Part { token, field, weight: part.weight, impact: part.impact }
        };
        let terms = explainer.map(|explainer| {
            let parts = explainer.explain(&query.query, hit)?;
            Ok::<_, Error>(parts.into_iter().map(part).collect())
        });
        Ok(Found {
            document: index.id(hit.ordinal).to_owned(),
            score: hit.score,
            weighed: query.weighed(hit.score),
            terms: terms.transpose()?,
        })
    }
}

/// The queries of a request, with what each of them asks for.
struct Asked<'a> {
    queries: &'a QueryFile,
    wishes: &'a [Wishes],
    k: usize,
    max_k: usize,
    algorithm: Algorithm,
}

impl Asked<'_> {
    fn k(&self, at: usize) -> usize {
        self.wishes[at].k.unwrap_or(self.k)
    }

    fn algorithm(&self, at: usize) -> Algorithm {
        self.wishes[at].algorithm.unwrap_or(self.algorithm)
    }

    /// An error about one of the queries.
    fn at(&self, at: usize, problem: String) -> Error {
        Error::data(REQUEST, Place::Line(self.queries.queries[at].line), problem)
    }

    /// No query asks for more than it may, nor do all together.
    fn check_hits(&self, explain: bool) -> Result<()> {
        if let Some(at) = (0..self.wishes.len()).find(|&at| self.k(at) > self.max_k) {
            let (most, found) = (self.max_k, self.k(at));
            let problem =
                format!("expected k from 1 to {most} (`max_k` of this server), found {found}");
            return Err(self.at(at, problem));
        }
        let (most, what) = match explain {
            true => (MOST_EXPLAINED, "explained results"),
            false => (MOST_HITS, "results"),
        };
        let asked = (0..self.wishes.len()).fold(0usize, |sum, at| sum.saturating_add(self.k(at)));
        if asked <= most {
            return Ok(());
        }
        let queries = self.wishes.len();
        Err(Error::Usage(format!(
            "expected at most {most} {what} over all queries, found {queries} queries that ask for \
             {asked}; send them in parts"
        )))
    }
}
