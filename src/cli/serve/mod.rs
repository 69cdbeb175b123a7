//! `splindex-query serve`: an index answers over HTTP.

mod args;
mod log;
mod signals;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::{Common, model_not_needed, out};
use crate::error::{Error, Result};
use crate::index::Index;
use crate::queries::QueryBuilder;
use crate::serve::http::router;
use crate::serve::{Reloaded, Service, Serving, Target, listen};
use signals::StopSignals;

pub use args::ServeArgs;

/// Runs `splindex-query serve`.
pub fn run(args: &ServeArgs, common: &Common) -> Result<ExitCode> {
    args.check()?;
    common.init_threads()?;
    let written = log::begin(args.log_format, common.quiet);
    let service = Arc::new(service(args, common)?);
    // Connections cost microseconds of one core, queries have threads of their own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|e| Error::Internal(format!("cannot start the HTTP runtime: {e}")))?;
    let served = runtime.block_on(serve(args, common, service));
    // Connections that are still open are cut.
    runtime.shutdown_background();
    drop(written);
    served.map(|()| ExitCode::SUCCESS)
}

/// The service of a file, or of releases.
fn service(args: &ServeArgs, common: &Common) -> Result<Service> {
    let (options, model) = (args.options(common), args.query_model.clone());
    #[cfg(feature = "publish")]
    if let (true, Some(cache)) = (args.is_dest(), &args.cache) {
        use crate::lifecycle::release::{Cache, Store};
        use crate::serve::follow::Releases;

        let dest = args.index.to_string_lossy();
        let cache = Cache::open(cache, args.cache_size.limit())?;
        let releases = Releases::new(Store::open(&dest)?, cache, args.pointer.clone(), model);
        return Service::new(options, releases);
    }
    Service::new(options, Target::file(args.index.clone(), model))
}

async fn serve(args: &ServeArgs, common: &Common, service: Arc<Service>) -> Result<()> {
    let failed = |e| Error::io("listen on", &args.listen, e);
    let listener = TcpListener::bind(&args.listen).await.map_err(|e| match e.kind() {
        std::io::ErrorKind::InvalidInput => Error::Usage(format!(
            "--listen is an address and a port, such as localhost:7070, found {:?}: {e}",
            args.listen
        )),
        _ => failed(e),
    })?;
    let address = listener.local_addr().map_err(failed)?;
    // Who reads that it listens may send signals at once.
    let (mut stop, mut second) = (StopSignals::new()?, StopSignals::new()?);
    signals::reload_on_hangup(Arc::clone(&service))?;

    // /health and /ready answer while the index is read.
    let first = {
        let (service, common) = (Arc::clone(&service), common.clone());
        let (index, model) = (args.index.clone(), args.query_model.is_some());
        let wait = args.patience();
        async move {
            let serving = opened(&service, wait).await?;
            notify_ready(&serving);
            if model
                && !common.quiet
                && let Ok(index) = Index::open(&index)
                && QueryBuilder::needs_no_model(&index)
            {
                model_not_needed(&index);
            }
            if common.json {
                out!(
                    "{}",
                    serde_json::json!({
                        "listening": address.to_string(), "index": index,
                        "content_id": serving.content_id, "documents": serving.documents,
                    })
                );
            }
            tracing::info!(%address, "listening on http://{address}");
            follow(&service, wait).await
        }
    };
    let stopping = async move {
        stop.next().await;
        notify_stopping();
        tracing::info!("stopping: who is connected is answered; a second signal stops at once");
    };
    let app = router(Arc::clone(&service), args.limits());
    let server = listen::serve(listener, app, service, args.times(), stopping);
    let stopped = async {
        second.next().await;
        second.next().await;
    };
    let served = async {
        tokio::pin!(server);
        tokio::select! {
            drained = &mut server => return Ok(drained),
            opened = first => opened?,
        }
        Ok::<_, Error>(server.await)
    };
    tokio::select! {
        drained = served => {
            if !drained?.whole {
                tracing::warn!("--drain-time is over: connections are cut");
            }
            Ok(())
        }
        () = stopped => Ok(()),
    }
}

/// The first index that answers. Of releases, a store that is away is waited for.
async fn opened(service: &Arc<Service>, wait: Option<Duration>) -> Result<Arc<Serving>> {
    let mut error = match reload(service, Service::reload).await {
        Ok(serving) => return Ok(serving),
        Err(error) => error,
    };
    let Some(wait) = wait else { return Err(error) };
    loop {
        tracing::error!("nothing to serve: {error}");
        // What was refused is not asked for again at once: the cache may have another.
        match reload(service, Service::poll).await {
            Ok(serving) => return Ok(serving),
            Err(Error::Io { .. }) => {}
            Err(_) => return Err(error),
        }
        tokio::time::sleep(wait).await;
        match reload(service, Service::reload).await {
            Ok(serving) => return Ok(serving),
            Err(again) => error = again,
        }
    }
}

/// Takes every release that comes, where releases are followed.
async fn follow(service: &Arc<Service>, wait: Option<Duration>) -> Result<()> {
    let Some(wait) = wait else { return Ok(()) };
    while !service.is_draining() {
        tokio::time::sleep(wait).await;
        // The service logs what comes of it.
        let _ = reload(service, Service::poll).await;
    }
    Ok(())
}

/// Takes what is to be served now.
async fn reload(
    service: &Arc<Service>,
    how: fn(&Service) -> Result<Reloaded>,
) -> Result<Arc<Serving>> {
    let service = Arc::clone(service);
    let reloaded = tokio::task::spawn_blocking(move || how(&service)).await;
    let reloaded = reloaded.map_err(|e| Error::Internal(format!("a reload failed: {e}")))?;
    reloaded.map(|reloaded| Arc::clone(reloaded.serving()))
}

/// Tells systemd, where that has started us and asks to be told.
#[cfg(target_os = "linux")]
fn notify_ready(serving: &Serving) {
    let status = format!("{} documents, content id {}", serving.documents, serving.content_id);
    let _ = sd_notify::notify(&[
        sd_notify::NotifyState::Ready,
        sd_notify::NotifyState::Status(&status),
    ]);
}

#[cfg(target_os = "linux")]
fn notify_stopping() {
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
}

#[cfg(not(target_os = "linux"))]
fn notify_ready(_: &Serving) {}

#[cfg(not(target_os = "linux"))]
fn notify_stopping() {}
