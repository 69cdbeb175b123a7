//! Runs: ranked documents for queries.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::corpus::json::{Number, Scalar, parse_line};
use crate::corpus::{BytesRead, Lines, check_id, is_header, trim_id};
use crate::error::{Error, Place, Result};

/// What errors call a run that comes from no file.
const IN_MEMORY: &str = "<run>";

/// Documents for each query, best first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    path: PathBuf,
    queries: BTreeMap<String, Vec<Box<str>>>,
}

impl Run {
    /// Reads a run (plain, .gz or .zst; `-` is standard input), its format told by the
    /// first line:
    /// - TREC, six columns `query Q0 document rank score tag`: ordered as trec_eval 10 does,
    ///   by score as 64-bit float, then document id, both descending; the rank is ignored.
    /// - MS MARCO, three columns `query document rank`: ordered by rank.
    /// - JSON Lines with `qid`, `docid`, `score`, as `search --format jsonl` writes:
    ///   ordered by score, equal scores as they stand.
    ///
    /// Lines that begin with `#` are comments, as to trec_eval 10, and a row of column names
    /// is passed over.
    ///
    /// # Errors
    /// With the line: a malformed line, a document that stands twice for one query. A file
    /// without lines.
    pub fn read(path: &Path) -> Result<Self> {
        let mut lines = Lines::open(path, &BytesRead::default())?;
        let mut hits: BTreeMap<String, Vec<Hit>> = BTreeMap::new();
        let mut format = None;
        while lines.advance()? {
            let text = lines.text();
            if is_comment(text) || names_columns(text) {
                continue;
            }
            let format = match format {
                Some(format) => format,
                None => *format.insert(Format::of_line(text).map_err(|p| lines.error(p))?),
            };
            if format != Format::Json {
                lines.refuse_old_line_ends(None)?;
            }
            let (query, document, key) = format.parse(text).map_err(|p| lines.error(p))?;
            [&*query, &*document].into_iter().try_for_each(check_id).map_err(|p| lines.error(p))?;
            let hit = Hit { document: document.into(), key, line: lines.number() };
            match hits.get_mut(&*query) {
                Some(list) => list.push(hit),
                None => drop(hits.insert(query.into_owned(), vec![hit])),
            }
        }
        let Some(format) = format else {
            return Err(Error::data(path, Place::File, "expected a run, found no line"));
        };
        let mut run = Run { path: path.to_owned(), queries: BTreeMap::new() };
        for (query, mut list) in hits {
            check_unique(path, &query, &list)?;
            format.sort(&mut list);
            run.queries.insert(query, list.into_iter().map(|hit| hit.document).collect());
        }
        Ok(run)
    }

    /// A run from memory: for each query its documents, best first.
    pub fn from_rankings<D: Into<Box<str>>>(
        rankings: impl IntoIterator<Item = (String, Vec<D>)>,
    ) -> Self {
        let boxed = |documents: Vec<D>| documents.into_iter().map(Into::into).collect();
        let queries = rankings.into_iter().map(|(query, documents)| (query, boxed(documents)));
        Run { path: PathBuf::new(), queries: queries.collect() }
    }

    /// A run from memory: for each query its documents with their scores, in any order; put
    /// into the order of trec_eval 10, by score, then document id, both descending.
    ///
    /// ```
    /// use splindex::eval::Run;
    /// let run = Run::from_scores([("q1".to_owned(), vec![("d1", 0.5), ("d2", 2.0)])])?;
    /// assert_eq!(run.ranking("q1").unwrap()[0].as_ref(), "d2");
    /// # Ok::<(), splindex::Error>(())
    /// ```
    ///
    /// # Errors
    /// A score that is not finite; a query that stands there twice, or a document for one query.
    pub fn from_scores<D: Into<Box<str>>>(
        scores: impl IntoIterator<Item = (String, Vec<(D, f64)>)>,
    ) -> Result<Self> {
        let mut run = Run::default();
        let bad = |problem: String| Err(Error::data(IN_MEMORY, Place::File, problem));
        for (query, documents) in scores {
            let hit = |(document, key): (D, f64)| Hit { document: document.into(), key, line: 0 };
            let mut hits: Vec<Hit> = documents.into_iter().map(hit).collect();
            if let Some(hit) = hits.iter().find(|hit| !hit.key.is_finite()) {
                let (document, score) = (&hit.document, hit.key);
                return bad(format!(
                    "query {query:?}, document {document:?}: expected a finite score, found {score}"
                ));
            }
            if let Some(twice) = repeated(&hits) {
                return bad(once(&twice.document, &query));
            }
            Format::Trec.sort(&mut hits);
            let ranking = hits.into_iter().map(|hit| hit.document).collect();
            if run.queries.insert(query.clone(), ranking).is_some() {
                return bad(format!("expected a query once, found {query:?} again"));
            }
        }
        Ok(run)
    }

    /// Documents of `query`, best first.
    pub fn ranking(&self, query: &str) -> Option<&[Box<str>]> {
        self.queries.get(query).map(Vec::as_slice)
    }

    /// Ids of its queries in bytewise order.
    pub fn queries(&self) -> impl Iterator<Item = &str> {
        self.queries.keys().map(String::as_str)
    }

