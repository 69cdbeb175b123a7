//! The encoder's arithmetic on CPUs: products with packed weights, the vocabulary projection
//! with its maximum, attention, norms.
//!
//! Everything is written once over [`lanes::Lanes`] and compiled for each instruction set;
//! [`Level`] chooses at run time. `unsafe` stands in `x86.rs` only, an intrinsic a method.
//! The same flags and level give the same bits: every sum has a fixed order that depends
//! neither on threads nor on which texts share a batch.

mod aligned;
mod attend;
mod elementwise;
mod lanes;
mod product;
mod project;
mod rotary;
mod screen;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use attend::{AttendScratch, Heads, attention};
pub(super) use elementwise::norm;
pub(super) use product::{Scratch, Then, Weights, product};
pub(super) use project::{ProjectScratch, Projection};
pub(super) use rotary::Rotary;

use lanes::{Lanes, Plain};

/// Which instructions the kernels use.
#[derive(Debug, Clone, Copy)]
pub(super) enum Level {
    /// Whatever the compiler makes of plain Rust: SSE2, or NEON with its multiply-add.
    Plain,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    /// AVX-512 with VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
}

/// The SIMD level that float products run at; sums differ between levels in the last bits.
pub fn simd_level() -> &'static str {
    Level::detect().name()
}

/// A kernel: something to run on one instruction set.
trait Work {
    type Out;
    /// Must be `#[inline(always)]`, like all that it calls with `s`.
    fn run<S: Lanes>(self, s: S) -> Self::Out;
}

impl Level {
    /// The levels of this machine, best first.
    pub fn available() -> Vec<Self> {
        let mut levels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            levels.extend(x86::Avx512::new().map(Level::Avx512));
            levels.extend(x86::Avx2::new().map(Level::Avx2));
        }
        levels.push(Level::Plain);
        levels
    }

    /// The best level of this machine.
    pub fn detect() -> Self {
        Self::available()[0]
    }

    /// The name in manifests. Levels differ in the last bits of sums.
    pub fn name(self) -> &'static str {
        match self {
            Level::Plain => std::env::consts::ARCH,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(_) => "avx2+fma",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => "avx512+vnni",
        }
    }

    /// Whether 8-bit products are fast enough for the screen to pay.
    pub fn screens(self) -> bool {
        !matches!(self, Level::Plain)
    }

    /// Columns of a panel of packed weights.
    fn columns(self) -> usize {
        match self {
            Level::Plain => Plain::COLUMNS,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(_) => x86::Avx2::COLUMNS,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => x86::Avx512::COLUMNS,
        }
    }

    fn run<W: Work>(self, work: W) -> W::Out {
        match self {
            Level::Plain => work.run(Plain),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(token) => token.run(work),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(token) => token.run(work),
        }
    }
}

/// Calls a kernel with a constant number of rows, so that its sums stay in registers.
macro_rules! with_rows {
    ($s:ident: $level:ty, $rows:expr, $kernel:ident, $arguments:tt) => {
        with_rows!(@ $s $level, $rows, $kernel $arguments, 1 2 3 4 5 6 7 8 9 10 11 12 13 14)
    };
    (@ $s:ident $level:ty, $rows:expr, $kernel:ident $arguments:tt, $($m:literal)*) => {
        match $rows {
            // The guard is a constant: other levels' cases are not compiled.
            $($m if $m <= <$level as Lanes>::ROWS => with_rows!(# $kernel $level, $m, $arguments),)*
            rows => unreachable!("a tile of {rows} rows"),
        }
    };
    (# $kernel:ident $level:ty, $m:literal, ($($argument:expr),*)) => {
        $kernel::<$level, $m>($($argument),*)
    };
}
use with_rows;

/// Cuts `rows` into the fewest tiles of at most `most`, all of nearly one height: 16 rows
/// as 8 + 8, not 14 + 2, whose two rows would leave most multipliers idle.
fn tiles(rows: usize, most: usize) -> impl Iterator<Item = usize> {
    let count = rows.div_ceil(most);
    (0..count).map(move |i| rows * (i + 1) / count - rows * i / count)
}
