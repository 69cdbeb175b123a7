//! Connections: how many there may be, how long each may take, and how they end when the server
//! stops.
//!
//! A node must answer whoever asks, whatever others do. Connections that ask nothing are closed
//! after a while, at once where their place is wanted, and a request whose head never comes is
//! answered 408. When the server stops, those that are open learn it with their next answer
//! (`connection: close`), those that come late are answered too, and nobody is cut off in the
//! middle before the time to drain is over.

mod bare;
mod state;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, sleep_until, timeout};
use tower::ServiceExt;

use super::Service;
use super::http::observe::Peer;
use super::metrics::Closing;
use bare::Connection;
use state::{Entry, LINGER, Phase, Register};

/// How long clients may take, and how many there may be.
#[derive(Debug, Clone)]
pub struct Times {
    /// The head of a request, from its first byte; the first byte of a connection, too.
    pub header: Duration,
    /// Until the next request, or until more of an answer is taken.
    pub idle: Duration,
    /// From the signal to stop until everything that is open is cut.
    pub drain: Duration,
    /// Connections at a time.
    pub connections: usize,
}

impl Default for Times {
    fn default() -> Self {
        Times {
            header: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            drain: Duration::from_secs(10),
            connections: 1024,
        }
    }
}

/// A node that is draining ends when nobody has been connected for so long.
const QUIET: Duration = Duration::from_secs(1);

/// Connections beyond the limit that may be told so at a time; more are cut.
const REFUSALS: usize = 16;

/// Descriptors that are not for connections: files, the listener, refusals, a reload.
const RESERVED: u64 = 40;

/// A full queue of the system's, or no descriptors: a while until the next attempt.
const AFTER_ERROR: Duration = Duration::from_millis(50);

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Whether every connection had come to its end.
    pub whole: bool,
}

/// Connections that fit the limit of this process for descriptors, `wanted` at most.
#[cfg(target_os = "linux")]
pub fn connections_within_limits(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    // The soft limit is for programs that use select(); we may have what the hard one grants.
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    match current {
        None => wanted,
        Some(all) => wanted.min(all.saturating_sub(RESERVED).max(8) as usize),
    }
}

/// Connections that fit the limit of this process for descriptors, `wanted` at most.
#[cfg(not(target_os = "linux"))]
pub fn connections_within_limits(wanted: usize) -> usize {
    wanted
}

/// What all connections share.
struct Server {
    service: Arc<Service>,
    router: Router,
    times: Times,
    register: Arc<Register>,
    places: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
}

/// Answers on `listener` until `stop` is done, and then until everybody has been answered.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    service: Arc<Service>,
    times: Times,
    stop: impl Future<Output = ()>,
) -> Drained {
    let places = Arc::new(Semaphore::new(times.connections));
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let register = Arc::new(Register::new());
    let server = Arc::new(Server { service, router, times, register, places, refusals });
    {
        // One future to the end: a connection that has been taken is not dropped between.
        let mut accepting = std::pin::pin!(accept(&listener, &server));
        tokio::select! {
            () = &mut accepting => {}
            () = stop => {}
        }
        server.service.drain();
        tokio::select! {
            () = &mut accepting => {}
            () = quiet(&server.register) => return Drained { whole: true },
            () = sleep(server.times.drain) => {}
        }
    }
    drop(listener);
    server.register.close_all(Closing::drained);
    // What has nothing to do is closed in a moment, the rest is cut.
    let whole = timeout(QUIET, server.register.empty()).await.is_ok();
    Drained { whole }
}

/// Returns when nobody has been connected for a while.
async fn quiet(register: &Register) {
    loop {
        register.empty().await;
        let seen = register.seen();
        sleep(QUIET).await;
        if register.is_empty() && register.seen() == seen {
            return;
        }
    }
}

/// Takes connections; never returns.
async fn accept(listener: &TcpListener, server: &Arc<Server>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => place(stream, peer, server).await,
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection: {error}");
                server.register.make_room(&server.service.shared.metrics);
                sleep(AFTER_ERROR).await;
            }
        }
    }
}

