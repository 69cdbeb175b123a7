//! An order to begin with: that of an earlier collection, for the documents that are still there.

/// The order in which documents stood before, with the others spread evenly among them.
///
/// `before` has, in the earlier order, the ordinal that each document has now, `None` for those that
/// are gone; `documents` is how many there are now. A document that `before` names twice stands at its
/// first place, one out of range nowhere.
///
/// ```
/// use splindex::order::nightly;
/// // Documents 0, 2 and 4 stood in the order 4, 0, 2; one is gone; 1, 3 and 5 are new.
/// assert_eq!(nightly([Some(4), Some(0), None, Some(2)], 6), [4, 1, 0, 3, 2, 5]);
/// ```
pub fn nightly(before: impl IntoIterator<Item = Option<u32>>, documents: u32) -> Vec<u32> {
    let mut placed = vec![false; documents as usize];
    let mut kept: Vec<u32> = Vec::with_capacity(documents as usize);
    for ordinal in before.into_iter().flatten() {
        if placed.get(ordinal as usize).is_some_and(|placed| !placed) {
            placed[ordinal as usize] = true;
            kept.push(ordinal);
        }
    }
    let new: Vec<u32> = (0..documents).filter(|&ordinal| !placed[ordinal as usize]).collect();
    let (mut order, mut spread) = (Vec::with_capacity(documents as usize), 0);
    for (i, &ordinal) in kept.iter().enumerate() {
        order.push(ordinal);
        // After so many kept ones, this share of the new ones.
        let due = ((i as u64 + 1) * new.len() as u64 / kept.len() as u64) as usize;
        order.extend(&new[spread..due]);
        spread = due;
    }
    order.extend(&new[spread..]);
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_earlier_order_gives_a_permutation_that_keeps_it(
            before in prop::collection::vec(prop::option::of(0u32..60), 0..80),
            documents in 0u32..50,
        ) {
            let order = nightly(before.clone(), documents);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..documents).collect::<Vec<_>>());
            let mut kept: Vec<u32> = Vec::new();
            for ordinal in before.into_iter().flatten() {
                if ordinal < documents && !kept.contains(&ordinal) {
                    kept.push(ordinal);
                }
            }
            let still: Vec<u32> = order.into_iter().filter(|o| kept.contains(o)).collect();
            prop_assert_eq!(still, kept);
        }
    }
}
