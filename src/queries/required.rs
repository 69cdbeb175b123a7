//! Words that documents must have, and words that they must not have: `+whale -ship`.

use super::{QueryBuilder, Texts};
use crate::error::{Error, Result};
use crate::index::TermId;
use crate::query::Filter;

/// Takes `+word` and `-word` out of a text: what is left to be asked, required words with it, and the
/// required and the excluded ones.
pub fn operators(text: &str) -> (String, Vec<String>, Vec<String>) {
    let (mut left, mut required, mut excluded) = (Vec::new(), Vec::new(), Vec::new());
    for word in text.split_whitespace() {
        // A sign alone, or several, is no operator.
        let operand =
            |sign| word.strip_prefix(sign).filter(|rest| rest.starts_with(char::is_alphanumeric));
        match (operand('+'), operand('-')) {
            (Some(word), _) => {
                required.push(word.to_owned());
                left.push(word);
            }
            (_, Some(word)) => excluded.push(word.to_owned()),
            _ => left.push(word),
        }
    }
    (left.join(" "), required, excluded)
}

impl QueryBuilder {
    /// The documents that have all words of `required` and none of `excluded`. Of BM25, words are
    /// analysed as texts are (stop words ask for nothing); else they are tokens of the index.
    ///
    /// # Errors
    /// A word of a learned index that is no token of it; a damaged list.
    pub(super) fn having(&self, required: &[String], excluded: &[String]) -> Result<Filter> {
        let terms = |words: &[String]| {
            words.iter().map(|word| self.terms_of(word)).collect::<Result<Vec<_>>>()
        };
        let (required, excluded) = (terms(required)?, terms(excluded)?);
        let nothing = required.iter().any(Option::is_none);
        let all: Vec<TermId> = required.into_iter().flatten().flatten().collect();
        let mut kept = Filter::of_terms(&self.index, &all, &[])?;
        if nothing {
            kept = kept.without(&kept);
        }
        // A word of several tokens is there where all of them are.
        for terms in excluded.into_iter().flatten().filter(|terms| !terms.is_empty()) {
            kept = kept.without(&Filter::of_terms(&self.index, &terms, &[])?);
        }
        Ok(kept)
    }

    /// The terms of a word, none of a stop word; `None` if the index lacks one of them.
    fn terms_of(&self, word: &str) -> Result<Option<Vec<TermId>>> {
        let lexicon = self.index.lexicon();
        let analyzer = match (&self.texts, &self.hybrid) {
            (_, Some(hybrid)) => Some((1, &hybrid.analyzer)),
            (Texts::Bm25(analyzer), None) => Some((0, analyzer)),
            _ => None,
        };
        if let Some((field, analyzer)) = analyzer {
            let tokens = analyzer.query(word).into_iter();
            return Ok(tokens.map(|(token, _)| lexicon.find(field, &token)).collect());
        }
        match lexicon.find(0, word) {
            Some(term) => Ok(Some(vec![term])),
            None => Err(Error::Usage(format!(
                "expected tokens of the index as required and excluded words, found {word:?}; tokens \
                 of learned indexes are word pieces, in small letters where their model has these"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Constraints, QueryBuilder};
    use super::*;
    use crate::{Algorithm, Builder};

    #[test]
    fn signs_before_words_are_operators() {
        let (left, required, excluded) = operators("blue +whale -ship - -- +- well-known -é c++");
        assert_eq!(left, "blue whale - -- +- well-known c++");
        assert_eq!((required, excluded), (vec!["whale".into()], vec!["ship".into(), "é".into()]));
    }

    #[test]
    fn documents_have_what_is_required_and_not_what_is_excluded() {
        let texts = [
            ("a", "the blue whale"),
            ("b", "whales and ships"),
            ("c", "a blue e-mail"),
            ("d", "a blue ship"),
        ];
        let index = Builder::new().texts(texts).unwrap().index().unwrap();
        let builder = QueryBuilder::new(&index).unwrap();
        let found = |text: &str| {
            let (text, required, excluded) = operators(text);
            let constraints = Constraints { required, excluded, ..Constraints::default() };
            let prepared = builder.text(&text).unwrap();
            let prepared = builder.constrain(prepared, &constraints).unwrap();
            let mut searcher = index.searcher();
            let hits = searcher.search(&prepared.query, 9, Algorithm::Auto).unwrap();
            let mut ids: Vec<_> = hits.iter().map(|hit| index.id(hit.ordinal).to_owned()).collect();
            ids.sort();
            ids.join("")
        };
        assert_eq!(found("blue whale ship"), "abcd");
        assert_eq!(found("blue +whales"), "ab");
        assert_eq!(found("blue +whale -ship"), "a");
        assert_eq!(found("blue -ships -nothing -the"), "ac");
        assert_eq!(found("blue -e-mail"), "ad");
        assert_eq!(found("blue +nothing"), "");
        assert_eq!(found("blue +the"), "acd");
    }

    #[test]
    fn words_of_learned_indexes_are_tokens() {
        let documents =
            [("a", [("whale", 1.0), ("##s", 1.0)]), ("b", [("whale", 1.0), ("ship", 1.0)])];
        let index = Builder::new().vectors(documents).unwrap().index().unwrap();
        let builder = QueryBuilder::new(&index).unwrap();
        let having = |required: &str, excluded: &str| {
            let filter = builder.having(&[required.into()], &[excluded.into()])?;
            Ok::<_, Error>((filter.keeps(&index, 0), filter.keeps(&index, 1)))
        };
        assert_eq!(having("whale", "ship").unwrap(), (true, false));
        assert_eq!(having("ship", "##s").unwrap(), (false, true));
        let error = having("Whales", "ship").unwrap_err().to_string();
        assert!(
            error.contains("expected tokens of the index") && error.contains("\"Whales\""),
            "{error}"
        );
    }
}
