//! NumPy's arrays as compressed rows of the library.

use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use splindex::{Error, Result, Rows, VectorSource};

use crate::error::usage;

/// A matrix of `splindex._inputs`: lengths are checked by the library, types there.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Matrix<'py> {
    ids: Vec<PyBackedStr>,
    vocabulary: Vec<PyBackedStr>,
    indptr: PyReadonlyArray1<'py, i64>,
    indices: Bound<'py, PyAny>,
    data: PyReadonlyArray1<'py, f32>,
}

/// Column numbers, as they came.
enum Numbers<'py> {
    Small(PyReadonlyArray1<'py, i32>),
    Large(PyReadonlyArray1<'py, i64>),
}

/// The arrays of a matrix, borrowed from Python.
pub struct Arrays<'py> {
    ids: Vec<PyBackedStr>,
    vocabulary: Vec<PyBackedStr>,
    indptr: PyReadonlyArray1<'py, i64>,
    indices: Numbers<'py>,
    data: PyReadonlyArray1<'py, f32>,
}

impl<'py> Matrix<'py> {
    /// The arrays, borrowed.
    pub fn arrays(self) -> PyResult<Arrays<'py>> {
        let Matrix { ids, vocabulary, indptr, indices, data } = self;
        let small = indices.cast::<PyArray1<i32>>().map(|array| array.readonly());
        let indices = match small {
            Ok(small) => Numbers::Small(small),
            Err(_) => Numbers::Large(indices.extract()?),
        };
        Ok(Arrays { ids, vocabulary, indptr, indices, data })
    }
}

/// Slices of arrays, for threads without Python's lock.
#[derive(Clone, Copy)]
pub struct Slices<'a> {
    pub ids: &'a [PyBackedStr],
    pub vocabulary: &'a [PyBackedStr],
    pub indptr: &'a [i64],
    indices: Columns<'a>,
    pub data: &'a [f32],
}

#[derive(Clone, Copy)]
enum Columns<'a> {
    Small(&'a [i32]),
    Large(&'a [i64]),
}

impl Arrays<'_> {
    /// The slices.
    ///
    /// # Errors
    /// An array that is not contiguous.
    pub fn slices<'a>(&'a self, py: Python<'_>) -> PyResult<Slices<'a>> {
        let strided = |_| usage(py, "expected contiguous arrays, found one with strides");
        Ok(Slices {
            ids: &self.ids,
            vocabulary: &self.vocabulary,
            indptr: self.indptr.as_slice().map_err(strided)?,
            indices: match &self.indices {
                Numbers::Small(array) => Columns::Small(array.as_slice().map_err(strided)?),
                Numbers::Large(array) => Columns::Large(array.as_slice().map_err(strided)?),
            },
            data: self.data.as_slice().map_err(strided)?,
        })
    }
}

impl<'a> Slices<'a> {
    /// The rows as a source.
    ///
    /// # Errors
    /// Those of [`Rows::new`]; ids of another number than there are rows.
    pub fn source(self) -> Result<Box<dyn VectorSource + 'a>> {
        let Slices { ids, vocabulary, indptr, indices, data } = self;
        let rows = indptr.len().saturating_sub(1);
        if ids.len() != rows {
            return Err(Error::setting("ids", format!("{rows} ids, one a row"), ids.len()));
        }
        Ok(match indices {
            Columns::Small(indices) => Box::new(Rows::new(ids, vocabulary, indptr, indices, data)?),
            Columns::Large(indices) => Box::new(Rows::new(ids, vocabulary, indptr, indices, data)?),
        })
    }
}
