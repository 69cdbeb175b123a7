//! Answers and errors as JSON.

use std::path::Path;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::super::{Answer, REQUEST, Serving};
use crate::error::Error;

/// Seconds after which a client that was refused may try again: queues empty faster.
const RETRY_AFTER: u32 = 1;

/// The answer to a query.
pub(super) fn hits(answer: &Answer, serving: &Serving) -> Value {
    let ranked = (1u64..).zip(&answer.hits);
    let hits = ranked.map(|(rank, hit)| {
        let mut shown = json!({
            "rank": rank, "docid": hit.document, "score": hit.score, "score_float": hit.weighed,
        });
        if let Some(terms) = &hit.terms {
            let terms = terms.iter().map(|part| {
                json!({"token": part.token, "field": part.field, "weight": part.weight,
                    "impact": part.impact, "score": part.weight * u32::from(part.impact)})
            });
            shown["terms"] = terms.collect();
        }
        shown
    });
    let mut body = json!({
        "qid": answer.query,
        "hits": hits.collect::<Vec<_>>(),
        "algorithm": answer.algorithm,
        "unknown_tokens": answer.unknown,
        "truncated": answer.truncated,
        "encoding_us": answer.encoding.as_nanos() as f64 / 1e3,
        "retrieval_us": answer.retrieval.as_nanos() as f64 / 1e3,
        "content_id": serving.content_id,
        "release": serving.release,
    });
    if let Some(kept) = answer.kept {
        body["kept"] = kept.into();
    }
    body
}

/// The request's fault is 400, ours is 500.
pub(super) fn failure(error: &Error) -> Response {
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

/// An error.
pub(super) fn refuse(status: StatusCode, problem: &str) -> Response {
    refuse_with(status, json!({ "error": problem }))
}

/// An error that says more than what is wrong.
pub(super) fn refuse_with(status: StatusCode, body: Value) -> Response {
    let body = json_body("application/json", body.to_string());
    let mut response = (status, body).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER.into());
    }
    response
}

/// JSON of one or more lines.
pub(super) fn json_body(content_type: &'static str, body: String) -> Response {
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
