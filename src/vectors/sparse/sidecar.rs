//! The text files beside a matrix: document ids, and the tokens of its columns.
//!
//! `doc-embeddings.npz` goes with `doc-ids.txt` and `doc-tokens.txt` (lsr-benchmark's
//! names; it has no tokens file), `x.npz` or `x.csr` with `x-ids.txt` and `x-tokens.txt`.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use crate::corpus::{BytesRead, Lines, check_id, open_input, sniff, trim_id, unreadable};
use crate::error::{Error, Place, Result};
use crate::vectors::TokenTable;

/// Files that describe a matrix, those that are `None` looked for beside it, and where its
/// unpacked copy goes.
#[derive(Debug, Clone, Default)]
pub struct Sidecars {
    /// Document ids, one a line.
    pub ids: Option<PathBuf>,
    /// Tokens by column, one a line, or a JSON list.
    pub vocabulary: Option<PathBuf>,
    /// Folder for copies of packed and piped inputs that are read at several places at a
    /// time; `None` is the system's.
    pub tmp: Option<PathBuf>,
}

/// The name of a matrix file's `ids` or `tokens`.
pub(crate) fn beside(matrix: &Path, what: &str) -> PathBuf {
    let name = matrix.file_name().unwrap_or_default().to_string_lossy();
    let mut base = &*name;
    for ending in [".gz", ".zst", ".npz", ".csr", "-embeddings"] {
        base = base.strip_suffix(ending).unwrap_or(base);
    }
    matrix.with_file_name(format!("{base}-{what}.txt"))
}

/// The ids of a matrix, if it has an ids file.
pub(super) fn ids(matrix: &Path, given: &Sidecars) -> Result<Option<IdList>> {
    let path = given.ids.clone().or_else(|| existing(beside(matrix, "ids")));
    path.map(|path| IdList::read(&path)).transpose()
}

/// The tokens of a matrix, if it has a vocabulary file.
pub(super) fn vocabulary(matrix: &Path, given: &Sidecars) -> Result<Option<TokenTable>> {
    let path = given.vocabulary.clone().or_else(|| existing(beside(matrix, "tokens")));
    path.map(|path| read_vocabulary(&path)).transpose()
}

fn existing(path: PathBuf) -> Option<PathBuf> {
    path.is_file().then_some(path)
}

/// What some editors put before UTF-8; no part of the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The text of a file, plain or packed, without a byte order mark.
fn read_text(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    let mut input = open_input(path)?;
    let unread = |e| unreadable(path, Place::File, e);
    sniff::check(path, input.fill_buf().map_err(unread)?, "a list of tokens")?;
    input.read_to_end(&mut bytes).map_err(unread)?;
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    String::from_utf8(bytes).map_err(|e| {
        let valid = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
        Error::data(path, Place::Line(line), "expected UTF-8, found other bytes")
    })
}

/// Lines without their ends; the last line end is no line of its own.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let empty = text.is_empty();
    text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).skip(usize::from(empty))
}

/// Tokens by column number.
///
/// # Errors
/// A token that stands twice; JSON that is no list of strings.
pub(crate) fn read_vocabulary(path: &Path) -> Result<TokenTable> {
    let text = read_text(path)?;
    let bad = |problem: &str| Error::data(path, Place::File, problem);
    // A vocabulary may begin with "[PAD]": that is no JSON.
    let json = text.trim_start().starts_with(['[', '{'])
        && serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
    let tokens: Vec<String> = if json {
        serde_json::from_str(&text).map_err(|_| {
            let other = "expected a line a token, or one JSON list of strings, found other JSON";
            bad(other).hint(
                "of a vocab.json, {token: column}, jq -r 'to_entries | sort_by(.value)[].key' FILE \
                 makes lines",
            )
        })?
    } else {
        lines(&text).map(str::to_owned).collect()
    };
    if tokens.len() == 1 && tokens[0].contains('\r') {
        return Err(bad("expected a line a token, found carriage returns between")
            .hint("turn them into line feeds: tr '\\r' '\\n' <FILE"));
    }
    let mut table = TokenTable::default();
    for (i, token) in tokens.iter().enumerate() {
        if table.intern(token) as usize != i {
            let first = table.get(token).unwrap_or_default() + 1;
            let problem =
                format!("expected every token once, found {token:?} of line {first} again");
            return Err(Error::data(path, Place::Line(i as u64 + 1), problem));
        }
    }
    Ok(table)
}

/// Ids of all rows in memory, 8 bytes and its length each.
#[derive(Debug)]
pub(super) struct IdList {
    path: PathBuf,
    ids: String,
    ends: Vec<u64>,
}

impl IdList {
    /// Blank lines are none: an id that is missing shows by the number of ids.
    fn read(path: &Path) -> Result<Self> {
        let mut lines = Lines::open(path, &BytesRead::default())?;
        let mut list = IdList { path: path.to_owned(), ids: String::new(), ends: Vec::new() };
        while lines.advance()? {
            lines.refuse_old_line_ends(None)?;
            let id = trim_id(lines.text());
            check_id(id).map_err(|problem| lines.error(problem))?;
            list.ids.push_str(id);
            list.ends.push(list.ids.len() as u64);
        }
        Ok(list)
    }

    pub(super) fn check_len(&self, rows: u64, matrix: &Path) -> Result<()> {
        let found = self.ends.len() as u64;
        if found == rows {
            return Ok(());
        }
        let problem =
            format!("expected {rows} ids, one a row of {}, found {found}", matrix.display());
        Err(Error::data(&self.path, Place::File, problem)
            .hint("give the ids of this matrix with `ids`"))
    }

    pub(super) fn get(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        &self.ids[start..self.ends[row] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beside_a_matrix_are_lsr_benchmarks() {
        let name = |matrix: &str, what| beside(Path::new(matrix), what).display().to_string();
        assert_eq!(name("a/doc/doc-embeddings.npz", "ids"), "a/doc/doc-ids.txt");
        assert_eq!(name("x.csr.gz", "tokens"), "x-tokens.txt");
        assert_eq!(name("x.npz", "ids"), "x-ids.txt");
    }

    #[test]
    fn ids_are_lines_without_marks_and_blanks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ids.txt");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            IdList::read(&path)
        };
        let list = read("\u{feff}d1\r\n\u{feff}d2\n \n\n").unwrap();
        assert_eq!((list.get(0), list.get(1), list.ends.len()), ("d1", "d2", 2));
        let message = |text: &str| read(text).unwrap_err().to_string();
        assert!(message("d1\nd\u{200b}2\n").contains("ids.txt:2: expected an id of visible"));
        assert!(message("d1\rd2\r").contains("ids.txt:1: "));
    }

    #[test]
    fn a_vocabulary_is_lines_or_a_json_list_without_repeats() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vocab.txt");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_vocabulary(&path)
        };
        for text in ["[PAD]\na b\r\n\n", "[PAD]\na b\n", "[\"[PAD]\", \"a b\"]"] {
            for text in [text.to_owned(), format!("\u{feff}{text}")] {
                let table = read(&text).unwrap();
                assert_eq!((table.token(0), table.token(1)), ("[PAD]", "a b"), "{text:?}");
            }
        }
        assert_eq!(read("").unwrap().len(), 0);
        for text in ["[\"a\", null]", "{\"a\": 0}"] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains("found other JSON"), "{message}");
        }
        assert!(read("a\rb\r").unwrap_err().to_string().contains("carriage returns"));
        let message = read("a\nb\na\n").unwrap_err().to_string();
        assert!(
            message
                .ends_with("vocab.txt:3: expected every token once, found \"a\" of line 1 again"),
            "{message}"
        );
    }
}
