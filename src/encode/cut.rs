//! Where a long text may be cut before it is tokenized.
//!
//! Only the first tokens of a text are kept, but a tokenizer reads it whole, at 65 bytes of
//! memory a byte: 54 MB took 3.6 GB and 200 s. Cut before the first of a run of white space,
//! a text's first part gives the first of the whole text's tokens, where
//!
//! - the normalizer works on characters, or on a character and the marks after it: an ASCII
//!   space takes part in no composition, so both sides normalize alone as together;
//! - the pre-tokenizer ends a piece there at the latest, and makes tokens of pieces alone;
//! - no added token reaches over the cut, that is from a letter or sign into a space.
//!
//! All this is checked here for known kinds; with any other a text is tokenized whole.

use tokenizers::{AddedToken, NormalizerWrapper, PreTokenizerWrapper, Tokenizer};

/// Whether the tokens of a text up to [`before_space`] are the first of all its tokens.
pub(super) fn keeps_tokens(tokenizer: &Tokenizer) -> bool {
    // Pieces that begin with their space, as GPT-2's, need the spaces before the cut as they
    // were: the normalizer must not remove characters between two of them.
    let (spaces_dropped, cuts) = match tokenizer.get_pre_tokenizer() {
        Some(PreTokenizerWrapper::ByteLevel(level)) => (false, level.use_regex),
        Some(
            PreTokenizerWrapper::BertPreTokenizer(_)
            | PreTokenizerWrapper::Whitespace(_)
            | PreTokenizerWrapper::WhitespaceSplit(_),
        ) => (true, true),
        _ => (false, false),
    };
    let added = tokenizer.get_added_tokens_decoder();
    cuts && tokenizer.get_normalizer().is_none_or(|n| by_character(n, spaces_dropped))
        && added.values().all(|token| stays_on_a_side(token, spaces_dropped))
}

fn by_character(normalizer: &NormalizerWrapper, may_remove: bool) -> bool {
    match normalizer {
        NormalizerWrapper::NFC(_) | NormalizerWrapper::NFD(_) | NormalizerWrapper::Lowercase(_) => {
            true
        }
        NormalizerWrapper::BertNormalizer(_) | NormalizerWrapper::StripAccents(_) => may_remove,
        NormalizerWrapper::Sequence(list) => {
            list.as_ref().iter().all(|n| by_character(n, may_remove))
        }
        _ => false,
    }
}

/// A token of signs and letters has no space to reach into; one of spaces (ModernBERT has
/// such) begins after the cut or ends before the letter that stands before it.
fn stays_on_a_side(token: &AddedToken, spaces_dropped: bool) -> bool {
    let all = |is: fn(&u8) -> bool| token.content.as_bytes().iter().all(is);
    all(u8::is_ascii_graphic) || (!spaces_dropped && all(|&b| b == b' '))
}

/// Length of a part of `text`, `at_least` bytes long, that ends in a letter, digit or ASCII
/// sign and is followed by an ASCII space, tab or line end; nothing if there is none.
pub(super) fn before_space(text: &str, at_least: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let ends = |at: &usize| {
        matches!(bytes[*at], b' ' | b'\t' | b'\n' | b'\r')
            && text[..*at]
                .chars()
                .next_back()
                .is_some_and(|c| c.is_alphanumeric() || c.is_ascii_graphic())
    };
    (at_least..bytes.len()).find(ends)
}

#[cfg(test)]
mod tests;
