//! Softmax attention of packed sequences.

use super::elementwise::{exp, partial};
use super::lanes::Lanes;
use super::product::{Panels, Target, Then, multiply, pack_rows};
use super::{Level, Work};

/// Buffers of one head's attention.
#[derive(Default)]
pub(in crate::encode) struct AttendScratch {
    rows: Vec<f32>,
    panels: Vec<f32>,
    scores: Vec<f32>,
}

/// Who attends to whom, and how wide.
#[derive(Debug, Clone, Copy)]
pub(in crate::encode) struct Heads {
    /// Width of a state.
    pub hidden: usize,
    /// How many heads share it.
    pub count: usize,
    /// Farthest token that is seen, to either side; `usize::MAX` for all of a sequence.
    pub reach: usize,
}

/// Attention of each sequence to itself. `qkv` is rows × (3 · hidden), queries already
/// scaled by 1/√d; `out` becomes rows × hidden.
pub(in crate::encode) fn attention(
    level: Level,
    qkv: &[f32],
    lengths: &[usize],
    heads: Heads,
    scratch: &mut AttendScratch,
    out: &mut Vec<f32>,
) {
    out.resize(qkv.len() / 3, 0.0);
    level.run(Attention { qkv, lengths, heads, scratch, out });
}

struct Attention<'a> {
    qkv: &'a [f32],
    lengths: &'a [usize],
    heads: Heads,
    scratch: &'a mut AttendScratch,
    out: &'a mut [f32],
}

impl Work for Attention<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) {
        let Heads { hidden, count, reach } = self.heads;
        let (width, stride) = (hidden / count, 3 * hidden);
        let AttendScratch { rows, panels, scores } = self.scratch;
        let mut start = 0;
        for &length in self.lengths {
            let qkv = &self.qkv[start * stride..][..length * stride];
            scores.resize(length * length, 0.0);
            for head in (0..hidden).step_by(width) {
                // scores = q · kᵀ
                pack_keys(&qkv[hidden + head..], stride, length, width, S::COLUMNS, panels);
                rows.resize(length * width, 0.0);
                pack_rows(&qkv[head..], stride, width, length, S::ROWS, rows);
                let mut target = Target { out: scores, start: 0, stride: length, width: length };
                let keys = Panels { values: panels, inputs: width, bias: &[] };
                multiply(s, rows, length, keys, Then::Bias, &mut target);
                for (i, row) in scores.chunks_exact_mut(length).enumerate() {
                    let seen = i.saturating_sub(reach)
                        ..i.saturating_add(reach).saturating_add(1).min(length);
                    row[..seen.start].fill(0.0);
                    row[seen.end..].fill(0.0);
                    softmax(s, &mut row[seen]);
                }
                // out = scores · v
                pack_values(&qkv[2 * hidden + head..], stride, length, width, S::COLUMNS, panels);
                rows.resize(length * length, 0.0);
                pack_rows(scores, length, length, length, S::ROWS, rows);
                let at = start * hidden + head;
                let mut target = Target { out: self.out, start: at, stride: hidden, width };
                let values = Panels { values: panels, inputs: length, bias: &[] };
                multiply(s, rows, length, values, Then::Bias, &mut target);
            }
            start += length;
        }
    }
}

/// Panels of which a column is a key: `width` floats from each of `length` rows.
#[inline(always)]
fn pack_keys(
    keys: &[f32],
    stride: usize,
    length: usize,
    width: usize,
    columns: usize,
    panels: &mut Vec<f32>,
) {
    panels.clear();
    panels.resize(length.next_multiple_of(columns) * width, 0.0);
    for (first, panel) in (0..length).step_by(columns).zip(panels.chunks_exact_mut(columns * width))
    {
        for i in 0..columns.min(length - first) {
            let key = &keys[(first + i) * stride..][..width];
            for (x, to) in key.iter().zip(panel.chunks_exact_mut(columns)) {
                to[i] = *x;
            }
        }
    }
}

/// Panels of which a row is a part of a value: they lie as they should, only apart.
#[inline(always)]
fn pack_values(
    values: &[f32],
    stride: usize,
    length: usize,
    width: usize,
    columns: usize,
    panels: &mut Vec<f32>,
) {
    panels.clear();
    panels.resize(width.next_multiple_of(columns) * length, 0.0);
    for (first, panel) in (0..width).step_by(columns).zip(panels.chunks_exact_mut(columns * length))
    {
        let taken = columns.min(width - first);
        for (row, to) in panel.chunks_exact_mut(columns).enumerate() {
            to[..taken].copy_from_slice(&values[row * stride + first..][..taken]);
        }
    }
}

#[inline(always)]
fn softmax<S: Lanes>(s: S, row: &mut [f32]) {
    let largest = row.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
    let shift = s.splat(largest);
    let whole = row.len() - row.len() % S::N;
    let mut sum = s.splat(0.0);
    for at in (0..whole).step_by(S::N) {
        let e = exp(s, s.sub(s.load(&row[at..]), shift));
        sum = s.add(sum, e);
        s.store(e, &mut row[at..]);
    }
    let mut total = s.sum(sum);
    if whole < row.len() {
        let mut lanes = [0.0; 16];
        s.store(exp(s, s.sub(partial(s, &row[whole..]), shift)), &mut lanes);
        for (x, e) in row[whole..].iter_mut().zip(lanes) {
            *x = e;
            total += e;
        }
    }
    let factor = 1.0 / total;
    row.iter_mut().for_each(|x| *x *= factor);
}
