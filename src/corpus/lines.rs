//! Numbered UTF-8 lines of a possibly compressed input.

use std::io::{self, BufRead, Read};
use std::path::Path;
use std::sync::Arc;

use super::input::{BytesRead, open_counted, unreadable};
use super::sniff;
use crate::error::{Error, Place, Result};

/// Longest line accepted. Real documents stay far below; a binary file without line ends
/// must not eat all memory.
const LONGEST_LINE: usize = 256 << 20;

/// Reads lines one at a time into a reused buffer, skips those that are empty or blank, strips
/// `\n`, `\r\n` and leading byte order marks (files joined by `cat` have them anywhere), and
/// remembers where it is. A file that begins as one of a well-known other format is refused.
///
/// ```no_run
/// # use splindex::corpus::{BytesRead, Lines};
/// let mut lines = Lines::open("docs.tsv".as_ref(), &BytesRead::default())?;
/// while lines.advance()? {
///     let id = lines.text().split('\t').next();
///     // … `return Err(lines.error("expected …, found …"))` names file and line.
/// }
/// # Ok::<(), splindex::Error>(())
/// ```
pub struct Lines {
    path: Arc<Path>,
    input: Box<dyn BufRead + Send>,
    text: String,
    line: u64,
    ended: bool,
}

impl Lines {
    /// Opens `path`, counting its compressed bytes in `count`.
    pub fn open(path: &Path, count: &BytesRead) -> Result<Self> {
        Ok(Self::new(path, open_counted(path, count)?))
    }

    /// Lines of an input already open; `path` is what errors call it.
    pub fn new(path: &Path, input: Box<dyn BufRead + Send>) -> Self {
        Lines { path: path.into(), input, text: String::new(), line: 0, ended: false }
    }

