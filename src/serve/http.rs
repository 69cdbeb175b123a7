//! A service over HTTP: `GET /search?q=…`, `POST /search` with a query file as its body,
//! `GET /health`, `GET /metrics`.
//!
//! Connections are axum's (tokio's) business; queries run on the service's workers only,
//! so slow clients hold no worker, and a full queue is answered 503 at once.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::oneshot;

use super::{Answer, Busy, Request, Service, Serving};
use crate::error::{Error, Result};
use crate::query::Algorithm;
use crate::query::file::{QueryFile, QueryKind, parse_queries};

/// Largest body of a request, in bytes.
const LARGEST_BODY: usize = 16 << 20;
/// What errors call a request.
const REQUEST: &str = "request";

/// What clients may leave out or ask for.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Results a query if the request does not say.
    pub k: usize,
    /// Most results that a request may ask for.
    pub max_k: usize,
}

/// What the routes share.
struct App {
    service: Arc<Service>,
    limits: Limits,
}

/// The parameters of `/search`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    q: Option<String>,
    k: Option<usize>,
    algorithm: Option<String>,
    kind: Option<String>,
}

/// The routes.
pub fn router(service: Arc<Service>, limits: Limits) -> Router {
    let app = Arc::new(App { service, limits });
    Router::new()
        .route("/search", get(search_text).post(search_file))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(app)
}

/// One text, or one list of weighted tokens.
async fn search_text(
    State(app): State<Arc<App>>,
    Query(parameters): Query<Parameters>,
) -> Response {
    let Some(text) = &parameters.q else {
        return refuse(StatusCode::BAD_REQUEST, "expected a query: /search?q=…");
    };
    // As in a query file: weighted tokens are known by their shape.
    let line = format!("q\t{}", text.replace(['\t', '\n', '\r'], " "));
    let queries = match queries(line.into_bytes(), &parameters) {
        Ok(queries) => queries,
        Err(error) => return failure(&error),
    };
    match answer(&app, queries, &parameters).await {
        Ok((serving, answers)) => {
            let body = answers.first().map(|answer| hits(answer, &serving).to_string());
            json_body("application/json", body.unwrap_or_default())
        }
        Err(response) => response,
    }
}

/// A query file; a line of JSON for each of its queries.
async fn search_file(
    State(app): State<Arc<App>>,
    Query(parameters): Query<Parameters>,
    body: Bytes,
) -> Response {
    if parameters.q.is_some() {
        return refuse(StatusCode::BAD_REQUEST, "expected queries in the body, found q as well");
    }
    let queries = match queries(body.to_vec(), &parameters) {
        Ok(queries) => queries,
        Err(error) => return failure(&error),
    };
    match answer(&app, queries, &parameters).await {
        Ok((serving, answers)) => {
            let lines = answers.iter().map(|answer| format!("{}\n", hits(answer, &serving)));
            json_body("application/x-ndjson", lines.collect())
        }
        Err(response) => response,
    }
}

async fn health(State(app): State<Arc<App>>) -> Response {
    let Serving { content_id, documents, postings } = &*app.service.serving();
    let body = json!({
        "status": "ok", "content_id": content_id, "documents": documents, "postings": postings,
        "version": env!("CARGO_PKG_VERSION"),
    });
    json_body("application/json", body.to_string())
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.service.metrics()).into_response()
}

fn queries(body: Vec<u8>, parameters: &Parameters) -> Result<QueryFile> {
    let kind = match &parameters.kind {
        Some(name) => name.parse()?,
        None => QueryKind::Auto,
    };
    parse_queries(Path::new(REQUEST), body, kind)
}

/// Waits for a worker's answer.
async fn answer(
    app: &App,
    queries: QueryFile,
    parameters: &Parameters,
) -> Result<(Arc<Serving>, Vec<Answer>), Response> {
    let k = parameters.k.unwrap_or(app.limits.k);
    if k == 0 || k > app.limits.max_k {
        let problem = format!("expected k from 1 to {} (--max-k), found {k}", app.limits.max_k);
        return Err(refuse(StatusCode::BAD_REQUEST, &problem));
    }
    let algorithm: Result<Algorithm> = parameters.algorithm.as_deref().unwrap_or("auto").parse();
    let algorithm = algorithm.map_err(|error| failure(&error))?;
    let (sender, receiver) = oneshot::channel();
    let reply = |reply| drop(sender.send(reply));
    if let Err(Busy) = app.service.submit(Request { queries, k, algorithm }, reply) {
        let problem = "too many requests wait already (--queue); try again";
        return Err(refuse(StatusCode::SERVICE_UNAVAILABLE, problem));
    }
    match receiver.await {
        Ok(reply) => reply.map_err(|error| failure(&error)),
        Err(_) => Err(refuse(StatusCode::SERVICE_UNAVAILABLE, "the service is stopping")),
    }
}

fn hits(answer: &Answer, serving: &Serving) -> serde_json::Value {
    let hit = |(rank, (id, score)): (usize, &(String, u32))| json!({ "rank": rank + 1, "docid": id, "score": score });
    json!({
        "qid": answer.query,
        "hits": answer.hits.iter().enumerate().map(hit).collect::<Vec<_>>(),
        "algorithm": answer.algorithm,
        "unknown_tokens": answer.unknown,
        "encoding_us": answer.encoding.as_nanos() as f64 / 1e3,
        "retrieval_us": answer.retrieval.as_nanos() as f64 / 1e3,
        "content_id": serving.content_id,
    })
}

/// The request's fault is 400, ours is 500.
fn failure(error: &Error) -> Response {
    let status = match error {
        Error::Usage(_) => StatusCode::BAD_REQUEST,
        Error::Data(data) if data.path == Path::new(REQUEST) => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refuse(status, &error.to_string())
}

fn refuse(status: StatusCode, problem: &str) -> Response {
    (status, json_body("application/json", json!({ "error": problem }).to_string())).into_response()
}

fn json_body(content_type: &'static str, body: String) -> Response {
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}
