//! The masked language model: embeddings, transformer layers, output transform.
//!
//! BERT (Devlin et al. 2019), DistilBERT (Sanh et al. 2019) and RoBERTa (Liu et al. 2019) are
//! one graph here, since they differ only in tensor names, token types and positions. Sequences are packed: the
//! rows of one matrix are the tokens of all sequences back to back, so no layer computes
//! padding and attention needs no mask. Sequences of equal length that lie side by side
//! attend in one batched product; sorted batches make such runs common.

use candle_core::{Result, Tensor};
use candle_nn::{Module, ops::softmax_last_dim};

use super::config::{Activation, Architecture, ModelConfig};
use super::ops::{Linear, Norm};
use super::weights::Weights;

/// norm(x · wᵀ + b + residual)
pub(super) struct LinearNorm {
    pub weight_t: Tensor,
    pub norm: Norm,
}

impl LinearNorm {
    fn forward(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.norm.forward(x.matmul(&self.weight_t)?, residual)
    }
}

/// Packed token ids of a batch of sequences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packed {
    /// Token ids of all sequences, back to back.
    pub ids: Vec<u32>,
    /// Length of each sequence; they sum to `ids.len()`.
    pub lengths: Vec<usize>,
}

impl Packed {
    /// Runs of neighbouring sequences of one length: (length, how many).
    pub fn runs(&self) -> Vec<(usize, usize)> {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for &length in &self.lengths {
            match runs.last_mut() {
                Some((l, count)) if *l == length => *count += 1,
                _ => runs.push((length, 1)),
            }
        }
        runs
    }

    /// Row of the position table for each token: from 0 in each sequence, or with a padding
    /// token, from its id + 1; such a token itself, which a text may spell out, is at its
    /// id and is not counted.
    pub fn positions(&self, pad: Option<u32>) -> Vec<u32> {
        let mut positions = Vec::with_capacity(self.ids.len());
        let mut ids = self.ids.iter();
        for &length in &self.lengths {
            let mut next = pad.map_or(0, |pad| pad + 1);
            for &id in ids.by_ref().take(length) {
                if Some(id) == pad {
                    positions.push(id);
                } else {
                    positions.push(next);
                    next += 1;
                }
            }
        }
        positions
    }
}

pub(super) struct Layer {
    /// Queries, keys and values in one product; queries carry the 1/√d of attention.
    pub qkv: Linear,
    pub attention_output: LinearNorm,
    pub up: Linear,
    pub down: LinearNorm,
}

/// A loaded checkpoint. Immutable, so threads share it.
pub(super) struct MaskedLm {
    pub word_embeddings: Tensor,
    /// Position embeddings; for BERT the embedding of token type 0 is added in.
    pub position_embeddings: Tensor,
    pub embedding_norm: Norm,
    pub layers: Vec<Layer>,
    pub transform: Linear,
    pub transform_norm: Norm,
    /// vocabulary × hidden, the projection's weight.
    pub decoder: Tensor,
    /// The projection's bias, one per vocabulary entry, on the host.
    pub decoder_bias: Vec<f32>,
    pub heads: usize,
    pub activation: Activation,
    pub head_activation: Activation,
    /// RoBERTa's padding token, see [`ModelConfig::pad`].
    pub pad: Option<u32>,
}

impl MaskedLm {
    /// Builds the graph from a checkpoint's tensors. Of the vocabulary it has the first `terms`
    /// rows: those after the tokenizer's last token are padding.
    pub fn load(config: &ModelConfig, weights: &Weights<'_>, terms: usize) -> crate::Result<Self> {
        let (h, eps) = (config.hidden, config.layer_norm_eps);
        let n = TensorNames::of(config.architecture);
        let words = format!("{}.word_embeddings.weight", n.embeddings);
        let shape = [config.vocabulary, h];
        let word_embeddings = first_rows(weights.first_of(&[&words, n.decoder], &shape)?, terms)?;
        let positions = format!("{}.position_embeddings.weight", n.embeddings);
        let rows = config.positions + config.pad.map_or(0, |pad| pad as usize + 1);
        let mut position_embeddings = weights.tensor(&positions, &[rows, h])?;
        if config.token_types > 0 {
            let types = format!("{}.token_type_embeddings.weight", n.embeddings);
            let types = weights.tensor(&types, &[config.token_types, h])?;
            position_embeddings = internal(|| position_embeddings.broadcast_add(&types.get(0)?))?;
        }
        // A tied pair is stored once, under either name; a checkpoint with both means both.
        let decoder = match weights.has(n.decoder) {
            true => first_rows(weights.tensor(n.decoder, &shape)?, terms)?,
            false => word_embeddings.clone(),
        };
        let bias = weights.first_of(n.decoder_bias, &[config.vocabulary])?;
        let decoder_bias = first_rows(bias, terms)?;
        Ok(MaskedLm {
            embedding_norm: {
                let (gamma, beta) = weights.norm(&format!("{}.LayerNorm", n.embeddings), h)?;
                internal(|| Norm::new(&gamma.zeros_like()?, &gamma, &beta, eps))?
            },
            layers: (0..config.layers)
                .map(|i| Layer::load(config, &n, weights, &format!("{}.{i}", n.layer)))
                .collect::<crate::Result<_>>()?,
            transform: weights.linear(n.transform, h, h)?,
            transform_norm: {
                let (gamma, beta) = weights.norm(n.transform_norm, h)?;
                internal(|| Norm::new(&gamma.zeros_like()?, &gamma, &beta, eps))?
            },
            decoder_bias: internal(|| decoder_bias.to_dtype(candle_core::DType::F32)?.to_vec1())?,
            word_embeddings,
            position_embeddings,
            decoder,
            heads: config.heads,
            activation: config.activation,
            head_activation: config.head_activation,
            pad: config.pad,
        })
    }

