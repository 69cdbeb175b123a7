//! Ctrl-C and SIGTERM as a request to stop at the next safe point.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

#[cfg(feature = "publish")]
use super::{Common, progress::Bars};
use crate::error::{Error, Result};
#[cfg(feature = "publish")]
use crate::progress::Progress;

/// Bars, and whether a signal asks to stop.
#[cfg(feature = "publish")]
pub(super) struct Watch<'a> {
    bars: Bars<'a>,
    stop: Stop,
}

#[cfg(feature = "publish")]
impl<'a> Watch<'a> {
    /// Hears signals from now on.
    pub fn new(common: &'a Common) -> Result<Self> {
        Ok(Watch { bars: Bars::new(common), stop: Stop::listen()? })
    }

    /// Removes the last bar.
    pub fn finish(&self) {
        self.bars.finish();
    }
}

#[cfg(feature = "publish")]
impl Progress for Watch<'_> {
    fn begin(&self, phase: &'static str, total: u64) {
        self.bars.begin(phase, total);
    }

    fn advance(&self, steps: u64) {
        self.bars.advance(steps);
    }

    fn stop_requested(&self) -> bool {
        self.stop.requested()
    }
}

/// Says that a signal stopped the work and what that means; the exit code of it.
#[cfg(feature = "publish")]
pub(super) fn stopped(watch: &Watch<'_>, what: &str) -> ExitCode {
    crate::cli::tell!("stopped: {what}");
    watch.stop.exit_code()
}

/// Hears signals from when it is made on.
pub(super) struct Stop {
    requested: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// The first signal sets the request, a second one ends the process at once.
    pub fn listen() -> Result<Self> {
        let stop = Stop { requested: Arc::default(), signal: Arc::default() };
        for signal in [SIGINT, SIGTERM] {
            let status = 128 + signal;
            // In this order: the first looks at what an earlier signal left.
            flag::register_conditional_shutdown(signal, status, stop.requested.clone())
                .and_then(|_| flag::register_usize(signal, stop.signal.clone(), signal as usize))
                .and_then(|_| flag::register(signal, stop.requested.clone()))
                .map_err(|e| Error::Internal(format!("cannot handle signals: {e}")))?;
        }
        Ok(stop)
    }

    /// Whether a signal came.
    pub fn requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }

    /// 128 + the signal's number, as if it had ended the process.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(128 + self.signal.load(Ordering::Relaxed) as u8)
    }
}
