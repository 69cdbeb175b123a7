//! A service over HTTP: `GET /search?q=…`, `POST /search` with a query file as its body,
//! plain or packed (`Content-Encoding: gzip`, `zstd`), `GET /health`, `GET /ready`,
//! `POST /reload`, `GET /metrics`.
//!
//! Connections are [`listen`](super::listen)'s business; queries run on the service's workers only,
//! so slow clients hold no worker, and a full queue is answered 503 at once.

mod answers;
mod body;
mod control;
pub(super) mod observe;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{self, DefaultBodyLimit, Query, RawQuery, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{Busy, Questions, Readiness, Reply, Request, Service, Waiting};
use crate::error::{Error, Result, foreign};
use crate::queries::file::QueryKind;
use crate::queries::{Constraints, operators};
use crate::query::Condition;
use answers::{failure, hits, json_body, refuse};
use body::Bodies;

pub use body::LARGEST_BODY;

/// What clients may leave out or ask for.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Results a query if the request does not say.
    pub k: usize,
    /// Most results that a request may ask for.
    pub max_k: usize,
    /// How long a body may take to arrive.
    pub body_time: Duration,
    /// Whether each request is logged.
    pub access_log: bool,
}

impl Default for Limits {
    fn default() -> Self {
        let body_time = Duration::from_secs(30);
        Limits { k: 10, max_k: 1000, body_time, access_log: false }
    }
}

/// What the routes share.
struct App {
    service: Arc<Service>,
    limits: Limits,
    bodies: Bodies,
}

/// The parameters of `/search`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    q: Option<String>,
    k: Option<usize>,
    algorithm: Option<String>,
    kind: Option<String>,
    explain: Option<bool>,
    filter: Option<String>,
    boost: Option<String>,
    min_score: Option<u32>,
    operators: Option<bool>,
}

impl Parameters {
    /// What is asked of documents beside their terms; a filter is a text, or JSON.
    fn constraints(&self) -> Result<Constraints> {
        let json = |text: &str| serde_json::from_str(text).ok().filter(Value::is_object);
        let condition = |text: &str| match json(text) {
            Some(value) => Condition::from_json(&value),
            None => text.parse(),
        };
        let filter = self.filter.as_deref().map(condition).transpose()?;
        let boost = self.boost.as_deref().map(str::parse).transpose()?;
        let (boost, min_score) = (boost.into_iter().collect(), self.min_score.unwrap_or(0));
        Ok(Constraints { filter, boost, min_score, ..Constraints::default() })
    }
}

/// Words that documents must have, and must not have.
type Words = (Vec<String>, Vec<String>);

type Asked = Result<Query<Parameters>, QueryRejection>;

/// The routes.
pub fn router(service: Arc<Service>, limits: Limits) -> Router {
    let bodies = Bodies::new(limits.body_time);
    let app = Arc::new(App { service, limits, bodies });
    Router::new()
        .route("/search", get(search_text).post(search_file))
        .route("/health", get(control::health))
        .route("/ready", get(control::ready))
        .route("/reload", post(control::reload))
        .route("/metrics", get(control::metrics))
        .method_not_allowed_fallback(wrong_method)
        .fallback(no_such_path)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn_with_state(Arc::clone(&app), observe::observed))
        .with_state(app)
}

async fn no_such_path(uri: Uri) -> Response {
    let problem = format!(
        "expected /search, /health, /ready, /reload or /metrics, found the path {:?}",
        uri.path()
    );
    refuse(StatusCode::NOT_FOUND, &problem)
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    let (expected, allowed) = match uri.path() {
        "/search" => ("GET or POST", "GET, HEAD, POST"),
        "/reload" => ("POST", "POST"),
        _ => ("GET", "GET, HEAD"),
    };
    let problem = format!("expected {expected} for {}, found {method}", uri.path());
    let mut response = refuse(StatusCode::METHOD_NOT_ALLOWED, &problem);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
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
    let texts = app.service.serving().is_some_and(|serving| serving.texts);
    let kind = if texts { QueryKind::Text } else { QueryKind::Auto };
    let (text, required, excluded) = match parameters.operators {
        Some(true) => operators(text),
        _ => (text.clone(), Vec::new(), Vec::new()),
    };
    let words = (required, excluded);
    answer(&app, (Questions::One(text), kind, words), &parameters, None).await
}