    /// States that the vocabulary projection takes: (packed rows) × hidden.
    pub fn hidden(&self, batch: &Packed) -> Result<Tensor> {
        let device = self.word_embeddings.device();
        let rows = batch.ids.len();
        let ids = Tensor::from_slice(&batch.ids, rows, device)?;
        let positions = Tensor::from_vec(batch.positions(self.pad), rows, device)?;
        let words = self.word_embeddings.index_select(&ids, 0)?;
        let places = self.position_embeddings.index_select(&positions, 0)?;
        let mut x = self.embedding_norm.forward(words, &places)?;
        let runs = batch.runs();
        for layer in &self.layers {
            x = layer.forward(&x, &runs, self.heads, self.activation)?;
        }
        let x = self.transform.forward(&x, Some(self.head_activation))?;
        self.transform_norm.plain().forward(&x)
    }
}

impl Layer {
    fn load(
        config: &ModelConfig,
        n: &TensorNames,
        weights: &Weights<'_>,
        name: &str,
    ) -> crate::Result<Self> {
        let (h, eps) = (config.hidden, config.layer_norm_eps);
        let scale = 1.0 / ((h / config.heads) as f64).sqrt();
        let mut parts = (Vec::new(), Vec::new());
        for (i, part) in [n.query, n.key, n.value].into_iter().enumerate() {
            let weight = weights.tensor(&format!("{name}.{part}.weight"), &[h, h])?;
            let bias = weights.tensor(&format!("{name}.{part}.bias"), &[h])?;
            let scaled = |t: Tensor| internal(|| if i == 0 { &t * scale } else { Ok(t.clone()) });
            parts.0.push(scaled(weight)?);
            parts.1.push(scaled(bias)?);
        }
        let linear_norm = |part: &str, norm: &str, inputs| {
            let Linear { weight_t, bias } = weights.linear(&format!("{name}.{part}"), inputs, h)?;
            let (gamma, beta) = weights.norm(&format!("{name}.{norm}"), h)?;
            let norm = internal(|| Norm::new(&bias, &gamma, &beta, eps))?;
            Ok::<_, crate::Error>(LinearNorm { weight_t, norm })
        };
        Ok(Layer {
            qkv: Linear::new(
                internal(|| Tensor::cat(&parts.0, 0))?,
                internal(|| Tensor::cat(&parts.1, 0))?,
            ),
            attention_output: linear_norm(n.attention_output, n.attention_norm, h)?,
            up: weights.linear(&format!("{name}.{}", n.up), h, config.intermediate)?,
            down: linear_norm(n.down, n.output_norm, config.intermediate)?,
        })
    }

    fn forward(
        &self,
        x: &Tensor,
        runs: &[(usize, usize)],
        heads: usize,
        activation: Activation,
    ) -> Result<Tensor> {
        let context = attention(&self.qkv.forward(x, None)?, runs, heads)?;
        let x = self.attention_output.forward(&context, x)?;
        self.down.forward(&self.up.forward(&x, Some(activation))?, &x)
    }
}

/// Softmax attention of each sequence to itself. `qkv` is rows × (3 · hidden), queries
/// already scaled; the result is rows × hidden.
fn attention(qkv: &Tensor, runs: &[(usize, usize)], heads: usize) -> Result<Tensor> {
    let hidden = qkv.dim(1)? / 3;
    let mut contexts = Vec::with_capacity(runs.len());
    let mut start = 0;
    for &(length, count) in runs {
        let rows = length * count;
        let parts = qkv
            .narrow(0, start, rows)?
            .reshape((count, length, 3, heads, hidden / heads))?
            .permute((2, 0, 3, 1, 4))?
            .contiguous()?
            .reshape((3, count * heads, length, hidden / heads))?;
        let (q, k, v) = (parts.get(0)?, parts.get(1)?, parts.get(2)?);
        let weights = softmax_last_dim(&q.matmul(&k.t()?)?)?;
        let context = weights
            .matmul(&v)?
            .reshape((count, heads, length, hidden / heads))?
            .transpose(1, 2)?
            .reshape((rows, hidden))?;
        contexts.push(context);
        start += rows;
    }
    Tensor::cat(&contexts, 0)
}

