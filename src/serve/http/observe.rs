//! What is seen of every request: counts, times, a line in the access log. And, while the server
//! stops, that its connection is to be used no more.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use super::App;

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub(in crate::serve) struct Peer(pub(in crate::serve) SocketAddr);

/// Counts a request in flight until it is answered, or its client is gone.
struct InFlight(Arc<App>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.service.shared.metrics.ended();
    }
}

pub(super) async fn observed(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    app.service.shared.metrics.begun();
    let in_flight = InFlight(Arc::clone(&app));
    let route = route(request.extensions().get::<MatchedPath>().map(MatchedPath::as_str));
    // Query texts are the business of those who asked them: the log has the path alone.
    let logged = app.limits.access_log.then(|| {
        let peer = request.extensions().get::<Peer>().map(|Peer(address)| address.to_string());
        (request.method().clone(), request.uri().path().to_owned(), peer)
    });
    let mut response = next.run(request).await;
    let (took, status) = (started.elapsed(), response.status().as_u16());
    app.service.shared.metrics.replied(route, status, took);
    drop(in_flight);
    if let Some((method, path, peer)) = logged {
        tracing::info!(
            target: "splindex::access",
            %method, path, status, seconds = took.as_secs_f64(), peer, "request"
        );
    }
    // Looked at as late as can be: who asks again on this connection might find nobody.
    if app.service.is_draining() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn route(matched: Option<&str>) -> &'static str {
    match matched {
        Some("/search") => "/search",
        Some("/health") => "/health",
        Some("/ready") => "/ready",
        Some("/reload") => "/reload",
        Some("/metrics") => "/metrics",
        _ => "other",
    }
}
