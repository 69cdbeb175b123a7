//! What of a model's folder its query side reads: what a query node must be given.

use std::path::{Path, PathBuf};

use super::folder::{self, SidePart};
use super::{hub, info};
use crate::error::{Error, Place, Result};
use crate::vectors::store::Kind;

/// Folders of a model lie no deeper.
const DEPTH: usize = 4;

/// Files of a model's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryFiles {
    /// The folder.
    pub dir: PathBuf,
    /// Hub id, or the folder's name.
    pub name: String,
    /// Paths in the folder, with `/`, sorted.
    pub files: Vec<String>,
}

/// What text queries need of the folder, or hub id, `model`: configurations, tokenizer and model
/// card, and the table of token weights or else the weights of the query side's transformer. Not the
/// weights of the document side, which are most of a folder.
///
/// # Errors
/// No such model, or one that is not understood.
pub fn query_files(model: &Path) -> Result<QueryFiles> {
    let dir = hub::model_directory(model)?;
    let side = folder::side(&dir, Kind::Query)?;
    let mut files = Vec::new();
    walk(&dir, "", 0, &mut files)?;
    let safetensors = |dir: &Path| {
        dir.join("model.safetensors").exists() || dir.join("model.safetensors.index.json").exists()
    };
    let ending = if safetensors(&side.dir) { ".safetensors" } else { ".bin" };
    let needed = |file: &String| {
        let path = dir.join(file);
        let name = file.rsplit('/').next().unwrap_or_default();
        let weights = match &side.part {
            SidePart::Table(table) => path == *table,
            SidePart::Transformer(_) => {
                path.parent() == Some(&*side.dir)
                    && (name.starts_with("model") || name.starts_with("pytorch_model"))
                    && name.ends_with(ending)
            }
        };
        let card = ["README.md", "MODEL_CARD.md"].contains(&&**file);
        weights || card || name.ends_with(".json") || name.ends_with(".txt")
    };
    files.retain(needed);
    files.sort();
    Ok(QueryFiles { name: info::name(&dir), dir, files })
}

/// All files below `dir` but hidden ones.
fn walk(dir: &Path, prefix: &str, depth: usize, files: &mut Vec<String>) -> Result<()> {
    let failed = |e| Error::io("list", dir, e);
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else {
            let problem = "expected names of files in UTF-8";
            return Err(Error::data(entry.path(), Place::File, problem).hint("rename it"));
        };
        if name.starts_with('.') {
            continue;
        }
        let (path, file) = (entry.path(), format!("{prefix}{name}"));
        match path.is_dir() {
            true if depth < DEPTH => walk(&path, &format!("{file}/"), depth + 1, files)?,
            true => {}
            false => files.push(file),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inference_free_model_ships_without_its_document_weights() {
        let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/tiny");
        let QueryFiles { dir, name, files } = query_files(&tiny).unwrap();
        assert_eq!((dir, &*name), (tiny, "tiny"));
        assert_eq!(files, ["MODEL_CARD.md", "config.json", "idf.json", "tokenizer.json"]);
    }

    #[test]
    fn a_transformer_ships_with_the_weights_of_its_own_folder() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["config.json", "tokenizer.json", "model.safetensors", "other.onnx", "a.bin"] {
            std::fs::write(dir.path().join(file), "{}").unwrap();
        }
        std::fs::create_dir(dir.path().join(".git")).unwrap();
        std::fs::write(dir.path().join(".git/x.json"), "{}").unwrap();
        let files = query_files(dir.path()).unwrap().files;
        assert_eq!(files, ["config.json", "model.safetensors", "tokenizer.json"]);
    }
}
