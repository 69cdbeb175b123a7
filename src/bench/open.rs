//! The open loop: queries arrive when users send them, not when the server is free.
//!
//! A closed loop that is slow asks less often, so its own slowness hides waiting time
//! ("coordinated omission"). Here arrival times are drawn before anything runs, and a
//! query's latency counts from its arrival, waiting in line included.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::closed::Case;
use super::summary::Summary;
use crate::error::{Error, Result};

/// Outcome of [`open_loop`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpenLoop {
    /// Mean arrivals a second that were asked for.
    pub rate: f64,
    /// Arrivals a second that were drawn.
    pub offered: f64,
    /// Answers a second from the first arrival to the last answer.
    pub achieved: f64,
    /// Threads that answer.
    pub threads: usize,
    /// Queries that arrived.
    pub queries: u64,
    /// From arrival to answer, µs.
    pub latency: Summary,
    /// From start of work to answer, µs.
    pub service: Summary,
    /// Answers later than a second after their arrival.
    pub late: u64,
}

impl OpenLoop {
    /// Whether the line of waiting queries grew: the rate is more than the server can do.
    /// The last answers alone make a run of a second or more some percent longer.
    pub fn saturated(&self) -> bool {
        self.achieved < 0.95 * self.offered
    }
}

/// Most arrivals of an open loop: their times are drawn beforehand, 16 bytes each, and no
/// machine answers more in a sensible time.
const MOST_ARRIVALS: f64 = 1e7;

/// Whether an open loop can have `rate` arrivals a second for `time`.
///
/// # Errors
/// A rate or a time that is not positive, or more than ten million arrivals.
pub fn check_load(rate: f64, time: Duration) -> Result<()> {
    if !(rate.is_finite() && rate > 0.0) || time.is_zero() {
        return Err(Error::setting("rate", "positive", rate));
    }
    let arrivals = rate * time.as_secs_f64();
    if arrivals > MOST_ARRIVALS {
        return Err(Error::Usage(format!(
            "`rate` × `seconds` must be at most {MOST_ARRIVALS} queries, found {arrivals}"
        )));
    }
    Ok(())
}

/// Lets the queries of `case` arrive at `rate` a second for `time`, as a Poisson process
/// (independent users), answered by `threads` threads from one line. The arrival times
/// come from a fixed seed: the same for every index and algorithm.
///
/// # Errors
/// Those of [`check_load`], no threads, no queries, or a damaged index.
pub fn open_loop(case: &Case<'_>, rate: f64, threads: usize, time: Duration) -> Result<OpenLoop> {
    check_load(rate, time)?;
    if threads == 0 || case.queries.is_empty() {
        return Err(Error::Usage("the open loop needs at least one thread and one query".into()));
    }
    let arrivals = arrivals(rate, time);
    let next = AtomicUsize::new(0);
    // Threads are up and their buffers warm before the first arrival.
    let clock = Wall { begin: Instant::now() + Duration::from_millis(50) };
    let serve = || -> Result<Served> {
        let mut searcher = case.searcher();
        for query in case.queries.iter().take(100) {
            black_box(searcher.search(query, case.k, case.algorithm)?);
        }
        answer_line(&arrivals, &next, &clock, |i| {
            let query = &case.queries[i % case.queries.len()];
            black_box(searcher.search(query, case.k, case.algorithm)?);
            Ok(())
        })
    };
    let served: Vec<Result<Served>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(serve)).collect();
        let join = |w: std::thread::ScopedJoinHandle<'_, _>| {
            w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().map(join).collect()
    });
    let mut all = Served::new();
    for served in served {
        all.merge(&served?);
    }
    Ok(all.report(rate, threads, &arrivals))
}

/// Answers arrivals, one after another of those that no other thread has taken, until there
/// are no more.
fn answer_line(
    arrivals: &[Duration],
    next: &AtomicUsize,
    clock: &impl Clock,
    mut answer: impl FnMut(usize) -> Result<()>,
) -> Result<Served> {
    let mut served = Served::new();
    loop {
        let i = next.fetch_add(1, Ordering::Relaxed);
        let Some(&arrival) = arrivals.get(i) else { return Ok(served) };
        clock.wait_until(arrival);
        let start = clock.now();
        answer(i)?;
        served.add(arrival, start, clock.now());
    }
}

/// Poisson arrivals: exponential gaps, by inverting the distribution.
fn arrivals(rate: f64, time: Duration) -> Vec<Duration> {
    let mut state = 0x5DEE_CE66_D1CE_u64;
    let mut uniform = move || {
        // SplitMix64 (Steele et al. 2014).
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    };
    let (mut at, end, mut arrivals) = (0.0, time.as_secs_f64(), Vec::new());
    loop {
        at -= (1.0 - uniform()).ln() / rate;
        if at >= end && !arrivals.is_empty() {
            return arrivals;
        }
        arrivals.push(Duration::from_secs_f64(at));
    }
}

/// Time since arrivals began; tests have one that runs by itself.
trait Clock {
    fn now(&self) -> Duration;

    /// Returns at `moment`, at once if it is past.
    fn wait_until(&self, moment: Duration);
}

struct Wall {
    begin: Instant,
}

impl Clock for Wall {
    fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Sleeps while there is time and spins at the end: a sleeper wakes 50 µs late or more.
    fn wait_until(&self, moment: Duration) {
        const SPIN: Duration = Duration::from_micros(200);
        loop {
            let left = (self.begin + moment).saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            if left > SPIN {
                std::thread::sleep(left - SPIN);
            } else {
                std::hint::spin_loop();
            }
        }
    }
}

