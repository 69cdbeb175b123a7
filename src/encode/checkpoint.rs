//! A checkpoint's files of weights: one safetensors file or PyTorch archive, or shards.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::safetensors::BufferedSafetensors;
use candle_core::{Device, Tensor};
use serde::Deserialize;

use super::info;
use super::pickle::Pickle;
use crate::error::{Error, Place, Result, foreign};

/// What weights may be called, best first: (whole file, index of shards).
const NAMES: [(&str, &str); 2] = [
    ("model.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json"),
];

/// All tensors of a model directory, by name.
pub(super) struct Checkpoint {
    /// The whole file, or the index: what errors about missing tensors name.
    path: PathBuf,
    files: Vec<(PathBuf, Stored)>,
    /// File of each tensor.
    tensors: BTreeMap<String, usize>,
    digest: String,
}

enum Stored {
    Safetensors(BufferedSafetensors),
    Pickle(Pickle),
}

/// `model.safetensors.index.json`
#[derive(Deserialize)]
struct Index {
    /// Tensor name → file name.
    weight_map: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Reads the weights of `dir`.
    ///
    /// # Errors
    /// No file of weights, a missing or malformed one, an index that its shards contradict.
    pub fn open(dir: &Path) -> Result<Self> {
        for (whole, index) in NAMES {
            if dir.join(whole).exists() {
                return Checkpoint::read(dir.join(whole), vec![dir.join(whole)]);
            }
            if dir.join(index).exists() {
                return Checkpoint::from_index(dir, &dir.join(index));
            }
        }
        let hint = match dir.join("onnx").exists() || dir.join("model.onnx").exists() {
            true => "it has an ONNX export, which is not read: get the PyTorch weights",
            false => "download the model's weights into it",
        };
        let problem = format!(
            "expected {} (or shards with their index) in the model directory, found none",
            NAMES.map(|(whole, _)| whole).join(" or ")
        );
        Err(Error::data(dir, Place::File, problem).hint(hint))
    }

    fn from_index(dir: &Path, path: &Path) -> Result<Self> {
        let bytes = info::read_json(path)?;
        let index: Index = serde_json::from_slice(&bytes).map_err(|e| {
            let place = Place::Line(e.line() as u64);
            Error::data(
                path,
                place,
                format!("expected {{\"weight_map\": {{…}}}}, found {}", foreign(e)),
            )
        })?;
        let mut names: Vec<&str> = index.weight_map.values().map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        for name in &names {
            let plain = !name.contains(['/', '\\']) && *name != "..";
            if !plain || !dir.join(name).is_file() {
                let problem = format!("expected the shard {name:?} beside it, found none");
                return Err(Error::data(path, Place::File, problem)
                    .hint(format!("download all {} shards", names.len())));
            }
        }
        let files = names.iter().map(|name| dir.join(name)).collect();
        let checkpoint = Checkpoint::read(path.to_owned(), files)?;
        for (tensor, file) in &index.weight_map {
            if !checkpoint.has(tensor) && file.ends_with(".safetensors") {
                let problem = format!("expected tensor {tensor:?} in shard {file:?}, found none");
                return Err(Error::data(path, Place::File, problem)
                    .hint("index and shards must come from one download"));
            }
        }
        Ok(checkpoint)
    }

    fn read(path: PathBuf, paths: Vec<PathBuf>) -> Result<Self> {
        let mut hash = blake3::Hasher::new();
        let (mut files, mut tensors) = (Vec::new(), BTreeMap::new());
        for (i, file) in paths.into_iter().enumerate() {
            let bytes = info::read(&file)?;
            hash.update(&bytes);
            let stored = Stored::new(&file, bytes)?;
            tensors.extend(stored.names().into_iter().map(|name| (name, i)));
            files.push((file, stored));
        }
        let digest = hash.finalize().to_hex().to_string();
        Ok(Checkpoint { path, files, tensors, digest })
    }

    /// blake3 over the bytes of all files in order of their names, hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The file that holds the tensor; of an absent one, the file to look at.
    pub fn file(&self, name: &str) -> &Path {
        self.tensors.get(name).map_or(&self.path, |&i| &self.files[i].0)
    }

    /// Shape of the tensor.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let &i = self.tensors.get(name)?;
        match &self.files[i].1 {
            Stored::Safetensors(s) => s.get(name).ok().map(|view| view.shape().to_vec()),
            Stored::Pickle(p) => p.shape(name),
        }
    }

    /// The number type of a tensor that holds no floats, as its file calls it: F32, F16,
    /// BF16 and F64 are weights, others (also 8-bit floats, which need a scale) are not.
    pub fn not_floats(&self, name: &str) -> Option<String> {
        let &i = self.tensors.get(name)?;
        match &self.files[i].1 {
            Stored::Safetensors(s) => {
                let dtype = format!("{:?}", s.get(name).ok()?.dtype());
                let floats = ["F32", "F16", "BF16", "F64"].contains(&dtype.as_str());
                (!floats).then_some(dtype)
            }
            Stored::Pickle(p) => p.not_floats(name).map(str::to_owned),
        }
    }

    /// The tensor as stored.
    pub fn load(&self, name: &str, device: &Device) -> candle_core::Result<Tensor> {
        let Some(&i) = self.tensors.get(name) else {
            candle_core::bail!("no tensor {name:?}");
        };
        match &self.files[i].1 {
            Stored::Safetensors(s) => s.load(name, device),
            Stored::Pickle(p) => p.load(name, device),
        }
    }
}

impl Stored {
    fn new(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        if path.extension().is_some_and(|e| e == "bin") {
            return Ok(Stored::Pickle(Pickle::new(path, bytes)?));
        }
        let safetensors = BufferedSafetensors::new(bytes).map_err(|e| {
            Error::data(
                path,
                Place::File,
                format!("expected a safetensors file, found: {}", foreign(e)),
            )
            .hint("fetch the file again: it may be truncated")
        })?;
        Ok(Stored::Safetensors(safetensors))
    }

    fn names(&self) -> Vec<String> {
        match self {
            Stored::Safetensors(s) => s.tensors().into_iter().map(|(name, _)| name).collect(),
            Stored::Pickle(p) => p.names().map(str::to_owned).collect(),
        }
    }
}
