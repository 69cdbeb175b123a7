//! `model.safetensors`: tensors by name, widened to the compute type.

use std::path::{Path, PathBuf};

use candle_core::safetensors::SliceSafetensors;
use candle_core::{DType, Device, Tensor};

use super::graph::Linear;
use crate::error::{Error, Place, Result};

/// The tensors of one checkpoint, read on demand and checked against expected shapes.
pub(super) struct Weights<'a> {
    path: PathBuf,
    tensors: SliceSafetensors<'a>,
    dtype: DType,
    device: Device,
}

impl<'a> Weights<'a> {
    /// Over the bytes of `path`; tensors of any float type come out as `dtype`.
    pub fn new(path: &Path, bytes: &'a [u8], dtype: DType, device: Device) -> Result<Self> {
        let tensors = SliceSafetensors::new(bytes).map_err(|e| {
            Error::data(path, Place::File, format!("expected a safetensors file, found: {e}"))
                .hint("fetch the file again: it may be truncated or a Git LFS pointer")
        })?;
        Ok(Weights { path: path.to_owned(), tensors, dtype, device })
    }

    /// Whether the checkpoint has a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.get(name).is_ok()
    }

    /// The tensor `name`, which must have `shape`.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let view = self.tensors.get(name).map_err(|_| {
            Error::data(
                &self.path,
                Place::File,
                format!("expected a tensor {name:?} of shape {shape:?}, found none"),
            )
            .hint("the checkpoint must hold the model and its masked-language-model head")
        })?;
        if view.shape() != shape {
            let problem = format!(
                "expected tensor {name:?} to have the shape {shape:?} of config.json, found {:?}",
                view.shape()
            );
            return Err(Error::data(&self.path, Place::File, problem));
        }
        let bad = |found: String| {
            let problem = format!("expected finite numbers in tensor {name:?}, found {found}");
            Error::data(&self.path, Place::File, problem).hint("fetch the file again")
        };
        let load = || {
            let tensor = self.tensors.load(name, &self.device)?;
            Ok((all_finite(&tensor)?, tensor.to_dtype(self.dtype)?))
        };
        match load() {
            Ok((true, tensor)) => Ok(tensor),
            Ok((false, _)) => Err(bad("NaN or infinity".into())),
            Err::<_, candle_core::Error>(e) => Err(bad(e.to_string())),
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
