//! `splindex-query serve`: an index answers over HTTP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal;

use super::{Common, count, model_not_needed, out};
use crate::error::{Error, Result};
use crate::index::{Index, Load};
use crate::queries::QueryBuilder;
use crate::serve::http::{Limits, router};
use crate::serve::listen::Listening;
use crate::serve::{ServeOptions, Service};

/// Answer queries over HTTP
#[derive(Debug, clap::Args)]
#[command(after_help = "\
GET  /search?q=TEXT&k=10   one query: a text; where only weighted tokens can be answered, or
                           with kind=weighted, token:weight …
POST /search?k=10          a query file as for search --queries, plain or with
                           Content-Encoding gzip or zstd; a line of JSON for each query
GET  /health               content id and size of the index that answers
GET  /metrics              counts and latencies, for Prometheus

Further parameters: kind (as --query-kind of search) and algorithm: auto, exhaustive, wand,
block_max_wand, maxscore, block_max_maxscore, windowed or block_pruned. Results and ties are
those of search. A body is at most 4 MiB, packed and unpacked, and all its queries ask for at
most a million results, a URL is at most 65,534 bytes, headers are at most 100 lines. Every error
is JSON, {\"error\": …}, and counted in /metrics: status 400 for a request in error, 413, 414 and
431 for a body, a URL and headers that are too large, 503 with Retry-After where too many wait
(--queue). A connection that begins in HTTP/2 is closed without an answer.

SIGHUP opens the file again: publish a new index by rename, then send it; requests go on
being answered meanwhile, and an index that cannot be opened changes nothing. SIGTERM and
Ctrl-C answer what has begun, for 10 seconds at most, then stop; a second signal stops at
once. There is no encryption and no access control: listen on a private address, or behind
a proxy.

Examples:
  splindex-query serve bm25.spx
  splindex-query serve splade.spx --query-model data/tiny --listen 0.0.0.0:7070 --threads 8
  curl 'http://127.0.0.1:7070/search?q=blue+whale&k=3'
  curl --data-binary @questions.tsv 'http://127.0.0.1:7070/search?k=100'")]
pub struct ServeArgs {
    /// The index file
    #[arg(value_name = "INDEX.spx")]
    index: PathBuf,
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7070")]
    listen: SocketAddr,
    /// Folder of the model (or of its table of token weights) for text queries
    #[arg(long, value_name = "DIR")]
    query_model: Option<PathBuf>,
    /// Weight h of the learned part in a hybrid index: BM25 + h · learned [default: 0.5]
    #[arg(long, value_name = "H")]
    hybrid_weight: Option<f64>,
    /// Factor that makes fractional query weights integers; not used by hybrid indexes
    #[arg(long, value_name = "X", default_value_t = 100.0)]
    query_scale: f64,
    /// Results a query, if the request does not say
    #[arg(long, value_name = "K", default_value_t = 10)]
    k: usize,
    /// Most results that a request may ask for
    #[arg(long, value_name = "K", default_value_t = 1000)]
    max_k: usize,
    /// Requests that may wait; more are refused with status 503
    #[arg(long, value_name = "N", default_value_t = 1024)]
    queue: usize,
    /// How the index gets into memory: mmap, populate or ram
    #[arg(long, value_name = "HOW", default_value = "mmap")]
    load: Load,
}

/// How long requests that have begun may take after a signal to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Runs `splindex-query serve`.
pub fn run(args: &ServeArgs, common: &Common) -> Result<ExitCode> {
    if args.k == 0 || args.k > args.max_k {
        return Err(Error::Usage(format!(
            "--k must be 1 to --max-k, {}, found {}",
            args.max_k, args.k
        )));
    }
    common.init_threads()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let options = ServeOptions {
        index: args.index.clone(),
        load: args.load,
        query_model: args.query_model.clone(),
        hybrid_weight: args.hybrid_weight,
        query_scale: args.query_scale,
        threads: common.threads.unwrap_or(cores),
        queue: args.queue,
    };
    let service = Arc::new(Service::start(options)?);
    if let (Some(_), false) = (&args.query_model, common.quiet)
        && let Ok(index) = Index::open(&args.index)
        && QueryBuilder::needs_no_model(&index)
    {
        model_not_needed(&index);
    }
    // Connections cost microseconds of one core, queries have threads of their own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|e| Error::Internal(format!("cannot start the HTTP runtime: {e}")))?;
    let served = runtime.block_on(listen(args, common, service));
    // Connections that are still open are cut.
    runtime.shutdown_background();
    served.map(|()| ExitCode::SUCCESS)
}

async fn listen(args: &ServeArgs, common: &Common, service: Arc<Service>) -> Result<()> {
    let failed = |e| Error::io("listen on", args.listen.to_string(), e);
    let listener = TcpListener::bind(args.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    // Who reads that it listens may send signals at once.
    let (mut stop, mut drain) = (StopSignals::new()?, StopSignals::new()?);
    reload_on_hangup(Arc::clone(&service), args.index.clone(), common.quiet)?;
    let serving = service.serving();
    if common.json {
        out!(
            "{}",
            serde_json::json!({
                "listening": address.to_string(), "index": args.index,
                "content_id": serving.content_id, "documents": serving.documents,
            })
        );
    }
    if !common.quiet {
        crate::cli::tell!(
            "{}: {}, content id {}; listening on http://{address}",
            args.index.display(),
            count(serving.documents.into(), "document", "documents"),
            serving.content_id
        );
    }
    let limits = Limits { k: args.k, max_k: args.max_k };
    let listening = Listening::new(listener, Arc::clone(&service));
    let app = router(service, limits);
    let quiet = common.quiet;
    let first = async move {
        stop.next().await;
        if !quiet {
            crate::cli::tell!(
                "stopping: what has begun is answered first; a second signal stops at once"
            );
        }
    };
    let server = axum::serve(listening, app).with_graceful_shutdown(first);
    tokio::select! {
        served = server => served.map_err(failed),
        () = drained(&mut drain) => Ok(()),
    }
}

/// A while after the first signal, or at the second one: clients that never finish a
/// request must not keep the process.
async fn drained(stop: &mut StopSignals) {
    stop.next().await;
    tokio::select! {
        () = tokio::time::sleep(DRAIN) => {}
        () = stop.next() => {}
    }
}

/// SIGTERM and Ctrl-C, from the moment of [`new`](Self::new) on.
#[cfg(unix)]
struct StopSignals([signal::unix::Signal; 2]);

#[cfg(unix)]
impl StopSignals {
    fn new() -> Result<Self> {
        use signal::unix::{SignalKind, signal};
        let on = |kind| {
            signal(kind).map_err(|e| Error::Internal(format!("cannot handle a signal: {e}")))
        };
        Ok(StopSignals([on(SignalKind::terminate())?, on(SignalKind::interrupt())?]))
    }

    async fn next(&mut self) {
        let [terminate, interrupt] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
struct StopSignals;

#[cfg(not(unix))]
impl StopSignals {
    fn new() -> Result<Self> {
        Ok(StopSignals)
    }

    async fn next(&mut self) {
        // Without a handler nothing stops it gracefully; the process can still be killed.
        if signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Opens the index file again at every SIGHUP.
#[cfg(unix)]
fn reload_on_hangup(service: Arc<Service>, index: PathBuf, quiet: bool) -> Result<()> {
    let mut hangups = signal::unix::signal(signal::unix::SignalKind::hangup())
        .map_err(|e| Error::Internal(format!("cannot handle SIGHUP: {e}")))?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            let service = Arc::clone(&service);
            let reloaded = tokio::task::spawn_blocking(move || service.reload()).await;
            match reloaded {
                Ok(Ok(serving)) if !quiet => {
                    crate::cli::tell!("{}: now content id {}", index.display(), serving.content_id);
                }
                Ok(Ok(_)) => {}
                Ok(Err(error)) => crate::cli::tell!("error: not reloaded: {}", super::said(&error)),
                Err(error) => crate::cli::tell!("error: not reloaded: {error}"),
            }
        }
    });
    Ok(())
}

#[cfg(not(unix))]
fn reload_on_hangup(_: Arc<Service>, _: PathBuf, _: bool) -> Result<()> {
    Ok(())
}
