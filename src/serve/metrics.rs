//! What a service has done since it started, for Prometheus.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::Answer;
use super::status::Status;

/// What was asked, and how it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    /// The path of a route; `other` for all that are none, so that strangers make no new series.
    route: &'static str,
    status: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: Reload,
}

/// How an attempt to serve another index ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types)] // They are written as they stand.
pub(super) enum Reload {
    swapped,
    unchanged,
    refused,
    failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Closed {
    reason: Closing,
}

/// Why the server closed a connection that its client would have kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types)]
pub(super) enum Closing {
    /// The head of a request did not arrive in time.
    header_time,
    /// Nothing was asked for long, or an answer was not taken.
    idle_time,
    /// Another client needed its place.
    limit,
    /// The server stops.
    drained,
}

/// Counters, gauges and histograms.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    failed: Counter,
    refused: Counter,
    abandoned: Counter,
    in_flight: Gauge,
    queued: Gauge,
    queue_wait: Histogram,
    request: Family<Route, Histogram>,
    encoding: Histogram,
    retrieval: Histogram,
    queries: Counter,
    filters_at_hand: Counter,
    filters_compiled: Counter,
    reloads: Family<Outcome, Counter>,
    connections: Gauge,
    closed: Family<Closed, Counter>,
    refused_connections: Counter,
}

/// From 20 µs to 42 s: queries take tens of microseconds, a refusal must not take seconds.
fn times() -> Histogram {
    Histogram::new(exponential_buckets(20e-6, 2.0, 22))
}

impl Metrics {
    /// `status` is what is written of the index and of the process.
    pub(super) fn new(status: Arc<Status>) -> Self {
        let metrics = Metrics {
            registry: Registry::default(),
            requests: Family::default(),
            failed: Counter::default(),
            refused: Counter::default(),
            abandoned: Counter::default(),
            in_flight: Gauge::default(),
            queued: Gauge::default(),
            queue_wait: times(),
            request: Family::new_with_constructor(times),
            encoding: times(),
            retrieval: times(),
            queries: Counter::default(),
            filters_at_hand: Counter::default(),
            filters_compiled: Counter::default(),
            reloads: Family::default(),
            connections: Gauge::default(),
            closed: Family::default(),
            refused_connections: Counter::default(),
        };
        // All outcomes are there from the start: an alert on the first needs a zero before it.
        for outcome in [Reload::swapped, Reload::unchanged, Reload::refused, Reload::failed] {
            drop(metrics.reloads.get_or_create(&Outcome { outcome }));
        }
        metrics.registered(status)
    }

    fn registered(mut self, status: Arc<Status>) -> Self {
        let registry = &mut self.registry;
        let all = registry.sub_registry_with_prefix("splindex");
        all.register("requests", "Requests by route and status", self.requests.clone());
        all.register(
            "failed_requests",
            "Requests answered with a status of 400 or more",
            self.failed.clone(),
        );
        all.register(
            "refused_requests",
            "Requests of these that found the queue full",
            self.refused.clone(),
        );
        all.register(
            "abandoned_requests",
            "Requests whose client went away while they waited",
            self.abandoned.clone(),
        );
        all.register(
            "requests_in_flight",
            "Requests that are being answered",
            self.in_flight.clone(),
        );
        all.register("queue_depth", "Requests that wait for a worker", self.queued.clone());
        all.register(
            "queue_wait_seconds",
            "Time that requests waited for a worker",
            self.queue_wait.clone(),
        );
        all.register(
            "request_seconds",
            "Time from the head of a request to its answer",
            self.request.clone(),
        );
        all.register(
            "encoding_seconds",
            "Time from text to weighted tokens, a query",
            self.encoding.clone(),
        );
        all.register(
            "retrieval_seconds",
            "Time from weighted tokens to the top k, a query",
            self.retrieval.clone(),
        );
        all.register("queries", "Queries answered", self.queries.clone());
        all.register(
            "filters_at_hand",
            "Filters of queries that had been compiled before",
            self.filters_at_hand.clone(),
        );
        all.register(
            "filters_compiled",
            "Filters of queries that were compiled",
            self.filters_compiled.clone(),
        );
        all.register(
            "reloads",
            "Attempts to serve another index, by outcome",
            self.reloads.clone(),
        );
        all.register("connections", "Connections that are open", self.connections.clone());
        all.register(
            "closed_connections",
            "Connections that the server closed, by reason",
            self.closed.clone(),
        );
        all.register(
            "refused_connections",
            "Connections beyond the limit, answered 503 or cut",
            self.refused_connections.clone(),
        );
        registry.register_collector(Box::new(status));
        self
    }

    /// Queries of a request were answered.
    pub(super) fn answered(&self, answers: &[Answer]) {
        self.queries.inc_by(answers.len() as u64);
        for answer in answers {
            self.encoding.observe(answer.encoding.as_secs_f64());
            self.retrieval.observe(answer.retrieval.as_secs_f64());
        }
    }

    /// Filters were asked for.
    pub(super) fn filters(&self, [at_hand, compiled]: [u64; 2]) {
        self.filters_at_hand.inc_by(at_hand);
        self.filters_compiled.inc_by(compiled);
    }

    /// A request was queued.
    pub(super) fn queued(&self) {
        self.queued.inc();
    }

    /// A worker took a request that waited so long.
    pub(super) fn taken(&self, wait: Duration) {
        self.queued.dec();
        self.queue_wait.observe(wait.as_secs_f64());
    }

    /// A request waited, and its client is gone.
    pub(super) fn abandoned(&self) {
        self.abandoned.inc();
    }

    /// A request found the queue full.
    pub(super) fn refused(&self) {
        self.queued.dec();
        self.refused.inc();
    }

    /// A request came.
    pub(super) fn begun(&self) {
        self.in_flight.inc();
    }

    /// Its answer is ready, or nobody waits for it any more.
    pub(super) fn ended(&self) {
        self.in_flight.dec();
    }

    /// The answer of `route`, after so long.
    pub(super) fn replied(&self, route: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&Answered { route, status: status.into() }).inc();
        self.request.get_or_create(&Route { route }).observe(took.as_secs_f64());
        if status >= 400 {
            self.failed.inc();
        }
    }

    /// A request that could not be read was answered.
    pub(super) fn unread(&self, status: u16) {
        self.requests.get_or_create(&Answered { route: "unread", status: status.into() }).inc();
        self.failed.inc();
    }

    /// An attempt to serve another index ended.
    pub(super) fn reloaded(&self, outcome: Reload) {
        self.reloads.get_or_create(&Outcome { outcome }).inc();
    }

    /// A connection was opened.
    pub(super) fn opened(&self) {
        self.connections.inc();
    }

    /// A connection is no more.
    pub(super) fn gone(&self) {
        self.connections.dec();
    }

    /// The server closes a connection.
    pub(super) fn closed(&self, reason: Closing) {
        self.closed.get_or_create(&Closed { reason }).inc();
    }

    /// A connection beyond the limit.
    pub(super) fn refused_connection(&self) {
        self.refused_connections.inc();
    }

    /// OpenMetrics' text.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("memory takes every line");
        text
    }
}
