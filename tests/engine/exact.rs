//! Every algorithm returns exactly the list that a brute force over the quantized input
//! vectors gives: same documents, same scores, same order, same ties.

use std::collections::BTreeMap;

use crate::random::Random;
use proptest::prelude::*;
use splindex::builder::{BuildOptions, Collection, Scale, build};
use splindex::format::Codec;
use splindex::index::Index;
use splindex::progress::Silent;
use splindex::query::{Algorithm, Hit, Query, Searcher, SimdLevel};

pub(crate) type Document = BTreeMap<u8, u8>;

/// Documents over few tokens with few distinct impacts: ties everywhere.
pub(crate) fn collections() -> impl Strategy<Value = Vec<Document>> {
    let document = prop::collection::btree_map(0u8..40, prop_oneof![1u8..4, 1u8..=255], 0..12);
    let one = prop_oneof![1 => Just(1usize), 3 => 2usize..60, 2 => 200usize..700];
    // Copies make long lists with many equal scores without slow generation.
    (prop::collection::vec(document, 1..60), one)
        .prop_map(|(distinct, n)| (0..n).map(|i| distinct[i % distinct.len()].clone()).collect())
}

pub(crate) fn queries() -> impl Strategy<Value = Vec<(u8, u32)>> {
    let weight = prop_oneof![1u32..5, Just(32_767), Just(32_768), Just(65_535), Just(0)];
    // Tokens from 40 on are unknown; repeated tokens are summed.
    prop::collection::vec((0u8..45, weight), 0..8)
}

pub(crate) fn token(t: u8) -> String {
    format!("t{t}")
}

fn brute_force(documents: &[Document], query: &[(u8, u32)], k: usize) -> Vec<(u32, u64)> {
    let mut scored: Vec<(u32, u64)> = documents
        .iter()
        .enumerate()
        .map(|(ordinal, document)| {
            let score = query
                .iter()
                .map(|(t, w)| u64::from(*w) * u64::from(document.get(t).copied().unwrap_or(0)))
                .sum();
            (ordinal as u32, score)
        })
        .filter(|&(_, score)| score > 0)
        .collect();
    scored.sort_by_key(|&(ordinal, score)| (std::cmp::Reverse(score), ordinal));
    scored.truncate(k);
    scored
}

pub(crate) fn collection(documents: &[Document]) -> Collection {
    let mut collection = Collection::default();
    for (i, document) in documents.iter().enumerate() {
        let names: Vec<(String, f32)> =
            document.iter().map(|(&t, &w)| (token(t), f32::from(w))).collect();
        let vector = names.iter().map(|(t, w)| (t.as_str(), *w));
        collection.push(&format!("d{i}"), vector).unwrap();
    }
    collection
}

pub(crate) fn layouts() -> impl Iterator<Item = BuildOptions> {
    Codec::ALL.into_iter().flat_map(|codec| {
        [false, true].map(|skip_data| BuildOptions { codec, skip_data, ..Default::default() })
    })
}

pub(crate) fn pairs(hits: &[Hit]) -> Vec<(u32, u64)> {
    hits.iter().map(|h| (h.ordinal, u64::from(h.score))).collect()
}

