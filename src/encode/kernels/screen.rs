//! A cheap upper bound of every logit, from 8-bit integers, with a proof.
//!
//! Most logits are far below zero and become no weight, so it is enough to know that. Let x
//! be a token's state and w a vocabulary entry's row, K numbers each, and b its bias.
//! Quantise x = s·q + e and w = z·p + d with integers q, p of at most 8 bits and any scales
//! s, z; e and d are what is left. With I = Σ q·p, exact in 32 bits (K · 255 · 127 < 2^31
//! for K < 66,000),
//!
//! ```text
//! x·w = s·z·I + (s·q)·d + e·w ≤ s·z·I + A·‖d‖ + R·‖w‖,   A = ‖s·q‖, R = ‖e‖
//! ```
//!
//! by Cauchy and Schwarz. The float sum c of the exact path, in any order and with or
//! without fused rounding, differs from x·w by at most γ·‖x‖·‖w‖ with
//! γ = 2K·2⁻²⁴ / (1 − 2K·2⁻²⁴) (Higham, Accuracy and Stability, 3.1), and ‖x‖ ≤ A + R. So
//!
//! ```text
//! c + b ≤ s·z·I + A·D + R·W + b,   D = ‖d‖ + γ·‖w‖,   W = (1 + γ)·‖w‖
//! ```
//!
//! The right side is computed in floats as fma(s·z, I, fma(A, D, fma(R, W, b))). Its three
//! roundings before the last, and those of s·z and of I to a float, err by at most
//! 2⁻²²·(|s·z·I| + A·D + R·W + |b|), and |s·z·I| ≤ A·(‖w‖ + ‖d‖); the last rounding keeps
//! the sign. D, W and b are enlarged by more than that (`SLACK` = 2⁻²⁰ of each term's
//! bound). What underflows adds less than 2⁻¹¹⁰, which the `TINY` in b covers; a bound that
//! overflows to no number counts as above zero. Thus:
//! where the computed bound is not above zero, c + b is not either, and the exact path would
//! give the entry no weight. Norms are taken in 64-bit floats, whose own rounding is far
//! inside the slack.

use super::Level;
use super::aligned::Aligned;

const SLACK: f64 = 1.0 / (1 << 20) as f64;
const TINY: f64 = 1e-30;
/// Largest magnitude of a vocabulary code; stored plus `OFFSET`, unsigned.
const CODES: f64 = 127.0;
const OFFSET: i32 = 128;

/// The vocabulary rows in 8 bits, panel by panel, with what the bound needs of each.
pub(super) struct Screen {
    /// A panel is ⌈K/4⌉ × columns × 4 bytes: four neighbouring inputs of a column are one
    /// 32-bit lane.
    pub codes: Aligned<u8>,
    /// z, D, W and b of each column; those past the last can't survive.
    pub scale: Vec<f32>,
    pub rest: Vec<f32>,
    pub norm: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Screen {
    /// Quantises `decoder`, vocabulary × `inputs`.
    pub fn new(level: Level, decoder: &[f32], bias: &[f32], inputs: usize) -> Self {
        let columns = level.columns();
        let padded = bias.len().next_multiple_of(columns);
        let panel = inputs.div_ceil(4) * 4 * columns;
        let mut screen = Screen {
            codes: Aligned::new(padded / columns * panel, OFFSET as u8),
            scale: vec![0.0; padded],
            rest: vec![0.0; padded],
            norm: vec![0.0; padded],
            bias: vec![-1.0; padded],
        };
        let unit = 2.0 * inputs as f64 * f64::from(f32::EPSILON) / 2.0;
        let gamma = unit / (1.0 - unit);
        for (v, (row, &b)) in decoder.chunks_exact(inputs).zip(bias).enumerate() {
            let scale = largest(row) / CODES as f32;
            let (mut norm, mut left) = (0.0, 0.0);
            let codes = &mut screen.codes[v / columns * panel..][..panel];
            for (k, &w) in row.iter().enumerate() {
                let code = code(w, scale, CODES as i32);
                codes[(k / 4 * columns + v % columns) * 4 + k % 4] = (code + OFFSET) as u8;
                let d = f64::from(w) - f64::from(scale) * f64::from(code);
                norm += f64::from(w) * f64::from(w);
                left += d * d;
            }
            let (norm, left) = (norm.sqrt(), left.sqrt());
            let b = f64::from(b);
            screen.scale[v] = scale;
            screen.rest[v] = ((left + gamma * norm) * (1.0 + SLACK) + SLACK * (norm + left)) as f32;
            screen.norm[v] = (norm * (1.0 + gamma) * (1.0 + SLACK)) as f32;
            screen.bias[v] = (b + SLACK * b.abs() + TINY) as f32;
        }
        screen
    }

    /// The panel that starts at column `first`; `words` is ⌈K/4⌉.
    #[inline(always)]
    pub fn panel(&self, first: usize, columns: usize, words: usize) -> ScreenPanel<'_> {
        let bytes = words * 4;
        ScreenPanel {
            codes: &self.codes[first * bytes..][..columns * bytes],
            scale: &self.scale[first..first + columns],
            rest: &self.rest[first..first + columns],
            norm: &self.norm[first..first + columns],
            bias: &self.bias[first..first + columns],
        }
    }
}

/// One panel of a [`Screen`].
pub(super) struct ScreenPanel<'a> {
    pub codes: &'a [u8],
    pub scale: &'a [f32],
    pub rest: &'a [f32],
    pub norm: &'a [f32],
    pub bias: &'a [f32],
}

/// A tile of states in 8 bits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Quantised {
    /// s
    pub scale: f32,
    /// The largest A of the tile's rows.
    pub norm: f32,
    /// The largest R.
    pub rest: f32,
}

/// Quantises a tile's rows with one scale: `codes` gets, for every four inputs, a 32-bit
/// word of four signed bytes for each row; `starts` a row's −128·Σq, which undoes the
/// vocabulary codes' offset.
pub(super) fn quantise(
    rows: &[f32],
    inputs: usize,
    most: i32,
    codes: &mut [i32],
    starts: &mut [i32],
) -> Quantised {
    let height = starts.len();
    let scale = largest(rows) / most as f32;
    let mut tile = Quantised { scale, ..Quantised::default() };
    for (i, row) in rows.chunks_exact(inputs).enumerate() {
        let (mut sum, mut norm, mut left) = (0, 0.0, 0.0);
        for (four, to) in row.chunks(4).zip(codes.chunks_exact_mut(height)) {
            let mut bytes = [0; 4];
            for (&x, byte) in four.iter().zip(&mut bytes) {
                let q = code(x, scale, most);
                *byte = q as u8;
                sum += q;
                let taken = f64::from(scale) * f64::from(q);
                let e = f64::from(x) - taken;
                norm += taken * taken;
                left += e * e;
            }
            to[i] = i32::from_le_bytes(bytes);
        }
        starts[i] = -OFFSET * sum;
        tile.norm = tile.norm.max(up(norm.sqrt()));
        tile.rest = tile.rest.max(up(left.sqrt()));
    }
    tile
}

/// A float that is not below `x`, finite so that it takes a padding column's 0 for 0.
fn up(x: f64) -> f32 {
    ((x * (1.0 + SLACK)) as f32).min(f32::MAX)
}

fn code(x: f32, scale: f32, most: i32) -> i32 {
    // A scale of 0 (or so small that the quotient overflows) gives codes within bounds, too:
    // the cast saturates and takes NaN for 0. Any code is right: `rest` says how good it is.
    ((x / scale).round_ties_even() as i32).clamp(-most, most)
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |a, &b| if b.abs() > a { b.abs() } else { a })
}
