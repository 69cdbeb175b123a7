//! Batches of texts of similar length, and workers that run them.

use std::cell::OnceCell;
use std::cmp::Reverse;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};

/// Sequences of a batch at most: each costs a vocabulary-long row of maxima (122 kB for
/// BERT's), which a batch of one-word texts would otherwise have a thousand of.
const MAX_SEQUENCES: usize = 128;

/// Positions of the texts of one batch.
pub(super) type Batch = Vec<usize>;

/// Cuts texts into batches of at most `budget` tokens, longest texts first, so that
/// equal lengths meet and the last batches, which workers finish alone, are cheap. Texts
/// of length 0 are left out; a text longer than the budget is a batch of its own.
///
/// The plan depends on lengths and budget only, not on threads: the same input gives the
/// same sums of floats.
pub(super) fn plan(lengths: &[usize], budget: usize) -> Vec<Batch> {
    let mut order: Vec<usize> = (0..lengths.len()).filter(|&i| lengths[i] > 0).collect();
    order.sort_by_key(|&i| Reverse(lengths[i]));
    let mut batches: Vec<Batch> = Vec::new();
    let mut tokens = 0;
    for i in order {
        match batches.last_mut() {
            Some(batch) if tokens + lengths[i] <= budget && batch.len() < MAX_SEQUENCES => {
                batch.push(i);
                tokens += lengths[i];
            }
            _ => {
                batches.push(vec![i]);
                tokens = lengths[i];
            }
        }
    }
    batches
}

/// Runs `f` over all batches on `workers` threads; results in the order of `batches`.
/// `isolate` keeps what `f` gives to rayon on its own thread.
pub(super) fn run<R: Send>(
    batches: &[Batch],
    workers: usize,
    isolate: bool,
    f: impl Fn(&Batch) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let workers = workers.min(batches.len());
    if workers <= 1 {
        return on_one_thread(isolate, || batches.iter().map(&f).collect());
    }
    let next = AtomicUsize::new(0);
    let work = || {
        on_one_thread(isolate, || {
            let mut mine = Vec::new();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let Some(batch) = batches.get(i) else { return Ok(mine) };
                match f(batch) {
                    Ok(result) => mine.push((i, result)),
                    Err(error) => {
                        // The others stop after the batch they are in.
                        next.store(batches.len(), Ordering::Relaxed);
                        return Err(error);
                    }
                }
            }
        })
    };
    let parts: Vec<Result<Vec<(usize, R)>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|t| t.join().expect("workers do not panic")).collect()
    });
    let mut results: Vec<(usize, R)> = Vec::with_capacity(batches.len());
    for part in parts {
        results.extend(part?);
    }
    results.sort_unstable_by_key(|&(i, _)| i);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

thread_local! {
    static SINGLE: OnceCell<ThreadPool> = const { OnceCell::new() };
}

/// Runs `f` in a rayon pool of one thread that belongs to the calling thread. candle
/// splits every product over the current pool; with one worker per core that only costs
/// hand-overs (and workers would steal each other's pieces), so each gets a pool of one.
fn on_one_thread<R: Send>(isolate: bool, f: impl FnOnce() -> Result<R> + Send) -> Result<R> {
    if !isolate {
        return f();
    }
    SINGLE.with(|cell| {
        if cell.get().is_none() {
            let pool = ThreadPoolBuilder::new()
                .num_threads(1)
                .build()
                .map_err(|e| Error::Internal(format!("cannot start a worker thread: {e}")))?;
            cell.get_or_init(|| pool);
        }
        cell.get().expect("just set").install(f)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_text_with_words_is_in_one_batch_within_the_budget(
            lengths in prop::collection::vec(0usize..40, 0..300),
            budget in 1usize..200,
        ) {
            let batches = plan(&lengths, budget);
            let mut seen: Vec<usize> = batches.iter().flatten().copied().collect();
            let flat: Vec<usize> = seen.iter().map(|&i| lengths[i]).collect();
            prop_assert!(flat.is_sorted_by(|a, b| a >= b));
            seen.sort_unstable();
            let want: Vec<usize> = (0..lengths.len()).filter(|&i| lengths[i] > 0).collect();
            prop_assert_eq!(seen, want);
            for batch in &batches {
                let tokens: usize = batch.iter().map(|&i| lengths[i]).sum();
                prop_assert!(tokens <= budget || batch.len() == 1);
                prop_assert!(batch.len() <= MAX_SEQUENCES);
            }
        }
    }

    #[test]
    fn results_keep_the_order_of_batches_for_any_number_of_workers() {
        let batches: Vec<Batch> = (0..50).map(|i| vec![i]).collect();
        for workers in [1, 2, 7] {
            let got = run(&batches, workers, true, |b| Ok(b[0] * 2)).unwrap();
            assert_eq!(got, (0..50).map(|i| i * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_of_one_batch_is_the_error_of_the_run() {
        let batches: Vec<Batch> = (0..50).map(|i| vec![i]).collect();
        let got = run(&batches, 3, false, |b| match b[0] {
            20 => Err(Error::Usage("twenty".into())),
            n => Ok(n),
        });
        assert_eq!(got.unwrap_err().to_string(), "twenty");
    }
}
