//! ModernBERT (Warner et al. 2024): rotary positions, norms before the sublayers, gated
//! feed-forward layers, and attention that is local in most layers.
//!
//! Packed rows as in [`super::graph`]. A local layer sees `reach` tokens to either side;
//! sequences no longer than that need no mask there. Biases are optional in the family and
//! absent in the published checkpoints: an absent one is zeros.

use candle_core::{D, Result, Tensor};
use candle_nn::{LayerNorm, Module, ops::softmax_last_dim, rotary_emb::rope};

use super::config::ModelConfig;
use super::config_modern::Modern;
use super::graph::{Packed, first_rows, internal};
use super::ops::Linear;
use super::weights::Weights;

/// A loaded checkpoint. Immutable, so threads share it.
pub(super) struct ModernBert {
    pub embeddings: Tensor,
    pub embedding_norm: LayerNorm,
    pub layers: Vec<Layer>,
    pub final_norm: LayerNorm,
    pub transform: Linear,
    pub transform_norm: LayerNorm,
    /// vocabulary × hidden, the projection's weight.
    pub decoder: Tensor,
    /// The projection's bias, one per vocabulary entry, on the host.
    pub decoder_bias: Vec<f32>,
    pub global: Angles,
    pub local: Angles,
    pub config: ModelConfig,
}

pub(super) struct Layer {
    /// The first layer has none: the embeddings' norm comes just before it.
    pub attention_norm: Option<LayerNorm>,
    /// Queries, keys and values; queries carry the 1/√d of attention.
    pub qkv: Linear,
    pub output: Linear,
    pub feed_norm: LayerNorm,
    pub up: Linear,
    pub gate: Linear,
    pub down: Linear,
    pub local: bool,
}

/// Frequencies of one rotary base.
pub(super) struct Angles {
    inverse: Vec<f32>,
}

/// What layers of one kind need to know about a batch.
struct MaskedBatch {
    /// For each run of equal lengths: cos and sin, length × (half a head).
    rotations: Vec<(Tensor, Tensor)>,
    /// For each run, −∞ where tokens do not see each other; none if all do.
    masks: Vec<Option<Tensor>>,
}

impl ModernBert {
    /// Builds the graph from a checkpoint's tensors, with the first `terms` rows of the
    /// vocabulary as in [`super::graph`].
    pub fn load(
        config: &ModelConfig,
        modern: &Modern,
        weights: &Weights<'_>,
        terms: usize,
    ) -> crate::Result<Self> {
        let (h, shape) = (config.hidden, [config.vocabulary, config.hidden]);
        let (words, output) = ("model.embeddings.tok_embeddings.weight", "decoder.weight");
        let embeddings = first_rows(weights.first_of(&[words, output], &shape)?, terms)?;
        let decoder = match weights.has(output) {
            true => first_rows(weights.tensor(output, &shape)?, terms)?,
            false => embeddings.clone(),
        };
        let bias = first_rows(weights.or_zeros("decoder.bias", config.vocabulary)?, terms)?;
        let layers = modern.local.iter().enumerate();
        Ok(ModernBert {
            embedding_norm: norm(config, weights, "model.embeddings.norm")?,
            layers: layers
                .map(|(i, &local)| Layer::load(config, weights, i, local))
                .collect::<crate::Result<_>>()?,
            final_norm: norm(config, weights, "model.final_norm")?,
            transform: linear(weights, "head.dense", h, h)?,
            transform_norm: norm(config, weights, "head.norm")?,
            decoder_bias: internal(|| bias.to_dtype(candle_core::DType::F32)?.to_vec1())?,
            embeddings,
            decoder,
            global: Angles::new(modern.global_theta, h / config.heads),
            local: Angles::new(modern.local_theta, h / config.heads),
            config: config.clone(),
        })
    }

    /// States that the vocabulary projection takes: (packed rows) × hidden.
    pub fn hidden(&self, batch: &Packed) -> Result<Tensor> {
        let ids = Tensor::from_slice(&batch.ids, batch.ids.len(), self.embeddings.device())?;
        let runs = batch.runs();
        let reach = self.config.modern.as_ref().map(|m| m.reach);
        let global = self.global.place(&runs, None, &self.embeddings)?;
        let local = self.local.place(&runs, reach, &self.embeddings)?;
        let mut x = self.embedding_norm.forward(&self.embeddings.index_select(&ids, 0)?)?;
        for layer in &self.layers {
            let place = if layer.local { &local } else { &global };
            x = layer.forward(&x, &runs, place, &self.config)?;
        }
        let x = self.final_norm.forward(&x)?;
        self.transform_norm.forward(&self.transform.forward(&x, Some(self.config.head_activation))?)
    }
}

impl Layer {
    fn load(
        config: &ModelConfig,
        weights: &Weights<'_>,
        index: usize,
        local: bool,
    ) -> crate::Result<Self> {
        let (h, wide) = (config.hidden, config.intermediate);
        let name = format!("model.layers.{index}");
        let scale = 1.0 / ((h / config.heads) as f64).sqrt();
        let scaled =
            |t: &Tensor| Tensor::cat(&[&(t.narrow(0, 0, h)? * scale)?, &t.narrow(0, h, 2 * h)?], 0);
        let qkv = weights.tensor(&format!("{name}.attn.Wqkv.weight"), &[3 * h, h])?;
        let qkv_bias = weights.or_zeros(&format!("{name}.attn.Wqkv.bias"), 3 * h)?;
        let up_gate = weights.tensor(&format!("{name}.mlp.Wi.weight"), &[2 * wide, h])?;
        let up_gate_bias = weights.or_zeros(&format!("{name}.mlp.Wi.bias"), 2 * wide)?;
        let half = |i: usize| {
            internal(|| {
                let part = |t: &Tensor| t.narrow(0, i * wide, wide)?.contiguous();
                Ok(Linear::new(part(&up_gate)?, part(&up_gate_bias)?))
            })
        };
        let attention_norm = format!("{name}.attn_norm");
        Ok(Layer {
            attention_norm: match index {
                0 => None,
                _ => Some(norm(config, weights, &attention_norm)?),
            },
            qkv: internal(|| Ok(Linear::new(scaled(&qkv)?, scaled(&qkv_bias)?)))?,
            output: linear(weights, &format!("{name}.attn.Wo"), h, h)?,
            feed_norm: norm(config, weights, &format!("{name}.mlp_norm"))?,
            up: half(0)?,
            gate: half(1)?,
            down: linear(weights, &format!("{name}.mlp.Wo"), wide, h)?,
            local,
        })
    }

