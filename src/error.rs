//! The one error type of the library, and the exit code each kind means.
//!
//! An error about data says where (file, then line, record or section), what was
//! expected, what was found, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Settings that messages name, sorted: as methods and fields of the library, flags of the
/// programs (with `-` for `_`) and keywords of bindings are called.
pub const SETTINGS: &[&str] = &[
    "attribute_fields",
    "attributes",
    "avgdl",
    "b",
    "bits",
    "bm25",
    "boost",
    "cache_size",
    "codec",
    "device",
    "dtype",
    "fail_if",
    "field",
    "fields",
    "filter",
    "format",
    "hybrid_text",
    "hybrid_weight",
    "ids",
    "input",
    "k",
    "k1",
    "keep",
    "kind",
    "like",
    "load",
    "max_k",
    "max_length",
    "max_query_length",
    "max_query_terms",
    "memory",
    "min_impact",
    "min_score",
    "min_weight",
    "model",
    "order",
    "order_from",
    "output",
    "pointer",
    "qrels",
    "queries",
    "query_kind",
    "query_mass",
    "query_model",
    "query_scale",
    "queue",
    "ranges",
    "rate",
    "report",
    "rescore",
    "resume",
    "reuse",
    "runs",
    "scale",
    "seconds",
    "shard",
    "skip_data",
    "stemmer",
    "stopwords",
    "threads",
    "tmp",
    "to",
    "top",
    "top_per_doc",
    "verify",
    "vocabulary",
    "weights",
];

/// Where in a file something was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    File,
    /// A text line, counted from 1.
    Line(u64),
    /// A binary record, counted from 1.
    Record(u64),
    /// A named part of a structured file and a byte offset in the file.
    Section(&'static str, u64),
}

/// A library's message, to be part of ours: what it puts between backticks are no settings.
pub(crate) fn foreign(message: impl fmt::Display) -> String {
    message.to_string().replace('`', "\"")
}

/// What went wrong.
///
/// Messages name settings between backticks; [`Error::naming_settings`] writes them as a front end
/// calls them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's data is not what it must be.
    #[error("{}", DataMessage(.0))]
    Data(Box<DataError>),
    /// A setting has a value that it cannot have.
    #[error("{0}")]
    Setting(Box<SettingError>),
    /// Settings or arguments do not go together, or not with the data.
    #[error("{0}")]
    Usage(String),
    /// The operating system said no.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "read", "create", "rename".
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The caller asked to stop, and what was done so far is safe.
    #[error("stopped before the end")]
    Stopped,
    /// A promise inside splindex did not hold: a bug worth reporting.
    #[error("internal error: {0}; please report this")]
    Internal(String),
}

/// A setting whose value is out of its range; see [`Error::setting`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    /// Its name, as the library's method or field has it.
    pub setting: &'static str,
    /// What it must be: "at least 1".
    pub expected: String,
    /// What it is.
    pub found: String,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SettingError { setting, expected, found } = self;
        write!(f, "`{setting}` must be {expected}, found {found}")
    }
}

/// A fault in input data; see [`Error::data`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataError {
    /// The file, `-` for standard input.
    pub path: PathBuf,
    /// Where in it.
    pub place: Place,
    /// What was expected and what was found.
    pub problem: String,
    /// What to do; empty if the problem says it all.
    pub hint: String,
    /// Whether all that follows is lost, too: see [`Error::ends_input`].
    pub ends_input: bool,
    /// Whether there is no such file at all: see [`Error::is_missing_file`].
    pub missing: bool,
}

struct DataMessage<'a>(&'a DataError);

