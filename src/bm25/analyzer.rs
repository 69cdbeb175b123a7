//! Text to tokens, after Lucene's `EnglishAnalyzer` as Anserini uses it: UAX #29 words,
//! possessive 's off, lower case, stop words out, stemming.
//!
//! The stemmer is Snowball's English (Porter2) where Lucene has Porter's first: stems
//! differ in details, retrieval hardly.

use std::collections::HashMap;

use unicode_segmentation::UnicodeSegmentation;

use super::params::{Bm25Params, Stemmer, StopWords};

/// Lucene cuts longer words into pieces of this many characters.
const LONGEST_WORD: usize = 255;

/// Turns texts into tokens; the same for documents and queries.
pub struct Analyzer {
    stemmer: Option<rust_stemmers::Stemmer>,
    stop: bool,
}

impl Analyzer {
    /// The analyzer that `params` describe.
    pub fn new(params: &Bm25Params) -> Self {
        let english = || rust_stemmers::Stemmer::create(rust_stemmers::Algorithm::English);
        Analyzer {
            stemmer: (params.stemmer == Stemmer::English).then(english),
            stop: params.stopwords == StopWords::English,
        }
    }

    /// The different tokens of a query in order of first appearance, each with how often
    /// it stands there.
    pub fn query(&self, text: &str) -> Vec<(String, u32)> {
        let mut tokens: Vec<(String, u32)> = Vec::new();
        let mut positions: HashMap<String, usize> = HashMap::new();
        for_each_word(text, |word| {
            let Some(token) = self.token(word) else { return };
            match positions.get(&token) {
                Some(&at) => tokens[at].1 = tokens[at].1.saturating_add(1),
                None => {
                    positions.insert(token.clone(), tokens.len());
                    tokens.push((token, 1));
                }
            }
        });
        tokens
    }

    /// The token of one word; `None` for a stop word.
    pub fn token(&self, word: &str) -> Option<String> {
        let lower = without_possessive(word).to_lowercase();
        if self.stop && is_stop_word(&lower) {
            return None;
        }
        Some(match &self.stemmer {
            Some(stemmer) => stemmer.stem(&lower).into_owned(),
            None => lower,
        })
    }
}

/// Where in `text` its word number `n`, from 0, begins; `None` if it has no more than `n`. Reads
/// no further than that.
pub fn word_start(text: &str, n: usize) -> Option<usize> {
    text.unicode_word_indices().nth(n).map(|(at, _)| at)
}

/// Calls `each` with every word of `text`, in order.
pub(super) fn for_each_word<'t>(text: &'t str, mut each: impl FnMut(&'t str)) {
    // A space before a combining mark belongs to the mark's word (UAX #29, WB4).
    for mut word in text.unicode_words().map(str::trim) {
        while word.len() > LONGEST_WORD {
            let cut = word.char_indices().nth(LONGEST_WORD).map_or(word.len(), |(at, _)| at);
            each(&word[..cut]);
            word = &word[cut..];
        }
        if !word.is_empty() {
            each(word);
        }
    }
}

fn without_possessive(word: &str) -> &str {
    let stem = word.strip_suffix(['s', 'S']);
    stem.and_then(|w| w.strip_suffix(['\'', '\u{2019}', '\u{ff07}'])).unwrap_or(word)
}

/// Lucene's `EnglishAnalyzer.ENGLISH_STOP_WORDS_SET`.
fn is_stop_word(word: &str) -> bool {
    matches!(
        word,
        "a" | "an"
            | "and"
            | "are"
            | "as"
            | "at"
            | "be"
            | "but"
            | "by"
            | "for"
            | "if"
            | "in"
            | "into"
            | "is"
            | "it"
            | "no"
            | "not"
            | "of"
            | "on"
            | "or"
            | "such"
            | "that"
            | "the"
            | "their"
            | "then"
            | "there"
            | "these"
            | "they"
            | "this"
            | "to"
            | "was"
            | "will"
            | "with"
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(text: &str, params: Bm25Params) -> Vec<String> {
        let analyzer = Analyzer::new(&params);
        let mut tokens = Vec::new();
        for_each_word(text, |word| tokens.extend(analyzer.token(word)));
        tokens
    }

    fn plain(text: &str) -> Vec<String> {
        let params = Bm25Params {
            stemmer: Stemmer::None,
            stopwords: StopWords::None,
            ..Bm25Params::default()
        };
        tokens(text, params)
    }

    #[test]
    fn words_are_unicode_words_in_lower_case() {
        assert_eq!(
            plain("Ünïcode, U.S.A. 3,000 foo_bar!"),
            ["ünïcode", "u.s.a", "3,000", "foo_bar"]
        );
        assert_eq!(plain("e\u{301}tude 日本"), ["e\u{301}tude", "日", "本"]);
        assert_eq!(plain("--- … \t\n"), [""; 0]);
    }

    #[test]
    fn only_a_possessive_s_is_stripped() {
        let text = "dog's dogs' DOG\u{2019}S dog\u{ff07}s don't s 's";
        assert_eq!(plain(text), ["dog", "dogs", "dog", "dog", "don't", "s", "s"]);
    }

    #[test]
    fn stop_words_vanish_and_the_rest_is_stemmed() {
        let text = "The Running of the bulls, THIS generously-funded festival";
        let expected = ["run", "bull", "generous", "fund", "festiv"];
        assert_eq!(tokens(text, Bm25Params::default()), expected);
    }

    #[test]
    fn queries_count_tokens_in_order_of_first_appearance() {
        let analyzer = Analyzer::new(&Bm25Params::default());
        let counted = analyzer.query("cats and a dog's cat");
        assert_eq!(counted, [("cat".to_owned(), 2), ("dog".to_owned(), 1)]);
        assert!(analyzer.query("to be or not to be").is_empty());
    }

    #[test]
    fn long_words_are_cut_at_characters() {
        let pieces = plain(&"é".repeat(600));
        let lengths: Vec<usize> = pieces.iter().map(|p| p.chars().count()).collect();
        assert_eq!(lengths, [255, 255, 90]);
        assert_eq!(plain(&"x".repeat(255)).len(), 1);
    }

    proptest! {
        // Stemmers cut bytes off words of any script: no text may make them panic, and no
        // token may be empty, which no lexicon could hold.
        #[test]
        fn any_text_gives_tokens(
            text in r"([a-zA-Zéßş日'’._-]{0,6}(ingly|edly|sses|ies|ational|y|'s|e)?[ ,]?){0,6}\PC{0,12}",
        ) {
            let analyzer = Analyzer::new(&Bm25Params::default());
            for (token, count) in analyzer.query(&text) {
                prop_assert!(!token.is_empty() && !token.contains(char::is_whitespace) && count > 0);
            }
        }
    }
}
