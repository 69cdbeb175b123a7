//! Queries from many clients at once, on one index file that may be replaced meanwhile.
//!
//! A [`Service`] has a queue and a *generation*: the index, its query side, and worker
//! threads, each with a searcher of its own. [`Service::reload`] opens the file again and
//! starts the next generation; the workers of the one before finish what they have and
//! end, and its map is given back. No request is refused meanwhile.
//!
//! Architecture invariant: a request is answered by one generation from beginning to end, and
//! only [`http`] and [`listen`] know HTTP.

pub mod http;
pub mod listen;
mod metrics;
mod worker;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::index::{Index, Load};
use crate::queries::QueryBuilder;
use crate::queries::file::QueryKind;
use crate::query::Algorithm;
use metrics::Metrics;
use worker::Worker;

/// How an index is served.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The index file; [`Service::reload`] opens this path again.
    pub index: PathBuf,
    /// How it gets into memory.
    pub load: Load,
    /// Folder (or hub id) of the model for text queries, where the index is learned.
    pub query_model: Option<PathBuf>,
    /// Weight of the learned part of a hybrid index.
    pub hybrid_weight: Option<f64>,
    /// Factor that makes fractional query weights integers.
    pub query_scale: f64,
    /// Worker threads.
    pub threads: usize,
    /// Requests that may wait; more are refused at once.
    pub queue: usize,
}

/// One request: its queries are read and answered in order by one worker.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is asked; errors call it [`REQUEST`].
    pub questions: Questions,
    /// Whether that is texts or tokens.
    pub kind: QueryKind,
    /// Results a query.
    pub k: usize,
    /// How they are found.
    pub algorithm: Algorithm,
}

/// What a request asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Questions {
    /// One query; its id is q.
    One(String),
    /// The bytes of a query file.
    File(Vec<u8>),
}

/// The answer to one query.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Id of the query.
    pub query: String,
    /// The algorithm that ran.
    pub algorithm: &'static str,
    /// Tokens that the index does not know.
    pub unknown: u32,
    /// Time from text to weighted tokens.
    pub encoding: Duration,
    /// Time of retrieval.
    pub retrieval: Duration,
    /// External ids and scores, best first.
    pub hits: Vec<(String, u32)>,
}

/// The index that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// Its content id.
    pub content_id: String,
    /// Its documents.
    pub documents: u32,
    /// Postings of all lists.
    pub postings: u64,
    /// Whether it answers texts, not only weighted tokens.
    pub texts: bool,
}

/// Answers to the queries of a request, with the index that gave them.
pub type Reply = Result<(Arc<Serving>, Vec<Answer>)>;

/// What errors call the body of a request.
pub const REQUEST: &str = "request";

/// Most results that one request may ask for, over all its queries: what a worker holds
/// until it has answered, 100 MB or so.
pub const MOST_HITS: usize = 1_000_000;

struct Job {
    request: Request,
    reply: Box<dyn FnOnce(Reply) + Send>,
}

/// What workers share.
struct Shared {
    jobs: Mutex<Receiver<Job>>,
    metrics: Metrics,
}

struct Generation {
    serving: Arc<Serving>,
    retired: Arc<AtomicBool>,
}

/// An index that answers requests until it is dropped.
pub struct Service {
    options: ServeOptions,
    queue: SyncSender<Job>,
    shared: Arc<Shared>,
    current: RwLock<Generation>,
}

impl Service {
    /// Opens the index and its query side, and starts the workers.
    ///
    /// # Errors
    /// Those of opening; `threads` or `queue` is 0.
    pub fn start(options: ServeOptions) -> Result<Self> {
        for (setting, value) in [("threads", options.threads), ("queue", options.queue)] {
            if value == 0 {
                return Err(Error::setting(setting, "at least 1", value));
            }
        }
        let (queue, jobs) = sync_channel(options.queue);
        let shared = Arc::new(Shared { jobs: Mutex::new(jobs), metrics: Metrics::default() });
        let current = RwLock::new(generation(&options, &shared)?);
        Ok(Service { options, queue, shared, current })
    }

    /// Queues a request; `reply` is called from a worker thread.
    ///
    /// # Errors
    /// Too many requests wait already.
    pub fn submit(
        &self,
        request: Request,
        reply: impl FnOnce(Reply) + Send + 'static,
    ) -> Result<(), Busy> {
        let job = Job { request, reply: Box::new(reply) };
        // It cannot be disconnected: `shared` keeps the other end.
        self.queue.try_send(job).map_err(|_| {
            self.shared.metrics.refused();
            Busy
        })
    }

    /// Opens the file again and lets the new index answer. A worker of the old one may
    /// still take one request that arrives meanwhile; every answer names its index. After
    /// an error the old one goes on.
    ///
    /// # Errors
    /// Those of opening.
    pub fn reload(&self) -> Result<Arc<Serving>> {
        let next = generation(&self.options, &self.shared)?;
        let serving = Arc::clone(&next.serving);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.retired.store(true, Ordering::Relaxed);
        *current = next;
        self.shared.metrics.reloaded();
        Ok(serving)
    }

    /// The index that answers now.
    pub fn serving(&self) -> Arc<Serving> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current.serving)
    }

    /// Counts a request that was answered with an error, in [`metrics`](Self::metrics).
    pub fn count_failed(&self) {
        self.shared.metrics.failed();
    }

    /// Counts and latencies so far, in Prometheus' text format.
    pub fn metrics(&self) -> String {
        self.shared.metrics.text()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let current = self.current.get_mut().unwrap_or_else(PoisonError::into_inner);
        current.retired.store(true, Ordering::Relaxed);
    }
}

/// Too many requests wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

/// Opens the index and its query side, and starts their workers.
fn generation(options: &ServeOptions, shared: &Arc<Shared>) -> Result<Generation> {
    let index = Index::open_with(&options.index, options.load)?;
    let model = options.query_model.as_deref();
    let side = QueryBuilder::load(&index, model, options.hybrid_weight)?;
    let serving = Arc::new(Serving {
        content_id: index.content_id(),
        documents: index.documents(),
        postings: index.meta().postings,
        texts: side.takes_texts(),
    });
    let retired = Arc::new(AtomicBool::new(false));
    let worker = Arc::new(Worker {
        index,
        side,
        serving: Arc::clone(&serving),
        shared: Arc::clone(shared),
        retired: Arc::clone(&retired),
        scale: options.query_scale,
    });
    for number in 0..options.threads {
        let worker = Arc::clone(&worker);
        thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || worker.work())
            .map_err(|e| Error::Internal(format!("cannot start a thread: {e}")))?;
    }
    Ok(Generation { serving, retired })
}

#[cfg(test)]
mod tests;