/// What each family calls its tensors.
struct TensorNames {
    embeddings: &'static str,
    layer: &'static str,
    query: &'static str,
    key: &'static str,
    value: &'static str,
    attention_output: &'static str,
    attention_norm: &'static str,
    up: &'static str,
    down: &'static str,
    output_norm: &'static str,
    transform: &'static str,
    transform_norm: &'static str,
    decoder: &'static str,
    decoder_bias: &'static [&'static str],
}

impl TensorNames {
    fn of(architecture: Architecture) -> Self {
        match architecture {
            Architecture::Bert => TensorNames {
                embeddings: "bert.embeddings",
                layer: "bert.encoder.layer",
                query: "attention.self.query",
                key: "attention.self.key",
                value: "attention.self.value",
                attention_output: "attention.output.dense",
                attention_norm: "attention.output.LayerNorm",
                up: "intermediate.dense",
                down: "output.dense",
                output_norm: "output.LayerNorm",
                transform: "cls.predictions.transform.dense",
                transform_norm: "cls.predictions.transform.LayerNorm",
                decoder: "cls.predictions.decoder.weight",
                // The model adds the decoder's own bias; old checkpoints have only the other,
                // and where the two are tied they are equal.
                decoder_bias: &["cls.predictions.decoder.bias", "cls.predictions.bias"],
            },
            Architecture::DistilBert => TensorNames {
                embeddings: "distilbert.embeddings",
                layer: "distilbert.transformer.layer",
                query: "attention.q_lin",
                key: "attention.k_lin",
                value: "attention.v_lin",
                attention_output: "attention.out_lin",
                attention_norm: "sa_layer_norm",
                up: "ffn.lin1",
                down: "ffn.lin2",
                output_norm: "output_layer_norm",
                transform: "vocab_transform",
                transform_norm: "vocab_layer_norm",
                decoder: "vocab_projector.weight",
                decoder_bias: &["vocab_projector.bias"],
            },
            Architecture::Roberta => TensorNames {
                embeddings: "roberta.embeddings",
                layer: "roberta.encoder.layer",
                transform: "lm_head.dense",
                transform_norm: "lm_head.layer_norm",
                decoder: "lm_head.decoder.weight",
                decoder_bias: &["lm_head.decoder.bias", "lm_head.bias"],
                ..TensorNames::of(Architecture::Bert)
            },
            Architecture::ModernBert => unreachable!("a graph of its own"),
        }
    }
}

/// The tensor without its rows from `rows` on.
pub(super) fn first_rows(tensor: Tensor, rows: usize) -> crate::Result<Tensor> {
    internal(|| tensor.narrow(0, 0, rows))
}

/// Runs tensor arithmetic on checked shapes: a failure is ours, not the caller's.
pub(super) fn internal<T>(f: impl FnOnce() -> Result<T>) -> crate::Result<T> {
    f().map_err(|e| crate::Error::Internal(format!("encoder arithmetic: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn positions_begin_anew_in_each_sequence() {
        let packed = Packed { ids: vec![0, 5, 1, 6, 2, 0, 2], lengths: vec![5, 2] };
        assert_eq!(packed.positions(None), [0, 1, 2, 3, 4, 0, 1]);
        assert_eq!(packed.positions(Some(1)), [2, 3, 1, 4, 5, 2, 3]);
    }

    #[test]
    fn attention_in_runs_equals_attention_one_by_one() {
        let lengths = [3usize, 3, 1, 5];
        let rows = lengths.iter().sum::<usize>();
        let at = |i: usize| (i * 7 % 31) as f32 / 15.0 - 1.0;
        let values: Vec<f32> = (0..rows * 24).map(at).collect();
        let qkv = Tensor::from_vec(values, (rows, 24), &Device::Cpu).unwrap();
        let packed = Packed { ids: vec![0; rows], lengths: lengths.to_vec() };
        assert_eq!(packed.runs(), [(3, 2), (1, 1), (5, 1)]);
        let together = attention(&qkv, &packed.runs(), 2).unwrap().to_vec2::<f32>().unwrap();
        let mut alone = Vec::new();
        let mut start = 0;
        for length in lengths {
            let part = qkv.narrow(0, start, length).unwrap();
            alone.extend(attention(&part, &[(length, 1)], 2).unwrap().to_vec2::<f32>().unwrap());
            start += length;
        }
        for (a, b) in together.iter().flatten().zip(alone.iter().flatten()) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
}
