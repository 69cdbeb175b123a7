//! The inner loops, measured alone: decoding of each representation, the parts of the
//! windowed scan, selection, cursors, and whole queries, on a collection from a fixed seed.
//!
//! `cargo bench --no-default-features --bench kernels [-- FILTER]`
//!
//! Terms come in bands of document frequency, so that a query can exercise one part:
//! `rare` lists are packed in both codecs, `middle` ones streams in `fast`, `dense` ones
//! bitmaps. A query of one rare term costs the scan's pass over all documents and little
//! else; twenty middle terms cost scattering.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use splindex::builder::{BuildOptions, Collection, build};
use splindex::format::Codec;
use splindex::format::postings::{Block, Encoded, List, Representation};
use splindex::index::Index;
use splindex::progress::Silent;
use splindex::query::{Algorithm, Query, Searcher};
use splindex::simd::SimdLevel;

const DOCUMENTS: u32 = 131_072;
/// Name of a band, its terms, and one document in how many has one of them.
const BANDS: [(&str, u32, u64); 3] = [("rare", 20, 1000), ("middle", 20, 40), ("dense", 8, 5)];

/// Marsaglia's xorshift64: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// Small impacts are common, large ones rare.
    fn impact(&mut self) -> u8 {
        let (a, b) = (self.below(180), self.below(180));
        1 + a.min(b) as u8
    }
}

fn collection() -> Collection {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut collection = Collection::default();
    for document in 0..DOCUMENTS {
        let mut vector = Vec::new();
        for (band, terms, one_in) in BANDS {
            for term in 0..terms {
                if random.below(one_in) == 0 {
                    vector.push((format!("{band}{term}"), f32::from(random.impact())));
                }
            }
        }
        let vector = vector.iter().map(|(token, weight)| (token.as_str(), *weight));
        collection.push(&document.to_string(), vector).expect("sound vectors");
    }
    collection
}

fn index(dir: &tempfile::TempDir, collection: &Collection, codec: Codec) -> Index {
    let path = dir.path().join(format!("{}.spx", codec.name()));
    let options = BuildOptions { codec, ..Default::default() };
    build(collection, None, &options, &path, &Silent).expect("a build");
    Index::open(&path).expect("a sound index")
}

fn query(index: &Index, band: &str, terms: u32) -> Query {
    let tokens: Vec<(String, u32)> =
        (0..terms).map(|term| (format!("{band}{term}"), 40 + 11 * term)).collect();
    Query::new(index, 0, tokens.iter().map(|(t, w)| (t.as_str(), *w))).expect("a legal query")
}

/// Every block of one list, by representation and density.
fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for one_in in [4u64, 40, 400] {
        let mut random = Random(one_in);
        let docids: Vec<u32> = (0..DOCUMENTS).filter(|_| random.below(one_in) == 0).collect();
        let impacts: Vec<u8> = docids.iter().map(|_| random.impact()).collect();
        group.throughput(Throughput::Elements(docids.len() as u64));
        for representation in Representation::ALL {
            let mut encoded = Encoded::default();
            encoded.push(representation, &docids, &impacts, DOCUMENTS);
            let list = List {
                representation,
                df: docids.len() as u32,
                documents: DOCUMENTS,
                max_impact: 255,
                kth_impacts: [0; 3],
                bytes: &encoded.bytes,
                last: &encoded.last,
                offset: &encoded.offset,
                max: &encoded.max,
                windows: &encoded.windows,
                runs: &encoded.runs,
                skip: None,
            };
            for level in SimdLevel::available() {
                let name = format!("{representation:?}/{}", level.name()).to_lowercase();
                group.bench_function(BenchmarkId::new(name, format!("1in{one_in}")), |bencher| {
                    let mut block = Block::with_simd(level);
                    bencher.iter(|| {
                        for b in 0..list.blocks() {
                            list.decode(b, &mut block).expect("sound bytes");
                            black_box(&block);
                        }
                    });
                });
            }
        }
    }
    group.finish();
}

/// The windowed scan, one part at a time.
fn windowed(criterion: &mut Criterion, indexes: &[Index]) {
    let mut group = criterion.benchmark_group("windowed");
    for index in indexes {
        let codec = index.meta().codec.name();
        for (part, band, terms) in
            [("scan", "rare", 1), ("scatter", "middle", 20), ("dense", "dense", 8)]
        {
            let query = query(index, band, terms);
            let postings = query.terms.iter().map(|t| u64::from(index.term(t.term).df.get())).sum();
            group.throughput(Throughput::Elements(postings));
            for level in SimdLevel::available() {
                let id = BenchmarkId::new(format!("{part}/{codec}"), level.name());
                let mut searcher = Searcher::with_simd(index, level);
                group.bench_function(id, |bencher| {
                    bencher.iter(|| {
                        black_box(searcher.search(&query, 1, Algorithm::Windowed).expect("hits"));
                    });
                });
            }
        }
    }
    group.finish();
}

/// What a larger k adds to the same scan.
fn selection(criterion: &mut Criterion, index: &Index) {
    let mut group = criterion.benchmark_group("selection");
    let query = query(index, "middle", 6);
    let mut searcher = Searcher::new(index);
    for k in [1, 10, 100, 1000, 10_000] {
        group.bench_function(BenchmarkId::from_parameter(k), |bencher| {
            bencher.iter(|| {
                black_box(searcher.search(&query, k, Algorithm::Windowed).expect("hits"));
            });
        });
    }
    group.finish();
}

/// Whole queries by every algorithm: those that walk cursors are measured here.
fn queries(criterion: &mut Criterion, indexes: &[Index]) {
    let mut group = criterion.benchmark_group("query");
    for index in indexes {
        let query = query(index, "middle", 6);
        let mut searcher = Searcher::new(index);
        for &algorithm in Algorithm::ALL {
            let id = BenchmarkId::new(algorithm.name(), index.meta().codec.name());
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    black_box(searcher.search(&query, 10, algorithm).expect("hits"));
                });
            });
        }
    }
    group.finish();
}

fn all(criterion: &mut Criterion) {
    decode(criterion);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let collection = collection();
    let indexes = [Codec::Fast, Codec::Small].map(|codec| index(&dir, &collection, codec));
    windowed(criterion, &indexes);
    selection(criterion, &indexes[0]);
    queries(criterion, &indexes);
}

criterion_group! {
    name = kernels;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600));
    targets = all
}
criterion_main!(kernels);
