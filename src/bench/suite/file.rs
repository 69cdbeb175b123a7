//! The suite file: rows of {name, index, queries, query model, judgements}.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::corpus::sniff;
use crate::error::{Error, Place, Result, foreign};
use crate::eval::{Measure, parse_measures};
use crate::queries::file::QueryKind;
use crate::query::Algorithm;

/// What to measure, as the file gives it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Results a query.
    #[serde(default = "default_k")]
    pub k: usize,
    /// Counted passes.
    #[serde(default = "default_runs")]
    pub runs: usize,
    /// Algorithm of rows that name none.
    #[serde(default = "default_algorithm", deserialize_with = "parsed")]
    pub algorithm: Algorithm,
    /// Measures, as `eval --metrics` takes them; none looks further than k results.
    #[serde(default = "default_metrics", deserialize_with = "measures")]
    pub metrics: Vec<Measure>,
    /// The systems, in the order of the table.
    #[serde(rename = "row")]
    pub rows: Vec<Row>,
}

/// One system on one collection. Relative paths are relative to the suite file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The system: BM25, SPLADE, …
    pub name: String,
    /// What it was measured on, where the suite has several collections.
    pub collection: Option<String>,
    /// Index file.
    pub index: PathBuf,
    /// Query file: texts, weighted tokens, or repeated tokens.
    pub queries: PathBuf,
    /// How to read it: auto, text, weighted or repeated.
    #[serde(default, deserialize_with = "parsed")]
    pub kind: QueryKind,
    /// Directory that turns query texts into weighted tokens; BM25 needs none.
    pub query_model: Option<PathBuf>,
    /// Weight of the learned part in a hybrid index.
    pub hybrid_weight: Option<f64>,
    /// Factor of query weights that are not all integers; 100 if none is given.
    pub query_scale: Option<f64>,
    /// Judgements; without them the row has no quality.
    pub qrels: Option<PathBuf>,
    /// Algorithm of this row.
    #[serde(default, deserialize_with = "some")]
    pub algorithm: Option<Algorithm>,
}

fn default_k() -> usize {
    1000
}

fn default_runs() -> usize {
    5
}

fn default_algorithm() -> Algorithm {
    Algorithm::Auto
}

/// The measures of the paper's table.
pub fn default_metrics() -> Vec<Measure> {
    vec![Measure::Mrr(Some(10)), Measure::Recall(1000), Measure::Ndcg(Some(10))]
}

/// A value that a file names as the command line does.
fn parsed<'de, T: FromStr<Err = Error>, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
    String::deserialize(d)?.parse().map_err(D::Error::custom)
}

fn some<'de, T: FromStr<Err = Error>, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error> {
    parsed(d).map(Some)
}

fn measures<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Measure>, D::Error> {
    parse_measures(&String::deserialize(d)?).map_err(D::Error::custom)
}

impl Suite {
    /// A suite of `rows` with everything else at its default.
    pub fn of_rows(rows: Vec<Row>) -> Self {
        let (k, runs, metrics) = (default_k(), default_runs(), default_metrics());
        Suite { k, runs, algorithm: Algorithm::Auto, metrics, rows }
    }

    /// Reads a TOML file:
    ///
    /// ```toml
    /// k = 1000                 # these four may be left out
    /// runs = 5
    /// algorithm = "windowed"
    /// metrics = "mrr@10,recall@1000,ndcg@10"
    ///
    /// [[row]]
    /// name = "SPLADE"
    /// collection = "scifact"   # where there are several: the table ends with their means
    /// index = "splade.spx"
    /// queries = "queries.tsv"
    /// query_model = "model"    # of text queries on a learned or hybrid index
    /// hybrid_weight = 0.5      # of the learned part of a hybrid index
    /// qrels = "qrels.txt"
    /// ```
    ///
    /// # Errors
    /// With the line: what is no TOML, an unknown key, a missing one. A suite without
    /// rows.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
        sniff::check_plain(path, &bytes, "a suite file (TOML)")?;
        let text = std::str::from_utf8(&bytes).map_err(|e| {
            let before = &bytes[..e.valid_up_to()];
            let line = before.iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
            let problem =
                format!("expected UTF-8, found the byte 0x{:02x}", bytes[e.valid_up_to()]);
            Error::data(path, Place::Line(line), problem).hint("convert the file to UTF-8")
        })?;
        let text = text.trim_start_matches('\u{feff}');
        let mut suite: Suite = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            Error::data(path, Place::Line(line as u64), foreign(e.message()))
                .hint("`splindex-query bench --help` shows a suite file")
        })?;
        if suite.rows.is_empty() {
            return Err(Error::data(
                path,
                Place::File,
                "expected at least one [[row]], found none",
            ));
        }
        if suite.k == 0 {
            return Err(Error::data(path, Place::File, "expected k of at least 1, found 0"));
        }
        let base = path.parent().unwrap_or(Path::new(""));
        for row in &mut suite.rows {
            let given = [row.query_model.as_mut(), row.qrels.as_mut()].into_iter().flatten();
            for path in [&mut row.index, &mut row.queries].into_iter().chain(given) {
                *path = base.join(&*path);
            }
        }
        Ok(suite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_a_suite_name_the_line() {
        let dir = tempfile::tempdir().unwrap();
        let fails = |text: &[u8]| {
            let path = dir.path().join("s.toml");
            std::fs::write(&path, text).unwrap();
            Suite::read(&path).unwrap_err().to_string()
        };
        assert!(
            fails(b"\x1f\x8b\x08").contains("s.toml: expected a suite file (TOML), found a file ")
        );
        let latin = fails(b"k = 10\n[[row]]\nname = 'caf\xe9'\n");
        assert!(latin.contains("s.toml:3: expected UTF-8, found the byte 0xe9"), "{latin}");
        let fails = |text: &str| fails(text.as_bytes());
        let row = "[[row]]\nname = 'x'\nindex = 'i'\nqueries = 'q'\n";
        assert!(fails("k = 10\n[[row]\n").contains("s.toml:2: "));
        let e = fails(&format!("{row}colour = 'red'\n"));
        assert!(e.contains("s.toml:5: unknown field \"colour\""), "{e}");
        for (value, found) in
            [("algorithm = 'bmw'", "\"bmw\""), ("kind = 'texts'", "unknown query kind \"texts\"")]
        {
            let e = fails(&format!("{row}{value}\n"));
            assert!(e.contains("s.toml:5: ") && e.contains(found), "{e}");
        }
        assert!(fails(&format!("metrics = 'mrr@x'\n{row}")).contains("s.toml:1: "));
        assert!(fails("[[row]]\nname = 'x'\n").contains("missing field \"index\""));
        assert!(fails(&format!("k = 0\n{row}")).contains("expected k of at least 1"));
        assert!(fails("row = []\n").contains("expected at least one [[row]]"));
        let missing = Suite::read(&dir.path().join("absent.toml")).unwrap_err();
        assert_eq!(missing.exit_code(), 2);
    }
}
