//! The console scripts.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use pyo3::prelude::*;
use splindex::cli::programs;

use crate::error::usage;

/// Runs one of the two programs with its arguments, the first of which is its name, and gives
/// its exit code. `splindex._programs` calls it in a process of its own: it ends that itself
/// where the arguments are wrong.
#[pyfunction]
pub fn run_program(py: Python<'_>, program: &str, arguments: Vec<OsString>) -> PyResult<u8> {
    let run: fn(Vec<OsString>) -> ExitCode = match program {
        "splindex" => |arguments| programs::splindex(arguments),
        "splindex-query" => |arguments| programs::splindex_query(arguments),
        other => {
            return Err(usage(py, format!("expected splindex or splindex-query, found {other:?}")));
        }
    };
    let code = py.detach(|| {
        let code = run(arguments);
        // Python ends the process, and does not know of this buffer. A reader that has gone
        // wants no more.
        let _ = std::io::stdout().flush();
        code
    });
    Ok(number(code))
}

/// The number of an exit code, which only compares.
fn number(code: ExitCode) -> u8 {
    (0..=u8::MAX).find(|&number| ExitCode::from(number) == code).unwrap_or(1)
}
