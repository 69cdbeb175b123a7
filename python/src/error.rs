//! The library's errors as exceptions of `splindex._errors`.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use splindex::error::Place;
use splindex::{Error, Result};

/// Results of the library, raised.
pub trait Raise<T> {
    /// The value, or the exception.
    fn raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> Raise<T> for Result<T> {
    fn raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| exception(py, &error))
    }
}

/// A usage error of Python's side.
pub fn usage(py: Python<'_>, problem: impl Into<String>) -> PyErr {
    exception(py, &Error::Usage(problem.into()))
}

/// What calls into the library pass through: a panic is a bug, and an error like others.
pub fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

/// The error for a panic.
pub fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    Error::Internal(format!("a panic: {}", text.unwrap_or("without a message")))
}

/// The exception of an error.
pub fn exception(py: Python<'_>, error: &Error) -> PyErr {
    made(py, error).unwrap_or_else(|failed| failed)
}

fn made(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let message = error.naming_settings(|setting| format!("`{}`", keyword(setting)));
    let fields = PyDict::new(py);
    let class = match error {
        Error::Data(data) => {
            fields.set_item("path", data.path.as_os_str())?;
            match data.place {
                Place::File => {}
                Place::Line(line) => fields.set_item("line", line)?,
                Place::Record(record) => fields.set_item("record", record)?,
                Place::Section(section, _) => fields.set_item("section", section)?,
            }
            if let Some((expected, found)) = data.expected_and_found() {
                fields.set_item("expected", expected)?;
                fields.set_item("found", found)?;
            }
            if !data.hint.is_empty() {
                fields.set_item("hint", &data.hint)?;
            }
            if error.is_missing_file() { "MissingFileError" } else { "DataError" }
        }
        Error::Setting(setting) => {
            fields.set_item("setting", keyword(setting.setting))?;
            fields.set_item("expected", &setting.expected)?;
            fields.set_item("found", &setting.found)?;
            "SettingError"
        }
        Error::Io { action, path, source } => {
            let Some(number) = source.raw_os_error() else {
                return Ok(PyOSError::new_err(message));
            };
            let problem = format!("cannot {action}: {source}");
            return Ok(PyOSError::new_err((number, problem, path.as_os_str().to_owned())));
        }
        Error::Stopped => return Ok(PyKeyboardInterrupt::new_err(())),
        Error::Internal(_) => "InternalError",
        _ => "UsageError",
    };
    let class = py.import("splindex._errors")?.getattr(class)?;
    Ok(PyErr::from_value(class.call((message,), Some(&fields))?))
}

/// The keyword of a setting: as the library calls it, but for those that are arguments here.
fn keyword(setting: &str) -> &str {
    match setting {
        "input" => "vectors",
        "hybrid_text" => "texts",
        "metrics" => "measures",
        other => other,
    }
}
