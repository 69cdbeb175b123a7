//! Query files: texts, weighted tokens, repeated tokens, JSON Lines, vectors.

use std::collections::HashMap;
use std::fmt;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::Constraints;
use crate::corpus::{BytesRead, IdSet, Lines, NO_COMMAS, Notes, check_id, is_header};
use crate::error::{Error, Place, Result};
use crate::query::{Algorithm, MAX_QUERY_WEIGHT};
use crate::vectors::VectorSource;
use crate::vectors::inputs::{Queries, open_queries};

mod json;
mod line;
mod vectors;

use line::{Separator, begins_array};

pub use crate::vectors::sparse::Sidecars;

/// What a query file holds; text and repeated tokens cannot be told apart by content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QueryKind {
    /// Weighted if the lines are `token:weight` lists, JSON Lines if they start with `{`,
    /// else text.
    #[default]
    Auto,
    /// `qid<TAB>text` (the text is all behind the first tab), PISA's `qid:text`, or JSON with
    /// `text`, `contents` or `query`.
    Text,
    /// `qid<TAB>token:weight token:weight …`, split at each token's last colon, or JSON
    /// with `vector`, for hybrid and BM25 indexes beside `bm25` or a text.
    Weighted,
    /// Anserini's `qid<TAB>token token …` or PISA's `qid:token token …`: a token's weight
    /// is how often it stands there.
    Repeated,
}

impl FromStr for QueryKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "auto" => Ok(QueryKind::Auto),
            "text" => Ok(QueryKind::Text),
            "weighted" => Ok(QueryKind::Weighted),
            "repeated" => Ok(QueryKind::Repeated),
            _ => Err(Error::Usage(format!(
                "unknown query kind {name:?}: expected auto, text, weighted or repeated"
            ))),
        }
    }
}

impl fmt::Display for QueryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            QueryKind::Auto => "auto",
            QueryKind::Text => "text",
            QueryKind::Weighted => "weighted",
            QueryKind::Repeated => "repeated",
        })
    }
}

/// What a query asks.
#[derive(Debug, Clone, PartialEq)]
pub enum QueryBody {
    /// A text for an analyzer or an encoder.
    Text(String),
    /// Tokens with finite weights ≥ 0, in file order, repeated tokens as they stand.
    Weighted(Vec<(String, f64)>),
}

/// One query and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryInput {
    /// Query id, unique in the file.
    pub id: String,
    /// Line in the file, or record of a file of vectors, from 1.
    pub line: u64,
    /// What it asks.
    pub body: QueryBody,
    /// What it asks of the BM25 field of a hybrid index, if that is not what `body` asks:
    /// the text beside a vector, or the tokens of `bm25`. A BM25 index takes it instead of
    /// `body`, a learned one passes over it: one file serves all three.
    pub bm25: Option<QueryBody>,
    /// What it asks of documents beside their terms: `filter`, `boost` and `min_score` of a line of
    /// JSON.
    pub constraints: Constraints,
}

impl QueryInput {
    /// A query that asks nothing but `body`.
    pub fn new(id: impl Into<String>, line: u64, body: QueryBody) -> Self {
        QueryInput { id: id.into(), line, body, bm25: None, constraints: Constraints::default() }
    }
}

/// What a query of a request asks for itself; else it gets what the whole request asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Results.
    pub k: Option<usize>,
    /// How they are found.
    pub algorithm: Option<Algorithm>,
}

/// All queries of one file, in file order.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryFile {
    /// The file, for errors about its lines.
    pub path: PathBuf,
    /// The queries.
    pub queries: Vec<QueryInput>,
    /// Whether it holds vectors: its queries are records, not lines.
    pub vectors: bool,
    /// What is to be said of lines that were read otherwise than they may be meant: header
    /// rows left out, texts with tabs in them.
    pub notes: Vec<String>,
}

impl QueryFile {
    /// Queries from memory, all of them records; `name` is what errors call them.
    ///
    /// # Errors
    /// With the record: an id that occurs twice, a weight that is negative or not finite.
    pub fn of_queries(name: &Path, mut queries: Vec<QueryInput>) -> Result<Self> {
        let mut ids = IdSet::default();
        for (number, query) in (1..).zip(&mut queries) {
            query.line = number;
            let bad = |problem| Error::data(name, Place::Record(number), problem);
            if !ids.insert(&query.id) {
                let id = &query.id;
                return Err(bad(format!("expected unique query ids, found {id:?} a second time")));
            }
            for body in [Some(&query.body), query.bm25.as_ref()].into_iter().flatten() {
                let QueryBody::Weighted(tokens) = body else { continue };
                tokens.iter().try_for_each(|(token, w)| check_weight(token, *w)).map_err(bad)?;
            }
        }
        Ok(QueryFile { path: name.to_owned(), queries, vectors: true, notes: Vec::new() })
    }

