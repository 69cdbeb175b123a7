//! Writing a collection as a sparse matrix: SciPy's `.npz`, big-ann-benchmarks' `.csr`.

use std::io::{self, Write};

use super::npy::NpyHeader;
use super::zip::ZipWriter;
use crate::error::{Error, Place, Result};
use crate::vectors::TokenTable;
use crate::vectors::gathered::Gathered;

/// Which column each term of a gathered is.
pub(crate) struct Columns {
    /// By term id.
    of: Vec<u32>,
    /// Number of columns.
    width: u64,
    /// Tokens by column, for a tokens file; `None` if the tokens are column numbers.
    pub(crate) tokens: Option<Vec<Box<str>>>,
}

impl Columns {
    /// The columns that `vocabulary` says. Without one: tokens that are all numbers are
    /// their own columns; else those of the one source's vocabulary, if it knew it before
    /// its first record, so that documents and queries of one model go together; else the
    /// bytewise order of the tokens.
    ///
    /// # Errors
    /// A token that the vocabulary lacks.
    pub(crate) fn of(gathered: &Gathered, vocabulary: Option<&TokenTable>) -> Result<Self> {
        let tokens = gathered.tokens();
        let names = || (0..tokens.len() as u32).map(|term| tokens.token(term));
        if let Some(table) = vocabulary.or(gathered.vocabulary()) {
            let column = |token: &str| {
                table.get(token).ok_or_else(|| {
                    Error::Usage(format!("the vocabulary lacks the token {token:?} of the vectors"))
                })
            };
            let of = names().map(column).collect::<Result<_>>()?;
            let tokens = (0..table.len() as u32).map(|column| table.token(column).into());
            return Ok(Columns { of, width: table.len() as u64, tokens: Some(tokens.collect()) }
                .without_numbers());
        }
        if let Some(of) = names().map(number).collect::<Option<Vec<u32>>>() {
            let width = of.iter().max().map_or(0, |&column| u64::from(column) + 1);
            return Ok(Columns { of, width, tokens: None });
        }
        let mut sorted: Vec<u32> = (0..tokens.len() as u32).collect();
        sorted.sort_unstable_by_key(|&term| tokens.token(term).as_bytes());
        let mut of = vec![0; sorted.len()];
        sorted.iter().zip(0..).for_each(|(&term, column)| of[term as usize] = column);
        let names = sorted.iter().map(|&term| tokens.token(term).into()).collect();
        Ok(Columns { of, width: sorted.len() as u64, tokens: Some(names) })
    }

    /// A vocabulary "0", "1", "2" … needs no file.
    fn without_numbers(mut self) -> Self {
        let plain = |tokens: &Vec<Box<str>>| {
            tokens.iter().zip(0..).all(|(token, column)| number(token) == Some(column))
        };
        self.tokens = self.tokens.filter(|tokens| !plain(tokens));
        self
    }

    /// Refuses tokens that do not fit a line each.
    pub(crate) fn check_lines(&self) -> Result<()> {
        let mut tokens = self.tokens.iter().flatten();
        match tokens.find(|token| token.contains(['\n', '\r'])) {
            None => Ok(()),
            Some(token) => Err(Error::Usage(format!(
                "the token {token:?} holds a line end and fits no tokens file; write jsonl or ciff"
            ))),
        }
    }

    /// A row in column order.
    fn sort(&self, row: &[(u32, f32)], sorted: &mut Vec<(u32, f32)>) {
        sorted.clear();
        sorted.extend(row.iter().map(|&(term, weight)| (self.of[term as usize], weight)));
        sorted.sort_unstable_by_key(|&(column, _)| column);
    }
}

/// The column that a token names, if it is a number as we write them.
fn number(token: &str) -> Option<u32> {
    let number: u32 = token.parse().ok().filter(|&n| n < 1 << 31)?;
    (number.to_string() == token).then_some(number)
}

/// What filling a member can fail of.
enum Failed {
    Io(io::Error),
    Other(Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Failed::Io(error)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed::Other(error)
    }
}

