//! x · wᵀ for packed rows x and weights packed once, with what follows in the epilogue.
//!
//! Weights lie in panels of `COLUMNS` outputs, input by input: a tile of up to `ROWS` rows
//! and one panel keeps all its sums in registers and reads both operands in order. Every
//! sum runs over the inputs in order, one multiply-add each, in runs of [`RUN`] that are then
//! added up, whatever the tile: a row's result does not depend on the rows beside it.

use super::aligned::Aligned;
use super::elementwise::activate;
use super::lanes::Lanes;
use super::{Level, Work, tiles, with_rows};
use crate::encode::config::Activation;

/// Inputs that are summed on their own before they join the sum. One chain of K multiply-adds is
/// off by some √(K/2) roundings, runs of R by √(R/2 + K/2R): 8 in place of 20 at 768 inputs. With one
/// chain ModernBERT's 22 layers were 1.4 times as far from float64 as PyTorch's float32 is.
pub(super) const RUN: usize = 128;

/// Bytes of packed rows that meet all panels before the next rows: half of a common L2.
const BLOCK_BYTES: usize = 1 << 20;

/// A weight matrix, packed for one level.
pub(in crate::encode) struct Weights {
    /// Panel by panel: inputs × `COLUMNS`, outputs past the last are 0.
    panels: Aligned<f32>,
    /// Padded with 0 to whole panels.
    bias: Vec<f32>,
    inputs: usize,
    outputs: usize,
}

impl Weights {
    /// Packs `weight`, outputs × inputs, for `level`.
    pub fn pack(level: Level, weight: &[f32], bias: &[f32], inputs: usize) -> Self {
        let (outputs, columns) = (bias.len(), level.columns());
        let mut panels = Aligned::new(outputs.next_multiple_of(columns) * inputs, 0.0);
        let panel = columns * inputs;
        for (rows, panel) in weight.chunks(panel).zip(panels.chunks_exact_mut(panel)) {
            pack_panel(rows, inputs, panel);
        }
        let mut bias = bias.to_vec();
        bias.resize(outputs.next_multiple_of(columns), 0.0);
        Weights { panels, bias, inputs, outputs }
    }
}

/// Up to a panel's worth of weight rows, each of `inputs`, transposed into `panel`.
pub(super) fn pack_panel(rows: &[f32], inputs: usize, panel: &mut [f32]) {
    let columns = panel.len() / inputs;
    for (column, row) in rows.chunks_exact(inputs).enumerate() {
        for (x, to) in row.iter().zip(panel.chunks_exact_mut(columns)) {
            to[column] = *x;
        }
    }
}

/// What becomes of a sum.
#[derive(Clone, Copy)]
pub(in crate::encode) enum Then<'a> {
    /// sum + bias
    Bias,
    /// activation(sum + bias)
    Activate(Activation),
    /// sum + bias + the residual's value, rows × outputs.
    Residual(&'a [f32]),
    /// (sum + bias) · the gated value, rows × outputs.
    Gate(&'a [f32]),
}

/// Buffers that a worker keeps from one product to the next.
#[derive(Default)]
pub(in crate::encode) struct Scratch {
    pub(super) rows: Vec<f32>,
}

/// x · wᵀ, then `then`: `x` is rows × inputs, `out` becomes rows × outputs.
pub(in crate::encode) fn product(
    level: Level,
    x: &[f32],
    weights: &Weights,
    then: Then<'_>,
    scratch: &mut Scratch,
    out: &mut Vec<f32>,
) {
    let rows = x.len() / weights.inputs;
    // No clearing: all of it is overwritten.
    out.resize(rows * weights.outputs, 0.0);
    level.run(Product { x, rows, weights, then, packed: &mut scratch.rows, out });
}

struct Product<'a> {
    x: &'a [f32],
    rows: usize,
    weights: &'a Weights,
    then: Then<'a>,
    packed: &'a mut Vec<f32>,
    out: &'a mut [f32],
}

impl Work for Product<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) {
        let w = self.weights;
        let block = (BLOCK_BYTES / (4 * w.inputs) / S::ROWS).max(1) * S::ROWS;
        for start in (0..self.rows).step_by(block) {
            let count = block.min(self.rows - start);
            let x = &self.x[start * w.inputs..];
            self.packed.resize(count * w.inputs, 0.0);
            pack_rows(x, w.inputs, w.inputs, count, S::ROWS, self.packed);
            let start = start * w.outputs;
            let mut target = Target { out: self.out, start, stride: w.outputs, width: w.outputs };
            let panels = Panels { values: &w.panels, inputs: w.inputs, bias: &w.bias };
            multiply(s, self.packed, count, panels, self.then, &mut target);
        }
    }
}

/// Packs `count` rows of `x`, `stride` apart, tile by tile: input by input, a tile's rows
/// side by side.
#[inline(always)]
pub(super) fn pack_rows(
    x: &[f32],
    stride: usize,
    inputs: usize,
    count: usize,
    most: usize,
    packed: &mut [f32],
) {
    let (mut row, mut rest) = (0, packed);
    for height in tiles(count, most) {
        let (tile, after) = rest.split_at_mut(height * inputs);
        for i in 0..height {
            let from = &x[(row + i) * stride..][..inputs];
            for (x, to) in from.iter().zip(tile.chunks_exact_mut(height)) {
                to[i] = *x;
            }
        }
        row += height;
        rest = after;
    }
}

