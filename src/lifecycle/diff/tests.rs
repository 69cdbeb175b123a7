use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::builder::{Builder, Order};
use crate::format::{Codec, Pruning};
use crate::progress::Silent;
use crate::queries::QueryBuilder;

type Vectors = BTreeMap<u8, BTreeMap<u8, u8>>;

/// Documents with whole weights, which are impacts as they stand.
fn index(vectors: &Vectors, order: Order, codec: Codec, prefix: &str) -> Index {
    let documents = vectors.iter().map(|(id, terms)| {
        let terms = terms.iter().map(|(term, weight)| (format!("t{term}"), f32::from(*weight)));
        (format!("{prefix}{id}"), terms.collect::<Vec<_>>())
    });
    let documents: Vec<_> = documents.collect();
    Builder::new().order(order).codec(codec).vectors(documents).unwrap().index().unwrap()
}

fn vectors() -> impl Strategy<Value = Vectors> {
    let terms = prop::collection::btree_map(0u8..30, 1u8..=255, 0..12);
    prop::collection::btree_map(0u8..60, terms, 1..60)
}

proptest! {
    #[test]
    fn counts_are_those_of_a_comparison_of_all_vectors(
        old in vectors(),
        fresh in vectors(),
        kept in prop::collection::vec(any::<bool>(), 60),
    ) {
        // Most documents are what they were.
        let mut new = old.clone();
        for (id, terms) in &fresh {
            if !kept[usize::from(*id)] {
                new.insert(*id, terms.clone());
            }
        }
        new.retain(|id, _| *id % 7 != 3 || kept[usize::from(*id)]);
        new.entry(59).or_default();
        let a = index(&old, Order::Bisected, Codec::Fast, "d");
        let b = index(&new, Order::Input, Codec::Small, "d");
        let diff = compare(&a, &b, &Silent).unwrap();
        let both: Vec<u8> = old.keys().filter(|id| new.contains_key(id)).copied().collect();
        let same = both.iter().filter(|id| old[id] == new[id]).count();
        let terms = |v: &Vectors, id: &u8| v[id].keys().copied().collect::<Vec<u8>>();
        let other_terms = both.iter().filter(|id| terms(&old, id) != terms(&new, id)).count();
        let d = &diff.documents;
        prop_assert_eq!(
            [d.old, d.new, d.same, d.changed, d.changed_terms, d.added, d.removed],
            [old.len(), new.len(), same, both.len() - same, other_terms,
             new.len() - both.len(), old.len() - both.len()].map(|n| n as u64)
        );
        let tokens = |v: &Vectors| {
            v.values().flat_map(|t| t.keys().copied()).collect::<std::collections::BTreeSet<u8>>()
        };
        let (was, is) = (tokens(&old), tokens(&new));
        prop_assert_eq!(
            [diff.terms.old, diff.terms.new, diff.terms.gone],
            [was.len(), is.difference(&was).count(), was.difference(&is).count()].map(|n| n as u64)
        );
        let sum = |v: &Vectors| v.values().map(|t| t.len() as u64).sum::<u64>();
        prop_assert_eq!(diff.fields[0].postings, [sum(&old), sum(&new)]);
        prop_assert!((0.0..=1.0).contains(&diff.fields[0].length_drift));
        let names = [&diff.parameters[0].name, &diff.parameters[1].name];
        prop_assert_eq!(names, ["codec", "order"]);
        // The same documents in another order and layout are the same.
        let c = index(&old, Order::Input, Codec::Small, "d");
        let same = compare(&a, &c, &Silent).unwrap();
        prop_assert_eq!((same.documents.same, same.documents.changed), (old.len() as u64, 0));
        prop_assert_eq!((same.fields[0].length_drift, same.fields[0].weight_drift), (0.0, 0.0));
        prop_assert!(same.terms.drifted.is_empty());
    }
}

fn sample() -> (Vectors, Vectors) {
    let old: Vectors =
        (0..40).map(|id| (id, (0..=id % 5).map(|t| (t, 10 + id)).collect())).collect();
    let mut new = old.clone();
    new.get_mut(&7).unwrap().insert(29, 100);
    *new.get_mut(&8).unwrap().get_mut(&0).unwrap() += 1;
    new.remove(&9);
    new.insert(50, BTreeMap::from([(0, 3)]));
    (old, new)
}

#[test]
fn values_have_the_names_that_gates_know() {
    let (old, new) = sample();
    let [a, b] = [&old, &new].map(|v| index(v, Order::Input, Codec::Fast, "d"));
    let mut diff = compare(&a, &b, &Silent).unwrap();
    let found = |diff: &Diff| diff.values().into_iter().map(|v| v.name).collect::<Vec<_>>();
    assert_eq!(found(&diff), names(&[], &[]));
    let queries = [&a, &b].map(|index| {
        let query = QueryBuilder::new(index).unwrap().tokens([("t0", 1.0), ("t3", 2.0)]).unwrap();
        vec![crate::queries::Prepared { id: "q".into(), ..query }]
    });
    let answers =
        compare_answers([&a, &b], [&queries[0], &queries[1]], &[3, 100], true, &Silent).unwrap();
    let mut qrels = crate::eval::Qrels::default();
    qrels.insert("q", "d39", 1);
    let measures = crate::eval::parse_measures("ndcg@10,mrr").unwrap();
    diff.measures = compare_quality(&answers, &qrels, &measures, 100, 1).unwrap();
    diff.answers = Some(answers);
    assert_eq!(found(&diff), names(&[3, 100], &measures));
    let number = |name: &str| diff.values().into_iter().find(|v| v.name == name).unwrap().number;
    assert_eq!([number("added"), number("removed"), number("changed")], [1.0, 1.0, 2.0]);
    assert_eq!((number("documents"), number("terms_new"), number("ndcg@10")), (0.0, 1.0, 0.0));
    // Of 40 documents either list lacks one that the other has.
    assert_eq!((number("overlap@3"), number("overlap@100")), (1.0, 39.0 / 40.0));
    assert_eq!(diff.documents.examples, [vec!["d7", "d8"], vec!["d50"], vec!["d9"]]);
    assert_eq!(diff.terms.examples_new[0].token, "t29");
}

