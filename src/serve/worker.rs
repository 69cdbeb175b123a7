//! The threads of one generation.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::{Answer, Job, MOST_HITS, Questions, REQUEST, Request, Serving, Shared};
use crate::error::{Error, Result};
use crate::index::Index;
use crate::queries::QueryBuilder;
use crate::queries::file::{one_query, parse_queries};
use crate::query::Searcher;

/// How long a worker without work takes to see that its generation is over.
const IDLE: Duration = Duration::from_millis(100);

/// What the workers of one generation share.
pub(super) struct Worker {
    pub(super) index: Index,
    pub(super) side: QueryBuilder,
    pub(super) serving: Arc<Serving>,
    pub(super) shared: Arc<Shared>,
    pub(super) retired: Arc<AtomicBool>,
    pub(super) scale: f64,
}

impl Worker {
    /// Answers until the generation is retired or nobody can send any more.
    pub(super) fn work(&self) {
        let mut searcher = Searcher::new(&self.index);
        while !self.retired.load(Ordering::Relaxed) {
            let received = {
                let jobs = self.shared.jobs.lock().unwrap_or_else(PoisonError::into_inner);
                // Many workers wait for the lock: it may have come after retirement.
                if self.retired.load(Ordering::Relaxed) {
                    return;
                }
                jobs.recv_timeout(IDLE)
            };
            let Job { request, reply } = match received {
                Ok(job) => job,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // A bug met by one query must not take a worker away from all others.
            let answers = catch_unwind(AssertUnwindSafe(|| self.answer(request, &mut searcher)));
            let answers = answers.unwrap_or_else(|_| {
                searcher = Searcher::new(&self.index);
                Err(Error::Internal("a worker panicked on this request".into()))
            });
            if let Ok(answers) = &answers {
                self.shared.metrics.answered(answers);
            }
            reply(answers.map(|answers| (Arc::clone(&self.serving), answers)));
        }
    }

    fn answer(&self, request: Request, searcher: &mut Searcher) -> Result<Vec<Answer>> {
        if request.algorithm.check(&self.index).is_err() {
            let name = request.algorithm.name();
            return Err(Error::Usage(format!("{name} needs an index built with `skip_data`")));
        }
        let queries = match request.questions {
            Questions::One(text) => one_query(Path::new(REQUEST), "q", &text, request.kind)?,
            Questions::File(bytes) => parse_queries(Path::new(REQUEST), bytes, request.kind)?,
        };
        let (count, most) = (queries.queries.len(), MOST_HITS / request.k.max(1));
        if count > most {
            return Err(Error::Usage(format!(
                "expected at most {most} queries with k = {}, found {count}; send them in parts",
                request.k
            )));
        }
        let prepared = self.side.prepare(&queries, self.scale)?;
        let mut answers = Vec::with_capacity(prepared.len());
        for query in prepared {
            let algorithm = request.algorithm.resolve(&self.index, &query.query, request.k);
            let start = Instant::now();
            let hits = searcher.search(&query.query, request.k, request.algorithm)?;
            let retrieval = start.elapsed();
            let names = self.index.external_ids();
            answers.push(Answer {
                query: query.id,
                algorithm: algorithm.name(),
                unknown: query.query.unknown,
                encoding: query.encoding,
                retrieval,
                hits: hits
                    .iter()
                    .map(|hit| (names.get(hit.ordinal).to_owned(), hit.score))
                    .collect(),
            });
        }
        Ok(answers)
    }
}