/// A client that was gone before it was heard.
fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Gives a connection a place: a free one, or that of one that asks nothing.
async fn place(stream: TcpStream, peer: SocketAddr, server: &Arc<Server>) {
    let metrics = &server.service.shared.metrics;
    let mut found = Arc::clone(&server.places).try_acquire_owned().ok();
    if found.is_none() && server.register.make_room(metrics) {
        let free = Arc::clone(&server.places).acquire_owned();
        // It is closed by its own task, as soon as that runs.
        found = timeout(AFTER_ERROR, free).await.ok().and_then(Result::ok);
    }
    let Some(found) = found else {
        metrics.refused_connection();
        if let Ok(permit) = Arc::clone(&server.refusals).try_acquire_owned() {
            tokio::spawn(refuse(stream, permit));
        }
        return;
    };
    // Answers are whole when they are written: waiting for more gains nothing.
    let _ = stream.set_nodelay(true);
    let entry = server.register.enter();
    metrics.opened();
    let server = Arc::clone(server);
    tokio::spawn(async move {
        answer(stream, Some(peer), entry, &server).await;
        server.service.shared.metrics.gone();
        drop(found);
    });
}

/// Tells a client that there is no place for it.
async fn refuse(mut stream: TcpStream, permit: OwnedSemaphorePermit) {
    let told = async {
        stream.write_all(bare::answer(503).as_bytes()).await?;
        bare::linger(&mut stream).await
    };
    // It may have gone.
    let _ = timeout(LINGER, told).await;
    drop(permit);
}

/// Answers the requests of one connection, until it ends or its time is over.
async fn answer<S>(stream: S, peer: Option<SocketAddr>, entry: Entry, server: &Arc<Server>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let open = Arc::clone(&entry.open);
    let io = Connection::new(stream, Arc::clone(&open), Arc::clone(&server.service));
    let (router, asked) = (server.router.clone(), Arc::clone(&open));
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        asked.begun();
        if let Some(peer) = peer {
            request.extensions_mut().insert(Peer(peer));
        }
        let (answer, asked) = (router.clone().oneshot(request), Arc::clone(&asked));
        async move {
            let answer = answer.await;
            asked.answered();
            answer
        }
    });
    let mut builder = http1::Builder::new();
    // Times are kept here: what waits for a request and what has half of one are not the same.
    builder.header_read_timeout(None).max_buf_size(bare::LARGEST_HEAD);
    let mut connection = builder.serve_connection(TokioIo::new(io), service);
    let metrics = &server.service.shared.metrics;
    let reason = loop {
        if let Some(reason) = open.to_close() {
            break reason;
        }
        let deadline = open.deadline(&server.times);
        let over = async {
            match deadline {
                Some((at, _)) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            // How it ended is the client's business; what could not be read has been answered.
            _ = &mut connection => return,
            () = open.changed() => {}
            () = over => {
                let now = tokio::time::Instant::now();
                // Something may have happened at the same moment.
                if let Some((at, reason)) = open.deadline(&server.times)
                    && at <= now
                {
                    break reason;
                }
            }
        }
    };
    let phase = open.phase().0;
    if phase == Phase::Closing {
        return;
    }
    // That of a place that is wanted is counted where it is wanted.
    if reason != Closing::limit {
        metrics.closed(reason);
    }
    let is_head = matches!(phase, Phase::Waiting { head: true, .. });
    let status = match reason {
        // Who never said anything expects no answer.
        Closing::header_time if is_head => Some(408),
        Closing::limit | Closing::drained if is_head => Some(503),
        _ => None,
    };
    let mut stream = connection.into_parts().io.into_inner().into_inner();
    let told = async {
        if let Some(status) = status {
            metrics.unread(status);
            stream.write_all(bare::answer(status).as_bytes()).await?;
        }
        match reason {
            // Its place is wanted now.
            Closing::limit => Ok(()),
            _ => bare::linger(&mut stream).await,
        }
    };
    // It may have gone.
    let _ = timeout(LINGER, told).await;
}

#[cfg(test)]
mod tests;
