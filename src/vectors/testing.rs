//! Vectors for tests of the formats.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{VectorRecord, VectorSource};
use crate::error::Result;

/// Ids and vectors in input order.
pub(crate) type Vectors = Vec<(String, BTreeMap<String, f32>)>;

/// Collections with empty documents, odd tokens and weights of all sizes; `integers` as in
/// a collection of impacts.
pub(crate) fn vectors(integers: bool) -> impl Strategy<Value = Vectors> {
    let token = prop_oneof![4 => "[a-e]{1,2}", 1 => "[0-9]{1,3}", 1 => "[^\r\n]{1,6}"];
    let weight = match integers {
        true => prop_oneof![4 => 1u16..=255, 1 => 256u16..9_999].prop_map(f32::from).boxed(),
        false => prop_oneof![Just(1.0f32), 0.001f32..9.0, 1e-8f32..1e6].boxed(),
    };
    let vector = prop::collection::btree_map(token, weight, 0..12);
    prop::collection::vec(vector, 0..30).prop_map(|vectors| {
        vectors.into_iter().enumerate().map(|(i, v)| (format!("d {i}é"), v)).collect()
    })
}

/// Everything that a source holds.
pub(crate) fn drain(source: &mut dyn VectorSource) -> Result<Vectors> {
    let (mut record, mut vectors) = (VectorRecord::default(), Vectors::new());
    while source.read(&mut record)? {
        let tokens = record.terms.iter().map(|&term| source.tokens().token(term).to_owned());
        let vector: BTreeMap<String, f32> = tokens.zip(record.weights.iter().copied()).collect();
        assert_eq!(vector.len(), record.terms.len(), "a term twice in {:?}", record.id);
        vectors.push((record.id.clone(), vector));
    }
    Ok(vectors)
}