    /// The file it came from; empty if it was made in memory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether trec_eval passes over the line: it begins with `#`, behind blanks if there are any.
pub(super) fn is_comment(line: &str) -> bool {
    line.trim_ascii_start().starts_with('#')
}

/// Names of columns between tabs may have spaces in them.
fn names_columns(line: &str) -> bool {
    is_header(line.split('\t')) || is_header(line.split_ascii_whitespace())
}

struct Hit {
    document: Box<str>,
    /// Score, or rank of an MS MARCO run.
    key: f64,
    line: u64,
}

/// The first hit whose document stands before it already.
fn repeated(hits: &[Hit]) -> Option<&Hit> {
    let mut seen = HashSet::with_capacity(hits.len());
    hits.iter().find(|hit| !seen.insert(&hit.document))
}

fn once(document: &str, query: &str) -> String {
    format!("expected a document once for a query, found {document:?} again for {query:?}")
}

fn check_unique(path: &Path, query: &str, hits: &[Hit]) -> Result<()> {
    match repeated(hits) {
        None => Ok(()),
        Some(hit) => Err(Error::data(path, Place::Line(hit.line), once(&hit.document, query))),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Trec,
    MsMarco,
    Json,
}

type Parsed<'a> = (std::borrow::Cow<'a, str>, String, f64);

impl Format {
    fn of_line(line: &str) -> Result<Self, String> {
        if line.trim_start().starts_with('{') {
            return Ok(Format::Json);
        }
        match (line.split('\t').count(), line.split_ascii_whitespace().count()) {
            (_, 6) | (6, _) => Ok(Format::Trec),
            (3, _) | (_, 3) => Ok(Format::MsMarco),
            (_, found) => Err(format!(
                "expected a run: TREC (query Q0 document rank score tag), MS MARCO (query \
                 document rank) or JSON Lines, found {found} columns"
            )),
        }
    }

    fn parse(self, line: &str) -> Result<Parsed<'_>, String> {
        match self {
            Format::Trec => parse_trec(line),
            Format::MsMarco => parse_msmarco(line),
            Format::Json => parse_json(line),
        }
    }

    fn sort(self, hits: &mut [Hit]) {
        let descending = |a: f64, b: f64| b.total_cmp(&a);
        match self {
            Format::Trec => hits.sort_unstable_by(|a, b| {
                // Adding 0 makes -0 and 0 the tie that they are to trec_eval.
                descending(a.key + 0.0, b.key + 0.0)
                    .then_with(|| Reverse(&a.document).cmp(&Reverse(&b.document)))
            }),
            Format::MsMarco => hits.sort_by(|a, b| a.key.total_cmp(&b.key)),
            Format::Json => hits.sort_by(|a, b| descending(a.key + 0.0, b.key + 0.0)),
        }
    }
}

/// Splits at tabs where there are five of them: such ids may hold spaces.
fn parse_trec(line: &str) -> Result<Parsed<'_>, String> {
    let between_tabs: Option<[&str; 6]> = match line.bytes().filter(|&b| b == b'\t').count() {
        5 => collect(&mut line.split('\t').map(trim_id)),
        _ => None,
    };
    let fields = between_tabs.filter(|fields| fields.iter().all(|field| !field.is_empty()));
    let fields = fields.or_else(|| {
        let mut words = line.split_ascii_whitespace();
        collect(&mut words).filter(|_| words.next().is_none())
    });
    let Some([query, _, document, _, score, _]) = fields else {
        return Err(format!(
            "expected six columns (query Q0 document rank score tag), found {}",
            line.split_ascii_whitespace().count()
        ));
    };
    let finite = score.parse().ok().filter(|s: &f64| s.is_finite());
    let score =
        finite.ok_or_else(|| format!("expected a finite score in column 5, found {score:?}"))?;
    Ok((query.into(), document.to_owned(), score))
}

/// Splits at tabs where there are two of them: such ids may hold spaces.
fn parse_msmarco(line: &str) -> Result<Parsed<'_>, String> {
    let tabs = line.bytes().filter(|&b| b == b'\t').count();
    let fields: Option<[&str; 3]> = match tabs {
        2 => collect(&mut line.split('\t').map(trim_id)),
        _ => collect(&mut line.split_ascii_whitespace())
            .filter(|_: &[&str; 3]| line.split_ascii_whitespace().count() == 3),
    };
    let [query, document, rank] = fields
        .filter(|fields| fields.iter().all(|field| !field.is_empty()))
        .ok_or("expected three columns (query document rank)")?;
    let rank: u32 = rank
        .trim()
        .parse()
        .map_err(|_| format!("expected a whole number as rank in column 3, found {rank:?}"))?;
    Ok((query.into(), document.to_owned(), f64::from(rank)))
}

fn collect<'a, const N: usize>(
    columns: &mut impl Iterator<Item = &'a str>,
) -> Option<[&'a str; N]> {
    let mut fields = [""; N];
    for field in &mut fields {
        *field = columns.next()?;
    }
    Some(fields)
}

#[derive(Deserialize)]
#[serde(expecting = "a JSON object with qid, docid and score")]
struct JsonHit {
    qid: Scalar,
    docid: Scalar,
    score: Number,
}

fn parse_json(line: &str) -> Result<Parsed<'_>, String> {
    let hit = parse_line(line, |json| JsonHit::deserialize(json))?;
    Ok((hit.qid.into_id()?.into(), hit.docid.into_id()?, hit.score.0))
}

#[cfg(test)]
mod tests;
