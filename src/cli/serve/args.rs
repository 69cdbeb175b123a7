//! What `serve` may be told.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::Common;
use crate::error::{Error, Result};
use crate::index::Load;
use crate::serve::http::Limits;
use crate::serve::listen::{Times, connections_within_limits};
use crate::serve::{ServeOptions, Verify};

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

/// Answer queries over HTTP
#[derive(Debug, clap::Args)]
#[command(after_help = "\
GET  /search?q=TEXT&k=10   one query: a text; where only weighted tokens can be answered, or
                           with kind=weighted, token:weight …
POST /search?k=10          a query file as for search --queries, plain or with
                           Content-Encoding gzip or zstd; a line of JSON for each query. Lines of
                           JSON may say k and algorithm themselves; unknown keys are errors
GET  /health               the process is alive; content id and size of the index that answers
GET  /ready                200 if requests are welcome; 503 with the reason while the first index
                           is read or the server stops
POST /reload               takes the index that is there now: 200 with the outcome, 409 if it is
                           refused, 502 if it cannot be had; the one before goes on
GET  /metrics              counts and latencies, for Prometheus

Further parameters: kind (as --query-kind of search), explain=true (what each term gave to a hit, for \
10,000 hits at most) and algorithm: auto, exhaustive, wand, block_max_wand, maxscore, \
block_max_maxscore, windowed or block_pruned. Results and ties are those of search; score is the \
integer, score_float the score in the units of the weights. Of a text --max-query-length tokens are \
read; the answer says truncated if it has more. A body is at most 4 MiB, packed and unpacked, and \
all its queries ask for at most a million results, a URL is at most 65,534 bytes, headers are at most \
100 lines. Every error is JSON, {\"error\": …}, and counted in /metrics: status 400 for a request in \
error, 408 for one that does not arrive in time, 413, 414 and 431 for a body, a URL and headers that \
are too large, 503 with Retry-After where too many wait (--queue) or are connected. A connection \
that begins in HTTP/2 is closed without an answer.

Of releases (splindex publish) the one that the pointer names is fetched, verified, read and warmed \
before it answers; the one before stays open, so that a rollback takes no time. Where DEST is away \
or its release is damaged, the one that is served goes on; at the start, the last one of --cache.

SIGHUP opens the file again, as POST /reload does: publish a new index by rename, then send it; \
requests go on being answered meanwhile, and an index that is damaged, or that the query model does \
not belong to, changes nothing. SIGTERM and Ctrl-C: /ready says no, whoever is connected or comes is \
answered with connection: close, until nobody has been connected for a second, for --drain-time at \
most; a second signal stops at once. There is no encryption and no access control: listen on a \
private address, or behind a proxy that lets /reload and /metrics through to nobody else. \
docs/node.md says how to operate a node.

Examples:
  splindex-query serve bm25.spx
  splindex-query serve splade.spx --query-model data/tiny --listen 0.0.0.0:7070 --threads 8
  splindex-query serve s3://bucket/passages --follow 30s --cache /var/cache/splindex
  curl 'http://127.0.0.1:7070/search?q=blue+whale&k=3'
  curl --data-binary @questions.tsv 'http://127.0.0.1:7070/search?k=100'")]
pub struct ServeArgs {
    /// The index file; or the folder or store (s3://, gs://, az://) with releases to follow
    #[arg(value_name = "INDEX.spx|DEST")]
    pub(super) index: PathBuf,
    /// Address and port, localhost:7070 or 0.0.0.0:80; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7070")]
    pub(super) listen: String,
    /// How the index gets into memory: mmap, populate or ram
    #[arg(long, value_name = "HOW", default_value = "mmap")]
    load: Load,
    /// What of an index is read before it answers: checksums, deep (and all that its lists
    /// promise) or none
    #[arg(long, value_name = "WHAT", default_value = "checksums")]
    verify: Verify,

    /// Folder of the model (or of its table of token weights) for text queries
    #[arg(long, value_name = "DIR", help_heading = "Queries")]
    pub(super) query_model: Option<PathBuf>,
    /// Weight h of the learned part in a hybrid index: BM25 + h · learned [default: 0.5]
    #[arg(long, value_name = "H", help_heading = "Queries")]
    hybrid_weight: Option<f64>,
    /// Factor that makes fractional query weights integers; not used by hybrid indexes
    #[arg(long, value_name = "X", default_value_t = 100.0, help_heading = "Queries")]
    query_scale: f64,
    /// Tokens of a query text that are read; of BM25, words [default: what the model says, of BM25
    /// 1024]
    #[arg(long, value_name = "N", help_heading = "Queries")]
    max_query_length: Option<usize>,
    /// Results a query, if the request does not say
    #[arg(long, value_name = "K", default_value_t = 10, help_heading = "Queries")]
    k: usize,
    /// Most results that a request may ask for
    #[arg(long, value_name = "K", default_value_t = 1000, help_heading = "Queries")]
    max_k: usize,

    /// How often DEST is asked whether there is another release
    #[cfg(feature = "publish")]
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time, help_heading = "Releases")]
    pub(super) follow: Duration,
    /// Folder that releases are fetched to; a start without DEST takes the last one from it
    #[cfg(feature = "publish")]
    #[arg(long, value_name = "DIR", help_heading = "Releases")]
    pub(super) cache: Option<PathBuf>,
    /// Most bytes there: three releases need room, that to come, the one served, the one before
    #[cfg(feature = "publish")]
    #[arg(long, value_name = "SIZE", default_value = "100GiB", help_heading = "Releases")]
    pub(super) cache_size: crate::builder::Memory,
    /// The pointer of DEST that is followed
    #[cfg(feature = "publish")]
    #[arg(long, value_name = "NAME", default_value = "current", help_heading = "Releases")]
    pub(super) pointer: String,

    /// Requests that may wait; more are refused with status 503
    #[arg(long, value_name = "N", default_value_t = 1024, help_heading = "Connections")]
    queue: usize,
    /// Connections at a time, fewer where the limit of descriptors is lower; for one more the one
    /// that has waited longest without a request is closed, else it is refused with status 503
    #[arg(long, value_name = "N", default_value_t = 1024, help_heading = "Connections")]
    max_connections: usize,
    /// Time for the head of a request, from its first byte
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time, help_heading = "Connections")]
    header_time: Duration,
    /// Time for the body of a request
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time, help_heading = "Connections")]
    body_time: Duration,
    /// Time without a request after which a connection is closed
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time, help_heading = "Connections")]
    idle_time: Duration,
    /// After a signal to stop, most time until everybody has been answered
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time, help_heading = "Connections")]
    drain_time: Duration,

    /// How the log on standard error is written
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Log")]
    pub(super) log_format: LogFormat,
    /// Log every request: method, path (no query text), status, time, address
    #[arg(long, help_heading = "Log")]
    access_log: bool,
}

