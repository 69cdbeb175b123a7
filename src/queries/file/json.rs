//! Queries as JSON Lines: `{"id": …, "vector": {token: weight}}` or `{"id": …, "text": …}`;
//! for hybrid indexes both, or two vectors, `vector` and `bm25`.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use serde_json::Value;

use super::super::{Constraints, Lift};
use super::{QueryBody, QueryKind, Wishes, check_weight, repeated};
use crate::corpus::json::{
    ID_NAMES, Key, Number, Scalar, first_id, first_value, parse_line, set_once,
};
use crate::query::Condition;

const TEXT: usize = ID_NAMES.len() + 1;
const VECTOR: usize = TEXT + 3;
const BM25: usize = VECTOR + 1;
const FILTER: usize = BM25 + 1;
const BOOST: usize = FILTER + 1;
const MIN_SCORE: usize = BOOST + 1;
const REQUIRED: usize = MIN_SCORE + 1;
const EXCLUDED: usize = REQUIRED + 1;
const NAMES: [&str; EXCLUDED + 1] = [
    ID_NAMES[0],
    ID_NAMES[1],
    ID_NAMES[2],
    "qid",
    "text",
    "contents",
    "query",
    "vector",
    "bm25",
    "filter",
    "boost",
    "min_score",
    "required",
    "excluded",
];
/// What a line of a request may have besides.
const K: usize = EXCLUDED + 1;
const ALGORITHM: usize = K + 1;
const WISHES: [&str; 2] = ["k", "algorithm"];

/// A line of a request, to be shown where one has another shape.
pub(super) const SHAPE: &str =
    r#"a line is {"id": "q1", "text": "blue whale", "k": 10}, or has {"vector": {"whale": 1.3}}"#;

/// How a file has queries in JSON, to be shown where it has them otherwise.
pub(super) const LINES: &str = r#"a line is {"id": "q1", "text": "blue whale"} or {"id": "q1", "vector": {"whale": 1.3}}; of an array of such objects, jq -c '.[]' FILE makes lines"#;

/// What makes lines of one object that maps ids to texts.
pub(super) const OF_MAP: &str = r#"of one object {"q1": "blue whale"}, jq -c 'to_entries[] | {id: .key, text: .value}' FILE makes lines"#;

/// Id, what is asked, what is asked of the BM25 field if that is something else, and of documents
/// beside their terms.
type Parsed = (String, QueryBody, Option<QueryBody>, Constraints);

/// Parses one line. An object with both a text and a vector gives what `kind` asks for,
/// by default the vector, and the text is for BM25.
pub(super) fn parse(line: &str, kind: QueryKind) -> Result<Parsed, String> {
    interpreted(object(line, false)?, kind)
}

/// As [`parse`], for a line of a request: it may say `k` and `algorithm`, and nothing that is
/// not known, which would be passed over.
pub(super) fn parse_asked(line: &str, kind: QueryKind) -> Result<(Parsed, Wishes), String> {
    let mut object = object(line, true)?;
    let wishes = wishes(object.k.take(), object.algorithm.take())?;
    Ok((interpreted(object, kind)?, wishes))
}

fn wishes(k: Option<Scalar>, algorithm: Option<Scalar>) -> Result<Wishes, String> {
    let k = match k {
        None | Some(Scalar::Null) => None,
        Some(Scalar::Integer(k)) if k.parse().is_ok_and(|k: usize| k > 0) => k.parse().ok(),
        Some(other) => {
            return Err(format!("expected \"k\" to be 1 or more, found {}", other.shown()));
        }
    };
    let algorithm = match algorithm {
        None | Some(Scalar::Null) => None,
        Some(Scalar::Text(name)) => {
            Some(name.parse().map_err(|e: crate::error::Error| e.to_string())?)
        }
        Some(other) => {
            let found = other.shown();
            return Err(format!("expected \"algorithm\" to be a string, found {found}"));
        }
    };
    Ok(Wishes { k, algorithm })
}

fn object(line: &str, asked: bool) -> Result<JsonFields, String> {
    parse_line(line, |json| Object { asked }.deserialize(json))
}

fn interpreted(object: JsonFields, kind: QueryKind) -> Result<Parsed, String> {
    let constraints = Constraints {
        required: words("required", object.required)?,
        excluded: words("excluded", object.excluded)?,
        ..constraints(object.filter, object.boost, object.min_score)?
    };
    let mut scalars = object.scalars;
    let texts = scalars.split_off(TEXT);
    let id = first_id(scalars)?;
    let text = first_value(NAMES[TEXT..].iter().zip(texts));
    let text = text.map(|(name, text)| (text, name));
    // A null is as good as absent beside what is not null; alone it is an empty query.
    let text = text.filter(|(text, _)| *text != Scalar::Null || object.vector.is_none());
    let null = object.null_vector && text.is_none();
    let vector = object.vector.or_else(|| null.then(Vec::new));
    let wants_text = matches!(kind, QueryKind::Text | QueryKind::Repeated);
    let bm25 = object.bm25.map(checked).transpose()?;
    let (body, text) = match (vector, text) {
        (Some(vector), text) if !wants_text => {
            let text = text.map(|(text, name)| text.into_text(name)).transpose()?;
            (checked(vector)?, text.map(QueryBody::Text))
        }
        (_, Some((text, name))) if kind != QueryKind::Weighted => {
            let text = text.into_text(name)?;
            let body = match kind {
                QueryKind::Repeated => QueryBody::Weighted(repeated(&text)),
                _ => QueryBody::Text(text),
            };
            (body, None)
        }
        _ => {
            let wanted = match kind {
                QueryKind::Weighted => "a field \"vector\"",
                QueryKind::Text | QueryKind::Repeated => {
                    "a field \"text\" (or \"contents\", \"query\")"
                }
                QueryKind::Auto => "a field \"vector\" or \"text\" (or \"contents\", \"query\")",
            };
            return Err(format!("expected {wanted}, found none"));
        }
    };
    Ok((id, body, bm25.or(text), constraints))
}

