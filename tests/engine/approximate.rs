//! Approximate answers: exact at neutral settings, and at any setting every score is what
//! its documentation says.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use splindex::builder::{BuildOptions, Collection, build};
use splindex::format::Codec;
use splindex::index::Index;
use splindex::progress::Silent;
use splindex::query::{Algorithm, Approximation, Hit, Query, Searcher};

type Document = BTreeMap<u8, u8>;

fn documents() -> impl Strategy<Value = Vec<Document>> {
    let document = prop::collection::btree_map(0u8..30, prop_oneof![1u8..4, 1u8..=255], 0..12);
    (prop::collection::vec(document, 1..60), prop_oneof![1usize..60, 200usize..700])
        .prop_map(|(distinct, n)| (0..n).map(|i| distinct[i % distinct.len()].clone()).collect())
}

fn query() -> impl Strategy<Value = Vec<(u8, u32)>> {
    prop::collection::vec((0u8..32, prop_oneof![1u32..5, 1u32..2_000]), 0..12)
}

prop_compose! {
    fn approximations()(
        terms in prop::option::of(1usize..14),
        mass in prop_oneof![Just(1.0), 0.001f64..1.0],
        rescore in prop::option::of(1usize..60),
    ) -> Approximation {
        let mut approximation = Approximation::EXACT.keeping_mass(mass).unwrap();
        if let Some(terms) = terms {
            approximation = approximation.keeping_terms(terms).unwrap();
        }
        match rescore {
            Some(candidates) => approximation.rescoring(candidates).unwrap(),
            None => approximation,
        }
    }
}

fn index(documents: &[Document], codec: Codec, reordered: bool) -> (tempfile::TempDir, Index) {
    let mut collection = Collection::default();
    for (i, document) in documents.iter().enumerate() {
        let names: Vec<(String, f32)> =
            document.iter().map(|(t, &w)| (format!("t{t}"), f32::from(w))).collect();
        collection.push(&format!("d{i}"), names.iter().map(|(t, w)| (t.as_str(), *w))).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    let order: Vec<u32> = (0..documents.len() as u32).rev().collect();
    let options = BuildOptions { codec, skip_data: true, ..Default::default() };
    build(&collection, reordered.then_some(&order[..]), &options, &path, &Silent).unwrap();
    let index = Index::open(&path).unwrap();
    (dir, index)
}

fn parsed(index: &Index, query: &[(u8, u32)]) -> Query {
    let tokens: Vec<(String, u32)> = query.iter().map(|&(t, w)| (format!("t{t}"), w)).collect();
    Query::new(index, 0, tokens.iter().map(|(t, w)| (t.as_str(), *w))).unwrap()
}

/// The score of a document by the terms of `query`.
fn score(index: &Index, document: &Document, query: &Query) -> u32 {
    let token = |term| index.lexicon().token(term).1[1..].parse::<u8>().unwrap();
    let part = |t: &splindex::query::QueryTerm| {
        t.weight * u32::from(document.get(&token(t.term)).copied().unwrap_or(0))
    };
    query.terms.iter().map(part).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn neutral_settings_change_nothing(
        documents in documents(), query in query(), k in 1usize..40, small in any::<bool>(),
        reordered in any::<bool>(),
    ) {
        let codec = if small { Codec::Small } else { Codec::Fast };
        let (_dir, index) = index(&documents, codec, reordered);
        let query = parsed(&index, &query);
        let neutral = [
            Approximation::EXACT.keeping_terms(query.terms.len().max(1)),
            Approximation::EXACT.keeping_terms(99).and_then(|a| a.rescoring(1)),
            Approximation::EXACT.keeping_mass(1.0),
        ];
        let mut exact = Searcher::new(&index);
        for &algorithm in Algorithm::ALL {
            let expected = exact.search(&query, k, algorithm).unwrap().to_vec();
            for neutral in &neutral {
                let neutral = *neutral.as_ref().unwrap();
                let mut searcher = Searcher::new(&index).approximating(neutral);
                prop_assert_eq!(
                    searcher.search(&query, k, algorithm).unwrap(), &expected[..], "{} {}", algorithm, neutral
                );
            }
        }
    }

    #[test]
    fn every_score_is_the_documents_by_the_terms_that_count(
        documents in documents(), query in query(), k in 1usize..40, small in any::<bool>(),
        reordered in any::<bool>(), approximation in approximations(),
    ) {
        let codec = if small { Codec::Small } else { Codec::Fast };
        let (_dir, index) = index(&documents, codec, reordered);
        let query = parsed(&index, &query);
        let kept = approximation.kept(&index, &query);
        let counted = if approximation.lowers_scores() { &kept } else { &query };
        let matching = documents.iter().filter(|d| score(&index, d, &kept) > 0).count();
        let mut searcher = Searcher::new(&index).approximating(approximation);
        for &algorithm in Algorithm::ALL {
            let hits = searcher.search(&query, k, algorithm).unwrap().to_vec();
            for hit in &hits {
                let document = &documents[hit.ordinal as usize];
                prop_assert_eq!(hit.score, score(&index, document, counted), "{} {}", algorithm, approximation);
                prop_assert!(hit.score <= score(&index, document, &query));
            }
            let best_first = |pair: &[Hit]| {
                (pair[1].score, pair[0].ordinal) < (pair[0].score, pair[1].ordinal)
            };
            prop_assert!(hits.windows(2).all(best_first), "{} {:?}", algorithm, hits);
            let distinct: HashSet<u32> = hits.iter().map(|hit| hit.ordinal).collect();
            prop_assert_eq!(distinct.len(), hits.len());
            prop_assert!(hits.len() <= k);
            // No place stays empty that a kept term could fill.
            prop_assert_eq!(hits.len(), k.min(matching), "{} {}", algorithm, approximation);
        }
    }

    #[test]
    fn the_terms_that_are_kept_are_the_heaviest_and_hold_the_mass(
        documents in documents(), query in query(), terms in 1usize..12, mass in 0.001f64..1.0,
    ) {
        let (_dir, index) = index(&documents, Codec::Fast, false);
        let query = parsed(&index, &query);
        let bound = |t: &splindex::query::QueryTerm| {
            u64::from(t.weight) * u64::from(index.term(t.term).max_impact)
        };
        let sum = |query: &Query| query.terms.iter().map(bound).sum::<u64>();
        let few = Approximation::EXACT.keeping_terms(terms).unwrap().kept(&index, &query);
        prop_assert_eq!(few.terms.len(), terms.min(query.terms.len()));
        let least = few.terms.iter().map(bound).min().unwrap_or(0);
        for term in &query.terms {
            prop_assert!(few.terms.contains(term) || bound(term) <= least);
        }
        let share = Approximation::EXACT.keeping_mass(mass).unwrap().kept(&index, &query);
        prop_assert!(sum(&share) as f64 >= mass * sum(&query) as f64);
        let lightest = share.terms.iter().map(bound).min().unwrap_or(0);
        prop_assert!(share.terms.is_empty() || ((sum(&share) - lightest) as f64) < mass * sum(&query) as f64);
    }
}
