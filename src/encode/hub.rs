//! Model hub ids: `owner/name` to a directory.
//!
//! A local directory of that name wins. Then the hub's cache is searched, in the layout that
//! its own clients share (`models--OWNER--NAME/refs/main` names a commit,
//! `snapshots/COMMIT/` has the files), so that a model fetched by any of them is used without
//! a network. Only then, and with the feature `hub`, is the model downloaded, into the cache.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Files that make a snapshot worth loading: one of each row.
const NEEDED: [&[&str]; 2] = [
    &["config.json", "modules.json"],
    &[
        "model.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "idf.json",
        "query_token_weights.txt",
    ],
];

/// The directory of `model`: itself if it exists or is no hub id, else the cached or
/// downloaded snapshot.
///
/// # Errors
/// A hub id that is not in the cache and cannot be downloaded.
pub fn model_directory(model: &Path) -> Result<PathBuf> {
    let Some(id) = id(model).filter(|_| !model.exists()) else { return Ok(model.to_owned()) };
    let cache = cache_dir();
    match cached(&cache, id) {
        Some(snapshot) => Ok(snapshot),
        None => fetch(&cache, id),
    }
}

/// Whether [`model_directory`] would ask the network.
pub fn needs_download(model: &Path) -> bool {
    cfg!(feature = "hub")
        && !offline()
        && !model.exists()
        && id(model).is_some_and(|id| cached(&cache_dir(), id).is_none())
}

/// `owner/name`, of letters, digits, `-`, `_` and `.`, as hubs allow.
fn id(model: &Path) -> Option<&str> {
    let text = model.to_str()?;
    let (owner, name) = text.split_once('/')?;
    let legal = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            && !part.contains("--")
    };
    (legal(owner) && legal(name)).then_some(text)
}

/// The hub id whose cached snapshot `dir` is.
pub(super) fn id_of_snapshot(dir: &Path) -> Option<String> {
    let snapshots = dir.parent()?;
    let repository = snapshots.parent()?.file_name()?.to_str()?;
    let id = repository.strip_prefix("models--")?.replacen("--", "/", 1);
    (snapshots.file_name()? == "snapshots").then_some(id)
}

/// Where hub clients keep their cache.
fn cache_dir() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    variable("HF_HUB_CACHE")
        .or_else(|| variable("HUGGINGFACE_HUB_CACHE"))
        .or_else(|| Some(variable("HF_HOME")?.join("hub")))
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("huggingface/hub")))
        .or_else(|| Some(variable("HOME")?.join(".cache/huggingface/hub")))
        .unwrap_or_else(|| std::env::temp_dir().join("huggingface/hub"))
}

fn offline() -> bool {
    let set = |v: std::ffi::OsString| !["", "0", "false", "no", "off"].iter().any(|no| v == *no);
    std::env::var_os("HF_HUB_OFFLINE").is_some_and(set)
}

/// The snapshot of `main` that has what a model needs. Clients fetch single files, too: a
/// snapshot may be a tokenizer only.
fn cached(cache: &Path, id: &str) -> Option<PathBuf> {
    let repository = cache.join(format!("models--{}", id.replace('/', "--")));
    let commit = std::fs::read_to_string(repository.join("refs/main")).ok()?;
    let snapshot = repository.join("snapshots").join(commit.trim());
    let below = folders(&snapshot);
    let has =
        |names: &&[&str]| below.iter().any(|dir| names.iter().any(|name| dir.join(name).exists()));
    NEEDED.iter().all(has).then_some(snapshot)
}

/// `dir` and its subfolders, in which SentenceTransformers keeps a model's parts.
fn folders(dir: &Path) -> Vec<PathBuf> {
    let inner = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let inner = inner.map(|entry| entry.path()).filter(|path| path.is_dir());
    std::iter::once(dir.to_owned()).chain(inner).collect()
}

/// What to do by hand.
fn unreachable(cache: &Path, id: &str, why: &str) -> Error {
    let name = id.rsplit('/').next().unwrap_or(id);
    Error::Usage(format!(
        "model {id}: there is no such directory, it is not in the hub cache {}, and {why}; \
         where there is a network, fetch the repository's files (`hf download {id} --local-dir \
         {name}`), copy the folder here and give --model {name}",
        cache.display()
    ))
}