#[test]
fn the_worst_queries_are_shown_with_both_lists() {
    let (old, new) = sample();
    let [a, b] = [&old, &new].map(|v| index(v, Order::Input, Codec::Fast, "d"));
    let queries = [&a, &b].map(|index| {
        let builder = QueryBuilder::new(index).unwrap();
        let query = |i: usize| crate::queries::Prepared {
            id: format!("q{i}"),
            ..builder.tokens([(format!("t{}", i % 6), 1.0)]).unwrap()
        };
        (0..30).map(query).collect::<Vec<_>>()
    });
    let answers =
        compare_answers([&a, &b], [&queries[0], &queries[1]], &[10], false, &Silent).unwrap();
    assert_eq!((answers.queries, answers.rankings.is_none()), (30, true));
    // t5 is nowhere: both lists are empty, and the same.
    assert!(answers.changed.iter().all(|query| !["q5", "q11"].contains(&query.id.as_str())));
    assert!(answers.changed.is_sorted_by(|a, b| a.rbo <= b.rbo));
    assert_eq!(answers.changed.len(), (30 - answers.identical).min(20));
    let worst = &answers.changed[0];
    assert_eq!(worst.lists[0][0].score, 49.0);
    for (side, list) in worst.lists.iter().enumerate() {
        for (place, ranked) in (1..).zip(list) {
            let other = worst.lists[1 - side].iter().position(|r| r.id == ranked.id);
            assert_eq!(ranked.other, other.map(|at| at + 1), "place {place}");
        }
    }
}

#[test]
fn pruned_weights_and_other_scales_show() {
    let (old, _) = sample();
    let a = index(&old, Order::Input, Codec::Fast, "d");
    let documents = |factor: f32| -> Vec<(String, Vec<(String, f32)>)> {
        let terms = |terms: &BTreeMap<u8, u8>| {
            let weight = |(t, w): (&u8, &u8)| (format!("t{t}"), f32::from(*w) * factor);
            terms.iter().map(weight).collect()
        };
        old.iter().map(|(id, t)| (format!("d{id}"), terms(t))).collect()
    };
    let pruning = Pruning { top_per_doc: 2, min_impact: 1 };
    let pruned = Builder::new().pruning(pruning).vectors(documents(1.0)).unwrap().index().unwrap();
    let diff = compare(&a, &pruned, &Silent).unwrap();
    // Documents of three terms or more.
    assert_eq!((diff.documents.changed, diff.documents.changed_terms), (24, 24));
    assert_eq!(diff.parameters.len(), 1);
    assert_eq!(diff.parameters[0].name, "pruning.top_per_doc");
    assert_eq!(diff.parameters[0].values, [serde_json::json!(0), serde_json::json!(2)]);

    let scaled = Builder::new().vectors(documents(0.37)).unwrap().index().unwrap();
    let diff = compare(&a, &scaled, &Silent).unwrap();
    assert_eq!((diff.documents.changed, diff.documents.changed_terms), (40, 0));
    assert!(diff.notes[0].starts_with("the scales differ"), "{:?}", diff.notes);
    assert!(diff.fields[0].weights[0] > 2.0 * diff.fields[0].weights[1]);
}

#[test]
fn indexes_that_have_nothing_in_common_are_said_or_refused() {
    let (old, new) = sample();
    let a = index(&old, Order::Input, Codec::Fast, "d");
    let b = index(&new, Order::Input, Codec::Fast, "other");
    let diff = compare(&a, &b, &Silent).unwrap();
    assert_eq!((diff.documents.added, diff.documents.removed), (40, 40));
    assert!(diff.notes[0].starts_with("no document of the old index is in the new one"));
    let texts = Builder::new().texts([("d1", "whale")]).unwrap().index().unwrap();
    let e = compare(&a, &texts, &Silent).unwrap_err().to_string();
    assert!(e.contains("expected the field learned of <memory>, found bm25"), "{e}");
    let queries = |index: &Index, id: &str| {
        let query = QueryBuilder::new(index).unwrap().tokens([("t0", 1.0)]).unwrap();
        vec![crate::queries::Prepared { id: id.into(), ..query }]
    };
    let asked = |ids: [&str; 2], ks: &[usize]| {
        let [left, right] = [queries(&a, ids[0]), queries(&b, ids[1])];
        compare_answers([&a, &b], [&left, &right], ks, false, &Silent).map(drop)
    };
    assert!(asked(["q", "r"], &[10]).unwrap_err().to_string().contains("the same queries"));
    assert!(asked(["q", "q"], &[10, 0]).unwrap_err().to_string().contains("`k` must be 1 or more"));
    assert!(asked(["q", "q"], &[]).is_err());
    assert!(asked(["q", "q"], &[10]).is_ok());
}
