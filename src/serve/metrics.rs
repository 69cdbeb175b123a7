//! What a service has done since it started.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use hdrhistogram::Histogram;

use super::Answer;

/// Quantiles that are reported.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];
/// Longest time told apart, in ns: a minute.
const LONGEST: u64 = 60_000_000_000;

/// Counters and latency histograms, shared by all workers.
#[derive(Debug)]
pub(super) struct Metrics {
    failed: AtomicU64,
    refused: AtomicU64,
    reloads: AtomicU64,
    times: Mutex<Times>,
}

/// Nanoseconds, three digits; 200 KB each.
#[derive(Debug)]
struct Times {
    encoding: Summary,
    retrieval: Summary,
}

#[derive(Debug)]
struct Summary {
    histogram: Histogram<u64>,
    sum: u64,
}

impl Summary {
    fn new() -> Self {
        let histogram = Histogram::new_with_max(LONGEST, 3).expect("fixed bounds");
        Summary { histogram, sum: 0 }
    }

    fn record(&mut self, nanos: u64) {
        self.histogram.saturating_record(nanos);
        self.sum += nanos;
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics {
            failed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            reloads: AtomicU64::new(0),
            times: Mutex::new(Times { encoding: Summary::new(), retrieval: Summary::new() }),
        }
    }
}

impl Metrics {
    /// Queries of a request were answered.
    pub(super) fn answered(&self, answers: &[Answer]) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        for answer in answers {
            times.encoding.record(answer.encoding.as_nanos() as u64);
            times.retrieval.record(answer.retrieval.as_nanos() as u64);
        }
    }

    /// A request was answered with an error.
    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// A request found the queue full.
    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Another index answers now.
    pub(super) fn reloaded(&self) {
        self.reloads.fetch_add(1, Ordering::Relaxed);
    }

    /// Prometheus' text format.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let counters = [
            ("failed_requests", "Requests answered with a status of 400 or more", &self.failed),
            ("refused_requests", "Requests of these that found the queue full", &self.refused),
            ("reloads", "Times that another index took over", &self.reloads),
        ];
        for (name, help, value) in counters {
            let value = value.load(Ordering::Relaxed);
            let _ = writeln!(
                text,
                "# HELP splindex_{name}_total {help}.\n# TYPE splindex_{name}_total counter\n\
                 splindex_{name}_total {value}"
            );
        }
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let summaries = [
            ("encoding", "Time from text to weighted tokens", &times.encoding),
            ("retrieval", "Time from weighted tokens to the top k", &times.retrieval),
        ];
        for (name, help, Summary { histogram, sum }) in summaries {
            let name = format!("splindex_{name}_seconds");
            let _ = writeln!(text, "# HELP {name} {help}, a query.\n# TYPE {name} summary");
            for quantile in QUANTILES {
                let seconds = histogram.value_at_quantile(quantile) as f64 / 1e9;
                let _ = writeln!(text, "{name}{{quantile=\"{quantile}\"}} {seconds}");
            }
            let _ = writeln!(text, "{name}_sum {}", *sum as f64 / 1e9);
            let _ = writeln!(text, "{name}_count {}", histogram.len());
        }
        text
    }
}