    /// Queries that are vectors, a record each; `name` is what errors call the sources that have
    /// no place.
    ///
    /// # Errors
    /// Those of the sources; an id that occurs twice.
    pub fn of_vectors(name: &Path, sources: Vec<Box<dyn VectorSource + '_>>) -> Result<Self> {
        vectors::of_sources(name, sources)
    }

    /// The place of a query's [`line`](QueryInput::line), for errors.
    pub fn place(&self, line: u64) -> Place {
        if self.vectors { Place::Record(line) } else { Place::Line(line) }
    }
}

/// A query ready for integer scoring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntegerQuery {
    /// Query id.
    pub id: String,
    /// Line in the file, from 1.
    pub line: u64,
    /// Different tokens in order of first appearance, weights 1..=65535.
    pub terms: Vec<(String, u32)>,
    /// Tokens whose weight was or became 0.
    pub dropped: u32,
}

/// Reads a query file (plain, .gz or .zst; `-` is standard input).
///
/// A query may be empty, a file may not. Errors name the line: no id, an id that occurs
/// twice, a malformed token list or JSON object, a weight that is negative or not finite.
/// Under `Auto`, a file of which half the words or more are `token:weight` holds token
/// lists: what else stands there is an error, not text.
///
/// Vectors are read as [`open_vectors_with`](crate::vectors::inputs::open_vectors_with) reads
/// them: a SciPy `.npz` or big-ann `.csr` matrix, a row a query, with the ids and tokens beside
/// it; a store that `encode --kind query` made; a folder of JSON files.
pub fn read_queries(path: &Path, kind: QueryKind) -> Result<QueryFile> {
    read_queries_with(path, kind, &Sidecars::default())
}

/// As [`read_queries`], with other ids and tokens of a matrix.
///
/// # Errors
/// Also `sidecars` for a file of lines.
pub fn read_queries_with(path: &Path, kind: QueryKind, sidecars: &Sidecars) -> Result<QueryFile> {
    match open_queries(path, sidecars)? {
        Queries::Vectors(sources) => vectors::read(path, sources, kind),
        Queries::Lines(Some(read)) => parse_lines(path, Lines::new(path, read), kind),
        Queries::Lines(None) => parse_lines(path, Lines::open(path, &BytesRead::default())?, kind),
    }
}

/// A file of one query, which asks `text`; `name` is what errors call it.
///
/// # Errors
/// A text that `kind` cannot read.
pub fn one_query(name: &Path, id: &str, text: &str, kind: QueryKind) -> Result<QueryFile> {
    let body = QueryBody::Text(text.to_owned());
    let queries = vec![QueryInput::new(id, 1, body)];
    let mut file = QueryFile { path: name.to_owned(), queries, vectors: false, notes: Vec::new() };
    interpret(&mut file, kind)?;
    Ok(file)
}

/// As [`read_queries`], from bytes that are there already; `name` is what errors call them.
pub fn parse_queries(name: &Path, bytes: Vec<u8>, kind: QueryKind) -> Result<QueryFile> {
    parse_lines(name, Lines::new(name, Box::new(Cursor::new(bytes))), kind)
}

/// As [`parse_queries`], of the body of a request: lines of JSON may say `k` and `algorithm`,
/// given here in the order of the queries, and keys that are not known are errors.
///
/// # Errors
/// Also a row of column names; errors of JSON show the shape of a line.
pub fn parse_request(
    name: &Path,
    bytes: Vec<u8>,
    kind: QueryKind,
) -> Result<(QueryFile, Vec<Wishes>)> {
    let lines = Lines::new(name, Box::new(Cursor::new(bytes)));
    let mut wishes = Vec::new();
    let file = parse_any(name, lines, kind, Some(&mut wishes))?;
    Ok((file, wishes))
}

fn parse_lines(path: &Path, lines: Lines, kind: QueryKind) -> Result<QueryFile> {
    parse_any(path, lines, kind, None)
}

