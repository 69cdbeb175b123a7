use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc;

use super::*;
use crate::builder::{BuildOptions, Collection, build};
use crate::index::Index;
use crate::progress::Silent;
use crate::queries::Constraints;
use crate::queries::file::{QueryKind, parse_queries};
use crate::query::Algorithm;
use crate::vectors::testing::Vectors;
use crate::vectors::{Documents, VectorSource};

/// `documents` with a term in every second, every third … of them.
fn vectors(documents: u32) -> Vectors {
    let terms = |i: u32| {
        let terms = (1..20).filter(move |t| i.is_multiple_of(*t));
        terms.map(|t| (format!("t{t}"), 1.0 + (i * t % 200) as f32)).collect::<BTreeMap<_, _>>()
    };
    (0..documents).map(|i| (format!("d{i}"), terms(i))).collect()
}

pub(super) fn index(path: &Path, documents: u32) {
    let vectors = vectors(documents);
    let mut sources: Vec<Box<dyn VectorSource>> = vec![Box::new(Documents::new(vectors.clone()))];
    let options = BuildOptions::default();
    let dir = path.parent().unwrap();
    let collection = Collection::read(&mut sources, &options, dir, &Silent).unwrap();
    build(&collection, None, &options, path, &Silent).unwrap();
}

fn service(path: &Path, threads: usize, queue: usize) -> Service {
    let options = ServeOptions { threads, queue, ..ServeOptions::default() };
    Service::start(options, Target::file(path.to_owned(), None)).unwrap()
}

fn request(text: &str, k: usize) -> Request {
    Request {
        questions: Questions::File(text.into()),
        kind: QueryKind::Auto,
        k,
        max_k: usize::MAX,
        algorithm: Algorithm::Auto,
        constraints: Constraints::default(),
        explain: false,
    }
}

fn ask(service: &Service, request: Request) -> Reply {
    let (sender, receiver) = mpsc::channel();
    service.submit(request, move |reply: Reply| sender.send(reply).unwrap()).unwrap();
    receiver.recv().unwrap()
}

#[test]
fn answers_are_those_of_a_searcher_from_any_number_of_clients() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    index(&path, 5000);
    let service = service(&path, 3, 64);
    let opened = Index::open(&path).unwrap();
    thread::scope(|scope| {
        for client in 2..8u32 {
            let (service, opened) = (&service, &opened);
            scope.spawn(move || {
                let mut searcher = crate::query::Searcher::new(opened);
                for round in 1..20u32 {
                    let line = format!("q\tt{client}:3 t{}:2 t{}:7 x:1\n", round, 21 - client);
                    let (serving, answers) = ask(service, request(&line, 7)).unwrap();
                    assert_eq!(serving.content_id, opened.content_id());
                    let side = crate::queries::QueryBuilder::new(opened).unwrap();
                    let file =
                        parse_queries(Path::new(REQUEST), line.clone().into(), QueryKind::Auto);
                    let file = file.unwrap();
                    let query = &side.prepare(&file, 100.0).unwrap()[0].query;
                    let expected = searcher.search(query, 7, Algorithm::Exhaustive).unwrap();
                    let name = |ordinal| opened.id(ordinal).to_owned();
                    let expected: Vec<_> =
                        expected.iter().map(|hit| (name(hit.ordinal), hit.score)).collect();
                    let hits = &answers[0].hits;
                    let found: Vec<_> =
                        hits.iter().map(|hit| (hit.document.clone(), hit.score)).collect();
                    assert_eq!(found, expected, "{line}");
                    assert!(answers[0].unknown >= 1);
                }
            });
        }
    });
    assert!(service.metrics().contains("splindex_retrieval_seconds_count 114"));
}

#[test]
fn a_full_queue_refuses_at_once_and_what_waits_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    index(&path, 10);
    let service = service(&path, 1, 1);
    let (started, start) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    // The one worker is held by its first reply, the second request fills the queue.
    let held = move |_: Reply| {
        started.send(()).unwrap();
        wait.recv().unwrap();
    };
    service.submit(request("q\tt1:1", 1), held).unwrap();
    start.recv().unwrap();
    let (sender, receiver) = mpsc::channel();
    let queued = move |reply: Reply| sender.send(reply).unwrap();
    service.submit(request("q\tt1:1", 1), queued).unwrap();
    assert_eq!(service.submit(request("q\tt1:1", 1), |_: Reply| {}), Err(Busy));
    go.send(()).unwrap();
    assert_eq!(receiver.recv().unwrap().unwrap().1.len(), 1);
    assert!(service.metrics().contains("splindex_refused_requests_total 1"));
}

