//! Documents and queries through an encoder, without a store: the figures of
//! `docs/encoder.md`.
//!
//! `cargo bench --bench encode -- MODEL TEXTS [threads=N] [batch=N] [block=N] [rounds=N]
//! [queries=yes] [vectors=FILE]`. TEXTS is id<TAB>text. Prints one JSON line; `vectors` gets a line of {token: weight} a text.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use splindex::encode::{Encoder, EncoderOptions, QueryEncoder, TextEncoder};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [model, texts, rest @ ..] = &args[..] else {
        return println!("encode: no model and texts named, nothing measured");
    };
    let mut options = EncoderOptions { threads: 1, ..EncoderOptions::default() };
    let (mut rounds, mut block, mut queries, mut vectors) = (3, usize::MAX, false, None);
    for arg in rest {
        let (key, value) = arg.split_once('=').expect("key=value");
        let number = || value.parse().expect("a number");
        match key {
            "threads" => options.threads = number(),
            "batch" => options.batch_tokens = number(),
            "rounds" => rounds = number(),
            "block" => block = number(),
            "queries" => queries = value == "yes",
            "vectors" => vectors = Some(value),
            _ => panic!("unknown setting {key}"),
        }
    }
    rayon::ThreadPoolBuilder::new().num_threads(options.threads).build_global().expect("threads");
    let file = std::fs::read_to_string(texts).expect("texts");
    // Further columns are not part of the text, as everywhere.
    let texts: Vec<&str> =
        file.lines().map(|line| line.split('\t').nth(1).expect("id<TAB>text")).collect();
    if queries {
        let encoder = QueryEncoder::load(Path::new(model), &options).expect("a model");
        return println!("{}", latencies(&encoder, &texts, rounds));
    }
    let encoder = Encoder::load(Path::new(model), &options).expect("a model");
    let warm = encoder.encode_batch(&texts[..texts.len().min(8)]).expect("vectors");
    assert!(!warm.is_empty());
    let (mut wall, mut cpu) = (f64::MAX, f64::MAX);
    let mut encoded = Vec::new();
    for _ in 0..rounds {
        let (started, before) = (Instant::now(), cpu_seconds());
        encoded.clear();
        for block in texts.chunks(block) {
            encoded.extend(encoder.encode_batch(block).expect("vectors"));
        }
        wall = wall.min(started.elapsed().as_secs_f64());
        cpu = cpu.min(cpu_seconds() - before);
    }
    if let Some(path) = vectors {
        let mut out = std::io::BufWriter::new(std::fs::File::create(path).expect("a file"));
        for terms in &encoded {
            let of = |&(t, w): &(u32, f32)| (encoder.tokens().token(t).to_owned(), w.into());
            let vector: serde_json::Map<_, _> = terms.iter().map(of).collect();
            writeln!(out, "{}", serde_json::Value::Object(vector)).expect("written");
        }
    }
    let terms = encoded.iter().map(Vec::len).sum::<usize>() as f64 / texts.len() as f64;
    println!("{}", serde_json::json!({"wall": wall, "cpu": cpu, "terms": terms}));
}

/// Per query its best of `rounds` passes, in µs: median, 99th percentile, mean.
fn latencies(encoder: &QueryEncoder, texts: &[&str], rounds: usize) -> serde_json::Value {
    let mut best = vec![f64::MAX; texts.len()];
    for _ in 0..rounds {
        for (text, best) in texts.iter().zip(&mut best) {
            let started = Instant::now();
            std::hint::black_box(encoder.encode(text).expect("a vector"));
            *best = best.min(started.elapsed().as_secs_f64() * 1e6);
        }
    }
    best.sort_by(f64::total_cmp);
    let at = |p: f64| best[((best.len() - 1) as f64 * p) as usize];
    let mean = best.iter().sum::<f64>() / best.len() as f64;
    serde_json::json!({"p50": at(0.5), "p99": at(0.99), "mean": mean})
}

/// User and system time of the process, in steps of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    let ticks: f64 = fields[11..13].iter().map(|f| f.parse::<f64>().expect("ticks")).sum();
    ticks / 100.0
}
