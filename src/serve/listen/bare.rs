//! Connections whose every answer is ours.
//!
//! The HTTP library answers what it cannot read (a URL of 64 KiB, a raw space in it, too many
//! header lines) by itself, with a status and nothing else, before any route is asked, and has
//! no hook for it. Such an answer is the last thing that it writes to a connection, so it is
//! found and replaced where it is written.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::Service;
use super::state::Open;

/// Most bytes of a request line and headers.
pub(super) const LARGEST_HEAD: usize = 128 << 10;

/// A connection on which bare answers are replaced, and whose doings are noted.
pub(super) struct Connection<S> {
    stream: S,
    open: Arc<Open>,
    service: Arc<Service>,
    /// What was written in place of something else, and how much of it has gone.
    pending: Vec<u8>,
    sent: usize,
    /// Bytes that are still read, and thrown away, behind the last answer: a connection that is
    /// closed on bytes unread is cut, and its client may never see the answer.
    unread: usize,
    /// Whether a line has ended since the last answer: else a head that is too long is a URL.
    line: bool,
}

/// Most of what a client sends on that is read before its connection is closed.
const DRAINED: usize = 16 << 20;

/// Closes our side, and reads what the client sends on, until it closes or has sent too much.
pub(super) async fn linger(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = stream.take(DRAINED as u64);
    let mut bytes = [0; 4096];
    while rest.read(&mut bytes).await? > 0 {}
    Ok(())
}

impl<S> Connection<S> {
    pub(super) fn new(stream: S, open: Arc<Open>, service: Arc<Service>) -> Self {
        Connection {
            stream,
            open,
            service,
            pending: Vec::new(),
            sent: 0,
            unread: DRAINED,
            line: false,
        }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncWrite + Unpin> Connection<S> {
    fn send_pending(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.pending.len() {
            let rest = &self.pending[self.sent..];
            let sent = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += sent;
        }
        self.pending.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Takes `bytes` to be written if they end in a bare answer, with ours in its place.
    fn takes(&mut self, bytes: &[u8]) -> bool {
        let Some((at, status)) = bare_answer(bytes) else { return false };
        let status = if status == 431 && !self.line { 414 } else { status };
        self.service.shared.metrics.unread(status);
        self.pending.extend_from_slice(&bytes[..at]);
        self.pending.extend_from_slice(answer(status).as_bytes());
        true
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.line |= buffer.filled()[before..].contains(&b'\n');
            self.open.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.send_pending(context))?;
        if self.takes(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let sent = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.line = false;
        self.open.sent();
        Poll::Ready(Ok(sent))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.send_pending(context))?;
        // Heads are written whole: a bare one ends the last slice that has bytes.
        let last = slices.iter().rfind(|slice| !slice.is_empty());
        if last.is_some_and(|last| bare_answer(last).is_some()) {
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            if self.takes(&bytes) {
                return Poll::Ready(Ok(bytes.len()));
            }
        }
        let sent = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices))?;
        self.line = false;
        self.open.sent();
        Poll::Ready(Ok(sent))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.send_pending(context))?;
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.open.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.send_pending(context))?;
        self.open.shut();
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        let mut bytes = [0; 4096];
        while self.unread > 0 {
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            self.unread = match (read, buffer.filled().len()) {
                // It has nothing more to say, or is gone.
                (Err(_), _) | (_, 0) => 0,
                (Ok(()), n) => self.unread.saturating_sub(n),
            };
        }
        Poll::Ready(Ok(()))
    }
}

/// Where in `bytes` an answer begins that is a status of 400 or more and no more, and that
/// status. All answers of the routes have a content type, and neither JSON nor metrics hold a
/// line that begins as an answer does.
fn bare_answer(bytes: &[u8]) -> Option<(usize, u16)> {
    const START: &[u8] = b"HTTP/1.1 ";
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let at = bytes.windows(START.len()).rposition(|part| part.eq_ignore_ascii_case(START))?;
    let head = std::str::from_utf8(&bytes[at..]).ok()?.to_ascii_lowercase();
    let status = head.get(START.len()..START.len() + 3)?.parse().ok()?;
    let bare = head.contains("\r\ncontent-length: 0\r\n") && !head.contains("\r\ncontent-type:");
    (status >= 400 && bare).then_some((at, status))
}

/// The whole answer for a request that could not be read.
pub(super) fn answer(status: u16) -> String {
    let (name, problem) = match status {
        408 => ("Request Timeout", "expected the whole head of a request in time"),
        503 => ("Service Unavailable", "too many connections; try again"),
        414 => ("URI Too Long", "expected a URL of at most 65,534 bytes; POST long queries"),
        431 => (
            "Request Header Fields Too Large",
            "expected at most 100 header lines, and 128 KiB of request line and headers",
        ),
        _ => (
            "Bad Request",
            "expected a request of HTTP/1.1, found one that cannot be read; in a URL write a \
             space as + or %20, and other bytes than ASCII as %XX; give each header once, \
             Content-Length as one number",
        ),
    };
    let status = if matches!(status, 408 | 414 | 431 | 503) { status } else { 400 };
    let retry = if status == 503 { "retry-after: 1\r\n" } else { "" };
    let body = json!({ "error": problem }).to_string();
    format!(
        "HTTP/1.1 {status} {name}\r\ncontent-type: application/json\r\nconnection: close\r\n\
         {retry}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\
                          date: Sun, 29 Nov 2026 15:00:00 GMT\r\n\r\n";

    #[test]
    fn a_bare_answer_is_found_behind_others_and_nothing_else_is_one() {
        assert_eq!(bare_answer(BARE), Some((0, 431)));
        let ours = answer(414);
        assert_eq!(bare_answer(ours.as_bytes()), None);
        let both = [ours.as_bytes(), BARE].concat();
        assert_eq!(bare_answer(&both), Some((ours.len(), 431)));
        assert_eq!(bare_answer(b"HTTP/1.1 100 Continue\r\n\r\n"), None);
        assert_eq!(bare_answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), None);
        assert_eq!(bare_answer(b""), None);
    }

    #[test]
    fn what_stands_in_its_place_is_a_whole_answer() {
        for status in [400, 408, 414, 431, 503] {
            let answer = answer(status);
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
            assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert!(body["error"].is_string(), "{body}");
        }
    }
}
