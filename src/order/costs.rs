//! The cost model of bisection, in fixed point.
//!
//! A term that occurs in d of the n documents of one half is charged d·log2(n / (d+1))
//! bits there (Dhulipala et al. 2016). With equal halves the log2 n parts cancel, so all
//! that a move can change is F(d) = d·log2(d+1), one step at a time:
//! step(d) = F(d) − F(d−1). Integers make every sum independent of the order in which
//! threads or vector lanes add it up.

/// Degrees up to here are tabled exactly.
const TABLED: usize = 1 << 16;

/// Table of step(d) · 2^shift.
#[derive(Debug, Clone)]
pub(crate) struct Steps {
    table: Vec<i32>,
    shift: u32,
}

impl Steps {
    /// A table for documents of at most `longest` terms: sums of that many gains stay
    /// below 2^30. Typical vectors (≤ 512 terms) get 16 fraction bits.
    pub(crate) fn new(longest: usize) -> Self {
        // A gain is at most step(2^32) < 34 < 2^6.
        let shift =
            24u32.saturating_sub((longest.max(2) as u64).next_power_of_two().ilog2()).min(16);
        let unit = f64::from(1u32 << shift);
        let f = |d: f64| d * (d + 1.0).log2();
        let mut table = vec![0i32; TABLED + 2];
        for (d, step) in table.iter_mut().enumerate().skip(1) {
            *step = ((f(d as f64) - f(d as f64 - 1.0)) * unit).round() as i32;
        }
        Steps { table, shift }
    }

    /// step(d), with step(0) = 0 (never charged: a document counts itself).
    #[inline]
    pub(crate) fn step(&self, d: u32) -> i32 {
        if d as usize <= TABLED { self.table[d as usize] } else { self.far(d) }
    }

    /// step(d) = log2 d + 1/ln 2 − O(1/d), so halving d takes off exactly one bit once
    /// the tail is below the fixed-point unit.
    #[cold]
    fn far(&self, d: u32) -> i32 {
        let halvings = 16 - d.leading_zeros();
        self.table[(d >> halvings) as usize] + ((halvings << self.shift) as i32)
    }

    /// Preference for the left half, of a document that is now on the left and of one
    /// that is now on the right, for a term with `left` and `right` documents there.
    #[inline]
    pub(crate) fn pulls(&self, left: u32, right: u32) -> (i32, i32) {
        (self.step(left) - self.step(right + 1), self.step(left + 1) - self.step(right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_the_formula_near_and_far() {
        let steps = Steps::new(200);
        assert_eq!(steps.shift, 16);
        for d in [1u32, 2, 3, 100, 65_535, 65_536, 65_537, 100_000, 1 << 20, 3_000_000_000] {
            let x = f64::from(d);
            // F(x) − F(x−1) without cancellation.
            let exact = x.log2() + x * (1.0 / x).ln_1p() / std::f64::consts::LN_2;
            let got = f64::from(steps.step(d)) / 65_536.0;
            assert!((got - exact).abs() < 6e-5, "step({d}) = {got}, want {exact}");
        }
    }

    #[test]
    fn a_term_of_one_document_pulls_nowhere() {
        let steps = Steps::new(200);
        assert_eq!(steps.pulls(1, 0).0, 0);
        assert_eq!(steps.pulls(0, 1).1, 0);
    }

    #[test]
    fn the_longest_document_cannot_overflow() {
        for longest in [1usize, 512, 513, 30_522, 65_536, 1 << 22] {
            let steps = Steps::new(longest);
            let worst = i64::from(steps.step(u32::MAX)) * longest as i64;
            assert!(worst < 1 << 30, "{longest}: {worst}");
        }
    }
}
