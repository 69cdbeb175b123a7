//! Tensors of a checkpoint, checked against expected shapes and widened to the compute type.

use std::cell::RefCell;
use std::collections::BTreeSet;

use candle_core::{DType, Device, Tensor};

use super::checkpoint::Checkpoint;
use super::ops::Linear;
use crate::error::{Error, Place, Result, foreign};

/// Tensors that checkpoints hold beside the model, by the end of their names: what PyTorch
/// computes anew (position numbers, rotary frequencies, masks), and a second name of the output
/// bias, which the decoder's own overrides.
const UNUSED_ENDS: [&str; 6] = [
    ".position_ids",
    ".token_type_ids",
    ".inv_freq",
    ".masked_bias",
    "cls.predictions.bias",
    "lm_head.bias",
];

/// The same by a part of their names: heads for other tasks that share a prefix with ours.
const UNUSED_PARTS: [&str; 2] = [".pooler.", ".seq_relationship."];

/// The tensors of one checkpoint, read on demand.
pub(super) struct Weights<'a> {
    checkpoint: &'a Checkpoint,
    dtype: DType,
    device: Device,
    /// Names of what was read.
    read: RefCell<BTreeSet<String>>,
}

impl<'a> Weights<'a> {
    /// Tensors of any float type come out as `dtype`.
    pub fn new(checkpoint: &'a Checkpoint, dtype: DType, device: Device) -> Self {
        Weights { checkpoint, dtype, device, read: RefCell::default() }
    }

    /// Call when the graph is loaded: a tensor of the model that was not read, say of a layer
    /// beyond those of config.json, means that the graph is not the checkpoint's. Other heads
    /// (of another first name) and known extras do not matter to it.
    ///
    /// # Errors
    /// The first such tensor by name.
    pub fn require_all_read(&self) -> Result<()> {
        let read = self.read.borrow();
        let family = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        let families: BTreeSet<String> = read.iter().map(|name| family(name)).collect();
        let unused = |name: &str| {
            UNUSED_ENDS.iter().any(|end| name.ends_with(end))
                || UNUSED_PARTS.iter().any(|part| name.contains(part))
        };
        let unread = self.checkpoint.names().find(|name| {
            let weight = self.checkpoint.not_floats(name).is_none();
            weight && !read.contains(*name) && families.contains(&family(name)) && !unused(name)
        });
        let Some(name) = unread else { return Ok(()) };
        let shape = self.checkpoint.shape(name).unwrap_or_default();
        let problem = format!(
            "expected only the tensors of the model in config.json, found {name:?} of shape \
             {shape:?} too"
        );
        Err(Error::data(self.checkpoint.file(name), Place::File, problem)
            .hint("config.json must come from the same download: see its number of layers"))
    }

    /// Whether the checkpoint has a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.checkpoint.has(name)
    }

    /// The tensor `name`, which must have `shape`.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        self.read.borrow_mut().insert(name.to_owned());
        let path = self.checkpoint.file(name);
        let Some(found) = self.checkpoint.shape(name) else {
            let problem = format!("expected a tensor {name:?} of shape {shape:?}, found none");
            return Err(Error::data(path, Place::File, problem)
                .hint("the checkpoint must hold the model and its masked-language-model head"));
        };
        if let Some(found) = self.checkpoint.not_floats(name) {
            let problem = format!(
                "expected numbers of type F32, F16, BF16 or F64 in tensor {name:?}, found {found}"
            );
            return Err(Error::data(path, Place::File, problem)
                .hint("quantized checkpoints are not read: get the original weights"));
        }
        if found != shape {
            let problem = format!(
                "expected tensor {name:?} to have the shape {shape:?} of config.json, found {found:?}"
            );
            return Err(Error::data(path, Place::File, problem));
        }
        let bad = |found: String| {
            let problem = format!("expected finite numbers in tensor {name:?}, found {found}");
            Error::data(path, Place::File, problem).hint("fetch the file again")
        };
        let load = || {
            let tensor = self.checkpoint.load(name, &self.device)?;
            Ok((all_finite(&tensor)?, tensor.to_dtype(self.dtype)?))
        };
        match load() {
            Ok((true, tensor)) => Ok(tensor),
            Ok((false, _)) => Err(bad("NaN or infinity".into())),
            Err::<_, candle_core::Error>(e) => Err(bad(foreign(e))),
        }
    }

    /// The tensor `name`, or zeros if the checkpoint has none: a bias that may be left out.
    pub fn or_zeros(&self, name: &str, size: usize) -> Result<Tensor> {
        match self.has(name) {
            true => self.tensor(name, &[size]),
            false => super::graph::internal(|| Tensor::zeros(size, self.dtype, &self.device)),
        }
    }

    /// The first of `names` the checkpoint has; an error about the first if it has none.
    pub fn first_of(&self, names: &[&str], shape: &[usize]) -> Result<Tensor> {
        let name = names.iter().find(|n| self.has(n)).unwrap_or(&names[0]);
        self.tensor(name, shape)
    }

    /// `NAME.weight` (outputs × inputs) and `NAME.bias`.
    pub fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        Ok(Linear::new(
            self.tensor(&format!("{name}.weight"), &[outputs, inputs])?,
            self.tensor(&format!("{name}.bias"), &[outputs])?,
        ))
    }

    /// Scale and shift of a layer norm, stored as weight/bias or, in checkpoints that came
    /// from TensorFlow, as gamma/beta.
    pub fn norm(&self, name: &str, size: usize) -> Result<(Tensor, Tensor)> {
        let part = |new: &str, old: &str| {
            self.first_of(&[&format!("{name}.{new}"), &format!("{name}.{old}")], &[size])
        };
        Ok((part("weight", "gamma")?, part("bias", "beta")?))
    }
}

