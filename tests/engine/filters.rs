//! With a filter, added scores and a least score every algorithm returns what a brute force over the
//! documents that satisfy it gives: never another document, and the same scores and ties.

use std::cmp::Reverse;
use std::sync::Arc;

use proptest::prelude::*;
use splindex::builder::{AttributeSource, BuildOptions, build};
use splindex::corpus::AttributeRecord;
use splindex::index::Index;
use splindex::progress::Silent;
use splindex::query::{Algorithm, Approximation, Boost, Filter, Query, Searcher, SimdLevel};

use crate::exact::{Document, collection, collections, large, layouts, pairs, queries, token};

/// What a query asks beside its terms.
#[derive(Debug, Clone)]
struct Asked {
    /// Documents with one of these `tag`s, of [`TAGS`]; all if there is none.
    tags: Vec<u32>,
    /// And `n` in this range.
    range: (i64, i64),
    /// Added to documents with this tag.
    lifted: Option<(u32, u32)>,
    /// `n` times this is added.
    factor: u32,
    min_score: u32,
}

const TAGS: u32 = 7;

fn tag(ordinal: u32) -> u32 {
    (ordinal.wrapping_mul(2_654_435_761) >> 13) % TAGS
}

fn number(ordinal: u32) -> i64 {
    i64::from(ordinal)
}

impl Asked {
    fn keeps(&self, ordinal: u32) -> bool {
        (self.tags.is_empty() || self.tags.contains(&tag(ordinal)))
            && (self.range.0..self.range.1).contains(&number(ordinal))
    }

    fn added(&self, ordinal: u32) -> u64 {
        let lifted = self.lifted.filter(|lifted| lifted.0 == tag(ordinal)).map_or(0, |l| l.1);
        u64::from(lifted) + u64::from(self.factor) * number(ordinal) as u64
    }

    fn filter(&self, index: &Index) -> Filter {
        let (low, high) = self.range;
        let mut text = format!("n >= {low} and n < {high}");
        if !self.tags.is_empty() {
            let tags: Vec<String> = self.tags.iter().map(|tag| format!("\"t{tag}\"")).collect();
            text = format!("{text} and tag in ({})", tags.join(", "));
        }
        Filter::new(index, &text.parse().unwrap()).unwrap()
    }

    fn query(&self, index: &Index, query: Query) -> Query {
        let query = query.filtered(self.filter(index)).at_least(self.min_score);
        match (self.lifted, self.factor) {
            (None, 0) => query,
            (None, factor) => {
                query.boosted(index, Boost::of_values(index, "n", factor).unwrap()).unwrap()
            }
            (Some((tag, added)), _) => {
                let text = format!("tag = \"t{tag}\"");
                let filter = Filter::new(index, &text.parse().unwrap()).unwrap();
                let boost = Boost::new(index, [(&filter, added)]).unwrap();
                query.boosted(index, boost).unwrap()
            }
        }
    }
}

fn brute_force(
    documents: &[Document],
    query: &[(u8, u32)],
    asked: &Asked,
    k: usize,
) -> Vec<(u32, u64)> {
    let score = |document: &Document| -> u64 {
        let weight = |t: &u8| u64::from(document.get(t).copied().unwrap_or(0));
        query.iter().map(|(t, w)| u64::from(*w) * weight(t)).sum()
    };
    let mut scored: Vec<(u32, u64)> = (0..)
        .zip(documents)
        .map(|(ordinal, document)| (ordinal, score(document)))
        .filter(|&(ordinal, score)| score > 0 && asked.keeps(ordinal))
        .map(|(ordinal, score)| (ordinal, score + asked.added(ordinal)))
        .filter(|&(_, score)| score >= u64::from(asked.min_score))
        .collect();
    scored.sort_by_key(|&(ordinal, score)| (Reverse(score), ordinal));
    scored.truncate(k);
    scored
}

