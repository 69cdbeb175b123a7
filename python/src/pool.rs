//! Thread pools that outlive calls, but not a fork: a child process has none of its parent's
//! threads, and work handed to them would never be done.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};
use splindex::{Error, Result};

/// Starting thousands of threads takes minutes; no machine has more cores than this.
const MAX_THREADS: usize = 1024;

/// Pools by process and number of threads; 0 is one a core.
static POOLS: Mutex<Option<Pools>> = Mutex::new(None);

/// By process and number of threads.
type Pools = HashMap<(u32, usize), Arc<ThreadPool>>;

/// A pool of `threads` threads, by default one a core.
///
/// # Errors
/// A number that is no number of threads; the system starts none.
pub fn of(threads: Option<usize>) -> Result<Arc<ThreadPool>> {
    if let Some(n) = threads
        && !(1..=MAX_THREADS).contains(&n)
    {
        return Err(Error::setting("threads", format!("1 to {MAX_THREADS}"), n));
    }
    let (process, threads) = (std::process::id(), threads.unwrap_or(0));
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    let pools = pools.get_or_insert_default();
    if let Some(pool) = pools.get(&(process, threads)) {
        return Ok(Arc::clone(pool));
    }
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|n| format!("splindex-{n}"))
        .build()
        .map_err(|e| Error::Internal(format!("cannot start threads: {e}")))?;
    let pool = Arc::new(pool);
    pools.insert((process, threads), Arc::clone(&pool));
    Ok(pool)
}