#[test]
fn a_reload_answers_from_the_new_file_and_a_damaged_one_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    index(&path, 100);
    let service = service(&path, 2, 8);
    let first = service.serving().unwrap();
    index(&path, 200);
    let second = Arc::clone(service.reload().unwrap().serving());
    assert_ne!(first.content_id, second.content_id);
    assert_eq!(second.documents, 200);
    for _ in 0..50 {
        let (serving, answers) = ask(&service, request("q\tt1:1", 500)).unwrap();
        assert_eq!((serving.documents, answers[0].hits.len()), (200, 200));
    }
    std::fs::write(dir.path().join("new"), b"no index").unwrap();
    std::fs::rename(dir.path().join("new"), &path).unwrap();
    assert_eq!(service.reload().unwrap_err().exit_code(), 2);
    assert_eq!(service.serving(), Some(second));
    assert_eq!(ask(&service, request("q\tt1:1", 500)).unwrap().1[0].hits.len(), 200);
}

#[test]
fn a_request_for_more_results_than_a_worker_may_hold_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    index(&path, 10);
    let service = service(&path, 1, 8);
    let lines: String = (0..11).map(|i| format!("{i}\tt1:1\n")).collect();
    assert_eq!(ask(&service, request(&lines, MOST_HITS / 11)).unwrap().1.len(), 11);
    let error = ask(&service, request(&lines, MOST_HITS / 10)).unwrap_err().to_string();
    let expected =
        "at most 1000000 results over all queries, found 11 queries that ask for 1100000";
    assert!(error.contains(expected), "{error}");
    let explained = Request { explain: true, ..request(&lines, 1000) };
    let error = ask(&service, explained).unwrap_err().to_string();
    assert!(error.contains("at most 10000 explained results"), "{error}");
}

#[test]
fn a_request_in_error_is_told_so_and_takes_no_worker_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    index(&path, 10);
    let service = service(&path, 1, 8);
    for _ in 0..3 {
        let error = ask(&service, request("q\tsome text", 1)).unwrap_err();
        assert!(error.to_string().starts_with("request:1: "), "{error}");
    }
    assert_eq!(ask(&service, request("q\tt1:1", 1)).unwrap().1[0].hits.len(), 1);
}

/// A client that is gone when a worker comes to its request.
struct Gone;

impl Waiting for Gone {
    fn waits(&self) -> bool {
        false
    }

    fn reply(self: Box<Self>, _: Reply) {
        panic!("nobody waits");
    }
}

#[test]
fn who_went_away_while_it_waited_costs_no_work() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    index(&path, 10);
    let service = service(&path, 1, 8);
    service.submit(request("q\tt1:1", 1), Gone).unwrap();
    // Answered by the same worker, so behind it.
    assert_eq!(ask(&service, request("q\tt1:1", 1)).unwrap().1.len(), 1);
    let metrics = service.metrics();
    assert!(metrics.contains("splindex_abandoned_requests_total 1\n"), "{metrics}");
    assert!(metrics.contains("splindex_queries_total 1\n"), "{metrics}");
    assert!(metrics.contains("splindex_queue_depth 0\n"), "{metrics}");
}

#[test]
fn every_line_may_ask_for_its_own_number_and_algorithm_within_limits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    index(&path, 100);
    let service = service(&path, 1, 8);
    let lines = "{\"id\":1,\"vector\":{\"t1\":1},\"k\":3,\"algorithm\":\"wand\"}\n\
                 {\"id\":2,\"vector\":{\"t1\":1},\"k\":null}\n";
    let limited = Request { max_k: 20, ..request(lines, 7) };
    let (_, answers) = ask(&service, limited.clone()).unwrap();
    let found: Vec<_> = answers.iter().map(|a| (a.hits.len(), a.algorithm)).collect();
    assert_eq!(found, [(3, "wand"), (7, "maxscore")]);
    for (line, expected) in [
        ("\"k\":21", "request:2: expected k from 1 to 20 (`max_k` of this server), found 21"),
        ("\"k\":0", "request:2: expected \"k\" to be 1 or more, found 0"),
        ("\"k\":\"many\"", "request:2: expected \"k\" to be 1 or more, found \"many\""),
        ("\"algorithm\":\"fastest\"", "request:2: unknown algorithm \"fastest\""),
        ("\"algorithm\":\"block_pruned\"", "request:2: block_pruned needs an index built with"),
        ("\"kk\":5", "request:2: unknown key \"kk\"; known are id, "),
    ] {
        let lines = lines.replace("\"k\":null", line);
        let asked = Request { questions: Questions::File(lines.into()), ..limited.clone() };
        let error = ask(&service, asked).unwrap_err().to_string();
        assert!(error.contains(expected), "{line}: {error}");
    }
}

#[test]
fn explained_hits_have_parts_that_sum_to_their_scores() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    index(&path, 100);
    let service = service(&path, 1, 8);
    let asked = Request { explain: true, ..request("q\tt1:1.5 t2:2 t7:1 x:1", 10) };
    let (_, answers) = ask(&service, asked).unwrap();
    assert_eq!(answers[0].hits.len(), 10);
    for hit in &answers[0].hits {
        let parts = hit.terms.as_ref().unwrap();
        let sum: u32 = parts.iter().map(|part| part.weight * u32::from(part.impact)).sum();
        assert_eq!(sum, hit.score);
        assert!(parts.iter().all(|part| part.token.starts_with('t')), "{parts:?}");
        // Query weights × 100, the documents' as they are: they are integers.
        assert_eq!(hit.weighed * 100.0, f64::from(hit.score));
    }
}

