//! Orders computed elsewhere, read from a text file.

use std::path::Path;

use crate::corpus::{BytesRead, Lines};
use crate::error::{Error, Place, Result};

const HINT: &str = "line i of an order file holds the input ordinal (from 0, not the external \
                    id) of the document that gets docid i; each ordinal comes once";

/// Reads an order of `docs` documents (plain, .gz or .zst; `-` is standard input): one input
/// ordinal a line, from 0; line i (from 0; blank lines do not count) names the document that
/// gets docid i.
///
/// Errors name the line of what is no number, out of range, repeated or missing.
pub fn from_file(path: impl AsRef<Path>, docs: u32) -> Result<Vec<u32>> {
    let path = path.as_ref();
    read(Lines::open(path, &BytesRead::default())?, path, docs)
}

fn read(mut lines: Lines, path: &Path, docs: u32) -> Result<Vec<u32>> {
    let mut order = Vec::with_capacity(docs as usize);
    // Line (from 1) on which each ordinal came; 0 = not yet.
    let mut line_of = vec![0u64; docs as usize];
    while lines.advance()? {
        lines.refuse_old_line_ends(None)?;
        let bad =
            |problem: String| Error::data(path, Place::Line(lines.number()), problem).hint(HINT);
        if order.len() == docs as usize {
            return Err(bad(format!("expected {docs} lines, found more")));
        }
        let text = lines.text().trim();
        let ordinal: u32 = text.parse().ok().filter(|&o| o < docs).ok_or_else(|| {
            // A file of all ordinals on one line is not shown whole.
            let cut = text.char_indices().nth(40).map_or(text.len(), |(at, _)| at);
            let (shown, rest) = text.split_at(cut);
            let more = if rest.is_empty() { "" } else { " …" };
            bad(format!("expected an ordinal below {docs}, found {shown:?}{more}"))
        })?;
        let first = &mut line_of[ordinal as usize];
        if *first != 0 {
            return Err(bad(format!("ordinal {ordinal} was already given on line {first}")));
        }
        *first = lines.number();
        order.push(ordinal);
    }
    if order.len() < docs as usize {
        let missing = line_of.iter().position(|&l| l == 0).unwrap_or(0);
        let problem =
            format!("expected {docs} lines, found {}; ordinal {missing} is missing", order.len());
        return Err(Error::data(path, Place::File, problem).hint(HINT));
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, docs: u32) -> Result<Vec<u32>> {
        let path = Path::new("o.txt");
        read(Lines::new(path, Box::new(std::io::Cursor::new(text.to_owned()))), path, docs)
    }

    #[test]
    fn a_permutation_is_read_as_written() {
        assert_eq!(parse("2\n0\r\n1\n", 3).unwrap(), [2, 0, 1]);
        assert_eq!(parse("\u{feff}2\n\n0\n \t\n1\n\n", 3).unwrap(), [2, 0, 1]);
        assert_eq!(parse("", 0).unwrap(), [0u32; 0]);
    }

    #[test]
    fn what_is_no_permutation_is_named_with_its_line() {
        for (text, says) in [
            ("0\n1\n", "o.txt: expected 3 lines, found 2; ordinal 2 is missing"),
            ("0\n1\n2\n3\n", "o.txt:4: expected 3 lines, found more"),
            ("0\n3\n1\n", "o.txt:2: expected an ordinal below 3, found \"3\""),
            ("0\nD7\n1\n", "o.txt:2: expected an ordinal below 3, found \"D7\""),
            ("0\n\n1\n", "o.txt: expected 3 lines, found 2; ordinal 2 is missing"),
            ("0\n\nx\n", "o.txt:3: expected an ordinal below 3, found \"x\""),
            ("0\r1\r2\r", "o.txt:1: expected one record a line, found several"),
            ("1\n0\n1\n", "o.txt:3: ordinal 1 was already given on line 1"),
        ] {
            let message = parse(text, 3).unwrap_err().to_string();
            assert!(message.starts_with(says), "{message}");
        }
    }
}
