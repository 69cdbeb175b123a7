//! Connections in memory, by a clock that the tests move.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use axum::routing::get;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::state::Open;
use super::*;
use crate::serve::{ServeOptions, Target};

/// Answers "yes" to /yes; /held when it is told to.
struct Fixture {
    server: Arc<Server>,
    go: Arc<Notify>,
    held: Arc<AtomicUsize>,
}

fn fixture(times: Times) -> Fixture {
    let target = Target::file("none".into(), None);
    let service = Arc::new(Service::new(ServeOptions::default(), target).unwrap());
    let (go, held) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (gate, seen) = (Arc::clone(&go), Arc::clone(&held));
    let router = Router::new().route("/yes", get(async || "yes")).route(
        "/held",
        get(async move || {
            seen.fetch_add(1, SeqCst);
            gate.notified().await;
            "at last"
        }),
    );
    let places = Arc::new(Semaphore::new(times.connections));
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let register = Arc::new(Register::new());
    let server = Arc::new(Server { service, router, times, register, places, refusals });
    Fixture { server, go, held }
}

impl Fixture {
    /// The client's end of a connection.
    fn connect(&self) -> DuplexStream {
        let (client, stream) = duplex(1 << 16);
        let (entry, server) = (self.server.register.enter(), Arc::clone(&self.server));
        tokio::spawn(async move { answer(stream, None, entry, &server).await });
        client
    }

    fn metric(&self, line: &str) {
        let metrics = self.server.service.metrics();
        assert!(metrics.contains(&format!("{line}\n")), "expected {line:?} in {metrics}");
    }
}

const ASKED: &[u8] = b"GET /yes HTTP/1.1\r\nHost: x\r\n\r\n";

/// An answer that ends in "yes".
async fn yes(client: &mut DuplexStream) -> String {
    let mut text = String::new();
    while !text.ends_with("yes") {
        text.push(char::from(client.read_u8().await.unwrap()));
    }
    text
}

