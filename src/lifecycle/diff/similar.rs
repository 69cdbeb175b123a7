//! How much alike two rankings are.

use std::collections::HashSet;

/// Share of the first `k` places that two rankings have in common, in any order: 1 for two empty
/// ones. A ranking may be shorter than `k`; the longer one counts.
///
/// ```
/// use splindex::lifecycle::diff::overlap;
/// assert_eq!(overlap(&["a", "b", "c"], &["c", "a", "x"], 2), 0.5);
/// assert_eq!(overlap::<&str>(&[], &[], 10), 1.0);
/// ```
pub fn overlap<T: Eq + std::hash::Hash>(a: &[T], b: &[T], k: usize) -> f64 {
    let (a, b) = (&a[..k.min(a.len())], &b[..k.min(b.len())]);
    let longer = a.len().max(b.len());
    if longer == 0 {
        return 1.0;
    }
    let first: HashSet<&T> = a.iter().collect();
    b.iter().filter(|id| first.contains(id)).count() as f64 / longer as f64
}

/// Rank-biased overlap, extrapolated (Webber, Moffat, Zobel, TOIS 2010, equation 32): 1 for equal
/// rankings, 0 for such without a common document; a place weighs `p` times as much as the one before
/// it. With `p` = 0.9 the first ten places have 86 % of the weight.
///
/// ```
/// use splindex::lifecycle::diff::rank_biased_overlap;
/// let same = rank_biased_overlap(&["a", "b"], &["a", "b"], 0.9);
/// let swapped = rank_biased_overlap(&["a", "b"], &["b", "a"], 0.9);
/// assert!((same - 1.0).abs() < 1e-12 && (swapped - 0.9).abs() < 1e-12);
/// ```
pub fn rank_biased_overlap<T: Eq + std::hash::Hash>(a: &[T], b: &[T], p: f64) -> f64 {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if short.is_empty() {
        return if long.is_empty() { 1.0 } else { 0.0 };
    }
    let (mut in_short, mut in_long) = (HashSet::new(), HashSet::new());
    let (mut common, mut at_short, mut sum, mut weight) = (0.0, 0.0, 0.0, 1.0);
    let s = short.len() as f64;
    for (i, id) in long.iter().enumerate() {
        let depth = (i + 1) as f64;
        weight *= p;
        if let Some(other) = short.get(i) {
            in_short.insert(other);
            common += f64::from(u8::from(in_long.contains(other)));
        }
        in_long.insert(id);
        common += f64::from(u8::from(in_short.contains(id)));
        if i + 1 == short.len() {
            at_short = common;
        }
        sum += common / depth * weight;
        if i + 1 > short.len() {
            sum += at_short * (depth - s) / (s * depth) * weight;
        }
    }
    let l = long.len() as f64;
    (1.0 - p) / p * sum + ((common - at_short) / l + at_short / s) * weight
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, by sets at every depth.
    fn by_definition(a: &[u32], b: &[u32], p: f64) -> f64 {
        let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
        if short.is_empty() {
            return if long.is_empty() { 1.0 } else { 0.0 };
        }
        let common = |depth: usize| {
            let short: HashSet<_> = short.iter().take(depth).collect();
            long.iter().take(depth).filter(|id| short.contains(id)).count() as f64
        };
        let (s, l) = (short.len(), long.len());
        let place = |d: usize| p.powi(d as i32);
        let first: f64 = (1..=l).map(|d| common(d) / d as f64 * place(d)).sum();
        let second: f64 =
            (s + 1..=l).map(|d| common(s) * (d - s) as f64 / (s * d) as f64 * place(d)).sum();
        let rest = ((common(l) - common(s)) / l as f64 + common(s) / s as f64) * place(l);
        (1.0 - p) / p * (first + second) + rest
    }

    proptest! {
        #[test]
        fn one_pass_gives_what_the_definition_says(
            a in prop::collection::hash_set(0u32..30, 0..20),
            b in prop::collection::hash_set(0u32..30, 0..20),
            p in 0.5f64..0.99,
        ) {
            let (a, b): (Vec<u32>, Vec<u32>) = (a.into_iter().collect(), b.into_iter().collect());
            let found = rank_biased_overlap(&a, &b, p);
            prop_assert!((found - by_definition(&a, &b, p)).abs() < 1e-9);
            prop_assert!((found - rank_biased_overlap(&b, &a, p)).abs() < 1e-9);
            prop_assert!((0.0..=1.0 + 1e-9).contains(&found));
            prop_assert!((rank_biased_overlap(&a, &a, p) - 1.0).abs() < 1e-9);
            for k in [1, 5, 40] {
                prop_assert_eq!(overlap(&a, &b, k), overlap(&b, &a, k));
            }
        }
    }

    #[test]
    fn a_list_that_lost_its_end_overlaps_by_what_is_left() {
        assert_eq!(overlap(&[1, 2, 3, 4], &[1, 2], 10), 0.5);
        assert_eq!(overlap(&[1, 2, 3, 4], &[1, 2], 2), 1.0);
        assert_eq!(overlap(&[1], &[], 10), 0.0);
        assert_eq!(rank_biased_overlap(&[1], &[], 0.9), 0.0);
    }
}
