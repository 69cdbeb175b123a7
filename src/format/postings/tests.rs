use super::*;
use proptest::prelude::*;

/// A list over its encoded parts, as `Index` would hand it out.
pub(super) fn view<'a>(
    encoded: &'a Encoded,
    representation: Representation,
    df: u32,
    documents: u32,
) -> List<'a> {
    let fine = !encoded.bound_last.is_empty();
    List {
        representation,
        df,
        documents,
        max_impact: 255,
        kth_impacts: [0; 3],
        bytes: &encoded.bytes,
        last: &encoded.last,
        offset: &encoded.offset,
        max: &encoded.max,
        bound_last: &encoded.bound_last,
        block_size: if fine { 40 } else { BLOCK as u32 },
        windows: &encoded.windows,
        runs: &encoded.runs,
        skip: None,
    }
}

/// Documents and postings with long gaps, runs and both ends of the collection.
fn postings() -> impl Strategy<Value = (u32, Vec<u32>, Vec<u8>)> {
    let gap = prop_oneof![4 => 1u32..4, 3 => 1u32..300, 1 => 1u32..70_000];
    let pairs = prop::collection::vec((gap, 1u8..=255), 1..700);
    (pairs, 0u32..70_000).prop_map(|(pairs, tail)| from_gaps(pairs, tail))
}

/// Documents, docids and impacts of (gap, impact) pairs and documents behind the last.
pub(in crate::format) fn from_gaps(pairs: Vec<(u32, u8)>, tail: u32) -> (u32, Vec<u32>, Vec<u8>) {
    let (mut docids, mut impacts, mut next) = (Vec::new(), Vec::new(), 0);
    for (gap, impact) in pairs {
        next += gap;
        docids.push(next - 1);
        impacts.push(impact);
    }
    (next + tail, docids, impacts)
}

proptest! {
    #[test]
    fn every_representation_returns_what_was_put_in((documents, docids, impacts) in postings()) {
        for representation in Representation::ALL {
            let mut encoded = Encoded::default();
            encoded.push(representation, &docids, &impacts, documents, BLOCK);
            let list = view(&encoded, representation, docids.len() as u32, documents);
            prop_assert_eq!(list.decode_all(), Ok((docids.clone(), impacts.clone())));
        }
    }

    #[test]
    fn bounds_hold_for_every_representation_and_size(
        (documents, docids, impacts) in postings(),
        size in prop_oneof![Just(BLOCK), Just(40)],
    ) {
        for representation in Representation::ALL {
            let mut encoded = Encoded::default();
            encoded.push(representation, &docids, &impacts, documents, size);
            let list = view(&encoded, representation, docids.len() as u32, documents);
            let fine = representation != Representation::Positions;
            prop_assert!(list.block_size as usize == size || docids.len() <= size || !fine);
            let (mut block, mut before) = (Block::default(), None);
            for b in 0..list.blocks() {
                list.decode(b, &mut block).unwrap();
                let docids = &block.docids[..block.len];
                prop_assert!(docids.iter().all(|&d| d <= list.block_last(b) && Some(d) > before));
                before = Some(list.block_last(b));
            }
            let mut at = 0;
            for i in 0..list.bounds() {
                let len = docids[at..].partition_point(|&d| d <= list.bound_last(i));
                let max = impacts[at..at + len].iter().max().copied().unwrap_or(0);
                prop_assert!(list.max.is_empty() || list.bound_max(i) == max);
                let most = if fine { size } else { UNIT as usize };
                prop_assert!(list.max.is_empty() || len <= most);
                at += len;
            }
            prop_assert_eq!(at, docids.len());
        }
    }

    #[test]
    fn damaged_bytes_never_panic_and_never_leave_the_collection(
        (documents, docids, impacts) in postings(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        for representation in Representation::ALL {
            let mut encoded = Encoded::default();
            encoded.push(representation, &docids, &impacts, documents, BLOCK);
            for (at, byte) in &damage {
                let at = at.index(encoded.bytes.len());
                encoded.bytes[at] = *byte;
            }
            let list = view(&encoded, representation, docids.len() as u32, documents);
            let mut block = Block::default();
            for b in 0..list.blocks() {
                if list.decode(b, &mut block).is_ok() {
                    prop_assert!(block.docids[..block.len].iter().all(|&d| d < documents));
                }
            }
        }
    }
}

#[test]
fn the_choice_of_representation_follows_density() {
    let choose = |df, n| Representation::choose(Codec::Fast, Dense::Bitmap, false, df, n);
    assert_eq!(choose(128, 128), Representation::Packed);
    assert_eq!(choose(999, 128_000), Representation::Packed);
    assert_eq!(choose(1_000, 128_000), Representation::Stream);
    assert_eq!(choose(16_000, 128_000), Representation::Bitmap);
    let skipping = |df| Representation::choose(Codec::Small, Dense::Bitmap, true, df, 128_000);
    assert_eq!(skipping(999), Representation::Packed);
    assert_eq!(skipping(15_999), Representation::Positions);
    assert_eq!(skipping(16_000), Representation::Bitmap);
    let small = |df| Representation::choose(Codec::Small, Dense::Bytes, false, df, 128_000);
    assert_eq!(small(15_999), Representation::Packed);
    assert_eq!(small(16_000), Representation::Bitmap);
}
