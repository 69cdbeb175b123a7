//! SentenceTransformers' `Router`: a route of modules for each kind of text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::reader::{Reader, inside};
use crate::error::{Error, Place, Result};
use crate::vectors::store::Kind;

#[derive(Deserialize)]
struct RouterConfig {
    types: BTreeMap<String, String>,
    structure: BTreeMap<String, Vec<String>>,
    parameters: Option<RouterParameters>,
}

#[derive(Deserialize, Default)]
struct RouterParameters {
    default_route: Option<String>,
    route_mappings: Option<BTreeMap<String, String>>,
}

/// (class, directory) of each module that texts of `kind` go through.
pub(super) fn route(dir: &Path, kind: Kind, reader: &mut Reader) -> Result<Vec<(String, PathBuf)>> {
    let new = dir.join("router_config.json");
    let path = if new.exists() { new } else { dir.join("config.json") };
    let config: RouterConfig = reader.json(&path)?.ok_or_else(|| {
        Error::data(dir, Place::File, "expected router_config.json for the Router, found none")
    })?;
    let bad = |problem: String| Error::data(&path, Place::File, problem);
    let name = config.route(kind).ok_or_else(|| {
        let routes: Vec<&str> = config.structure.keys().map(String::as_str).collect();
        bad(format!("expected a route for {}, found {}", task(kind), routes.join(", ")))
    })?;
    let ids = &config.structure[name];
    ids.iter()
        .map(|id| {
            let full = config.types.get(id).ok_or_else(|| {
                bad(format!("expected a type for module {id:?} of route {name:?}, found none"))
            })?;
            Ok((class(full).to_owned(), inside(&path, dir, id)?))
        })
        .collect()
}

impl RouterConfig {
    /// The route that SparseEncoder takes for texts of this kind.
    fn route(&self, kind: Kind) -> Option<&str> {
        let task = task(kind);
        let parameters = self.parameters.as_ref();
        let mappings = parameters.and_then(|p| p.route_mappings.as_ref());
        let default = parameters.and_then(|p| p.default_route.as_deref());
        // Keys are Python tuples in print: ('query', 'text').
        let mapped = [
            format!("('{task}', 'text')"),
            format!("('{task}', None)"),
            "(None, 'text')".into(),
            "(None, None)".into(),
        ];
        let mapped = mapped.iter().find_map(|key| mappings?.get(key)).map(String::as_str);
        let named = [Some(task), Some("text"), default];
        mapped
            .into_iter()
            .chain(named.into_iter().flatten())
            .find(|name| self.structure.contains_key(*name))
    }
}

fn task(kind: Kind) -> &'static str {
    match kind {
        Kind::Document => "document",
        Kind::Query => "query",
    }
}

/// Last part of a dotted Python name.
pub(super) fn class(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_routes_win_and_the_default_comes_last() {
        let config = |mappings: &str, structure: &str| -> RouterConfig {
            let json = format!(
                r#"{{"types":{{}},"structure":{structure},
                "parameters":{{"default_route":"d","route_mappings":{mappings}}}}}"#
            );
            serde_json::from_str(&json).unwrap()
        };
        let both = r#"{"query":[],"d":[],"fast":[]}"#;
        assert_eq!(config("{}", both).route(Kind::Query), Some("query"));
        assert_eq!(config("null", both).route(Kind::Document), Some("d"));
        let mapped = config(r#"{"('query', 'text')":"fast"}"#, both);
        assert_eq!(mapped.route(Kind::Query), Some("fast"));
        assert_eq!(config("{}", r#"{"image":[]}"#).route(Kind::Query), None);
    }
}
