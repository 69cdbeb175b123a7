//! Build within memory, shards and merges: always the same bytes, whatever the way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::random::Random;
use proptest::prelude::*;
use splindex::builder::{BuildOptions, Collection, Memory, MergeOrder, Scale, build_in, merge};
use splindex::format::{Codec, Pruning, ShardMeta};
use splindex::index::Index;
use splindex::progress::Silent;
use splindex::vectors::inputs::open_vectors;
use splindex::vectors::jsonl::JsonVectorWriter;
use splindex::vectors::store::{
    BLOCK_RECORDS, BlockInput, Kind, Plan, Shard, StoreReader, StoreWriter, WeightFormat,
};
use splindex::vectors::{TokenTable, VectorRecord, VectorSource};

type Document = BTreeMap<u16, f32>;

fn documents() -> impl Strategy<Value = Vec<Document>> {
    let weight = prop_oneof![Just(0.5f32), Just(1.0), 0.01f32..3.0];
    let document = prop::collection::btree_map(0u16..60, weight, 0..15);
    prop::collection::vec(document, 1..80)
}

/// Writes documents to a store, tokens in an order that is not bytewise.
fn store(dir: &Path, documents: &[Document]) -> PathBuf {
    let path = dir.join("store");
    let tokens = TokenTable::from_tokens((0..60).rev().map(|t| format!("t{t}")));
    let plan = Plan::converted(Kind::Document, WeightFormat::F32);
    let mut writer = StoreWriter::create(&path, plan, &tokens).unwrap();
    for (b, block) in documents.chunks(BLOCK_RECORDS).enumerate() {
        let record = |(i, document): (usize, &Document)| VectorRecord {
            id: format!("d{}", b * BLOCK_RECORDS + i),
            terms: document.keys().map(|&t| tokens.get(&format!("t{t}")).unwrap()).collect(),
            weights: document.values().copied().collect(),
        };
        let records: Vec<VectorRecord> = block.iter().enumerate().map(record).collect();
        let consumed = records.len() as u64;
        let input = BlockInput { consumed, ..BlockInput::default() };
        writer.write_block(&records, &input).unwrap();
    }
    writer.finish().unwrap();
    path
}

