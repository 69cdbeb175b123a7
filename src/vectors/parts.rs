//! Whether stores are parts of one collection, encoded alike.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::store::{Encoding, Kind, Shard, StoreReader};
use crate::error::{Error, Place, Result};

/// The documents of a collection of so many that belong to `shard`: parts differ by one at most.
pub fn range_of(shard: Shard, documents: u64) -> Range<u64> {
    let at = |i: u64| (u128::from(documents) * u128::from(i) / u128::from(shard.count)) as u64;
    at(shard.index)..at(shard.index + 1)
}

/// Refuses stores of queries unless they are `allowed`, and stores whose texts were encoded
/// in different ways: their weights do not compare.
pub(super) fn one_kind(readers: &[StoreReader], paths: &[PathBuf], allowed: Kind) -> Result<()> {
    let stores = || readers.iter().map(|r| &r.manifest().plan).zip(paths);
    let refused = stores().find(|(plan, _)| plan.kind == Kind::Query);
    if let Some((_, path)) = refused.filter(|_| allowed == Kind::Document) {
        return Err(Error::data(path, Place::File, "expected documents, found a store of queries")
            .hint("encode the texts without `kind` query"));
    }
    let Some((first, first_path)) = stores().next() else { return Ok(()) };
    for (plan, path) in stores().skip(1) {
        let Some(what) = difference(first.encoding.as_ref(), plan.encoding.as_ref()) else {
            continue;
        };
        let problem = format!("{what} differs from that of {}", first_path.display());
        return Err(Error::data(path, Place::File, problem)
            .hint("encode all parts of a collection with the same model and flags"));
    }
    Ok(())
}

/// What makes the weights of two encodings differ by more than rounding.
fn difference(a: Option<&Encoding>, b: Option<&Encoding>) -> Option<&'static str> {
    let (Some(a), Some(b)) = (a, b) else {
        return (a.is_some() != b.is_some()).then_some("where the vectors come from");
    };
    [
        ("the model", a.model.weights_digest != b.model.weights_digest),
        ("the model's configuration", a.model.config_digest != b.model.config_digest),
        ("the tokenizer", a.model.tokenizer_digest != b.model.tokenizer_digest),
        ("the pooling", a.pooling != b.pooling),
        ("`max_length`", a.max_length != b.max_length),
        ("`fields`", a.fields != b.fields),
        ("`top`", a.top != b.top),
        ("`min_weight`", a.min_weight != b.min_weight),
    ]
    .into_iter()
    .find_map(|(what, differs)| differs.then_some(what))
}

/// Sorts shards of one collection by doc base and checks that each begins where the one
/// before ends. Stores that are no shards keep their order.
pub(super) fn order_shards(readers: &mut [StoreReader]) -> Result<()> {
    let shards = readers.iter().filter(|r| r.manifest().plan.shard.is_some()).count();
    if shards == 0 {
        return Ok(());
    }
    if shards < readers.len() {
        return Err(Error::Usage(
            "`input` mixes shards with whole stores; give one kind, so that the order is clear"
                .into(),
        ));
    }
    // One alone is a part to be merged later; the caller that takes it says so.
    if let [_] = readers {
        return Ok(());
    }
    readers.sort_by_key(|r| {
        let plan = &r.manifest().plan;
        (plan.doc_base, plan.shard.map(|shard| shard.index))
    });
    let bad = |path: &Path, problem: String| {
        Err(Error::data(path, Place::File, problem).hint("give every shard of the collection once"))
    };
    let (mut expected, mut last) = (0, None);
    for reader in readers.iter() {
        let (base, documents) =
            (reader.manifest().plan.doc_base, reader.manifest().totals.documents);
        if base != expected {
            let problem =
                format!("expected a shard that begins at document {expected}, found one at {base}");
            return bad(reader.dir(), problem);
        }
        expected = base.saturating_add(documents);
        last = reader.manifest().plan.shard;
    }
    // Empty shards may be left out; the last of a cut is never empty.
    if let Some(Shard { index, count }) =
        last.filter(|last| last.index.saturating_add(1) < last.count)
    {
        let problem =
            format!("expected shards up to {}/{count}, found none after {index}", count - 1);
        return bad(readers[readers.len() - 1].dir(), problem);
    }
    Ok(())
}
