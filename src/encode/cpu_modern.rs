//! ModernBERT's layers on plain slices with our kernels.

use candle_core::Result;
use candle_nn::LayerNorm;

use super::config::{Activation, ModelConfig};
use super::cpu_parts::{Buffers, RowNorm, floats, pack};
use super::kernels::{Heads, Level, Rotary, Then, Weights, attention, product};
use super::modernbert::{Angles, Layer, ModernBert};

/// All layers and the norm after the last.
pub(super) struct ModernLayers {
    layers: Vec<ModernLayer>,
    final_norm: RowNorm,
    global: LayerContext,
    local: LayerContext,
    activation: Activation,
}

/// What layers of one kind, global or local, know about places.
struct LayerContext {
    rotary: Rotary,
    heads: Heads,
}

struct ModernLayer {
    attention_norm: Option<RowNorm>,
    qkv: Weights,
    output: Weights,
    feed_norm: RowNorm,
    up: Weights,
    gate: Weights,
    down: Weights,
    local: bool,
}

impl ModernLayers {
    /// Packs the layers for one instruction set. Angles of all the model's places are kept: 64
    /// KiB for each 256 and kind.
    pub fn pack(level: Level, model: &ModernBert) -> Result<Self> {
        let config = &model.config;
        let place = |angles: &Angles, reach| LayerContext {
            rotary: Rotary::new(&angles.angles(config.positions), config.hidden / config.heads / 2),
            heads: Heads { hidden: config.hidden, count: config.heads, reach },
        };
        let reach = config.modern.as_ref().map_or(usize::MAX, |modern| modern.reach);
        let layer = |layer: &Layer| ModernLayer::pack(level, layer, config);
        Ok(ModernLayers {
            layers: model.layers.iter().map(layer).collect::<Result<_>>()?,
            final_norm: Self::norm(&model.final_norm, config)?,
            global: place(&model.global, usize::MAX),
            local: place(&model.local, reach),
            activation: config.activation,
        })
    }

    pub fn norm(norm: &LayerNorm, config: &ModelConfig) -> Result<RowNorm> {
        let scale = floats(norm.weight())?;
        let shift = norm.bias().map_or_else(|| Ok(vec![0.0; scale.len()]), floats)?;
        Ok(RowNorm { scale, shift, eps: config.layer_norm_eps as f32 })
    }

    /// From embeddings to the states after the last norm, both `buffers.x`.
    pub fn run(&self, level: Level, lengths: &[usize], buffers: &mut Buffers) {
        let Buffers { x, wide, context, next, product: scratch, attend, .. } = buffers;
        let normed = |x: &[f32], norm: Option<&RowNorm>, into: &mut Vec<f32>| {
            into.clear();
            into.extend_from_slice(x);
            if let Some(norm) = norm {
                norm.run(level, into);
            }
        };
        for layer in &self.layers {
            let place = if layer.local { &self.local } else { &self.global };
            normed(x, layer.attention_norm.as_ref(), next);
            product(level, next, &layer.qkv, Then::Bias, scratch, wide);
            place.rotary.turn(wide, lengths, place.heads);
            attention(level, wide, lengths, place.heads, attend, context);
            product(level, context, &layer.output, Then::Residual(x), scratch, next);
            std::mem::swap(x, next);
            normed(x, Some(&layer.feed_norm), next);
            product(level, next, &layer.up, Then::Activate(self.activation), scratch, wide);
            product(level, next, &layer.gate, Then::Gate(wide), scratch, context);
            product(level, context, &layer.down, Then::Residual(x), scratch, next);
            std::mem::swap(x, next);
        }
        self.final_norm.run(level, x);
    }
}

impl ModernLayer {
    fn pack(level: Level, layer: &Layer, config: &ModelConfig) -> Result<Self> {
        let norm = |norm: &LayerNorm| ModernLayers::norm(norm, config);
        Ok(ModernLayer {
            attention_norm: layer.attention_norm.as_ref().map(norm).transpose()?,
            qkv: pack(level, &layer.qkv)?,
            output: pack(level, &layer.output)?,
            feed_norm: norm(&layer.feed_norm)?,
            up: pack(level, &layer.up)?,
            gate: pack(level, &layer.gate)?,
            down: pack(level, &layer.down)?,
            local: layer.local,
        })
    }
}
