//! Where a long task stands: a bar on a terminal, a line every half minute elsewhere.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::Common;
use crate::progress::Progress;
use crate::table::group;

/// Between two lines. A log of a night has a thousand of them, and a person who waits sees
/// soon that something happens.
const INTERVAL: Duration = Duration::from_secs(30);

/// Progress of one task on standard error; nothing when quiet. `len` is 0 where it is
/// not known how much there is to do.
pub fn progress(common: &Common, what: &'static str, len: u64) -> Bar {
    match len {
        0 => show(common, what, len, "{msg:>10} {spinner} {human_pos} ({per_sec}) {elapsed}"),
        _ if counts_bytes(what) => {
            let template = "{msg:>10} {wide_bar} {binary_bytes}/{binary_total_bytes} ({binary_bytes_per_sec}, {eta} left)";
            show(common, what, len, template)
        }
        _ => {
            let template = "{msg:>10} {wide_bar} {human_pos}/{human_len} ({per_sec}, {eta} left)";
            show(common, what, len, template)
        }
    }
}

/// Progress of a task that counts no steps: a spinner with the time, or lines with it.
pub fn waiting(common: &Common, what: &'static str) -> Bar {
    let bar = show(common, what, 0, "{msg:>10} {spinner} {elapsed}");
    if let Bar::Drawn(bar) = &bar {
        bar.enable_steady_tick(Duration::from_millis(200));
    }
    bar
}

fn show(common: &Common, what: &'static str, len: u64, template: &str) -> Bar {
    if common.quiet {
        return Bar::Hidden;
    }
    if !std::io::stderr().is_terminal() {
        return Bar::Lines(Lines::start(what, len, INTERVAL, |line| crate::cli::tell!("{line}")));
    }
    let bar = if len == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(len) };
    bar.set_style(ProgressStyle::with_template(template).expect("a fixed template"));
    bar.set_message(what);
    Bar::Drawn(bar)
}

/// How progress is shown; gone when dropped.
pub enum Bar {
    /// Not at all.
    Hidden,
    /// On a terminal.
    Drawn(ProgressBar),
    /// In a log or a pipe.
    Lines(Lines),
}

impl Bar {
    /// `steps` more are done.
    pub fn inc(&self, steps: u64) {
        match self {
            Bar::Hidden => {}
            Bar::Drawn(bar) => bar.inc(steps),
            Bar::Lines(lines) => {
                lines.shared.done.fetch_add(steps, Ordering::Relaxed);
            }
        }
    }

