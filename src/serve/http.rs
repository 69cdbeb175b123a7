//! A service over HTTP: `GET /search?q=…`, `POST /search` with a query file as its body,
//! plain or packed (`Content-Encoding: gzip`, `zstd`), `GET /health`, `GET /metrics`.
//!
//! Connections are axum's (tokio's) business; queries run on the service's workers only,
//! so slow clients hold no worker, and a full queue is answered 503 at once.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{self, DefaultBodyLimit, FromRequest, Query, RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::map_response_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::oneshot;

use super::{Answer, Busy, Questions, REQUEST, Reply, Request, Service, Serving};
use crate::corpus::{Packing, Unpacker};
use crate::error::{Error, Result};
use crate::queries::file::QueryKind;

/// Largest body of a request, in bytes, packed and unpacked.
pub const LARGEST_BODY: usize = 4 << 20;

/// Seconds after which a client that was refused may try again: queues empty faster.
const RETRY_AFTER: u32 = 1;

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

type Asked = Result<Query<Parameters>, QueryRejection>;

/// The routes.
pub fn router(service: Arc<Service>, limits: Limits) -> Router {
    let app = Arc::new(App { service, limits });
    Router::new()
        .route("/search", get(search_text).post(search_file))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(wrong_method)
        .fallback(no_such_path)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(map_response_with_state(Arc::clone(&app), counted))
        .with_state(app)
}

/// Counts answers that are errors, from us and from the HTTP library.
async fn counted(State(app): State<Arc<App>>, response: Response) -> Response {
    if response.status().is_client_error() || response.status().is_server_error() {
        app.service.count_failed();
    }
    response
}

async fn no_such_path(uri: Uri) -> Response {
    let problem = format!("expected /search, /health or /metrics, found the path {:?}", uri.path());
    refuse(StatusCode::NOT_FOUND, &problem)
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    let expected = if uri.path() == "/search" { "GET or POST" } else { "GET" };
    let problem = format!("expected {expected} for {}, found {method}", uri.path());
    refuse(StatusCode::METHOD_NOT_ALLOWED, &problem)
}

/// One text, or one list of weighted tokens.
async fn search_text(
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
    asked: Asked,
) -> Response {
    let parameters = match parameters(raw, asked) {
        Ok(parameters) => parameters,
        Err(error) => return failure(&error),
    };
    let Some(text) = &parameters.q else {
        return refuse(StatusCode::BAD_REQUEST, "expected a query: /search?q=…");
    };
    // One query is too little to guess from: "psalm 23:4" has the shape of weighted tokens.
    let kind = if app.service.serving().texts { QueryKind::Text } else { QueryKind::Auto };
    let asked = Questions::One(text.clone());
    answer(&app, (asked, kind), &parameters, "application/json").await
}

/// A query file; a line of JSON for each of its queries.
async fn search_file(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
    asked: Asked,
    request: extract::Request,
) -> Response {
    let parameters = match parameters(raw, asked) {
        Ok(parameters) => parameters,
        Err(error) => return failure(&error),
    };
    let body = match received(request).await.and_then(|body| unpack(&headers, body)) {
        Ok(body) => body,
        Err((status, problem)) => return refuse(status, &problem),
    };
    if parameters.q.is_some() {
        return refuse(StatusCode::BAD_REQUEST, "expected queries in the body, found q as well");
    }
    answer(&app, (Questions::File(body), QueryKind::Auto), &parameters, "application/x-ndjson")
        .await
}

/// The body as it was sent; one that says it is too long is not read.
async fn received(request: extract::Request) -> Result<Bytes, (StatusCode, String)> {
    let too_long = || {
        let problem = format!("expected a body of at most {LARGEST_BODY} bytes; send it in parts");
        (StatusCode::PAYLOAD_TOO_LARGE, problem)
    };
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length: Option<u64> = length.and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length| length > LARGEST_BODY as u64) {
        return Err(too_long());
    }
    Bytes::from_request(request, &()).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_long(),
        status => (status, format!("the body did not arrive: {}", rejection.body_text())),
    })
}