    fn forward(
        &self,
        x: &Tensor,
        runs: &[(usize, usize)],
        place: &MaskedBatch,
        config: &ModelConfig,
    ) -> Result<Tensor> {
        let normed = match &self.attention_norm {
            Some(norm) => &norm.forward(x)?,
            None => x,
        };
        let context = attention(&self.qkv.forward(normed, None)?, runs, config.heads, place)?;
        let x = (x + self.output.forward(&context, None)?)?;
        let normed = self.feed_norm.forward(&x)?;
        let up = self.up.forward(&normed, Some(config.activation))?;
        let gated = (up * self.gate.forward(&normed, None)?)?;
        x + self.down.forward(&gated, None)?
    }
}

impl Angles {
    /// 1 / theta^(2i / width) in 32-bit steps: transformers takes the same.
    fn new(theta: f64, width: usize) -> Self {
        let power = |i: usize| (theta as f32).powf((2 * i) as f32 / width as f32);
        Angles { inverse: (0..width / 2).map(|i| 1.0 / power(i)).collect() }
    }

    fn place(
        &self,
        runs: &[(usize, usize)],
        reach: Option<usize>,
        like: &Tensor,
    ) -> Result<MaskedBatch> {
        let (mut rotations, mut masks) = (Vec::new(), Vec::new());
        for &(length, _) in runs {
            rotations.push(self.rotation(length, like)?);
            masks.push(match reach {
                Some(reach) if length > reach + 1 => Some(mask(length, reach, like)?),
                _ => None,
            });
        }
        Ok(MaskedBatch { rotations, masks })
    }

    /// length × (half a head's width)
    pub fn angles(&self, length: usize) -> Vec<f32> {
        let angle = |p: usize| self.inverse.iter().map(move |f| p as f32 * f);
        (0..length).flat_map(angle).collect()
    }

    fn rotation(&self, length: usize, like: &Tensor) -> Result<(Tensor, Tensor)> {
        let angles = self.angles(length);
        let table = |f: fn(f32) -> f32| {
            let values: Vec<f32> = angles.iter().map(|&a| f(a)).collect();
            Tensor::from_vec(values, (length, self.inverse.len()), like.device())?
                .to_dtype(like.dtype())
        };
        Ok((table(f32::cos)?, table(f32::sin)?))
    }
}

/// length × length: 0 where positions are at most `reach` apart, else −∞.
fn mask(length: usize, reach: usize, like: &Tensor) -> Result<Tensor> {
    let row = |i: usize| {
        (0..length).map(move |j| if i.abs_diff(j) > reach { f32::NEG_INFINITY } else { 0.0 })
    };
    let values: Vec<f32> = (0..length).flat_map(row).collect();
    Tensor::from_vec(values, (length, length), like.device())?.to_dtype(like.dtype())
}

/// Softmax attention of each sequence to itself. `qkv` is rows × (3 · hidden), queries
/// already scaled; the result is rows × hidden.
fn attention(
    qkv: &Tensor,
    runs: &[(usize, usize)],
    heads: usize,
    place: &MaskedBatch,
) -> Result<Tensor> {
    let hidden = qkv.dim(1)? / 3;
    let mut contexts = Vec::with_capacity(runs.len());
    let mut start = 0;
    let places = place.rotations.iter().zip(&place.masks);
    for (&(length, count), ((cos, sin), mask)) in runs.iter().zip(places) {
        let rows = length * count;
        let parts = qkv
            .narrow(0, start, rows)?
            .reshape((count, length, 3, heads, hidden / heads))?
            .permute((2, 0, 3, 1, 4))?
            .contiguous()?;
        let (q, k, v) = (parts.get(0)?, parts.get(1)?, parts.get(2)?);
        let (q, k) = (rope(&q, cos, sin)?, rope(&k, cos, sin)?);
        let mut scores = q.matmul(&k.transpose(D::Minus2, D::Minus1)?)?;
        if let Some(mask) = mask {
            scores = scores.broadcast_add(mask)?;
        }
        let context = softmax_last_dim(&scores)?.matmul(&v)?.transpose(1, 2)?;
        contexts.push(context.reshape((rows, hidden))?);
        start += rows;
    }
    Tensor::cat(&contexts, 0)
}

fn linear(
    weights: &Weights<'_>,
    name: &str,
    inputs: usize,
    outputs: usize,
) -> crate::Result<Linear> {
    Ok(Linear::new(
        weights.tensor(&format!("{name}.weight"), &[outputs, inputs])?,
        weights.or_zeros(&format!("{name}.bias"), outputs)?,
    ))
}

fn norm(config: &ModelConfig, weights: &Weights<'_>, name: &str) -> crate::Result<LayerNorm> {
    let gamma = weights.tensor(&format!("{name}.weight"), &[config.hidden])?;
    let beta = weights.or_zeros(&format!("{name}.bias"), config.hidden)?;
    Ok(LayerNorm::new(gamma, beta, config.layer_norm_eps))
}
