//! Tensors of a checkpoint, checked against expected shapes and widened to the compute type.

use candle_core::{DType, Device, Tensor};

use super::checkpoint::Checkpoint;
use super::graph::Linear;
use crate::error::{Error, Place, Result};

/// The tensors of one checkpoint, read on demand.
pub(super) struct Weights<'a> {
    checkpoint: &'a Checkpoint,
    dtype: DType,
    device: Device,
}

impl<'a> Weights<'a> {
    /// Tensors of any float type come out as `dtype`.
    pub fn new(checkpoint: &'a Checkpoint, dtype: DType, device: Device) -> Self {
        Weights { checkpoint, dtype, device }
    }

    /// Whether the checkpoint has a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.checkpoint.has(name)
    }

    /// The tensor `name`, which must have `shape`.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let path = self.checkpoint.file(name);
        let Some(found) = self.checkpoint.shape(name) else {
            let problem = format!("expected a tensor {name:?} of shape {shape:?}, found none");
            return Err(Error::data(path, Place::File, problem)
                .hint("the checkpoint must hold the model and its masked-language-model head"));
        };
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
            Err::<_, candle_core::Error>(e) => Err(bad(e.to_string())),
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
