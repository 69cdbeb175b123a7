//! Run files out: TREC, MS MARCO and JSON Lines.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, Place, Result};

/// Format of a run file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunFormat {
    /// `query Q0 document rank score tag`.
    #[default]
    Trec,
    /// `query<TAB>document<TAB>rank`.
    MsMarco,
    /// `{"qid":…,"docid":…,"rank":…,"score":…}` with the exact integer score.
    Jsonl,
}

impl FromStr for RunFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "trec" => Ok(RunFormat::Trec),
            "msmarco" => Ok(RunFormat::MsMarco),
            "jsonl" => Ok(RunFormat::Jsonl),
            _ => Err(Error::Usage(format!(
                "unknown run format {name:?}: expected trec, msmarco or jsonl"
            ))),
        }
    }
}

impl fmt::Display for RunFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RunFormat::Trec => "trec",
            RunFormat::MsMarco => "msmarco",
            RunFormat::Jsonl => "jsonl",
        })
    }
}

/// Scores of one list that keep its order, ties included, for every reader.
///
/// trec_eval orders ties by document id, and up to version 9 (pytrec_eval's) reads scores as
/// 32-bit floats, from 10 on as 64-bit ones. So a score is r_i = min(f32(score_i), next float
/// below r_{i−1}): it falls strictly down the list.
///
/// ```
/// let mut fall = splindex::eval::Falling::default();
/// assert_eq!([7.0, 7.0, 3.0].map(|score| fall.below(score)), [7.0, 7f32.next_down(), 3.0]);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Falling(f32);

impl Default for Falling {
    fn default() -> Self {
        Falling(f32::INFINITY)
    }
}

impl Falling {
    /// The score to show for the next document of the list.
    pub fn below(&mut self, score: f32) -> f32 {
        self.0 = self.0.next_down().min(score);
        self.0
    }
}

/// Writes ranked documents, query after query. TREC scores are [`Falling`]; nine significant
/// digits name an f32 exactly.
pub struct RunWriter<W> {
    out: W,
    path: PathBuf,
    format: RunFormat,
    tag: String,
    lines: Vec<u8>,
}

impl<W: Write> RunWriter<W> {
    /// Writes to `out`, a query at a time; `path` is what errors call it, `tag` the last
    /// column of TREC runs.
    pub fn new(out: W, path: impl AsRef<Path>, format: RunFormat, tag: &str) -> Self {
        let (path, tag) = (path.as_ref().to_owned(), tag.to_owned());
        RunWriter { out, path, format, tag, lines: Vec::new() }
    }

    /// Writes the documents of `query`, best first, with their integer scores.
    ///
    /// # Errors
    /// An id that the format cannot hold (white space in TREC, tabs in MS MARCO runs, `#` at
    /// the start of a query's), and what the system says.
    pub fn query<D: AsRef<str>>(
        &mut self,
        query: &str,
        documents: impl IntoIterator<Item = (D, u32)>,
    ) -> Result<()> {
        self.lines.clear();
        self.check(query)?;
        if query.starts_with('#') && self.format != RunFormat::Jsonl {
            let problem = format!(
                "a {} run cannot hold the query id {query:?}: lines that begin with # are comments",
                self.format
            );
            return Err(Error::data(&self.path, Place::File, problem).hint("write `format` jsonl"));
        }
        let mut fall = Falling::default();
        for (rank, (document, score)) in (1u64..).zip(documents) {
            let document = document.as_ref();
            self.check(document)?;
            self.line(query, document, rank, score, fall.below(score as f32));
        }
        self.out.write_all(&self.lines).map_err(|e| Error::io("write", &self.path, e))
    }

    /// Flushes and gives the output back.
    pub fn finish(mut self) -> Result<W> {
        self.out.flush().map_err(|e| Error::io("write", &self.path, e))?;
        Ok(self.out)
    }

    fn line(&mut self, query: &str, document: &str, rank: u64, score: u32, falling: f32) {
        let (lines, tag) = (&mut self.lines, &self.tag);
        let written = match self.format {
            RunFormat::Trec => {
                let digits = NineDigits(falling);
                writeln!(lines, "{query} Q0 {document} {rank} {digits} {tag}")
            }
            RunFormat::MsMarco => writeln!(lines, "{query}\t{document}\t{rank}"),
            RunFormat::Jsonl => {
                let (query, document) = (json(query), json(document));
                writeln!(
                    lines,
                    "{{\"qid\":{query},\"docid\":{document},\"rank\":{rank},\"score\":{score}}}"
                )
            }
        };
        written.expect("memory takes every line");
    }

    fn check(&self, id: &str) -> Result<()> {
        let (bad, what): (fn(char) -> bool, _) = match self.format {
            RunFormat::Trec => (char::is_whitespace, "white space"),
            RunFormat::MsMarco => (|c| matches!(c, '\t' | '\n' | '\r'), "a tab or line end"),
            RunFormat::Jsonl => return Ok(()),
        };
        if id.is_empty() || id.contains(bad) {
            let is = if id.is_empty() { "it is empty".into() } else { format!("it has {what}") };
            let problem = format!("a {} run cannot hold the id {id:?}: {is}", self.format);
            return Err(Error::data(&self.path, Place::File, problem).hint("write `format` jsonl"));
        }
        Ok(())
    }
}

fn json(text: &str) -> serde_json::Value {
    serde_json::Value::from(text)
}

/// A float in nine significant digits, without exponent where that is readable.
struct NineDigits(f32);

impl fmt::Display for NineDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NineDigits(value) = *self;
        let size = value.abs();
        if !(1e-4..1e9).contains(&size) {
            return write!(f, "{value:.8e}");
        }
        let decimals = 8 - i32::from(size.log10().floor() as i8);
        write!(f, "{value:.*}", decimals.max(0) as usize)
    }
}

#[cfg(test)]
mod tests;
