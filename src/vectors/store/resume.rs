//! Whether a store may be continued under a plan.

use std::path::Path;

use serde_json::Value;

use super::manifest::{InputDigest, Plan};
use crate::error::{Error, Place, Result};

/// An error for anything that differs and decides the bytes. The names by which model and
/// licence go do not: digests tell models apart, and the folder may have been renamed.
pub(super) fn compare(dir: &Path, old: &Plan, new: &Plan) -> Result<()> {
    let mut new = new.clone();
    if let (Some(old), Some(new)) = (&old.encoding, &mut new.encoding) {
        new.model.name.clone_from(&old.model.name);
        new.model.licence.clone_from(&old.model.licence);
    }
    // Where a shard begins depends on the input, which is looked at last: other --fields make
    // other texts of the same files.
    let input = std::mem::replace(&mut new.input, old.input.clone());
    let doc_base = std::mem::replace(&mut new.doc_base, old.doc_base);
    compare_flags(dir, old, &new)?;
    if input != old.input {
        return Err(other_input(&differing(old.input.as_ref(), input.as_ref())));
    }
    if doc_base != old.doc_base {
        let problem = format!("expected to begin at document {}, found {doc_base}", old.doc_base);
        return Err(Error::data(dir, Place::File, problem).hint(SAME_FLAGS));
    }
    Ok(())
}

const SAME_FLAGS: &str = "resume with the flags and model it was started with";

fn compare_flags(dir: &Path, old: &Plan, new: &Plan) -> Result<()> {
    let json =
        |plan: &Plan| serde_json::to_value(plan).map_err(|e| Error::Internal(format!("plan: {e}")));
    let Some((field, was, is)) = difference(&json(old)?, &json(new)?, String::new()) else {
        return Ok(());
    };
    let hint = match &*field {
        "encoding.simd" => "resume on the same kind of processor",
        _ => SAME_FLAGS,
    };
    let problem = format!("the store was started with {field} = {was}, found {is}");
    Err(Error::data(dir, Place::File, problem).hint(hint))
}

/// What is not as it was in the input of a store.
fn differing(old: Option<&InputDigest>, new: Option<&InputDigest>) -> String {
    let (Some(old), Some(new)) = (old, new) else {
        let way = |is: bool| if is { "files" } else { "standard input or a pipe" };
        return format!("expected {}, found {}", way(old.is_some()), way(new.is_some()));
    };
    if old.documents != new.documents {
        return format!("expected {} documents, found {}", old.documents, new.documents);
    }
    let short = |digest: &str| digest.chars().take(12).collect::<String>();
    format!(
        "expected {} documents with ids and texts of digest {}…, found as many of digest {}…",
        old.documents,
        short(&old.digest),
        short(&new.digest)
    )
}

/// A store continues with the input it was started with, and only with it; `what` is not as
/// it was.
pub(crate) fn other_input(what: &str) -> Error {
    Error::Usage(format!(
        "the input differs from what the store was made from: {what}; resume with the same \
         input, or remove the store and encode again"
    ))
}

/// The first field that differs, dotted, with both values.
fn difference(old: &Value, new: &Value, at: String) -> Option<(String, Value, Value)> {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            // Fields that say nothing may be left out on either side.
            let mut keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            let field = |object: &serde_json::Map<String, Value>, key: &String| {
                object.get(key).cloned().unwrap_or(Value::Null)
            };
            keys.find_map(|key| {
                let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                difference(&field(a, key), &field(b, key), at)
            })
        }
        _ if old == new => None,
        _ => Some((at, old.clone(), new.clone())),
    }
}
