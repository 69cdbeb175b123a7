//! What a filter asks of a document.

use std::fmt;

/// A condition on the attributes of a document. A document without a key satisfies no comparison of
/// it, `!=` and `not in` included.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The document has the key.
    Has(String),
    /// One of its values compares so.
    Compare(String, Comparison, Literal),
    /// One of its values is among these.
    In(String, Vec<Literal>),
    /// It has the key, and none of its values is among these.
    NotIn(String, Vec<Literal>),
    /// All hold.
    And(Vec<Condition>),
    /// One holds.
    Or(Vec<Condition>),
    /// It does not hold: of documents without the key, too.
    Not(Box<Condition>),
}

/// How values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`: the document has the key, and no such value.
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Comparison {
    /// All of them; those that begin as another does stand before it.
    pub(super) const ALL: [Comparison; 6] = [
        Comparison::NotEqual,
        Comparison::AtMost,
        Comparison::AtLeast,
        Comparison::Equal,
        Comparison::Less,
        Comparison::Greater,
    ];

    /// As it is written.
    pub fn sign(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::Greater => ">",
            Comparison::AtLeast => ">=",
        }
    }
}

/// A value that a condition names. Times are strings as in RFC 3339.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// A string or a time.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A finite float.
    Float(f64),
    /// A boolean.
    Boolean(bool),
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Text(text) => write!(f, "{text:?}"),
            Literal::Integer(number) => write!(f, "{number}"),
            Literal::Float(number) => write!(f, "{number}"),
            Literal::Boolean(value) => write!(f, "{value}"),
        }
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident),*) => {
        $(impl From<$from> for Literal {
            fn from(value: $from) -> Self {
                Literal::$variant(value.into())
            }
        })*
    };
}

from!(&str => Text, String => Text, i64 => Integer, i32 => Integer, f64 => Float, bool => Boolean);