#[cfg(not(feature = "hub"))]
fn fetch(cache: &Path, id: &str) -> Result<PathBuf> {
    Err(unreachable(cache, id, "downloading needs a splindex built with the feature hub"))
}

#[cfg(feature = "hub")]
fn fetch(cache: &Path, id: &str) -> Result<PathBuf> {
    if offline() {
        return Err(unreachable(cache, id, "HF_HUB_OFFLINE forbids downloading it"));
    }
    download(cache, id)
        .map_err(|e| unreachable(cache, id, &format!("downloading it failed: {e}")))?;
    cached(cache, id).ok_or_else(|| {
        let wanted = NEEDED.map(|names| names.join(", ")).join("; and one of ");
        Error::Usage(format!("model {id}: expected one of {wanted} in the repository, found none"))
    })
}

/// Everything small, and safetensors; PyTorch's archives only where there are none.
#[cfg(feature = "hub")]
fn download(cache: &Path, id: &str) -> std::result::Result<(), hf_hub::HFError> {
    // Patterns match across `/`.
    let list = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<String>>();
    let first = list(&["*.json", "*.txt", "README.md", "*.safetensors"]);
    let never = list(&["onnx/*", "openvino/*", "*/onnx/*", "flax*", "tf_*"]);
    let (owner, name) = hf_hub::split_id(id);
    let client =
        hf_hub::HFClientBuilder::new().cache_dir(cache).retry_max_attempts(3).build_sync()?;
    let model = client.model(owner, name);
    let get = |patterns| {
        model.snapshot_download().allow_patterns(patterns).ignore_patterns(never.clone()).send()
    };
    let snapshot = get(first)?;
    let stored = |dir: &PathBuf| NEEDED[1][..2].iter().any(|name| dir.join(name).exists());
    if !folders(&snapshot).iter().any(stored) {
        get(list(&["pytorch_model*.bin", "*/pytorch_model*.bin"]))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a hub client leaves it: blobs, and links to them in the snapshot.
    fn cache(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let repository = dir.path().join("models--own--tiny");
        let snapshot = repository.join("snapshots/abc123");
        std::fs::create_dir_all(repository.join("refs")).unwrap();
        std::fs::write(repository.join("refs/main"), "abc123\n").unwrap();
        for name in files {
            let file = snapshot.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x").unwrap();
        }
        dir
    }

    #[test]
    fn hub_ids_are_told_from_paths() {
        let yes = ["naver/efficient-splade-VI-BT-large-doc", "a/b", "a_b/c.d-1"];
        yes.iter().for_each(|text| assert_eq!(id(Path::new(text)), Some(*text)));
        let no = ["model", "/a/b", "./a", "../b", "a/b/c", "a/", "~/b", "a b/c", "a--b/c"];
        no.iter().for_each(|text| assert_eq!(id(Path::new(text)), None, "{text}"));
    }

    #[test]
    fn a_cached_model_is_found_by_its_commit() {
        let dir = cache(&["config.json", "model.safetensors"]);
        let snapshot = cached(dir.path(), "own/tiny").unwrap();
        assert!(snapshot.ends_with("models--own--tiny/snapshots/abc123"));
        assert_eq!(id_of_snapshot(&snapshot), Some("own/tiny".into()));
        assert_eq!(id_of_snapshot(Path::new("a/snapshots/b")), None);
        assert_eq!(cached(dir.path(), "own/other"), None);
    }

    #[test]
    fn parts_in_subfolders_count_and_a_tokenizer_alone_does_not() {
        let dir = cache(&["modules.json", "document_0_Transformer/model.safetensors"]);
        assert!(cached(dir.path(), "own/tiny").is_some());
        let dir = cache(&["config.json", "tokenizer.json"]);
        assert_eq!(cached(dir.path(), "own/tiny"), None);
    }

    #[test]
    fn the_way_by_hand_is_in_the_message() {
        let e = unreachable(Path::new("/cache"), "own/tiny", "there is no network").to_string();
        assert_eq!(
            e,
            "model own/tiny: there is no such directory, it is not in the hub cache /cache, and \
             there is no network; where there is a network, fetch the repository's files (`hf \
             download own/tiny --local-dir tiny`), copy the folder here and give --model tiny"
        );
    }
}
