//! Configuration files of a model folder.

use std::path::{Component, Path, PathBuf};

use serde::de::DeserializeOwned;

use super::info;
use crate::error::{Error, Place, Result, foreign};

/// Reads configuration files and keeps their bytes.
pub(super) struct Reader {
    pub settings: Vec<u8>,
}

impl Reader {
    /// The parsed file; nothing if there is none, or if null is all that it says.
    pub fn json<T: DeserializeOwned>(&mut self, path: &Path) -> Result<Option<T>> {
        if !path.is_file() {
            return Ok(None);
        }
        let bytes = info::read_json(path)?;
        let parsed = serde_json::from_slice(&bytes).map_err(|e| {
            let place = Place::Line(e.line() as u64);
            Error::data(
                path,
                place,
                format!("expected a model's configuration, found {}", foreign(e)),
            )
        })?;
        self.settings.extend_from_slice(&bytes);
        Ok(parsed)
    }
}

/// `base/relative`, which must not lead out of `base`; `path` is the file that says so.
pub(super) fn inside(path: &Path, base: &Path, relative: &str) -> Result<PathBuf> {
    let below = |c: Component<'_>| matches!(c, Component::Normal(_) | Component::CurDir);
    if !Path::new(relative).components().all(below) {
        let problem = format!("expected a path inside the model directory, found {relative:?}");
        return Err(Error::data(path, Place::File, problem));
    }
    Ok(if relative.is_empty() { base.to_owned() } else { base.join(relative) })
}
