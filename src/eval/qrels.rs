//! Relevance judgements.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use crate::corpus::{BytesRead, Lines};
use crate::error::{Error, Place, Result};

/// Grade of a document nobody judged: below every level of relevance.
pub const UNJUDGED: i32 = i32::MIN;

/// Graded judgements of documents for queries.
#[derive(Debug, Clone, Default)]
pub struct Qrels {
    /// The file they came from.
    path: PathBuf,
    queries: BTreeMap<String, HashMap<Box<str>, i32>>,
    regraded: usize,
}

impl Qrels {
    /// Reads TREC judgements, `query 0 document grade` a line, separated by spaces or tabs
    /// (plain, .gz or .zst; `-` is standard input).
    ///
    /// # Errors
    /// With the line: other than four columns, a grade that is no integer. A file without
    /// judgements. Of several grades of one document the last counts, as in pytrec_eval's
    /// tables, and [`Qrels::regraded`] counts them (MedQuAD's judgements have such).
    pub fn read(path: &Path) -> Result<Self> {
        let mut lines = Lines::open(path, &BytesRead::default())?;
        let mut qrels = Qrels { path: path.to_owned(), ..Qrels::default() };
        while lines.advance()? {
            let columns: Vec<&str> = lines.text().split_ascii_whitespace().collect();
            let [query, _, document, grade] = columns[..] else {
                return Err(lines.error(format!(
                    "expected four columns (query 0 document grade), found {}",
                    columns.len()
                )));
            };
            let grade: i32 = grade.parse().map_err(|_| {
                lines.error(format!("expected an integer grade in column 4, found {grade:?}"))
            })?;
            let before = qrels.insert(query, document, grade);
            qrels.regraded += usize::from(before.is_some_and(|before| before != grade));
        }
        if qrels.queries.is_empty() {
            let problem = "expected at least one judgement, found none";
            return Err(Error::data(path, Place::File, problem));
        }
        Ok(qrels)
    }

    /// Adds or replaces a judgement; gives back the grade it replaced.
    pub fn insert(&mut self, query: &str, document: &str, grade: i32) -> Option<i32> {
        if !self.queries.contains_key(query) {
            self.queries.insert(query.to_owned(), HashMap::new());
        }
        self.queries.get_mut(query)?.insert(document.into(), grade)
    }

    /// Grade of `document` for `query`, or [`UNJUDGED`].
    pub fn grade(&self, query: &str, document: &str) -> i32 {
        let grades = self.queries.get(query);
        grades.and_then(|g| g.get(document)).copied().unwrap_or(UNJUDGED)
    }

    /// All grades given for `query`, descending; `None` if the query is not judged.
    pub fn grades(&self, query: &str) -> Option<Vec<i32>> {
        let mut grades: Vec<i32> = self.queries.get(query)?.values().copied().collect();
        grades.sort_unstable_by(|a, b| b.cmp(a));
        Some(grades)
    }

    /// Ids of the judged queries in bytewise order.
    pub fn queries(&self) -> impl Iterator<Item = &str> {
        self.queries.keys().map(String::as_str)
    }

    /// How often a line of the file changed a grade that an earlier one gave.
    pub fn regraded(&self) -> usize {
        self.regraded
    }

    /// The file they came from.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Qrels, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qrels");
        std::fs::write(&path, text).unwrap();
        Qrels::read(&path).map_err(|e| {
            assert_eq!(e.exit_code(), 2);
            e.to_string().rsplit_once("/qrels").unwrap().1.to_owned()
        })
    }

    #[test]
    fn columns_may_be_spaces_or_tabs() {
        let qrels = read("q1 0 d1 2\r\nq1\t0\td2   -1\nq2  Q0 d1\t0\n").unwrap();
        assert_eq!(qrels.grades("q1"), Some(vec![2, -1]));
        assert_eq!([qrels.grade("q1", "d2"), qrels.grade("q2", "d2")], [-1, UNJUDGED]);
        assert_eq!(qrels.grades("q3"), None);
        assert_eq!(qrels.queries().collect::<Vec<_>>(), ["q1", "q2"]);
    }

    #[test]
    fn the_last_grade_of_a_document_counts_and_changes_are_counted() {
        let qrels = read("q 0 d 1\nq 0 d 1\nq 0 d 2\np 0 d 0\n").unwrap();
        assert_eq!((qrels.grade("q", "d"), qrels.regraded()), (2, 1));
    }

    #[test]
    fn each_fault_names_its_line() {
        let fails = |line: &str| read(&format!("q 0 d 1\n{line}\n")).unwrap_err();
        assert_eq!(fails("q 0 d"), ":2: expected four columns (query 0 document grade), found 3");
        assert_eq!(fails("q 0 e 1.5"), ":2: expected an integer grade in column 4, found \"1.5\"");
        assert_eq!(read("\n").unwrap_err(), ": expected at least one judgement, found none");
    }
}
