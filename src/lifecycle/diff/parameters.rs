//! Build parameters that are not the same.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::index::Index;

/// A parameter that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Parameter {
    /// Its name, with dots where it is part of another.
    pub name: String,
    /// What it is in the old and in the new index; null where there is none.
    pub values: [Value; 2],
}

/// Parameters of two indexes that differ, by name.
pub(super) fn differing(old: &Index, new: &Index) -> Vec<Parameter> {
    let (old, new) = (facts(old), facts(new));
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    let value =
        |facts: &Map<String, Value>, name: &str| facts.get(name).cloned().unwrap_or(Value::Null);
    let both = |name: &String| Parameter {
        name: name.clone(),
        values: [value(&old, name), value(&new, name)],
    };
    names.into_iter().map(both).filter(|p| p.values[0] != p.values[1]).collect()
}

/// What decided the file, flat; no counts of what is in it.
fn facts(index: &Index) -> Map<String, Value> {
    let meta = index.meta();
    let provenance = index.provenance();
    let mut facts = Map::new();
    let order = if meta.reordered { "reordered" } else { "input" };
    let all = json!({
        "codec": meta.codec, "order": order, "bits": meta.bits, "skip_data": index.has_skip_data(),
        "pruning": meta.pruning, "shard": meta.shard, "tool": provenance.tool,
        "inputs": provenance.inputs, "model": provenance.model,
    });
    flatten("", &all, &mut facts);
    for key in index.attributes().iter().flat_map(|attributes| attributes.keys()) {
        facts.insert(format!("attributes.{}", key.name), json!(key.kind));
    }
    for field in &meta.fields {
        let kind: Result<Value, _> = serde_json::to_value(&field.kind);
        flatten(field.kind.name(), &kind.unwrap_or_default(), &mut facts);
        facts.insert(format!("{}.scale", field.kind.name()), json!(field.scale));
    }
    facts
}

fn flatten(name: &str, value: &Value, facts: &mut Map<String, Value>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            let dot = if name.is_empty() { "" } else { "." };
            flatten(&format!("{name}{dot}{key}"), value, facts);
        }),
        Value::Null => {}
        value => {
            facts.insert(name.to_owned(), value.clone());
        }
    }
}