/// Whether no element is NaN or infinite: either makes the sum so. Sums of finite
/// weights and states stay far from f32's largest.
pub(super) fn all_finite(tensor: &Tensor) -> candle_core::Result<bool> {
    Ok(tensor.to_dtype(DType::F32)?.sum_all()?.to_scalar::<f32>()?.is_finite())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// What is said after `layer.0.weight` was read from a checkpoint that has `extra` too.
    fn with(extra: &str) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let tensor = Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        let tensors: HashMap<_, _> =
            ["bert.layer.0.weight", extra].map(|name| (name.to_owned(), tensor.clone())).into();
        let path = dir.path().join("model.safetensors");
        candle_core::safetensors::save(&tensors, &path).unwrap();
        let checkpoint = Checkpoint::open(dir.path()).unwrap();
        let weights = Weights::new(&checkpoint, DType::F32, Device::Cpu);
        weights.tensor("bert.layer.0.weight", &[2, 3]).unwrap();
        let e = weights.require_all_read().err()?;
        Some(e.to_string().replace(&format!("{}/", dir.path().display()), ""))
    }

    #[test]
    fn a_tensor_of_the_model_that_is_not_read_is_an_error() {
        assert_eq!(
            with("bert.layer.1.weight").unwrap(),
            "model.safetensors: expected only the tensors of the model in config.json, found \
             \"bert.layer.1.weight\" of shape [2, 3] too; config.json must come from the same \
             download: see its number of layers"
        );
    }

    #[test]
    fn only_floats_are_weights_and_other_buffers_do_not_matter() {
        let device = Device::Cpu;
        for (dtype, name) in [
            (DType::I64, "I64"),
            (DType::U32, "U32"),
            (DType::U8, "U8"),
            (DType::F8E4M3, "F8_E4M3"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let floats = Tensor::zeros((2, 3), DType::F64, &device).unwrap();
            let other = Tensor::zeros((2, 3), dtype, &device).unwrap();
            let tensors: HashMap<_, _> =
                [("bert.a".to_owned(), floats), ("bert.b".to_owned(), other)].into();
            candle_core::safetensors::save(&tensors, dir.path().join("model.safetensors")).unwrap();
            let checkpoint = Checkpoint::open(dir.path()).unwrap();
            let weights = Weights::new(&checkpoint, DType::F32, device.clone());
            weights.tensor("bert.a", &[2, 3]).unwrap();
            weights.require_all_read().unwrap();
            let e = weights.tensor("bert.b", &[2, 3]).unwrap_err().to_string();
            let expected = format!(
                "expected numbers of type F32, F16, BF16 or F64 in tensor \"bert.b\", found {name}; "
            );
            assert!(e.contains(&expected), "{e}");
        }
    }

    #[test]
    fn extras_that_change_nothing_are_passed_over() {
        for extra in [
            "bert.embeddings.position_ids",
            "bert.embeddings.token_type_ids",
            "bert.pooler.dense.weight",
            "bert.seq_relationship.weight",
            "bert.layer.0.rotary_emb.inv_freq",
            "classifier.weight",
        ] {
            assert_eq!(with(extra), None, "{extra}");
        }
    }
}
