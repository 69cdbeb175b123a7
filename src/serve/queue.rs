//! Requests that wait for a worker.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// First come, first served; bounded. A worker that is retired takes nothing more, from the very
/// moment: whoever asks behind a reload is answered by the new index.
pub(super) struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    changed: Condvar,
    most: usize,
}

struct Waiting<T> {
    jobs: VecDeque<T>,
    closed: bool,
}

impl<T> Queue<T> {
    /// A queue of `most` at most.
    pub(super) fn new(most: usize) -> Self {
        let waiting = Waiting { jobs: VecDeque::new(), closed: false };
        Queue { waiting: Mutex::new(waiting), changed: Condvar::new(), most }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a job, or gives it back where there is no room.
    pub(super) fn push(&self, job: T) -> Result<(), T> {
        let mut waiting = self.lock();
        if waiting.jobs.len() >= self.most {
            return Err(job);
        }
        waiting.jobs.push_back(job);
        drop(waiting);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for a job; `None` once `retired` is set or the queue is closed.
    pub(super) fn pop(&self, retired: &AtomicBool) -> Option<T> {
        let mut waiting = self.lock();
        loop {
            if waiting.closed {
                return None;
            }
            if retired.load(Ordering::Relaxed) {
                // It may have been woken for a job that others are to take.
                self.changed.notify_one();
                return None;
            }
            if let Some(job) = waiting.jobs.pop_front() {
                return Some(job);
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Workers that look at `retired` take nothing more.
    pub(super) fn retire(&self, retired: &AtomicBool) {
        // Under the lock: a worker has looked and taken a job already, or sees it.
        let waiting = self.lock();
        retired.store(true, Ordering::Relaxed);
        drop(waiting);
        self.changed.notify_all();
    }

    /// Nobody waits any more, and what is queued is dropped.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.jobs.clear();
        drop(waiting);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_worker_leaves_what_waits_to_others() {
        let queue = Queue::new(2);
        let (old, new) = (AtomicBool::new(false), AtomicBool::new(false));
        assert_eq!((queue.push(1), queue.push(2), queue.push(3)), (Ok(()), Ok(()), Err(3)));
        assert_eq!(queue.pop(&old), Some(1));
        queue.retire(&old);
        assert_eq!(queue.pop(&old), None);
        assert_eq!(queue.pop(&new), Some(2));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.pop(&new));
            let retired = scope.spawn(|| queue.pop(&old));
            assert_eq!(retired.join().unwrap(), None);
            queue.push(4).unwrap();
            assert_eq!(waiting.join().unwrap(), Some(4));
            let waiting = scope.spawn(|| queue.pop(&new));
            queue.close();
            assert_eq!(waiting.join().unwrap(), None);
        });
    }
}
