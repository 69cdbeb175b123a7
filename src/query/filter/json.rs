//! The same tree as JSON: `{"and": [{"=": ["lang", "en"]}, {"not": {"in": ["site", ["a", "b"]]}}]}`.

use serde_json::{Map, Value, json};

use super::condition::{Comparison, Condition, Literal};
use crate::error::{Error, Result};

impl Condition {
    /// Of JSON: an object with one name, or a text in the language.
    ///
    /// # Errors
    /// Anything else; the error shows it.
    pub fn from_json(value: &Value) -> Result<Self> {
        match value {
            Value::String(text) => text.parse(),
            Value::Object(map) => of_object(map),
            other => Err(unfit("a filter as a text or an object", other)),
        }
    }

    /// As JSON, which [`from_json`](Self::from_json) reads.
    pub fn to_json(&self) -> Value {
        let all = |parts: &[Condition]| parts.iter().map(Condition::to_json).collect::<Vec<_>>();
        let values = |values: &[Literal]| values.iter().map(to_value).collect::<Vec<_>>();
        match self {
            Condition::Has(key) => json!({"has": key}),
            Condition::Compare(key, comparison, literal) => {
                json!({comparison.sign(): [key, to_value(literal)]})
            }
            Condition::In(key, literals) => json!({"in": [key, values(literals)]}),
            Condition::NotIn(key, literals) => json!({"not in": [key, values(literals)]}),
            Condition::And(parts) => json!({"and": all(parts)}),
            Condition::Or(parts) => json!({"or": all(parts)}),
            Condition::Not(part) => json!({"not": part.to_json()}),
        }
    }
}

fn unfit(expected: &str, found: &Value) -> Error {
    Error::Usage(format!("`filter`: expected {expected}, found {found}"))
}

fn of_object(map: &Map<String, Value>) -> Result<Condition> {
    const NAMES: &str =
        "an object with one of and, or, not, has, in, \"not in\", =, !=, <, <=, >, >=";
    let whole = || Value::Object(map.clone());
    let mut names = map.iter();
    let (Some((name, value)), None) = (names.next(), names.next()) else {
        return Err(unfit(NAMES, &whole()));
    };
    let parts = || {
        let parts = value.as_array().filter(|parts| !parts.is_empty());
        let parts = parts.ok_or_else(|| unfit("a list of filters", &whole()))?;
        parts.iter().map(Condition::from_json).collect::<Result<Vec<_>>>()
    };
    let pair = || match value.as_array().map(Vec::as_slice) {
        Some([Value::String(key), value]) => Ok((key.clone(), value)),
        _ => Err(unfit("a list of a key and a value", &whole())),
    };
    let several = || {
        let (key, values) = pair()?;
        let list = values.as_array().ok_or_else(|| unfit("a list of values", values))?;
        Ok((key, list.iter().map(literal).collect::<Result<Vec<_>>>()?))
    };
    Ok(match name.as_str() {
        "and" => Condition::And(parts()?),
        "or" => Condition::Or(parts()?),
        "not" => Condition::Not(Box::new(Condition::from_json(value)?)),
        "has" => match value {
            Value::String(key) => Condition::Has(key.clone()),
            other => return Err(unfit("a key", other)),
        },
        "in" => {
            let (key, values) = several()?;
            Condition::In(key, values)
        }
        "not in" => {
            let (key, values) = several()?;
            Condition::NotIn(key, values)
        }
        name => {
            let known = Comparison::ALL.into_iter().find(|comparison| comparison.sign() == name);
            let comparison = known.ok_or_else(|| unfit(NAMES, &whole()))?;
            let (key, value) = pair()?;
            Condition::Compare(key, comparison, literal(value)?)
        }
    })
}

fn literal(value: &Value) -> Result<Literal> {
    match value {
        Value::String(text) => Ok(Literal::Text(text.clone())),
        Value::Bool(value) => Ok(Literal::Boolean(*value)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Ok(Literal::Integer(integer)),
            (None, Some(float)) if float.is_finite() => Ok(Literal::Float(float)),
            _ => Err(unfit("a finite number", value)),
        },
        other => Err(unfit("a string, a number or a boolean", other)),
    }
}

fn to_value(literal: &Literal) -> Value {
    match literal {
        Literal::Text(text) => json!(text),
        Literal::Integer(number) => json!(number),
        Literal::Float(number) => json!(number),
        Literal::Boolean(value) => json!(value),
    }
}