/// The body behind its `Content-Encoding`, no longer than one that came plain may be: a few
/// kilobytes can unpack to gigabytes.
fn unpack(headers: &HeaderMap, body: Bytes) -> Result<Vec<u8>, (StatusCode, String)> {
    let values = headers.get_all(header::CONTENT_ENCODING);
    let names = values.iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let name = names.collect::<Vec<_>>().join(", ").trim().to_ascii_lowercase();
    let packing = match &*name {
        "" | "identity" => return Ok(body.into()),
        "gzip" | "x-gzip" => Packing::Gzip,
        "zstd" => Packing::Zstd,
        _ => {
            let problem = format!(
                "expected a body without Content-Encoding, or with gzip or zstd, found {name:?}"
            );
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, problem));
        }
    };
    let packed = Unpacker::whole(&body[..], packing)
        .map_err(|e| (StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    let mut plain = Vec::new();
    match packed.take(LARGEST_BODY as u64 + 1).read_to_end(&mut plain) {
        Err(e) => Err((StatusCode::BAD_REQUEST, format!("the body is no sound {name}: {e}"))),
        Ok(_) if plain.len() > LARGEST_BODY => {
            let problem = format!("expected at most {LARGEST_BODY} bytes of queries, unpacked");
            Err((StatusCode::PAYLOAD_TOO_LARGE, problem))
        }
        Ok(_) => Ok(plain),
    }
}

/// What was asked, or that it cannot be read, in the form of all other errors.
fn parameters(raw: Option<String>, asked: Asked) -> Result<Parameters> {
    // Left to itself, the parser puts U+FFFD for what is no UTF-8 and searches for that.
    let broken = |part: &&str| percent_decode_str(part).decode_utf8().is_err();
    if let Some(part) = raw.as_deref().unwrap_or_default().split('&').find(broken) {
        return Err(Error::Usage(format!("expected percent-encoded UTF-8, found {part:?}")));
    }
    let Query(parameters) = asked.map_err(|rejection| Error::Usage(rejection.body_text()))?;
    Ok(parameters)
}

async fn health(State(app): State<Arc<App>>) -> Response {
    let Serving { content_id, documents, postings, texts } = &*app.service.serving();
    let body = json!({
        "status": "ok", "content_id": content_id, "documents": documents, "postings": postings,
        "texts": texts,
        "version": env!("CARGO_PKG_VERSION"),
    });
    json_body("application/json", body.to_string())
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.service.metrics()).into_response()
}

/// The request that `parameters` ask for; of `kind` unless they say.
fn request(
    app: &App,
    (questions, kind): (Questions, QueryKind),
    parameters: &Parameters,
) -> Result<Request> {
    let k = parameters.k.unwrap_or(app.limits.k);
    if k == 0 || k > app.limits.max_k {
        let most = app.limits.max_k;
        return Err(Error::Usage(format!(
            "expected k from 1 to {most} (max_k of this server), found {k}"
        )));
    }
    let kind = parameters.kind.as_deref().map_or(Ok(kind), str::parse)?;
    let algorithm = parameters.algorithm.as_deref().unwrap_or("auto").parse()?;
    Ok(Request { questions, kind, k, algorithm })
}

/// Lets a worker read, answer and write: this thread has all connections to look after.
async fn answer(
    app: &App,
    asked: (Questions, QueryKind),
    parameters: &Parameters,
    content_type: &'static str,
) -> Response {
    let request = match request(app, asked, parameters) {
        Ok(request) => request,
        Err(error) => return failure(&error),
    };
    let (sender, receiver) = oneshot::channel();
    let reply = move |reply: Reply| {
        let written = reply.map(|(serving, answers)| {
            answers.iter().map(|answer| format!("{}\n", hits(answer, &serving))).collect::<String>()
        });
        // The client may have gone.
        drop(sender.send(written));
    };
    if let Err(Busy) = app.service.submit(request, reply) {
        let problem = "too many requests wait already; try again";
        return refuse(StatusCode::SERVICE_UNAVAILABLE, problem);
    }
    match receiver.await {
        Ok(Ok(body)) => json_body(content_type, body),
        Ok(Err(error)) => failure(&error),
        Err(_) => refuse(StatusCode::SERVICE_UNAVAILABLE, "the service is stopping"),
    }
}

fn hits(answer: &Answer, serving: &Serving) -> serde_json::Value {
    let ranked = (1u64..).zip(&answer.hits);
    let hits = ranked.map(|(rank, (id, score))| json!({"rank": rank, "docid": id, "score": score}));
    json!({
        "qid": answer.query,
        "hits": hits.collect::<Vec<_>>(),
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
        Error::Setting(_) | Error::Usage(_) => StatusCode::BAD_REQUEST,
        Error::Data(data) if data.path == Path::new(REQUEST) => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refuse(status, &error.naming_settings(parameter))
}

/// How a request sets what the library calls `setting`.
fn parameter(setting: &str) -> String {
    match setting {
        "query_kind" => "kind".to_owned(),
        other => other.to_owned(),
    }
}

fn refuse(status: StatusCode, problem: &str) -> Response {
    let body = json_body("application/json", json!({ "error": problem }).to_string());
    let mut response = (status, body).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER.into());
    }
    response
}

fn json_body(content_type: &'static str, body: String) -> Response {
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_refused_for_want_of_room_is_told_when_to_come_back() {
        let busy = refuse(StatusCode::SERVICE_UNAVAILABLE, "busy");
        assert_eq!(busy.headers()[header::RETRY_AFTER], "1");
        let bad = refuse(StatusCode::BAD_REQUEST, "bad");
        assert!(!bad.headers().contains_key(header::RETRY_AFTER));
    }
}
