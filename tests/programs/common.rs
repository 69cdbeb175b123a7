//! The programs, run in folders.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub const SPLINDEX: &str = env!("CARGO_BIN_EXE_splindex");
pub const QUERY: &str = env!("CARGO_BIN_EXE_splindex-query");

/// A program with `words` as arguments in `dir`, its outputs to be read.
pub fn command(dir: &Path, program: &str, words: &str) -> Command {
    let mut command = Command::new(program);
    command.args(words.split_whitespace()).current_dir(dir);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What it prints to standard output and error; it must succeed.
pub fn succeeds(dir: &Path, program: &str, words: &str) -> (String, String) {
    let output = command(dir, program, words).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{words}: {err}");
    (out, err)
}

/// A folder of small files that tests make and spoil.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    pub fn run(&self, program: &str, words: &str) -> Output {
        command(self.0.path(), program, words).output().unwrap()
    }

    pub fn splindex(&self, words: &str) -> Output {
        self.run(SPLINDEX, words)
    }

    pub fn succeeds(&self, words: &str) -> (String, String) {
        succeeds(self.0.path(), SPLINDEX, words)
    }

    /// The command fails with code 2 and one line that has every part of `expected`, and
    /// leaves nothing behind that was not there.
    pub fn refuses(&self, program: &str, words: &str, expected: &[&str]) {
        let before = self.listing();
        let output = self.run(program, words);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words}: {message}");
        assert_eq!(message.trim_end().lines().count(), 1, "{message}");
        for part in expected {
            assert!(message.contains(part), "expected {part:?} in {message:?}");
        }
        assert_eq!(self.listing(), before, "{words} left files behind");
    }

    fn listing(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}
