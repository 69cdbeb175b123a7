//! Queries from many clients at once, on an index that is replaced meanwhile.
//!
//! A [`Service`] has a queue and a *generation*: the index, its query side, and worker
//! threads, each with a searcher of its own. [`Service::reload`] asks its [`Source`] what is to be
//! served now, opens, verifies and warms that, and starts the next generation; the workers of the
//! one before finish what they have and end, and its map is given back. No request is refused
//! meanwhile, and what is damaged or does not fit changes nothing.
//!
//! Architecture invariant: a request is answered by one generation from beginning to end, and
//! only [`http`] and [`listen`] know HTTP.

#[cfg(feature = "publish")]
pub mod follow;
mod generation;
pub mod http;
pub mod listen;
mod metrics;
mod request;
mod status;
mod worker;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::index::Load;
use generation::Loaded;
use metrics::{Metrics, Reload};
use status::Status;
use worker::Worker;

pub use generation::{MOST_WORDS, Serving, Target, Verify};
pub use request::{
    Answer, Found, MOST_EXPLAINED, MOST_HITS, Part, Questions, REQUEST, Reply, Request, Waiting,
};
pub use status::Readiness;

/// How an index is served.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// How it gets into memory.
    pub load: Load,
    /// What of it is read before it answers.
    pub verify: Verify,
    /// Weight of the learned part of a hybrid index.
    pub hybrid_weight: Option<f64>,
    /// Factor that makes fractional query weights integers.
    pub query_scale: f64,
    /// Tokens (of BM25: words) of a query text that are read; by default what the model says, of
    /// BM25 [`MOST_WORDS`].
    pub max_query_length: Option<usize>,
    /// Worker threads.
    pub threads: usize,
    /// Requests that may wait; more are refused at once.
    pub queue: usize,
    /// Whether the generation before stays open, so that going back to it takes no time.
    pub keep_previous: bool,
}

impl Default for ServeOptions {
    fn default() -> Self {
        ServeOptions {
            load: Load::Mmap,
            verify: Verify::Checksums,
            hybrid_weight: None,
            query_scale: 100.0,
            max_query_length: None,
            threads: 1,
            queue: 1024,
            keep_previous: false,
        }
    }
}

/// Says what is to be served.
pub trait Source: Send + Sync {
    /// What is to be served now; `None` if that is `serving`.
    ///
    /// # Errors
    /// It cannot be had, or is damaged.
    fn next(&self, serving: Option<&Serving>) -> Result<Option<Target>>;

    /// It is served from now on.
    fn taken(&self, _target: &Target) {}

    /// It cannot be served.
    fn refused(&self, _target: &Target, _why: &Error) {}

    /// Somebody asks: what was refused is to be tried again.
    fn forgive(&self) {}
}

/// A file, which may be another one each time.
impl Source for Target {
    fn next(&self, _: Option<&Serving>) -> Result<Option<Target>> {
        Ok(Some(self.clone()))
    }
}

impl Target {
    /// An index file, with the model of its text queries.
    pub fn file(index: PathBuf, query_model: Option<PathBuf>) -> Self {
        Target { index, query_model, release: None, held: None }
    }
}

/// What a reload did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reloaded {
    /// This index answers from now on.
    Swapped(Arc<Serving>),
    /// This one goes on: nothing else is to be served.
    Unchanged(Arc<Serving>),
}

impl Reloaded {
    /// The index that answers.
    pub fn serving(&self) -> &Arc<Serving> {
        match self {
            Reloaded::Swapped(serving) | Reloaded::Unchanged(serving) => serving,
        }
    }
}

struct Job {
    request: Request,
    client: Box<dyn Waiting>,
    since: Instant,
}

/// What workers share.
struct Shared {
    jobs: Mutex<Receiver<Job>>,
    metrics: Metrics,
}

/// The workers of one index.
struct Generation {
    loaded: Arc<Loaded>,
    retired: Arc<AtomicBool>,
}

