//! Attributes of documents in: JSON Lines `{"id": …, key: value …}` and TSV `id<TAB>key=value…`.

use std::fmt;
use std::path::Path;

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::header::is_header;
use super::ids::check_id;
use super::input::BytesRead;
use super::json::{ID_NAMES, Scalar, first_id, parse_line, set_once};
use super::lines::Lines;
use crate::error::{Error, Result};

/// One value of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue {
    /// A string; where all of a key are RFC 3339, a time.
    Text(String),
    /// Several strings.
    Texts(Vec<String>),
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A finite number.
    Float(f64),
    /// What stands in a TSV file: of the type that all of the key's values have.
    Untyped(String),
}

impl AttributeValue {
    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            AttributeValue::Text(_) => "a string",
            AttributeValue::Texts(_) => "a list of strings",
            AttributeValue::Boolean(_) => "a boolean",
            AttributeValue::Integer(_) => "an integer",
            AttributeValue::Float(_) => "a float",
            AttributeValue::Untyped(_) => "a text",
        }
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl From<$from> for AttributeValue {
            fn from(value: $from) -> Self {
                AttributeValue::$variant(value.into())
            }
        })*
    };
}

from! {
    &str => Text, String => Text, Vec<String> => Texts, bool => Boolean, i32 => Integer,
    u32 => Integer, i64 => Integer, f32 => Float, f64 => Float,
}

impl From<&[&str]> for AttributeValue {
    fn from(values: &[&str]) -> Self {
        AttributeValue::Texts(values.iter().map(|&value| value.to_owned()).collect())
    }
}

/// A document's values by key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AttributeRecord {
    /// The document's id.
    pub id: String,
    /// Keys, each once but in TSV, where a key again is one more value; in the order of the line.
    pub values: Vec<(String, AttributeValue)>,
}

/// Reads a file of attributes line by line. A value of null, an empty list, and in TSV an empty
/// value, are as good as none.
pub struct AttributeReader {
    lines: Lines,
    json: Option<bool>,
    keys: Option<Vec<String>>,
}

impl AttributeReader {
    /// Opens a file; with `keys` only these are read, of JSON Lines, whatever else stands there.
    ///
    /// # Errors
    /// A file that is not there or that is no text.
    pub fn open(path: &Path, keys: Option<&[String]>) -> Result<Self> {
        let lines = Lines::open(path, &BytesRead::default())?;
        Ok(AttributeReader { lines, json: None, keys: keys.map(<[String]>::to_vec) })
    }

    /// An error at the current line.
    pub(crate) fn error(&self, problem: impl Into<String>) -> Error {
        self.lines.error(problem)
    }

    /// The current line, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.lines.number()
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// A malformed line; a value that no attribute can have.
    pub fn read(&mut self) -> Result<Option<AttributeRecord>> {
        while self.lines.advance()? {
            let line = self.lines.text();
            let json = *self.json.get_or_insert_with(|| line.trim_start().starts_with('{'));
            if !json && is_header(line.split('\t')) {
                continue;
            }
            let record = match json {
                true => parse_json(line, self.keys.as_deref()),
                false if self.keys.is_some() => {
                    Err("expected JSON Lines, whose fields have names, found another text".into())
                }
                false => parse_tsv(line),
            };
            let record = record.and_then(|record| check_id(&record.id).map(|()| record));
            return record.map(Some).map_err(|problem| self.error(problem));
        }
        Ok(None)
    }
}

fn parse_tsv(line: &str) -> Result<AttributeRecord, String> {
    let mut columns = line.split('\t');
    let id = columns.next().unwrap_or_default().trim_matches(' ').to_owned();
    let mut values = Vec::new();
    for column in columns.filter(|column| !column.is_empty()) {
        let (key, value) = column.split_once('=').ok_or_else(|| {
            format!("expected id<TAB>key=value…, found the column {column:?} without \"=\"")
        })?;
        if !value.is_empty() {
            values.push((key.trim().to_owned(), AttributeValue::Untyped(value.to_owned())));
        }
    }
    Ok(AttributeRecord { id, values })
}

fn parse_json(line: &str, keys: Option<&[String]>) -> Result<AttributeRecord, String> {
    let (ids, values) = parse_line(line, |json| json.deserialize_map(Fields { keys }))?;
    Ok(AttributeRecord { id: first_id(ids)?, values })
}

/// All fields of an object, or the wanted ones, and its ids.
struct Fields<'a> {
    keys: Option<&'a [String]>,
}