/// Writes what `scipy.sparse.load_npz` reads, uncompressed: int32 indices (indptr int64
/// beyond 2^31 values), float32 data. `path` is what errors call it.
pub(crate) fn write_npz<W: Write>(
    gathered: &Gathered,
    columns: &Columns,
    out: W,
    path: &std::path::Path,
) -> Result<W> {
    let write = || -> std::result::Result<W, Failed> {
        let mut zip = ZipWriter::new(out);
        let nnz = gathered.postings();
        let wide = i32::try_from(nnz).is_err();
        let vector = |kind: &str, len: u64| NpyHeader::bytes(kind, &format!("({len},)"));

        let header = vector("<i4", nnz);
        zip.member("indices.npy", |out| {
            out(&header)?;
            values(gathered, columns, out, |&(column, _)| column.to_le_bytes())
        })?;
        let rows = gathered.documents() as u64 + 1;
        let header = vector(if wide { "<i8" } else { "<i4" }, rows);
        zip.member("indptr.npy", |out| {
            out(&header)?;
            for end in [0].iter().chain(gathered.ends()) {
                out(&end.to_le_bytes()[..if wide { 8 } else { 4 }])?;
            }
            Ok::<_, Failed>(())
        })?;
        let header = NpyHeader::bytes("|S3", "()");
        zip.member("format.npy", |out| {
            out(&header)?;
            out(b"csr").map_err(Failed::Io)
        })?;
        let header = vector("<i8", 2);
        zip.member("shape.npy", |out| {
            out(&header)?;
            [gathered.documents() as u64, columns.width]
                .iter()
                .try_for_each(|n| out(&n.to_le_bytes()))
                .map_err(Failed::Io)
        })?;
        let header = vector("<f4", nnz);
        zip.member("data.npy", |out| {
            out(&header)?;
            values(gathered, columns, out, |&(_, weight)| weight.to_le_bytes())
        })?;
        Ok(zip.finish()?)
    };
    write().map_err(|failed| explain(failed, path))
}

/// Writes a big-ann-benchmarks `.csr` file.
pub(crate) fn write_csr<W: Write>(
    gathered: &Gathered,
    columns: &Columns,
    mut out: W,
    path: &std::path::Path,
) -> Result<W> {
    let mut write = || -> std::result::Result<(), Failed> {
        let mut put = |bytes: &[u8]| out.write_all(bytes);
        for count in [gathered.documents() as u64, columns.width, gathered.postings(), 0] {
            put(&count.to_le_bytes())?;
        }
        gathered.ends().iter().try_for_each(|end| put(&end.to_le_bytes()))?;
        values(gathered, columns, &mut put, |&(column, _)| column.to_le_bytes())?;
        values(gathered, columns, &mut put, |&(_, weight)| weight.to_le_bytes())
    };
    write().map_err(|failed| explain(failed, path))?;
    Ok(out)
}

fn explain(failed: Failed, path: &std::path::Path) -> Error {
    match failed {
        Failed::Io(e) => Error::io("write", path, e),
        Failed::Other(e) => e,
    }
}

/// One part of every value, row by row in column order.
fn values(
    gathered: &Gathered,
    columns: &Columns,
    out: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    part: impl Fn(&(u32, f32)) -> [u8; 4],
) -> std::result::Result<(), Failed> {
    let (mut sorted, mut bytes) = (Vec::new(), Vec::new());
    let mut failed = None;
    let read = gathered.rows(&mut |ordinal, row| {
        columns.sort(row, &mut sorted);
        bytes.clear();
        sorted.iter().for_each(|value| bytes.extend(part(value)));
        out(&bytes).map_err(|e| {
            failed = Some(e);
            // Ends the reading; what is reported is the error itself.
            Error::data("output", Place::Record(ordinal as u64 + 1), "cannot be written")
        })
    });
    match failed {
        Some(e) => Err(Failed::Io(e)),
        None => read.map_err(Failed::Other),
    }
}
