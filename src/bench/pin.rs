//! Binding the measuring thread to one core.
//!
//! A thread that the scheduler moves loses its caches: on the machine of the figures in
//! `docs/benchmarks.md` a move costs a 100 µs query about as much again.

/// The last core that this process may use: the first ones serve most interrupts.
/// `None` where threads cannot be pinned.
pub fn default_cpu() -> Option<usize> {
    allowed().last().copied()
}

/// Binds the calling thread to core `cpu`.
///
/// # Errors
/// Why not: no such core, not allowed, or no support on this system.
#[cfg(target_os = "linux")]
pub fn pin(cpu: usize) -> Result<(), String> {
    use rustix::thread::{CpuSet, sched_setaffinity};
    if !allowed().contains(&cpu) {
        return Err(format!("this process may use the cores {:?}, not {cpu}", allowed()));
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).map_err(|e| e.to_string())
}

/// Cores that this process may use.
#[cfg(target_os = "linux")]
pub(super) fn allowed() -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    // The process, not the thread: a thread that is pinned already must not hide cores.
    let process = rustix::process::getpid();
    let Ok(set) = sched_getaffinity(Some(process)) else { return Vec::new() };
    (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect()
}

/// Binds the calling thread to core `cpu`: not on this system.
#[cfg(not(target_os = "linux"))]
pub fn pin(_: usize) -> Result<(), String> {
    Err("threads can be pinned on Linux only".into())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn allowed() -> Vec<usize> {
    Vec::new()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_runs_on_its_core_only_and_others_stay_free() {
        let cpu = default_cpu().unwrap();
        std::thread::spawn(move || {
            pin(cpu).unwrap();
            let own = rustix::thread::sched_getaffinity(None).unwrap();
            assert_eq!((own.count(), own.is_set(cpu)), (1, true));
        })
        .join()
        .unwrap();
        assert!(allowed().contains(&cpu));
        assert!(pin(100_000).unwrap_err().contains("not 100000"));
    }
}
