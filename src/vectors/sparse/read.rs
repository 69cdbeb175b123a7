//! Opening sparse-matrix files: SciPy's `.npz` and big-ann-benchmarks' `.csr`.

use std::path::Path;

use super::npy::{NpyHeader, NpyKind, Numbers};
use super::rows::{Matrix, SparseRows};
use super::sidecar::{self, Sidecars};
use super::zip::{Archive, Member};
use crate::error::{Error, Place, Result};
use crate::vectors::reread::{Rereadable, unreadable};

/// Bytes before `indptr` in a `.csr` file: rows, columns and values as int64.
const CSR_HEADER: u64 = 24;

/// Opens a matrix saved by `scipy.sparse.save_npz`, or by `numpy.savez` with the arrays
/// `data`, `indices` and `indptr`.
///
/// # Errors
/// No zip file, arrays that are missing, of a wrong type or of lengths that do not go
/// together, a matrix that is not in compressed rows, and what [`SparseRows`] says.
pub(crate) fn open_npz(file: &Rereadable, sidecars: &Sidecars) -> Result<SparseRows> {
    let archive = Npz { file, archive: Archive::open(file)? };
    if let Some(format) = archive.text("format")?
        && format != "csr"
    {
        let problem = format!("expected a matrix in compressed rows (csr), found {format}");
        return Err(bad(file.path(), problem).hint("in SciPy: save_npz(file, matrix.tocsr())"));
    }
    let (rows, indptr) = archive.array("indptr")?;
    let (nnz, indices) = archive.array("indices")?;
    let (values, data) = archive.array("data")?;
    let rows = rows.checked_sub(1).ok_or_else(|| {
        bad(file.path(), "expected indptr with one number more than rows, found none".into())
    })?;
    if values != nnz {
        let problem = format!("expected as many indices as data, found {nnz} and {values}");
        return Err(bad(file.path(), problem));
    }
    let columns = match archive.numbers("shape")?.as_deref() {
        Some(&[height, width]) if height as u64 == rows && width >= 0 => Some(width as u64),
        Some(shape) => {
            let problem = format!("expected a shape of {rows} rows (from indptr), found {shape:?}");
            return Err(bad(file.path(), problem));
        }
        None => None,
    };
    let path = file.path().to_owned();
    let matrix = Matrix { path, rows, columns, nnz, indptr, indices, data };
    with_sidecars(matrix, sidecars)
}

/// Opens a matrix of the big-ann-benchmarks: int64 rows, columns, values; int64 indptr;
/// int32 indices; float32 data.
///
/// # Errors
/// A length that is not what the three counts call for, and what [`SparseRows`] says.
pub(crate) fn open_csr(file: &Rereadable, sidecars: &Sidecars) -> Result<SparseRows> {
    let path = file.path();
    let counts: Vec<u64> = Numbers::new(file.reader(0)?, NpyKind::Unsigned(8))
        .integers(3)
        .map_err(|_| bad(path, "expected a .csr file, found less than its 24-byte header".into()))?
        .map(|n| n as u64)
        .collect();
    let [rows, columns, nnz] = counts[..] else {
        return Err(Error::Internal("three numbers are not three".into()));
    };
    let expected = csr_len(rows, nnz);
    if expected != Some(file.len()) {
        let found = file.len();
        let problem = match expected {
            Some(len) => format!(
                "expected {len} bytes for the {rows} rows and {nnz} values of the .csr header, \
                 found {found}"
            ),
            None => format!(
                "expected a .csr file, found {found} bytes whose header counts {rows} rows and \
                 {nnz} values: more than any file holds"
            ),
        };
        return Err(bad(path, problem).hint("the file is cut off, or is no big-ann .csr file"));
    }
    let indices = CSR_HEADER + 8 * (rows + 1);
    let matrix = Matrix {
        path: path.to_owned(),
        rows,
        columns: Some(columns),
        nnz,
        indptr: Numbers::new(file.reader(CSR_HEADER)?, NpyKind::Signed(8)),
        indices: Numbers::new(file.reader(indices)?, NpyKind::Signed(4)),
        data: Numbers::new(file.reader(indices + 4 * nnz)?, NpyKind::Float(4)),
    };
    with_sidecars(matrix, sidecars)
}