struct Served {
    latency: Histogram<u64>,
    service: Histogram<u64>,
    late: u64,
    last: Duration,
}

impl Served {
    fn new() -> Self {
        // One nanosecond to an hour, three digits.
        let histogram =
            || Histogram::new_with_bounds(1, 3_600_000_000_000, 3).expect("valid bounds");
        Served { latency: histogram(), service: histogram(), late: 0, last: Duration::ZERO }
    }

    fn add(&mut self, arrival: Duration, start: Duration, end: Duration) {
        let latency = end - arrival;
        self.latency.saturating_record(latency.as_nanos() as u64);
        self.service.saturating_record((end - start).as_nanos() as u64);
        self.late += u64::from(latency > Duration::from_secs(1));
        self.last = self.last.max(end);
    }

    fn merge(&mut self, other: &Served) {
        self.latency += &other.latency;
        self.service += &other.service;
        self.late += other.late;
        self.last = self.last.max(other.last);
    }

    fn report(&self, rate: f64, threads: usize, arrivals: &[Duration]) -> OpenLoop {
        let queries = arrivals.len() as u64;
        let per_second = |time: Duration| queries as f64 / time.as_secs_f64().max(1e-9);
        OpenLoop {
            rate,
            offered: per_second(arrivals.last().copied().unwrap_or(Duration::from_secs(1))),
            achieved: per_second(self.last),
            threads,
            queries,
            latency: summary(&self.latency),
            service: summary(&self.service),
            late: self.late,
        }
    }
}

fn summary(nanos: &Histogram<u64>) -> Summary {
    let at = |quantile| nanos.value_at_quantile(quantile) as f64 / 1e3;
    Summary {
        mean: nanos.mean() / 1e3,
        p50: at(0.5),
        p90: at(0.9),
        p95: at(0.95),
        p99: at(0.99),
        max: nanos.max() as f64 / 1e3,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::tests::{sample_case, sample_index};
    use super::*;

    #[test]
    fn arrivals_are_a_seeded_poisson_process() {
        let all = arrivals(1000.0, Duration::from_secs(20));
        assert_eq!(all, arrivals(1000.0, Duration::from_secs(20)));
        assert!(all.is_sorted());
        assert!((all.len() as f64 - 20_000.0).abs() < 5.0 * 20_000f64.sqrt(), "{}", all.len());
        // Exponential gaps: the share of gaps above the mean is 1/e.
        let long = all.windows(2).filter(|w| w[1] - w[0] > Duration::from_millis(1)).count();
        assert!((long as f64 / all.len() as f64 - 0.3679).abs() < 0.02);
        assert_eq!(arrivals(0.001, Duration::from_millis(1)).len(), 1);
    }

    /// A clock that only waiting and answering move.
    struct Made(Cell<Duration>);

    impl Clock for Made {
        fn now(&self) -> Duration {
            self.0.get()
        }

        fn wait_until(&self, moment: Duration) {
            self.0.set(self.0.get().max(moment));
        }
    }

    /// `n` arrivals `gap` apart, each answered in a millisecond by one thread.
    fn answered(n: u32, gap: Duration) -> OpenLoop {
        let arrivals: Vec<Duration> = (1..=n).map(|i| gap * i).collect();
        let clock = Made(Cell::new(Duration::ZERO));
        let answer = |_| {
            clock.0.set(clock.now() + Duration::from_millis(1));
            Ok(())
        };
        let served = answer_line(&arrivals, &AtomicUsize::new(0), &clock, answer).unwrap();
        served.report(1.0 / gap.as_secs_f64(), 1, &arrivals)
    }

    #[test]
    fn waiting_in_line_counts() {
        // Histograms keep three digits.
        let near = |a: f64, b: f64| (a - b).abs() <= b * 1e-3;
        // Answers are ready at 1, 2, … 100 ms after the first arrival, at 10 µs: the i-th waits
        // 0.99 ms longer than the one before it.
        let flood = answered(100, Duration::from_micros(10));
        assert!(flood.saturated() && near(flood.achieved, 100.0 / 0.100_01), "{flood:?}");
        assert!(near(flood.offered, 1e5) && flood.queries == 100, "{flood:?}");
        assert!(near(flood.latency.max, 1000.0 + 99.0 * 990.0), "{flood:?}");
        assert!(near(flood.latency.mean, 1000.0 + 49.5 * 990.0), "{flood:?}");
        assert!(near(flood.service.max, 1000.0) && near(flood.service.p50, 1000.0), "{flood:?}");
        // One every 20 ms: nothing waits.
        let calm = answered(100, Duration::from_millis(20));
        assert!(!calm.saturated() && near(calm.latency.max, 1000.0), "{calm:?}");
        assert_eq!((flood.late, calm.late), (0, 0));
        // The i-th waits 1 + 0.9 · (i − 1) ms: from the 1,112th on more than a second.
        let long = answered(10_000, Duration::from_micros(100));
        assert_eq!(long.late, 10_000 - 1_111);
    }

    #[test]
    fn every_arrival_is_answered_and_loads_that_cannot_be_are_refused() {
        let (_dir, index, queries) = sample_index();
        let case = sample_case(&index, &queries);
        let time = Duration::from_millis(20);
        let open = open_loop(&case, 2000.0, 2, time).unwrap();
        assert_eq!(open.queries, arrivals(2000.0, time).len() as u64);
        assert!(open.achieved > 0.0 && open.service.max > 0.0, "{open:?}");
        assert!(open_loop(&case, 0.0, 1, Duration::from_secs(1)).is_err());
        // Arrivals of an hour would take 58 TB.
        assert!(open_loop(&case, 1e9, 1, Duration::from_secs(3600)).is_err());
    }
}
