//! Signals: to stop, and to take another index.

use std::sync::Arc;

use tokio::signal;

use crate::error::{Error, Result};
use crate::serve::Service;

/// SIGTERM and Ctrl-C, from the moment of [`new`](Self::new) on.
#[cfg(unix)]
pub(super) struct StopSignals([signal::unix::Signal; 2]);

#[cfg(unix)]
impl StopSignals {
    pub(super) fn new() -> Result<Self> {
        use signal::unix::{SignalKind, signal};
        let heard =
            |kind| signal(kind).map_err(|e| Error::Internal(format!("cannot handle signals: {e}")));
        Ok(StopSignals([heard(SignalKind::terminate())?, heard(SignalKind::interrupt())?]))
    }

    pub(super) async fn next(&mut self) {
        let [terminate, interrupt] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
pub(super) struct StopSignals;

#[cfg(not(unix))]
impl StopSignals {
    pub(super) fn new() -> Result<Self> {
        Ok(StopSignals)
    }

    pub(super) async fn next(&mut self) {
        // Without a handler nothing stops it gracefully; the process can still be killed.
        if signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Takes the index that is there at every SIGHUP; what comes of it is logged.
#[cfg(unix)]
pub(super) fn reload_on_hangup(service: Arc<Service>) -> Result<()> {
    let mut hangups = signal::unix::signal(signal::unix::SignalKind::hangup())
        .map_err(|e| Error::Internal(format!("cannot handle SIGHUP: {e}")))?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            // The service logs what comes of it.
            let _ = super::reload(&service, Service::reload).await;
        }
    });
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn reload_on_hangup(_: Arc<Service>) -> Result<()> {
    Ok(())
}
