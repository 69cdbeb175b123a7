//! How long-running library calls report where they are.

/// Receives progress; the command line draws bars with it, libraries may ignore it.
pub trait Progress: Sync {
    /// A phase of `total` steps begins; 0 if the total is unknown.
    fn begin(&self, phase: &'static str, total: u64);
    /// So many more steps are done.
    fn advance(&self, steps: u64);
}

/// Reports nothing.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &'static str, _: u64) {}
    fn advance(&self, _: u64) {}
}
