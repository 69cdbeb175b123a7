//! Random numbers by position: a stream per (seed, purpose, ordinal), no shared state.

/// SplitMix64 (Steele, Lea, Flood 2014): one addition and a mix a number.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

/// What a stream is for; streams of different purposes are unrelated.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Shuffle = 1,
    Document = 2,
    Query = 3,
    Topic = 4,
}

pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Rng {
    pub(crate) fn new(seed: u64, purpose: Purpose, ordinal: u64) -> Self {
        Rng(mix(mix(mix(seed) ^ purpose as u64) ^ ordinal))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Uniform below `bound` (> 0), with a bias below bound / 2^64.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Mean 0, deviation 1, within ±3.5: the sum of four uniform 16-bit numbers.
    pub(crate) fn normal(&mut self) -> f32 {
        let bits = self.next();
        let sum = (0..4).map(|i| (bits >> (16 * i)) & 0xFFFF).sum::<u64>() as f32;
        (sum / 65_536.0 - 2.0) * 1.732
    }

    /// Mean about 1: exp of a normal with deviation `sigma` (below 0.5), by its series, so
    /// that no math library decides bytes.
    pub(crate) fn lognormal(&mut self, sigma: f32) -> f32 {
        let x = sigma * self.normal() - sigma * sigma / 2.0;
        1.0 + x * (1.0 + x * (0.5 + x / 6.0))
    }
}

/// Where `i` goes in a pseudo-random permutation of 0..`len`: a four-round Feistel network
/// on the next even number of bits, walked until it lands inside.
pub(crate) fn permuted(i: u64, len: u64, key: u64) -> u64 {
    debug_assert!(i < len);
    let half = (64 - (len - 1).leading_zeros()).div_ceil(2).max(1);
    let mask = (1u64 << half) - 1;
    let mut x = i;
    loop {
        let (mut left, mut right) = (x >> half, x & mask);
        for round in 0..4u64 {
            let f = mix(key ^ (round << 56) ^ right) & mask;
            (left, right) = (right, left ^ f);
        }
        x = left << half | right;
        if x < len {
            return x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permutation_hits_every_place_once() {
        for len in [1u64, 2, 3, 4, 5, 100, 1000, 4097] {
            let mut hit: Vec<u64> = (0..len).map(|i| permuted(i, len, 99)).collect();
            hit.sort_unstable();
            assert!(hit.into_iter().eq(0..len), "{len}");
        }
        assert_ne!(
            (0..100).map(|i| permuted(i, 100, 1)).collect::<Vec<_>>(),
            (0..100).map(|i| permuted(i, 100, 2)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn numbers_have_the_promised_moments() {
        let mut rng = Rng::new(7, Purpose::Document, 3);
        let n = 100_000;
        let normals: Vec<f64> = (0..n).map(|_| f64::from(rng.normal())).collect();
        let mean = normals.iter().sum::<f64>() / f64::from(n);
        let variance = normals.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
        let mean = (0..n).map(|_| f64::from(rng.unit())).sum::<f64>() / f64::from(n);
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        assert!((0..1000).all(|_| rng.below(3) < 3));
    }
}
