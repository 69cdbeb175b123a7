//! Whether indexes are parts of one collection, built alike.

use serde_json::Value;

use crate::error::{Error, Place, Result};
use crate::format::FieldMeta;
use crate::index::Index;

/// Sorts shards by their documents; indexes that are no shards keep their order.
///
/// # Errors
/// Shards with others, shards of different cuts, a shard missing or given twice.
pub(crate) fn sort_shards(indexes: &mut [Index]) -> Result<()> {
    let Some(shard) = indexes.iter().position(|i| i.meta().shard.count > 0) else { return Ok(()) };
    let count = indexes[shard].meta().shard.count;
    let shard_path = indexes[shard].path().display().to_string();
    if let Some(other) = indexes.iter().find(|i| i.meta().shard.count != count) {
        let found = match other.meta().shard.count {
            0 => "a whole collection".to_owned(),
            n => format!("one of {n}"),
        };
        let problem = format!("expected a shard of {count} as {shard_path}, found {found}");
        return Err(Error::data(other.path(), Place::File, problem)
            .hint("merge the shards of one collection"));
    }
    indexes.sort_by_key(|index| (index.meta().shard.doc_base, index.meta().shard.index));
    // A shard without a document has no index: the bases of the others follow each other. The
    // last shard of a cut is never empty.
    let (mut next, mut expected) = (0, 0);
    for index in indexes.iter() {
        let shard = index.meta().shard;
        if shard.doc_base != expected || shard.index < next {
            let problem = format!(
                "expected shard {next}/{count} from document {expected} on, found shard \
                 {}/{count} from document {} on",
                shard.index, shard.doc_base
            );
            return Err(Error::data(index.path(), Place::File, problem)
                .hint("give every shard of the collection once"));
        }
        next = shard.index.saturating_add(1);
        expected += index.meta().documents;
    }
    if next != count {
        let last = &indexes[indexes.len() - 1];
        let problem = format!("expected {count} shards, found none after this");
        return Err(Error::data(last.path(), Place::File, problem)
            .hint("give every shard of the collection once"));
    }
    Ok(())
}

/// Refuses indexes whose impacts or terms do not mean the same, or that are laid out
/// differently, naming both and the first thing that differs.
pub(crate) fn check_alike(indexes: &[Index]) -> Result<()> {
    let Some((first, others)) = indexes.split_first() else {
        return Err(Error::Usage("give at least one index to merge".into()));
    };
    let expected = traits(first)?;
    for other in others {
        let found = traits(other)?;
        let differs = expected.iter().zip(&found).find(|(a, b)| a != b);
        if let Some(((name, a), (_, b))) = differs {
            let problem =
                format!("expected {name} {a} as in {}, found {b}", first.path().display());
            return Err(Error::data(other.path(), Place::File, problem)
                .hint("parts are built with the same settings, model and fixed `scale`"));
        }
    }
    Ok(())
}

/// All that must be equal, by name.
fn traits(index: &Index) -> Result<Vec<(String, Value)>> {
    let meta = index.meta();
    // Bits before the scales, which follow from them.
    let mut traits: Vec<(String, Value)> =
        vec![("fields".into(), meta.fields.len().into()), ("`bits`".into(), meta.bits.into())];
    for field in &meta.fields {
        traits.extend(field_traits(field)?);
    }
    let model = index.provenance().model.unwrap_or(Value::Null);
    traits.extend([
        ("`codec`".into(), json(&meta.codec)?),
        ("`skip_data`".into(), index.has_skip_data().into()),
        ("`top_per_doc`".into(), meta.pruning.top_per_doc.into()),
        ("`min_impact`".into(), meta.pruning.min_impact.into()),
        ("tokenizer digest".into(), model["model"]["tokenizer_digest"].clone()),
        ("model weights digest".into(), model["model"]["weights_digest"].clone()),
        ("model configuration digest".into(), model["model"]["config_digest"].clone()),
        ("pooling".into(), model["pooling"].clone()),
        ("maximum text length".into(), model["max_length"].clone()),
        ("encode `fields`".into(), model["fields"].clone()),
        ("encode `top`".into(), model["top"].clone()),
        ("encode `min_weight`".into(), model["min_weight"].clone()),
    ]);
    Ok(traits)
}

/// Kind, analyzer and parameters, and the scale, without what was counted.
fn field_traits(field: &FieldMeta) -> Result<Vec<(String, Value)>> {
    let counted = ["clipped", "lifted", "postings"];
    let Value::Object(mut map) = json(field)? else { return Ok(Vec::new()) };
    map.retain(|name, _| !counted.contains(&name.as_str()));
    let named = |name: String| match &*name {
        "scale" => "impacts per unit of weight (`scale`)".to_owned(),
        _ => name,
    };
    let mut traits: Vec<(String, Value)> =
        map.into_iter().map(|(name, value)| (named(name), value)).collect();
    // The kind first: parameters of another kind have other names.
    traits.sort_by_key(|(name, _)| (name != "kind", name.clone()));
    Ok(traits)
}

fn json(value: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| Error::Internal(format!("META to JSON: {e}")))
}
