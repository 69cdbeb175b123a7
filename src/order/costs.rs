//! The cost model of bisection, in fixed point.
//!
//! A term that occurs in d of the n documents of one half is charged d·log2(n / (d+1))
//! bits there (Dhulipala et al. 2016). With equal halves the log2 n parts cancel, so all
//! that a move can change is F(d) = d·log2(d+1), one step at a time:
//! step(d) = F(d) − F(d−1). Integers make every sum independent of the order in which
//! threads or vector lanes add it up.

/// Degrees up to here are tabled exactly.
const TABLED: usize = 1 << 16;

/// Table of step(d) and step(d+1), times 2^shift.
#[derive(Debug, Clone)]
pub(crate) struct Steps {
    /// A fixed length, so that one comparison both picks the table and checks the bound.
    table: Box<[[i32; 2]; TABLED + 1]>,
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
        let step = |d: usize| {
            if d == 0 { 0 } else { ((f(d as f64) - f(d as f64 - 1.0)) * unit).round() as i32 }
        };
        let table: Vec<[i32; 2]> = (0..=TABLED).map(|d| [step(d), step(d + 1)]).collect();
        Steps { table: table.into_boxed_slice().try_into().expect("TABLED + 1 pairs"), shift }
    }

    /// step(d) and step(d+1). step(0) = 0 is never charged: a document counts itself.
    #[inline]
    fn pair(&self, d: u32) -> [i32; 2] {
        if d as usize <= TABLED { self.table[d as usize] } else { self.far(d) }
    }

    /// step(d) = log2 d + 1/ln 2 − O(1/d), so halving d takes off exactly one bit once
    /// the tail is below the fixed-point unit.
    #[cold]
    fn far(&self, d: u32) -> [i32; 2] {
        let halvings = 16 - d.leading_zeros();
        let step = self.table[(d >> halvings) as usize][0] + ((halvings << self.shift) as i32);
        [step, step]
    }

    /// Preference for the left half, of a document that is now on the left and of one
    /// that is now on the right, for a term with `left` and `right` documents there.
    #[inline]
    pub(crate) fn pulls(&self, left: u32, right: u32) -> (i32, i32) {
        let ([left, left_more], [right, right_more]) = (self.pair(left), self.pair(right));
        (left - right_more, left_more - right)
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
            let got = f64::from(steps.pair(d)[0]) / 65_536.0;
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
            let worst = i64::from(steps.pair(u32::MAX)[0]) * longest as i64;
            assert!(worst < 1 << 30, "{longest}: {worst}");
        }
    }
}
