//! LEXICON: field byte and token of every term, sorted bytewise, searched in place.
//!
//! ```text
//! count u32 | total u32 | ends u32 × count | keys (field byte, token bytes) …
//! ```

use std::path::Path;

use super::layout::corrupt;
use crate::error::{Error, Result};

/// Builds the section from (field byte, token bytes) in bytewise order without repeats.
pub fn encode<'a>(keys: impl ExactSizeIterator<Item = (u8, &'a [u8])>) -> Result<Vec<u8>> {
    let too_large = || Error::Usage("the lexicon exceeds 4 GiB of tokens".into());
    let count = u32::try_from(keys.len()).map_err(|_| too_large())?;
    let mut ends = Vec::with_capacity(keys.len() * 4);
    let mut bytes = Vec::new();
    for (field, token) in keys {
        bytes.push(field);
        bytes.extend_from_slice(token);
        ends.extend(u32::try_from(bytes.len()).map_err(|_| too_large())?.to_le_bytes());
    }
    let mut section = Vec::with_capacity(8 + ends.len() + bytes.len());
    section.extend(count.to_le_bytes());
    section.extend((bytes.len() as u32).to_le_bytes());
    section.extend(ends);
    section.extend(bytes);
    Ok(section)
}

/// The section in place.
#[derive(Debug, Clone, Copy)]
pub struct Lexicon<'a> {
    ends: &'a [[u8; 4]],
    bytes: &'a [u8],
}

impl<'a> Lexicon<'a> {
    /// Checks counts and lengths against the section's size; reads no key.
    pub fn parse(path: &Path, section: &'a [u8], offset: u64, terms: u64) -> Result<Self> {
        let bad = |problem: String| corrupt(path, "LEXICON", offset, problem);
        let Some((head, rest)) = section.split_first_chunk::<8>() else {
            return Err(bad(format!("expected 8 bytes at least, found {}", section.len())));
        };
        let word = |i: usize| u64::from(u32::from_le_bytes([0, 1, 2, 3].map(|b| head[4 * i + b])));
        if word(0) != terms || rest.len() as u64 != terms * 4 + word(1) {
            let found = section.len();
            return Err(bad(format!("expected {terms} terms, found {} in {found} bytes", word(0))));
        }
        let (ends, bytes) = rest.split_at(terms as usize * 4);
        Ok(Lexicon { ends: ends.as_chunks().0, bytes })
    }

    /// Number of terms.
    pub fn len(&self) -> u32 {
        self.ends.len() as u32
    }

    /// Whether there is no term.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Field byte and token bytes of a term; empty where the section is corrupt.
    ///
    /// # Panics
    /// If there is no such term: `term` must be below [`len`](Self::len).
    pub fn key(&self, term: u32) -> &'a [u8] {
        let end = |i: usize| u32::from_le_bytes(self.ends[i]) as usize;
        let start = if term == 0 { 0 } else { end(term as usize - 1) };
        self.bytes.get(start..end(term as usize)).unwrap_or_default()
    }

    /// Field and token of a term.
    ///
    /// # Panics
    /// As [`key`](Self::key).
    pub fn token(&self, term: u32) -> (u8, &'a str) {
        match self.key(term).split_first() {
            Some((&field, token)) => (field, std::str::from_utf8(token).unwrap_or_default()),
            None => (0, ""),
        }
    }

    /// The term of a token in a field: a binary search.
    pub fn find(&self, field: u8, token: &str) -> Option<u32> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let key = self.key(middle);
            let (key_field, key_token) = key.split_first().map_or((0, key), |(f, t)| (*f, t));
            match (key_field, key_token).cmp(&(field, token.as_bytes())) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_found_in_its_field_and_no_other() {
        let keys: Vec<Vec<u8>> =
            [&b"\0"[..], b"\0a", b"\0ab", b"\0b", b"\x01a"].iter().map(|k| k.to_vec()).collect();
        let section = encode(keys.iter().map(|k| (k[0], &k[1..]))).unwrap();
        let lexicon = Lexicon::parse(Path::new("x"), &section, 0, 5).unwrap();
        for (i, key) in keys.iter().enumerate() {
            let token = std::str::from_utf8(&key[1..]).unwrap();
            assert_eq!(lexicon.find(key[0], token), Some(i as u32));
            assert_eq!(lexicon.token(i as u32), (key[0], token));
        }
        assert_eq!((lexicon.find(1, "b"), lexicon.find(0, "aa")), (None, None));
    }

    #[test]
    fn counts_that_disagree_with_the_section_are_errors() {
        let section = encode([(0, &b"a"[..])].into_iter()).unwrap();
        for (bytes, terms) in [(&section[..], 2), (&section[..9], 1), (&[][..], 0)] {
            assert!(Lexicon::parse(Path::new("x"), bytes, 0, terms).is_err());
        }
    }
}