    /// Moves to the next line that is not blank; `false` at the end.
    ///
    /// After invalid UTF-8 reading can go on with the next line. After a read error or a
    /// line beyond all bounds it has ended.
    pub fn advance(&mut self) -> Result<bool> {
        if self.line == 0 && !self.ended {
            self.refuse_other_formats()?;
        }
        while !self.ended {
            let mut bytes = std::mem::take(&mut self.text).into_bytes();
            bytes.clear();
            let limit = LONGEST_LINE as u64 + 1;
            let outcome = self.input.by_ref().take(limit).read_until(b'\n', &mut bytes);
            let n = outcome.map_err(|e| self.broken(e))?;
            if n == 0 {
                self.ended = true;
                break;
            }
            self.line += 1;
            if n > LONGEST_LINE {
                self.ended = true;
                let problem = "expected a text line, found one of more than 256 MiB";
                return Err(self.error(problem).ends_input());
            }
            let whole = bytes.ends_with(b"\n");
            strip(&mut bytes);
            if let Some(problem) = nuls(&bytes, whole, self.line) {
                return Err(self.error(problem).hint(NULS));
            }
            self.text = String::from_utf8(bytes).map_err(|e| {
                let at = e.utf8_error().valid_up_to();
                let byte = e.as_bytes()[at];
                let text = !e.as_bytes().contains(&0);
                self.error(format!(
                    "expected UTF-8, found the byte 0x{byte:02x} at column {}",
                    at + 1
                ))
                .hint(if text {
                    "convert the file to UTF-8"
                } else {
                    "this is no text"
                })
            })?;
            if !self.text.trim().is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The current line, without its end.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Number of the current line, from 1.
    pub fn number(&self) -> u64 {
        self.line
    }

    /// The file, shared so that records can carry it.
    pub fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// A data error at the current line.
    pub fn error(&self, problem: impl Into<String>) -> Error {
        let error = Error::data(&self.path, Place::Line(self.line), problem);
        if self.text.contains('\r') { error.hint(OLD_LINE_ENDS) } else { error }
    }

    /// An error if this is not one line but several, which end in carriage returns alone:
    /// behind one there stands another `separator` of columns, or, without one, anything.
    ///
    /// A carriage return may stand in a text, so it is no line end by itself.
    pub(crate) fn refuse_old_line_ends(&self, separator: Option<char>) -> Result<()> {
        let behind = self.text.split_once('\r').map_or("", |(_, behind)| behind);
        let several = match separator {
            Some(separator) => behind.contains(separator),
            None => !behind.trim().is_empty(),
        };
        if !several {
            return Ok(());
        }
        let problem = "expected one record a line, found several with carriage returns between";
        Err(self.error(problem).hint(OLD_LINE_ENDS).ends_input())
    }

    fn refuse_other_formats(&mut self) -> Result<()> {
        // A read error shows again when the first line is read.
        let Ok(head) = self.input.fill_buf() else { return Ok(()) };
        let checked = sniff::check(&self.path, head, "a text file");
        self.ended = checked.is_err();
        checked
    }

    fn broken(&mut self, error: io::Error) -> Error {
        self.ended = true;
        unreadable(&self.path, Place::Line(self.line + 1), error)
    }
}

const OLD_LINE_ENDS: &str = "if carriage returns are its line ends, turn them into line feeds: \
                             tr '\\r' '\\n' <FILE";

const NULS: &str = "a file that was not written to its end has them: make it again, or take them out \
                    (tr -d '\\0' <FILE)";

/// What is wrong with a line that is padded with zero bytes: text that was never written. Within a
/// text they may stand, and at the end of a line that is `whole`.
fn nuls(bytes: &[u8], whole: bool, line: u64) -> Option<String> {
    let zeros = |&&byte: &&u8| byte == 0;
    let before = bytes.iter().take_while(zeros).count();
    let after = bytes.iter().rev().take_while(zeros).count();
    let (n, where_) = match (before, after) {
        (n, _) if n == bytes.len() && n > 0 => (n, if line > 1 { " after the text" } else { "" }),
        (n @ 1.., _) => (n, " before the text"),
        (_, n @ 1..) if !whole => (n, " after the text"),
        _ => return None,
    };
    let s = if n == 1 { "" } else { "s" };
    Some(format!("expected text, found {n} NUL byte{s}{where_}"))
}

fn strip(bytes: &mut Vec<u8>) {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    while bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn lines(bytes: &[u8]) -> Lines {
        Lines::new(Path::new("x"), Box::new(Cursor::new(bytes.to_vec())))
    }

    #[test]
    fn line_ends_marks_and_blank_lines_vanish_and_numbers_stay() {
        let mut l = lines(b"\xef\xbb\xbfone\r\n\n \t\r\ntwo\rx\n\xef\xbb\xbf\n\xef\xbb\xbfthree");
        let mut seen = Vec::new();
        while l.advance().unwrap() {
            seen.push((l.number(), l.text().to_owned()));
        }
        let expected = [(1, "one"), (4, "two\rx"), (6, "three")];
        assert_eq!(seen, expected.map(|(n, t)| (n, t.to_owned())));
    }

    #[test]
    fn invalid_utf8_names_line_and_column_and_reading_goes_on() {
        let mut l = lines(b"ok\nab\xffc\nend\n");
        assert!(l.advance().unwrap());
        let message = l.advance().unwrap_err().to_string();
        assert_eq!(
            message,
            "x:2: expected UTF-8, found the byte 0xff at column 3; convert the file to UTF-8"
        );
        assert!(l.advance().unwrap());
        assert_eq!(l.text(), "end");
    }

    #[test]
    fn zero_bytes_around_a_text_are_counted() {
        let says = |bytes: &[u8]| {
            let mut l = lines(bytes);
            loop {
                match l.advance() {
                    Ok(true) => (),
                    Ok(false) => return String::new(),
                    Err(e) => return e.to_string(),
                }
            }
        };
        let padded = [&b"a\tb\n"[..], &[0; 4096]].concat();
        for (bytes, expected) in [
            (&padded[..], "x:2: expected text, found 4096 NUL bytes after the text; "),
            (&padded[4..], "x:1: expected text, found 4096 NUL bytes; "),
            (b"a\tb\0\0", "x:1: expected text, found 2 NUL bytes after the text; "),
            (b"a\tb\n\0c\td\n", "x:2: expected text, found 1 NUL byte before the text; "),
        ] {
            assert!(says(bytes).starts_with(expected), "{}", says(bytes));
        }
        assert_eq!(says(b"a\tb\0c\nd\te\0\n"), "", "they may stand in a text");
    }

    #[test]
    fn several_records_in_a_line_are_refused_for_the_whole_file() {
        let mut l = lines(b"d1\tcold water\rd2\twarm air\r");
        assert!(l.advance().unwrap());
        let error = l.refuse_old_line_ends(Some('\t')).unwrap_err();
        assert!(error.to_string().starts_with("x:1: expected one record a line"), "{error}");
        assert!(error.to_string().contains("tr '\\r' '\\n' <FILE"), "{error}");
        assert!(!error.is_one_record());
        let mut l = lines(b"d1\tcold\rwater\n");
        assert!(l.advance().unwrap());
        assert!(l.refuse_old_line_ends(Some('\t')).is_ok(), "a carriage return in a text");
        assert!(l.refuse_old_line_ends(None).is_err());
    }

    #[test]
    fn a_file_of_another_format_is_refused_once() {
        let mut l = lines(b"PAR1\x15\x04\x15\x90\xff\n");
        let error = l.advance().unwrap_err();
        assert!(error.to_string().starts_with("x: expected a text file, found a Parquet file; "));
        assert!(!error.is_one_record());
        assert!(!l.advance().unwrap());
    }

    #[test]
    fn a_cut_off_gzip_file_is_a_data_error_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("docs.tsv.gz");
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut gz, b"1\tone\n2\ttwo\n").unwrap();
        let packed = gz.finish().unwrap();
        std::fs::write(&path, &packed[..packed.len() - 6]).unwrap();
        let mut l = Lines::open(&path, &BytesRead::default()).unwrap();
        let error = loop {
            match l.advance() {
                Ok(true) => (),
                Ok(false) => panic!("read to the end"),
                Err(e) => break e,
            }
        };
        assert!(error.to_string().contains("cannot decompress"), "{error}");
        assert_eq!(error.exit_code(), 2);
        assert!(!error.is_one_record(), "all that follows is lost");
        assert!(!l.advance().unwrap(), "a broken input has ended");
    }
}
