use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::error::{Error, Place};

fn texts(texts: &[impl AsRef<str>]) -> impl Iterator<Item = Result<TextRecord>> {
    let records = texts.iter().enumerate().map(|(i, text)| TextRecord {
        id: format!("d{i}"),
        text: text.as_ref().to_owned(),
        place: Place::Line(i as u64 + 1),
        path: Path::new("docs").into(),
    });
    records.map(Ok).collect::<Vec<_>>().into_iter()
}

type Vectors = Vec<(String, Vec<(String, f32)>)>;

fn vectors<I: Iterator<Item = Result<TextRecord>>>(source: &mut Bm25Source<I>) -> Vectors {
    let (mut all, mut record) = (Vec::new(), VectorRecord::default());
    while source.read(&mut record).unwrap() {
        assert!(record.terms.is_sorted_by(|a, b| a < b));
        let tokens = record.terms.iter().map(|&t| source.tokens().token(t).to_owned());
        all.push((record.id.clone(), tokens.zip(record.weights.iter().copied()).collect()));
    }
    all
}

#[test]
fn weights_are_the_formulas_by_hand() {
    let mut source =
        Bm25Source::new(texts(&["cat dog cat", "", "a dog"]), Bm25Params::default()).unwrap();
    assert_eq!((source.documents(), source.len_hint()), (3, Some(3)));
    assert_eq!(source.params().avgdl, AvgDl::Fixed(4.0 / 3.0), "(3 + 0 + 1) / 3");
    // d0: dl 3, norm .9 (.6 + .4 · 3 / (4/3)) = 1.35: cat 2·1.9/3.35, dog 1.9/2.35.
    // d2: dl 1, norm .9 (.6 + .4 · 1 / (4/3)) = .81: dog 1.9/1.81.
    let expected: Vectors = vec![
        (
            "d0".into(),
            vec![("cat".into(), (3.8 / 3.35) as f32), ("dog".into(), (1.9 / 2.35) as f32)],
        ),
        ("d1".into(), vec![]),
        ("d2".into(), vec![("dog".into(), (1.9 / 1.81) as f32)]),
    ];
    assert_eq!(vectors(&mut source), expected);
}

#[test]
fn documents_come_back_from_a_file_when_memory_is_short() {
    let collection: Vec<String> =
        (0..3000).map(|i| format!("word{} term{} x", i % 7, i % 1000)).collect();
    let dir = tempfile::tempdir().unwrap();
    let params = Bm25Params::default();
    let mut free = Bm25Source::new(texts(&collection), params).unwrap();
    let expected = vectors(&mut free);
    for room in [0, 20_000] {
        let mut tight =
            Bm25Source::within(room, dir.path(), texts(&collection), params, |_| Ok(())).unwrap();
        assert!(tight.file.is_some() && tight.in_memory <= room);
        assert_eq!(vectors(&mut tight), expected);
    }
}

#[test]
fn a_given_length_streams_and_equals_the_counted_one() {
    let collection: Vec<String> =
        (0..3000).map(|i| format!("word{} term{} x", i % 7, i % 1000)).collect();
    let mut counted = Bm25Source::new(texts(&collection), Bm25Params::default()).unwrap();
    let params = counted.params();
    let mut given = Bm25Source::new(texts(&collection), params).unwrap();
    assert_eq!((given.documents(), given.len_hint()), (0, None));
    assert_eq!(vectors(&mut given), vectors(&mut counted));
    assert_eq!(given.params(), params);
}

#[test]
fn a_collection_without_tokens_has_no_weights_and_no_nan() {
    let mut source = Bm25Source::new(texts(&["", "the"]), Bm25Params::default()).unwrap();
    assert_eq!(source.params().avgdl, AvgDl::Fixed(1.0));
    assert!(vectors(&mut source).iter().all(|(_, v)| v.is_empty()));
}

#[test]
fn an_error_of_the_texts_is_the_sources() {
    let bad = || texts(&["a"]).chain([Err(Error::data("docs", Place::Line(2), "broken"))]);
    assert!(Bm25Source::new(bad(), Bm25Params::default()).is_err());
    let params = Bm25Params { avgdl: AvgDl::Fixed(2.0), ..Bm25Params::default() };
    let mut source = Bm25Source::new(bad(), params).unwrap();
    assert!(source.read(&mut VectorRecord::default()).is_err());
}

proptest! {
    // Each case starts two thread pools.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn vectors_and_term_ids_do_not_depend_on_threads(
        collection in prop::collection::vec("([a-f]{1,3}[ .']){0,12}", 1..1500),
    ) {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut source = Bm25Source::new(texts(&collection), Bm25Params::default()).unwrap();
                let vectors = vectors(&mut source);
                let tokens = source.tokens();
                let ids: Vec<String> =
                    (0..tokens.len() as u32).map(|t| tokens.token(t).to_owned()).collect();
                (vectors, ids)
            })
        };
        prop_assert_eq!(run(1), run(3));
    }
}

proptest! {
    #[test]
    fn counts_equal_a_plain_count(collection in prop::collection::vec("([a-f ]{0,40})", 1..20)) {
        // k1 so large that a weight is tf · k1 / (k1 (1 − b)) with b = 0: the tf itself.
        let params = Bm25Params { k1: 1e12, b: 0.0, ..Bm25Params::default() };
        let analyzer = Analyzer::new(&params);
        let mut source = Bm25Source::new(texts(&collection), params).unwrap();
        for ((_, vector), text) in vectors(&mut source).into_iter().zip(&collection) {
            let mut found: Vec<(String, u32)> =
                vector.into_iter().map(|(t, w)| (t, w.round() as u32)).collect();
            let mut expected = analyzer.query(text);
            found.sort();
            expected.sort();
            prop_assert_eq!(found, expected);
        }
    }
}
