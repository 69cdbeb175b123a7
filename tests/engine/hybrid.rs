//! Learned and BM25 weights of the same documents in one index: every list equals a brute
//! force over the quantized vectors of both parts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use splindex::builder::{
    BuildOptions, Collection, Memory, MergeOrder, Scale, build, build_in, merge,
};
use splindex::error::Result;
use splindex::format::{Codec, FieldKind, Pruning, ShardMeta};
use splindex::index::Index;
use splindex::progress::Silent;
use splindex::queries::QueryBuilder;
use splindex::queries::file::{QueryKind, read_queries};
use splindex::query::{Algorithm, Hit, Searcher};
use splindex::vectors::VectorSource;
use splindex::vectors::jsonl::JsonVectorReader;

type Vector = BTreeMap<u8, f32>;
/// Learned and BM25 weights: the same tokens in both, so that fields must be told apart.
type Parts = [Vector; 2];

const K1: f64 = 0.9;

fn vectors(largest: f32) -> impl Strategy<Value = Vector> {
    let weight = prop_oneof![Just(largest / 4.0), 0.001f32..largest];
    prop::collection::btree_map(0u8..30, weight, 0..9)
}

fn documents() -> impl Strategy<Value = Vec<Parts>> {
    let document = (vectors(3.0), vectors(1.9)).prop_map(|(learned, bm25)| [learned, bm25]);
    // Copies make long lists with many equal scores.
    (prop::collection::vec(document, 1..40), prop_oneof![1usize..50, 200usize..600])
        .prop_map(|(distinct, n)| (0..n).map(|i| distinct[i % distinct.len()].clone()).collect())
}

/// Queries with small weights, and with some that do not fit 16 bits at the constant's scale.
fn queries() -> impl Strategy<Value = Parts> {
    (vectors(3.0), prop_oneof![4 => vectors(9.0), 1 => vectors(500.0)])
        .prop_map(|(learned, bm25)| [learned, bm25])
}

fn json(vector: &Vector) -> String {
    let pairs: Vec<String> = vector.iter().map(|(t, w)| format!("\"t{t}\":{w}")).collect();
    format!("{{{}}}", pairs.join(","))
}

