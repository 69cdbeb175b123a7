//! The log: lines with time on standard error, for people or as JSON.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use super::args::LogFormat;

/// Begins the log; what was logged is written when the guard is dropped. Lines are written by a
/// thread of their own, and are lost where nobody reads them for long: a full pipe must not stop
/// a node.
pub(super) fn begin(format: LogFormat, quiet: bool) -> WorkerGuard {
    let builder = NonBlockingBuilder::default().lossy(true).thread_name("log");
    let (writer, guard) = builder.finish(std::io::stderr());
    let level = if quiet { LevelFilter::WARN } else { LevelFilter::INFO };
    // Libraries speak of what we answer for where it is a warning only.
    let targets = Targets::new().with_target("splindex", level).with_default(LevelFilter::WARN);
    let layer = fmt::layer().with_writer(writer);
    let layer = match format {
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).boxed(),
        LogFormat::Text => {
            layer.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed()
        }
    };
    // A second `serve` in one process would find the first's log: there is none.
    let _ = tracing_subscriber::registry().with(layer.with_filter(targets)).try_init();
    guard
}
