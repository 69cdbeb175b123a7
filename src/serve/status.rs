//! What a node is doing: for `/ready`, and as gauges.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::{MetricType, TypedMetric};

use super::Serving;

/// Whether requests are welcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// They are answered by this index.
    Ready(Arc<Serving>),
    /// They are not, or should go elsewhere: why.
    NotReady(String),
}

#[derive(Debug, Default)]
struct State {
    serving: Option<Arc<Serving>>,
    /// What is being done, while nothing is served.
    doing: String,
    /// Why the last attempt to serve another index came to nothing.
    failed: Option<String>,
    /// When the last attempt ended that did not fail.
    succeeded: Option<SystemTime>,
}

/// Shared by a service, its routes and its metrics.
pub(super) struct Status {
    state: RwLock<State>,
    draining: AtomicBool,
    started: SystemTime,
}

impl Status {
    pub(super) fn new() -> Self {
        let state = State { doing: "the index is being opened".into(), ..State::default() };
        let started = SystemTime::now();
        Status { state: RwLock::new(state), draining: AtomicBool::new(false), started }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The index that answers.
    pub(super) fn serving(&self) -> Option<Arc<Serving>> {
        self.look(|state| state.serving.clone())
    }

    /// Says what is done meanwhile.
    pub(super) fn doing(&self, what: impl Into<String>) {
        self.change(|state| state.doing = what.into());
    }

    /// Another index answers from now on, or the one that does is the one wanted.
    pub(super) fn succeeded(&self, serving: Arc<Serving>) {
        self.change(|state| {
            state.serving = Some(serving);
            state.failed = None;
            state.succeeded = Some(SystemTime::now());
        });
    }

    /// An attempt came to nothing.
    pub(super) fn failed(&self, why: String) {
        self.change(|state| state.failed = Some(why));
    }

    /// Why the last attempt came to nothing, if it did.
    pub(super) fn failure(&self) -> Option<String> {
        self.look(|state| state.failed.clone())
    }

    /// Requests should go elsewhere from now on.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(super) fn readiness(&self) -> Readiness {
        if self.is_draining() {
            return Readiness::NotReady("the server is stopping".into());
        }
        self.look(|state| match (&state.serving, &state.failed) {
            (Some(serving), _) => Readiness::Ready(Arc::clone(serving)),
            (None, Some(failed)) => Readiness::NotReady(format!("nothing to serve: {failed}")),
            (None, None) => Readiness::NotReady(state.doing.clone()),
        })
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Status").field("readiness", &self.readiness()).finish()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IndexInfo {
    content_id: String,
    release: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildInfo {
    version: &'static str,
}

/// Writes values as they are at this moment.
struct Writer<'a>(DescriptorEncoder<'a>);

impl Writer<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let gauge = ConstGauge::new(value);
        let encoder = self.0.encode_descriptor(name, help, None, gauge.metric_type())?;
        gauge.encode(encoder)
    }

    fn counter(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let counter = ConstCounter::new(value);
        let encoder = self.0.encode_descriptor(name, help, None, counter.metric_type())?;
        counter.encode(encoder)
    }

    /// A gauge of 1 whose labels say what there is.
    fn info(&mut self, name: &str, help: &str, labels: &impl EncodeLabelSet) -> fmt::Result {
        let gauge = ConstGauge::new(1i64);
        let kind = <ConstGauge<i64> as TypedMetric>::TYPE;
        debug_assert!(matches!(kind, MetricType::Gauge));
        let mut encoder = self.0.encode_descriptor(name, help, None, kind)?;
        gauge.encode(encoder.encode_family(labels)?)
    }
}

impl Collector for Status {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = Writer(encoder);
        let seconds = |time: SystemTime| {
            time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
        };
        let ready = matches!(self.readiness(), Readiness::Ready(_));
        writer.gauge("splindex_ready", "Whether /ready says yes", f64::from(u8::from(ready)))?;
        let build = BuildInfo { version: env!("CARGO_PKG_VERSION") };
        writer.info("splindex_build_info", "The version of splindex", &build)?;
        if let Some(serving) = self.serving() {
            let release = serving.release.clone().unwrap_or_default();
            let info = IndexInfo { content_id: serving.content_id.clone(), release };
            writer.info("splindex_index_info", "The index that answers", &info)?;
            writer.gauge("splindex_index_documents", "Its documents", serving.documents.into())?;
            writer.gauge("splindex_index_postings", "Its postings", serving.postings as f64)?;
            writer.gauge("splindex_index_bytes", "Bytes of its file", serving.bytes as f64)?;
        }
        let succeeded = self.look(|state| state.succeeded).map_or(0.0, seconds);
        writer.gauge(
            "splindex_last_success_timestamp_seconds",
            "When the index that should be served was last found, or taken",
            succeeded,
        )?;
        writer.gauge(
            "process_start_time_seconds",
            "When the process started",
            seconds(self.started),
        )?;
        process(&mut writer)
    }
}

/// What the system says of this process, by the names that all Prometheus clients use.
#[cfg(target_os = "linux")]
fn process(writer: &mut Writer<'_>) -> fmt::Result {
    use rustix::time::{ClockId, clock_gettime};

    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? * 1024.0)
    };
    if let Some(resident) = bytes("VmRSS:") {
        writer.gauge("process_resident_memory_bytes", "Memory in use", resident)?;
    }
    if let Some(own) = bytes("RssAnon:") {
        let help = "Memory in use that is no mapped file: not given back when others need it";
        writer.gauge("process_anonymous_memory_bytes", help, own)?;
    }
    if let Some(virtual_) = bytes("VmSize:") {
        writer.gauge("process_virtual_memory_bytes", "Address space in use", virtual_)?;
    }
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let cpu = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
    writer.counter("process_cpu_seconds", "Processor time", cpu)?;
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // Less the one that reads the folder.
        let open = open.count().saturating_sub(1);
        writer.gauge("process_open_fds", "Open descriptors", open as f64)?;
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    if let Some(limit) = limit {
        writer.gauge("process_max_fds", "Descriptors that may be open", limit as f64)?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn process(_: &mut Writer<'_>) -> fmt::Result {
    Ok(())
}
