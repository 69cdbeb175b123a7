//! A lean set of ids, to find one that occurs twice.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// Tables grow by copying; 64 small ones never need room for two whole sets at once.
const PARTS: usize = 64;

/// Remembers ids by a 128-bit digest: 17 to 35 bytes an id whatever its length. With 10^10
/// ids two different ones share a digest with a chance of 10^-19; BLAKE3, so nobody can
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

/// What is wrong with `id` as a document or query id, if anything. Ids are columns of run
/// files, so they hold no tab or line end; spaces are left to the run's format.
pub(crate) fn check_id(id: &str) -> Result<(), String> {
    if id.is_empty() {
        return Err("expected an id, found an empty one".into());
    }
    if id.chars().any(char::is_control) {
        return Err(format!("expected an id without control characters, found {id:?}"));
    }
    Ok(())
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
}
