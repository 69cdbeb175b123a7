//! Vectors that are in the caller's memory: an iterator of documents, or compressed rows.

use std::collections::HashSet;
use std::path::Path;

use super::{TokenTable, VectorRecord, VectorSource, WeightSummary};
use crate::error::{Error, Place, Result};

/// What errors call vectors that come from no file.
pub(crate) const VECTORS: &str = "<vectors>";

/// Documents of an iterator: an id and its tokens with their weights.
pub struct Documents<I> {
    documents: I,
    tokens: TokenTable,
    seen: HashSet<u32>,
    records: u64,
    zero_weights: u64,
}

impl<I> Documents<I> {
    /// A source that reads `documents` once.
    pub fn new(documents: impl IntoIterator<IntoIter = I>) -> Self {
        Documents {
            documents: documents.into_iter(),
            tokens: TokenTable::default(),
            seen: HashSet::new(),
            records: 0,
            zero_weights: 0,
        }
    }
}

/// A weight that a posting may have; `None` for 0, which is dropped.
fn checked(weight: f32, record: u64, token: &str) -> Result<Option<f32>> {
    if weight == 0.0 {
        return Ok(None);
    }
    if weight.is_finite() && weight > 0.0 {
        return Ok(Some(weight));
    }
    let problem = format!("token {token:?}: expected a weight of 0 or more, found {weight}");
    Err(Error::data(VECTORS, Place::Record(record), problem))
}

impl<I, Id, Terms, Token> VectorSource for Documents<I>
where
    I: Iterator<Item = (Id, Terms)>,
    Id: AsRef<str>,
    Terms: IntoIterator<Item = (Token, f32)>,
    Token: AsRef<str>,
{
    fn read(&mut self, record: &mut VectorRecord) -> Result<bool> {
        record.clear();
        let Some((id, terms)) = self.documents.next() else { return Ok(false) };
        self.records += 1;
        self.seen.clear();
        record.id.push_str(id.as_ref());
        for (token, weight) in terms {
            let token = token.as_ref();
            let Some(weight) = checked(weight, self.records, token)? else {
                self.zero_weights += 1;
                continue;
            };
            let term = self.tokens.intern(token);
            if !self.seen.insert(term) {
                let problem = format!("token {token:?} is repeated");
                return Err(Error::data(VECTORS, Place::Record(self.records), problem));
            }
            record.terms.push(term);
            record.weights.push(weight);
        }
        Ok(true)
    }

    fn tokens(&self) -> &TokenTable {
        &self.tokens
    }

    fn place(&self) -> Option<(&Path, Place)> {
        Some((Path::new(VECTORS), Place::Record(self.records)))
    }

    fn zero_weights(&self) -> u64 {
        self.zero_weights
    }

    fn memory(&self) -> u64 {
        160 * self.tokens.len() as u64
    }
}

/// Compressed sparse rows, as SciPy's `csr_matrix` holds them: row r has the weights
/// `data[indptr[r]..indptr[r + 1]]` of the columns `indices[indptr[r]..indptr[r + 1]]`, in any
/// order.
///
/// ```
/// use splindex::{Algorithm, Builder, Rows};
/// let rows = Rows::new(
///     &["d1", "d2"],                    // an id a row
///     &["whale", "sea", "ship"],        // a token a column
///     &[0u32, 2, 4],                    // where rows begin and end
///     &[0u32, 1, 0, 2],
///     &[2.0, 0.5, 1.2, 1.9],
/// )?;
/// let index = Builder::new().rows(rows)?.index()?;
/// assert_eq!(index.documents(), 2);
/// # Ok::<(), splindex::Error>(())
/// ```
pub struct Rows<'a, S, P, C> {
    ids: &'a [S],
    tokens: TokenTable,
    indptr: &'a [P],
    indices: &'a [C],
    data: &'a [f32],
    row: usize,
    last_seen: Vec<u64>,
    zero_weights: u64,
}

