//! Which columns or fields of a record make its text.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The value of `--fields`: TSV columns from 1 (`2,3`) or JSON field names
/// (`title,abstract`). Their texts are joined by one space, empty ones left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fields {
    /// TSV columns, counted from 1; column 1 is the id.
    Columns(Vec<usize>),
    /// Names of JSON fields.
    Names(Vec<String>),
}

impl FromStr for Fields {
    type Err = Error;

    fn from_str(list: &str) -> Result<Self> {
        let parts: Vec<&str> = list.split(',').map(str::trim).collect();
        if parts.iter().any(|p| p.is_empty()) {
            return Err(Error::Usage(format!(
                "`fields` expects columns such as 2,3 or names such as title,text, found {list:?}"
            )));
        }
        let numbers: Option<Vec<usize>> = parts.iter().map(|p| p.parse().ok()).collect();
        match numbers {
            Some(columns) if columns.contains(&0) => {
                Err(Error::Usage("`fields` counts columns from 1, found 0".into()))
            }
            Some(columns) => Ok(Fields::Columns(columns)),
            None => Ok(Fields::Names(parts.into_iter().map(str::to_owned).collect())),
        }
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fields::Columns(columns) => {
                let columns: Vec<String> = columns.iter().map(usize::to_string).collect();
                f.write_str(&columns.join(","))
            }
            Fields::Names(names) => f.write_str(&names.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_columns_and_all_else_are_names() {
        assert_eq!("2, 3".parse::<Fields>().unwrap(), Fields::Columns(vec![2, 3]));
        let names = Fields::Names(vec!["title".into(), "2".into()]);
        assert_eq!("title,2".parse::<Fields>().unwrap(), names);
        assert_eq!(names.to_string(), "title,2");
        for bad in ["", "2,", "0,1"] {
            assert!(bad.parse::<Fields>().is_err(), "{bad:?}");
        }
    }
}
