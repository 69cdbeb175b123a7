//! A store that breaks, or does something else meanwhile, at a chosen operation.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};
use crate::lifecycle::release::manifest::Object;
use crate::lifecycle::release::remote::{Entry, Head, Remote, Sink, Tag};
use crate::progress::Progress;

/// When a process is killed: before the store hears of an operation, or before it hears the answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kill {
    Before,
    After,
}

pub(super) type Meanwhile = Box<dyn Fn() + Send + Sync>;

/// What happens at an operation.
pub(super) enum Then {
    /// It and all later ones fail.
    Break(Kill),
    /// Somebody else acts before it, once.
    Meanwhile(Meanwhile),
}

pub(super) struct Faulty {
    inner: Arc<dyn Remote>,
    /// Operations until now.
    done: AtomicUsize,
    at: usize,
    then: Then,
}

impl std::fmt::Debug for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} at {}", self.inner, self.at)
    }
}

impl Faulty {
    pub fn new(inner: &Arc<dyn Remote>, at: usize, then: Then) -> Arc<Self> {
        Arc::new(Faulty { inner: Arc::clone(inner), done: AtomicUsize::new(0), at, then })
    }

    /// Whether the chosen operation came.
    pub fn reached(&self) -> bool {
        self.done.load(Ordering::Relaxed) > self.at
    }

    fn op<T>(&self, run: impl FnOnce(&dyn Remote) -> Result<T>) -> Result<T> {
        let number = self.done.fetch_add(1, Ordering::Relaxed);
        match &self.then {
            Then::Break(Kill::Before) if number >= self.at => Err(killed()),
            Then::Break(Kill::After) if number > self.at => Err(killed()),
            Then::Break(Kill::After) if number == self.at => run(&*self.inner).and(Err(killed())),
            Then::Meanwhile(act) if number == self.at => {
                act();
                run(&*self.inner)
            }
            _ => run(&*self.inner),
        }
    }
}

fn killed() -> Error {
    Error::Io { action: "reach", path: "DEST".into(), source: std::io::Error::other("killed") }
}

impl Remote for Faulty {
    fn name(&self, path: &str) -> String {
        self.inner.name(path)
    }

    fn read(&self, path: &str, progress: &dyn Progress) -> Result<Option<(Vec<u8>, Tag)>> {
        self.op(|inner| inner.read(path, progress))
    }

    fn write(&self, path: &str, bytes: &[u8], progress: &dyn Progress) -> Result<()> {
        self.op(|inner| inner.write(path, bytes, progress))
    }

    fn swap(
        &self,
        path: &str,
        bytes: &[u8],
        seen: Option<&Tag>,
        progress: &dyn Progress,
    ) -> Result<bool> {
        self.op(|inner| inner.swap(path, bytes, seen, progress))
    }

    fn head(&self, path: &str, progress: &dyn Progress) -> Result<Option<Head>> {
        self.op(|inner| inner.head(path, progress))
    }

    fn send(&self, local: &Path, object: &Object, progress: &dyn Progress) -> Result<()> {
        self.op(|inner| inner.send(local, object, progress))
    }

    /// Breaks in the middle, too.
    fn receive(
        &self,
        object: &Object,
        from: u64,
        sink: Sink<'_>,
        progress: &dyn Progress,
    ) -> Result<()> {
        let (mut bytes, cut) = (Vec::new(), matches!(self.then, Then::Break(Kill::After)));
        let received = self.op(|inner| {
            let mut all = |piece: &[u8]| {
                bytes.extend_from_slice(piece);
                Ok(())
            };
            inner.receive(object, from, &mut all, progress)
        });
        let len = if received.is_err() && cut { bytes.len() / 2 } else { bytes.len() };
        sink(&bytes[..len])?;
        received
    }

    fn list(&self, folder: &str, progress: &dyn Progress) -> Result<Vec<Entry>> {
        self.op(|inner| inner.list(folder, progress))
    }

    fn foreign(&self, progress: &dyn Progress) -> Result<Option<String>> {
        self.op(|inner| inner.foreign(progress))
    }

    fn delete(&self, path: &str, progress: &dyn Progress) -> Result<()> {
        self.op(|inner| inner.delete(path, progress))
    }
}
