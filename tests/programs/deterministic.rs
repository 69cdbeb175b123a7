//! Same input and parameters, same bytes.

use std::fs;
use std::process::Command;

#[test]
fn the_file_is_the_same_for_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample/collection.tsv");
    let build = |threads: &str, codec: &str| {
        let target = dir.path().join(format!("{codec}-{threads}.spx"));
        let output = Command::new(crate::common::SPLINDEX)
            .args(["build", "--bm25", "--input", sample, "--codec", codec, "--threads", threads])
            .arg("--output")
            .arg(&target)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::read(target).unwrap()
    };
    for codec in ["fast", "small"] {
        let one = build("1", codec);
        for threads in ["2", "5"] {
            assert!(build(threads, codec) == one, "{codec} with {threads} threads");
        }
    }
}
