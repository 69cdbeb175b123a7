//! Throughput: every thread answers queries as fast as it can.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::closed::Case;
use super::pin::{allowed, pin};
use super::summary::Summary;
use crate::error::{Error, Result};

/// Outcome of [`throughput`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Throughput {
    /// Threads that answered queries.
    pub threads: usize,
    /// Queries answered by all of them.
    pub queries: u64,
    /// Queries a second.
    pub rate: f64,
    /// Time of a query while all threads were busy, µs.
    pub latency: Summary,
}

/// Keeps `threads` threads busy with the queries of `case` for `time`.
///
/// Threads start at different queries, so that they do not walk through the same lists
/// in step, and are pinned where each can have a core of its own.
///
/// # Errors
/// A damaged index, no threads or no queries.
pub fn throughput(case: &Case<'_>, threads: usize, time: Duration) -> Result<Throughput> {
    if threads == 0 || case.queries.is_empty() {
        return Err(Error::Usage("throughput needs at least one thread and one query".into()));
    }
    let cores = Some(allowed()).filter(|cores| cores.len() >= threads);
    let stop = AtomicBool::new(false);
    let work = |thread: usize| -> Result<(Vec<u64>, Duration)> {
        if let Some(cores) = &cores {
            // Best effort: the figure counts all threads whether or not they are pinned.
            let _ = pin(cores[thread]);
        }
        let mut searcher = case.searcher();
        let from = thread * case.queries.len() / threads;
        let (mut times, begun) = (Vec::new(), Instant::now());
        for query in case.queries.iter().cycle().skip(from) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let start = Instant::now();
            black_box(searcher.search(query, case.k, case.algorithm)?);
            times.push(start.elapsed().as_nanos() as u64);
        }
        Ok((times, begun.elapsed()))
    };
    let results: Vec<Result<_>> = std::thread::scope(|scope| {
        let work = &work;
        let workers: Vec<_> = (0..threads).map(|t| scope.spawn(move || work(t))).collect();
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        let join = |w: std::thread::ScopedJoinHandle<'_, _>| {
            w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().map(join).collect()
    });
    let (mut all, mut rate) = (Vec::new(), 0.0);
    for result in results {
        let (times, busy) = result?;
        rate += times.len() as f64 / busy.as_secs_f64();
        all.extend(times);
    }
    Ok(Throughput { threads, queries: all.len() as u64, rate, latency: Summary::of_nanos(&all) })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{sample_case, sample_index};
    use super::*;

    #[test]
    fn all_threads_count() {
        let (_dir, index, queries) = sample_index();
        let case = sample_case(&index, &queries);
        let got = throughput(&case, 3, Duration::from_millis(30)).unwrap();
        assert_eq!(got.threads, 3);
        assert!(got.queries >= 3 && got.rate > 0.0 && got.latency.max > 0.0, "{got:?}");
        assert!(throughput(&case, 0, Duration::ZERO).is_err());
        assert!(throughput(&Case { queries: &[], ..case }, 1, Duration::ZERO).is_err());
    }
}
