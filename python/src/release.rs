//! Releases, for `splindex.ray`.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use splindex::lifecycle::release::{PublishOptions, Store};

use crate::work::Work;

/// Publishes indexes, one or the parts of a collection, as one release. Gives `release`, `moved`
/// (whether the pointer names it) and `notes`.
#[pyfunction]
#[expect(clippy::too_many_arguments)]
pub fn publish<'py>(
    py: Python<'py>,
    indexes: Vec<PathBuf>,
    dest: &str,
    query_model: Option<PathBuf>,
    pointer: String,
    keep: Option<usize>,
    note: String,
    progress: &Bound<'_, PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
    let options = PublishOptions { indexes, query_model, pointer, keep, note };
    let published =
        Work::new().run(progress, None, |watched| Store::open(dest)?.publish(&options, watched))?;
    let told = PyDict::new(py);
    told.set_item("release", published.release.id)?;
    told.set_item("moved", published.outcome.is_current())?;
    told.set_item("notes", published.notes)?;
    Ok(told)
}

/// The release that a pointer names, or the one called so: its name, and its manifest as JSON.
#[pyfunction]
#[pyo3(signature = (dest, pointer, name=None))]
pub fn release(
    py: Python<'_>,
    dest: &str,
    pointer: &str,
    name: Option<&str>,
) -> PyResult<(String, String)> {
    let release = Work::new().silently(py, None, None, |watched| {
        let store = Store::open(dest)?;
        match name {
            None => store.pointed(pointer, watched),
            Some(name) => store.release(name, watched),
        }
    })?;
    let manifest = String::from_utf8_lossy(release.bytes()).into_owned();
    Ok((release.id, manifest))
}

/// Fetches files of a release into a folder, by the names that `splindex fetch` gives them.
#[pyfunction]
pub fn fetch_files(
    py: Python<'_>,
    dest: &str,
    name: &str,
    files: Vec<String>,
    folder: PathBuf,
) -> PyResult<()> {
    Work::new().silently(py, None, None, |watched| {
        let store = Store::open(dest)?;
        let release = store.release(name, watched)?;
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        store.fetch_files(&release, &files, &folder, watched)
    })
}
