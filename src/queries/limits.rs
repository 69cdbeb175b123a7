//! How much of a query text is read, for texts of strangers: one may be megabytes.

use crate::bm25;
#[cfg(feature = "tokenize")]
use crate::error::Error;

/// No more of a text is read than so many bytes a token: what a tokenizer reads whole must be
/// bounded before it, and 64 bytes are several times the longest words of a language.
const BYTES_A_TOKEN: usize = 64;

/// What is read of a query text; the rest is as if it were not there, and said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextLimits {
    /// Tokens that a model reads, special tokens included; 0 for what the model says.
    pub tokens: usize,
    /// Words that a BM25 analyzer reads, stop words included.
    pub words: usize,
}

impl TextLimits {
    /// The first words of a text, and whether there are more.
    pub(super) fn words<'t>(&self, text: &'t str) -> (&'t str, bool) {
        let (start, cut) = start(text, self.words);
        match bm25::word_start(start, self.words) {
            Some(end) => (&start[..end], true),
            None => (start, cut),
        }
    }
}

/// The part of a text that `tokens` tokens may come from, and whether there is more; cut behind a
/// word where there is white space.
pub(super) fn start(text: &str, tokens: usize) -> (&str, bool) {
    let most = tokens.saturating_mul(BYTES_A_TOKEN);
    if text.len() <= most {
        return (text, false);
    }
    let cut = (0..=most).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    let part = &text[..cut];
    let end = part.rfind(char::is_whitespace).unwrap_or(part.len());
    (&part[..end], true)
}

/// An error about the length of texts, which for queries is set by another name.
#[cfg(feature = "tokenize")]
pub(super) fn of_queries(error: Error) -> Error {
    let renamed = |text: &str| text.replace("`max_length`", "`max_query_length`");
    match error {
        Error::Usage(problem) => Error::Usage(renamed(&problem)),
        Error::Data(mut data) => {
            data.problem = renamed(&data.problem);
            data.hint = renamed(&data.hint);
            Error::Data(data)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_behind_a_word_and_short_ones_are_not() {
        let limits = TextLimits { tokens: 0, words: 3 };
        assert_eq!(limits.words("one two, three"), ("one two, three", false));
        assert_eq!(limits.words("one two, three four five"), ("one two, three ", true));
        assert_eq!(limits.words(""), ("", false));
        let long = "x".repeat(1000) + " y";
        assert_eq!(limits.words(&long), (&long[..192], true), "a word of megabytes");
        let text = "é".repeat(40) + " b";
        let (part, cut) = start(&text, 1);
        assert_eq!((part, cut), (&*"é".repeat(32), true));
        let words = "word ".repeat(100);
        assert_eq!(start(&words, 1), (&words[..59], true));
    }
}
