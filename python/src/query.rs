//! Queries of Python: a dict, a text, or both parts of a hybrid one.

use std::path::Path;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyDict, PyString};
use splindex::queries::file::{QueryBody, QueryFile, QueryInput};
use splindex::queries::{Prepared, TEXT_SCALE};
use splindex::{Error, QueryBuilder};

use crate::error::{Raise, guarded, usage};
use crate::feed::{type_name, weights};

/// What errors call a query of the caller's.
const QUERY: &str = "<query>";

/// Both parts of a query of a hybrid index: `Parts(learned, bm25)`, each a text or a dict.
///
/// >>> import splindex
/// >>> splindex.Parts({"whale": 1.3}, "blue whales")
/// Parts({'whale': 1.3}, 'blue whales')
///
/// A text as `learned` goes through the query model, a dict as `bm25` holds stems with the
/// weights that they shall have (idf × how often). A BM25 index takes the part `bm25`, a learned
/// one `learned`.
#[pyclass(module = "splindex", frozen, get_all)]
pub struct Parts {
    /// What is asked of the learned field: a dict of weighted tokens, or a text.
    learned: Py<PyAny>,
    /// What is asked of BM25: a text, or a dict of weighted stems.
    bm25: Py<PyAny>,
}

#[pymethods]
impl Parts {
    #[new]
    fn new(learned: Py<PyAny>, bm25: Py<PyAny>) -> Self {
        Parts { learned, bm25 }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let repr = |part: &Py<PyAny>| Ok::<_, PyErr>(part.bind(py).repr()?.to_string());
        Ok(format!("Parts({}, {})", repr(&self.learned)?, repr(&self.bm25)?))
    }

    fn __reduce__(&self, py: Python<'_>) -> PyResult<Reduced> {
        let class = py.get_type::<Parts>().into_any().unbind();
        Ok((class, (self.learned.clone_ref(py), self.bm25.clone_ref(py))))
    }
}

/// A class, and what it is called with.
type Reduced = (Py<PyAny>, (Py<PyAny>, Py<PyAny>));

/// What a query asks of the learned field, or of the only one; and of BM25 beside it.
pub type Asked = (QueryBody, Option<QueryBody>);

/// A query of Python.
///
/// # Errors
/// An object that is none; a weight that is no number.
pub fn asked(query: &Bound<'_, PyAny>) -> PyResult<Asked> {
    match query.cast::<Parts>() {
        Ok(parts) => {
            let (py, parts) = (query.py(), parts.get());
            Ok((body(parts.learned.bind(py))?, Some(body(parts.bm25.bind(py))?)))
        }
        Err(_) => Ok((body(query)?, None)),
    }
}

fn body(query: &Bound<'_, PyAny>) -> PyResult<QueryBody> {
    if let Ok(text) = query.cast::<PyString>() {
        return Ok(QueryBody::Text(text.to_str()?.to_owned()));
    }
    let tokens = weights(query).map_err(|problem| {
        let problem = match problem.strip_prefix("expected {token: weight}, found ") {
            Some(found) => {
                format!(
                    "expected a query: a text, a dict {{token: weight}} or Parts, found {found}"
                )
            }
            None => format!("query: {problem}"),
        };
        usage(query.py(), problem)
    })?;
    Ok(QueryBody::Weighted(tokens))
}

/// A query ready for a search. Texts are read without Python's lock: a model may take a while.
///
/// # Errors
/// Those of [`asked`] and of the builder.
pub fn prepare(
    queries: &QueryBuilder,
    query: &Bound<'_, PyAny>,
    hybrid: bool,
) -> PyResult<Prepared> {
    let py = query.py();
    if let (Ok(dict), false) = (query.cast::<PyDict>(), hybrid) {
        return dict_query(queries, dict);
    }
    let asked = asked(query)?;
    check(py, queries, &asked, hybrid)?;
    let prepared = py.detach(|| {
        guarded(|| match asked {
            (QueryBody::Text(text), None) => queries.text(&text),
            (body, bm25) => {
                let query = QueryInput { bm25, ..QueryInput::new("", 1, body) };
                let file = QueryFile::of_queries(Path::new(QUERY), vec![query])?;
                let mut prepared = queries.prepare(&file, TEXT_SCALE)?;
                prepared.pop().ok_or_else(|| Error::Internal("one query became none".into()))
            }
        })
    });
    prepared.raise(py)
}

/// The quick way: tokens are borrowed from Python.
fn dict_query(queries: &QueryBuilder, dict: &Bound<'_, PyDict>) -> PyResult<Prepared> {
    let mut tokens: Vec<(PyBackedStr, f64)> = Vec::with_capacity(dict.len());
    for (token, weight) in dict.iter() {
        match (token.extract(), weight.extract()) {
            (Ok(token), Ok(weight)) => tokens.push((token, weight)),
            // Says what is wrong.
            _ => return Err(body(dict.as_any()).map_or_else(|e| e, |_| unreadable(dict))),
        }
    }
    queries.tokens(tokens).raise(dict.py())
}

fn unreadable(dict: &Bound<'_, PyDict>) -> PyErr {
    usage(dict.py(), format!("expected {{token: weight}}, found {}", type_name(dict.as_any())))
}

/// Refuses in Python's words what the index cannot be asked.
///
/// # Errors
/// A text for learned weights without a query model; one part for a hybrid index.
pub fn check(py: Python<'_>, queries: &QueryBuilder, asked: &Asked, hybrid: bool) -> PyResult<()> {
    let problem = match asked {
        (QueryBody::Weighted(_), None) if hybrid => {
            "the index is hybrid and the query has one part; give splindex.Parts({token: weight}, \
             text)"
        }
        (QueryBody::Text(_), _) if queries.takes_texts() || queries.is_weighed_as_bm25() => {
            return Ok(());
        }
        (QueryBody::Text(_), _) => {
            "the query is a text and the index holds learned weights; give a dict {token: weight}, \
             or `query_model` to Index.open or index.with_queries"
        }
        _ => return Ok(()),
    };
    Err(usage(py, problem))
}
