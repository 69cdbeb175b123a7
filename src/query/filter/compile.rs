//! A condition to the ordinals that satisfy it.

use std::cmp::Ordering;
use std::ops::Range;

use roaring::{MultiOps, RoaringBitmap};

use super::condition::{Comparison, Condition, Literal};
use super::kept::Filter;
use crate::error::{Error, Result};
use crate::format::attributes::{Attributes, Key, Kind};
use crate::format::postings::Damaged;
use crate::index::Index;
use crate::timestamp;

impl Filter {
    /// The documents of `index` that satisfy `condition`.
    ///
    /// ```
    /// # use splindex::{Builder, query::Filter};
    /// # let index = Builder::new()
    /// #     .attributes([("d1", [("lang", "en")]), ("d2", [("lang", "de")])])
    /// #     .vectors([("d1", [("whale", 2.0)]), ("d2", [("whale", 1.2)])])?
    /// #     .index()?;
    /// let filter = Filter::new(&index, &r#"lang = "en""#.parse()?)?;
    /// assert_eq!(filter.len(), 1);
    /// # Ok::<(), splindex::Error>(())
    /// ```
    ///
    /// # Errors
    /// A key that the index does not have, or whose values are of another type: the error lists what
    /// there is; damaged attributes.
    pub fn new(index: &Index, condition: &Condition) -> Result<Self> {
        let attributes = index.attributes();
        let compiler = Compiler { index, attributes: attributes.as_ref() };
        Ok(Filter::of_ordinals(index, &compiler.satisfying(condition)?))
    }
}

struct Compiler<'a> {
    index: &'a Index,
    attributes: Option<&'a Attributes<'a>>,
}

impl<'a> Compiler<'a> {
    fn satisfying(&self, condition: &Condition) -> Result<RoaringBitmap> {
        match condition {
            Condition::Has(key) => self.present(&self.key(key)?),
            Condition::Compare(key, Comparison::NotEqual, literal) => {
                let key = self.key(key)?;
                Ok(self.present(&key)? - self.comparing(&key, Comparison::Equal, literal)?)
            }
            Condition::Compare(key, comparison, literal) => {
                self.comparing(&self.key(key)?, *comparison, literal)
            }
            Condition::In(key, values) => self.among(&self.key(key)?, values),
            Condition::NotIn(key, values) => {
                let key = self.key(key)?;
                Ok(self.present(&key)? - self.among(&key, values)?)
            }
            Condition::And(parts) => {
                let mut all = self.everything();
                for part in parts {
                    all &= self.satisfying(part)?;
                }
                Ok(all)
            }
            Condition::Or(parts) => {
                let mut any = RoaringBitmap::new();
                for part in parts {
                    any |= self.satisfying(part)?;
                }
                Ok(any)
            }
            Condition::Not(part) => Ok(self.everything() - self.satisfying(part)?),
        }
    }

    fn everything(&self) -> RoaringBitmap {
        let mut all = RoaringBitmap::new();
        all.insert_range(0..self.index.documents());
        all
    }

    fn key(&self, name: &str) -> Result<Key<'a>> {
        self.attributes.and_then(|attributes| attributes.find(name)).ok_or_else(|| {
            let known = match self.attributes {
                None => "the index has no attributes: build it with `attributes`".to_owned(),
                Some(attributes) => {
                    let keys = attributes.keys().map(|key| format!("{} ({})", key.name, key.kind));
                    format!("the index has {}", keys.collect::<Vec<_>>().join(", "))
                }
            };
            Error::Usage(format!("`filter`: there is no key {name:?}; {known}"))
        })
    }

    fn present(&self, key: &Key<'_>) -> Result<RoaringBitmap> {
        key.present().map_err(|Damaged| self.index.damaged_attributes(key.name))
    }

    fn among(&self, key: &Key<'_>, values: &[Literal]) -> Result<RoaringBitmap> {
        let mut any = RoaringBitmap::new();
        for value in values {
            any |= self.comparing(key, Comparison::Equal, value)?;
        }
        Ok(any)
    }

    fn comparing(
        &self,
        key: &Key<'_>,
        comparison: Comparison,
        literal: &Literal,
    ) -> Result<RoaringBitmap> {
        let places = places(key, comparison, literal)?;
        let found = match key.kind.is_column() {
            true => key.at_places(places).map(|ordinals| ordinals.iter().copied().collect()),
            false => places.map(|place| key.with_value(place)).union(),
        };
        found.map_err(|Damaged| self.index.damaged_attributes(key.name))
    }
}

