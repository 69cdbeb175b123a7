//! How long-running library calls report where they are, and hear that they shall stop.

use crate::error::{Error, Result};

/// Receives progress; the command line draws bars with it, libraries may ignore it.
pub trait Progress: Sync {
    /// A phase of `total` steps begins; 0 if the total is unknown.
    fn begin(&self, phase: &'static str, total: u64);
    /// So many more steps are done.
    fn advance(&self, steps: u64);
    /// Whether the work shall stop at the next safe point, with [`Error::Stopped`] and without
    /// an output.
    fn stop_requested(&self) -> bool {
        false
    }
}

/// Notes that `steps` more are done.
///
/// # Errors
/// [`Error::Stopped`] if the caller wants no more.
pub(crate) fn advance(progress: &dyn Progress, steps: u64) -> Result<()> {
    progress.advance(steps);
    match progress.stop_requested() {
        true => Err(Error::Stopped),
        false => Ok(()),
    }
}

/// Reports nothing and never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &'static str, _: u64) {}
    fn advance(&self, _: u64) {}
}
