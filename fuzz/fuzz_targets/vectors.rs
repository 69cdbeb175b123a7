#![no_main]
#[path = "../targets.rs"]
#[allow(dead_code)]
mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static DIR: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

fuzz_target!(|bytes: &[u8]| targets::vectors(DIR.path(), bytes));