#[derive(Default)]
struct Generations {
    current: Option<Generation>,
    previous: Option<Arc<Loaded>>,
}

/// An index that answers requests until it is dropped.
pub struct Service {
    options: ServeOptions,
    source: Box<dyn Source>,
    queue: SyncSender<Job>,
    shared: Arc<Shared>,
    status: Arc<Status>,
    /// Held during a reload: there is one at a time.
    generations: Mutex<Generations>,
}

impl Service {
    /// Opens what `source` says, and starts the workers.
    ///
    /// # Errors
    /// Those of [`new`](Self::new) and [`reload`](Self::reload).
    pub fn start(options: ServeOptions, source: impl Source + 'static) -> Result<Self> {
        let service = Self::new(options, source)?;
        service.reload()?;
        Ok(service)
    }

    /// A service without an index: its first [`reload`](Self::reload) gives it one.
    ///
    /// # Errors
    /// `threads` or `queue` is 0.
    pub fn new(options: ServeOptions, source: impl Source + 'static) -> Result<Self> {
        for (setting, value) in [("threads", options.threads), ("queue", options.queue)] {
            if value == 0 {
                return Err(Error::setting(setting, "at least 1", value));
            }
        }
        let status = Arc::new(Status::new());
        let (queue, jobs) = sync_channel(options.queue);
        let metrics = Metrics::new(Arc::clone(&status));
        let shared = Arc::new(Shared { jobs: Mutex::new(jobs), metrics });
        let (source, generations) = (Box::new(source), Mutex::default());
        Ok(Service { options, source, queue, shared, status, generations })
    }

    /// Queues a request; `client` gets the reply on a worker's thread.
    ///
    /// # Errors
    /// Too many requests wait already.
    pub fn submit(&self, request: Request, client: impl Waiting + 'static) -> Result<(), Busy> {
        let job = Job { request, client: Box::new(client), since: Instant::now() };
        self.shared.metrics.queued();
        // It cannot be disconnected: `shared` keeps the other end.
        self.queue.try_send(job).map_err(|_| {
            self.shared.metrics.refused();
            Busy
        })
    }

    /// Asks the source what is to be served, and lets that answer. A worker of the index before
    /// may still take one request that arrives meanwhile; every answer names its index. After
    /// an error the index before goes on.
    ///
    /// # Errors
    /// Those of the source and of opening; an index that is damaged, or does not fit: see
    /// [`ServeOptions`]. Counted, logged, and told by [`failure`](Self::failure).
    pub fn reload(&self) -> Result<Reloaded> {
        self.source.forgive();
        self.poll()
    }

