//! What a program that embeds splindex relies on: building from memory, handles that can be sent
//! anywhere, scores and vectors without a search, batches, stopping.

use std::collections::BTreeMap;
use std::io::{Cursor, Seek, SeekFrom};
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use splindex::builder::{BuildOptions, Collection, build};
use splindex::format::Pruning;
use splindex::progress::{Progress, Silent};
use splindex::queries::file::QueryBody;
use splindex::{
    Algorithm, BatchOptions, Builder, Codec, Error, Index, Order, Query, QueryBuilder, Rows, Scale,
    Searcher,
};

/// Documents as maps from tokens to weights.
type Vectors = Vec<BTreeMap<String, f32>>;

fn vectors() -> impl Strategy<Value = Vectors> {
    let token = (0u32..30).prop_map(|t| format!("t{t}"));
    let vector = prop::collection::btree_map(token, 1u8..=255, 0..12)
        .prop_map(|v| v.into_iter().map(|(t, w)| (t, f32::from(w))).collect());
    prop::collection::vec(vector, 1..300)
}

fn documents(vectors: &Vectors) -> impl Iterator<Item = (String, Vec<(&str, f32)>)> {
    vectors
        .iter()
        .enumerate()
        .map(|(d, v)| (format!("d{d}"), v.iter().map(|(t, &w)| (t.as_str(), w)).collect()))
}

fn query(index: &Index) -> Query {
    index.query((0..30).map(|t| (format!("t{t}"), f64::from(t * 7 % 11)))).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn an_index_is_the_same_from_documents_rows_and_a_collection_in_memory_and_in_a_file(
        vectors in vectors(),
        bisected in any::<bool>(),
    ) {
        let order = || if bisected { Order::Bisected } else { Order::Input };
        let builder = || Builder::new().order(order());
        let bytes = builder().vectors(documents(&vectors)).unwrap().to_bytes().unwrap();

        let ids: Vec<String> = (0..vectors.len()).map(|d| format!("d{d}")).collect();
        let vocabulary: Vec<String> = (0..30).map(|t| format!("t{t}")).collect();
        let (mut indptr, mut indices, mut data) = (vec![0i64], Vec::new(), Vec::new());
        for vector in &vectors {
            for (token, &weight) in vector {
                indices.push(token[1..].parse::<u16>().unwrap());
                data.push(weight);
            }
            indptr.push(data.len() as i64);
        }
        let rows = Rows::new(&ids, &vocabulary, &indptr, &indices, &data).unwrap();
        prop_assert!(builder().rows(rows).unwrap().to_bytes().unwrap() == bytes);

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.spx");
        builder().vectors(documents(&vectors)).unwrap().write(&path).unwrap();
        prop_assert!(std::fs::read(&path).unwrap() == bytes);
        if !bisected {
            let mut collection = Collection::default();
            for (id, vector) in documents(&vectors) {
                collection.push(&id, vector).unwrap();
            }
            build(&collection, None, &BuildOptions::default(), &path, &Silent).unwrap();
            prop_assert!(std::fs::read(&path).unwrap() == bytes);
        }

        // Behind bytes of another's, a writer is left behind the index.
        let mut out = Cursor::new(vec![7; 100]);
        out.seek(SeekFrom::End(0)).unwrap();
        let (out, report) = builder().vectors(documents(&vectors)).unwrap().finish(out).unwrap();
        prop_assert_eq!(out.position(), 100 + report.written.file_len);
        let out = out.into_inner();
        prop_assert!(out[..100] == [7; 100] && out[100..] == bytes);
    }

    #[test]
    fn scores_of_given_documents_and_their_vectors_are_those_of_the_index(
        vectors in vectors(),
        codec in prop_oneof![Just(Codec::Fast), Just(Codec::Small)],
        reversed in any::<bool>(),
    ) {
        let last = vectors.len() as u32 - 1;
        let order = match reversed {
            true => Order::Given((0..=last).rev().collect()),
            false => Order::Input,
        };
        let builder = Builder::new().codec(codec).order(order);
        let index = builder.vectors(documents(&vectors)).unwrap().index().unwrap();
        let (query, mut searcher) = (query(&index), index.searcher());
        let mut expected = vec![0; vectors.len()];
        for hit in searcher.search(&query, vectors.len(), Algorithm::Exhaustive).unwrap() {
            expected[hit.ordinal as usize] = hit.score;
        }
        // In any order, some twice.
        let asked: Vec<u32> = (0..=last).rev().chain([0, last, 0]).collect();
        let scores = searcher.score(&query, &asked).unwrap();
        for (ordinal, score) in asked.iter().zip(scores) {
            prop_assert_eq!(score, expected[*ordinal as usize]);
        }
        for (ordinal, vector) in vectors.iter().enumerate() {
            let found: BTreeMap<String, f32> = index
                .vector(ordinal as u32)
                .unwrap()
                .iter()
                .map(|t| (index.lexicon().token(t.term).1.to_owned(), f32::from(t.impact)))
                .collect();
            prop_assert_eq!(&found, vector);
            prop_assert_eq!(index.find(index.id(ordinal as u32)), Some(ordinal as u32));
        }
        prop_assert!(searcher.score(&query, &[last + 1]).is_err() && index.vector(last + 1).is_err());
    }

    #[test]
    fn a_batch_is_what_a_searcher_answers_on_any_number_of_threads(vectors in vectors()) {
        let index = Builder::new().vectors(documents(&vectors)).unwrap().index().unwrap();
        let queries: Vec<Query> = (0..40u32)
            .map(|q| index.query([(format!("t{}", q % 31), 2.0), ("t3".into(), 1.0)]).unwrap())
            .collect();
        let mut searcher = index.searcher();
        for threads in [None, Some(1), Some(3)] {
            let batch = index
                .search_batch(&queries, &BatchOptions { threads, ..BatchOptions::new(5) })
                .unwrap();
            prop_assert_eq!(batch.len(), queries.len());
            for (query, hits) in queries.iter().zip(batch.iter()) {
                prop_assert_eq!(searcher.search(query, 5, Algorithm::Auto).unwrap(), hits);
            }
        }
    }
}

