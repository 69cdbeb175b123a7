//! Analysed documents, packed: what lies in memory between counting and weighting.
//!
//! One byte stream a chunk, all numbers LEB128: per document the id's length and bytes,
//! its length in tokens, its number of different terms, then for each term in ascending
//! order the gap to the one before, shifted left with a low bit that says "tf > 1, it
//! follows". English passages take about 2.5 bytes a posting.

use std::collections::HashMap;

use super::analyzer::{Analyzer, for_each_word};
use crate::corpus::TextRecord;
use crate::varint;
use crate::vectors::TokenTable;

/// Documents analysed on their own, terms numbered by first appearance among them.
pub(super) struct Analysed {
    tokens: Vec<String>,
    /// Length in tokens and number of different terms, for each document.
    documents: Vec<(u32, u32)>,
    /// (local term, tf) of all documents, one after the other.
    postings: Vec<(u32, u32)>,
}

impl Analysed {
    /// Analyses `records`. A word seen before in the chunk costs one look-up: stemming and
    /// lower-casing happen once for each different word.
    pub(super) fn new(analyzer: &Analyzer, records: &[TextRecord]) -> Self {
        let mut chunk =
            Analysed { tokens: Vec::new(), documents: Vec::new(), postings: Vec::new() };
        let mut words: HashMap<&str, Option<u32>> = HashMap::new();
        let mut terms: HashMap<String, u32> = HashMap::new();
        // Where the term's posting of the current document lies, if at or after `start`.
        let mut posting_of: Vec<usize> = Vec::new();
        for record in records {
            let start = chunk.postings.len();
            let mut length = 0u32;
            for_each_word(&record.text, |word| {
                let term = *words.entry(word).or_insert_with(|| {
                    let token = analyzer.token(word)?;
                    let next = chunk.tokens.len() as u32;
                    Some(*terms.entry(token).or_insert_with_key(|token| {
                        chunk.tokens.push(token.clone());
                        posting_of.push(usize::MAX);
                        next
                    }))
                });
                let Some(term) = term else { return };
                length = length.saturating_add(1);
                let at = posting_of[term as usize];
                match chunk.postings.get_mut(at).filter(|_| at >= start) {
                    Some((_, tf)) => *tf = tf.saturating_add(1),
                    None => {
                        posting_of[term as usize] = chunk.postings.len();
                        chunk.postings.push((term, 1));
                    }
                }
            });
            chunk.documents.push((length, (chunk.postings.len() - start) as u32));
        }
        chunk
    }

    /// Global ids of the chunk's terms; new ones are added in order of first appearance,
    /// so that ids do not depend on how the collection was cut into chunks.
    pub(super) fn intern(&self, tokens: &mut TokenTable) -> Vec<u32> {
        self.tokens.iter().map(|token| tokens.intern(token)).collect()
    }

    /// Sum of the documents' lengths in tokens.
    pub(super) fn length(&self) -> u64 {
        self.documents.iter().map(|&(length, _)| u64::from(length)).sum()
    }

    /// Packs the chunk under the ids that [`Analysed::intern`] gave.
    pub(super) fn pack(mut self, records: &[TextRecord], ids: &[u32]) -> Chunk {
        let mut bytes = Vec::new();
        let mut rest = &mut self.postings[..];
        for (record, &(length, terms)) in records.iter().zip(&self.documents) {
            let (postings, others) = rest.split_at_mut(terms as usize);
            rest = others;
            postings.iter_mut().for_each(|(term, _)| *term = ids[*term as usize]);
            postings.sort_unstable();
            varint::put(record.id.len() as u64, &mut bytes);
            bytes.extend_from_slice(record.id.as_bytes());
            varint::put(u64::from(length), &mut bytes);
            varint::put(u64::from(terms), &mut bytes);
            let mut previous = 0;
            for &(term, tf) in &*postings {
                varint::put(u64::from(term - previous) << 1 | u64::from(tf > 1), &mut bytes);
                if tf > 1 {
                    varint::put(u64::from(tf), &mut bytes);
                }
                previous = term;
            }
        }
        bytes.shrink_to_fit();
        Chunk { bytes, at: 0 }
    }
}

/// Packed documents, read from front to back.
pub(super) struct Chunk {
    bytes: Vec<u8>,
    at: usize,
}

impl Chunk {
    /// A chunk whose bytes were elsewhere in between.
    pub(super) fn of_bytes(bytes: Vec<u8>) -> Self {
        Chunk { bytes, at: 0 }
    }

    /// The packed documents.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads the next document: its id into `id`, each (term, tf) through `posting`, which
    /// also gets the document's length; `false` at the end.
    pub(super) fn next(&mut self, id: &mut String, mut posting: impl FnMut(u32, u32, u32)) -> bool {
        if self.at == self.bytes.len() {
            return false;
        }
        let mut rest = &self.bytes[self.at..];
        let id_length = pull(&mut rest) as usize;
        let text = rest.split_off(..id_length).expect("packed with its length");
        id.push_str(std::str::from_utf8(text).expect("packed from a string"));
        let length = pull(&mut rest) as u32;
        let mut term = 0;
        for _ in 0..pull(&mut rest) {
            let head = pull(&mut rest);
            term += (head >> 1) as u32;
            let tf = if head & 1 == 1 { pull(&mut rest) as u32 } else { 1 };
            posting(term, tf, length);
        }
        self.at = self.bytes.len() - rest.len();
        true
    }
}

fn pull(bytes: &mut &[u8]) -> u64 {
    varint::take(bytes).expect("packed whole")
}
