//! What the kernels' models have in common: packed weights, row norms, buffers.

use candle_core::{DType, Result, Tensor};

use super::kernels::{AttendScratch, Level, ProjectScratch, Scratch, Weights, norm};
use super::ops::{Linear, Norm};

pub(super) struct RowNorm {
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
    pub eps: f32,
}

impl RowNorm {
    pub fn run(&self, level: Level, x: &mut [f32]) {
        norm(level, x, &self.scale, &self.shift, self.eps);
    }
}

/// States between steps, kept by each worker.
#[derive(Default)]
pub(super) struct Buffers {
    pub x: Vec<f32>,
    pub wide: Vec<f32>,
    pub context: Vec<f32>,
    pub next: Vec<f32>,
    pub product: Scratch,
    pub attend: AttendScratch,
    pub project: ProjectScratch,
}

pub(super) fn pack(level: Level, linear: &Linear) -> Result<Weights> {
    pack_parts(level, &linear.weight_t, &linear.bias)
}

pub(super) fn pack_parts(level: Level, weight_t: &Tensor, bias: &Tensor) -> Result<Weights> {
    let inputs = weight_t.dim(0)?;
    Ok(Weights::pack(level, &floats(&weight_t.t()?)?, &floats(bias)?, inputs))
}

pub(super) fn row_norm(norm: &Norm) -> Result<RowNorm> {
    let row = |i| floats(&norm.params.get(i)?);
    Ok(RowNorm { scale: row(1)?, shift: row(2)?, eps: norm.eps as f32 })
}

pub(super) fn floats(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}
