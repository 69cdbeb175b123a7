//! The body of a request: whole, unpacked, within limits of length, time and memory.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::corpus::{Packing, Unpacker};

/// Largest body of a request, in bytes, packed and unpacked.
pub const LARGEST_BODY: usize = 4 << 20;

/// Memory of all bodies that are being read or wait for an answer: 64 of the largest.
const ALL_BODIES: usize = 64 * LARGEST_BODY;

/// What a permit of the memory stands for.
const UNIT: usize = 1 << 10;

/// Why a body was not taken.
pub(super) type Refusal = (StatusCode, String);

/// The memory of all bodies.
pub(super) struct Bodies {
    memory: Arc<Semaphore>,
    time: Duration,
}

/// A body, and its part of the memory until it is dropped.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) memory: OwnedSemaphorePermit,
}

impl Bodies {
    /// Bodies each of which must be there within `time`.
    pub(super) fn new(time: Duration) -> Self {
        Bodies { memory: Arc::new(Semaphore::new(ALL_BODIES / UNIT)), time }
    }

    /// The body as it was meant.
    pub(super) async fn receive(&self, request: Request) -> Result<Body, Refusal> {
        check_type(request.headers())?;
        let headers = request.headers().clone();
        let longest = match announced(&headers) {
            Some(length) if length > LARGEST_BODY as u64 => return Err(too_long()),
            // A packed one is as long as it may be, once it is unpacked.
            Some(length) if !headers.contains_key(header::CONTENT_ENCODING) => length as usize,
            _ => LARGEST_BODY,
        };
        let permits = longest.div_ceil(UNIT).max(1) as u32;
        let memory = Arc::clone(&self.memory).try_acquire_many_owned(permits);
        let memory = memory.map_err(|_| {
            let problem = "too many long requests are being read or wait; try again";
            (StatusCode::SERVICE_UNAVAILABLE, problem.into())
        })?;
        let bytes = timeout(self.time, Bytes::from_request(request, &())).await.map_err(|_| {
            let problem = format!("expected the whole body within {:?}", self.time);
            (StatusCode::REQUEST_TIMEOUT, problem)
        })?;
        let bytes = bytes.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => too_long(),
            status => (status, format!("the body did not arrive: {}", rejection.body_text())),
        })?;
        Ok(Body { bytes: unpack(&headers, bytes)?, memory })
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_long() -> Refusal {
    let problem = format!("expected a body of at most {LARGEST_BODY} bytes; send it in parts");
    (StatusCode::PAYLOAD_TOO_LARGE, problem)
}

/// A body whose lines are those of a form is no query file. Other types are not looked at: most
/// clients send what their library sends.
fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let name = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let name = name.unwrap_or_default().trim().to_ascii_lowercase();
    if !name.starts_with("multipart/") {
        return Ok(());
    }
    let problem = format!(
        "expected the query file itself as the body (curl --data-binary @FILE), found {name:?}"
    );
    Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, problem))
}

/// The body behind its `Content-Encoding`, no longer than one that came plain may be: a few
/// kilobytes can unpack to gigabytes.
fn unpack(headers: &HeaderMap, body: Bytes) -> Result<Vec<u8>, Refusal> {
    let values = headers.get_all(header::CONTENT_ENCODING);
    let names = values.iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let name = names.collect::<Vec<_>>().join(", ").trim().to_ascii_lowercase();
    let packing = match &*name {
        "" | "identity" => {
            let name = match Packing::of(&body) {
                Packing::None => return Ok(body.into()),
                Packing::Gzip => "gzip",
                Packing::Zstd => "zstd",
            };
            let problem = format!(
                "expected a plain body, found one packed by {name}: say so with the header \
                 Content-Encoding: {name}"
            );
            return Err((StatusCode::BAD_REQUEST, problem));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)], body: axum::body::Body) -> Request {
        let mut request = axum::http::Request::post("/search");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body).unwrap()
    }

    /// A body of which nothing ever comes.
    fn never() -> axum::body::Body {
        struct Never;
        impl hyper::body::Body for Never {
            type Data = Bytes;
            type Error = std::io::Error;
            fn poll_frame(
                self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>>
            {
                std::task::Poll::Pending
            }
        }
        axum::body::Body::new(Never)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up_when_its_time_is_over() {
        let bodies = Bodies::new(Duration::from_secs(30));
        let started = tokio::time::Instant::now();
        let (status, problem) = bodies.receive(request(&[], never())).await.err().unwrap();
        assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
        assert!(problem.contains("within 30s"), "{problem}");
        assert_eq!(started.elapsed().as_secs(), 30, "by the clock that the test moves");
        assert_eq!(bodies.memory.available_permits(), ALL_BODIES / UNIT);
    }

    #[tokio::test]
    async fn a_packed_body_that_does_not_say_so_is_told_which_header_it_lacks() {
        let bodies = Bodies::new(Duration::from_secs(30));
        for (body, name) in [(&b"\x1f\x8b\x08\0"[..], "gzip"), (b"\x28\xb5\x2f\xfd", "zstd")] {
            let (status, problem) = bodies.receive(request(&[], body.into())).await.err().unwrap();
            assert_eq!(status, StatusCode::BAD_REQUEST);
            assert!(problem.ends_with(&format!("header Content-Encoding: {name}")), "{problem}");
        }
    }

    #[tokio::test]
    async fn bodies_that_would_not_fit_into_memory_together_are_refused_at_once() {
        let bodies = Bodies::new(Duration::from_secs(30));
        let mut held = Vec::new();
        for _ in 0..64 {
            held.push(bodies.receive(request(&[], "q\tx".into())).await.ok().unwrap());
        }
        let (status, _) = bodies.receive(request(&[], "q\tx".into())).await.err().unwrap();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        held.pop();
        let short = request(&[("content-length", "3")], "q\tx".into());
        let body = bodies.receive(short).await.ok().unwrap();
        assert_eq!((&*body.bytes, body.memory.num_permits()), (&b"q\tx"[..], 1));
    }
}
