//! Memory measured from outside, and full disks: what other programs see.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::Duration;

use crate::common::{SPLINDEX, command, succeeds};

const PREFIX: &str = splindex::output::TEMP_PREFIX;

/// On two threads: each has memory of its own, and machines may have a hundred.
fn splindex(dir: &Path, arguments: &str) -> Command {
    command(dir, SPLINDEX, &format!("{arguments} --threads 2"))
}

fn done(dir: &Path, arguments: &str) {
    succeeds(dir, SPLINDEX, arguments);
}

/// A store of 60,000 documents, 8.8 million postings.
fn made() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), "synth --docs 60000 --queries 5 --profile splade --output made --quiet");
    dir
}

/// Runs to the end; the most resident memory seen, in bytes (the kernel keeps the mark).
fn peak(mut child: Child) -> (Output, u64) {
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let mark = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = mark.and_then(|m| m.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        peak = peak.max(kilobytes.unwrap_or(0) * 1024);
        std::thread::sleep(Duration::from_millis(1));
    }
    (child.wait_with_output().unwrap(), peak)
}

fn id(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()[44..60].to_vec()
}

fn leftovers(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(PREFIX)).collect()
}

#[test]
fn resident_memory_stays_within_the_limit() {
    let dir = made();
    let dir = dir.path();
    let mut first = None;
    for (limit, flags) in [
        (80u64, "build --input made/documents"),
        (120, "build --input made/documents --order bp"),
        (200, "build --input made/documents"),
    ] {
        let arguments = format!("{flags} --output x.spx --memory {limit}MiB");
        let (output, peak) = peak(splindex(dir, &arguments).spawn().unwrap());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let allowed = (limit << 20) + (limit << 20) / 10;
        assert!(peak > 10 << 20 && peak <= allowed, "{arguments}: {peak} bytes");
        if !flags.contains("bp") {
            let first = first.get_or_insert_with(|| id(&dir.join("x.spx")));
            assert_eq!(*first, id(&dir.join("x.spx")));
        }
    }
    for part in 0..4 {
        done(dir, &format!("build --input made/documents --shard {part}/4 --output {part}.spx"));
    }
    for (order, limit) in [("concat", 70u64), ("bp", 130)] {
        let arguments = format!(
            "merge 0.spx 1.spx 2.spx 3.spx --order {order} --output all.spx --memory {limit}MiB"
        );
        let (output, peak) = peak(splindex(dir, &arguments).spawn().unwrap());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let allowed = (limit << 20) + (limit << 20) / 10;
        assert!(peak > 10 << 20 && peak <= allowed, "{arguments}: {peak} bytes");
    }
}

/// The command and its peak under `limit` MiB, which it keeps, refused or not.
fn within(dir: &Path, words: &str, limit: u64) -> Output {
    let words = format!("{words} --output x.spx --memory {limit}MiB");
    let (output, peak) = peak(splindex(dir, &words).spawn().unwrap());
    let allowed = (limit << 20) + (limit << 20) / 10;
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(peak > 5 << 20 && peak <= allowed, "{words}: {peak} bytes; {message}");
    output
}

#[test]
fn ciff_is_turned_into_documents_within_the_limit() {
    let dir = made();
    let dir = dir.path();
    done(dir, "convert --input made/documents --output x.ciff");
    done(dir, "convert --input made/documents --output x.ciff.zst");
    let mut ids = Vec::new();
    // 70 MB as vectors: one pass over the lists under the last limit, several under others.
    for (input, limit) in [("x.ciff", 75), ("x.ciff.zst", 100), ("x.ciff", 400)] {
        let output = within(dir, &format!("build --input {input}"), limit);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        ids.push(id(&dir.join("x.spx")));
    }
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_refusal_keeps_the_limit_and_asks_for_enough() {
    let dir = made();
    let dir = dir.path();
    done(dir, "convert --input made/documents --output x.ciff");
    done(dir, "convert --input made/documents --output x.jsonl");
    let mut random = crate::random::Random(7);
    let mut words = || (0..30).map(|_| format!("w{} ", random.below(60_000))).collect::<String>();
    let texts: String = (0..60_000).map(|i| format!("document{i}\t{}\n", words())).collect();
    fs::write(dir.join("x.tsv"), texts).unwrap();
    let mut refused = 0;
    for (command, limit) in [
        ("build --input made/documents", 40),
        ("build --input made/documents", 58),
        ("build --input made/documents --order bp", 60),
        ("build --input x.jsonl", 45),
        ("build --input x.jsonl --order bp", 60),
        ("build --input x.ciff", 40),
        ("build --input x.ciff --order bp", 65),
        ("build --bm25 --input x.tsv", 45),
        ("build --bm25 --input x.tsv --order bp", 60),
        ("build --input made/documents --hybrid-text x.tsv", 50),
    ] {
        let output = within(dir, command, limit);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        if command.contains("hybrid") {
            // Other ids; it is refused for its memory before that shows.
            assert!(message.contains("is too small"), "{command}: {message}");
            continue;
        }
        if output.status.success() {
            continue;
        }
        refused += 1;
        assert_eq!(output.status.code(), Some(2), "{command} within {limit} MiB: {message}");
        let asked = message.rsplit("--memory ").next().unwrap();
        let asked: splindex::builder::Memory =
            asked.replace(" or more", "").trim().parse().unwrap();
        let limit = asked.limit().div_ceil(1 << 20);
        let output = within(dir, command, limit);
        let again = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {message}{again}");
    }
    // The second limit is near what it takes.
    assert!(refused >= 8, "{refused}");
}

#[test]
fn a_disk_that_is_full_leaves_the_older_file_and_says_so() {
    let dir = made();
    let dir = dir.path();
    done(dir, "build --bm25 --input made/queries.tsv --output x.spx --quiet");
    let older = fs::read(dir.join("x.spx")).unwrap();
    fs::create_dir(dir.join("tmp")).unwrap();
    // A limit on the size of files stands for the full disk. 26 MB of documents go to a
    // temporary file under the first memory limit, none under the second, where the index
    // itself (20 MB) is too large.
    for (memory, kib, expected) in [
        ("80MiB", 8_000, "cannot write temporary files (another folder: --tmp) in tmp"),
        ("1GiB", 8_000, "cannot write "),
    ] {
        let script = format!(
            "trap '' XFSZ; ulimit -f {kib}; exec \"$0\" build --threads 2 --input made/documents --output \
             x.spx --tmp tmp --memory {memory}"
        );
        let output =
            Command::new("bash").args(["-c", &script, SPLINDEX]).current_dir(dir).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{message}");
        assert!(message.contains(expected) && message.contains("File too large"), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(fs::read(dir.join("x.spx")).unwrap() == older);
        assert_eq!(leftovers(dir), Vec::<String>::new());
        assert_eq!(fs::read_dir(dir.join("tmp")).unwrap().count(), 0);
    }
}
