//! The graph of [`super::graph`] on plain slices with our kernels: what CPUs run.
//!
//! Rows are packed as there. A text's vector does not depend on the batch it is in.

use std::cell::RefCell;
use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::config::Activation;
use super::cpu_modern::ModernLayers;
use super::cpu_parts::{Buffers, RowNorm, floats, pack, pack_parts, row_norm};
use super::graph::{Layer, LinearNorm, MaskedLm, Packed};
use super::kernels::{Heads, Level, Projection, Then, Weights, attention, product};
use super::modernbert::ModernBert;
use super::ops::sum;

/// A checkpoint, packed for one instruction set. Threads share it.
pub(super) struct CpuModel {
    level: Level,
    /// vocabulary × hidden
    words: Arc<[f32]>,
    embedding_norm: RowNorm,
    layers: Layers,
    transform: Weights,
    transform_norm: RowNorm,
    projection: Projection,
    hidden: usize,
    head_activation: Activation,
}

/// What is between embeddings and output transform.
enum Layers {
    /// BERT, DistilBERT, RoBERTa.
    Bert(BertLayers),
    ModernBert(ModernLayers),
}

struct BertLayers {
    /// positions × hidden
    positions: Vec<f32>,
    layers: Vec<CpuLayer>,
    heads: Heads,
    activation: Activation,
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

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

impl CpuModel {
    /// Packs a loaded checkpoint. Without `screened`, or where it would not pay, every logit is
    /// computed; the vectors are the same.
    pub fn new(model: &MaskedLm, screened: bool) -> Result<Self> {
        let level = Level::detect();
        let hidden = model.word_embeddings.dim(1)?;
        let layer = |layer: &Layer| CpuLayer::pack(level, layer);
        let layers = BertLayers {
            positions: floats(&model.position_embeddings)?,
            layers: model.layers.iter().map(layer).collect::<Result<_>>()?,
            heads: Heads { hidden, count: model.heads, reach: usize::MAX },
            activation: model.activation,
            pad: model.pad,
        };
        let (words, projection) = vocabulary(
            level,
            (&model.word_embeddings, &model.decoder, &model.decoder_bias),
            screened,
        )?;
        Ok(CpuModel {
            level,
            words,
            embedding_norm: row_norm(&model.embedding_norm)?,
            layers: Layers::Bert(layers),
            transform: pack(level, &model.transform)?,
            transform_norm: row_norm(&model.transform_norm)?,
            projection,
            hidden,
            head_activation: model.head_activation,
        })
    }

    /// The same of ModernBERT.
    pub fn modern(model: &ModernBert, screened: bool) -> Result<Self> {
        let level = Level::detect();
        let norm = |norm| ModernLayers::norm(norm, &model.config);
        let (words, projection) =
            vocabulary(level, (&model.embeddings, &model.decoder, &model.decoder_bias), screened)?;
        Ok(CpuModel {
            level,
            words,
            embedding_norm: norm(&model.embedding_norm)?,
            layers: Layers::ModernBert(ModernLayers::pack(level, model)?),
            transform: pack(level, &model.transform)?,
            transform_norm: norm(&model.transform_norm)?,
            projection,
            hidden: model.config.hidden,
            head_activation: model.config.head_activation,
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
        let (level, hidden) = (self.level, self.hidden);
        let word = |&id: &u32| &self.words[id as usize * hidden..][..hidden];
        buffers.x.clear();
        match &self.layers {
            Layers::Bert(layers) => {
                for (id, place) in batch.ids.iter().zip(batch.positions(layers.pad)) {
                    let place = &layers.positions[place as usize * hidden..][..hidden];
                    buffers.x.extend(word(id).iter().zip(place).map(|(w, p)| w + p));
                }
                self.embedding_norm.run(level, &mut buffers.x);
                layers.run(level, &batch.lengths, buffers);
            }
            Layers::ModernBert(layers) => {
                batch.ids.iter().for_each(|id| buffers.x.extend_from_slice(word(id)));
                self.embedding_norm.run(level, &mut buffers.x);
                layers.run(level, &batch.lengths, buffers);
            }
        }
        let Buffers { x, next, product: scratch, .. } = buffers;
        let then = Then::Activate(self.head_activation);
        product(level, x, &self.transform, then, scratch, next);
        self.transform_norm.run(level, next);
        std::mem::swap(x, next);
    }
}

impl BertLayers {
    /// From embeddings to the last layer's states, both `buffers.x`.
    fn run(&self, level: Level, lengths: &[usize], buffers: &mut Buffers) {
        let Buffers { x, wide, context, next, product: scratch, attend, .. } = buffers;
        for layer in &self.layers {
            product(level, x, &layer.qkv, Then::Bias, scratch, wide);
            attention(level, wide, lengths, self.heads, attend, context);
            product(level, context, &layer.attention_output, Then::Residual(x), scratch, next);
            layer.attention_norm.run(level, next);
            let then = Then::Activate(self.activation);
            product(level, next, &layer.up, then, scratch, wide);
            product(level, wide, &layer.down, Then::Residual(next), scratch, x);
            layer.output_norm.run(level, x);
        }
    }
}

impl CpuLayer {
    fn pack(level: Level, layer: &Layer) -> Result<Self> {
        let linear_norm = |part: &LinearNorm| -> Result<(Weights, RowNorm)> {
            let weights = pack_parts(level, &part.weight_t, &part.norm.params.get(0)?)?;
            Ok((weights, row_norm(&part.norm)?))
        };
        let (attention_output, attention_norm) = linear_norm(&layer.attention_output)?;
        let (down, output_norm) = linear_norm(&layer.down)?;
        let (qkv, up) = (pack(level, &layer.qkv)?, pack(level, &layer.up)?);
        Ok(CpuLayer { qkv, attention_output, attention_norm, up, down, output_norm })
    }
}

/// Embeddings, and the projection by (embeddings, decoder, bias): a tied pair is kept once.
fn vocabulary(
    level: Level,
    (embeddings, decoder, bias): (&Tensor, &Tensor, &[f32]),
    screened: bool,
) -> Result<(Arc<[f32]>, Projection)> {
    let words: Arc<[f32]> = floats(embeddings)?.into();
    let decoder = match decoder.id() == embeddings.id() {
        true => words.clone(),
        false => floats(decoder)?.into(),
    };
    let screened = screened && level.screens();
    Ok((words, Projection::new(level, decoder, bias.to_vec(), screened)))
}