fn assert_exact(
    documents: &[Document],
    reordered: &[u32],
    queries: &[Vec<(u8, u32)>],
    asked: &[Asked],
    depths: &[usize],
) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    let mut collection = collection(documents);
    let record = |ordinal: u32| AttributeRecord {
        id: format!("d{ordinal}"),
        values: vec![
            ("n".into(), number(ordinal).into()),
            ("tag".into(), format!("t{}", tag(ordinal)).into()),
        ],
    };
    let records = (0..documents.len() as u32).map(record).collect();
    let source = AttributeSource::Records(Arc::new(records));
    collection.read_attributes(&[source], &BuildOptions::default(), &Silent).unwrap();
    let levels: Vec<SimdLevel> = SimdLevel::available().collect();
    let mut turns = levels.iter().cycle().skip(documents.len() % levels.len());
    for options in layouts() {
        for order in [None, Some(reordered)] {
            build(&collection, order, &options, &path, &Silent).unwrap();
            let index = Index::open(&path).unwrap();
            let level = *turns.next().expect("a cycle has no end");
            let mut searcher = Searcher::with_simd(&index, level);
            let two = Approximation::EXACT.keeping_terms(2).unwrap().rescoring(1 << 20).unwrap();
            let mut in_two_steps = Searcher::with_simd(&index, level).approximating(two);
            for (query, asked) in queries.iter().zip(asked.iter().cycle()) {
                let tokens: Vec<(String, u32)> =
                    query.iter().map(|&(t, w)| (token(t), w)).collect();
                let pairs_of = tokens.iter().map(|(t, w)| (t.as_str(), *w));
                let Ok(parsed) = Query::new(&index, 0, pairs_of) else { continue };
                let parsed = asked.query(&index, parsed);
                for &k in depths {
                    let expected = brute_force(documents, query, asked, k);
                    for &algorithm in Algorithm::ALL {
                        if algorithm.check(&index).is_err() {
                            continue;
                        }
                        let hits = searcher.search(&parsed, k, algorithm).unwrap();
                        assert!(
                            pairs(hits) == expected,
                            "{algorithm} on {options:?}, reordered {}, k = {k}, query {query:?}, \
                             {asked:?}: {:?} against {expected:?}",
                            order.is_some(),
                            pairs(hits),
                        );
                    }
                    for hit in in_two_steps.search(&parsed, k, Algorithm::Auto).unwrap() {
                        assert!(asked.keeps(hit.ordinal) && hit.score >= asked.min_score);
                    }
                    let ordinals: Vec<u32> = expected.iter().map(|&(ordinal, _)| ordinal).collect();
                    let scores = searcher.score(&parsed, &ordinals).unwrap();
                    assert!(scores.iter().zip(&expected).all(|(&s, e)| u64::from(s) == e.1));
                }
                let others: Vec<u32> =
                    (0..documents.len() as u32).filter(|&o| !asked.keeps(o)).take(50).collect();
                assert!(searcher.score(&parsed, &others).unwrap().iter().all(|&score| score == 0));
            }
        }
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    let range = prop_oneof![2 => Just((0, 1 << 20)), 1 => (0i64..700, 0i64..700)];
    let lifted = prop::option::of((0..TAGS, prop_oneof![1u32..9, 1u32..5000, Just(1 << 20)]));
    let factor = prop_oneof![2 => Just(0u32), 1 => 1u32..50];
    let min_score = prop_oneof![2 => Just(0u32), 1 => 0u32..2000];
    let tags = prop::collection::vec(0..TAGS, 0..4);
    (tags, range, lifted, factor, min_score).prop_map(|(tags, range, lifted, factor, min_score)| {
        let factor = if lifted.is_some() { 0 } else { factor };
        Asked { tags, range, lifted, factor, min_score }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_algorithm_equals_the_brute_force_over_what_the_filter_keeps(
        documents in collections(),
        // Weights that leave room for what is added.
        queries in prop::collection::vec(
            queries().prop_map(|q| q.into_iter().map(|(t, w)| (t, w.min(32_768))).collect()), 1..6),
        asked in prop::collection::vec(asked(), 1..4),
        k in prop_oneof![Just(1usize), Just(10), Just(1000), 1usize..50],
        shift in any::<usize>(),
    ) {
        let n = documents.len() as u32;
        let reordered: Vec<u32> =
            (0..n).map(|d| (n - 1 - d + shift as u32 % n) % n).collect();
        assert_exact(&documents, &reordered, &queries, &asked, &[k]);
    }
}

#[test]
fn every_representation_is_exact_across_windows_that_a_filter_leaves_out() {
    let documents = large();
    let n = documents.len() as u32;
    let reordered: Vec<u32> =
        (0..n).map(|d| (u64::from(d) * 40_009 % u64::from(n)) as u32).collect();
    let queries: Vec<Vec<(u8, u32)>> = vec![
        (0..40).map(|t| (t, 1 + u32::from(t) * 7)).collect(),
        vec![(0, 3), (20, 900), (37, 6_553)],
        vec![(38, 100), (30, 77), (25, 50), (12, 31)],
        vec![(1, 1)],
    ];
    let plain = Asked { tags: vec![], range: (0, 1 << 20), lifted: None, factor: 0, min_score: 0 };
    for asked in [
        Asked { tags: vec![1, 4], ..plain.clone() },
        // Two documents in each of two windows; one stretch; none.
        Asked { tags: vec![3], range: (30_000, 30_030), ..plain.clone() },
        Asked { range: (24_000, 25_500), ..plain.clone() },
        Asked { range: (5, 5), ..plain.clone() },
        Asked { lifted: Some((2, 4000)), min_score: 2000, ..plain.clone() },
        Asked { tags: vec![0, 5, 6], factor: 3, ..plain },
    ] {
        assert_exact(&documents, &reordered, &queries, &[asked], &[1, 10, 1000]);
    }
}

#[test]
fn terms_are_required_and_excluded() {
    let documents = large();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    let options = BuildOptions::default();
    build(&collection(&documents), None, &options, &path, &Silent).unwrap();
    let index = Index::open(&path).unwrap();
    let term = |t: u8| index.lexicon().find(0, &token(t)).unwrap();
    let filter = Filter::of_terms(&index, &[term(2), term(5)], &[term(3)]).unwrap();
    let kept = |d: &Document| d.contains_key(&2) && d.contains_key(&5) && !d.contains_key(&3);
    let expected = documents.iter().filter(|document| kept(document)).count();
    assert_eq!(filter.len() as usize, expected);
    for (ordinal, document) in (0..).zip(&documents) {
        assert_eq!(filter.keeps(&index, ordinal), kept(document));
    }
    let all = Filter::of_terms(&index, &[], &[]).unwrap();
    assert_eq!(all.len(), index.documents());
    assert_eq!(all.and(&filter), filter);
}