/// Where results go.
pub(super) struct Target<'a> {
    pub out: &'a mut [f32],
    /// Place of the first row's first result.
    pub start: usize,
    /// Distance of rows.
    pub stride: usize,
    /// Results of a row; what a panel has beyond is left out.
    pub width: usize,
}

/// Packed weights.
#[derive(Clone, Copy)]
pub(super) struct Panels<'a> {
    /// Panel by panel, each inputs × `COLUMNS`.
    pub values: &'a [f32],
    pub inputs: usize,
    /// Covers the panels, or is empty.
    pub bias: &'a [f32],
}

/// `count` packed rows with all panels.
#[inline(always)]
pub(super) fn multiply<S: Lanes>(
    s: S,
    packed: &[f32],
    count: usize,
    panels: Panels<'_>,
    then: Then<'_>,
    target: &mut Target<'_>,
) {
    let inputs = panels.inputs;
    for (i, panel) in panels.values.chunks_exact(S::COLUMNS * inputs).enumerate() {
        let column = i * S::COLUMNS;
        let bias = panels.bias.get(column..column + S::COLUMNS);
        let (mut rest, mut row) = (packed, 0);
        for height in tiles(count, S::ROWS) {
            let (rows, after) = rest.split_at(height * inputs);
            let at = (target.start + row * target.stride + column, column);
            with_rows!(s: S, height, finish, (s, rows, panel, bias, then, at, target));
            (rest, row) = (after, row + height);
        }
    }
}

/// The sums of `M` packed rows with one panel: runs of [`RUN`] inputs, then those.
#[inline(always)]
pub(super) fn sums<S: Lanes, const M: usize>(s: S, rows: &[f32], panel: &[f32]) -> [[S::V; 2]; M] {
    let mut totals = [[s.splat(0.0); 2]; M];
    for (rows, panel) in rows.chunks(RUN * M).zip(panel.chunks(RUN * S::COLUMNS)) {
        for (total, sum) in totals.iter_mut().zip(run::<S, M>(s, rows, panel)) {
            *total = [s.add(total[0], sum[0]), s.add(total[1], sum[1])];
        }
    }
    totals
}

/// The sums of a run of inputs, all in registers.
#[inline(always)]
fn run<S: Lanes, const M: usize>(s: S, rows: &[f32], panel: &[f32]) -> [[S::V; 2]; M] {
    let mut sums = [[s.splat(0.0); 2]; M];
    for (x, w) in rows.chunks_exact(M).zip(panel.chunks_exact(S::COLUMNS)) {
        let (low, high) = (s.load(w), s.load(&w[S::N..]));
        for (sums, &x) in sums.iter_mut().zip(x) {
            let x = s.splat(x);
            sums[0] = s.fma(x, low, sums[0]);
            sums[1] = s.fma(x, high, sums[1]);
        }
    }
    sums
}

/// The dot product of one row and one column, added up in the order of [`sums`].
#[inline(always)]
pub(super) fn sum<S: Lanes>(s: S, x: &[f32], w: &[f32]) -> f32 {
    let run = |(x, w): (&[f32], &[f32])| -> f32 {
        x.iter().zip(w).fold(0.0, |sum, (&x, &w)| s.fma1(x, w, sum))
    };
    x.chunks(RUN).zip(w.chunks(RUN)).map(run).fold(0.0, |total, sum| total + sum)
}

/// The sums of a tile and what becomes of them; `at` is the place of the first result and
/// its column.
#[inline(always)]
fn finish<S: Lanes, const M: usize>(
    s: S,
    rows: &[f32],
    panel: &[f32],
    bias: Option<&[f32]>,
    then: Then<'_>,
    at: (usize, usize),
    target: &mut Target<'_>,
) {
    let mut sums = sums::<S, M>(s, rows, panel);
    if let Some(bias) = bias {
        let bias = [s.load(bias), s.load(&bias[S::N..])];
        for [low, high] in &mut sums {
            (*low, *high) = (s.add(*low, bias[0]), s.add(*high, bias[1]));
        }
    }
    if let Then::Activate(activation) = then {
        for [low, high] in &mut sums {
            (*low, *high) = (activate(s, activation, *low), activate(s, activation, *high));
        }
    }
    let width = S::COLUMNS.min(target.width - at.1);
    for (i, &[low, high]) in sums.iter().enumerate() {
        let start = at.0 + i * target.stride;
        let mut values = [0.0; MOST_COLUMNS];
        let out = &mut target.out[start..start + width];
        let to = if width == S::COLUMNS { &mut *out } else { &mut values[..] };
        let (mut low, mut high) = (low, high);
        if let Then::Residual(other) | Then::Gate(other) = then {
            let other = &other[start..start + width];
            let mut padded = [0.0; MOST_COLUMNS];
            let from = if width == S::COLUMNS {
                other
            } else {
                padded[..width].copy_from_slice(other);
                &padded[..]
            };
            let others = (s.load(from), s.load(&from[S::N..]));
            (low, high) = match then {
                Then::Gate(_) => (s.mul(low, others.0), s.mul(high, others.1)),
                _ => (s.add(low, others.0), s.add(high, others.1)),
            };
        }
        s.store(low, to);
        s.store(high, &mut to[S::N..]);
        if width < S::COLUMNS {
            out.copy_from_slice(&values[..width]);
        }
    }
}

/// The widest panel.
const MOST_COLUMNS: usize = 32;
