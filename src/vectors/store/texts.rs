//! What a store remembers of a text: enough to know it again.

use crate::lookup::first_half;

/// A text as it goes to the tokenizer: 16 bytes of its BLAKE3 digest. Texts of one digest have one
/// vector, by one model and settings.
///
/// The first 16 bytes stand for a text that the tokenizer was given whole. Of a long text it may have
/// been given a first part only (`Encoded::part`): then they are the second 16 bytes of the digest of
/// that part, whatever comes behind it.
///
/// ```
/// use splindex::vectors::store::TextDigest;
/// let whole = TextDigest::whole("a whale at sea");
/// assert_eq!(TextDigest::of_parts("a whale at sea", &[]), [whole]);
/// let parts = TextDigest::of_parts("a whale at sea", &[7]);
/// assert_eq!(parts[0], TextDigest::of_parts("a whale in a book", &[7])[0]);
/// assert_ne!(parts[0], TextDigest::whole("a whale"));
/// assert_eq!(parts[1], whole);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct TextDigest(u128);

impl TextDigest {
    /// Of a text that is read whole.
    pub fn whole(text: &str) -> Self {
        TextDigest(first_half(blake3::hash(text.as_bytes()).as_bytes()))
    }

    /// Of the first parts of `text` that end at `ends`, increasing byte offsets, and of the whole
    /// text last.
    ///
    /// # Panics
    /// If ends decrease or lie behind the text.
    pub fn of_parts(text: &str, ends: &[usize]) -> Vec<Self> {
        let (bytes, mut hash, mut from) = (text.as_bytes(), blake3::Hasher::new(), 0);
        let mut digests = Vec::with_capacity(ends.len() + 1);
        for &end in ends {
            hash.update(&bytes[from..end]);
            let digest = hash.finalize();
            let (_, second) = digest.as_bytes().split_at(16);
            digests.push(Self::from_bytes(second.try_into().expect("16 bytes")));
            from = end;
        }
        hash.update(&bytes[from..]);
        digests.push(TextDigest(first_half(hash.finalize().as_bytes())));
        digests
    }

    /// As stored.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// From what [`to_bytes`](Self::to_bytes) gives.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        TextDigest(u128::from_le_bytes(bytes))
    }

    pub(super) fn bits(self) -> u128 {
        self.0
    }
}

/// The text of a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TextInfo {
    /// What the tokenizer was given.
    pub digest: TextDigest,
    /// Whether the text was longer than the maximum length.
    pub truncated: bool,
    /// Weights that the vector lacks because an earlier store rounded them to 0: for the counts.
    pub zeros: u64,
}

/// What a store keeps beside a digest, in a byte: whether the text was truncated, and how many
/// weights the stored number type rounded to 0. Both are counts of the store's manifest, to which a
/// kept vector adds what its text had added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TextNotes(u8);

const TRUNCATED: u8 = 0x80;
/// So many weights or more: the vector is not kept, since its count is not known.
const MANY: u8 = 0x7f;

impl TextNotes {
    pub fn new(truncated: bool, zeros: u64) -> Self {
        let zeros = u8::try_from(zeros).map_or(MANY, |zeros| zeros.min(MANY));
        TextNotes(if truncated { TRUNCATED | zeros } else { zeros })
    }

    pub fn from_byte(byte: u8) -> Self {
        TextNotes(byte)
    }

    pub fn byte(self) -> u8 {
        self.0
    }

    pub fn truncated(self) -> bool {
        self.0 & TRUNCATED != 0
    }

    /// Weights that were rounded to 0, where that is known.
    pub fn zeros(self) -> Option<u64> {
        let zeros = self.0 & !TRUNCATED;
        (zeros < MANY).then_some(u64::from(zeros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_count_up_to_what_they_can_hold() {
        for truncated in [false, true] {
            for zeros in [0, 1, 126] {
                let notes = TextNotes::from_byte(TextNotes::new(truncated, zeros).byte());
                assert_eq!((notes.truncated(), notes.zeros()), (truncated, Some(zeros)));
            }
            for zeros in [127, 128, 300, u64::MAX] {
                let notes = TextNotes::new(truncated, zeros);
                assert_eq!((notes.truncated(), notes.zeros()), (truncated, None));
            }
        }
    }
}
