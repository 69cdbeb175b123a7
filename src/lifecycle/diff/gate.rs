//! Conditions under which a new index must not go live.

use crate::error::{Error, Result};

/// A number by which two indexes differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Its name in conditions.
    pub name: String,
    /// The number.
    pub number: f64,
    /// What a condition in percent is about: the number of which `number` is a part; `None` where
    /// 100 % is 1.
    pub of: Option<f64>,
}

impl Value {
    pub(super) fn share(name: &str, number: f64) -> Self {
        Value { name: name.to_owned(), number, of: None }
    }

    /// The number as a share. All of nothing is infinitely much.
    fn part(&self) -> f64 {
        match self.of {
            None => self.number,
            Some(_) if self.number == 0.0 => 0.0,
            Some(of) => self.number / of,
        }
    }

    fn said(&self) -> String {
        let number =
            |x: f64| format!("{x:.4}").trim_end_matches('0').trim_end_matches('.').to_owned();
        let share = || format!("{} %", number(100.0 * self.part()));
        match self.of {
            None => number(self.number),
            Some(of) if of > 0.0 => format!("{}, {} of {of}", number(self.number), share()),
            Some(_) => format!("{}, of none", number(self.number)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// Longer ones first.
const OPERATORS: [(&str, Operator); 4] = [
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

#[derive(Debug, Clone, PartialEq)]
struct Condition {
    text: String,
    name: String,
    operator: Operator,
    bound: f64,
    percent: bool,
}

/// Conditions that fail a comparison: `overlap@10<0.9,removed>5%`.
///
/// A condition is a name of [`Diff::values`](super::Diff::values), one of `<`, `<=`, `>`, `>=`, and
/// a number, with `%` a share: of the old index's documents for `added`, of 1 for `overlap@10`.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    conditions: Vec<Condition>,
}

impl Gate {
    /// Reads conditions separated by commas.
    ///
    /// # Errors
    /// What is no condition; a name that is not among `known` ([`names`](super::names)).
    pub fn parse(text: &str, known: &[String]) -> Result<Self> {
        let conditions = text.split(',').map(|text| condition(text.trim(), known));
        Ok(Gate { conditions: conditions.collect::<Result<_>>()? })
    }

    /// Each condition that holds, in words. A value that is no number, such as a growth from
    /// nothing, holds for nothing.
    pub fn failed(&self, values: &[Value]) -> Vec<String> {
        let holds = |condition: &Condition| {
            let value = values.iter().find(|value| value.name == condition.name)?;
            let (found, bound) = match condition.percent {
                true => (value.part(), condition.bound / 100.0),
                false => (value.number, condition.bound),
            };
            let holds = match condition.operator {
                Operator::Less => found < bound,
                Operator::AtMost => found <= bound,
                Operator::Greater => found > bound,
                Operator::AtLeast => found >= bound,
            };
            holds.then(|| format!("{} holds: {} is {}", condition.text, value.name, value.said()))
        };
        self.conditions.iter().filter_map(holds).collect()
    }
}

fn condition(text: &str, known: &[String]) -> Result<Condition> {
    let bad = |problem: String| Error::Usage(format!("`fail_if` {text:?}: {problem}"));
    let parts = OPERATORS.iter().find_map(|&(sign, operator)| {
        let (name, bound) = text.split_once(sign)?;
        Some((name.trim(), operator, bound.trim()))
    });
    let shape = "expected a name, one of < <= > >=, and a number, as in removed>5%";
    let (name, operator, bound) = parts.ok_or_else(|| bad(shape.into()))?;
    let (number, percent) = match bound.strip_suffix('%') {
        Some(number) => (number.trim_end(), true),
        None => (bound, false),
    };
    let number: Option<f64> = number.parse().ok().filter(|number: &f64| number.is_finite());
    let bound = number.ok_or_else(|| bad(shape.into()))?;
    if !known.iter().any(|known| known == name) {
        let more = match known.iter().any(|known| known == "rbo") {
            true => "",
            false => "; with `queries` also overlap@K, rbo, scores, mean, p50 and p99",
        };
        return Err(bad(format!("expected one of {}, found {name:?}{more}", known.join(", "))));
    }
    let (text, name) = (text.to_owned(), name.to_owned());
    Ok(Condition { text, name, operator, bound, percent })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(name: &str, number: f64, of: f64) -> Value {
        Value { name: name.to_owned(), number, of: Some(of) }
    }

    fn values() -> Vec<Value> {
        vec![
            count("removed", 6.0, 100.0),
            count("postings", -20.0, 1000.0),
            count("new", 3.0, 0.0),
            Value::share("overlap@10", 0.85),
        ]
    }

    fn names() -> Vec<String> {
        values().into_iter().map(|value| value.name).collect()
    }

    fn failed(text: &str) -> Vec<String> {
        Gate::parse(text, &names()).unwrap().failed(&values())
    }

    #[test]
    fn conditions_that_hold_are_said_with_what_was_found() {
        assert_eq!(failed("removed>5%"), ["removed>5% holds: removed is 6, 6 % of 100"]);
        assert_eq!(
            failed(" overlap@10 < 0.9 , removed >= 6, removed<6"),
            [
                "overlap@10 < 0.9 holds: overlap@10 is 0.85",
                "removed >= 6 holds: removed is 6, 6 % of 100"
            ]
        );
        assert_eq!(failed("overlap@10<85%,removed>6%,removed>6"), [""; 0]);
        assert_eq!(failed("overlap@10<=85%").len(), 1);
        assert_eq!(failed("postings<-1%"), ["postings<-1% holds: postings is -20, -2 % of 1000"]);
        assert_eq!(failed("new>5%"), ["new>5% holds: new is 3, of none"]);
    }

    #[test]
    fn what_is_no_condition_is_said() {
        let e = |text: &str| Gate::parse(text, &names()).unwrap_err().to_string();
        for text in [
            "",
            "removed",
            "removed=5",
            "removed>",
            "removed>x",
            "removed>NaN",
            "<5",
            "removed>5%%",
        ] {
            assert!(e(text).starts_with(&format!("`fail_if` {text:?}: expected ")), "{}", e(text));
        }
        assert_eq!(
            e("removed>1,lost>5"),
            "`fail_if` \"lost>5\": expected one of removed, postings, new, overlap@10, found \"lost\"; \
             with `queries` also overlap@K, rbo, scores, mean, p50 and p99"
        );
    }
}