    /// As [`reload`](Self::reload), where nobody asked for it: what was refused may be left alone
    /// for a while.
    ///
    /// # Errors
    /// As [`reload`](Self::reload).
    pub fn poll(&self) -> Result<Reloaded> {
        self.reload_in(&mut self.generations.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// As [`reload`](Self::reload), unless one is under way.
    pub fn try_reload(&self) -> Option<Result<Reloaded>> {
        self.source.forgive();
        match self.generations.try_lock() {
            Ok(mut generations) => Some(self.reload_in(&mut generations)),
            Err(TryLockError::Poisoned(poisoned)) => {
                Some(self.reload_in(&mut poisoned.into_inner()))
            }
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn reload_in(&self, generations: &mut Generations) -> Result<Reloaded> {
        let started = Instant::now();
        let reloaded = self.next(generations);
        let metrics = &self.shared.metrics;
        match &reloaded {
            Ok(Reloaded::Swapped(serving)) => {
                metrics.reloaded(Reload::swapped);
                if let Some(warning) = &serving.warning {
                    tracing::warn!("{warning}");
                }
                tracing::info!(
                    content_id = %serving.content_id,
                    release = serving.release.as_deref(),
                    documents = serving.documents,
                    seconds = started.elapsed().as_secs_f64(),
                    "now content id {}",
                    serving.content_id
                );
                self.status.succeeded(Arc::clone(serving));
            }
            Ok(Reloaded::Unchanged(serving)) => {
                metrics.reloaded(Reload::unchanged);
                self.status.succeeded(Arc::clone(serving));
            }
            Err(error) => {
                let outcome = match error {
                    Error::Data(_) | Error::Setting(_) | Error::Usage(_) => Reload::refused,
                    _ => Reload::failed,
                };
                metrics.reloaded(outcome);
                let error = error.to_string();
                // Where there is none yet, the caller says so: it may be the end of the program.
                if let Some(serving) = self.serving() {
                    tracing::error!(
                        error, content_id = %serving.content_id,
                        "not reloaded: {error}; content id {} goes on", serving.content_id
                    );
                }
                self.status.failed(error);
            }
        }
        reloaded
    }

    fn next(&self, generations: &mut Generations) -> Result<Reloaded> {
        let before = self.serving();
        let Some(target) = self.source.next(before.as_deref())? else {
            let serving = before.ok_or_else(|| Error::Internal("nothing to serve".into()))?;
            return Ok(Reloaded::Unchanged(serving));
        };
        let kept = generations.previous.take_if(|previous| {
            target.release.is_some() && previous.serving.release == target.release
        });
        let loaded = match kept {
            Some(loaded) => loaded,
            None => {
                self.status.doing("the index is being read, verified and warmed");
                let loaded = generation::load(&self.options, &target, before.as_deref());
                Arc::new(loaded.inspect_err(|error| self.source.refused(&target, error))?)
            }
        };
        let next = self.generation(&loaded)?;
        let serving = Arc::clone(&loaded.serving);
        // Before anybody hears of the new one: what is fetched next may push others out.
        self.source.taken(&target);
        if let Some(old) = generations.current.replace(next) {
            old.retired.store(true, Ordering::Relaxed);
            generations.previous = Some(old.loaded).filter(|_| self.options.keep_previous);
        }
        Ok(Reloaded::Swapped(serving))
    }

    /// Starts the workers of an index.
    fn generation(&self, loaded: &Arc<Loaded>) -> Result<Generation> {
        let retired = Arc::new(AtomicBool::new(false));
        let worker = Arc::new(Worker {
            loaded: Arc::clone(loaded),
            shared: Arc::clone(&self.shared),
            retired: Arc::clone(&retired),
            scale: self.options.query_scale,
        });
        for number in 0..self.options.threads {
            let worker = Arc::clone(&worker);
            let spawned = thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || worker.work());
            if let Err(e) = spawned {
                retired.store(true, Ordering::Relaxed);
                return Err(Error::Internal(format!("cannot start a thread: {e}")));
            }
        }
        Ok(Generation { loaded: Arc::clone(loaded), retired })
    }

    /// The index that answers now; nothing before the first [`reload`](Self::reload) that
    /// succeeds.
    pub fn serving(&self) -> Option<Arc<Serving>> {
        self.status.serving()
    }

    /// Whether requests are welcome.
    pub fn readiness(&self) -> Readiness {
        self.status.readiness()
    }

    /// Why the last reload came to nothing, if it did.
    pub fn failure(&self) -> Option<String> {
        self.status.failure()
    }

    /// Requests are answered on, but should go elsewhere: [`readiness`](Self::readiness) says no.
    pub fn drain(&self) {
        self.status.drain();
    }

    /// Whether [`drain`](Self::drain) was called.
    pub fn is_draining(&self) -> bool {
        self.status.is_draining()
    }

    /// Counts and latencies so far, in the text format of OpenMetrics.
    pub fn metrics(&self) -> String {
        self.shared.metrics.text()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let generations = self.generations.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = &generations.current {
            current.retired.store(true, Ordering::Relaxed);
        }
    }
}

/// Too many requests wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

#[cfg(test)]
mod tests;
