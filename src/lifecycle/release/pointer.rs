//! A pointer: a name for the release that readers are to take.

use serde::{Deserialize, Serialize};

use super::manifest::{self, Head, Release};
use crate::error::{Error, Place, Result, foreign};

const FORMAT: &str = "splindex-pointer";
const VERSION: u32 = 1;

/// What `pointers/<name>.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// `splindex-pointer`.
    pub format: String,
    /// Of this format: 1.
    pub version: u32,
    /// The release.
    pub release: String,
    /// BLAKE3 of its manifest, hexadecimal.
    pub manifest: String,
    /// The release that it named before.
    pub previous: Option<String>,
    /// When it was moved: RFC 3339, UTC.
    pub time: String,
}

impl Pointer {
    pub(super) fn to(release: &Release, previous: Option<String>, time: String) -> Self {
        Pointer {
            format: FORMAT.into(),
            version: VERSION,
            release: release.id.clone(),
            manifest: release.digest(),
            previous,
            time,
        }
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::Internal(format!("the pointer to JSON: {e}")))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// `file` names it in errors.
    pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        let bad = |problem: String| Error::data(file, Place::File, problem);
        let head: Head = serde_json::from_slice(bytes)
            .map_err(|e| bad(format!("expected a pointer in JSON, found {}", foreign(e))))?;
        head.check(file, FORMAT, VERSION)?;
        let pointer: Pointer = serde_json::from_slice(bytes).map_err(|e| {
            bad(format!("expected a pointer of version {VERSION}, found {}", foreign(e)))
        })?;
        let named = std::iter::once(&pointer.release).chain(&pointer.previous);
        if let Some(id) = named.into_iter().find(|id| !manifest::is_id(id)) {
            return Err(bad(format!("expected the name of a release, found {id:?}")));
        }
        Ok(pointer)
    }

    /// The releases that it names: that of now and the one before, so that rolling back works.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.release).chain(self.previous.as_deref())
    }
}

/// The path of a pointer.
///
/// # Errors
/// A name that is none.
pub(super) fn path(name: &str) -> Result<String> {
    match manifest::is_name(name) {
        true => Ok(format!("pointers/{name}.json")),
        false => Err(Error::setting("pointer", "of letters, digits, `-`, `_` and `.`", name)),
    }
}