impl<'a, S, P, C> Rows<'a, S, P, C>
where
    S: AsRef<str>,
    P: Copy + TryInto<usize>,
    C: Copy + TryInto<usize>,
{
    /// Rows of `ids`, columns of `vocabulary`; offsets and columns are integers of any type.
    ///
    /// # Errors
    /// Lengths that do not fit each other, offsets that decrease or leave the arrays, a token
    /// that two columns have. Columns and weights are checked as they are read.
    pub fn new<T: AsRef<str>>(
        ids: &'a [S],
        vocabulary: &[T],
        indptr: &'a [P],
        indices: &'a [C],
        data: &'a [f32],
    ) -> Result<Self> {
        let bad = |problem: String| Err(Error::data(VECTORS, Place::File, problem));
        if indptr.len() != ids.len() + 1 {
            let (rows, found) = (ids.len(), indptr.len());
            return bad(format!(
                "indptr: expected {} offsets for {rows} ids, found {found}",
                rows + 1
            ));
        }
        if indices.len() != data.len() {
            let (indices, data) = (indices.len(), data.len());
            return bad(format!("expected as many indices as data, found {indices} and {data}"));
        }
        let mut before = 0;
        for (row, &offset) in indptr.iter().enumerate() {
            let offset = offset.try_into().unwrap_or(usize::MAX);
            if offset < before || offset > data.len() || (row == 0 && offset != 0) {
                return bad(format!(
                    "indptr: offset {row} must be from {before} to {}, found another",
                    if row == 0 { 0 } else { data.len() }
                ));
            }
            before = offset;
        }
        let tokens = TokenTable::from_tokens(vocabulary.iter().map(|token| token.as_ref()));
        if let Some(twice) =
            (0..tokens.len() as u32).find(|&id| tokens.get(tokens.token(id)) != Some(id))
        {
            return bad(format!("vocabulary: token {:?} stands there twice", tokens.token(twice)));
        }
        let last_seen = vec![u64::MAX; tokens.len()];
        Ok(Rows { ids, tokens, indptr, indices, data, row: 0, last_seen, zero_weights: 0 })
    }

    fn offset(&self, row: usize) -> usize {
        self.indptr[row].try_into().unwrap_or(usize::MAX).min(self.data.len())
    }
}

impl<S, P, C> VectorSource for Rows<'_, S, P, C>
where
    S: AsRef<str>,
    P: Copy + TryInto<usize>,
    C: Copy + TryInto<usize>,
{
    fn read(&mut self, record: &mut VectorRecord) -> Result<bool> {
        record.clear();
        let Some(id) = self.ids.get(self.row) else { return Ok(false) };
        let (start, end) = (self.offset(self.row), self.offset(self.row + 1));
        self.row += 1;
        let number = self.row as u64;
        record.id.push_str(id.as_ref());
        for (&column, &weight) in self.indices[start..end].iter().zip(&self.data[start..end]) {
            let column = column.try_into().unwrap_or(usize::MAX);
            let bad = |problem| Err(Error::data(VECTORS, Place::Record(number), problem));
            let Some(seen) = self.last_seen.get_mut(column) else {
                let columns = self.tokens.len();
                return bad(format!("expected columns below {columns}, found another"));
            };
            let token = self.tokens.token(column as u32);
            if std::mem::replace(seen, number) == number {
                return bad(format!("token {token:?} is repeated"));
            }
            match checked(weight, number, token)? {
                Some(weight) => {
                    record.terms.push(column as u32);
                    record.weights.push(weight);
                }
                None => self.zero_weights += 1,
            }
        }
        Ok(true)
    }

    fn tokens(&self) -> &TokenTable {
        &self.tokens
    }

    fn place(&self) -> Option<(&Path, Place)> {
        Some((Path::new(VECTORS), Place::Record(self.row as u64)))
    }

    fn weights(&self) -> Option<WeightSummary> {
        let none = WeightSummary { largest: 0.0, small_integers: true };
        Some(self.data.iter().fold(none, |sum, &weight| WeightSummary {
            largest: sum.largest.max(weight),
            small_integers: sum.small_integers && weight <= 255.0 && weight.fract() == 0.0,
        }))
    }

    fn len_hint(&self) -> Option<u64> {
        Some(self.ids.len() as u64)
    }

    fn zero_weights(&self) -> u64 {
        self.zero_weights
    }
}
