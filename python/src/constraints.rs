//! Filters, boosts and attributes of Python.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyList, PyString};
use serde_json::Value;
use splindex::builder::AttributeSource;
use splindex::corpus::{AttributeRecord, AttributeValue};
use splindex::queries::{Constraints, Lift};
use splindex::query::Condition;

use crate::error::{Raise, usage};
use crate::feed::type_name;

/// What a search asks of documents beside their terms: a text or a dict as `filter`; texts, pairs
/// or dicts as `boost`.
///
/// # Errors
/// What is no filter or no boost.
pub fn constraints(
    py: Python<'_>,
    filter: Option<&Bound<'_, PyAny>>,
    boost: Option<&Bound<'_, PyAny>>,
    min_score: u32,
) -> PyResult<Constraints> {
    let filter = filter.map(|filter| Condition::from_json(&json(filter)?).raise(py)).transpose()?;
    let boost = match boost.map(json).transpose()? {
        None => Vec::new(),
        Some(Value::Array(lifts)) if !lifts.first().is_some_and(Value::is_number) => {
            lifts.iter().map(|lift| Lift::from_json(lift).raise(py)).collect::<PyResult<_>>()?
        }
        Some(one) => vec![Lift::from_json(&one).raise(py)?],
    };
    Ok(Constraints { filter, boost, min_score, ..Constraints::default() })
}

fn json(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    let py = value.py();
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Value::String(text.to_str()?.to_owned()));
    }
    let text: String = py.import("json")?.call_method1("dumps", (value,))?.extract()?;
    serde_json::from_str(&text).map_err(|e| usage(py, format!("expected JSON, found {e}")))
}

/// Files of attributes; files of documents and names of their fields; records.
type Given<'py> = (Vec<PathBuf>, Option<(Vec<PathBuf>, Vec<String>)>, Bound<'py, PyAny>);

/// Attributes as `splindex._inputs` gives them; a record is an id and pairs of a key and a value.
///
/// # Errors
/// A value that no attribute can have.
pub fn attributes(given: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<AttributeSource>> {
    let Some(given) = given else { return Ok(Vec::new()) };
    let mut sources = Vec::new();
    let (paths, fields, records): Given<'_> = given.extract()?;
    sources.extend(paths.into_iter().map(AttributeSource::File));
    if let Some((paths, names)) = fields {
        let fields = |path| AttributeSource::Fields(path, names.clone());
        sources.extend(paths.into_iter().map(fields));
    }
    let mut read = Vec::new();
    for record in records.try_iter()? {
        let (id, pairs): (String, Vec<(String, Bound<'_, PyAny>)>) = record?.extract()?;
        let value = |(key, found): (String, Bound<'_, PyAny>)| {
            let value = value(&key, &found)?;
            Ok::<_, PyErr>((key, value))
        };
        let values = pairs.into_iter().map(value).collect::<PyResult<_>>()?;
        read.push(AttributeRecord { id, values });
    }
    if !read.is_empty() {
        sources.push(AttributeSource::Records(Arc::new(read)));
    }
    Ok(sources)
}

fn value(key: &str, found: &Bound<'_, PyAny>) -> PyResult<AttributeValue> {
    if found.is_instance_of::<PyBool>() {
        return Ok(AttributeValue::Boolean(found.extract()?));
    }
    if found.is_instance_of::<PyInt>() {
        return Ok(AttributeValue::Integer(found.extract()?));
    }
    if found.is_instance_of::<PyFloat>() {
        return Ok(AttributeValue::Float(found.extract()?));
    }
    if found.is_instance_of::<PyString>() {
        return Ok(AttributeValue::Text(found.extract()?));
    }
    let texts = found.cast::<PyList>().ok().and_then(|list| list.extract().ok());
    texts.map(AttributeValue::Texts).ok_or_else(|| {
        let expected = "str, a list of str, int, float, bool or datetime";
        let (py, found) = (found.py(), type_name(found));
        usage(py, format!("`attributes`: key {key:?}: expected {expected}, found {found}"))
    })
}
