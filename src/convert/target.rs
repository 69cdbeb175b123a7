//! Names of the formats that can be written.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::vectors::inputs::{Format, by_name};

/// An exchange format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// JsonVectorCollection lines.
    Jsonl,
    /// Common Index File Format.
    Ciff,
    /// SciPy's compressed rows, with files of ids and tokens beside.
    Npz,
    /// big-ann-benchmarks' compressed rows, with files of ids and tokens beside.
    Csr,
    /// A folder with PISA's binary collection.
    Pisa,
    /// A vector store of ours.
    Store,
}

impl Target {
    /// Every format.
    pub const ALL: [Target; 6] =
        [Target::Jsonl, Target::Ciff, Target::Npz, Target::Csr, Target::Pisa, Target::Store];

    /// The format that an output's name stands for.
    pub fn of_name(path: &Path) -> Result<Self> {
        match by_name(path) {
            Some(Format::Jsonl) => Ok(Target::Jsonl),
            Some(Format::Ciff) => Ok(Target::Ciff),
            Some(Format::Npz) => Ok(Target::Npz),
            Some(Format::Csr) => Ok(Target::Csr),
            Some(Format::Index) => Err(Error::Usage(
                "convert writes vectors; `splindex build` makes an index of them".into(),
            )),
            Some(Format::Npy) | None => Err(Error::Usage(format!(
                "the name {} tells no format: give `to` jsonl, ciff, npz, csr, pisa or store",
                path.display()
            ))),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Target::Jsonl => "jsonl",
            Target::Ciff => "ciff",
            Target::Npz => "npz",
            Target::Csr => "csr",
            Target::Pisa => "pisa",
            Target::Store => "store",
        })
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Target::ALL.into_iter().find(|target| target.to_string() == name).ok_or_else(|| {
            Error::Usage(format!(
                "unknown format {name:?}: expected jsonl, ciff, npz, csr, pisa or store"
            ))
        })
    }
}