/// A time such as 30s, 500ms or 2m.
fn time(text: &str) -> std::result::Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| format!("expected a time such as 30s, 500ms or 2m, found {text:?}"))
}

impl ServeArgs {
    /// Whether the settings go together.
    pub(super) fn check(&self) -> Result<()> {
        if self.k == 0 || self.k > self.max_k {
            return Err(Error::Usage(format!(
                "--k must be 1 to --max-k, {}, found {}",
                self.max_k, self.k
            )));
        }
        if self.max_connections == 0 {
            return Err(Error::Usage("--max-connections must be at least 1, found 0".into()));
        }
        if let Some(0) = self.max_query_length {
            return Err(Error::setting("max_query_length", "at least 1", 0));
        }
        #[cfg(feature = "publish")]
        match (self.is_dest(), &self.cache) {
            (true, None) => {
                let problem = "releases are served from a folder that they are fetched to: give \
                               --cache DIR";
                return Err(Error::Usage(problem.into()));
            }
            (false, Some(_)) => {
                let index = self.index.display();
                let problem = format!("--cache is for releases, and {index} is a file");
                return Err(Error::Usage(problem));
            }
            _ => {}
        }
        #[cfg(not(feature = "publish"))]
        if self.is_dest() {
            let problem = "expected an index file: following releases needs a splindex-query built \
                           with the feature publish";
            return Err(Error::Usage(problem.into()));
        }
        for (name, time) in
            [("header", self.header_time), ("body", self.body_time), ("idle", self.idle_time)]
        {
            if time.is_zero() {
                return Err(Error::Usage(format!("--{name}-time must be more than 0s")));
            }
        }
        Ok(())
    }

    /// Whether releases are followed.
    pub(super) fn is_dest(&self) -> bool {
        // A folder that is away is none for now.
        #[cfg(feature = "publish")]
        let named = self.cache.is_some() && !self.index.is_file();
        #[cfg(not(feature = "publish"))]
        let named = false;
        let is_store = self.index.to_str().is_some_and(|name| name.contains("://"));
        named || is_store || self.index.is_dir()
    }

    /// The time between two looks at a store; none where a file is served.
    pub(super) fn patience(&self) -> Option<Duration> {
        #[cfg(feature = "publish")]
        return self.is_dest().then_some(self.follow);
        #[cfg(not(feature = "publish"))]
        None
    }

    pub(super) fn options(&self, common: &Common) -> ServeOptions {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        ServeOptions {
            load: self.load,
            verify: self.verify,
            hybrid_weight: self.hybrid_weight,
            query_scale: self.query_scale,
            max_query_length: self.max_query_length,
            threads: common.threads.unwrap_or(cores),
            queue: self.queue,
            // In memory of its own each would take its size.
            keep_previous: self.is_dest() && self.load != Load::Ram,
        }
    }

    pub(super) fn limits(&self) -> Limits {
        let (body_time, access_log) = (self.body_time, self.access_log);
        Limits { k: self.k, max_k: self.max_k, body_time, access_log }
    }

    pub(super) fn times(&self) -> Times {
        Times {
            header: self.header_time,
            idle: self.idle_time,
            drain: self.drain_time,
            connections: connections_within_limits(self.max_connections),
        }
    }
}
