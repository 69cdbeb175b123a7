//! What a query asks of documents beside its terms: a filter, added scores, a least score.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::{Prepared, QueryBuilder};
use crate::error::{Error, Result};
use crate::query::{Boost, Condition, Filter, Query};

/// What is asked beside terms; nothing by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Constraints {
    /// Documents that may be answers.
    pub filter: Option<Condition>,
    /// What is added to scores; all of it.
    pub boost: Vec<Lift>,
    /// Least score of an answer, with what is added.
    pub min_score: u32,
    /// Words that documents must have.
    pub required: Vec<String>,
    /// Words that they must not have.
    pub excluded: Vec<String>,
}

/// An integer that documents get beside the score of their terms.
#[derive(Debug, Clone, PartialEq)]
pub enum Lift {
    /// So much for documents that satisfy the condition.
    Satisfying(u32, Condition),
    /// So many times the value of an integer key.
    Values(u32, String),
}

/// `500: lang = "en"`, or `3 * popularity`.
impl FromStr for Lift {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::setting(
                "boost",
                "like '500: lang = \"en\"' or '3 * popularity'",
                format!("{text:?}"),
            )
        };
        let end = text.find(|c: char| !c.is_ascii_digit() && c != ' ').ok_or_else(bad)?;
        let number = text[..end].trim().parse().map_err(|_| bad())?;
        let rest = &text[end..];
        if let Some(condition) = rest.strip_prefix(':') {
            return Ok(Lift::Satisfying(number, condition.parse()?));
        }
        let key = rest.strip_prefix('*').map(str::trim).filter(|key| !key.is_empty());
        key.map(|key| Lift::Values(number, key.to_owned())).ok_or_else(bad)
    }
}

impl Lift {
    /// Of JSON: a text, `[500, filter]`, or `{"factor": 3, "key": "popularity"}`.
    ///
    /// # Errors
    /// Anything else.
    pub fn from_json(value: &Value) -> Result<Self> {
        let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
        let lift = match value {
            Value::String(text) => return text.parse(),
            Value::Array(pair) if pair.len() == 2 => {
                let condition = Condition::from_json(&pair[1])?;
                number(&pair[0]).map(|added| Lift::Satisfying(added, condition))
            }
            Value::Object(map) if map.len() == 2 => {
                let key = map.get("key").and_then(Value::as_str);
                let factor = map.get("factor").and_then(number);
                factor.zip(key).map(|(factor, key)| Lift::Values(factor, key.to_owned()))
            }
            _ => None,
        };
        lift.ok_or_else(|| {
            let expected = "[500, filter], {\"factor\": 3, \"key\": \"popularity\"} or a text";
            Error::setting("boost", expected, value)
        })
    }
}

impl Constraints {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Constraints::default()
    }
}

/// Filters and boosts that were compiled last, by what was asked.
#[derive(Default)]
pub(super) struct Compiled {
    filters: Recent<Filter>,
    boosts: Recent<Boost>,
}

/// Those that were used last.
struct Recent<T> {
    kept: Mutex<Vec<(String, T)>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// Filters, and boosts, that are kept: a bit, and four bytes, a document each.
const KEPT: usize = 32;

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Recent { kept: Mutex::default(), hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }
}

impl<T: Clone> Recent<T> {
    fn get(&self, asked: String, make: impl FnOnce() -> Result<T>) -> Result<T> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut kept = kept();
            if let Some(place) = kept.iter().position(|(known, _)| *known == asked) {
                self.hits.fetch_add(1, Relaxed);
                kept[..=place].rotate_right(1);
                return Ok(kept[0].1.clone());
            }
        }
        self.misses.fetch_add(1, Relaxed);
        // Not under the lock: others need not wait.
        let made = make()?;
        let mut kept = kept();
        kept.insert(0, (asked, made.clone()));
        kept.truncate(KEPT);
        Ok(made)
    }
}

impl QueryBuilder {
    /// The filter of a condition: one that was asked for lately is not compiled again.
    ///
    /// # Errors
    /// Those of [`Filter::new`].
    pub fn filter(&self, condition: &Condition) -> Result<Filter> {
        let asked = condition.to_json().to_string();
        self.compiled.filters.get(asked, || Filter::new(&self.index, condition))
    }

    /// Filters that were at hand, and those that were compiled, since this was asked last.
    pub fn filters_used(&self) -> [u64; 2] {
        let Recent { hits, misses, .. } = &self.compiled.filters;
        [hits.swap(0, Relaxed), misses.swap(0, Relaxed)]
    }

