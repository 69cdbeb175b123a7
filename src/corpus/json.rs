//! Reading a few fields of a JSON object without building the whole of it.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::de::StrRead;

use super::ids::trim_id;

/// Names under which a record's id is looked for, best first.
pub(crate) const ID_NAMES: [&str; 3] = ["id", "_id", "docid"];

/// What is wrong with `line`, from serde_json's error: its "line 1" is not our line.
pub(crate) fn json_problem(error: &serde_json::Error, line: &str) -> String {
    let text = crate::error::foreign(error);
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(problem, _)| problem);
    match error.classify() {
        serde_json::error::Category::Data if line.trim_start().starts_with('[') => {
            format!("{text}; of one JSON list, jq -c '.[]' makes lines")
        }
        serde_json::error::Category::Data => text.to_owned(),
        // The first line of an object that is spread over several.
        serde_json::error::Category::Eof if line.trim() == "{" => {
            "expected one JSON object a line, found its first line only; jq -c . makes lines".into()
        }
        _ if text == "number out of range" => {
            format!("expected a finite number, found one too large at column {}", error.column())
        }
        _ => match not_finite(line, error.column()) {
            Some(found) => format!("expected a finite number, found {found}"),
            None => format!(
                "expected one JSON object a line, found malformed JSON at column {}: {text}",
                error.column()
            ),
        },
    }
}

/// The NaN or infinity around byte column `column` (from 1) of `line`: Python's json
/// writes them, though JSON has no such numbers.
fn not_finite(line: &str, column: usize) -> Option<&'static str> {
    // serde_json stops at the word, behind its minus, or one byte before either.
    (column.saturating_sub(2)..=column).find_map(|start| {
        let rest = line.get(start..)?;
        ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| rest.starts_with(word))
    })
}

/// `line` with null in place of each NaN and infinity outside of strings.
fn without_not_finite(line: &str) -> String {
    let (mut finite, mut rest, mut in_string) =
        (String::with_capacity(line.len() + 8), line, false);
    while let Some(c) = rest.chars().next() {
        let word = ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| rest.starts_with(word));
        let (taken, given) = match (c, word) {
            // What is escaped ends no string.
            ('\\', _) if in_string => {
                let taken = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                (taken, &rest[..taken])
            }
            (_, Some(word)) if !in_string => (word.len(), "null"),
            _ => (c.len_utf8(), &rest[..c.len_utf8()]),
        };
        in_string ^= c == '"';
        finite.push_str(given);
        rest = &rest[taken..];
    }
    finite
}

/// A JSON line as `read` reads it. Python's NaN and infinities, which are no JSON, are as good as
/// null where only such fields have them as are not read, or may be null: pandas writes them for
/// what is missing. A `read` that fails may be called again.
pub(crate) fn parse_line<T>(
    line: &str,
    mut read: impl for<'a> FnMut(&mut Deserializer<StrRead<'a>>) -> serde_json::Result<T>,
) -> Result<T, String> {
    let mut parse = |line: &str| {
        let mut json = Deserializer::from_str(line);
        let value = read(&mut json)?;
        json.end().map(|()| value)
    };
    let error = match parse(line) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let problem = json_problem(&error, line);
    if error.is_data() || not_finite(line, error.column()).is_none() {
        return Err(problem);
    }
    parse(&without_not_finite(line)).map_err(|again| match again.is_data() {
        true if !again.to_string().contains("null") => json_problem(&again, line),
        _ => problem,
    })
}

/// The values of the fields `names` of the JSON object in `line`, in that order; `None`
/// where there is no such field.
pub(crate) fn pick(line: &str, names: &[&str]) -> Result<Vec<Option<Scalar>>, String> {
    parse_line(line, |json| Pick { names }.deserialize(json))
}

/// A JSON value as far as ids and texts are concerned.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    Text(String),
    Integer(String),
    /// A whole number of which only the first digits are kept.
    Huge(String),
    Fraction(String),
    Null,
    Other(&'static str),
}

impl Scalar {
    fn kind(&self) -> &'static str {
        match self {
            Scalar::Text(_) => "a string",
            Scalar::Integer(_) => "a number",
            Scalar::Huge(_) => "a number of more than 64 bits",
            Scalar::Fraction(_) => "a fractional number",
            Scalar::Null => "null",
            Scalar::Other(kind) => kind,
        }
    }

    /// It, for an error.
    pub(crate) fn shown(&self) -> String {
        match self {
            Scalar::Text(text) => format!("{text:?}"),
            Scalar::Integer(number) | Scalar::Huge(number) | Scalar::Fraction(number) => {
                number.clone()
            }
            other => other.kind().to_owned(),
        }
    }

    /// The text of field `name`; null is an empty text, a number (a title that is a year) its digits.
    pub(crate) fn into_text(self, name: &str) -> Result<String, String> {
        match self {
            Scalar::Text(text)
            | Scalar::Integer(text)
            | Scalar::Huge(text)
            | Scalar::Fraction(text) => Ok(text),
            Scalar::Null => Ok(String::new()),
            other => Err(format!("expected a string in field {name:?}, found {}", other.kind())),
        }
    }

    /// The value as an id: a string, without blanks around it, or an integer.
    pub(crate) fn into_id(self) -> Result<String, String> {
        match self {
            Scalar::Text(id) | Scalar::Integer(id) => Ok(match trim_id(&id) {
                trimmed if trimmed.len() == id.len() => id,
                trimmed => trimmed.to_owned(),
            }),
            Scalar::Huge(_) => Err("expected an id (string or integer), found a number of more \
                                    than 64 bits; put it between quotes"
                .into()),
            other => Err(format!("expected an id (string or integer), found {}", other.kind())),
        }
    }
}

