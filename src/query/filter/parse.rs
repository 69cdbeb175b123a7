//! The language: `lang = "en" and year >= 2020 and not site in ("a", "b")`.

use std::str::FromStr;

use super::condition::{Comparison, Condition, Literal};
use crate::error::{Error, Result};

/// Deepest nesting of parentheses and `not`.
const DEEPEST: usize = 64;

impl FromStr for Condition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Parser { text, at: 0, depth: 0 }.whole()
    }
}

struct Parser<'t> {
    text: &'t str,
    /// Byte behind what was read, and behind blanks.
    at: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn whole(mut self) -> Result<Condition> {
        self.skip_blanks();
        let condition = self.any()?;
        match self.rest().is_empty() {
            true => Ok(condition),
            false => Err(self.error("\"and\", \"or\" or the end")),
        }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn advance(&mut self, bytes: usize) {
        self.at += bytes;
        self.skip_blanks();
    }

    fn error(&self, expected: &str) -> Error {
        let found = match self.rest().chars().next() {
            None => "the end".to_owned(),
            Some(first) if is_name(first) => format!("{:?}", self.name()),
            Some(first) => format!("{first:?}").replace('\'', "\""),
        };
        self.problem(&format!("expected {expected}, found {found}"))
    }

    fn problem(&self, problem: &str) -> Error {
        let place = self.text[..self.at].chars().count() + 1;
        Error::Usage(format!("`filter`: at character {place}: {problem}"))
    }

    /// The word here; empty if there is none.
    fn name(&self) -> &'t str {
        let rest = self.rest();
        &rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())]
    }

    /// Takes a word of the language, in any case.
    fn word(&mut self, word: &str) -> bool {
        let found = self.name().eq_ignore_ascii_case(word);
        if found {
            self.advance(word.len());
        }
        found
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = self.rest().starts_with(sign);
        if found {
            self.advance(sign.len());
        }
        found
    }

    fn any(&mut self) -> Result<Condition> {
        let mut parts = vec![self.all()?];
        while self.word("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::Or(parts) })
    }

    fn all(&mut self) -> Result<Condition> {
        let mut parts = vec![self.one()?];
        while self.word("and") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::And(parts) })
    }

    fn one(&mut self) -> Result<Condition> {
        if self.depth == DEEPEST {
            return Err(self.problem(&format!("expected at most {DEEPEST} levels, found more")));
        }
        self.depth += 1;
        let condition = if self.word("not") {
            Condition::Not(Box::new(self.one()?))
        } else if self.sign("(") {
            let inner = self.any()?;
            self.close()?;
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn close(&mut self) -> Result<()> {
        if self.sign(")") { Ok(()) } else { Err(self.error("\")\"")) }
    }

    fn comparison(&mut self) -> Result<Condition> {
        let has = self.name().eq_ignore_ascii_case("has")
            && self.rest()[3..].trim_start().starts_with('(');
        if has {
            self.advance(3);
            self.advance(1);
            let key = self.key()?;
            self.close()?;
            return Ok(Condition::Has(key));
        }
        let key = self.key()?;
        if self.word("not") {
            return match self.word("in") {
                true => Ok(Condition::NotIn(key, self.values()?)),
                false => Err(self.error("\"in\" behind \"not\"")),
            };
        }
        if self.word("in") {
            return Ok(Condition::In(key, self.values()?));
        }
        match Comparison::ALL.into_iter().find(|comparison| self.sign(comparison.sign())) {
            Some(comparison) => {
                // `==` is what other languages have.
                if comparison == Comparison::Equal {
                    self.sign("=");
                }
                Ok(Condition::Compare(key, comparison, self.value()?))
            }
            None => Err(self.error("one of = != < <= > >=, \"in\" or \"not in\"")),
        }
    }

    /// A key: a word, or anything between backticks.
    fn key(&mut self) -> Result<String> {
        const KEY: &str = "a key, \"not\", \"has(\" or \"(\"";
        if let Some(rest) = self.rest().strip_prefix('`') {
            let end = rest
                .find('`')
                .ok_or_else(|| self.problem("expected a second \"`\", found the end"))?;
            self.advance(end + 2);
            return Ok(rest[..end].to_owned());
        }
        let name = self.name();
        let reserved = ["and", "or", "not", "in", "true", "false"];
        let starts = name.starts_with(|c: char| c.is_ascii_digit() || "-.+".contains(c));
        if name.is_empty() || starts || reserved.iter().any(|word| name.eq_ignore_ascii_case(word))
        {
            return Err(self.error(KEY));
        }
        self.advance(name.len());
        Ok(name.to_owned())
    }

    fn values(&mut self) -> Result<Vec<Literal>> {
        if !self.sign("(") {
            return Err(self.error("\"(\" and values"));
        }
        let mut values = vec![self.value()?];
        while self.sign(",") {
            values.push(self.value()?);
        }
        match self.sign(")") {
            true => Ok(values),
            false => Err(self.error("\",\" or \")\"")),
        }
    }

    fn value(&mut self) -> Result<Literal> {
        const VALUE: &str = "a string between quotes, a number, true or false";
        if let Some(quote) = self.rest().chars().next().filter(|&c| c == '"' || c == '\'') {
            return self.string(quote);
        }
        if self.word("true") {
            return Ok(Literal::Boolean(true));
        }
        if self.word("false") {
            return Ok(Literal::Boolean(false));
        }
        let name = self.name();
        let value = match name.parse::<i64>() {
            Ok(integer) => Literal::Integer(integer),
            Err(_) => {
                let number = name.parse::<f64>().ok().filter(|number| number.is_finite());
                let number = number.filter(|_| name.contains(|c: char| c.is_ascii_digit()));
                Literal::Float(number.ok_or_else(|| self.error(VALUE))?)
            }
        };
        self.advance(name.len());
        Ok(value)
    }

    fn string(&mut self, quote: char) -> Result<Literal> {
        let (mut text, mut chars) = (String::new(), self.rest().char_indices().skip(1));
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.advance(at + 1);
                    return Ok(Literal::Text(text));
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, c)) => text.push(c),
                    None => break,
                },
                c => text.push(c),
            }
        }
        Err(self.problem(&format!("expected a second {quote} behind the string, found the end")))
    }
}

/// Characters of keys and numbers.
fn is_name(c: char) -> bool {
    c.is_alphanumeric() || "_-.+".contains(c)
}
