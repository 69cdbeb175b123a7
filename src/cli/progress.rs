//! Progress bars for library calls that report phases.

use std::sync::Mutex;

use indicatif::ProgressBar;

use super::{Common, progress};
use crate::progress::Progress;

/// One bar at a time, a new one for each phase.
pub struct Bars<'a> {
    common: &'a Common,
    bar: Mutex<ProgressBar>,
}

impl<'a> Bars<'a> {
    /// No bar yet.
    pub fn new(common: &'a Common) -> Self {
        Bars { common, bar: Mutex::new(ProgressBar::hidden()) }
    }

    /// Removes the last bar.
    pub fn finish(&self) {
        self.current().finish_and_clear();
    }

    /// Says what is to be said of lines that were read otherwise than they may be meant.
    pub fn notes(&self, notes: &[String]) {
        self.current().suspend(|| super::notes(self.common, notes));
    }

    fn current(&self) -> std::sync::MutexGuard<'_, ProgressBar> {
        self.bar.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Progress for Bars<'_> {
    fn begin(&self, phase: &'static str, total: u64) {
        let mut bar = self.current();
        bar.finish_and_clear();
        *bar = progress(self.common, phase, total);
    }

    fn advance(&self, steps: u64) {
        self.current().inc(steps);
    }
}