/// All that comes until the end.
async fn rest(client: &mut DuplexStream) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_answered_408_when_its_time_is_over() {
    let fixture = fixture(Times::default());
    let mut client = fixture.connect();
    client.write_all(b"GET /yes HTTP/1.1\r\nHo").await.unwrap();
    let sent = Instant::now();
    let text = rest(&mut client).await;
    assert_eq!(sent.elapsed().as_secs(), 10);
    assert!(text.starts_with("HTTP/1.1 408 ") && text.ends_with("in time\"}"), "{text}");
    fixture.metric("splindex_closed_connections_total{reason=\"header_time\"} 1");
    fixture.metric("splindex_requests_total{route=\"unread\",status=\"408\"} 1");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_byte_by_byte_has_no_more_time() {
    let fixture = fixture(Times::default());
    let mut client = fixture.connect();
    let started = Instant::now();
    for byte in ASKED.iter().cycle() {
        let closed = client.write_all(&[*byte]).await.is_err();
        if closed || started.elapsed().as_secs() > 30 {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    // Written bytes are seen to be lost when the other end is gone.
    assert!((10..=14).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_closed_without_an_answer() {
    let fixture = fixture(Times::default());
    let mut client = fixture.connect();
    let started = Instant::now();
    assert_eq!(rest(&mut client).await, "");
    assert_eq!(started.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_from_request_to_request_and_closed_when_idle() {
    let fixture = fixture(Times::default());
    let mut client = fixture.connect();
    for _ in 0..3 {
        client.write_all(ASKED).await.unwrap();
        assert!(yes(&mut client).await.starts_with("HTTP/1.1 200 "));
        sleep(Duration::from_secs(50)).await;
    }
    let started = Instant::now();
    assert_eq!(rest(&mut client).await, "");
    assert_eq!(started.elapsed().as_secs(), 10, "a minute behind the last answer");
    fixture.metric("splindex_closed_connections_total{reason=\"idle_time\"} 1");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_long_is_not_cut() {
    let fixture = fixture(Times::default());
    let mut client = fixture.connect();
    client.write_all(b"GET /held HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(fixture.held.load(SeqCst), 1);
    fixture.server.register.close_all(Closing::limit);
    sleep(Duration::from_secs(1)).await;
    fixture.go.notify_one();
    assert!(rest(&mut client).await.ends_with("at last"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_taken_ends_with_the_idle_time() {
    let fixture = fixture(Times::default());
    // A pipe that holds less than one answer.
    let (mut client, stream) = duplex(64);
    let (entry, server) = (fixture.server.register.enter(), Arc::clone(&fixture.server));
    let ended = tokio::spawn(async move { answer(stream, None, entry, &server).await });
    client.write_all(ASKED).await.unwrap();
    let started = Instant::now();
    ended.await.unwrap();
    let took = started.elapsed();
    assert!(
        took >= Duration::from_secs(60) && took <= Duration::from_secs(60) + LINGER,
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_wanted_is_that_of_who_waited_longest() {
    let fixture = fixture(Times::default());
    let metrics = &fixture.server.service.shared.metrics;
    let mut used = fixture.connect();
    used.write_all(ASKED).await.unwrap();
    yes(&mut used).await;
    assert!(!fixture.server.register.make_room(metrics), "it may ask again in a moment");
    sleep(Duration::from_millis(300)).await;
    let mut half = fixture.connect();
    half.write_all(b"GET /ye").await.unwrap();
    sleep(Duration::from_millis(300)).await;
    let mut later = fixture.connect();
    later.write_all(b"GET /ye").await.unwrap();
    sleep(Duration::from_millis(300)).await;
    assert!(fixture.server.register.make_room(metrics));
    let text = rest(&mut half).await;
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("retry-after: 1"), "{text}");
    // The rest of a request that has not been given up is answered.
    later.write_all(b"s HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    yes(&mut later).await;
    used.write_all(ASKED).await.unwrap();
    yes(&mut used).await;
    sleep(Duration::from_secs(5)).await;
    assert!(fixture.server.register.make_room(metrics), "idle for long");
    assert_eq!(rest(&mut later).await, "");
    fixture.metric("splindex_closed_connections_total{reason=\"limit\"} 2");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_cut_while_a_server_drains_and_it_ends_when_all_have_gone() {
    let fixture = fixture(Times::default());
    let register = Arc::clone(&fixture.server.register);
    let mut client = fixture.connect();
    let ended = tokio::spawn(async move { quiet(&register).await });
    client.write_all(b"GET /held HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    sleep(Duration::from_secs(5)).await;
    assert!(!ended.is_finished(), "somebody is connected");
    fixture.go.notify_one();
    assert!(rest(&mut client).await.ends_with("at last"));
    drop(client);
    sleep(Duration::from_millis(500)).await;
    assert!(!ended.is_finished(), "somebody may come still");
    let mut another = fixture.connect();
    another.write_all(ASKED).await.unwrap();
    yes(&mut another).await;
    drop(another);
    sleep(Duration::from_millis(700)).await;
    assert!(!ended.is_finished(), "somebody came");
    let started = Instant::now();
    ended.await.unwrap();
    assert!(started.elapsed() <= QUIET);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_of_the_time_to_drain_who_has_nothing_to_do_is_closed_first() {
    let fixture = fixture(Times::default());
    let (mut idle, mut busy) = (fixture.connect(), fixture.connect());
    idle.write_all(ASKED).await.unwrap();
    yes(&mut idle).await;
    busy.write_all(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(1)).await;
    fixture.server.register.close_all(Closing::drained);
    assert_eq!(rest(&mut idle).await, "");
    fixture.go.notify_one();
    // Answered, then closed though it could be kept.
    assert!(rest(&mut busy).await.ends_with("at last"));
    fixture.metric("splindex_closed_connections_total{reason=\"drained\"} 2");
}

#[tokio::test(start_paused = true)]
async fn phases_follow_bytes_and_answers() {
    let open = Open::new();
    let (unused, used) = (false, true);
    assert_eq!(open.phase().0, Phase::Waiting { head: false, used: unused });
    open.flushed();
    open.received();
    assert_eq!(open.phase().0, Phase::Waiting { head: true, used: unused });
    open.begun();
    open.received();
    open.flushed();
    assert_eq!((open.phase().0, open.deadline(&Times::default())), (Phase::Busy, None));
    open.answered();
    open.sent();
    assert_eq!(open.phase().0, Phase::Sending);
    open.flushed();
    assert_eq!(open.phase().0, Phase::Waiting { head: false, used });
    open.shut();
    open.flushed();
    assert_eq!(open.phase().0, Phase::Closing);
}
