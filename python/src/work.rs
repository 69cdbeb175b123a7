//! Long work: on a thread of its own, while the caller's thread hears signals, shows progress
//! and reads the caller's iterators, which may belong to it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use splindex::progress::Progress;
use splindex::{Error, Result};

use crate::error::{Raise, exception, guarded, panicked};
use crate::pool;

/// Between two looks at signals and two steps of a bar.
const TICK: Duration = Duration::from_millis(50);

/// What the worker tells of itself, and hears.
#[derive(Default)]
pub struct Watch {
    stop: AtomicBool,
    phase: Mutex<(&'static str, u64)>,
    done: AtomicU64,
}

impl Watch {
    /// Asks the worker to stop at the next safe point.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The worker's end of a [`Watch`].
#[derive(Clone)]
pub struct Watched(pub Arc<Watch>);

impl Progress for Watched {
    fn begin(&self, phase: &'static str, total: u64) {
        self.0.done.store(0, Ordering::Relaxed);
        *self.0.phase.lock().unwrap_or_else(PoisonError::into_inner) = (phase, total);
    }

    fn advance(&self, steps: u64) {
        self.0.done.fetch_add(steps, Ordering::Relaxed);
    }

    fn stop_requested(&self) -> bool {
        self.0.stop.load(Ordering::Relaxed)
    }
}

/// What the worker sends to the caller's thread.
pub enum Message {
    /// The next chunk of an iterator, by number.
    Wanted(usize),
    /// It has ended, one way or another.
    Ended,
}

/// Says that the worker has ended, also when it panics.
struct Ends(Sender<Message>);

impl Drop for Ends {
    fn drop(&mut self) {
        // Nobody hears it if the caller is gone.
        let _ = self.0.send(Message::Ended);
    }
}

/// Reads a chunk of an iterator and hands it to the worker.
pub type Pull = Box<dyn FnMut(Python<'_>) -> PyResult<()> + Send>;

/// One piece of long work and the iterators that it reads.
pub struct Work {
    pub watch: Arc<Watch>,
    pub messages: Sender<Message>,
    inbox: Receiver<Message>,
    pub pulls: Vec<Pull>,
}

impl Work {
    /// Work without iterators so far.
    pub fn new() -> Self {
        let (messages, inbox) = channel();
        Work { watch: Arc::default(), messages, inbox, pulls: Vec::new() }
    }

    /// Does `work` on a pool of `threads` threads. `progress` is True, False or a function, as
    /// users give it.
    ///
    /// # Errors
    /// The exception of a signal's handler (Ctrl-C), of an iterator or of `progress`, after the
    /// work has stopped; else the error of the work.
    pub fn run<T: Send>(
        self,
        progress: &Bound<'_, PyAny>,
        threads: Option<usize>,
        work: impl FnOnce(&Watched) -> Result<T> + Send,
    ) -> PyResult<T> {
        let module = progress.py().import("splindex._progress")?;
        let show = module.call_method1("shown", (progress,))?;
        let shown = Some(&show).filter(|show| !show.is_none()).map(|show| show.clone().unbind());
        let result = self.silently(progress.py(), shown, threads, work);
        module.call_method1("close", (show,))?;
        result
    }

    /// As [`run`](Self::run), where `show`, if there is one, is called as
    /// `show(phase, done, total)` now and then.
    pub fn silently<T: Send>(
        self,
        py: Python<'_>,
        show: Option<Py<PyAny>>,
        threads: Option<usize>,
        work: impl FnOnce(&Watched) -> Result<T> + Send,
    ) -> PyResult<T> {
        let pool = pool::of(threads).raise(py)?;
        let Work { watch, messages, inbox, pulls } = self;
        let watched = Watched(Arc::clone(&watch));
        let mut caller = Caller { watch: &watch, pulls, show, shown: None, failed: None };
        let result = py.detach(|| {
            std::thread::scope(|scope| {
                let worker = scope.spawn(|| {
                    let _ends = Ends(messages);
                    guarded(|| pool.install(|| work(&watched)))
                });
                caller.attend(inbox);
                worker.join().unwrap_or_else(|panic| Err(panicked(&*panic)))
            })
        });
        match (caller.failed, result) {
            (Some(failed), _) => Err(failed),
            (None, Ok(value)) => Ok(value),
            (None, Err(error)) => Err(exception(py, &error)),
        }
    }
}

/// The caller's thread while the worker works.
struct Caller<'w> {
    watch: &'w Watch,
    pulls: Vec<Pull>,
    show: Option<Py<PyAny>>,
    shown: Option<(&'static str, u64)>,
    failed: Option<PyErr>,
}

impl Caller<'_> {
    /// Serves the worker until it ends.
    fn attend(&mut self, inbox: Receiver<Message>) {
        let mut ticked = Instant::now();
        loop {
            let message = inbox.recv_timeout(TICK.saturating_sub(ticked.elapsed()));
            let done = match message {
                Ok(Message::Ended) | Err(RecvTimeoutError::Disconnected) => return,
                // After a failure no pull is left, and no chunk comes.
                Ok(Message::Wanted(number)) => match self.pulls.get_mut(number) {
                    Some(pull) => Python::attach(pull),
                    None => Ok(()),
                },
                Err(RecvTimeoutError::Timeout) => Ok(()),
            };
            let done = match done {
                Ok(()) if ticked.elapsed() >= TICK => {
                    ticked = Instant::now();
                    Python::attach(|py| self.tick(py))
                }
                other => other,
            };
            if let Err(error) = done {
                self.failed.get_or_insert(error);
                self.watch.stop();
                // A worker that waits for a chunk hears that none comes.
                self.pulls.clear();
            }
        }
    }

    fn tick(&mut self, py: Python<'_>) -> PyResult<()> {
        py.check_signals()?;
        let Some(show) = self.show.as_ref().filter(|_| self.failed.is_none()) else {
            return Ok(());
        };
        let (phase, total) = *self.watch.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let done = self.watch.done.load(Ordering::Relaxed);
        if !phase.is_empty() && self.shown.replace((phase, done)) != Some((phase, done)) {
            show.call1(py, (phase, done, total))?;
        }
        Ok(())
    }
}

/// The error for work that was told to stop.
pub fn go_on(watched: &Watched) -> Result<()> {
    match watched.stop_requested() {
        true => Err(Error::Stopped),
        false => Ok(()),
    }
}