impl fmt::Display for DataMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DataError { path, place, problem, hint, .. } = self.0;
        write!(f, "{}", path.display())?;
        match place {
            Place::File => write!(f, ": ")?,
            Place::Line(n) => write!(f, ":{n}: ")?,
            Place::Record(n) => write!(f, ": record {n}: ")?,
            Place::Section(name, offset) => write!(f, ": section {name} at byte {offset}: ")?,
        }
        write!(f, "{problem}")?;
        if !hint.is_empty() {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl DataError {
    /// What was expected and what was found, where the problem says both.
    pub fn expected_and_found(&self) -> Option<(&str, &str)> {
        self.problem.strip_prefix("expected ")?.split_once(", found ")
    }
}

impl Error {
    /// A setting that must be `expected` and is not.
    pub fn setting(
        setting: &'static str,
        expected: impl Into<String>,
        found: impl fmt::Display,
    ) -> Self {
        let (expected, found) = (expected.into(), found.to_string());
        Error::Setting(Box::new(SettingError { setting, expected, found }))
    }

    /// The message with every setting written by `write`. Messages name settings between
    /// backticks, by the names of [`SETTINGS`]: a command line writes `--query-scale` for
    /// `query_scale`, a binding its keyword.
    ///
    /// ```
    /// use splindex::Error;
    /// let error = Error::setting("query_scale", "positive", -1.0);
    /// assert_eq!(error.to_string(), "`query_scale` must be positive, found -1");
    /// let flag = |setting: &str| format!("--{}", setting.replace('_', "-"));
    /// assert_eq!(error.naming_settings(flag), "--query-scale must be positive, found -1");
    /// ```
    pub fn naming_settings(&self, write: impl Fn(&str) -> String) -> String {
        let message = self.to_string();
        let (mut rest, mut named, mut quoted) = (&*message, String::new(), false);
        while let Some(at) = rest.find(['`', '"', '\\']) {
            let (before, behind) = rest.split_at(at);
            named.push_str(before);
            let (mark, behind) = behind.split_at(1);
            rest = behind;
            match mark {
                // What is shown of the user's own data stays.
                "`" if !quoted => {
                    let Some((name, behind)) = rest.split_once('`') else {
                        named.push_str(mark);
                        break;
                    };
                    match SETTINGS.binary_search(&name) {
                        Ok(_) => named.push_str(&write(name)),
                        Err(_) => named.extend([mark, name, mark]),
                    }
                    rest = behind;
                }
                "\\" if quoted => {
                    let escaped = rest.chars().next().map_or(0, char::len_utf8);
                    named.push_str(mark);
                    named.push_str(&rest[..escaped]);
                    rest = &rest[escaped..];
                }
                _ => {
                    quoted ^= mark == "\"";
                    named.push_str(mark);
                }
            }
        }
        named + rest
    }

    /// A fault in the data of `path`.
    pub fn data(path: impl AsRef<Path>, place: Place, problem: impl Into<String>) -> Self {
        Error::Data(Box::new(DataError {
            path: path.as_ref().to_owned(),
            place,
            problem: problem.into(),
            hint: String::new(),
            ends_input: false,
            missing: false,
        }))
    }

    /// Marks a data error that is not about one record: nothing after it can be read, so
    /// that who passes over bad records must not pass over this.
    pub fn ends_input(mut self) -> Self {
        if let Error::Data(data) = &mut self {
            data.ends_input = true;
        }
        self
    }

    /// Marks a data error about a file or folder that is not there.
    pub fn missing(mut self) -> Self {
        if let Error::Data(data) = &mut self {
            data.missing = true;
        }
        self
    }

    /// Whether one record is bad and reading can go on with the next.
    pub fn is_one_record(&self) -> bool {
        matches!(self, Error::Data(data) if !data.ends_input)
    }

    /// Adds what the user can do about a data error; other errors are unchanged.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Error::Data(data) = &mut self {
            data.hint = hint.into();
        }
        self
    }

    /// Wraps a system error; a file that is not there is the caller's bad input.
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: io::Error) -> Self {
        let path = path.as_ref().to_owned();
        if source.kind() == io::ErrorKind::NotFound && matches!(action, "open" | "read" | "map") {
            return Error::data(path, Place::File, "no such file or directory").missing();
        }
        Error::Io { action, path, source }
    }

    /// Whether an input is not there at all: what a binding may have an error of its own for.
    pub fn is_missing_file(&self) -> bool {
        matches!(self, Error::Data(data) if data.missing)
    }

    /// Exit code: 2 bad input or usage, 3 I/O or internal, 130 stopped. (1 is a check that
    /// said no.)
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Data(_) | Error::Setting(_) | Error::Usage(_) => 2,
            Error::Io { .. } | Error::Internal(_) => 3,
            Error::Stopped => 130,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_error_reads_file_place_problem_hint() {
        let e = Error::data("docs.tsv", Place::Line(17), "expected id<TAB>text, found no tab")
            .hint("separate the columns with a tab");
        assert_eq!(
            e.to_string(),
            "docs.tsv:17: expected id<TAB>text, found no tab; separate the columns with a tab"
        );
        assert_eq!(e.exit_code(), 2);
    }

    #[test]
    fn settings_are_written_as_the_front_end_calls_them_and_other_words_stay() {
        assert!(SETTINGS.is_sorted());
        let flag = |setting: &str| format!("--{}", setting.replace('_', "-"));
        let message = |text: &str| Error::Usage(text.into()).naming_settings(flag);
        assert_eq!(
            message("`query_model` or `query_kind` repeated"),
            "--query-model or --query-kind repeated"
        );
        for text in ["run `splindex verify`, then", "`vector` and `bits", "", "a ` b", "``"] {
            assert_eq!(message(text), text);
        }
        assert_eq!(message("`vector` and `bits`"), "`vector` and --bits");
        let shown = "expected a number, found \"`k` \\\"`k`\"";
        assert_eq!(message(&format!("{shown} in `k`")), format!("{shown} in --k"));
        assert_eq!(foreign("unknown field `k`"), "unknown field \"k\"");
    }

    #[test]
    fn a_data_error_gives_its_parts() {
        let Error::Data(data) = Error::data("x", Place::File, "expected 3 columns, found 2") else {
            unreachable!()
        };
        assert_eq!(data.expected_and_found(), Some(("3 columns", "2")));
    }

    #[test]
    fn a_missing_input_is_bad_input_and_a_full_disk_is_not() {
        let gone = io::Error::from(io::ErrorKind::NotFound);
        let gone = Error::io("open", "x", gone);
        assert!(gone.exit_code() == 2 && gone.is_missing_file());
        let full = Error::io("write", "x", io::Error::from(io::ErrorKind::StorageFull));
        assert!(full.exit_code() == 3 && !full.is_missing_file());
    }
}
