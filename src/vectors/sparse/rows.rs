//! Rows of a sparse matrix, checked.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::npy::Numbers;
use super::sidecar::IdList;
use crate::error::{Error, Place, Result};
use crate::vectors::{TokenTable, VectorRecord, VectorSource};

/// A matrix in compressed rows: where each row ends, column numbers, weights.
pub(super) struct Matrix {
    pub path: PathBuf,
    pub rows: u64,
    /// Number of columns, if it is known.
    pub columns: Option<u64>,
    pub nnz: u64,
    pub indptr: Numbers,
    pub indices: Numbers,
    pub data: Numbers,
}

/// One vector a row. Column numbers are tokens by the lines of a vocabulary file, or, if
/// there is none, by themselves: column 17 is the token "17".
///
/// Memory: a row, the ids (none: ids are row numbers from 0) and the tokens.
pub(crate) struct SparseRows {
    matrix: Matrix,
    ids: Option<IdList>,
    columns: Columns,
    row: u64,
    end: u64,
    zeros: u64,
}

enum Columns {
    /// The term id of each column seen.
    Numbers(HashMap<u32, u32>, TokenTable),
    Vocabulary(TokenTable),
}

impl Columns {
    fn term(&mut self, column: u32) -> u32 {
        match self {
            Columns::Vocabulary(_) => column,
            Columns::Numbers(terms, tokens) => {
                *terms.entry(column).or_insert_with(|| tokens.intern(&column.to_string()))
            }
        }
    }

    fn tokens(&self) -> &TokenTable {
        let (Columns::Numbers(_, tokens) | Columns::Vocabulary(tokens)) = self;
        tokens
    }
}

impl SparseRows {
    /// # Errors
    /// An ids file of another length, a vocabulary of another length than the matrix is wide.
    pub(super) fn new(
        mut matrix: Matrix,
        ids: Option<IdList>,
        vocabulary: Option<TokenTable>,
    ) -> Result<Self> {
        if let Some(ids) = &ids {
            ids.check_len(matrix.rows, &matrix.path)?;
        }
        if let (Some(columns), Some(tokens)) = (matrix.columns, &vocabulary)
            && columns != tokens.len() as u64
        {
            let problem = format!(
                "expected a vocabulary of {columns} tokens, one a column, found {}",
                tokens.len()
            );
            return Err(Error::data(&matrix.path, Place::File, problem).hint(
                "give the vocabulary of this matrix, in SciPy with its shape: csr_matrix(…, \
                     shape=(rows, tokens))",
            ));
        }
        let start = matrix.indptr.integers(1).map_err(|e| unreadable(&matrix.path, 1, e))?.next();
        if start != Some(0) {
            let found = start.map_or("none".into(), |start| start.to_string());
            let problem = format!("expected indptr to begin with 0, found {found}");
            return Err(Error::data(&matrix.path, Place::File, problem));
        }
        let columns = match vocabulary {
            Some(tokens) => Columns::Vocabulary(tokens),
            None => Columns::Numbers(HashMap::new(), TokenTable::default()),
        };
        Ok(SparseRows { matrix, ids, columns, row: 0, end: 0, zeros: 0 })
    }

    /// Number of values in the next row.
    fn next_len(&mut self) -> Result<u64> {
        let Matrix { path, rows, nnz, indptr, .. } = &mut self.matrix;
        let mut next = indptr.integers(1).map_err(|e| unreadable(path, self.row, e))?;
        let found = next.next().unwrap_or(-1);
        let end = u64::try_from(found).ok().filter(|end| (self.end..=*nnz).contains(end));
        let last = self.row == *rows;
        match end.filter(|end| !last || end == nnz) {
            Some(end) => {
                let len = end - self.end;
                self.end = end;
                Ok(len)
            }
            None => {
                let expected = match last {
                    true => format!("indptr to end with {nnz}, the number of values"),
                    false => format!("indptr from {} to {nnz}", self.end),
                };
                Err(Error::data(
                    path,
                    Place::Record(self.row),
                    format!("expected {expected}, found {found}"),
                ))
            }
        }
    }

    fn read_row(&mut self, record: &mut VectorRecord) -> Result<()> {
        let len = self.next_len()?;
        let Matrix { path, columns: width, indices, data, .. } = &mut self.matrix;
        let bad = |problem: String| Error::data(&*path, Place::Record(self.row), problem);
        let bound = width.unwrap_or(1 << 31).min(match &self.columns {
            Columns::Vocabulary(tokens) => tokens.len() as u64,
            Columns::Numbers(..) => 1 << 31,
        });
        let mut before = -1;
        for column in indices.integers(len).map_err(|e| unreadable(path, self.row, e))? {
            if column < 0 || column as u64 >= bound {
                return Err(bad(format!(
                    "expected columns 0 to {}, found {column}",
                    bound as i64 - 1
                )));
            }
            if column <= before {
                return Err(bad(format!(
                    "expected each column once and in increasing order, found {column} after \
                     {before}"
                ))
                .hint("in SciPy: matrix.sum_duplicates() sorts and adds up"));
            }
            before = column;
            record.terms.push(self.columns.term(column as u32));
        }
        let weights = data.weights(len).map_err(|e| unreadable(path, self.row, e))?;
        record.weights.extend(weights);
        let wrong = record.weights.iter().position(|w| !(w.is_finite() && *w >= 0.0));
        if let Some(at) = wrong {
            return Err(bad(format!(
                "expected finite weights ≥ 0, found {} for token {:?}",
                record.weights[at],
                self.columns.tokens().token(record.terms[at])
            )));
        }
        Ok(())
    }
}

/// Drops zero weights; how many there were.
fn drop_zeros(record: &mut VectorRecord) -> u64 {
    let before = record.weights.len();
    let mut kept = record.weights.iter().map(|&weight| weight > 0.0);
    record.terms.retain(|_| kept.next().unwrap_or(false));
    record.weights.retain(|&weight| weight > 0.0);
    (before - record.weights.len()) as u64
}

fn unreadable(path: &Path, row: u64, error: std::io::Error) -> Error {
    if error.raw_os_error().is_some() {
        return Error::io("read", path, error);
    }
    Error::data(path, Place::Record(row.max(1)), format!("cannot read it: {error}"))
        .hint("the file is truncated or damaged")
}

impl VectorSource for SparseRows {
    fn read(&mut self, record: &mut VectorRecord) -> Result<bool> {
        record.clear();
        if self.row == self.matrix.rows {
            return Ok(false);
        }
        self.row += 1;
        let row = self.row as usize - 1;
        match &self.ids {
            Some(ids) => record.id.push_str(ids.get(row)),
            None => record.id = row.to_string(),
        }
        self.read_row(record)?;
        self.zeros += drop_zeros(record);
        Ok(true)
    }

    fn tokens(&self) -> &TokenTable {
        self.columns.tokens()
    }

    fn place(&self) -> Option<(&Path, Place)> {
        Some((&self.matrix.path, Place::Record(self.row)))
    }

    fn len_hint(&self) -> Option<u64> {
        Some(self.matrix.rows)
    }

    fn zero_weights(&self) -> u64 {
        self.zeros
    }
}