    /// Removes the bar; writes no more lines.
    pub fn finish(self) {}
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Bar::Drawn(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// Writes a line now and then from a thread of its own, so that there is one also while a
/// single step takes long.
pub struct Lines {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    done: AtomicU64,
    ended: Mutex<bool>,
    wake: Condvar,
}

impl Lines {
    fn start(
        what: &'static str,
        len: u64,
        interval: Duration,
        write: impl Fn(&str) + Send + 'static,
    ) -> Self {
        let shared = Arc::<Shared>::default();
        let seen = Arc::clone(&shared);
        let writer = std::thread::spawn(move || {
            let (started, mut pace) = (Instant::now(), Pace::default());
            let mut ended = lock(&seen.ended);
            loop {
                let woken = seen.wake.wait_timeout_while(ended, interval, |ended| !*ended);
                ended = woken.unwrap_or_else(PoisonError::into_inner).0;
                if *ended {
                    return;
                }
                let (done, elapsed) = (seen.done.load(Ordering::Relaxed), started.elapsed());
                write(&line(what, done, len, elapsed, pace.rate(elapsed, done)));
            }
        });
        Lines { shared, writer: Some(writer) }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        *lock(&self.shared.ended) = true;
        self.shared.wake.notify_all();
        if let Some(writer) = self.writer.take() {
            // It only writes lines; what it could not write is no reason to fail.
            let _ = writer.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Steps a second over the last lines: what a resumed task found done at once is forgotten.
#[derive(Default)]
struct Pace(VecDeque<(Duration, u64)>);

impl Pace {
    /// Lines that are looked back at.
    const LINES: usize = 10;

    fn rate(&mut self, elapsed: Duration, done: u64) -> f64 {
        if self.0.is_empty() {
            self.0.push_back((Duration::ZERO, 0));
        }
        let (since, before) = self.0[0];
        self.0.push_back((elapsed, done));
        if self.0.len() > Self::LINES {
            self.0.pop_front();
        }
        (done - before) as f64 / (elapsed - since).as_secs_f64().max(1e-9)
    }
}

/// What the steps of a phase are, where they are things that a user knows.
fn steps(phase: &str) -> &'static str {
    match phase {
        "encode" | "counting" | "reading" | "inverting" | "quantizing" | "generating"
        | "writing" => " documents",
        "merging" => " lists",
        "packing" => " terms",
        "encoding" | "measuring" | "searching" => " queries",
        _ => "",
    }
}

/// Whether the steps of a phase are bytes.
fn counts_bytes(phase: &str) -> bool {
    matches!(phase, "hashing" | "sending" | "fetching" | "verifying files")
}

fn line(what: &str, done: u64, len: u64, elapsed: Duration, rate: f64) -> String {
    let (steps, so_far) = (steps(what), span(elapsed));
    let amount = |n: u64| match counts_bytes(what) {
        true => super::human_bytes(n),
        false => group(n),
    };
    let per_second = match rate {
        rate if counts_bytes(what) => super::human_bytes(rate as u64),
        rate if rate >= 9.95 => group(rate.round() as u64),
        rate => format!("{rate:.1}"),
    };
    let done_steps = amount(done);
    match len {
        0 if done == 0 => format!("{what}: {so_far} so far"),
        0 => format!("{what}: {done_steps}{steps}, {per_second}/s, {so_far} so far"),
        _ if rate > 0.0 && done < len => {
            let left = Duration::from_secs_f64(((len - done) as f64 / rate).min(1e9));
            let (len, left) = (amount(len), span(left));
            format!("{what}: {done_steps} of {len}{steps}, {per_second}/s, {left} left")
        }
        _ => format!("{what}: {done_steps} of {}{steps}, {so_far} so far", amount(len)),
    }
}

/// "40 s", "12 min", "3 h 5 min".
fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", (seconds + 30) / 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// One bar at a time, a new one for each phase.
pub struct Bars<'a> {
    common: &'a Common,
    bar: Mutex<Bar>,
}

impl<'a> Bars<'a> {
    /// No bar yet.
    pub fn new(common: &'a Common) -> Self {
        Bars { common, bar: Mutex::new(Bar::Hidden) }
    }

    /// Removes the last bar.
    pub fn finish(&self) {
        *lock(&self.bar) = Bar::Hidden;
    }

    /// Warns, beside the bar.
    pub fn warn(&self, warnings: &[String]) {
        match &*lock(&self.bar) {
            Bar::Drawn(bar) => bar.suspend(|| super::warn(warnings)),
            Bar::Hidden | Bar::Lines(_) => super::warn(warnings),
        }
    }
}

impl Progress for Bars<'_> {
    fn begin(&self, phase: &'static str, total: u64) {
        let mut bar = lock(&self.bar);
        // The one before ends first: two would draw over each other.
        *bar = Bar::Hidden;
        *bar = progress(self.common, phase, total);
    }

    fn advance(&self, steps: u64) {
        lock(&self.bar).inc(steps);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_line_says_what_is_done_how_fast_and_how_long_it_takes() {
        let at = |seconds| Duration::from_secs(seconds);
        for (done, len, elapsed, rate, expected) in [
            (
                1200,
                8_841_823,
                30,
                40.0,
                "encode: 1,200 of 8,841,823 documents, 40/s, 61 h 23 min left",
            ),
            (300, 450, 60, 5.0, "encode: 300 of 450 documents, 5.0/s, 30 s left"),
            (300, 4500, 60, 5.0, "encode: 300 of 4,500 documents, 5.0/s, 14 min left"),
            (0, 450, 60, 0.0, "encode: 0 of 450 documents, 60 s so far"),
            (450, 450, 60, 7.5, "encode: 450 of 450 documents, 60 s so far"),
            (12_000, 0, 90, 400.0, "encode: 12,000 documents, 400/s, 90 s so far"),
        ] {
            assert_eq!(line("encode", done, len, at(elapsed), rate), expected);
        }
        let encoding = line("encoding", 60, 600, at(30), 2.0);
        assert_eq!(encoding, "encoding: 60 of 600 queries, 2.0/s, 5 min left");
        assert_eq!(line("verifying", 0, 0, at(90), 0.0), "verifying: 90 s so far");
        let sending = line("sending", 3 << 20, 4 << 30, at(30), (2 << 20) as f64);
        assert_eq!(sending, "sending: 3.00 MiB of 4.00 GiB, 2.00 MiB/s, 34 min left");
        assert_eq!(line("packing", 3, 9, at(30), 0.1), "packing: 3 of 9 terms, 0.1/s, 60 s left");
    }

    #[test]
    fn the_rate_forgets_what_was_done_at_once() {
        let (mut pace, mut rate) = (Pace::default(), 0.0);
        // A resumed run counts 9,000 documents at the start, then 10 a second.
        for minute in 1..=Pace::LINES as u64 + 1 {
            rate = pace.rate(Duration::from_secs(60 * minute), 9000 + 600 * minute);
        }
        assert!((rate - 10.0).abs() < 1e-9, "{rate}");
    }

    #[test]
    fn lines_are_written_until_the_bar_is_dropped() {
        let (sender, lines) = mpsc::channel();
        let write = move |line: &str| sender.send(line.to_owned()).unwrap();
        let bar = Bar::Lines(Lines::start("encode", 10, Duration::from_millis(1), write));
        bar.inc(4);
        // Blocks until a line says so; the channel ends with the thread that writes.
        assert!(lines.iter().any(|line| line.starts_with("encode: 4 of 10 documents, ")));
        bar.finish();
        assert!(lines.iter().all(|line| line.starts_with("encode: 4 of 10 documents, ")));
    }
}