fn constraints(
    filter: Option<Value>,
    boost: Option<Value>,
    min_score: Option<Value>,
) -> Result<Constraints, String> {
    let told = |error: crate::error::Error| error.to_string();
    let given = |value: Option<Value>| value.filter(|value| !value.is_null());
    let filter = given(filter).map(|value| Condition::from_json(&value)).transpose();
    let boost = match given(boost) {
        None => Vec::new(),
        // A pair of a number and a filter is one.
        Some(Value::Array(lifts)) if !lifts.first().is_some_and(Value::is_number) => {
            lifts.iter().map(Lift::from_json).collect::<Result<_, _>>().map_err(told)?
        }
        Some(one) => vec![Lift::from_json(&one).map_err(told)?],
    };
    let min_score = match given(min_score) {
        None => 0,
        Some(value) => value.as_u64().and_then(|n| u32::try_from(n).ok()).ok_or_else(|| {
            format!("expected \"min_score\" to be a whole number from 0, found {value}")
        })?,
    };
    Ok(Constraints { filter: filter.map_err(told)?, boost, min_score, ..Constraints::default() })
}

fn words(name: &str, value: Option<Value>) -> Result<Vec<String>, String> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let words = Option::<Vec<String>>::deserialize(&value).map(Option::unwrap_or_default);
    words.map_err(|_| format!("expected {name:?} to be a list of words, found {value}"))
}

fn checked(vector: Vec<(String, f64)>) -> Result<QueryBody, String> {
    vector.iter().try_for_each(|(token, weight)| check_weight(token, *weight))?;
    Ok(QueryBody::Weighted(vector))
}

struct Object {
    /// Whether it is a line of a request.
    asked: bool,
}

impl Object {
    /// The slot of the next key, `None` inside for a key that is passed over.
    fn next_key<'de, A: MapAccess<'de>>(
        &self,
        map: &mut A,
    ) -> Result<Option<Option<usize>>, A::Error> {
        if !self.asked {
            return map.next_key_seed(Key(&NAMES));
        }
        let Some(key) = map.next_key::<String>()? else { return Ok(None) };
        match NAMES.iter().chain(&WISHES).position(|name| *name == key) {
            Some(slot) => Ok(Some(Some(slot))),
            None => {
                let known: Vec<&str> = NAMES.iter().chain(&WISHES).copied().collect();
                let known = known.join(", ");
                Err(A::Error::custom(format!("unknown key {key:?}; known are {known}")))
            }
        }
    }
}

struct JsonFields {
    scalars: Vec<Option<Scalar>>,
    vector: Option<Vec<(String, f64)>>,
    bm25: Option<Vec<(String, f64)>>,
    null_vector: bool,
    filter: Option<Value>,
    boost: Option<Value>,
    min_score: Option<Value>,
    required: Option<Value>,
    excluded: Option<Value>,
    k: Option<Scalar>,
    algorithm: Option<Scalar>,
}

impl<'de> DeserializeSeed<'de> for Object {
    type Value = JsonFields;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<JsonFields, D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object {
    type Value = JsonFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one JSON object a line")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonFields, A::Error> {
        let mut fields = JsonFields {
            scalars: vec![None; VECTOR],
            vector: None,
            bm25: None,
            null_vector: false,
            filter: None,
            boost: None,
            min_score: None,
            required: None,
            excluded: None,
            k: None,
            algorithm: None,
        };
        let (mut vector, mut bm25) = (None, None);
        while let Some(slot) = self.next_key(&mut map)? {
            match slot {
                Some(K) => set_once(&mut fields.k, map.next_value()?, "k")?,
                Some(ALGORITHM) => set_once(&mut fields.algorithm, map.next_value()?, "algorithm")?,
                Some(VECTOR) => set_once(&mut vector, map.next_value_seed(Pairs)?, "vector")?,
                Some(BM25) => set_once(&mut bm25, map.next_value_seed(Pairs)?, "bm25")?,
                Some(FILTER) => set_once(&mut fields.filter, map.next_value()?, "filter")?,
                Some(BOOST) => set_once(&mut fields.boost, map.next_value()?, "boost")?,
                Some(REQUIRED) => set_once(&mut fields.required, map.next_value()?, "required")?,
                Some(EXCLUDED) => set_once(&mut fields.excluded, map.next_value()?, "excluded")?,
                Some(MIN_SCORE) => set_once(&mut fields.min_score, map.next_value()?, "min_score")?,
                Some(slot) => {
                    set_once(&mut fields.scalars[slot], map.next_value()?, NAMES[slot])?;
                }
                None => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        fields.null_vector = matches!(vector, Some(None));
        (fields.vector, fields.bm25) = (vector.flatten(), bm25.flatten());
        Ok(fields)
    }
}

/// `{token: weight, …}` in file order, repeated tokens kept; `None` for null.
struct Pairs;

impl<'de> DeserializeSeed<'de> for Pairs {
    type Value = Option<Vec<(String, f64)>>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Pairs {
    type Value = Option<Vec<(String, f64)>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"vector\" and \"bm25\" to be objects of token: weight")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((token, Number(weight))) = map.next_entry()? {
            pairs.push((token, weight));
        }
        Ok(Some(pairs))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}