fn write(dir: &Path, name: &str, documents: &[Parts], part: usize, first: usize) -> PathBuf {
    let mut text = String::new();
    for (i, document) in (first..).zip(documents) {
        writeln!(text, "{{\"id\":\"d{i}\",\"vector\":{}}}", json(&document[part])).unwrap();
    }
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn options() -> BuildOptions {
    let bm25 = FieldKind::Bm25 {
        k1: K1,
        b: 0.4,
        avgdl: 9.0,
        stemmer: "none".into(),
        stopwords: "none".into(),
    };
    BuildOptions { hybrid: Some(bm25), ..BuildOptions::default() }
}

fn read(dir: &Path, documents: &[Parts], options: &BuildOptions) -> Result<Collection> {
    let first = options.shard.doc_base as usize;
    let [learned, bm25] = [0, 1].map(|part| write(dir, &format!("{part}"), documents, part, first));
    read_files(&learned, &bm25, options)
}

fn read_files(learned: &Path, bm25: &Path, options: &BuildOptions) -> Result<Collection> {
    let source = |path: &Path| JsonVectorReader::open(&[path.to_owned()]).unwrap();
    let mut learned: Vec<Box<dyn VectorSource>> = vec![Box::new(source(learned))];
    let tmp = bm25.parent().unwrap();
    Collection::read_hybrid(&mut learned, (bm25, &mut source(bm25)), options, tmp, &Silent)
}

/// Scales and impacts of both parts, by the rules of docs/FORMAT.md.
fn quantized(documents: &[Parts]) -> ([f64; 2], Vec<[BTreeMap<u8, u64>; 2]>) {
    let weights = || documents.iter().flat_map(|document| document[0].values().copied());
    let small = weights().all(|w| w <= 255.0 && w.fract() == 0.0);
    let largest = f64::from(weights().fold(0.0, f32::max));
    let scales = [if small { 1.0 } else { 255.0 / largest }, 255.0 / (K1 + 1.0)];
    let impact = |w: f32, s: f64| (f64::from(w) * s + 0.5).floor().clamp(1.0, 255.0) as u64;
    let quantize = |part: usize, vector: &Vector| {
        vector.iter().map(|(&t, &w)| (t, impact(w, scales[part]))).collect()
    };
    let both = |document: &Parts| [quantize(0, &document[0]), quantize(1, &document[1])];
    (scales, documents.iter().map(both).collect())
}

/// A query weight as the file has it: the double nearest to the decimals, not to the f32
/// that they were written from.
fn as_written(q: f32) -> f64 {
    q.to_string().parse().unwrap()
}

/// Integer query weights: round(C · q / s), halved until all fit.
fn weights(
    query: &Parts,
    h: f64,
    scales: [f64; 2],
    documents: &[[BTreeMap<u8, u64>; 2]],
) -> [BTreeMap<u8, u64>; 2] {
    let constant = 1000.0 * scales[1];
    let largest = |part: usize, t: u8| {
        documents.iter().filter_map(|document| document[part].get(&t).copied()).max()
    };
    for halvings in 0.. {
        let unit = 0.5f64.powi(halvings);
        let (mut fits, mut bound) = (true, 0);
        let weights = [0, 1].map(|part| {
            let factor = constant * [h, 1.0][part] / scales[part];
            let mut integers = BTreeMap::new();
            for (&t, &q) in &query[part] {
                let Some(largest) = largest(part, t) else { continue };
                let weight = (as_written(q) * factor * unit + 0.5).floor() as u64;
                fits &= weight <= 65_535;
                bound += weight * largest;
                integers.insert(t, weight);
            }
            integers
        });
        if fits && bound <= i32::MAX as u64 {
            return weights;
        }
    }
    unreachable!("weights become 0");
}

fn brute_force(
    documents: &[[BTreeMap<u8, u64>; 2]],
    query: &[BTreeMap<u8, u64>; 2],
    k: usize,
) -> Vec<(u32, u64)> {
    let score = |document: &[BTreeMap<u8, u64>; 2]| -> u64 {
        let part = |p: usize| -> u64 {
            query[p].iter().map(|(t, w)| w * document[p].get(t).copied().unwrap_or(0)).sum()
        };
        part(0) + part(1)
    };
    let mut scored: Vec<(u32, u64)> = (0..).zip(documents.iter().map(score)).collect();
    scored.retain(|&(_, score)| score > 0);
    scored.sort_by_key(|&(ordinal, score)| (std::cmp::Reverse(score), ordinal));
    scored.truncate(k);
    scored
}

fn pairs(hits: &[Hit]) -> Vec<(u32, u64)> {
    hits.iter().map(|h| (h.ordinal, u64::from(h.score))).collect()
}

/// Every algorithm on every layout, in input order and in another, against the brute force.
fn assert_exact(documents: &[Parts], queries: &[Parts], h: f64, k: usize, shift: u32) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    let file = dir.path().join("q.jsonl");
    let line = |(i, [vector, bm25]): (usize, &Parts)| {
        format!("{{\"id\":\"q{i}\",\"vector\":{},\"bm25\":{}}}\n", json(vector), json(bm25))
    };
    std::fs::write(&file, queries.iter().enumerate().map(line).collect::<String>()).unwrap();
    let file = read_queries(&file, QueryKind::Auto).unwrap();
    let (scales, quantized) = quantized(documents);
    let n = documents.len() as u32;
    let reordered: Vec<u32> = (0..n).map(|d| (n - 1 - d + shift % n) % n).collect();
    for codec in Codec::ALL {
        for order in [None, Some(&reordered[..])] {
            let options = BuildOptions { codec, skip_data: true, ..options() };
            let collection = read(dir.path(), documents, &options).unwrap();
            build(&collection, order, &options, &path, &Silent).unwrap();
            let index = Index::open(&path).unwrap();
            assert_eq!(index.verify_deep().faults, Vec::<String>::new());
            let side = QueryBuilder::new(&index).unwrap().weighing(h).unwrap();
            let mut searcher = Searcher::new(&index);
            for (query, prepared) in queries.iter().zip(side.prepare(&file, 100.0).unwrap()) {
                let weights = weights(query, h, scales, &quantized);
                let expected = brute_force(&quantized, &weights, k);
                for &algorithm in Algorithm::ALL {
                    let hits = searcher.search(&prepared.query, k, algorithm).unwrap();
                    assert_eq!(pairs(hits), expected, "{algorithm} on {codec:?}");
                }
                let rounding = prepared.rounding;
                assert!(rounding.score <= rounding.weight + 1e-12 || prepared.dropped > 0);
            }
        }
    }
}