/// The places of a key's values, in their order, that compare so.
fn places(key: &Key<'_>, comparison: Comparison, literal: &Literal) -> Result<Range<usize>> {
    let (below, up_to, all) = match (key.kind, literal) {
        (Kind::Strings, Literal::Text(text)) => of_table(key, |value| value.cmp(text.as_str())),
        (Kind::Booleans, Literal::Boolean(wanted)) => {
            if !matches!(comparison, Comparison::Equal | Comparison::NotEqual) {
                return Err(Error::Usage(format!(
                    "`filter`: key {:?} has booleans, which have no order: expected = or !=, found {}",
                    key.name,
                    comparison.sign()
                )));
            }
            let wanted = if *wanted { "true" } else { "false" };
            of_table(key, |value| value.cmp(wanted))
        }
        (Kind::Times, Literal::Text(text)) => {
            let time = timestamp::parse(text).ok_or_else(|| unfit(key, literal))?;
            of_column(key, |bits| (bits as i64).cmp(&time))
        }
        (Kind::Integers, Literal::Integer(number)) => {
            of_column(key, |bits| (bits as i64).cmp(number))
        }
        (Kind::Integers, Literal::Float(number)) => {
            of_column(key, |bits| compare(bits as i64, *number))
        }
        (Kind::Floats, Literal::Integer(number)) => {
            of_column(key, |bits| compare(*number, f64::from_bits(bits)).reverse())
        }
        (Kind::Floats, Literal::Float(number)) => {
            let order = |bits| f64::from_bits(bits).partial_cmp(number);
            of_column(key, |bits| order(bits).unwrap_or(Ordering::Equal))
        }
        _ => return Err(unfit(key, literal)),
    };
    Ok(match comparison {
        Comparison::Equal | Comparison::NotEqual => below..up_to.max(below),
        Comparison::Less => 0..below,
        Comparison::AtMost => 0..up_to,
        Comparison::Greater => up_to..all.max(up_to),
        Comparison::AtLeast => below..all.max(below),
    })
}

/// How many values are less, how many are less or equal, and how many there are.
fn of_table(key: &Key<'_>, order: impl Fn(&str) -> Ordering) -> (usize, usize, usize) {
    key.table().map_or((0, 0, 0), |table| {
        let below = table.below(|value| order(value).is_lt());
        (below, table.below(|value| order(value).is_le()), table.len())
    })
}

fn of_column(key: &Key<'_>, order: impl Fn(u64) -> Ordering) -> (usize, usize, usize) {
    key.column().map_or((0, 0, 0), |column| {
        let below = column.below(|bits| order(bits).is_lt());
        (below, column.below(|bits| order(bits).is_le()), column.bits().len())
    })
}

/// An integer and a float, exactly.
fn compare(integer: i64, float: f64) -> Ordering {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if float >= BEYOND {
        return Ordering::Less;
    }
    if float < -BEYOND {
        return Ordering::Greater;
    }
    let whole = float.floor();
    let above = if float > whole { Ordering::Less } else { Ordering::Equal };
    integer.cmp(&(whole as i64)).then(above)
}

fn unfit(key: &Key<'_>, literal: &Literal) -> Error {
    let expected = match key.kind {
        Kind::Strings => "a string",
        Kind::Booleans => "true or false",
        Kind::Integers | Kind::Floats => "a number",
        Kind::Times => "a time such as \"2024-05-01\" or \"2024-05-01T12:00:00Z\"",
    };
    Error::Usage(format!(
        "`filter`: key {:?} has {}: expected {expected}, found {literal}",
        key.name, key.kind
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_floats_compare_exactly() {
        for (integer, float, expected) in [
            (1, 1.0, Ordering::Equal),
            (1, 1.5, Ordering::Less),
            (-1, -1.5, Ordering::Greater),
            (i64::MAX, 9.3e18, Ordering::Less),
            (i64::MAX, 9_223_372_036_854_775_808.0, Ordering::Less),
            (i64::MIN, -9_223_372_036_854_775_808.0, Ordering::Equal),
            (i64::MIN, -9.3e18, Ordering::Greater),
            ((1 << 53) + 1, 9_007_199_254_740_992.0, Ordering::Greater),
        ] {
            assert_eq!(compare(integer, float), expected, "{integer} {float}");
        }
    }
}
