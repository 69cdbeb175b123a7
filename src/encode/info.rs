//! What a model directory says about itself: digests and licence.

use std::path::Path;

use crate::corpus::sniff;
use crate::error::{Error, Result};

/// Reads a whole file of a model directory.
///
/// # Errors
/// Also a file that stands for what was to be fetched, or is packed.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    sniff::check_fetched(path, &bytes, "a file of a model")?;
    Ok(bytes)
}

/// Reads a whole file of lines.
///
/// # Errors
/// As [`read`], and for a file that is told to be of another format.
pub(super) fn read_list(path: &Path) -> Result<Vec<u8>> {
    let bytes = read(path)?;
    sniff::check_plain(path, &bytes, "a list of tokens, one a line")?;
    Ok(bytes)
}

/// Reads a whole file of JSON, without a byte order mark.
///
/// # Errors
/// As [`read`], and for a file that is told to be of another format.
pub(super) fn read_json(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = read(path)?;
    sniff::check_plain(path, &bytes, "a file of JSON")?;
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(bytes)
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The hub id, or the last part of the directory's real path: a name, not a place on this
/// machine.
pub(super) fn name(dir: &Path) -> String {
    let real = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    if let Some(id) = super::hub::id_of_snapshot(&real) {
        return id;
    }
    real.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The licence that the model card (`README.md`, or else `MODEL_CARD.md`) names in its front
/// matter, as model hubs write it: `license: apache-2.0`, or `license_name` where `license`
/// is "other".
pub(super) fn licence(dir: &Path) -> Option<String> {
    ["README.md", "MODEL_CARD.md"].iter().find_map(|card| named_licence(&dir.join(card)))
}

fn named_licence(card: &Path) -> Option<String> {
    let card = std::fs::read_to_string(card).ok()?;
    let mut lines = card.lines();
    if lines.next()?.trim_end() != "---" {
        return None;
    }
    let (mut licence, mut name) = (None, None);
    for line in lines.take_while(|l| l.trim_end() != "---") {
        if let Some(value) = line.strip_prefix("license:") {
            licence = Some(unquote(value));
        } else if let Some(value) = line.strip_prefix("license_name:") {
            name = Some(unquote(value));
        }
    }
    match licence.as_deref() {
        Some("other") if name.is_some() => name,
        Some("") => None,
        _ => licence,
    }
}

fn unquote(value: &str) -> String {
    value.trim().trim_matches(['"', '\'']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_licence_is_what_the_card_names() {
        let dir = tempfile::tempdir().unwrap();
        let of = |card: &str| {
            std::fs::write(dir.path().join("README.md"), card).unwrap();
            licence(dir.path())
        };
        assert_eq!(of("---\nlicense: \"cc0-1.0\"\ntags: [x]\n---\n# T"), Some("cc0-1.0".into()));
        assert_eq!(of("---\nlicense: other\nlicense_name: own\n---\n"), Some("own".into()));
        assert_eq!(of("# T\nlicense: mit\n"), None);
        assert_eq!(of("---\ntags: []\n---\nlicense: mit\n"), None);
        std::fs::write(dir.path().join("MODEL_CARD.md"), "---\nlicense: mit\n---\n").unwrap();
        assert_eq!(licence(dir.path()), Some("mit".into()), "where the README names none");
        std::fs::remove_file(dir.path().join("README.md")).unwrap();
        assert_eq!(licence(dir.path()), Some("mit".into()));
        std::fs::remove_file(dir.path().join("MODEL_CARD.md")).unwrap();
        assert_eq!(licence(dir.path()), None);
    }

    #[test]
    fn the_shipped_model_names_its_licence() {
        let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/tiny");
        assert_eq!(licence(&tiny), Some("apache-2.0".into()));
    }
}
