//! The routes of who operates a node: is it alive, is it ready, take another index.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::App;
use super::answers::{json_body, refuse, refuse_with};
use crate::error::Error;
use crate::serve::{Readiness, Reloaded, Serving};

/// Whether the process is alive: 200 as long as it can answer.
pub(super) async fn health(State(app): State<Arc<App>>) -> Response {
    let mut body = match app.service.serving() {
        Some(serving) => described(&serving),
        None => json!({}),
    };
    body["status"] = "ok".into();
    body["version"] = env!("CARGO_PKG_VERSION").into();
    json_body("application/json", body.to_string())
}

/// Whether requests should be sent here.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    match app.service.readiness() {
        Readiness::Ready(serving) => {
            let mut body = described(&serving);
            body["ready"] = true.into();
            // An index that was refused takes no node away: the one before answers.
            body["last_failure"] = app.service.failure().into();
            json_body("application/json", body.to_string())
        }
        Readiness::NotReady(why) => {
            let body = json!({ "ready": false, "error": why });
            refuse_with(StatusCode::SERVICE_UNAVAILABLE, body)
        }
    }
}

fn described(serving: &Serving) -> Value {
    let Serving { content_id, release, documents, postings, bytes, texts, warning } = serving;
    json!({
        "content_id": content_id, "release": release, "documents": documents,
        "postings": postings, "bytes": bytes, "texts": texts, "warning": warning,
    })
}

/// Takes what is to be served now, and says what came of it.
pub(super) async fn reload(State(app): State<Arc<App>>) -> Response {
    if app.service.is_draining() {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping");
    }
    let service = Arc::clone(&app.service);
    let reloaded = tokio::task::spawn_blocking(move || service.try_reload()).await;
    match reloaded {
        Ok(Some(Ok(reloaded))) => {
            let outcome = match &reloaded {
                Reloaded::Swapped(_) => "swapped",
                Reloaded::Unchanged(_) => "unchanged",
            };
            let mut body = described(reloaded.serving());
            body["outcome"] = outcome.into();
            json_body("application/json", body.to_string())
        }
        Ok(Some(Err(error))) => {
            let (status, outcome) = match error {
                Error::Data(_) | Error::Setting(_) | Error::Usage(_) => {
                    (StatusCode::CONFLICT, "refused")
                }
                _ => (StatusCode::BAD_GATEWAY, "failed"),
            };
            let serving = app.service.serving().map(|serving| described(&serving));
            let body = json!({
                "outcome": outcome, "error": error.to_string(), "serving": serving,
            });
            refuse_with(status, body)
        }
        Ok(None) => {
            let problem = "another index is being taken already; try again";
            refuse(StatusCode::SERVICE_UNAVAILABLE, problem)
        }
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// Counts and times, for Prometheus.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, OPEN_METRICS)], app.service.metrics()).into_response()
}