#[test]
fn bytes_at_any_address_are_an_index_and_handles_share_it() {
    let vectors: Vectors =
        (0..50).map(|d| BTreeMap::from([(format!("t{}", d % 7), 3.0)])).collect();
    let bytes = Builder::new().vectors(documents(&vectors)).unwrap().to_bytes().unwrap();
    let index = Index::from_bytes(bytes.clone()).unwrap();
    fn anywhere<T: Send + Sync + Clone + 'static>(value: &T) -> T {
        value.clone()
    }
    fn sent<T: Send + 'static>(value: T) -> T {
        value
    }
    let mut searcher: Searcher = sent(anywhere(&index).searcher());
    let id = index.content_id();
    drop(index);
    assert_eq!(searcher.index().content_id(), id);
    let query = query(searcher.index());
    assert_eq!(searcher.search(&query, 100, Algorithm::Auto).unwrap().len(), 42); // 8 of t0, which is not asked
    // Damage is told with the name of what is in memory.
    let error = Index::from_bytes(&bytes[..bytes.len() - 1]).unwrap_err().to_string();
    assert!(error.starts_with("<memory>"), "{error}");
    assert!(Index::from_bytes(Vec::new()).is_err());
}

#[test]
fn bm25_and_hybrid_indexes_of_texts_name_their_fields_themselves() {
    let texts = [("a", "the blue whale"), ("b", "red ship, red sail"), ("c", "")];
    let bm25 = Builder::new().texts(texts).unwrap().index().unwrap();
    assert_eq!(bm25.meta().fields[0].kind.name(), "bm25");
    let queries = QueryBuilder::new(&bm25).unwrap();
    let asked = queries.text("whales and ships").unwrap();
    let mut searcher = bm25.searcher();
    let hits = searcher.search(&asked.query, 10, Algorithm::Auto).unwrap().to_vec();
    assert_eq!(hits.len(), 2);
    assert!(Builder::new().scale(Scale::Fixed(2.0)).texts(texts).is_err(), "BM25 has its own");

    let learned = || {
        splindex::vectors::Documents::new([
            ("a", vec![("whale", 1.5f32)]),
            ("b", vec![("ship", 2.5)]),
            ("c", vec![("whale", 0.5)]),
        ])
    };
    let hybrid = Builder::new().hybrid(&mut learned(), texts).unwrap().index().unwrap();
    assert_eq!(hybrid.meta().fields.len(), 2);
    let queries = QueryBuilder::new(&hybrid).unwrap();
    let vector = QueryBody::Weighted(vec![("whale".into(), 1.0)]);
    let both = queries.parts(&vector, Some(&QueryBody::Text("ships".into()))).unwrap();
    let mut searcher = hybrid.searcher();
    let hits = searcher.search(&both.query, 10, Algorithm::Auto).unwrap();
    assert_eq!(hits.len(), 3);
    let error = queries.tokens([("whale", 1.0)]).unwrap_err().to_string();
    assert!(error.contains("no BM25 part"), "{error}");
    for wrong in [&texts[..2], &[("a", ""), ("c", ""), ("b", "")]] {
        assert!(Builder::new().hybrid(&mut learned(), wrong.to_vec()).is_err());
    }
}

