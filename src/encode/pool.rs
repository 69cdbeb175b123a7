//! SPLADE pooling: the largest logit of each vocabulary entry over a text's tokens.
//!
//! weight = max over tokens of log(1 + relu(logit)) (Formal et al. 2021, "SPLADE v2").
//! log1p ∘ relu is monotone and the bias is the same for every token, so the maximum is
//! taken over raw dot products, and bias and activation follow once per vocabulary entry.

use candle_core::{CpuStorage, DType, Device, Result, Storage, Tensor};

/// Vocabulary columns projected at a time: the logits of 1,024 rows are then 8 MB and
/// are still in cache when their maxima are taken.
const TILE: usize = 2048;

/// The vocabulary projection with the maximum over each sequence's rows.
pub(super) struct Projector {
    /// hidden × (at most `TILE`) views of the decoder, transposed.
    tiles: Vec<Tensor>,
    bias: Vec<f32>,
}

impl Projector {
    /// `decoder` is vocabulary × hidden; `bias` has one entry per vocabulary entry.
    pub fn new(decoder: &Tensor, bias: Vec<f32>) -> Result<Self> {
        let vocabulary = decoder.dim(0)?;
        let tiles = (0..vocabulary)
            .step_by(TILE)
            .map(|start| decoder.narrow(0, start, TILE.min(vocabulary - start))?.t())
            .collect::<Result<_>>()?;
        Ok(Projector { tiles, bias })
    }

    /// Pools packed rows, which must be finite numbers: one sorted sparse vector per
    /// sequence, weights > 0.
    pub fn pool(&self, hidden: &Tensor, lengths: &[usize]) -> Result<Vec<Vec<(u32, f32)>>> {
        let width = self.bias.len();
        let mut maxima = vec![f32::NEG_INFINITY; lengths.len() * width];
        let mut start = 0;
        for tile in &self.tiles {
            let logits = hidden.matmul(tile)?;
            let columns = logits.dim(1)?;
            tile_maxima(&logits, lengths, |sequence, values| {
                let at = sequence * width + start;
                maximum(&mut maxima[at..at + columns], values);
            })?;
            start += columns;
        }
        Ok(maxima.chunks_exact(width).map(|row| self.activate(row)).collect())
    }

    fn activate(&self, maxima: &[f32]) -> Vec<(u32, f32)> {
        let mut weights = Vec::new();
        for (id, (&maximum, &bias)) in maxima.iter().zip(&self.bias).enumerate() {
            let logit = maximum + bias;
            if logit > 0.0 {
                weights.push((id as u32, logit.ln_1p()));
            }
        }
        weights
    }
}

/// Hands every row of `logits` with its sequence to `fold`; on a GPU, one row of maxima
/// per sequence.
fn tile_maxima(
    logits: &Tensor,
    lengths: &[usize],
    mut fold: impl FnMut(usize, &[f32]),
) -> Result<()> {
    let columns = logits.dim(1)?;
    {
        let (storage, layout) = logits.storage_and_layout();
        if let Storage::Cpu(CpuStorage::F32(values)) = &*storage {
            let mut rows = values[layout.start_offset()..].chunks_exact(columns);
            for (sequence, &length) in lengths.iter().enumerate() {
                rows.by_ref().take(length).for_each(|row| fold(sequence, row));
            }
            return Ok(());
        }
    }
    let mut start = 0;
    for (sequence, &length) in lengths.iter().enumerate() {
        let maxima = logits.narrow(0, start, length)?.max(0)?;
        fold(sequence, &maxima.to_dtype(DType::F32)?.to_device(&Device::Cpu)?.to_vec1::<f32>()?);
        start += length;
    }
    Ok(())
}

/// into = max(into, values)
fn maximum(into: &mut [f32], values: &[f32]) {
    for (m, &v) in into.iter_mut().zip(values) {
        // One instruction, unlike f32::max, which has NaN to mind.
        *m = if v > *m { v } else { *m };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, term by term: activation first, then the maximum.
    fn plain(hidden: &[Vec<f32>], decoder: &[Vec<f32>], bias: &[f32]) -> Vec<(u32, f32)> {
        let mut out = Vec::new();
        for (id, (row, b)) in decoder.iter().zip(bias).enumerate() {
            let weight = hidden
                .iter()
                .map(|h| h.iter().zip(row).map(|(x, y)| x * y).sum::<f32>() + b)
                .map(|logit| logit.max(0.0).ln_1p())
                .fold(0.0, f32::max);
            if weight > 0.0 {
                out.push((id as u32, weight));
            }
        }
        out
    }

    #[test]
    fn maximum_before_activation_equals_the_definition_across_tiles() {
        let (vocabulary, width, lengths) = (TILE + 77, 8, [3usize, 1, 4]);
        // Multiples of 1/8 up to 1 and odd multiples of 1/128: every sum is exact in any
        // order, and no logit is 0.
        let eighths = |rows: usize, step: usize| {
            let values: Vec<f32> =
                (0..rows * width).map(|i| (i * step % 17) as f32 / 8.0 - 1.0).collect();
            Tensor::from_vec(values, (rows, width), &Device::Cpu).unwrap()
        };
        let (hidden, decoder) = (eighths(8, 7), eighths(vocabulary, 11));
        let bias: Vec<f32> =
            (0..vocabulary).map(|i| (i % 7) as f32 / 8.0 - 1.0 + 1.0 / 128.0).collect();
        let projector = Projector::new(&decoder, bias.clone()).unwrap();
        let got = projector.pool(&hidden, &lengths).unwrap();
        let (hidden, decoder) =
            (hidden.to_vec2::<f32>().unwrap(), decoder.to_vec2::<f32>().unwrap());
        let mut start = 0;
        for (vector, length) in got.iter().zip(lengths) {
            let want = plain(&hidden[start..start + length], &decoder, &bias);
            start += length;
            assert!(!want.is_empty() && want.len() < vocabulary);
            assert_eq!(vector.len(), want.len());
            for (g, w) in vector.iter().zip(&want) {
                assert!(g.0 == w.0 && (g.1 - w.1).abs() < 1e-5, "{g:?} {w:?}");
            }
        }
    }
}