/// The first id there is among the values of [`ID_NAMES`].
pub(crate) fn first_id(values: impl IntoIterator<Item = Option<Scalar>>) -> Result<String, String> {
    let id = first_value(values.into_iter().map(|value| ((), value)));
    let ((), id) =
        id.ok_or_else(|| "expected a field \"id\" (or \"_id\", \"docid\"), found none".to_owned())?;
    id.into_id()
}

/// The first value that is not null, with its name; where all that there are are null, null.
/// Python's tools write null for what is absent.
pub(crate) fn first_value<N>(
    values: impl IntoIterator<Item = (N, Option<Scalar>)>,
) -> Option<(N, Scalar)> {
    let mut null = None;
    for (name, value) in values {
        match value {
            Some(Scalar::Null) => null = null.or(Some((name, Scalar::Null))),
            Some(value) => return Some((name, value)),
            None => {}
        }
    }
    null
}

struct Pick<'a> {
    names: &'a [&'a str],
}

impl<'de> DeserializeSeed<'de> for Pick<'_> {
    type Value = Vec<Option<Scalar>>;

    fn deserialize<D: de::Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = Vec<Option<Scalar>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one JSON object a line")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = vec![None; self.names.len()];
        while let Some(slot) = map.next_key_seed(Key(self.names))? {
            match slot {
                Some(slot) => set_once(&mut values[slot], map.next_value()?, self.names[slot])?,
                None => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(values)
    }
}

/// Takes the value of a field that an object may have once: of two, one would be lost.
pub(crate) fn set_once<T, E: de::Error>(
    slot: &mut Option<T>,
    value: T,
    name: &str,
) -> Result<(), E> {
    if slot.is_some() {
        return Err(E::custom(format!("expected the field {name:?} once, found it twice")));
    }
    *slot = Some(value);
    Ok(())
}

/// Maps an object's key to its position in a list of names, without copying it.
pub(crate) struct Key<'a>(pub(crate) &'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: de::Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| *name == key))
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: de::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ScalarVisitor)
    }
}

/// A number, of which an error says no more than that one is expected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Number(pub(crate) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: de::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_f64(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E>(self, n: f64) -> Result<Number, E> {
        Ok(Number(n))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Number, E> {
        Ok(Number(n as f64))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Number, E> {
        Ok(Number(n as f64))
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(n.to_string()))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(n.to_string()))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Scalar, E> {
        let digits = serde_json::Value::from(n).to_string();
        let huge = n.fract() == 0.0 && n.abs() >= u64::MAX as f64;
        Ok(if huge { Scalar::Huge(digits) } else { Scalar::Fraction(digits) })
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::Other("a boolean"))
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("an object"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_named_fields_and_skips_the_rest() {
        let line = r#"{"x":[{"id":1}],"id":7,"text":"a\u00e9\n","title":null}"#;
        let values = pick(line, &["id", "text", "title", "gone"]).unwrap();
        let expected =
            [Scalar::Integer("7".into()), Scalar::Text("aé\n".into()), Scalar::Null].map(Some);
        assert_eq!(values[..3], expected);
        assert_eq!(values[3], None);
    }

    #[test]
    fn numbers_that_json_does_not_have_are_null_where_they_may_be() {
        let line = r#"{"x":[NaN,{"y":-Infinity}],"id":"a\"NaN","title":NaN,"z":Infinity}"#;
        let values = pick(line, &["id", "title"]).unwrap();
        assert_eq!(values, [Scalar::Text("a\"NaN".into()), Scalar::Null].map(Some));
        assert_eq!(
            without_not_finite(line),
            r#"{"x":[null,{"y":null}],"id":"a\"NaN","title":null,"z":null}"#
        );
        assert_eq!(without_not_finite("\"\\é NaN\" NaN \"\\"), "\"\\é NaN\" null \"\\");
        // Also malformed elsewhere, and a word that is none of Python's.
        let problem = |line: &str| pick(line, &["id"]).unwrap_err();
        assert_eq!(problem(r#"{"x":NaN,"id":}"#), "expected a finite number, found NaN");
        assert_eq!(
            problem(r#"{"x":NaN,"id":1,"id":2}"#),
            "expected the field \"id\" once, found it twice"
        );
        assert!(problem(r#"{"x":nan,"id":1}"#).contains("malformed JSON at column"));
    }

    #[test]
    fn malformed_lines_name_the_column() {
        for (line, column) in [("{\"id\":", 6), ("{\"id\":1}}", 9), ("{'id'}", 2)] {
            let problem = pick(line, &["id"]).unwrap_err();
            assert!(problem.contains(&format!("at column {column}")), "{line}: {problem}");
        }
        assert!(pick("[1]", &["id"]).unwrap_err().contains("one JSON object a line"));
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_stack_overflow() {
        let line = format!("{{\"x\":{}", "[".repeat(100_000));
        assert!(pick(&line, &["id"]).is_err());
    }
}