#[test]
fn a_query_weight_that_rounds_at_a_tie_is_the_double_of_the_file() {
    // 468.924 · 1000 / 8 = 58615.5; the f32 next to 468.924 lies above it.
    let queries = [[Vector::new(), [(1, 468.924)].into()]];
    assert_exact(&[[Vector::new(), [(1, 0.475)].into()]], &queries, 0.5, 1, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_algorithm_equals_the_brute_force_over_both_parts(
        documents in documents(),
        queries in prop::collection::vec(queries(), 1..5),
        h in prop_oneof![Just(0.5), Just(0.0), Just(1.0), 0.01f64..20.0],
        k in prop_oneof![Just(1usize), Just(10), Just(1000)],
        shift in any::<u32>(),
    ) {
        assert_exact(&documents, &queries, h, k, shift);
    }

    #[test]
    fn merged_shards_are_the_bytes_of_one_build(documents in documents(), cut in any::<usize>()) {
        let dir = tempfile::tempdir().unwrap();
        let options = BuildOptions { scale: Scale::Fixed(3.0), ..options() };
        let built = |name: &str, documents: &[Parts], options: &BuildOptions| {
            let collection = read(dir.path(), documents, options).unwrap();
            let path = dir.path().join(name);
            build_in(dir.path(), collection, None, options, &path, &Silent).unwrap();
            Index::open(&path).unwrap()
        };
        let whole = built("whole.spx", &documents, &options);
        let cut = cut % documents.len();
        prop_assume!(cut > 0);
        let parts = [&documents[..cut], &documents[cut..]];
        let shards = [0, 1].map(|i| {
            let shard = ShardMeta { index: i as u32, count: 2, doc_base: (i * cut) as u64 };
            built(&format!("{i}.spx"), parts[i], &BuildOptions { shard, ..options.clone() })
        });
        let target = dir.path().join("merged.spx");
        merge(shards.into(), MergeOrder::Concat, Memory::UNLIMITED, &target, &Silent).unwrap();
        prop_assert_eq!(Index::open(&target).unwrap().content_id(), whole.content_id());
    }
}

#[test]
fn memory_does_not_show_in_the_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let document = |i: u32| {
        let part = |step: u32| -> Vector {
            let term = |t: u32| (t as u8, 0.1 + (i * t % 17) as f32 / 10.0);
            (0..30).filter(|t| (i + t).is_multiple_of(step)).map(term).collect()
        };
        [part(2), part(3)]
    };
    let documents: Vec<Parts> = (0..40_000).map(document).collect();
    // A fixed scale is quantized while reading, auto afterwards.
    for scale in [Scale::Fixed(3.0), Scale::Auto] {
        let built = |memory| {
            let options = BuildOptions { scale, memory, ..options() };
            let collection = read(dir.path(), &documents, &options).unwrap();
            let path = dir.path().join("x.spx");
            let report = build_in(dir.path(), collection, None, &options, &path, &Silent).unwrap();
            (report.written.content_id, report.spilled[1] > 0)
        };
        let (id, spilled) = built(Memory::new(53 << 20));
        assert!(spilled, "a million postings do not fit");
        assert_eq!(built(Memory::UNLIMITED), (id, false));
    }
}

