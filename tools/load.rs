//! A load on a node, for `scripts/load`: so many requests a second whatever becomes of them (an open
//! loop), or as many as it answers (a closed one).
//!
//! ```text
//! cargo run --release --example load -- ADDRESS QUERIES --seconds 60 --connections 32 [--rate 2000]
//! ```
//!
//! In the open loop a request has its time, and is late from then on, whether or not a connection is
//! free to send it: latencies are without coordinated omission. Prints one line of JSON.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// A node that takes longer does not answer.
const PATIENCE: Duration = Duration::from_secs(20);

struct Plan {
    address: String,
    paths: Vec<String>,
    seconds: f64,
    rate: Option<f64>,
}

struct Seen {
    /// Nanoseconds from the time that a request had, of those that were answered 200.
    answered: Histogram<u64>,
    /// The same of those that were answered 503, from the time that they were sent.
    refused: Histogram<u64>,
    failed: u64,
    failures: Vec<String>,
}

impl Seen {
    fn new() -> Self {
        let histogram = || Histogram::new_with_max(120_000_000_000, 3).expect("fixed bounds");
        Seen { answered: histogram(), refused: histogram(), failed: 0, failures: Vec::new() }
    }

    fn fail(&mut self, why: String) {
        self.failed += 1;
        if self.failures.len() < 3 {
            self.failures.push(why);
        }
    }
}

/// A connection that is kept until the node asks to go.
struct Client<'a> {
    address: &'a str,
    stream: Option<BufReader<TcpStream>>,
}

impl Client<'_> {
    /// The status of the answer.
    fn ask(&mut self, path: &str) -> std::io::Result<u16> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                BufReader::new(stream)
            }
        };
        let head = format!("GET {path} HTTP/1.1\r\nHost: load\r\n\r\n");
        stream.get_mut().write_all(head.as_bytes())?;
        let (mut status, mut length, mut close) = (0, 0, false);
        for number in 0.. {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end().to_ascii_lowercase();
            match line.split_once(": ") {
                _ if number == 0 => {
                    status = line.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
                }
                Some(("content-length", n)) => length = n.parse().unwrap_or(0),
                Some(("connection", "close")) => close = true,
                _ if line.is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        if !close {
            self.stream = Some(stream);
        }
        Ok(status)
    }
}

/// One connection's part of the load; `next` numbers the requests of all.
fn work(plan: &Plan, start: Instant, next: &AtomicU64) -> Seen {
    let mut client = Client { address: &plan.address, stream: None };
    let mut seen = Seen::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let due = match plan.rate {
            Some(rate) => start + Duration::from_secs_f64(number as f64 / rate),
            None => Instant::now(),
        };
        if due.duration_since(start).as_secs_f64() >= plan.seconds {
            return seen;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let sent = Instant::now();
        let path = &plan.paths[number as usize % plan.paths.len()];
        match client.ask(path) {
            Ok(200) => seen.answered.saturating_record(due.elapsed().as_nanos() as u64),
            Ok(503) => seen.refused.saturating_record(sent.elapsed().as_nanos() as u64),
            Ok(status) => seen.fail(format!("status {status} for {path}")),
            Err(error) => seen.fail(format!("{error} for {path}")),
        }
    }
}

/// Lines of `id<TAB>text` as paths.
fn paths(file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("the file of queries");
    let query = |line: &str| {
        let text = line.split_once('\t').map_or(line, |(_, text)| text);
        let byte = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        };
        format!("/search?k=10&q={}", text.bytes().map(byte).collect::<String>())
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(query).collect()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let flag = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<f64>().ok()
    };
    let [address, queries, ..] = &arguments[..] else {
        eprintln!("load ADDRESS QUERIES --seconds S --connections N [--rate R]");
        std::process::exit(2);
    };
    let plan = Plan {
        address: address.clone(),
        paths: paths(queries),
        seconds: flag("--seconds").unwrap_or(10.0),
        rate: flag("--rate"),
    };
    let connections = flag("--connections").unwrap_or(16.0) as usize;
    let (next, start) = (AtomicU64::new(0), Instant::now());
    let mut all = Seen::new();
    thread::scope(|scope| {
        let workers: Vec<_> =
            (0..connections).map(|_| scope.spawn(|| work(&plan, start, &next))).collect();
        for worker in workers {
            let seen = worker.join().expect("a connection does not panic");
            all.answered.add(&seen.answered).expect("the same bounds");
            all.refused.add(&seen.refused).expect("the same bounds");
            all.failed += seen.failed;
            all.failures.extend(seen.failures);
        }
    });
    let took = start.elapsed().as_secs_f64();
    let ms = |histogram: &Histogram<u64>, q: f64| histogram.value_at_quantile(q) as f64 / 1e6;
    all.failures.truncate(5);
    println!(
        "{}",
        serde_json::json!({
            "seconds": took, "rate": plan.rate, "connections": connections,
            "answered": all.answered.len(), "refused": all.refused.len(), "failed": all.failed,
            "failures": all.failures, "answered_per_second": all.answered.len() as f64 / took,
            "p50_ms": ms(&all.answered, 0.5), "p99_ms": ms(&all.answered, 0.99),
            "p999_ms": ms(&all.answered, 0.999), "max_ms": all.answered.max() as f64 / 1e6,
            "refused_p99_ms": ms(&all.refused, 0.99),
        })
    );
}