type Read = ([Option<Scalar>; ID_NAMES.len()], Vec<(String, AttributeValue)>);

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one JSON object a line")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Read, A::Error> {
        let (mut ids, mut values) = ([const { None }; ID_NAMES.len()], Vec::<(String, _)>::new());
        while let Some(key) = map.next_key::<String>()? {
            if let Some(place) = ID_NAMES.iter().position(|name| *name == key) {
                set_once(&mut ids[place], map.next_value()?, &key)?;
            } else if self.keys.is_some_and(|keys| !keys.contains(&key)) {
                map.next_value::<IgnoredAny>()?;
            } else if let Some(value) = map.next_value_seed(ValueOf(&key))? {
                let known = values.iter().any(|(name, _)| *name == key);
                set_once(&mut known.then_some(()), (), &key)?;
                values.push((key, value));
            }
        }
        Ok((ids, values))
    }
}

/// The value of a key; `None` for what is as good as absent.
struct ValueOf<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for ValueOf<'_> {
    type Value = Option<AttributeValue>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl ValueOf<'_> {
    fn refused<E: de::Error>(&self, found: impl fmt::Display) -> E {
        E::custom(format!(
            "key {:?}: expected a string, a list of strings, a number or a boolean, found {found}",
            self.0
        ))
    }
}

impl<'de> Visitor<'de> for ValueOf<'_> {
    type Value = Option<AttributeValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of key {:?}", self.0)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(AttributeValue::Text(text.to_owned())))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(AttributeValue::Boolean(value)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(AttributeValue::Integer(number)))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        let integer = i64::try_from(number).map_err(|_| {
            E::custom(format!("key {:?}: expected integers of 64 bits, found {number}", self.0))
        })?;
        Ok(Some(AttributeValue::Integer(integer)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(AttributeValue::Float(number)))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut texts = Vec::new();
        while let Some(value) = seq.next_element::<Element>()? {
            match value {
                Element(Scalar::Text(text)) => texts.push(text),
                Element(other) => {
                    return Err(self.refused(format!("a list with {}", other.shown())));
                }
            }
        }
        Ok((!texts.is_empty()).then_some(AttributeValue::Texts(texts)))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(self.refused("an object"))
    }
}

struct Element(Scalar);

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Scalar::deserialize(d).map(Element)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(line: &str) -> Result<AttributeRecord, String> {
        parse_json(line, None)
    }

    #[test]
    fn values_have_the_types_of_json_and_null_is_none() {
        let line = r#"{"a":"x","b":["p","q"],"id":7,"c":true,"d":-3,"e":1.5,"f":null,"g":[]}"#;
        let record = json(line).unwrap();
        assert_eq!(record.id, "7");
        let values: Vec<AttributeValue> = record.values.into_iter().map(|(_, v)| v).collect();
        let list = AttributeValue::from(&["p", "q"][..]);
        assert_eq!(values, ["x".into(), list, true.into(), (-3).into(), 1.5.into()]);
        let wanted = parse_json(r#"{"id":"d","v":{"x":1},"lang":"en"}"#, Some(&["lang".into()]));
        assert_eq!(wanted.unwrap().values, [("lang".into(), "en".into())]);
    }

    #[test]
    fn what_no_attribute_can_be_is_said() {
        for (line, problem) in [
            (r#"{"id":"d","a":{"b":1}}"#, "key \"a\": expected a string, a list of strings"),
            (r#"{"id":"d","a":["x",1]}"#, "found a list with 1"),
            (r#"{"id":"d","a":1,"a":2}"#, "the field \"a\" once, found it twice"),
            (r#"{"id":"d","a":18446744073709551615}"#, "expected integers of 64 bits"),
            (r#"{"a":1}"#, "expected a field \"id\""),
        ] {
            let found = json(line).unwrap_err();
            assert!(found.contains(problem), "{line}: {found}");
        }
    }

    #[test]
    fn tsv_columns_are_keys_with_values_as_they_stand() {
        let record = parse_tsv("d1\tlang=en\ttag=a=b\ttag=c\t\tnone=").unwrap();
        let expected = [("lang", "en"), ("tag", "a=b"), ("tag", "c")];
        let untyped = |(key, value): (&str, &str)| {
            (key.to_owned(), AttributeValue::Untyped(value.to_owned()))
        };
        assert_eq!(record.values, expected.map(untyped));
        assert!(parse_tsv("d1\tlang").unwrap_err().contains("without \"=\""));
    }
}
