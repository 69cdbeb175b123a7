//! Every kernel on every level of this machine against plain loops over 64-bit floats.

use proptest::prelude::*;

use super::*;
use crate::encode::config::Activation;

/// `n` numbers from −1 to 1 of a fixed sequence.
fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// x · wᵀ in 64 bits.
fn plain_product(x: &[f32], w: &[f32], inputs: usize) -> Vec<f64> {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    x.chunks(inputs).flat_map(|x| w.chunks(inputs).map(move |w| dot(x, w))).collect()
}

/// Less than a run of a sum, about one, and some.
fn inputs() -> impl Strategy<Value = usize> {
    prop_oneof![2 => 1usize..90, 1 => 120usize..140, 1 => 200usize..300]
}

fn near(level: Level, got: &[f32], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len());
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        assert!((f64::from(g) - w).abs() <= tolerance, "{level:?} at {i}: {g}, expected {w}");
    }
}

/// In 64 bits; erf by its Taylor series, exact enough below 3.
fn plain_activation(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::GeluErf => {
            let z = x / 2f64.sqrt();
            let (mut term, mut sum) = (z, z);
            for n in 1..60 {
                term *= -z * z / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            0.5 * x * (1.0 + sum * 2.0 / std::f64::consts::PI.sqrt())
        }
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::Relu => x.max(0.0),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    // 3e-6: sums of at most 300 products, in runs of at most 128, each rounded to 2^-24 of a sum
    // that is rarely above 1 and never above 18.
    #[test]
    fn a_product_and_its_epilogue_equal_plain_loops(
        rows in 1usize..40, inputs in inputs(), outputs in 1usize..80, seed: u64,
    ) {
        let (x, w) = (numbers(rows * inputs, seed), numbers(outputs * inputs, seed ^ 1));
        let w: Vec<f32> = w.iter().map(|w| w / (inputs as f32).sqrt()).collect();
        let (bias, residual) = (numbers(outputs, seed ^ 2), numbers(rows * outputs, seed ^ 3));
        let mut want = plain_product(&x, &w, inputs);
        for (i, want) in want.iter_mut().enumerate() {
            *want += f64::from(bias[i % outputs]);
        }
        for level in Level::available() {
            let weights = Weights::pack(level, &w, &bias, inputs);
            let (mut scratch, mut out) = (Scratch::default(), vec![f32::NAN; 7]);
            product(level, &x, &weights, Then::Bias, &mut scratch, &mut out);
            near(level, &out, &want, 3e-6);
            product(level, &x, &weights, Then::Residual(&residual), &mut scratch, &mut out);
            let sum: Vec<f64> =
                want.iter().zip(&residual).map(|(w, &r)| w + f64::from(r)).collect();
            near(level, &out, &sum, 3e-6);
            product(level, &x, &weights, Then::Gate(&residual), &mut scratch, &mut out);
            let gated: Vec<f64> =
                want.iter().zip(&residual).map(|(w, &r)| w * f64::from(r)).collect();
            near(level, &out, &gated, 3e-6);
            for activation in [Activation::GeluErf, Activation::GeluTanh, Activation::Relu] {
                product(level, &x, &weights, Then::Activate(activation), &mut scratch, &mut out);
                let active: Vec<f64> =
                    want.iter().map(|&x| plain_activation(activation, x)).collect();
                near(level, &out, &active, 4e-6);
            }
        }
    }

    #[test]
    fn a_row_of_a_product_does_not_depend_on_the_rows_beside_it(
        rows in 1usize..60, inputs in inputs(), outputs in 1usize..40, seed: u64,
    ) {
        let (x, w) = (numbers(rows * inputs, seed), numbers(outputs * inputs, seed ^ 1));
        let bias = numbers(outputs, seed ^ 2);
        for level in Level::available() {
            let weights = Weights::pack(level, &w, &bias, inputs);
            let (mut scratch, mut all, mut one) = (Scratch::default(), Vec::new(), Vec::new());
            product(level, &x, &weights, Then::Bias, &mut scratch, &mut all);
            for (x, all) in x.chunks(inputs).zip(all.chunks(outputs)) {
                product(level, x, &weights, Then::Bias, &mut scratch, &mut one);
                prop_assert_eq!(&one, all);
            }
        }
    }

    #[test]
    fn a_norm_equals_plain_loops(rows in 1usize..5, width in 2usize..70, seed: u64) {
        let x = numbers(rows * width, seed);
        let (scale, shift) = (numbers(width, seed ^ 1), numbers(width, seed ^ 2));
        let eps = 1e-5f32;
        let want: Vec<f64> = x
            .chunks(width)
            .flat_map(|row| {
                let n = width as f64;
                let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
                let variance = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
                let factor = 1.0 / (variance + f64::from(eps)).sqrt();
                let (scale, shift) = (&scale, &shift);
                row.iter().enumerate().map(move |(i, &x)| {
                    (f64::from(x) - mean) * factor * f64::from(scale[i]) + f64::from(shift[i])
                })
            })
            .collect();
        for level in Level::available() {
            let mut got = x.clone();
            norm(level, &mut got, &scale, &shift, eps);
            // Two numbers close together are divided by their small difference.
            near(level, &got, &want, 2e-3);
            let middle: f64 = got.iter().zip(&want).map(|(&g, w)| (f64::from(g) - w).abs()).sum();
            prop_assert!(middle / (got.len() as f64) < 1e-3);
        }
    }

    #[test]
    fn attention_equals_plain_loops(
        lengths in prop::collection::vec(1usize..50, 1..4),
        heads in 1usize..4,
        width in 1usize..40,
        reach in prop_oneof![Just(usize::MAX), 0usize..60],
        seed: u64,
    ) {
        let (hidden, rows) = (heads * width, lengths.iter().sum::<usize>());
        let qkv: Vec<f32> = numbers(rows * 3 * hidden, seed);
        let mut want = vec![0.0f64; rows * hidden];
        let mut start = 0;
        for &length in &lengths {
            let value = |row: usize, column: usize| {
                f64::from(qkv[(start + row) * 3 * hidden + column])
            };
            for (head, q) in (0..heads).flat_map(|h| (0..length).map(move |q| (h, q))) {
                let at = head * width;
                let score = |k: usize| -> f64 {
                    if k.abs_diff(q) > reach {
                        return 0.0;
                    }
                    (at..at + width).map(|c| value(q, c) * value(k, hidden + c)).sum::<f64>().exp()
                };
                let scores: Vec<f64> = (0..length).map(score).collect();
                let total: f64 = scores.iter().sum();
                for c in at..at + width {
                    let sum: f64 =
                        scores.iter().enumerate().map(|(k, s)| s * value(k, 2 * hidden + c)).sum();
                    want[(start + q) * hidden + c] = sum / total;
                }
            }
            start += length;
        }
        for level in Level::available() {
            let (mut scratch, mut out) = (AttendScratch::default(), Vec::new());
            let heads = Heads { hidden, count: heads, reach };
            attention(level, &qkv, &lengths, heads, &mut scratch, &mut out);
            near(level, &out, &want, 1e-5);
        }
    }

    /// The bound's proof as a test: screened and full projections give the same bits, from
    /// entries that all survive to entries of which none does, and also where a state has
    /// outliers, zeros or tiny numbers.
    #[test]
    fn the_screen_changes_no_bit(
        lengths in prop::collection::vec(1usize..40, 1..4),
        inputs in inputs(),
        vocabulary in 1usize..300,
        shift in -8i32..8,
        outlier in prop_oneof![Just(1.0f32), Just(1e4), Just(0.0), Just(1e-20), Just(1e-38)],
        small in prop_oneof![Just(1.0f32), Just(1e-19), Just(1e-30)],
        seed: u64,
    ) {
        let rows = lengths.iter().sum::<usize>();
        let mut hidden = numbers(rows * inputs, seed);
        for x in hidden.iter_mut().step_by(17) {
            *x *= outlier;
        }
        let decoder: Vec<f32> =
            numbers(vocabulary * inputs, seed ^ 1).iter().map(|w| w * small).collect();
        let spread = (inputs as f32).sqrt() / 3.0 * small;
        let bias: Vec<f32> = numbers(vocabulary, seed ^ 2)
            .iter()
            .map(|b| (b * 0.1 + shift as f32 * 0.5) * spread)
            .collect();
        for level in Level::available() {
            let project = |screened| {
                let decoder = decoder.clone().into();
                let projection = Projection::new(level, decoder, bias.clone(), screened);
                projection.project(&hidden, &lengths, &mut ProjectScratch::default())
            };
            prop_assert_eq!(project(true), project(false), "{:?}", level);
        }
    }

    /// Maximum before bias and activation equals the definition.
    #[test]
    fn a_projection_equals_its_definition(
        lengths in prop::collection::vec(1usize..40, 1..4),
        inputs in inputs(),
        vocabulary in 1usize..200,
        shift in -3i32..3,
        seed: u64,
    ) {
        let rows = lengths.iter().sum::<usize>();
        let (hidden, decoder) = (numbers(rows * inputs, seed), numbers(vocabulary * inputs, seed ^ 1));
        let bias: Vec<f32> = numbers(vocabulary, seed ^ 2).iter().map(|b| b + shift as f32).collect();
        let logits = plain_product(&hidden, &decoder, inputs);
        for level in Level::available() {
            let projection = Projection::new(level, decoder.clone().into(), bias.clone(), true);
            let got = projection.project(&hidden, &lengths, &mut ProjectScratch::default());
            let mut logits = logits.chunks(vocabulary);
            for (terms, &length) in got.iter().zip(&lengths) {
                let mut want = vec![0.0f64; vocabulary];
                for row in logits.by_ref().take(length) {
                    for ((want, logit), &b) in want.iter_mut().zip(row).zip(&bias) {
                        *want = want.max((logit + f64::from(b)).max(0.0).ln_1p());
                    }
                }
                prop_assert!(terms.is_sorted_by(|a, b| a.0 < b.0));
                let mut all = vec![0.0; vocabulary];
                for &(id, weight) in terms {
                    prop_assert!(weight > 0.0);
                    all[id as usize] = weight;
                }
                // Sums of 300 products below 1 reach 20 before they come back to near 0, where
                // the logarithm doesn't make their roundings smaller.
                near(level, &all, &want, 2e-5);
            }
        }
    }
}

#[test]
fn long_sums_are_much_nearer_to_64_bits_than_one_chain_is() {
    let inputs = 3072;
    let (x, w) = (numbers(20 * inputs, 1), numbers(20 * inputs, 2));
    let want = plain_product(&x, &w, inputs);
    let off = |got: &[f32]| -> f64 {
        got.iter().zip(&want).map(|(&g, w)| (f64::from(g) - w).powi(2)).sum::<f64>().sqrt()
    };
    let dot = |x: &[f32], w: &[f32]| x.iter().zip(w).fold(0.0, |sum, (x, w)| x * w + sum);
    let chain: Vec<f32> =
        x.chunks(inputs).flat_map(|x| w.chunks(inputs).map(move |w| dot(x, w))).collect();
    for level in Level::available() {
        let weights = Weights::pack(level, &w, &[0.0; 20], inputs);
        let mut out = Vec::new();
        product(level, &x, &weights, Then::Bias, &mut Scratch::default(), &mut out);
        // A quarter is what the lengths of the chains let one expect.
        assert!(off(&out) < 0.4 * off(&chain), "{level:?}: {}, {}", off(&out), off(&chain));
    }
}

#[test]
fn the_exponential_is_right_where_it_is_known() {
    struct Exp<'a>(&'a [f32; 16], &'a mut [f32; 16]);
    impl Work for Exp<'_> {
        type Out = ();
        #[inline(always)]
        fn run<S: Lanes>(self, s: S) {
            for at in (0..16).step_by(S::N) {
                s.store(elementwise::exp(s, s.load(&self.0[at..])), &mut self.1[at..]);
            }
        }
    }
    let x: [f32; 16] = std::array::from_fn(|i| (i as f32 - 8.0) * 7.3);
    for level in Level::available() {
        let mut got = [0.0; 16];
        level.run(Exp(&x, &mut got));
        for (x, got) in x.iter().zip(got) {
            let want = f64::from(*x).exp();
            assert!((f64::from(got) - want).abs() <= want * 3e-7, "{level:?} {x}: {got}, {want}");
        }
    }
}

#[test]
fn tiles_cover_the_rows_and_are_of_nearly_one_height() {
    for rows in 0..100 {
        let heights: Vec<usize> = tiles(rows, 14).collect();
        assert_eq!(heights.iter().sum::<usize>(), rows);
        assert_eq!(heights.len(), rows.div_ceil(14));
        let (least, most) = (heights.iter().min(), heights.iter().max());
        assert!(rows == 0 || (most.unwrap() - least.unwrap() <= 1 && *most.unwrap() <= 14));
    }
}
