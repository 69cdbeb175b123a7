//! Which vector instructions kernels may use.

use crate::error::{Error, Result};

/// Which instructions the kernels use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SimdLevel {
    /// Plain Rust.
    Scalar,
    /// AVX2 with BMI and POPCNT.
    Avx2,
    /// AVX-512 F, BW, VL and VBMI2 (Ice Lake, Zen 4 and later).
    Avx512,
}

impl SimdLevel {
    /// The best level of this machine.
    #[inline]
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vbmi2")
                && is_x86_feature_detected!("popcnt")
            {
                return SimdLevel::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
                return SimdLevel::Avx2;
            }
        }
        SimdLevel::Scalar
    }

    /// Every level of this machine, the least first.
    pub fn available() -> impl Iterator<Item = SimdLevel> {
        let best = SimdLevel::detect();
        [SimdLevel::Scalar, SimdLevel::Avx2, SimdLevel::Avx512]
            .into_iter()
            .filter(move |&level| level <= best)
    }

    /// Its name in reports and in `--simd`.
    pub fn name(self) -> &'static str {
        match self {
            SimdLevel::Scalar => "scalar",
            SimdLevel::Avx2 => "avx2",
            SimdLevel::Avx512 => "avx512",
        }
    }
}

impl std::str::FromStr for SimdLevel {
    type Err = Error;

    /// A level that this machine has.
    fn from_str(name: &str) -> Result<Self> {
        let level = match name {
            "scalar" => SimdLevel::Scalar,
            "avx2" => SimdLevel::Avx2,
            "avx512" => SimdLevel::Avx512,
            _ => {
                return Err(Error::Usage(format!(
                    "unknown instruction set {name:?}; known are scalar, avx2 and avx512"
                )));
            }
        };
        let best = SimdLevel::detect();
        if level > best {
            return Err(Error::Usage(format!(
                "this machine has no {name}; its best instruction set is {}",
                best.name()
            )));
        }
        Ok(level)
    }
}
