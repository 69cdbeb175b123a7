//! A prepared query for indexes elsewhere: tokens with the integer weights that one index of the whole
//! collection gives them.

use super::{Prepared, QueryBuilder};
use crate::error::{Error, Result};
use crate::index::Index;
use crate::query::{Query, QueryTerm};
use crate::varint;

/// Field, token and integer weight of each term of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    tokens: Vec<(u8, String, u32)>,
}

impl Tokens {
    /// The terms of a query that `queries` has prepared.
    pub fn of(prepared: &Prepared, queries: &QueryBuilder) -> Self {
        let lexicon = queries.index.lexicon();
        let token = |term: &QueryTerm| {
            let (field, token) = lexicon.token(term.term);
            (field, token.to_owned(), term.weight)
        };
        Tokens { tokens: prepared.query.terms.iter().map(token).collect() }
    }

    /// The query against a part. Tokens that it lacks give nothing there.
    ///
    /// # Errors
    /// Weights too large for the part: those of another collection.
    pub fn query(&self, part: &Index) -> Result<Query> {
        let lexicon = part.lexicon();
        let term = |(field, token, weight): &(u8, String, u32)| {
            Some(QueryTerm { term: lexicon.find(*field, token)?, weight: *weight })
        };
        let terms: Vec<QueryTerm> = self.tokens.iter().filter_map(term).collect();
        let unknown = (self.tokens.len() - terms.len()) as u32;
        Query::of_terms(part, terms, unknown)
    }

    /// The query as bytes: of each term field, weight, length and bytes of the token.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (field, token, weight) in &self.tokens {
            bytes.push(*field);
            varint::put(u64::from(*weight), &mut bytes);
            varint::put(token.len() as u64, &mut bytes);
            bytes.extend_from_slice(token.as_bytes());
        }
        bytes
    }

    /// What [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// Other bytes.
    pub fn decode(mut bytes: &[u8]) -> Result<Self> {
        let mut tokens = Vec::new();
        while let Some((&field, rest)) = bytes.split_first() {
            bytes = rest;
            tokens.push(token(field, &mut bytes).ok_or_else(|| {
                Error::Usage("expected the terms of a query, found other bytes".into())
            })?);
        }
        Ok(Tokens { tokens })
    }
}

fn token(field: u8, bytes: &mut &[u8]) -> Option<(u8, String, u32)> {
    let weight = varint::take_u32(bytes)?;
    let len = usize::try_from(varint::take(bytes)?).ok()?;
    let (token, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some((field, std::str::from_utf8(token).ok()?.to_owned(), weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_reads_back_and_cut_bytes_do_not() {
        let tokens = vec![(0, "whale".to_owned(), 130), (1, "é".to_owned(), 65_535)];
        let tokens = Tokens { tokens };
        let bytes = tokens.encode();
        assert_eq!(Tokens::decode(&bytes).unwrap(), tokens);
        let first = 1 + 2 + 1 + 5;
        for len in (1..bytes.len()).filter(|&len| len != first) {
            assert!(Tokens::decode(&bytes[..len]).is_err(), "{len} bytes");
        }
    }
}
