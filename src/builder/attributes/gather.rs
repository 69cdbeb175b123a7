//! Values by key as they come, and the columns that they make.

use std::collections::BTreeMap;

use crate::corpus::AttributeValue;
use crate::error::{Error, Result};
use crate::format::attributes::{Column, LONGEST_VALUE};
use crate::timestamp;
use crate::vectors::TokenTable;

/// Values of all keys.
#[derive(Default)]
pub(super) struct Gathered {
    keys: BTreeMap<String, Values>,
    string_bytes: u64,
    entries: u64,
}

/// Values of one key. Strings are kept once.
#[derive(Default)]
struct Values {
    strings: TokenTable,
    texts: Vec<(u32, u32)>,
    /// Of TSV: of what type is known at the end.
    untyped: Vec<(u32, u32)>,
    booleans: Vec<(bool, u32)>,
    integers: Vec<(i64, u32)>,
    floats: Vec<(f64, u32)>,
    listed: bool,
    /// The first value's type and where it stands: what others are held to.
    first: Option<(&'static str, String)>,
}

impl Gathered {
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// Bytes of what is here, of sorting it, and of the section.
    pub(super) fn memory(&self) -> u64 {
        // Interned strings have a slot and a digest; an encoded value a bitmap.
        let strings: u64 = self.keys.values().map(|key| key.strings.len() as u64).sum();
        2 * self.string_bytes + 160 * strings + 48 * self.entries
    }

    /// Adds a value; `place` is what errors call where it stands.
    pub(super) fn add(
        &mut self,
        key: &str,
        value: &AttributeValue,
        ordinal: u32,
        place: &dyn Fn() -> String,
    ) -> Result<(), String> {
        if key.is_empty() || key.len() > LONGEST_VALUE {
            return Err(format!(
                "expected a key of 1 to {LONGEST_VALUE} bytes, found {}",
                key.len()
            ));
        }
        if !self.keys.contains_key(key) {
            self.keys.insert(key.to_owned(), Values::default());
        }
        let values = self.keys.get_mut(key).expect("it was just put there");
        let (found, (first, first_place)) =
            (value.kind(), values.first.get_or_insert_with(|| (value.kind(), place())));
        if !alike(found, first) {
            return Err(format!(
                "key {key:?}: expected {first} as in {first_place}, found {found}; the values of a \
                 key are of one type"
            ));
        }
        let mut intern = |values: &mut Values, text: &str| {
            if text.len() > LONGEST_VALUE {
                let found = text.len();
                return Err(format!(
                    "key {key:?}: expected strings of at most {LONGEST_VALUE} bytes, found {found}"
                ));
            }
            let known = values.strings.len();
            let place = values.strings.intern(text);
            if values.strings.len() > known {
                self.string_bytes += text.len() as u64;
            }
            Ok((place, ordinal))
        };
        self.entries += 1;
        match value {
            AttributeValue::Text(text) => {
                let pair = intern(values, text)?;
                values.texts.push(pair);
            }
            AttributeValue::Untyped(text) => {
                let pair = intern(values, text)?;
                values.untyped.push(pair);
            }
            AttributeValue::Texts(texts) => {
                values.listed = true;
                self.entries += texts.len() as u64;
                for text in texts {
                    let pair = intern(values, text)?;
                    values.texts.push(pair);
                }
            }
            AttributeValue::Boolean(value) => values.booleans.push((*value, ordinal)),
            AttributeValue::Integer(value) => values.integers.push((*value, ordinal)),
            AttributeValue::Float(value) if value.is_finite() => {
                values.floats.push((*value, ordinal));
            }
            AttributeValue::Float(value) => {
                return Err(format!("key {key:?}: expected a finite number, found {value}"));
            }
        }
        Ok(())
    }