/// A query file; a line of JSON for each of its queries.
async fn search_file(
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
    asked: Asked,
    request: extract::Request,
) -> Response {
    let parameters = match parameters(raw, asked) {
        Ok(parameters) => parameters,
        Err(error) => return failure(&error),
    };
    let body = match app.bodies.receive(request).await {
        Ok(body) => body,
        Err((status, problem)) => return refuse(status, &problem),
    };
    if parameters.q.is_some() {
        return refuse(StatusCode::BAD_REQUEST, "expected queries in the body, found q as well");
    }
    let asked = (Questions::File(body.bytes), QueryKind::Auto, Words::default());
    answer(&app, asked, &parameters, Some(body.memory)).await
}

/// What was asked, or that it cannot be read, in the form of all other errors.
fn parameters(raw: Option<String>, asked: Asked) -> Result<Parameters> {
    // Left to itself, the parser puts U+FFFD for what is no UTF-8 and searches for that.
    let broken = |part: &&str| percent_decode_str(part).decode_utf8().is_err();
    if let Some(part) = raw.as_deref().unwrap_or_default().split('&').find(broken) {
        return Err(Error::Usage(format!("expected percent-encoded UTF-8, found {part:?}")));
    }
    let Query(parameters) = asked.map_err(|rejection| {
        let said = foreign(rejection.body_text());
        let problem = said.strip_prefix("Failed to deserialize query string: ").unwrap_or(&said);
        Error::Usage(format!("expected the parameters of /search, found {problem}"))
    })?;
    Ok(parameters)
}

/// The request that `parameters` ask for; of `kind` unless they say.
fn request(
    app: &App,
    (questions, kind, (required, excluded)): (Questions, QueryKind, Words),
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
    let (max_k, explain) = (app.limits.max_k, parameters.explain.unwrap_or(false));
    let constraints = Constraints { required, excluded, ..parameters.constraints()? };
    Ok(Request { questions, kind, k, max_k, algorithm, explain, constraints })
}

/// Lets a worker read, answer and write: this thread has all connections to look after. The
/// `memory` of a body is held until then.
async fn answer(
    app: &App,
    asked: (Questions, QueryKind, Words),
    parameters: &Parameters,
    memory: Option<OwnedSemaphorePermit>,
) -> Response {
    let content_type = match &asked.0 {
        Questions::One(_) => "application/json",
        Questions::File(_) => "application/x-ndjson",
    };
    let request = match request(app, asked, parameters) {
        Ok(request) => request,
        Err(error) => return failure(&error),
    };
    // While the server stops, who has come is answered.
    if app.service.serving().is_none() {
        let why = match app.service.readiness() {
            Readiness::NotReady(why) => why,
            Readiness::Ready(_) => "the index has just been opened; try again".into(),
        };
        return refuse(StatusCode::SERVICE_UNAVAILABLE, &why);
    }
    let (sender, receiver) = oneshot::channel();
    if let Err(Busy) = app.service.submit(request, Client { sender }) {
        let problem = "too many requests wait already; try again";
        return refuse(StatusCode::SERVICE_UNAVAILABLE, problem);
    }
    let written = receiver.await;
    drop(memory);
    match written {
        Ok(Ok(body)) => json_body(content_type, body),
        Ok(Err(error)) => failure(&error),
        Err(_) => refuse(StatusCode::SERVICE_UNAVAILABLE, "the service is stopping"),
    }
}

/// Who waits for the lines of an answer.
struct Client {
    sender: oneshot::Sender<Result<String>>,
}

impl Waiting for Client {
    fn waits(&self) -> bool {
        !self.sender.is_closed()
    }

    fn reply(self: Box<Self>, reply: Reply) {
        let written = reply.map(|(serving, answers)| {
            answers.iter().map(|answer| format!("{}\n", hits(answer, &serving))).collect()
        });
        // The client may have gone.
        drop(self.sender.send(written));
    }
}