/// The same documents as JSON lines.
fn jsonl(dir: &Path, store: &Path) -> PathBuf {
    let path = dir.join("vectors.jsonl");
    let mut reader = StoreReader::open(store).unwrap();
    let mut writer = JsonVectorWriter::new(std::fs::File::create(&path).unwrap(), &path);
    let mut record = VectorRecord::default();
    while reader.read(&mut record).unwrap() {
        writer.write(&record, reader.tokens()).unwrap();
    }
    writer.finish().unwrap();
    path
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Order {
    Input,
    Bp,
    /// Every document far from where it was.
    Strided,
}

/// A build; `cut` is a shard of the input.
fn built(
    dir: &Path,
    input: &Path,
    cut: Option<Shard>,
    order: Order,
    options: &BuildOptions,
) -> PathBuf {
    let mut opened = open_vectors(&[input.to_owned()]).unwrap();
    let mut options = options.clone();
    if let Some(shard) = cut {
        opened = opened.cut(shard).unwrap();
        let (Shard { index, count }, doc_base) = opened.shard.unwrap();
        options.shard = ShardMeta { index: index as u32, count: count as u32, doc_base };
    }
    let mut collection = Collection::read(&mut opened.sources, &options, dir, &Silent).unwrap();
    let order = match order {
        Order::Input => None,
        Order::Bp => Some(collection.bisect(&options, dir, &Silent).unwrap().order),
        Order::Strided => {
            // A prime that divides no test's number of documents: a permutation.
            let n = collection.len() as u64;
            Some((0..n).map(|d| ((d * 104_729 + 7) % n) as u32).collect())
        }
    };
    let name = format!("{}.spx", std::fs::read_dir(dir).unwrap().count());
    let target = dir.join(name);
    build_in(dir, collection, order.as_deref(), &options, &target, &Silent).unwrap();
    target
}

fn id(path: &Path) -> String {
    Index::open(path).unwrap().content_id()
}

fn sound(path: &Path) -> Result<(), TestCaseError> {
    let report = Index::open(path).unwrap().verify_deep();
    prop_assert_eq!(report.faults, Vec::<String>::new());
    Ok(())
}

fn open(paths: &[PathBuf]) -> Vec<Index> {
    paths.iter().map(|path| Index::open(path).unwrap()).collect()
}

fn options(codec: Codec, scale: Scale, pruning: Pruning) -> BuildOptions {
    BuildOptions { codec, scale, pruning, ..Default::default() }
}

fn prunings() -> impl Strategy<Value = Pruning> {
    let some = (0u32..5, prop_oneof![Just(1u8), Just(60)])
        .prop_map(|(top_per_doc, min_impact)| Pruning { top_per_doc, min_impact });
    prop_oneof![2 => Just(Pruning::default()), 1 => some]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_store_and_its_json_lines_give_the_same_bytes(
        documents in documents(),
        pruning in prunings(),
        fixed in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), &documents);
        let jsonl = jsonl(dir.path(), &store);
        let scale = if fixed { Scale::Fixed(3.0) } else { Scale::Auto };
        if scale == Scale::Auto && documents.iter().all(BTreeMap::is_empty) {
            return Ok(());
        }
        let options = options(Codec::Fast, scale, pruning);
        for order in [Order::Input, Order::Bp] {
            let a = built(dir.path(), &store, None, order, &options);
            let b = built(dir.path(), &jsonl, None, order, &options);
            prop_assert_eq!(id(&a), id(&b), "{:?}", order);
            sound(&a)?;
        }
    }

    #[test]
    fn pruning_keeps_the_heaviest_terms_and_the_largest_impacts(
        documents in documents(),
        top_per_doc in 0u32..6,
        min_impact in prop_oneof![Just(1u8), 2u8..200],
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), &documents);
        let pruning = Pruning { top_per_doc, min_impact };
        let options = options(Codec::Fast, Scale::Fixed(3.0), pruning);
        let index = Index::open(&built(dir.path(), &store, None, Order::Input, &options)).unwrap();
        prop_assert_eq!(index.meta().pruning, pruning);
        let mut expected: BTreeMap<String, Vec<(u32, u8)>> = BTreeMap::new();
        for (ordinal, document) in documents.iter().enumerate() {
            let mut heaviest: Vec<(f32, String)> =
                document.iter().map(|(t, &w)| (w, format!("t{t}"))).collect();
            heaviest.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
            heaviest.truncate(if top_per_doc == 0 { usize::MAX } else { top_per_doc as usize });
            for (weight, token) in heaviest {
                let impact = (f64::from(weight) * 85.0 + 0.5).floor().clamp(1.0, 255.0) as u8;
                if impact >= min_impact {
                    expected.entry(token).or_default().push((ordinal as u32, impact));
                }
            }
        }
        let found = (0..index.lexicon().len()).map(|term| {
            let (docids, impacts) = index.list(term).unwrap().decode_all().unwrap();
            (index.lexicon().token(term).1.to_owned(), docids.into_iter().zip(impacts).collect())
        });
        prop_assert_eq!(found.collect::<BTreeMap<_, Vec<(u32, u8)>>>(), expected);
    }

    #[test]
    fn merged_shards_are_the_bytes_of_one_build(
        documents in documents(),
        count in 1u64..6,
        pruning in prunings(),
        small in any::<bool>(),
        shuffle in any::<prop::sample::Index>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), &documents);
        let count = count.min(documents.len() as u64);
        let codec = if small { Codec::Small } else { Codec::Fast };
        let options = options(codec, Scale::Fixed(3.0), pruning);
        let whole = built(dir.path(), &store, None, Order::Input, &options);
        let whole_bp = built(dir.path(), &store, None, Order::Bp, &options);
        for part_order in [Order::Input, Order::Bp] {
            let mut shards: Vec<PathBuf> = (0..count)
                .map(|index| {
                    let shard = Some(Shard { index, count });
                    built(dir.path(), &store, shard, part_order, &options)
                })
                .collect();
            // Shards are sorted by what they hold, not by how they are named.
            let first = shuffle.index(shards.len());
            shards.rotate_left(first);
            let target = dir.path().join("merged.spx");
            for (order, expected) in [(MergeOrder::Concat, &whole), (MergeOrder::Bp, &whole_bp)] {
                merge(open(&shards), order, Memory::UNLIMITED, &target, &Silent).unwrap();
                sound(&target)?;
                if order == MergeOrder::Bp || part_order == Order::Input {
                    prop_assert_eq!(id(&target), id(expected), "{:?} of {:?}", order, part_order);
                }
                same_lists(&target, expected)?;
            }
        }
    }
}

/// Equal lists by original ordinal, under whatever order.
fn same_lists(a: &Path, b: &Path) -> Result<(), TestCaseError> {
    let lists = |path: &Path| {
        let index = Index::open(path).unwrap();
        let list = |term: u32| {
            let (docids, impacts) = index.list(term).unwrap().decode_all().unwrap();
            let mut list: Vec<(u32, u8)> =
                docids.iter().map(|&docid| index.ordinal(docid)).zip(impacts).collect();
            list.sort_unstable();
            (index.lexicon().token(term).1.to_owned(), list)
        };
        (0..index.lexicon().len()).map(list).collect::<Vec<_>>()
    };
    prop_assert_eq!(lists(a), lists(b));
    Ok(())
}

