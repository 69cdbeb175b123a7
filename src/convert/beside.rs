//! The files of ids and tokens beside a matrix that is written.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Place, Result};
use crate::output::{OutputFile, folder};
use crate::vectors::inputs::{Format, by_name};
use crate::vectors::sparse::beside;

/// Files that describe a matrix.
pub(super) struct MatrixSides {
    /// All of them.
    pub(super) paths: Vec<PathBuf>,
    /// Those that are not there with the same content already, to be published.
    pub(super) changed: Vec<OutputFile>,
}

/// Writes the lists of the matrix that will be `matrix`.
///
/// # Errors
/// A file of that name holds something else and is not of an older `matrix` alone: what
/// belongs to another matrix, or to none, is not ours to replace. A tokens file is there
/// and the new matrix has none.
pub(super) fn lists<'a>(
    matrix: &Path,
    ids: impl Iterator<Item = &'a str>,
    tokens: Option<impl Iterator<Item = &'a str>>,
) -> Result<MatrixSides> {
    let mut lists = MatrixSides { paths: Vec::new(), changed: Vec::new() };
    lists.add(matrix, beside(matrix, "ids"), ids)?;
    let tokens_file = beside(matrix, "tokens");
    match tokens {
        Some(tokens) => lists.add(matrix, tokens_file, tokens)?,
        None if tokens_file.exists() => {
            let problem = "expected no such file: the new matrix has numbers as tokens, and this \
                           would name its columns";
            return Err(Error::data(tokens_file, Place::File, problem)
                .hint("remove it, or choose another output"));
        }
        None => (),
    }
    Ok(lists)
}

impl MatrixSides {
    fn add<'a>(
        &mut self,
        matrix: &Path,
        path: PathBuf,
        lines: impl Iterator<Item = &'a str>,
    ) -> Result<()> {
        let mut file = OutputFile::create(&path)?;
        let mut old = Old::open(&path);
        for line in lines {
            writeln!(file, "{line}").map_err(|e| Error::io("write", &path, e))?;
            old.compare(line.as_bytes());
            old.compare(b"\n");
        }
        if !old.ended() {
            if path.exists() {
                check_owner(matrix, &path)?;
            }
            self.changed.push(file);
        }
        self.paths.push(path);
        Ok(())
    }
}

/// Refuses to replace `path` unless it is of an older `matrix` alone.
fn check_owner(matrix: &Path, path: &Path) -> Result<()> {
    let what = if *path == beside(matrix, "ids") { "ids" } else { "tokens" };
    let refuse = |belongs: &str| {
        let problem = format!("expected none or that of {}, found {belongs}", matrix.display());
        Err(Error::data(path, Place::File, problem).hint("remove it, or choose another output"))
    };
    let entries = std::fs::read_dir(folder(path)).map_err(|e| Error::io("read", path, e))?;
    let mut matrices: Vec<PathBuf> = entries
        .filter_map(|entry| Some(matrix.with_file_name(entry.ok()?.file_name())))
        .filter(|file| matches!(by_name(file), Some(Format::Npz | Format::Csr)))
        .filter(|file| file.is_file() && beside(file, what) == *path && *file != *matrix)
        .collect();
    matrices.sort();
    match matrices.first() {
        Some(other) => refuse(&format!("one that {} needs too", other.display())),
        None if !matrix.exists() => refuse("one that belongs to something else"),
        None => Ok(()),
    }
}

/// The file that would be replaced, compared with what is written.
struct Old {
    file: Option<BufReader<File>>,
    buffer: Vec<u8>,
}

impl Old {
    fn open(path: &Path) -> Self {
        Old { file: File::open(path).ok().map(BufReader::new), buffer: Vec::new() }
    }

    /// Forgets the file unless it goes on with `bytes`.
    fn compare(&mut self, bytes: &[u8]) {
        let Some(file) = &mut self.file else { return };
        self.buffer.resize(bytes.len(), 0);
        if file.read_exact(&mut self.buffer).is_err() || self.buffer != bytes {
            self.file = None;
        }
    }

    /// Whether the file held all that was compared, and no more.
    fn ended(&mut self) -> bool {
        self.file.as_mut().is_some_and(|file| matches!(file.read(&mut [0]), Ok(0)))
    }
}
