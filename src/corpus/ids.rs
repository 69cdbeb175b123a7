//! A lean set of ids, to find one that occurs twice.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// Tables grow by copying; 64 small ones never need room for two whole sets at once.
const PARTS: usize = 64;

/// Remembers ids by a 128-bit digest: 17 to 35 bytes an id whatever its length. With 10^10
/// ids two different ones share a digest with a chance of 10^-19; BLAKE3, so no one can
/// choose ids that do.
#[derive(Debug, Clone)]
pub struct IdSet {
    parts: Vec<HashSet<u128, BuildHasherDefault<DigestBits>>>,
}

impl Default for IdSet {
    fn default() -> Self {
        IdSet { parts: vec![HashSet::default(); PARTS] }
    }
}

impl IdSet {
    /// Adds `id`; `false` if it was there.
    pub fn insert(&mut self, id: &str) -> bool {
        let digest = blake3::hash(id.as_bytes());
        let (bits, _) = digest.as_bytes().split_first_chunk().expect("a digest has 32 bytes");
        let bits = u128::from_le_bytes(*bits);
        self.parts[bits as usize % PARTS].insert(bits)
    }

    /// Number of different ids.
    pub fn len(&self) -> usize {
        self.parts.iter().map(HashSet::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A digest is its own hash: its upper half.
#[derive(Debug, Clone, Copy, Default)]
pub struct DigestBits(u64);

impl Hasher for DigestBits {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u128(&mut self, bits: u128) {
        self.0 = (bits >> 64) as u64;
    }
}

/// An id without the blanks that pad it, as every reader of ids takes it.
pub(crate) fn trim_id(id: &str) -> &str {
    id.trim_matches(' ')
}

/// What is wrong with `id` as a document or query id, if anything. Ids are columns of run
/// files, so they hold no tab or line end; spaces are left to the run's format. Nor do they
/// hold characters that no one sees: such an id is never equal to what looks the same in
/// another file, and a measure falls without a word.
pub(crate) fn check_id(id: &str) -> Result<(), String> {
    if id.is_empty() {
        return Err("expected an id, found an empty one".into());
    }
    if id.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Ok(());
    }
    if id.chars().any(char::is_control) {
        return Err(format!("expected an id without control characters, found {id:?}"));
    }
    if let Some(c) = unseen(id) {
        return Err(format!(
            "expected an id of visible characters, found U+{:04X} in {id:?}",
            u32::from(c)
        ));
    }
    Ok(())
}

/// The first character of an id that cannot be seen.
fn unseen(id: &str) -> Option<char> {
    let mut before = None;
    let mut characters = id.chars().peekable();
    while let Some(c) = characters.next() {
        let at_an_end = before.is_none() || characters.peek().is_none();
        let unseen = match c {
            _ if never_seen(c) => true,
            _ if joins(c) => before.is_none_or(|b: char| b.is_ascii()) || at_an_end,
            // A digit, one of these and U+20E3 are one sign.
            _ if varies(c) => {
                before.is_none_or(|b: char| b.is_ascii()) && characters.peek() != Some(&'\u{20e3}')
            }
            _ => at_an_end && c.is_whitespace() && !c.is_ascii(),
        };
        if unseen {
            return Some(c);
        }
        before = Some(c);
    }
    None
}

/// Characters without width: of Unicode's format characters (Cf) and those that it calls
/// default ignorable, all but [those](joins) that have a [meaning](varies) behind some letters.
fn never_seen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}'
    )
}

/// Joiners have a meaning between letters (titles in Persian, emoji), not behind ASCII, nor at an end.
fn joins(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Selectors of a variant have a meaning behind letters and emoji, not behind ASCII.
fn varies(c: char) -> bool {
    matches!(c, '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_of_equal_ids_is_new() {
        let mut set = IdSet::default();
        let ids: Vec<String> = (0..10_000).map(|i| format!("d{i}")).collect();
        assert!(set.is_empty());
        assert!(ids.iter().all(|id| set.insert(id)));
        assert!(ids.iter().all(|id| !set.insert(id)));
        assert_eq!(set.len(), ids.len());
    }

    #[test]
    fn an_id_fits_a_column() {
        assert!(check_id("a b").is_ok());
        for bad in ["", "a\tb", "a\nb", "\0"] {
            assert!(check_id(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_id_can_be_seen() {
        let keycap = "1\u{fe0f}\u{20e3}";
        let heart = "❤\u{fe0f}";
        for good in ["é", "دانش\u{200c}نامه", "👩\u{200d}🚀", heart, keycap, "a\u{a0}b"]
        {
            assert_eq!(check_id(good), Ok(()), "{good:?}");
        }
        for bad in ["d1\u{fe0f}", "d\u{34f}1", "d\u{e0100}", "d\u{3164}", "\u{fe0f}❤", "d\u{200d}1"]
        {
            assert!(check_id(bad).is_err(), "{bad:?}");
        }
        for bad in ["\u{feff}d2", "d\u{200b}1", "d1\u{200e}", "d\u{ad}1", "d1\u{a0}", "\u{200c}d"] {
            assert!(check_id(bad).unwrap_err().contains("visible characters, found U+"), "{bad:?}");
        }
        let message = check_id("d\u{200b}1").unwrap_err();
        assert!(message.ends_with("found U+200B in \"d\\u{200b}1\""), "{message}");
    }
}
