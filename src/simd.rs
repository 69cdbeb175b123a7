//! Which vector instructions kernels may use.

use crate::error::{Error, Result};

/// Whether this processor has every one of some features: here and in the encoder's tokens, which
/// want others for floats.
#[cfg(target_arch = "x86_64")]
macro_rules! has_all {
    ($($feature:tt),+) => { $(std::arch::is_x86_feature_detected!($feature))&&+ };
}
#[cfg(all(target_arch = "x86_64", feature = "encode"))]
pub(crate) use has_all;

/// Which instructions the kernels use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SimdLevel {
    /// Plain Rust.
    Scalar,
    /// ARM's vectors of 128 bits, which every 64-bit ARM has.
    Neon,
    /// AVX2 with POPCNT.
    Avx2,
    /// AVX-512 F, BW, VL, VBMI2 and VNNI (Ice Lake, Zen 4 and later).
    Avx512,
}

#[cfg(target_arch = "x86_64")]
const OF_THIS_ARCHITECTURE: &[SimdLevel] = &[SimdLevel::Scalar, SimdLevel::Avx2, SimdLevel::Avx512];
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
const OF_THIS_ARCHITECTURE: &[SimdLevel] = &[SimdLevel::Scalar, SimdLevel::Neon];
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))))]
const OF_THIS_ARCHITECTURE: &[SimdLevel] = &[SimdLevel::Scalar];

impl SimdLevel {
    /// The best level of this machine.
    #[inline]
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if has_all!("avx512f", "avx512bw", "avx512vl", "avx512vbmi2", "avx512vnni", "popcnt") {
                return SimdLevel::Avx512;
            }
            if has_all!("avx2", "popcnt") {
                return SimdLevel::Avx2;
            }
        }
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        if std::arch::is_aarch64_feature_detected!("neon") {
            return SimdLevel::Neon;
        }
        SimdLevel::Scalar
    }

    /// Every level of this machine, the least first.
    pub fn available() -> impl Iterator<Item = SimdLevel> {
        let best = SimdLevel::detect();
        OF_THIS_ARCHITECTURE.iter().copied().filter(move |&level| level <= best)
    }

    /// This level, or the machine's best where it has no such instructions: what kernels
    /// may be called with.
    #[inline]
    pub fn or_best(self) -> Self {
        let best = SimdLevel::detect();
        let usable = self <= best && OF_THIS_ARCHITECTURE.contains(&self);
        if usable { self } else { best }
    }

    /// Its name in reports and in `--simd`.
    pub fn name(self) -> &'static str {
        match self {
            SimdLevel::Scalar => "scalar",
            SimdLevel::Neon => "neon",
            SimdLevel::Avx2 => "avx2",
            SimdLevel::Avx512 => "avx512",
        }
    }

    /// Lets tests see that a kernel ran at this level.
    #[inline(always)]
    pub(crate) fn trace(self) {
        #[cfg(test)]
        tests::USED.with_borrow_mut(|used| used.push(self));
    }
}

impl std::str::FromStr for SimdLevel {
    type Err = Error;

    /// A level that this machine has.
    fn from_str(name: &str) -> Result<Self> {
        let all = [SimdLevel::Scalar, SimdLevel::Neon, SimdLevel::Avx2, SimdLevel::Avx512];
        let Some(level) = all.into_iter().find(|level| level.name() == name) else {
            return Err(Error::Usage(format!(
                "unknown instruction set {name:?}; known are scalar, neon, avx2 and avx512"
            )));
        };
        if SimdLevel::available().any(|available| available == level) {
            return Ok(level);
        }
        Err(Error::Usage(format!(
            "this machine has no {name}; its best instruction set is {}",
            SimdLevel::detect().name()
        )))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local! {
        pub(crate) static USED: RefCell<Vec<SimdLevel>> = const { RefCell::new(Vec::new()) };
    }

    #[test]
    fn only_levels_of_this_machine_are_parsed_or_used() {
        let available: Vec<SimdLevel> = SimdLevel::available().collect();
        assert_eq!(available.last(), Some(&SimdLevel::detect()));
        for level in [SimdLevel::Scalar, SimdLevel::Neon, SimdLevel::Avx2, SimdLevel::Avx512] {
            let there = available.contains(&level);
            assert_eq!(level.name().parse::<SimdLevel>().ok(), there.then_some(level));
            assert_eq!(level.or_best(), if there { level } else { SimdLevel::detect() });
        }
        assert!("sse2".parse::<SimdLevel>().is_err());
    }
}
