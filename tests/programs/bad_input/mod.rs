//! Bad input gives one clear error, exit code 2, and no output file.

mod formats;
mod indexes;
mod inputs;
mod outputs;
mod parts;
mod queries;

use std::path::PathBuf;

use crate::common::Folder;

/// A sound index of two documents, `good.spx`.
fn index(shop: &Folder) -> PathBuf {
    let documents = shop.file(
        "good.jsonl",
        "{\"id\":\"a\",\"vector\":{\"x\":1.5,\"y\":2}}\n{\"id\":\"b\",\"vector\":{\"x\":1}}\n",
    );
    shop.succeeds("build --input good.jsonl --output good.spx");
    std::fs::remove_file(documents).unwrap();
    shop.path("good.spx")
}

fn spoil(bytes: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] = value;
    bytes
}
