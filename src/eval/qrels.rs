//! Relevance judgements.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use crate::corpus::{BytesRead, Lines, check_id, is_header, trim_id};
use crate::error::{Error, Place, Result};

/// Grade of a document without a judgement: below every level of relevance.
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
    /// Reads judgements (plain, .gz or .zst; `-` is standard input), a line each, separated by
    /// spaces or tabs: TREC's `query 0 document grade`, or BEIR's `query document grade`, as
    /// the first line has it. Lines that begin with `#` are comments, as to trec_eval 10, and
    /// a row of column names is passed over.
    ///
    /// # Errors
    /// With the line: other columns, a grade that is no integer. A file without
    /// judgements. Of several grades of one document the last counts, as in pytrec_eval's
    /// tables, and [`Qrels::regraded`] counts them (MedQuAD's judgements have such).
    pub fn read(path: &Path) -> Result<Self> {
        let mut lines = Lines::open(path, &BytesRead::default())?;
        let mut qrels = Qrels { path: path.to_owned(), ..Qrels::default() };
        let mut shape = None;
        while lines.advance()? {
            let text = lines.text();
            if text.starts_with('#') {
                continue;
            }
            lines.refuse_old_line_ends(None)?;
            let of_file = match shape {
                Some(known) => known,
                None => *shape.insert(Shape::of_line(text).map_err(|p| lines.error(p))?),
            };
            let bad = |problem| lines.error(problem);
            let columns = of_file.columns(text).map_err(bad)?;
            if is_header(columns.iter().copied()) {
                continue;
            }
            let [query, .., document, grade] = columns[..] else {
                return Err(Error::Internal("judgements have three or four columns".into()));
            };
            [query, document].into_iter().try_for_each(check_id).map_err(bad)?;
            let grade = parse_grade(grade).ok_or_else(|| {
                let column = columns.len();
                bad(format!("expected an integer grade in column {column}, found {grade:?}"))
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

/// How many columns a file of judgements has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// `query 0 document grade`
    Trec,
    /// `query document grade`
    Beir,
}

impl Shape {
    fn of_line(line: &str) -> Result<Self, String> {
        let (words, tabs) = (line.split_ascii_whitespace().count(), line.split('\t').count());
        match (words, tabs) {
            (_, 3) if is_header(line.split('\t')) => Ok(Shape::Beir),
            (4, _) => Ok(Shape::Trec),
            (3, _) => Ok(Shape::Beir),
            // Ids with spaces.
            (_, 4) => Ok(Shape::Trec),
            (_, 3) => Ok(Shape::Beir),
            _ => Err(format!(
                "expected four columns (query 0 document grade) or three (query document grade), \
                 found {words}"
            )),
        }
    }

    /// The columns of a line: between tabs where there are as many, so that ids may hold
    /// spaces, else between white space.
    fn columns(self, line: &str) -> Result<Vec<&str>, String> {
        let (columns, names) = match self {
            Shape::Trec => (4, "four columns (query 0 document grade)"),
            Shape::Beir => (3, "three columns (query document grade), as before"),
        };
        let between_tabs: Vec<&str> = line.split('\t').map(trim_id).collect();
        if between_tabs.len() == columns && between_tabs.iter().all(|column| !column.is_empty()) {
            return Ok(between_tabs);
        }
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if words.len() == columns {
            return Ok(words);
        }
        Err(format!("expected {names}, found {}", words.len()))
    }
}

/// An integer, also one that a table of floats wrote: 1.0.
fn parse_grade(text: &str) -> Option<i32> {
    let whole = |grade: &f64| grade.fract() == 0.0 && grade.abs() <= f64::from(i32::MAX);
    text.parse().ok().or_else(|| Some(text.parse().ok().filter(whole)? as i32))
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
    fn beirs_three_columns_with_or_without_names_and_floats_of_tables() {
        for names in ["", "query-id\tcorpus-id\tscore\n", "qid docno label\n"] {
            let qrels = read(&format!("{names}q1\td1\t2\nq1\td2\t1.0\n")).unwrap();
            assert_eq!(qrels.grades("q1"), Some(vec![2, 1]), "{names:?}");
            assert_eq!(qrels.queries().count(), 1);
        }
        let qrels = read("query_id iter doc_id relevance\nq1 0 d1 3\n").unwrap();
        assert_eq!((qrels.grade("q1", "d1"), qrels.queries().count()), (3, 1));
        let qrels = read("query-id\tcorpus-id\tscore\nq 1\td 2\t1\nq3\td 2\t1\n").unwrap();
        assert_eq!([qrels.grade("q 1", "d 2"), qrels.grade("q3", "d 2")], [1, 1]);
        let qrels = read("q1\t0\tDocument One\t1\n").unwrap();
        assert_eq!(qrels.grade("q1", "Document One"), 1);
    }

    #[test]
    fn comments_and_blank_lines_are_passed_over() {
        let qrels = read("# made by hand\nq 0 d 1\n \t\n#q 0 e 1\n\u{feff}q 0 f 1\n").unwrap();
        assert_eq!(qrels.grades("q"), Some(vec![1, 1]));
        assert_eq!([qrels.grade("q", "e"), qrels.grade("q", "f")], [UNJUDGED, 1]);
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
        assert!(
            fails("q 0 e nan").contains("found \"nan\"") && fails("q 0 e 1e20").contains("1e20")
        );
        assert!(fails("q 0 d\u{200b}1 1").contains("found U+200B"));
        assert!(fails("q 0 d 1\rq 0 e 1\r").contains("turn them into line feeds"));
        assert!(read("q d\n").unwrap_err().contains("or three (query document grade), found 2"));
        let mixed = read("q d 1\nq 0 d 1\n").unwrap_err();
        assert_eq!(mixed, ":2: expected three columns (query document grade), as before, found 4");
        assert_eq!(read("\n").unwrap_err(), ": expected at least one judgement, found none");
    }
}
