//! Answers of the parts of a collection, which lie on other machines, and the one list that they are
//! together.
//!
//! On the wire an answer is one LEB128 number after another: hits, then of each hit its score, its
//! ordinal in the collection, the bytes of its id, and the id.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Hit;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::varint;

/// A hit of a part, as the whole collection knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    /// Σ query weight × impact.
    pub score: u32,
    /// Position in the input of the collection.
    pub ordinal: u64,
    /// External id.
    pub id: String,
}

impl Partial {
    /// The bytes of a part's answer; `first` is the ordinal in the collection of the part's first document.
    pub fn encode(part: &Index, first: u64, hits: &[Hit]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(24 * hits.len() + 4);
        varint::put(hits.len() as u64, &mut bytes);
        let ids = part.external_ids();
        for hit in hits {
            let id = ids.get(hit.ordinal);
            varint::put(u64::from(hit.score), &mut bytes);
            varint::put(first + u64::from(hit.ordinal), &mut bytes);
            varint::put(id.len() as u64, &mut bytes);
            bytes.extend_from_slice(id.as_bytes());
        }
        bytes
    }
}

/// A hit whose id is still in the answer's bytes.
struct Head<'a> {
    score: u32,
    ordinal: u64,
    id: &'a [u8],
}

/// What is left of an answer.
struct Answer<'a> {
    left: u64,
    bytes: &'a [u8],
}

impl<'a> Answer<'a> {
    fn new(mut bytes: &'a [u8]) -> Result<Self> {
        let left = varint::take(&mut bytes).ok_or_else(cut)?;
        Ok(Answer { left, bytes })
    }

    fn next(&mut self) -> Result<Option<Head<'a>>> {
        if self.left == 0 {
            return match self.bytes {
                [] => Ok(None),
                _ => Err(cut()),
            };
        }
        self.left -= 1;
        let bytes = &mut self.bytes;
        let mut read = || {
            let (score, ordinal) = (varint::take_u32(bytes)?, varint::take(bytes)?);
            let len = usize::try_from(varint::take(bytes)?).ok()?;
            let (id, rest) = bytes.split_at_checked(len)?;
            *bytes = rest;
            Some(Head { score, ordinal, id })
        };
        read().map(Some).ok_or_else(cut)
    }
}

fn cut() -> Error {
    Error::Usage("expected the answer of a part, found other bytes".into())
}

/// The `k` best of the answers of all parts, each best first: by score, then by ordinal, as one index
/// of the parts lists them.
///
/// # Errors
/// Bytes that are no answer.
pub fn merged<'a>(answers: impl IntoIterator<Item = &'a [u8]>, k: usize) -> Result<Vec<Partial>> {
    let mut answers = answers.into_iter().map(Answer::new).collect::<Result<Vec<_>>>()?;
    let mut heads = BinaryHeap::with_capacity(answers.len());
    let mut ids: Vec<&[u8]> = vec![&[]; answers.len()];
    for (part, answer) in answers.iter_mut().enumerate() {
        if let Some(head) = answer.next()? {
            ids[part] = head.id;
            heads.push((head.score, Reverse(head.ordinal), part));
        }
    }
    let mut hits = Vec::new();
    while hits.len() < k {
        let Some((score, Reverse(ordinal), part)) = heads.pop() else { break };
        let id = std::str::from_utf8(ids[part]).map_err(|_| cut())?.to_owned();
        hits.push(Partial { score, ordinal, id });
        if let Some(head) = answers[part].next()? {
            ids[part] = head.id;
            heads.push((head.score, Reverse(head.ordinal), part));
        }
    }
    Ok(hits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(hits: &[(u32, u64, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        varint::put(hits.len() as u64, &mut bytes);
        for &(score, ordinal, id) in hits {
            varint::put(u64::from(score), &mut bytes);
            varint::put(ordinal, &mut bytes);
            varint::put(id.len() as u64, &mut bytes);
            bytes.extend_from_slice(id.as_bytes());
        }
        bytes
    }

    #[test]
    fn equal_scores_stand_by_ordinal_whatever_the_order_of_the_parts() {
        let parts = [
            answer(&[(9, 10, "k"), (5, 11, "l"), (5, 30, "é")]),
            answer(&[]),
            answer(&[(9, 2, "c"), (5, 1, "b"), (5, 12, "m")]),
        ];
        let all = merged(parts.iter().map(Vec::as_slice), 100).unwrap();
        let ids: Vec<&str> = all.iter().map(|hit| &*hit.id).collect();
        assert_eq!(ids, ["c", "k", "b", "l", "m", "é"]);
        let swapped = merged(parts.iter().rev().map(Vec::as_slice), 3).unwrap();
        assert_eq!(swapped, all[..3]);
    }

    #[test]
    fn bytes_that_are_no_answer_are_refused() {
        let whole = answer(&[(9, 10, "k"), (5, 11, "l")]);
        for len in 0..whole.len() {
            assert!(merged([&whole[..len]], 10).is_err(), "{len} bytes");
        }
        let longer = [&whole[..], b"x"].concat();
        assert!(merged([&longer[..]], 10).is_err());
    }
}
