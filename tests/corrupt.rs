//! Flipped bytes anywhere behind an intact header: an error or other scores, never a
//! panic and never a hit outside the collection, and `verify` sees them.

use proptest::prelude::*;
use splindex::build::{BuildOptions, Collection, build};
use splindex::format::{Codec, Dense};
use splindex::index::Index;
use splindex::progress::Silent;
use splindex::query::{Algorithm, Query, Searcher};

/// Tokens from dense to rare, so that every representation and every section is there.
fn collection(documents: u32) -> Collection {
    let mut collection = Collection::default();
    for d in 0..documents {
        let has = |t: &u32| d.wrapping_mul(2_654_435_761).rotate_left(7 * t) % (1 + t * t) == 0;
        let tokens: Vec<(String, f32)> = (0..16)
            .filter(has)
            .map(|t| (format!("t{t}"), (1 + (d * 7 + t * 31) % 255) as f32))
            .collect();
        let vector = tokens.iter().map(|(t, w)| (t.as_str(), *w));
        collection.push(&format!("d{d}"), vector).unwrap();
    }
    collection
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_flipped_byte_of_any_section_makes_a_query_panic(
        layout in 0usize..3,
        (block_size, ranges, reordered) in prop_oneof![
            Just((128, false, false)), Just((40, true, true)), Just((128, true, false)),
        ],
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..=255), 1..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.spx");
        let documents = 3000;
        let order: Vec<u32> = (0..documents).rev().collect();
        let (codec, dense) = [
            (Codec::Small, Dense::Bitmap), (Codec::Fast, Dense::Bitmap), (Codec::Fast, Dense::Bytes),
        ][layout];
        let options = BuildOptions { codec, dense, block_size, ranges, ..Default::default() };
        build(&collection(documents), reordered.then_some(&order[..]), &options, &path, &Silent).unwrap();
        let sound = std::fs::read(&path).unwrap();
        let (sections, query) = {
            let index = Index::open(&path).unwrap();
            let tokens: Vec<String> = (0..16).map(|t| format!("t{t}")).collect();
            let query = Query::new(&index, 0, tokens.iter().map(|t| (t.as_str(), 65_535 / 16))).unwrap();
            let range = |section: &splindex::format::Section| {
                (section.offset.get() as usize, section.len.get() as usize)
            };
            (index.sections().map(|(kind, section)| (kind, range(section))).collect::<Vec<_>>(), query)
        };
        for (kind, (start, len)) in sections.into_iter().filter(|&(_, (_, len))| len > 0) {
            let mut bytes = sound.clone();
            for (at, flip) in &flips {
                bytes[start + at.index(len)] ^= flip;
            }
            if bytes == sound {
                continue;
            }
            std::fs::write(&path, &bytes).unwrap();
            let Ok(index) = Index::open(&path) else { continue };
            prop_assert!(!index.verify().unwrap().faults.is_empty(), "{}", kind.label());
            // Decodes everything; must come to an end.
            index.verify_deep().unwrap();
            let mut searcher = Searcher::new(&index);
            for &algorithm in Algorithm::ALL {
                for k in [1, 10, 5000] {
                    if let Ok(hits) = searcher.search(&query, k, algorithm) {
                        prop_assert!(hits.len() <= k.min(documents as usize));
                    }
                }
            }
        }
    }
}