    /// The column of each key; `id` names documents in errors.
    pub(super) fn columns(self, id: impl Fn(u32) -> String) -> Result<Vec<(String, Column)>> {
        let column = |(key, values): (String, Values)| {
            let column = values.column();
            let column = column.and_then(|column| one_a_document(&column, &id).map(|()| column));
            let column = column
                .map_err(|problem| Error::Usage(format!("`attributes`: key {key:?}: {problem}")))?;
            Ok((key, column))
        };
        self.keys.into_iter().map(column).collect()
    }
}

/// Whether values of these types may be of one key. Texts of TSV become what the others are.
fn alike(a: &str, b: &str) -> bool {
    let class = |kind: &str| match kind {
        "a list of strings" => "a string".to_owned(),
        "a float" => "an integer".to_owned(),
        other => other.to_owned(),
    };
    a == "a text" || b == "a text" || class(a) == class(b)
}

impl Values {
    fn column(mut self) -> Result<Column, String> {
        let untyped = std::mem::take(&mut self.untyped);
        let text = |place: u32| self.strings.token(place);
        let typed =
            !self.booleans.is_empty() || !self.integers.is_empty() || !self.floats.is_empty();
        let strings = !self.texts.is_empty();
        if !strings && (typed || once(&untyped)) && !untyped.is_empty() {
            let all =
                |reads: &dyn Fn(&str) -> bool| untyped.iter().all(|&(place, _)| reads(text(place)));
            let boolean = |text: &str| text.parse::<bool>().ok();
            // A number as it is written: 007 and +1 are strings.
            let integer =
                |text: &str| text.parse::<i64>().ok().filter(|number| number.to_string() == text);
            let float = |text: &str| {
                let padded = text.trim_start_matches('-').strip_prefix('0');
                let padded =
                    padded.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                number.filter(|_| !padded && !text.starts_with('+'))
            };
            let numbers = !self.integers.is_empty() || !self.floats.is_empty();
            if !numbers && all(&|text| boolean(text).is_some()) {
                let read = untyped.iter().filter_map(|&(p, o)| Some((boolean(text(p))?, o)));
                self.booleans.extend(read);
                return self.typed(Vec::new());
            }
            if self.booleans.is_empty() && all(&|text| integer(text).is_some()) {
                let read = untyped.iter().filter_map(|&(p, o)| Some((integer(text(p))?, o)));
                self.integers.extend(read);
                return self.typed(Vec::new());
            }
            if self.booleans.is_empty() && all(&|text| float(text).is_some()) {
                let read = untyped.iter().filter_map(|&(p, o)| Some((float(text(p))?, o)));
                self.floats.extend(read);
                return self.typed(Vec::new());
            }
            if typed {
                let odd = untyped.iter().map(|&(place, _)| text(place)).find(|text| {
                    integer(text).is_none() && float(text).is_none() && boolean(text).is_none()
                });
                let (expected, place) = self.first.unwrap_or_default();
                let odd = odd.unwrap_or("a value of another type");
                return Err(format!("expected {expected} as in {place}, found {odd:?}"));
            }
        }
        self.typed(untyped)
    }

    fn typed(self, untyped: Vec<(u32, u32)>) -> Result<Column, String> {
        let Values { strings, mut texts, booleans, integers, mut floats, listed, .. } = self;
        if !booleans.is_empty() {
            let pairs = booleans.into_iter().map(|(value, ordinal)| (value.into(), ordinal));
            return Ok(Column::Booleans(vec!["false".into(), "true".into()], pairs.collect()));
        }
        if !floats.is_empty() {
            for (integer, ordinal) in integers {
                let float = integer as f64;
                if float as i128 != i128::from(integer) {
                    return Err(format!(
                        "expected integers that are floats too, since others are, found {integer}"
                    ));
                }
                floats.push((float, ordinal));
            }
            return Ok(Column::Floats(floats));
        }
        if !integers.is_empty() {
            return Ok(Column::Integers(integers));
        }
        texts.extend(untyped);
        let values: Vec<String> =
            (0..strings.len() as u32).map(|place| strings.token(place).to_owned()).collect();
        drop(strings);
        if !listed && once(&texts) {
            let times: Option<Vec<i64>> =
                values.iter().map(|value| timestamp::parse(value)).collect();
            if let Some(times) = times {
                let pairs = texts.iter().map(|&(place, o)| (times[place as usize], o));
                return Ok(Column::Times(pairs.collect()));
            }
        }
        Ok(Column::Strings(values, texts))
    }
}

/// Whether no document has two of the values.
fn once(pairs: &[(u32, u32)]) -> bool {
    repeated(pairs.iter().map(|&(_, ordinal)| ordinal)).is_none()
}

/// A document that comes twice.
fn repeated(ordinals: impl Iterator<Item = u32>) -> Option<u32> {
    let mut ordinals: Vec<u32> = ordinals.collect();
    ordinals.sort_unstable();
    ordinals.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

/// Values but strings are one a document.
fn one_a_document(column: &Column, id: &impl Fn(u32) -> String) -> Result<(), String> {
    let twice = match column {
        Column::Strings(..) => None,
        Column::Booleans(_, pairs) => repeated(pairs.iter().map(|&(_, ordinal)| ordinal)),
        Column::Integers(pairs) | Column::Times(pairs) => repeated(pairs.iter().map(|p| p.1)),
        Column::Floats(pairs) => repeated(pairs.iter().map(|p| p.1)),
    };
    match twice {
        None => Ok(()),
        Some(ordinal) => Err(format!(
            "expected one value a document, found two for {:?}; only strings may be several",
            id(ordinal)
        )),
    }
}