/// Every algorithm on every layout, in input order and in `reordered`, gives the lists of
/// the brute force for every query and depth.
fn assert_exact(
    documents: &[Document],
    reordered: &[u32],
    queries: &[Vec<(u8, u32)>],
    depths: &[usize],
) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    let collection = collection(documents);
    let expected: Vec<Vec<Vec<(u32, u64)>>> = queries
        .iter()
        .map(|query| depths.iter().map(|&k| brute_force(documents, query, k)).collect())
        .collect();
    // Levels take turns, from another one in each collection.
    let levels: Vec<SimdLevel> = SimdLevel::available().collect();
    let mut turns = levels.iter().cycle().skip(documents.len() % levels.len());
    for options in layouts() {
        for order in [None, Some(reordered)] {
            build(&collection, order, &options, &path, &Silent).unwrap();
            let index = Index::open(&path).unwrap();
            assert_eq!(index.verify_deep().faults, Vec::<String>::new());
            let level = *turns.next().expect("a cycle has no end");
            let mut searcher = Searcher::with_simd(&index, level);
            for (query, expected) in queries.iter().zip(&expected) {
                let tokens: Vec<(String, u32)> =
                    query.iter().map(|&(t, w)| (token(t), w)).collect();
                let pairs_of = tokens.iter().map(|(t, w)| (t.as_str(), *w));
                // Weights that could overflow are refused; a test below holds that.
                let Ok(parsed) = Query::new(&index, 0, pairs_of) else { continue };
                for (&k, expected) in depths.iter().zip(expected) {
                    for &algorithm in Algorithm::ALL {
                        if algorithm.check(&index).is_err() {
                            assert_eq!(
                                (algorithm, options.skip_data),
                                (Algorithm::BlockPruned, false)
                            );
                            continue;
                        }
                        let (hits, counters) =
                            searcher.search_counted(&parsed, k, algorithm).unwrap();
                        let counted = hits.to_vec();
                        assert!(
                            counters.postings > 0 || hits.is_empty(),
                            "{algorithm} {counters:?}"
                        );
                        let hits = searcher.search(&parsed, k, algorithm).unwrap();
                        assert_eq!(hits, counted, "{algorithm}");
                        assert!(
                            pairs(hits) == *expected,
                            "{algorithm} on {options:?}, reordered {}, k = {k}, query {query:?}: \
                             {:?} against {expected:?}",
                            order.is_some(),
                            pairs(hits),
                        );
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_algorithm_equals_the_brute_force(
        documents in collections(),
        queries in prop::collection::vec(queries(), 1..6),
        k in prop_oneof![Just(1usize), Just(10), Just(1000), 1usize..50],
        shift in any::<usize>(),
    ) {
        let n = documents.len() as u32;
        // A rotation and a reversal: every docid differs from its ordinal.
        let reordered: Vec<u32> =
            (0..n).map(|d| (n - 1 - d + shift as u32 % n) % n).collect();
        assert_exact(&documents, &reordered, &queries, &[k]);
    }
}

/// A collection large enough for streams, bitmaps and several windows, from a fixed seed.
pub(crate) fn large() -> Vec<Document> {
    let mut numbers = Random(0x9E37_79B9_7F4A_7C15);
    let mut random = move |below: u64| numbers.below(below);
    (0..70_001u32)
        .map(|_| {
            (0..40u8)
                // Token t stands in about one document of 1 + t²/3: dense to rare.
                .filter(|&t| t != 39 && random(1 + u64::from(t) * u64::from(t) / 3) == 0)
                .collect::<Vec<u8>>()
        })
        .map(|tokens| tokens.into_iter().map(|t| (t, 1 + (t * 31 % 97))).collect())
        .enumerate()
        .map(|(i, mut document): (usize, Document)| {
            document.values_mut().for_each(|w| *w = w.wrapping_mul(i as u8 | 1).max(1));
            document
        })
        .collect()
}

#[test]
fn every_representation_is_exact_across_windows() {
    let documents = large();
    let n = documents.len() as u32;
    let reordered: Vec<u32> =
        (0..n).map(|d| (u64::from(d) * 40_009 % u64::from(n)) as u32).collect();
    let queries = [
        (0..40).map(|t| (t, 1 + u32::from(t) * 7)).collect(),
        vec![(0, 3), (20, 900), (37, 65_535)],
        vec![(38, 100), (30, 77), (25, 50), (12, 31)],
        vec![(1, 1)],
        vec![],
    ];
    assert_exact(&documents, &reordered, &queries, &[1, 10, 1000, 100_000]);
}

#[test]
fn a_query_that_could_overflow_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    let mut many = Collection::default();
    let tokens: Vec<String> = (0..400).map(|t| format!("t{t}")).collect();
    many.push("d", tokens.iter().map(|t| (t.as_str(), 255.0))).unwrap();
    let options =
        BuildOptions { scale: Scale::Fixed(255.0), skip_data: true, ..Default::default() };
    build(&many, None, &options, &path, &Silent).unwrap();
    let index = Index::open(&path).unwrap();

    let query = |weight| Query::new(&index, 0, tokens.iter().map(|t| (t.as_str(), weight)));
    let message = query(65_535).unwrap_err().to_string();
    assert!(message.contains("could score 6684570000"), "{message}");
    let message = query(65_536).unwrap_err().to_string();
    assert!(message.contains("weight 65536"), "{message}");

    // 400 terms at the largest weight that fits: all algorithms agree.
    let query = query((i32::MAX as u32) / 400 / 255).unwrap();
    let mut searcher = Searcher::new(&index);
    for &algorithm in Algorithm::ALL {
        let hits = searcher.search(&query, 10, algorithm).unwrap();
        assert_eq!(pairs(hits), [(0, u64::from(query.terms[0].weight) * 255 * 400)]);
    }
}
