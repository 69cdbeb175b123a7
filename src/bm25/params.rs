//! What fixes BM25 weights and tokens; it travels with an index, so that a query node
//! analyses as the build did and a merge can refuse what differs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// BM25's parameters and analyzer. The defaults are Anserini's for MS MARCO passages.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bm25Params {
    /// Term-frequency saturation, ≥ 0.
    pub k1: f64,
    /// Length normalisation, 0 to 1.
    pub b: f64,
    /// Average document length in tokens.
    pub avgdl: AvgDl,
    /// Stemmer of documents and queries.
    pub stemmer: Stemmer,
    /// Words left out of documents and queries.
    pub stopwords: StopWords,
}

impl Default for Bm25Params {
    fn default() -> Self {
        Bm25Params {
            k1: 0.9,
            b: 0.4,
            avgdl: AvgDl::Auto,
            stemmer: Stemmer::English,
            stopwords: StopWords::English,
        }
    }
}

impl Bm25Params {
    /// Refuses parameters outside their ranges.
    pub fn check(&self) -> Result<()> {
        if !(self.k1.is_finite() && self.k1 >= 0.0) {
            return Err(Error::setting("k1", "at least 0", self.k1));
        }
        if !(0.0..=1.0).contains(&self.b) {
            return Err(Error::setting("b", "between 0 and 1", self.b));
        }
        match self.avgdl {
            AvgDl::Fixed(length) => check_length(length),
            AvgDl::Auto => Ok(()),
        }
    }
}

/// Average document length: counted, or given (so that shards agree).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum AvgDl {
    /// Counted over the collection, which is read to its end before the first weight.
    Auto,
    /// This many tokens; the collection is streamed.
    Fixed(f64),
}

impl FromStr for AvgDl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "auto" {
            return Ok(AvgDl::Auto);
        }
        let length = text.parse().map_err(|_| {
            Error::Usage(format!("`avgdl` must be auto or a number of tokens, found {text:?}"))
        })?;
        check_length(length)?;
        Ok(AvgDl::Fixed(length))
    }
}

fn check_length(length: f64) -> Result<()> {
    if length.is_finite() && length > 0.0 {
        return Ok(());
    }
    Err(Error::setting("avgdl", "a positive number of tokens", length))
}

impl fmt::Display for AvgDl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AvgDl::Auto => f.write_str("auto"),
            AvgDl::Fixed(length) => length.fmt(f),
        }
    }
}

/// How tokens are reduced to stems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stemmer {
    /// Snowball's English stemmer (Porter2).
    English,
    /// Tokens stay as they are.
    None,
}

/// Which words are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopWords {
    /// Lucene's 33 English stop words.
    English,
    /// None is left out.
    None,
}

macro_rules! english_or_none {
    ($type:ident, $flag:literal) => {
        impl FromStr for $type {
            type Err = Error;

            fn from_str(name: &str) -> Result<Self> {
                match name {
                    "english" => Ok($type::English),
                    "none" => Ok($type::None),
                    _ => Err(Error::Usage(format!(
                        concat!($flag, " knows english and none, found {:?}"),
                        name
                    ))),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $type::English => "english",
                    $type::None => "none",
                })
            }
        }
    };
}

english_or_none!(Stemmer, "`stemmer`");
english_or_none!(StopWords, "`stopwords`");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_read_back_as_written() {
        for text in ["auto", "57.25"] {
            assert_eq!(text.parse::<AvgDl>().unwrap().to_string(), text);
        }
        for name in ["english", "none"] {
            assert_eq!(name.parse::<Stemmer>().unwrap().to_string(), name);
            assert_eq!(name.parse::<StopWords>().unwrap().to_string(), name);
        }
        let message = "german".parse::<Stemmer>().unwrap_err().to_string();
        assert_eq!(message, "`stemmer` knows english and none, found \"german\"");
    }

    #[test]
    fn parameters_outside_their_ranges_are_refused() {
        let default = Bm25Params::default();
        assert!(default.check().is_ok());
        for bad in [
            Bm25Params { k1: -0.1, ..default },
            Bm25Params { k1: f64::NAN, ..default },
            Bm25Params { b: 1.1, ..default },
            Bm25Params { b: f64::NAN, ..default },
            Bm25Params { avgdl: AvgDl::Fixed(0.0), ..default },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
        for bad in ["", "0", "-1", "inf", "nan", "average"] {
            assert!(bad.parse::<AvgDl>().is_err(), "{bad:?}");
        }
    }
}