/// Reads the lines; of a request where there is somewhere to put `wishes`.
fn parse_any(
    path: &Path,
    mut lines: Lines,
    kind: QueryKind,
    mut wishes: Option<&mut Vec<Wishes>>,
) -> Result<QueryFile> {
    let mut raw = Vec::new();
    let mut ids = IdSet::default();
    let (mut is_json, mut separator) = (None, None);
    let (notes, tabs) = (Notes::default(), Notes::default());
    while lines.advance()? {
        let line = lines.text();
        if is_json.is_none() && begins_array(line) {
            let problem = "expected one query a line, found a JSON array";
            let hint = if wishes.is_some() { json::SHAPE } else { json::LINES };
            return Err(lines.error(problem).hint(hint).ends_input());
        }
        let is_json = *is_json.get_or_insert(line.trim_start().starts_with('{'));
        let separator = *separator.get_or_insert(Separator::of_line(line));
        if !is_json && separator.is_header(line) {
            if wishes.is_some() {
                let problem = "expected queries, found names of columns";
                return Err(lines.error(problem).hint("leave the header row out"));
            }
            notes.header(&lines);
            continue;
        }
        let query = if let Some(wishes) = wishes.as_deref_mut().filter(|_| is_json) {
            let (query, wish) = json::parse_asked(line, kind)
                .map_err(|problem| lines.error(problem).hint(json::SHAPE))?;
            wishes.push(wish);
            Ok(query)
        } else if is_json {
            json::parse(line, kind)
        } else {
            lines.refuse_old_line_ends(Some(separator.char()))?;
            let split = separator.split(line);
            split.map(|(id, body)| {
                let body = QueryBody::Text(body.to_owned());
                (id.to_owned(), body, None, Constraints::default())
            })
        };
        let (id, body, bm25, constraints) = query.map_err(|problem| {
            let hint = match () {
                () if raw.is_empty() && problem.starts_with("expected a field \"id\"") => {
                    json::OF_MAP
                }
                () if !is_json && is_header(line.split(',')) => NO_COMMAS,
                () => "",
            };
            let error = lines.error(problem);
            if hint.is_empty() { error } else { error.hint(hint) }
        })?;
        check_id(&id).map_err(|problem| lines.error(problem))?;
        if !ids.insert(&id) {
            return Err(
                lines.error(format!("expected unique query ids, found {id:?} a second time"))
            );
        }
        if let QueryBody::Text(text) = &body {
            if !is_json && separator == Separator::Tab && text.contains('\t') {
                tabs.tabs(&lines);
            }
            if text.contains('\u{feff}') {
                notes.mark(&lines);
            }
        }
        raw.push(QueryInput { id, line: lines.number(), body, bm25, constraints });
    }
    if raw.is_empty() {
        return Err(Error::data(path, Place::File, "expected at least one query, found none"));
    }
    let asked = wishes.is_some();
    if let Some(wishes) = wishes {
        wishes.resize(raw.len(), Wishes::default());
    }
    let (path, notes) = (path.to_owned(), notes.all());
    let mut file = QueryFile { path, queries: raw, vectors: false, notes };
    if is_json == Some(false) && interpret(&mut file, kind)? == QueryKind::Text {
        if asked
            && separator == Some(Separator::Tab)
            && let Some(line) = line::with_tabs(&file.queries)
        {
            let problem = "expected qid<TAB>query, found more tabs behind the first";
            return Err(Error::data(&file.path, Place::Line(line), problem)
                .hint("write spaces for those that are part of the text"));
        }
        file.notes.extend(tabs.all());
    }
    Ok(file)
}

/// Turns the rests of all lines into what `kind` says they are; gives the kind, guessed if
/// it was to be.
fn interpret(file: &mut QueryFile, kind: QueryKind) -> Result<QueryKind> {
    let guessed = kind == QueryKind::Auto;
    let kind = if guessed { guess(&file.queries) } else { kind };
    for query in &mut file.queries {
        let QueryBody::Text(rest) = &mut query.body else { continue };
        let parsed = match kind {
            QueryKind::Weighted => weighted(rest),
            QueryKind::Repeated => Ok(repeated(rest)),
            QueryKind::Text | QueryKind::Auto => continue,
        };
        query.body = QueryBody::Weighted(parsed.map_err(|problem| {
            let error = Error::data(&file.path, Place::Line(query.line), problem);
            if guessed {
                error.hint("if the queries are texts, say `query_kind` text")
            } else {
                error
            }
        })?);
    }
    Ok(kind)
}

/// One malformed token must not turn a file of token lists into texts; nor do a few texts
/// such as "12:30" make a file of token lists.
fn guess(queries: &[QueryInput]) -> QueryKind {
    let texts = queries.iter().filter_map(|q| match &q.body {
        QueryBody::Text(text) if !text.trim().is_empty() => Some(text),
        _ => None,
    });
    let (mut lists, mut all) = (0usize, 0usize);
    for token in texts.flat_map(|text| text.split_ascii_whitespace()) {
        all += 1;
        lists += usize::from(split_token(token).is_some());
    }
    if all > 0 && 2 * lists >= all { QueryKind::Weighted } else { QueryKind::Text }
}

/// Of a file of texts of which half or more could be lists of `token:weight`, the first that
/// could not, and why: a reader who knows that texts make no sense there looks for a slip.
pub(crate) fn broken_list(file: &QueryFile) -> Option<(u64, String)> {
    let (mut lists, mut texts, mut broken) = (0usize, 0usize, None);
    for query in &file.queries {
        let QueryBody::Text(text) = &query.body else { continue };
        texts += 1;
        match weighted(text) {
            Ok(_) if text.trim().is_empty() => texts -= 1,
            Ok(_) => lists += 1,
            Err(problem) => broken = broken.or(Some((query.line, problem))),
        }
    }
    broken.filter(|_| 2 * lists >= texts)
}

