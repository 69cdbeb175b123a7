//! Orders that begin with an earlier index's.

use splindex::order::{
    BpOptions, ForwardBuilder, ForwardIndex, bisect, bisect_from, identity, log_gap, nightly,
};
use splindex::progress::Silent;
use splindex::{Algorithm, Builder, Index, Memory, Order};

type Documents = Vec<(String, Vec<(String, f32)>)>;

/// Topics with terms of their own, dealt out so that input order has nothing of them; `version` is
/// what a document says.
fn document(d: u32, version: u32) -> (String, Vec<(String, f32)>) {
    let mix = |x: u32| {
        let x = (x ^ (x >> 16)).wrapping_mul(0x45D9_F3B7);
        (x ^ (x >> 15)).wrapping_mul(0x2C1B_3C6D) >> 8
    };
    let topic = mix(d + 100_000 * version) % 50;
    let terms = (0..24).map(|i| {
        let at = mix(d * 31 + i * 977 + version);
        // A third are anybody's words.
        if i % 3 == 0 { at % 200 } else { 200 + topic * 40 + at % 40 }
    });
    let mut terms: Vec<u32> = terms.collect();
    terms.sort_unstable();
    terms.dedup();
    let weight = |t: u32| 1.0 + (mix(d ^ t) % 200) as f32;
    (format!("d{d}"), terms.into_iter().map(|t| (format!("t{t}"), weight(t))).collect())
}

const N: u32 = 6000;

fn yesterday() -> Documents {
    (0..N).map(|d| document(d, 0)).collect()
}

/// 1 % of the documents are gone, 1 % say something else, 1 % are new.
fn today() -> Documents {
    let kept = (0..N).filter(|d| d % 99 != 5);
    let mut documents: Documents = kept.map(|d| document(d, u32::from(d % 99 == 9))).collect();
    documents.extend((N..N + N / 99).map(|d| document(d, 0)));
    documents
}

fn index(documents: &Documents, order: Order) -> Index {
    Builder::new().order(order).vectors(documents.clone()).unwrap().index().unwrap()
}

fn forward(documents: &Documents) -> ForwardIndex {
    let mut builder = ForwardBuilder::new();
    for (_, terms) in documents {
        let terms: Vec<u32> = terms.iter().map(|(t, _)| t[1..].parse().unwrap()).collect();
        builder.push(&terms);
    }
    builder.finish(2)
}

#[test]
fn an_order_from_yesterdays_is_as_good_as_one_from_nothing() {
    let documents = today();
    let old = index(&yesterday(), Order::Bisected);
    let full = index(&documents, Order::Bisected);
    let from = index(&documents, Order::From(old.clone()));
    assert!(from.meta().reordered);
    assert_eq!(from.provenance().order_from, Some(old.content_id()));
    assert_eq!((full.provenance().order_from, old.provenance().order_from), (None, None));
    let forward = forward(&documents);
    let gap = |order: &[u32]| log_gap(&forward, order);
    let (input, full, from) =
        (gap(&identity(forward.len())), gap(full.order().unwrap()), gap(from.order().unwrap()));
    assert!(from < 1.01 * full && full < 0.8 * input, "{input} → {full}, {from}");
}

#[test]
fn the_order_is_the_same_for_any_threads_and_memory() {
    let old = index(&yesterday(), Order::Bisected);
    let build = |threads: usize, memory: Memory| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let builder = Builder::new().order(Order::From(old.clone())).memory(memory);
            builder.vectors(today()).unwrap().to_bytes().unwrap()
        })
    };
    let one = build(1, Memory::UNLIMITED);
    let spilled: Memory = "56MiB".parse().unwrap();
    for (threads, memory) in [(2, Memory::UNLIMITED), (3, spilled)] {
        assert!(one == build(threads, memory), "{threads} threads");
    }
    // Nor does it change an answer.
    let (from, input) = (Index::from_bytes(one).unwrap(), index(&today(), Order::Input));
    let answers = |index: &Index| {
        let query = index.query([("t7", 1.0), ("t300", 2.0), ("t812", 1.0)]).unwrap();
        index.searcher().search(&query, 50, Algorithm::Auto).unwrap().to_vec()
    };
    assert_eq!(answers(&from), answers(&input));
}

#[test]
fn an_index_of_other_documents_gives_the_order_from_nothing() {
    let documents = today();
    let other: Documents =
        yesterday().into_iter().map(|(id, terms)| (format!("other-{id}"), terms)).collect();
    let old = index(&other, Order::Bisected);
    let full = index(&documents, Order::Bisected);
    assert_eq!(index(&documents, Order::From(old)).content_id(), full.content_id());
    // Orders are equal if their indexes are.
    assert!(Order::From(full.clone()) == Order::From(index(&documents, Order::Bisected)));
    assert!(Order::From(full) != Order::Bisected);
}

#[test]
fn an_index_in_input_order_has_no_order_to_begin_with() {
    let old = index(&yesterday(), Order::Input);
    let loaded = Builder::new().order(Order::From(old)).vectors(today()).unwrap();
    let e = loaded.index().err().unwrap().to_string();
    assert_eq!(
        e,
        "<memory>: expected an index under an order of its own, found one in input order; \
         `order_from` takes an index that was built with `order` bp"
    );
}

#[test]
fn nights_do_not_add_up() {
    let mut documents = yesterday();
    let mut order = bisect(&forward(&documents), &BpOptions::default(), &Silent);
    let full = |documents: &Documents| {
        let forward = forward(documents);
        log_gap(&forward, &bisect(&forward, &BpOptions::default(), &Silent))
    };
    for night in 1..=10u32 {
        // Another thirtieth says something else each night.
        for d in (night as usize..documents.len()).step_by(33) {
            documents[d] = document(d as u32, night);
        }
        let forward = forward(&documents);
        let start = nightly(order.iter().map(|&o| Some(o)), forward.len());
        order = bisect_from(&forward, start, &BpOptions::nightly(), &Silent);
        if night == 10 {
            let (found, full) = (log_gap(&forward, &order), full(&documents));
            assert!(found < 1.01 * full, "{found} after ten nights, {full} from nothing");
        }
    }
}
