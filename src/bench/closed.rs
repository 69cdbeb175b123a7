//! The closed loop: one thread, one query after the other, every query several times.

use std::hint::black_box;
use std::time::Instant;

use super::pin;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::progress::Progress;
use crate::query::{Algorithm, Approximation, Query, Searcher, SimdLevel};

/// One thing to be timed: an index, its queries, a depth and an algorithm.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The index.
    pub index: &'a Index,
    /// Queries, resolved against that index.
    pub queries: &'a [Query],
    /// Results a query.
    pub k: usize,
    /// How they are found.
    pub algorithm: Algorithm,
    /// What answers may leave out.
    pub approximation: Approximation,
    /// Best instruction set that the kernels may use.
    pub simd: SimdLevel,
}

impl Case<'_> {
    pub(super) fn searcher(&self) -> Searcher {
        Searcher::with_simd(self.index, self.simd).approximating(self.approximation)
    }
}

/// Times of one case in nanoseconds, by query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Times {
    /// Shortest of all runs: what the work takes when nothing disturbs it.
    pub best: Vec<u64>,
    /// Mean of all runs.
    pub mean: Vec<u64>,
}

/// Times every case on one thread, pinned to core `cpu` if one is given.
///
/// A pass answers all queries of a case in file order. The first pass of a case warms
/// caches and buffers and does not count; then come `runs` passes. Passes of different
/// cases alternate, so that a slow minute of the machine falls on all of them alike.
///
/// # Errors
/// A damaged index, no runs, or a core that cannot be had.
pub fn closed_loop(
    cases: &[Case<'_>],
    runs: usize,
    cpu: Option<usize>,
    progress: &dyn Progress,
) -> Result<Vec<Times>> {
    if runs == 0 {
        return Err(Error::setting("runs", "at least 1", runs));
    }
    let passes: usize = cases.iter().map(|case| case.queries.len()).sum();
    progress.begin("measuring", (passes * (runs + 1)) as u64);
    on_core(cpu, || alternate(cases, runs, progress))
}

/// Runs `work` in a thread pool of its own with one thread, pinned if `cpu` is given.
/// The caller's thread and the global pool stay free, and parallel code inside `work`
/// (query encoders have some) runs on that one thread too.
pub(super) fn on_core<T: Send>(
    cpu: Option<usize>,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .map_err(|e| Error::Internal(format!("cannot start a thread: {e}")))?;
    pool.install(|| {
        if let Some(cpu) = cpu {
            pin(cpu).map_err(|why| Error::Usage(format!("cannot use core {cpu}: {why}")))?;
        }
        work()
    })
}

fn alternate(cases: &[Case<'_>], runs: usize, progress: &dyn Progress) -> Result<Vec<Times>> {
    let mut searchers: Vec<_> = cases.iter().map(Case::searcher).collect();
    let mut best: Vec<_> = cases.iter().map(|case| vec![u64::MAX; case.queries.len()]).collect();
    let mut sum: Vec<_> = cases.iter().map(|case| vec![0; case.queries.len()]).collect();
    for run in 0..=runs {
        for (c, (case, searcher)) in cases.iter().zip(&mut searchers).enumerate() {
            for (q, query) in case.queries.iter().enumerate() {
                let start = Instant::now();
                black_box(searcher.search(query, case.k, case.algorithm)?);
                let nanos = start.elapsed().as_nanos() as u64;
                if run > 0 {
                    best[c][q] = best[c][q].min(nanos);
                    sum[c][q] += nanos;
                }
            }
            progress.advance(case.queries.len() as u64);
        }
    }
    let mean = |sums: Vec<u64>| sums.into_iter().map(|sum| sum / runs as u64).collect();
    Ok(best.into_iter().zip(sum).map(|(best, sum)| Times { best, mean: mean(sum) }).collect())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{sample_case, sample_index};
    use super::*;
    use crate::progress::Silent;

    #[test]
    fn every_query_of_every_case_has_a_best_time_that_is_no_more_than_its_mean() {
        let (_dir, index, queries) = sample_index();
        let cases: Vec<Case<'_>> = [(Algorithm::Exhaustive, 3), (Algorithm::Windowed, 1)]
            .map(|(algorithm, k)| Case { algorithm, k, ..sample_case(&index, &queries) })
            .to_vec();
        let times = closed_loop(&cases, 3, None, &Silent).unwrap();
        assert_eq!(times.len(), 2);
        for times in times {
            assert_eq!((times.best.len(), times.mean.len()), (queries.len(), queries.len()));
            assert!(
                times.best.iter().zip(&times.mean).all(|(best, mean)| 0 < *best && best <= mean)
            );
        }
        assert!(closed_loop(&cases, 0, None, &Silent).is_err());
        let error = closed_loop(&cases, 1, Some(99_999), &Silent).unwrap_err().to_string();
        assert!(error.contains("cannot use core 99999"), "{error}");
    }
}
