//! Activations, the exponential, layer norm.

use super::lanes::Lanes;
use super::{Level, Work};
use crate::encode::config::Activation;
use crate::encode::erf::{ABOVE, BELOW, END};

#[inline(always)]
pub(super) fn activate<S: Lanes>(s: S, activation: Activation, x: S::V) -> S::V {
    match activation {
        Activation::GeluErf => {
            let erf = erf(s, s.mul(x, s.splat(std::f32::consts::FRAC_1_SQRT_2)));
            s.mul(s.mul(s.splat(0.5), x), s.add(s.splat(1.0), erf))
        }
        Activation::GeluTanh => {
            let cube = s.mul(s.mul(x, x), x);
            let inner = s.fma(s.splat(0.044_715), cube, x);
            let inner = s.mul(s.splat((2.0 / std::f32::consts::PI).sqrt()), inner);
            s.mul(s.mul(s.splat(0.5), x), s.add(s.splat(1.0), tanh(s, inner)))
        }
        Activation::Relu => s.max(x, s.splat(0.0)),
    }
}

/// The error function: [`erf`](crate::encode::erf) says how.
#[inline(always)]
fn erf<S: Lanes>(s: S, x: S::V) -> S::V {
    let x = s.min(s.max(x, s.splat(-END)), s.splat(END));
    let z = s.mul(x, x);
    let mut above = s.splat(ABOVE[0]);
    for c in &ABOVE[1..] {
        above = s.fma(above, z, s.splat(*c));
    }
    let mut below = s.splat(BELOW[0]);
    for c in &BELOW[1..] {
        below = s.fma(below, z, s.splat(*c));
    }
    s.div(s.mul(x, above), below)
}

/// 1 − 2 / (exp(2x) + 1), within 3e-7.
#[inline(always)]
fn tanh<S: Lanes>(s: S, x: S::V) -> S::V {
    let one = s.splat(1.0);
    let e = exp(s, s.add(x, x));
    s.sub(one, s.div(s.splat(2.0), s.add(e, one)))
}

/// exp(x), clamped to ±87: x = n · ln 2 + r with whole n, exp(r) by Cephes' polynomial.
/// Relative error below 2e-7.
#[expect(clippy::excessive_precision, reason = "as published")]
#[inline(always)]
pub(super) fn exp<S: Lanes>(s: S, x: S::V) -> S::V {
    // Adding 1.5 · 2^23 leaves no bits for a fraction: the sum is rounded to a whole number.
    const WHOLE: f32 = 12_582_912.0;
    // ln 2 in two parts, the first short enough that n times it is exact.
    const LN2: [f32; 2] = [0.693_359_375, -2.121_944_4e-4];
    const POLYNOMIAL: [f32; 6] = [
        1.987_569_150_0e-4,
        1.398_199_950_7e-3,
        8.333_451_907_3e-3,
        4.166_579_589_4e-2,
        1.666_666_545_9e-1,
        5.000_000_120_1e-1,
    ];
    let x = s.min(s.max(x, s.splat(-87.0)), s.splat(87.0));
    let whole = s.splat(WHOLE);
    let n = s.sub(s.fma(x, s.splat(std::f32::consts::LOG2_E), whole), whole);
    let r = s.fma(n, s.splat(-LN2[0]), x);
    let r = s.fma(n, s.splat(-LN2[1]), r);
    let mut p = s.splat(POLYNOMIAL[0]);
    for c in &POLYNOMIAL[1..] {
        p = s.fma(p, r, s.splat(*c));
    }
    let p = s.add(s.fma(p, s.mul(r, r), r), s.splat(1.0));
    s.mul(p, s.pow2(n))
}

/// Layer norm of every row of `x` in place; scale and shift have a row's width.
pub(in crate::encode) fn norm(level: Level, x: &mut [f32], scale: &[f32], shift: &[f32], eps: f32) {
    level.run(Norm { x, scale, shift, eps });
}

struct Norm<'a> {
    x: &'a mut [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    eps: f32,
}

impl Work for Norm<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) {
        let width = self.scale.len();
        for row in self.x.chunks_exact_mut(width) {
            let mean = total(s, row, s.splat(0.0), false) / width as f32;
            let variance = total(s, row, s.splat(mean), true) / width as f32;
            let factor = 1.0 / (variance + self.eps).sqrt();
            let (mean, factor) = (s.splat(mean), s.splat(factor));
            let whole = width - width % S::N;
            for at in (0..whole).step_by(S::N) {
                let x = s.mul(s.sub(s.load(&row[at..]), mean), factor);
                let y = s.fma(x, s.load(&self.scale[at..]), s.load(&self.shift[at..]));
                s.store(y, &mut row[at..]);
            }
            if whole < width {
                // The last lanes by way of a vector of their own.
                let part = |from: &[f32]| partial(s, &from[whole..]);
                let x = s.mul(s.sub(part(row), mean), factor);
                let y = s.fma(x, part(self.scale), part(self.shift));
                let mut lanes = [0.0; 16];
                s.store(y, &mut lanes);
                row[whole..].copy_from_slice(&lanes[..width - whole]);
            }
        }
    }
}

/// Σ (x − mean), or of its squares.
#[inline(always)]
fn total<S: Lanes>(s: S, row: &[f32], mean: S::V, squares: bool) -> f32 {
    let chunks = row.chunks_exact(S::N);
    let rest = chunks.remainder();
    let mut sum = s.splat(0.0);
    for chunk in chunks {
        let x = s.sub(s.load(chunk), mean);
        sum = if squares { s.fma(x, x, sum) } else { s.add(sum, x) };
    }
    let mut total = s.sum(sum);
    if !rest.is_empty() {
        let x = s.sub(partial(s, rest), mean);
        let mut lanes = [0.0; 16];
        s.store(x, &mut lanes);
        for &x in &lanes[..rest.len()] {
            total += if squares { x * x } else { x };
        }
    }
    total
}

/// Fewer than a vector's floats, filled up with 0.
#[inline(always)]
pub(super) fn partial<S: Lanes>(s: S, values: &[f32]) -> S::V {
    let mut lanes = [0.0; 16];
    lanes[..values.len()].copy_from_slice(values);
    s.load(&lanes)
}
