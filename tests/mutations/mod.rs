//! The files of `fuzz/corpus`, whole, cut, and damaged in ways that are the same in every run. Shared
//! by the test programs.

use std::path::{Path, PathBuf};

use crate::random::Random;

/// Damaged copies of each corpus file.
const MUTATIONS: u64 = 150;

/// The corpus of a fuzz target, in the order of names.
pub fn corpus(target: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", dir.display());
    files
}

/// Flips, overwrites, doubles or removes a part, or cuts the end off.
fn mutate(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + random.index(4) {
        if bytes.is_empty() {
            break;
        }
        let at = random.index(bytes.len());
        let end = (at + 1 + random.index(16)).min(bytes.len());
        match random.index(6) {
            0 => bytes[at] ^= 1 << random.index(8),
            1 => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][random.index(5)],
            2 => bytes[at..end].fill(0xFF),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}

/// Hands `each` a folder and the bytes of every file and of its damaged copies.
pub fn run(target: &str, each: fn(&Path, &[u8])) {
    let dir = tempfile::tempdir().unwrap();
    for path in corpus(target) {
        let bytes = std::fs::read(&path).unwrap();
        // On a panic, cargo shows which file and mutation it was.
        println!("{}", path.display());
        each(dir.path(), &bytes);
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        for mutation in 0..MUTATIONS {
            println!("mutation {mutation}");
            each(dir.path(), &mutate(&bytes, &mut random));
        }
    }
}
