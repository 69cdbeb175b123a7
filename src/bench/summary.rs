//! Mean, percentiles and maximum of a set of times.

use serde::Serialize;

/// A distribution of times in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest.
    pub max: f64,
}

impl Summary {
    /// Summary of times in nanoseconds; all zeros for none.
    ///
    /// A percentile is a time that was measured (nearest rank), not an interpolation.
    pub fn of_nanos(nanos: &[u64]) -> Self {
        if nanos.is_empty() {
            return Summary::default();
        }
        let mut sorted = nanos.to_vec();
        sorted.sort_unstable();
        let rank = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).max(1);
            sorted[rank - 1] as f64 / 1e3
        };
        let sum: u128 = sorted.iter().map(|&n| u128::from(n)).sum();
        Summary {
            mean: sum as f64 / sorted.len() as f64 / 1e3,
            p50: rank(50),
            p90: rank(90),
            p95: rank(95),
            p99: rank(99),
            max: rank(100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks_whatever_the_order() {
        let mut nanos: Vec<u64> = (1..=200).map(|n| n * 1000).collect();
        nanos.reverse();
        let expected =
            Summary { mean: 100.5, p50: 100.0, p90: 180.0, p95: 190.0, p99: 198.0, max: 200.0 };
        assert_eq!(Summary::of_nanos(&nanos), expected);
    }

    #[test]
    fn one_time_is_every_percentile_and_none_is_zero() {
        let one = Summary::of_nanos(&[7500]);
        assert_eq!((one.p50, one.p99, one.max, one.mean), (7.5, 7.5, 7.5, 7.5));
        assert_eq!(Summary::of_nanos(&[]), Summary::default());
    }
}