    /// The same query with `constraints`, beside those that it has: all filters hold, and the larger
    /// least score.
    ///
    /// # Errors
    /// A filter or boost that does not fit the index; a boost beside another; scores above what
    /// they may be.
    pub fn constrain(&self, prepared: Prepared, constraints: &Constraints) -> Result<Prepared> {
        if constraints.is_empty() {
            return Ok(prepared);
        }
        let mut query = prepared.query;
        if let Some(condition) = &constraints.filter {
            query = within(query, self.filter(condition)?);
        }
        if !constraints.required.is_empty() || !constraints.excluded.is_empty() {
            let (required, excluded) = (&constraints.required, &constraints.excluded);
            query = within(query, self.having(required, excluded)?);
        }
        query.min_score = query.min_score.max(constraints.min_score);
        if !constraints.boost.is_empty() {
            if query.boost.is_some() {
                let problem = "`boost` is given for the query and for all queries: give it once";
                return Err(Error::Usage(problem.into()));
            }
            query = self.boosted(query, &constraints.boost)?;
        }
        Ok(Prepared { query, ..prepared })
    }

    fn boosted(&self, query: Query, lifts: &[Lift]) -> Result<Query> {
        let boost = self.compiled.boosts.get(format!("{lifts:?}"), || {
            let mut sum = Boost::new(&self.index, [])?;
            for lift in lifts {
                let more = match lift {
                    Lift::Satisfying(added, condition) => {
                        Boost::new(&self.index, [(&self.filter(condition)?, *added)])?
                    }
                    Lift::Values(factor, key) => Boost::of_values(&self.index, key, *factor)?,
                };
                sum = sum.plus(&self.index, &more)?;
            }
            Ok(sum)
        })?;
        query.boosted(&self.index, boost)
    }
}

/// The query with one more filter.
fn within(query: Query, filter: Filter) -> Query {
    let both = match &query.filter {
        Some(other) => filter.and(other),
        None => filter,
    };
    query.filtered(both)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Builder;

    #[test]
    fn boosts_are_read_as_text_and_as_json() {
        let en: Condition = "lang = 'en'".parse().unwrap();
        let expected = Lift::Satisfying(500, en);
        assert_eq!("500: lang = 'en'".parse::<Lift>().unwrap(), expected);
        let json = serde_json::json!([500, {"=": ["lang", "en"]}]);
        assert_eq!(Lift::from_json(&json).unwrap(), expected);
        let values = Lift::Values(3, "n".into());
        assert_eq!("3 * n".parse::<Lift>().unwrap(), values);
        let json = serde_json::json!({"factor": 3, "key": "n"});
        assert_eq!(Lift::from_json(&json).unwrap(), values);
        for bad in ["", "5", "x: y", "-5: a = 1", "5 é", "3 *", "99999999999: a = 1"] {
            let error = bad.parse::<Lift>().unwrap_err().to_string();
            assert!(error.contains("`boost` must be like"), "{error}");
        }
    }

    #[test]
    fn filters_are_compiled_once_and_the_last_are_kept() {
        let records = (0..100).map(|d| (format!("d{d}"), [("n", d)]));
        let documents = (0..100).map(|d| (format!("d{d}"), [("x", 1.0)]));
        let index = Builder::new().attributes(records).vectors(documents).unwrap().index().unwrap();
        let builder = QueryBuilder::new(&index).unwrap();
        let filter = |n: usize| builder.filter(&format!("n < {n}").parse().unwrap()).unwrap().len();
        for n in 0..KEPT + 1 {
            assert_eq!(filter(n), n as u32);
        }
        let compiled = KEPT as u64 + 1;
        assert_eq!(builder.filters_used(), [0, compiled]);
        assert_eq!((filter(KEPT), filter(1)), (KEPT as u32, 1));
        assert_eq!(builder.filters_used(), [2, 0]);
        assert_eq!(filter(0), 0);
        assert_eq!(builder.filters_used(), [0, 1]);
    }

    #[test]
    fn all_constraints_hold() {
        let records = (0..9).map(|d| (format!("d{d}"), [("n", d)]));
        let documents = (0..9).map(|d| (format!("d{d}"), [("x", 1.0)]));
        let index = Builder::new().attributes(records).vectors(documents).unwrap().index().unwrap();
        let builder = QueryBuilder::new(&index).unwrap();
        let constraints = |filter: &str, boost: &[&str]| Constraints {
            filter: Some(filter.parse().unwrap()),
            boost: boost.iter().map(|lift| lift.parse().unwrap()).collect(),
            min_score: 3,
            ..Constraints::default()
        };
        let prepared = builder.tokens([("x", 1.0)]).unwrap();
        let own = constraints("n > 2", &["2 * n", "5: n = 4"]);
        let prepared = builder.constrain(prepared, &own).unwrap();
        let prepared = builder.constrain(prepared, &constraints("n < 5", &[])).unwrap();
        let mut searcher = index.searcher();
        let hits = searcher.search(&prepared.query, 9, crate::Algorithm::Auto).unwrap();
        let found: Vec<(u32, u32)> = hits.iter().map(|hit| (hit.ordinal, hit.score)).collect();
        assert_eq!(found, [(4, 14), (3, 7)]);
        let again = builder.constrain(prepared, &constraints("n < 5", &["1: n = 1"]));
        assert!(again.unwrap_err().to_string().contains("give it once"));
    }
}
