use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc;

use super::*;
use crate::builder::{BuildOptions, Collection, build};
use crate::progress::Silent;
use crate::queries::file::{QueryKind, parse_queries};
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

fn index(path: &Path, documents: u32) {
    let vectors = vectors(documents);
    let mut sources: Vec<Box<dyn VectorSource>> = vec![Box::new(Documents::new(vectors.clone()))];
    let options = BuildOptions::default();
    let dir = path.parent().unwrap();
    let collection = Collection::read(&mut sources, &options, dir, &Silent).unwrap();
    build(&collection, None, &options, path, &Silent).unwrap();
}

fn service(path: &Path, threads: usize, queue: usize) -> Service {
    Service::start(ServeOptions {
        index: path.to_owned(),
        load: Load::Mmap,
        query_model: None,
        hybrid_weight: None,
        query_scale: 100.0,
        threads,
        queue,
    })
    .unwrap()
}

fn request(text: &str, k: usize) -> Request {
    Request {
        questions: Questions::File(text.into()),
        kind: QueryKind::Auto,
        k,
        algorithm: Algorithm::Auto,
    }
}

fn ask(service: &Service, request: Request) -> Reply {
    let (sender, receiver) = mpsc::channel();
    service.submit(request, move |reply| sender.send(reply).unwrap()).unwrap();
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
                    assert_eq!(answers[0].hits, expected, "{line}");
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
    service.submit(request("q\tt1:1", 1), move |reply| sender.send(reply).unwrap()).unwrap();
    assert_eq!(service.submit(request("q\tt1:1", 1), |_| {}), Err(Busy));
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
    let first = service.serving();
    index(&path, 200);
    let second = service.reload().unwrap();
    assert_ne!(first.content_id, second.content_id);
    assert_eq!(second.documents, 200);
    for _ in 0..50 {
        // A worker of the first may still take one request each, and says so.
        let (serving, answers) = ask(&service, request("q\tt1:1", 500)).unwrap();
        assert_eq!(answers[0].hits.len(), serving.documents as usize);
    }
    std::fs::write(dir.path().join("new"), b"no index").unwrap();
    std::fs::rename(dir.path().join("new"), &path).unwrap();
    assert_eq!(service.reload().unwrap_err().exit_code(), 2);
    assert_eq!(service.serving(), second);
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
    assert!(error.contains("at most 10 queries") && error.contains("found 11"), "{error}");
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
    service.count_failed();
    assert!(service.metrics().contains("splindex_failed_requests_total 1"));
}