fn split_token(token: &str) -> Option<(&str, f64)> {
    let (token, weight) = token.rsplit_once(':')?;
    (!token.is_empty()).then_some((token, weight.parse().ok()?))
}

fn weighted(list: &str) -> Result<Vec<(String, f64)>, String> {
    list.split_ascii_whitespace()
        .map(|token| {
            let (token, weight) = split_token(token)
                .ok_or_else(|| format!("expected token:weight, found {token:?}"))?;
            check_weight(token, weight)?;
            Ok((token.to_owned(), weight))
        })
        .collect()
}

pub(super) fn check_weight(token: &str, weight: f64) -> Result<(), String> {
    if weight.is_finite() && weight >= 0.0 {
        return Ok(());
    }
    Err(format!("expected a finite weight ≥ 0 for token {token:?}, found {weight}"))
}

fn repeated(list: &str) -> Vec<(String, f64)> {
    list.split_ascii_whitespace().map(|token| (token.to_owned(), 1.0)).collect()
}

/// Weights for integer scoring: taken as written when every weight of the file is an
/// integer, else × `scale` and rounded half up. Repeated tokens are summed first; what is 0
/// after rounding is dropped and counted.
///
/// # Errors
/// A query that is text, a weight above 65535, a `scale` that is no positive number.
pub fn integer_weights(file: &QueryFile, scale: f64) -> Result<Vec<IntegerQuery>> {
    let weighted = file.queries.iter().map(|query| match &query.body {
        QueryBody::Weighted(tokens) => Ok((query, tokens)),
        QueryBody::Text(_) => {
            let (line, problem) = broken_list(file).unwrap_or_else(|| {
                (query.line, "expected weighted tokens, found a text query".into())
            });
            Err(Error::data(&file.path, file.place(line), problem).hint(
                "text needs a BM25 index or a query model; weighted lines are token:weight …",
            ))
        }
    });
    let weighted = weighted.collect::<Result<Vec<_>>>()?;
    let scale = weight_scale(file, scale)?;
    weighted
        .into_iter()
        .map(|(query, tokens)| {
            let (terms, dropped) = integer_terms(tokens, scale)
                .map_err(|problem| Error::data(&file.path, file.place(query.line), problem))?;
            Ok(IntegerQuery { id: query.id.clone(), line: query.line, terms, dropped })
        })
        .collect()
}

/// The factor of a file's query weights: 1 when every weight is an integer, else `scale`.
///
/// # Errors
/// A `scale` that is no positive number.
pub fn weight_scale(file: &QueryFile, scale: f64) -> Result<f64> {
    if !(scale.is_finite() && scale > 0.0) {
        return Err(Error::setting("query_scale", "positive", scale));
    }
    let weights = file.queries.iter().flat_map(|query| match &query.body {
        QueryBody::Weighted(tokens) => &tokens[..],
        QueryBody::Text(_) => &[],
    });
    Ok(scale_of(weights.map(|(_, weight)| *weight), scale))
}

/// 1 when every weight is an integer, else `scale`.
pub(super) fn scale_of(mut weights: impl Iterator<Item = f64>, scale: f64) -> f64 {
    if weights.all(|weight| weight.fract() == 0.0) { 1.0 } else { scale }
}

/// Sums repeated `tokens`, then scales and rounds each weight half up; also the number of
/// tokens dropped because theirs became 0. The one rounding rule of query weights, for
/// files and encoders alike.
pub fn integer_terms(
    tokens: &[(String, f64)],
    scale: f64,
) -> Result<(Vec<(String, u32)>, u32), String> {
    let mut positions: HashMap<&str, usize> = HashMap::with_capacity(tokens.len());
    let mut sums: Vec<(&str, f64)> = Vec::with_capacity(tokens.len());
    for (token, weight) in tokens {
        let position = *positions.entry(token).or_insert(sums.len());
        match sums.get_mut(position) {
            Some((_, sum)) => *sum += weight,
            None => sums.push((token, *weight)),
        }
    }
    let mut terms = Vec::with_capacity(sums.len());
    for &(token, sum) in &sums {
        let weight = (sum * scale + 0.5).floor();
        if weight > f64::from(MAX_QUERY_WEIGHT) {
            return Err(format!(
                "expected query weights up to {MAX_QUERY_WEIGHT}, found {weight} for token \
                 {token:?} ({sum} × {scale})"
            ));
        }
        if weight >= 1.0 {
            terms.push((token.to_owned(), weight as u32));
        }
    }
    let dropped = (sums.len() - terms.len()) as u32;
    Ok((terms, dropped))
}

#[cfg(test)]
mod tests;
