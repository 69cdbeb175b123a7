//! Texts of results, looked up by id in the collection, and cut to a line.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use console::measure_text_width;

use super::super::count;
use crate::corpus::{CorpusReader, Fields};
use crate::error::Result;

/// A collection whose texts are shown.
pub(super) struct Texts {
    path: PathBuf,
    fields: Option<Fields>,
    found: HashMap<String, String>,
    asked: usize,
    missing: usize,
    /// Of the longest reading, and its records.
    notes: (u64, Vec<String>),
}

impl Texts {
    pub(super) fn of(path: &Path, fields: Option<&Fields>) -> Self {
        let (path, fields) = (path.to_owned(), fields.cloned());
        Texts { path, fields, found: HashMap::new(), asked: 0, missing: 0, notes: (0, Vec::new()) }
    }

    /// Looks up the texts of these documents, in place of those before: memory is that of
    /// one batch of answers, time a reading of the file up to the last of them.
    pub(super) fn look_up<'a>(&mut self, ids: impl Iterator<Item = &'a str>) -> Result<()> {
        self.found.clear();
        let mut wanted: HashSet<&str> = ids.collect();
        self.asked += wanted.len();
        let mut records =
            CorpusReader::open(std::slice::from_ref(&self.path), self.fields.as_ref())?;
        while !wanted.is_empty()
            && let Some(record) = records.next().transpose()?
        {
            if wanted.remove(&*record.id) {
                self.found.insert(record.id, line(&record.text));
            }
        }
        self.missing += wanted.len();
        if records.records() > self.notes.0 {
            self.notes = (records.records(), records.notes().all());
        }
        Ok(())
    }

    /// The text of a document, as one line.
    pub(super) fn get(&self, id: &str) -> &str {
        self.found.get(id).map_or("(no text of this id)", |text| text)
    }

    /// What is to be said of lines that were read.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes.1
    }

    /// What to tell about documents that the collection does not have.
    pub(super) fn warning(&self) -> Option<String> {
        let (asked, path) = (count(self.asked as u64, "document", "documents"), &self.path);
        let file = path.display();
        (self.missing > 0).then(|| {
            format!(
                "{file}: {} of {asked} have no text there; is it the collection of this index?",
                self.missing
            )
        })
    }
}

/// A text without line ends, and without what a terminal would take for commands.
pub(super) fn line(text: &str) -> String {
    let seen: String = text.chars().filter(|&c| !is_direction(c)).collect();
    let words = seen.split(|c: char| c.is_whitespace() || c.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Marks that turn the direction of all that follows them in a line, other columns included.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// As many words of a line as `width` columns hold, and `…` for the others. Of a first word
/// that is longer, as much as fits.
pub(super) fn cut(line: &str, width: usize) -> String {
    if measure_text_width(line) <= width {
        return line.to_owned();
    }
    let fits = |end: usize| measure_text_width(&line[..end]) < width;
    let spaces = line.match_indices(' ').map(|(at, _)| at);
    let end = spaces.take_while(|&at| fits(at)).last().filter(|&at| at > 0);
    let characters = || line.char_indices().map(|(at, _)| at).take_while(|&at| fits(at)).last();
    let end = end.or_else(characters).unwrap_or(0);
    format!("{}…", line[..end].trim_end_matches([',', ';', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_words_and_fit() {
        let text = "The blue whale, the largest animal";
        assert_eq!(cut(text, 34), text);
        assert_eq!(cut(text, 33), "The blue whale, the largest…");
        assert_eq!(cut(text, 16), "The blue whale…");
        assert_eq!(cut(text, 15), "The blue…");
        assert_eq!(cut("Donaudampfschifffahrt", 6), "Donau…");
        assert_eq!(cut("whale", 1), "…");
        // Two columns a character.
        assert_eq!(cut("入力入力", 7), "入力入…");
        assert_eq!(cut("入力入力", 8), "入力入力");
    }

    #[test]
    fn what_a_terminal_obeys_is_no_text() {
        assert_eq!(line("a\n b\t\tc \u{1b}[31mred\r\n"), "a b c [31mred");
        assert_eq!(line("a\u{202e}b \u{2067}c\u{200f}\u{200d}"), "ab c\u{200d}");
    }

    #[test]
    fn texts_are_found_by_id_and_missing_ones_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.tsv");
        std::fs::write(&path, "a\tone\nb\ttwo\nc\tthree\n").unwrap();
        let mut texts = Texts::of(&path, None);
        texts.look_up(["b", "a", "b"].into_iter()).unwrap();
        assert_eq!((texts.get("a"), texts.get("b")), ("one", "two"));
        assert_eq!(texts.warning(), None);
        texts.look_up(["c", "x"].into_iter()).unwrap();
        assert_eq!((texts.get("c"), texts.get("x")), ("three", "(no text of this id)"));
        assert!(texts.warning().unwrap().contains("1 of 4 documents have no text"));
    }
}
