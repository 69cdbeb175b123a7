//! What a connection is doing, and the register of those that are open.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Times;
use crate::serve::metrics::{Closing, Metrics};

/// How long a connection that we have closed may take to be closed by its client.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// A connection that has waited for its next request so long may give its place to another.
const LEAST_IDLE: Duration = Duration::from_secs(1);

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waits for a request. Of `head` a part has come; nothing was ever asked on a connection
    /// that is not `used`.
    Waiting { head: bool, used: bool },
    /// A request is being answered.
    Busy,
    /// Its answer is being sent.
    Sending,
    /// We have said all, the client has not closed yet.
    Closing,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Open {
    state: Mutex<(Phase, Instant)>,
    /// Hears that its time may be over earlier than it was.
    changed: Notify,
    /// Why it is to be closed.
    closing: Mutex<Option<Closing>>,
}

impl Open {
    pub(super) fn new() -> Self {
        let waiting = Phase::Waiting { head: false, used: false };
        Open {
            state: Mutex::new((waiting, Instant::now())),
            changed: Notify::new(),
            closing: Mutex::default(),
        }
    }

    fn set(&self, next: impl FnOnce(Phase) -> Option<Phase>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(phase) = next(state.0) {
            *state = (phase, Instant::now());
            self.changed.notify_one();
        }
    }

    /// Its phase, and since when.
    pub(super) fn phase(&self) -> (Phase, Instant) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes came.
    pub(super) fn received(&self) {
        self.set(|phase| match phase {
            Phase::Waiting { head: false, used } => Some(Phase::Waiting { head: true, used }),
            _ => None,
        });
    }

    /// A request has been read.
    pub(super) fn begun(&self) {
        self.set(|_| Some(Phase::Busy));
    }

    /// Its answer is there.
    pub(super) fn answered(&self) {
        self.set(|_| Some(Phase::Sending));
    }

    /// Bytes were taken by the client.
    pub(super) fn sent(&self) {
        self.set(|phase| (phase == Phase::Sending).then_some(phase));
    }

    /// All that there was to send has been taken.
    pub(super) fn flushed(&self) {
        self.set(|phase| match phase {
            Phase::Sending => Some(Phase::Waiting { head: false, used: true }),
            _ => None,
        });
    }

    /// We send no more.
    pub(super) fn shut(&self) {
        self.set(|phase| (phase != Phase::Closing).then_some(Phase::Closing));
    }

    /// When it is to be closed if nothing happens, and why.
    pub(super) fn deadline(&self, times: &Times) -> Option<(Instant, Closing)> {
        let (phase, since) = self.phase();
        match phase {
            Phase::Waiting { head: true, .. } | Phase::Waiting { used: false, .. } => {
                Some((since + times.header, Closing::header_time))
            }
            Phase::Waiting { .. } | Phase::Sending => {
                Some((since + times.idle, Closing::idle_time))
            }
            Phase::Closing => Some((since + LINGER, Closing::idle_time)),
            Phase::Busy => None,
        }
    }

    /// Its deadline may be another one.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// It is to be closed, unless a request is being answered.
    pub(super) fn close(&self, reason: Closing) {
        *self.closing.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        self.changed.notify_one();
    }

    /// Why it is to be closed now, if it is.
    pub(super) fn to_close(&self) -> Option<Closing> {
        let mut closing = self.closing.lock().unwrap_or_else(PoisonError::into_inner);
        match self.phase().0 {
            Phase::Busy | Phase::Sending => {
                // Its place was wanted while it had nothing to do.
                closing.take_if(|reason| *reason == Closing::limit);
                None
            }
            Phase::Waiting { .. } | Phase::Closing => closing.take(),
        }
    }
}

/// The connections that are open.
pub(super) struct Register {
    open: Mutex<HashMap<u64, Arc<Open>>>,
    next: AtomicU64,
    emptied: Notify,
}

impl Register {
    pub(super) fn new() -> Self {
        Register { open: Mutex::default(), next: AtomicU64::new(0), emptied: Notify::new() }
    }

    /// A new connection; it is in the register until the entry is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Entry {
        let (number, open) = (self.next.fetch_add(1, Ordering::Relaxed), Arc::new(Open::new()));
        let mut all = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(number, Arc::clone(&open));
        Entry { register: Arc::clone(self), number, open }
    }

    /// Connections so far.
    pub(super) fn seen(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Returns when no connection is open.
    pub(super) async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Closes every connection that has nothing to do, and each of the others when it has not.
    pub(super) fn close_all(&self, reason: Closing) {
        for open in self.open.lock().unwrap_or_else(PoisonError::into_inner).values() {
            open.close(reason);
        }
    }

    /// Closes the connection that has waited longest: for the rest of its first request, or, for a
    /// while, for its next. False if there is none.
    pub(super) fn make_room(&self, metrics: &Metrics) -> bool {
        let now = Instant::now();
        let all = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = all.values().filter_map(|open| match open.phase() {
            (Phase::Waiting { head, used }, since)
                if head || !used || now - since >= LEAST_IDLE =>
            {
                Some((since, open))
            }
            (Phase::Closing, since) => Some((since, open)),
            _ => None,
        });
        let Some((_, longest)) = waiting.min_by_key(|(since, _)| *since) else { return false };
        metrics.closed(Closing::limit);
        longest.close(Closing::limit);
        true
    }
}

/// A connection's place in the register.
pub(super) struct Entry {
    register: Arc<Register>,
    number: u64,
    pub(super) open: Arc<Open>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut all = self.register.open.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.number);
        if all.is_empty() {
            self.register.emptied.notify_waiters();
        }
    }
}