/// `n` documents of three learned and two BM25 terms.
fn plain(n: usize) -> Vec<Parts> {
    let document = |i: usize| {
        let learned = [(0, 3.0), (1, 1.0), (2, 0.1 + i as f32 / 50.0)];
        [learned.into(), [(0, 1.5), (9, 0.2)].into()]
    };
    (0..n).map(document).collect()
}

#[test]
fn texts_of_other_documents_are_refused_by_record_and_ids() {
    let dir = tempfile::tempdir().unwrap();
    let learned = write(dir.path(), "learned", &plain(3), 0, 0);
    let fails = |documents: &[Parts], first| {
        let bm25 = write(dir.path(), "bm25", documents, 1, first);
        let error = read_files(&learned, &bm25, &options()).err().expect("refused");
        assert_eq!(error.exit_code(), 2);
        error.to_string().replace(&format!("{}/", dir.path().display()), "")
    };
    let message = fails(&plain(3), 1);
    let expected = "bm25: record 1: expected document \"d0\" as in the vectors, found \"d1\"; ";
    assert!(message.starts_with(expected), "{message}");
    let message = fails(&plain(2), 0);
    assert!(message.contains("record 3: expected document \"d2\""), "{message}");
    assert!(message.contains("found the end of the texts; give the texts"), "{message}");
    let message = fails(&plain(4), 0);
    assert!(message.contains("record 4: expected the end, as in the vectors, found \"d3\""));
}

#[test]
fn pruning_leaves_bm25_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let pruning = Pruning { top_per_doc: 1, min_impact: 5 };
    let options = BuildOptions { pruning, ..options() };
    let collection = read(dir.path(), &plain(40), &options).unwrap();
    let path = dir.path().join("x.spx");
    let report = build(&collection, None, &options, &path, &Silent).unwrap();
    let postings: Vec<u64> = report.meta.fields.iter().map(|field| field.postings).collect();
    assert_eq!((&postings[..], report.pruned), (&[40, 80][..], 80));
}

#[test]
fn a_query_without_one_of_its_parts_is_refused_and_h_0_needs_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    let collection = read(dir.path(), &plain(5), &options()).unwrap();
    build(&collection, None, &options(), &path, &Silent).unwrap();
    let index = Index::open(&path).unwrap();
    let side = |h| QueryBuilder::new(&index).unwrap().weighing(h).unwrap();
    let prepare = |h, line: &str| {
        let file = dir.path().join("q");
        std::fs::write(&file, line).unwrap();
        side(h).prepare(&read_queries(&file, QueryKind::Auto).unwrap(), 100.0)
    };
    let message = prepare(0.5, "q\tt0 t9\n").unwrap_err().to_string();
    assert!(message.contains("q:1: ") && message.contains("`query_model`"), "{message}");
    let message = prepare(0.5, "q\tt0:1\n").unwrap_err().to_string();
    assert!(message.contains("has no BM25 part"), "{message}");
    // Text beside a vector is for BM25: t0 and t9 stand in all 5 documents.
    let both = prepare(0.5, "{\"id\":\"q\",\"text\":\"t9 t0\",\"vector\":{\"t0\":2}}\n").unwrap();
    let text = prepare(0.0, "q\tt9 t0\n").unwrap();
    assert_eq!((both[0].query.terms.len(), text[0].query.terms.len()), (3, 2));
    // idf = ln(1 + 0.5 / 5.5)
    assert_eq!(text[0].query.terms[0].weight, 87);
    assert_eq!(both[0].query.terms[1..], text[0].query.terms[..]);
    assert!(QueryBuilder::new(&index).unwrap().weighing(-1.0).is_err());
}