/// Length of a `.csr` file.
pub(crate) fn csr_len(rows: u64, nnz: u64) -> Option<u64> {
    let indptr = rows.checked_add(1)?.checked_mul(8)?;
    indptr.checked_add(nnz.checked_mul(8)?)?.checked_add(CSR_HEADER)
}

fn with_sidecars(matrix: Matrix, sidecars: &Sidecars) -> Result<SparseRows> {
    let ids = sidecar::ids(&matrix.path, sidecars)?;
    let vocabulary = sidecar::vocabulary(&matrix.path, sidecars)?;
    SparseRows::new(matrix, ids, vocabulary)
}

fn bad(path: &Path, problem: String) -> Error {
    Error::data(path, Place::File, problem)
}

struct Npz<'a> {
    file: &'a Rereadable,
    archive: Archive<'a>,
}

impl Npz<'_> {
    fn open(&self, name: &str) -> Result<Option<(NpyHeader, Member, u64)>> {
        let file = format!("{name}.npy");
        let Some(entry) = self.archive.entries.iter().find(|entry| entry.name == file) else {
            return Ok(None);
        };
        let mut member = self.archive.member(entry)?;
        let header = NpyHeader::read(&mut member)
            .map_err(|p| bad(self.file.path(), format!("array {name}: {p}")))?;
        let left = entry.len.saturating_sub(header.len);
        Ok(Some((header, member, left)))
    }

    /// An array of numbers and how many there are.
    fn array(&self, name: &str) -> Result<(u64, Numbers)> {
        let path = self.file.path();
        let Some((header, member, left)) = self.open(name)? else {
            let found: Vec<&str> = self.archive.entries.iter().map(|entry| &*entry.name).collect();
            let problem = format!("expected an array {name}, found {}", found.join(", "));
            return Err(bad(path, problem).hint("save a csr matrix with scipy.sparse.save_npz"));
        };
        let wanted: fn(NpyKind) -> bool = match name {
            "data" => |_| true,
            _ => |kind| !matches!(kind, NpyKind::Float(_)),
        };
        let Some(kind) = NpyKind::parse(&header.kind).filter(|&kind| wanted(kind)) else {
            let problem = format!("array {name}: expected numbers, found type {:?}", header.kind);
            return Err(bad(path, problem));
        };
        let &[len] = &header.shape[..] else {
            let problem = format!("array {name}: expected one dimension, found {:?}", header.shape);
            return Err(bad(path, problem));
        };
        if len.checked_mul(kind.size() as u64) != Some(left) {
            let problem = format!("array {name}: expected {len} numbers, found {left} bytes");
            return Err(bad(path, problem));
        }
        Ok((len, Numbers::new(member, kind)))
    }

    /// A short array of whole numbers, if it is there.
    fn numbers(&self, name: &str) -> Result<Option<Vec<i64>>> {
        if !self.archive.entries.iter().any(|entry| entry.name.strip_suffix(".npy") == Some(name)) {
            return Ok(None);
        }
        let (len, mut numbers) = self.array(name)?;
        let numbers = numbers.integers(len.min(8)).map_err(|e| unreadable(self.file.path(), e))?;
        Ok(Some(numbers.collect()))
    }

    /// A short text (bytes or UTF-32), if it is there.
    fn text(&self, name: &str) -> Result<Option<String>> {
        use std::io::Read;
        let Some((_, member, _)) = self.open(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        member.take(64).read_to_end(&mut bytes).map_err(|e| unreadable(self.file.path(), e))?;
        bytes.retain(|&byte| byte != 0);
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}