#[test]
fn what_cannot_be_built_is_refused_with_the_document_and_nothing_is_written() {
    let says = |terms: Vec<(&str, f32)>| {
        let documents = [("a", vec![("x", 1.0)]), ("b", terms)];
        Builder::new().vectors(documents).err().expect("an error").to_string()
    };
    assert_eq!(
        says(vec![("x", f32::NAN)]),
        "<vectors>: record 2: token \"x\": expected a weight of 0 or more, found NaN"
    );
    assert!(says(vec![("x", -1.0)]).contains("found -1"));
    assert!(says(vec![("x", 1.0), ("x", 2.0)]).contains("token \"x\" is repeated"));
    let twice = Builder::new().vectors([("a", [("x", 1.0)]), ("a", [("x", 1.0)])]).unwrap();
    assert!(twice.index().unwrap_err().to_string().contains("\"a\" is used by records 1 and 2"));
    let none = Builder::new().vectors(Vec::<(String, Vec<(String, f32)>)>::new()).unwrap();
    assert!(none.index().unwrap_err().to_string().contains("empty"));
    let order = Builder::new().order(Order::Given(vec![0, 0]));
    let order = order.vectors([("a", [("x", 1.0)]), ("b", [("x", 1.0)])]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    assert!(order.write(dir.path().join("x.spx")).is_err());
    let pruning = Pruning { min_impact: 255, ..Default::default() };
    let bits = Builder::new().bits(4).pruning(pruning).vectors([("a", [("x", 1.0)])]);
    assert!(bits.err().unwrap().to_string().contains("`min_impact` 255 leaves nothing"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn rows_whose_arrays_do_not_fit_each_other_are_refused() {
    let (ids, tokens) = (["a", "b"], ["x", "y"]);
    let says = |indptr: &[i32], indices: &[i32], data: &[f32]| match Rows::new(
        &ids, &tokens, indptr, indices, data,
    ) {
        Err(error) => error.to_string(),
        Ok(rows) => match Builder::new().rows(rows) {
            Err(error) => error.to_string(),
            Ok(_) => "fine".into(),
        },
    };
    assert_eq!(says(&[0, 1, 2], &[0, 1], &[1.0, 2.0]), "fine");
    assert!(says(&[0, 2], &[0, 1], &[1.0, 2.0]).contains("expected 3 offsets for 2 ids, found 2"));
    assert!(says(&[0, 1, 2], &[0], &[1.0, 2.0]).contains("as many indices as data"));
    assert!(says(&[1, 1, 2], &[0, 1], &[1.0, 2.0]).contains("offset 0"));
    assert!(says(&[0, 2, 1], &[0, 1], &[1.0, 2.0]).contains("offset 2"));
    assert!(says(&[0, -1, 2], &[0, 1], &[1.0, 2.0]).contains("offset 1"));
    assert!(says(&[0, 1, 3], &[0, 1], &[1.0, 2.0]).contains("offset 2"));
    assert!(says(&[0, 1, 2], &[0, 2], &[1.0, 2.0]).contains("expected columns below 2"));
    assert!(says(&[0, 1, 2], &[0, -1], &[1.0, 2.0]).contains("expected columns below 2"));
    assert!(says(&[0, 2, 2], &[0, 0], &[1.0, 2.0]).contains("token \"x\" is repeated"));
    assert!(says(&[0, 1, 2], &[0, 1], &[1.0, f32::INFINITY]).contains("found inf"));
    let twice = Rows::new(&ids, &["x", "x"], &[0, 0, 0], &[0u32; 0], &[]);
    assert!(twice.err().unwrap().to_string().contains("\"x\" stands there twice"));
}

/// Asks to stop at one of its reports.
struct StopAt(AtomicU64);

impl Progress for StopAt {
    fn begin(&self, _: &'static str, _: u64) {}

    fn advance(&self, _: u64) {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(1), Ordering::Relaxed);
    }

    fn stop_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

#[test]
fn a_build_that_is_asked_to_stop_at_any_report_stops_and_writes_nothing() {
    let vectors: Vectors = (0..900)
        .map(|d| (0..9).filter(|t| d % (t + 2) == 0).map(|t| (format!("t{t}"), 1.5)).collect())
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    let mut stopped = 0;
    for reports in 1.. {
        let builder =
            Builder::new().order(Order::Bisected).progress(StopAt(AtomicU64::new(reports)));
        match builder.vectors(documents(&vectors)).and_then(|loaded| loaded.write(&path)) {
            Err(Error::Stopped) => stopped += 1,
            Err(error) => panic!("{error}"),
            Ok(_) => break,
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "report {reports}");
    }
    assert!(stopped > 4, "{stopped}");
    assert!(Index::open(&path).is_ok());
}