/// Every way to flip one bit of a small file.
#[test]
fn a_file_with_one_flipped_bit_never_goes_live() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    index(&path, 40);
    let sound = std::fs::read(&path).unwrap();
    let service = service(&path, 1, 8);
    let first = service.serving().unwrap();
    let flipped = dir.path().join("flipped");
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&flipped, bytes).unwrap();
        std::fs::rename(&flipped, &path).unwrap();
        let error = service.reload().expect_err(&format!("byte {at} of {}", sound.len()));
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(service.failure().is_some());
    }
    assert_eq!(service.serving(), Some(Arc::clone(&first)), "the first goes on");
    assert_eq!(ask(&service, request("q\tt1:1", 50)).unwrap().1[0].hits.len(), 40);
    let refused = format!("splindex_reloads_total{{outcome=\"refused\"}} {}\n", sound.len());
    assert!(service.metrics().contains(&refused), "{}", service.metrics());
    std::fs::write(&flipped, &sound).unwrap();
    std::fs::rename(&flipped, &path).unwrap();
    assert!(matches!(service.reload().unwrap(), Reloaded::Swapped(_)));
    assert_eq!(service.failure(), None);
}

#[test]
fn readiness_follows_the_life_of_a_service() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    let target = Target::file(path.clone(), None);
    let service = Service::new(ServeOptions::default(), target).unwrap();
    let not_ready = |service: &Service, part: &str| match service.readiness() {
        Readiness::NotReady(why) => assert!(why.contains(part), "{why}"),
        Readiness::Ready(serving) => panic!("ready with {serving:?}"),
    };
    not_ready(&service, "is being opened");
    service.reload().unwrap_err();
    not_ready(&service, "nothing to serve: ");
    index(&path, 10);
    service.reload().unwrap();
    assert!(matches!(service.readiness(), Readiness::Ready(_)));
    std::fs::write(dir.path().join("new"), "no index").unwrap();
    std::fs::rename(dir.path().join("new"), &path).unwrap();
    service.reload().unwrap_err();
    assert!(matches!(service.readiness(), Readiness::Ready(_)), "the one before answers");
    assert!(service.metrics().contains("splindex_ready 1.0\n"), "{}", service.metrics());
    service.drain();
    not_ready(&service, "stopping");
    assert!(ask(&service, request("q\tt1:1", 1)).is_ok(), "who comes is answered");
}

/// Releases by name, of files that are what the name says.
struct Releases {
    dir: std::path::PathBuf,
    current: Arc<Mutex<String>>,
    loaded: Arc<Mutex<Vec<String>>>,
}

impl Source for Releases {
    fn next(&self, serving: Option<&Serving>) -> Result<Option<Target>> {
        let release = self.current.lock().unwrap().clone();
        if serving.is_some_and(|serving| serving.release.as_deref() == Some(&release)) {
            return Ok(None);
        }
        let index = self.dir.join(&release);
        Ok(Some(Target { index, query_model: None, release: Some(release), held: None }))
    }

    fn taken(&self, target: &Target) {
        self.loaded.lock().unwrap().push(target.release.clone().unwrap());
    }
}

#[test]
fn the_release_before_is_back_without_its_file_and_the_one_before_it_is_not() {
    let dir = tempfile::tempdir().unwrap();
    for (name, documents) in [("a", 10), ("b", 20), ("c", 30)] {
        index(&dir.path().join(name), documents);
    }
    let (current, loaded) = (Arc::new(Mutex::new("a".to_owned())), Arc::default());
    let source = Releases {
        dir: dir.path().into(),
        current: Arc::clone(&current),
        loaded: Arc::clone(&loaded),
    };
    let options = ServeOptions { keep_previous: true, ..ServeOptions::default() };
    let service = Service::start(options, source).unwrap();
    assert!(matches!(service.reload().unwrap(), Reloaded::Unchanged(_)));
    let to = |name: &str| {
        *current.lock().unwrap() = name.to_owned();
        service.reload().map(|reloaded| reloaded.serving().documents)
    };
    assert_eq!(to("b").unwrap(), 20);
    for name in ["a", "b", "c"] {
        std::fs::remove_file(dir.path().join(name)).unwrap();
    }
    assert_eq!(to("a").unwrap(), 10, "it is open still");
    assert_eq!(to("b").unwrap(), 20, "and so is the one after it");
    assert_eq!(ask(&service, request("q\tt1:1", 50)).unwrap().1[0].hits.len(), 20);
    let error = to("c").unwrap_err().to_string();
    assert!(error.contains("no such file"), "{error}");
    assert_eq!(service.serving().unwrap().release.as_deref(), Some("b"));
    assert_eq!(*loaded.lock().unwrap(), ["a", "b", "a", "b"]);
}
