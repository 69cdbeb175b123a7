//! Ctrl-C and SIGTERM as a request to stop at the next safe point.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::{Error, Result};

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