/// Documents of about 23 terms, from a fixed seed.
fn large(documents: u64) -> Vec<Document> {
    let mut numbers = Random(0x9E37_79B9_7F4A_7C15);
    let mut random = move |below: u64| numbers.below(below);
    let mut document = || {
        let mut document = Document::new();
        for term in 0..60u16 {
            if random(1 + u64::from(term)) == 0 || random(3) == 0 {
                document.insert(term, (1 + random(290)) as f32 / 100.0);
            }
        }
        document
    };
    (0..documents).map(|_| document()).collect()
}

#[test]
fn memory_and_threads_never_show_in_the_bytes() {
    let dir = tempfile::tempdir().unwrap();
    // 6 million postings.
    let store = store(dir.path(), &large(260_000));
    let jsonl = jsonl(dir.path(), &store);
    let inputs = |limits: [u64; 3]| {
        [
            (&store, Memory::UNLIMITED, 2),
            (&store, Memory::new(limits[0] << 20), 1),
            (&store, Memory::new(limits[1] << 20), 3),
            (&jsonl, Memory::UNLIMITED, 1),
            (&jsonl, Memory::new(limits[2] << 20), 2),
        ]
    };
    for (order, skip_data, limits) in [
        // Documents in a file; documents, weights and lists in files, the lists in two runs.
        (Order::Input, false, [100, 58, 66]),
        (Order::Strided, false, [100, 61, 68]),
        // Skip data has to be in memory while lists are packed.
        (Order::Strided, true, [110, 80, 84]),
        // The forward index and its copies take 60 MiB.
        (Order::Bp, false, [120, 100, 110]),
    ] {
        let mut ids = Vec::new();
        for (input, memory, threads) in inputs(limits) {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let options = BuildOptions { skip_data, memory, ..BuildOptions::default() };
            let path = pool.install(|| built(dir.path(), input, None, order, &options));
            ids.push(id(&path));
            std::fs::remove_file(path).unwrap();
        }
        assert!(ids.iter().all(|id| *id == ids[0]), "{order:?} {skip_data}: {ids:?}");
    }
}

#[test]
fn merged_parts_with_skip_data_are_the_bytes_of_one_build() {
    let dir = tempfile::tempdir().unwrap();
    // Lists of every kind, over several windows, cut inside of a window and of a unit.
    let store = store(dir.path(), &large(30_001));
    for codec in [Codec::Fast, Codec::Small] {
        let plain = options(codec, Scale::Fixed(3.0), Pruning::default());
        let skipping = BuildOptions { skip_data: true, ..plain.clone() };
        let whole = built(dir.path(), &store, None, Order::Input, &skipping);
        let shard = |index| {
            let shard = Some(Shard { index, count: 3 });
            built(dir.path(), &store, shard, Order::Input, &skipping)
        };
        let shards: Vec<PathBuf> = (0..3).map(shard).collect();
        let target = dir.path().join("merged.spx");
        merge(open(&shards), MergeOrder::Concat, Memory::UNLIMITED, &target, &Silent).unwrap();
        sound(&target).unwrap();
        assert_eq!(id(&target), id(&whole));
        assert!(Index::open(&target).unwrap().has_skip_data());
        // A part without it is another kind of index.
        let other =
            built(dir.path(), &store, Some(Shard { index: 2, count: 3 }), Order::Input, &plain);
        let parts = [shards[0].clone(), shards[1].clone(), other];
        let error = merge(open(&parts), MergeOrder::Concat, Memory::UNLIMITED, &target, &Silent);
        let message = error.unwrap_err().to_string();
        assert!(message.contains("`skip_data`"), "{message}");
    }
}

#[test]
fn a_limit_too_small_is_refused_with_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), &large(30_000));
    let refusal = |limit: u64, bp: bool| {
        let memory = Memory::new(limit);
        let options = BuildOptions { memory, bisect: bp, ..BuildOptions::default() };
        let mut sources = open_vectors(std::slice::from_ref(&store)).unwrap().sources;
        let target = dir.path().join("x.spx");
        let message = Collection::read(&mut sources, &options, dir.path(), &Silent)
            .and_then(|mut collection| {
                if bp {
                    collection.bisect(&options, dir.path(), &Silent)?;
                }
                build_in(dir.path(), collection, None, &options, &target, &Silent)
            })
            .unwrap_err()
            .to_string();
        assert!(!target.exists());
        message
    };
    let reading = refusal(20 << 20, false);
    assert!(reading.contains("`memory` 20MiB is too small: reading needs"), "{reading}");
    let packing = refusal(44 << 20, false);
    assert!(packing.contains("packing the lists needs"), "{packing}");
    let bisecting = refusal(44 << 20, true);
    assert!(bisecting.contains("`order` bp needs"), "{bisecting}");
    assert!(bisecting.contains("or more"), "{bisecting}");
}
