//! The graph of [`super::graph`] on plain slices with our kernels: what CPUs run.
//!
//! Rows are packed as there. A text's vector does not depend on the batch it is in.

use std::cell::RefCell;
use std::sync::Arc;

use candle_core::{DType, Result, Tensor};

use super::config::Activation;
use super::graph::{Layer, LinearNorm, MaskedLm, Packed};
use super::kernels::{
    AttendScratch, Level, ProjectScratch, Projection, Scratch, Then, Weights, attention, norm,
    product,
};
use super::ops::{Norm, sum};

/// A checkpoint, packed for one instruction set. Threads share it.
pub(super) struct CpuModel {
    level: Level,
    /// vocabulary × hidden
    words: Arc<[f32]>,
    /// positions × hidden
    positions: Vec<f32>,
    embedding_norm: RowNorm,
    layers: Vec<CpuLayer>,
    transform: Weights,
    transform_norm: RowNorm,
    projection: Projection,
    hidden: usize,
    heads: usize,
    activation: Activation,
    head_activation: Activation,
    pad: Option<u32>,
}

struct CpuLayer {
    qkv: Weights,
    attention_output: Weights,
    attention_norm: RowNorm,
    up: Weights,
    down: Weights,
    output_norm: RowNorm,
}

struct RowNorm {
    scale: Vec<f32>,
    shift: Vec<f32>,
    eps: f32,
}

impl RowNorm {
    fn run(&self, level: Level, x: &mut [f32]) {
        norm(level, x, &self.scale, &self.shift, self.eps);
    }
}

/// States between steps, kept by each worker.
#[derive(Default)]
struct Buffers {
    x: Vec<f32>,
    wide: Vec<f32>,
    context: Vec<f32>,
    next: Vec<f32>,
    product: Scratch,
    attend: AttendScratch,
    project: ProjectScratch,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

impl CpuModel {
    /// Packs a loaded checkpoint. Without `screened`, or where it would not pay, every logit is
    /// computed; the vectors are the same.
    pub fn new(model: &MaskedLm, screened: bool) -> Result<Self> {
        let level = Level::detect();
        let screened = screened && level.screens();
        let words: Arc<[f32]> = floats(&model.word_embeddings)?.into();
        let decoder = match model.decoder.id() == model.word_embeddings.id() {
            true => words.clone(),
            false => floats(&model.decoder)?.into(),
        };
        let linear = |weight_t: &Tensor, bias: &Tensor| -> Result<Weights> {
            let inputs = weight_t.dim(0)?;
            Ok(Weights::pack(level, &floats(&weight_t.t()?)?, &floats(bias)?, inputs))
        };
        let linear_norm = |layer: &LinearNorm| -> Result<(Weights, RowNorm)> {
            let weights = linear(&layer.weight_t, &layer.norm.params.get(0)?)?;
            Ok((weights, row_norm(&layer.norm)?))
        };
        let layer = |layer: &Layer| -> Result<CpuLayer> {
            let (attention_output, attention_norm) = linear_norm(&layer.attention_output)?;
            let (down, output_norm) = linear_norm(&layer.down)?;
            let qkv = linear(&layer.qkv.weight_t, &layer.qkv.bias)?;
            let up = linear(&layer.up.weight_t, &layer.up.bias)?;
            Ok(CpuLayer { qkv, attention_output, attention_norm, up, down, output_norm })
        };
        Ok(CpuModel {
            level,
            positions: floats(&model.position_embeddings)?,
            embedding_norm: row_norm(&model.embedding_norm)?,
            layers: model.layers.iter().map(layer).collect::<Result<_>>()?,
            transform: linear(&model.transform.weight_t, &model.transform.bias)?,
            transform_norm: row_norm(&model.transform_norm)?,
            projection: Projection::new(level, decoder, model.decoder_bias.clone(), screened),
            hidden: model.word_embeddings.dim(1)?,
            words,
            heads: model.heads,
            activation: model.activation,
            head_activation: model.head_activation,
            pad: model.pad,
        })
    }

    /// Sparse vectors of a batch; none if a state is not a finite number.
    pub fn run(&self, batch: &Packed) -> Option<Vec<Vec<(u32, f32)>>> {
        BUFFERS.with_borrow_mut(|buffers| {
            self.states(batch, buffers);
            // Here, since the maximum over tokens would hide a NaN. Either makes the sum so.
            sum(&buffers.x, |x| x)
                .is_finite()
                .then(|| self.projection.project(&buffers.x, &batch.lengths, &mut buffers.project))
        })
    }

    /// Leaves the states that the vocabulary projection takes in `buffers.x`.
    fn states(&self, batch: &Packed, buffers: &mut Buffers) {
        let Buffers { x, wide, context, next, product: scratch, attend, .. } = buffers;
        let (level, hidden) = (self.level, self.hidden);
        x.clear();
        for (&id, position) in batch.ids.iter().zip(batch.positions(self.pad)) {
            let word = &self.words[id as usize * hidden..][..hidden];
            let place = &self.positions[position as usize * hidden..][..hidden];
            x.extend(word.iter().zip(place).map(|(w, p)| w + p));
        }
        self.embedding_norm.run(level, x);
        for layer in &self.layers {
            product(level, x, &layer.qkv, Then::Bias, scratch, wide);
            attention(level, wide, &batch.lengths, hidden, self.heads, attend, context);
            product(level, context, &layer.attention_output, Then::Residual(x), scratch, next);
            layer.attention_norm.run(level, next);
            let then = Then::Activate(self.activation);
            product(level, next, &layer.up, then, scratch, wide);
            product(level, wide, &layer.down, Then::Residual(next), scratch, x);
            layer.output_norm.run(level, x);
        }
        let then = Then::Activate(self.head_activation);
        product(level, x, &self.transform, then, scratch, next);
        self.transform_norm.run(level, next);
        std::mem::swap(x, next);
    }
}

fn row_norm(norm: &Norm) -> Result<RowNorm> {
    let row = |i| floats(&norm.params.get(i)?);
    Ok(RowNorm { scale: row(1)?, shift: row(2)?, eps: norm.eps as f32 })
}

fn floats(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}
