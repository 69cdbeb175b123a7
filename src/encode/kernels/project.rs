//! The vocabulary projection and the maximum over a text's tokens, without a logit stored.
//!
//! weight = max over tokens of log(1 + relu(logit)) (Formal et al. 2021, "SPLADE v2").
//! log1p ∘ relu is monotone and the bias is the same for every token: the maximum is taken
//! over raw dot products in registers; bias and activation follow once per entry.
//!
//! Two ways give the same bits. `dense` computes all dot products of a panel. The screened
//! way bounds them from above with 8-bit integers ([`super::screen`]); those whose bound leaves
//! a weight possible are computed to within rounding in vectors along the inputs; and those of
//! them that may be their column's maximum, mostly one, in the order of addition of `dense`.

use std::sync::Arc;

use super::lanes::Lanes;
use super::product::{pack_panel, pack_rows, sum, sums};
use super::screen::{Quantised, Screen, ScreenPanel, quantise};
use super::{Level, Work, tiles, with_rows};

/// Weights of a text: (vocabulary entry, weight > 0), sorted.
type Terms = Vec<(u32, f32)>;

/// The vocabulary matrix of one model.
pub(in crate::encode) struct Projection {
    level: Level,
    /// vocabulary × inputs
    decoder: Arc<[f32]>,
    bias: Vec<f32>,
    inputs: usize,
    screen: Option<Screen>,
}

/// Buffers that a worker keeps.
#[derive(Default)]
pub(in crate::encode) struct ProjectScratch {
    tiles: Vec<Tile>,
    codes: Vec<i32>,
    starts: Vec<i32>,
    pairs: Vec<Pair>,
    /// All texts' rows, packed; empty until a text needs them.
    rows: Vec<f32>,
    panel: Vec<f32>,
}

/// Rows of one text that are projected together.
#[derive(Debug, Clone, Copy)]
struct Tile {
    row: usize,
    height: usize,
    quantised: Quantised,
}

impl Projection {
    /// `decoder` is vocabulary × inputs, `bias` has one entry per vocabulary entry. Without
    /// `screened` every dot product is computed in full; the result is the same.
    pub fn new(level: Level, decoder: Arc<[f32]>, bias: Vec<f32>, screened: bool) -> Self {
        let inputs = decoder.len() / bias.len();
        let screen = screened.then(|| Screen::new(level, &decoder, &bias, inputs));
        Projection { level, decoder, bias, inputs, screen }
    }

    /// Weights of each text, of whose tokens `hidden` has the states, which must be finite.
    pub fn project(
        &self,
        hidden: &[f32],
        lengths: &[usize],
        scratch: &mut ProjectScratch,
    ) -> Vec<Terms> {
        self.level.run(Project { projection: self, hidden, lengths, scratch })
    }
}

struct Project<'a> {
    projection: &'a Projection,
    hidden: &'a [f32],
    lengths: &'a [usize],
    scratch: &'a mut ProjectScratch,
}

/// Columns of a panel at most.
const MOST_COLUMNS: usize = 32;

/// A dot product computed singly costs 2 to 5 times one among many.
const SINGLE_COST: usize = 6;

/// A dot product that may matter.
#[derive(Debug, Clone, Copy)]
struct Pair {
    row: usize,
    /// In its panel.
    column: usize,
    /// At least the norm of the state.
    norm: f32,
    /// The dot product to within rounding, and how far that may be off.
    near: f32,
    error: f32,
}

impl Work for Project<'_> {
    type Out = Vec<Terms>;

    #[inline(always)]
    fn run<S: Lanes>(self, s: S) -> Vec<Terms> {
        let Project { projection, hidden, lengths, scratch } = self;
        let Projection { decoder, bias, inputs, screen, .. } = projection;
        let inputs = *inputs;
        scratch.cut::<S>(hidden, lengths, inputs, screen.is_some());
        let ProjectScratch { tiles, codes, starts, pairs, rows, panel } = scratch;
        let words = inputs.div_ceil(4);
        let mut out: Vec<Terms> = lengths.iter().map(|_| Terms::new()).collect();
        for first in (0..bias.len()).step_by(S::COLUMNS) {
            let columns = S::COLUMNS.min(bias.len() - first);
            let bias = &bias[first..first + columns];
            let decoder = &decoder[first * inputs..][..columns * inputs];
            panel.clear();
            let mut tiles = tiles.as_slice();
            for (&length, terms) in lengths.iter().zip(&mut out) {
                let (mine, rest) = tiles.split_at(length.div_ceil(S::ROWS));
                tiles = rest;
                let mut maxima = [f32::NEG_INFINITY; MOST_COLUMNS];
                pairs.clear();
                if let Some(screen) = screen {
                    let screen = screen.panel(first, S::COLUMNS, words);
                    for tile in mine {
                        let codes = &codes[tile.row * words..][..tile.height * words];
                        let starts = &starts[tile.row..][..tile.height];
                        with_rows!(s: S, tile.height, survivors, (s, codes, starts, &screen, tile, pairs));
                    }
                    if pairs.is_empty() {
                        continue;
                    }
                }
                match screen {
                    Some(screen) if pairs.len() * SINGLE_COST <= length * columns => {
                        let norms = &screen.norm[first..];
                        exact(s, pairs, hidden, decoder, norms, bias, &mut maxima);
                    }
                    _ => {
                        if rows.is_empty() {
                            pack_texts(hidden, lengths, inputs, S::ROWS, rows);
                        }
                        if panel.is_empty() {
                            panel.resize(S::COLUMNS * inputs, 0.0);
                            pack_panel(decoder, inputs, panel);
                        }
                        for tile in mine {
                            let rows = &rows[tile.row * inputs..][..tile.height * inputs];
                            with_rows!(s: S, tile.height, dense, (s, rows, panel, &mut maxima));
                        }
                    }
                }
                for (column, (&maximum, &bias)) in maxima.iter().zip(bias).enumerate() {
                    let logit = maximum + bias;
                    if logit > 0.0 {
                        terms.push(((first + column) as u32, logit.ln_1p()));
                    }
                }
            }
        }
        out
    }
}

impl ProjectScratch {
    /// Cuts every text into tiles, and quantises them for the screen.
    fn cut<S: Lanes>(&mut self, hidden: &[f32], lengths: &[usize], inputs: usize, screened: bool) {
        let words = inputs.div_ceil(4);
        self.rows.clear();
        self.tiles.clear();
        let mut row = 0;
        for &length in lengths {
            for height in tiles(length, S::ROWS) {
                self.tiles.push(Tile { row, height, quantised: Quantised::default() });
                row += height;
            }
        }
        if screened {
            self.codes.resize(row * words, 0);
            self.starts.resize(row, 0);
            for tile in &mut self.tiles {
                tile.quantised = quantise(
                    &hidden[tile.row * inputs..][..tile.height * inputs],
                    inputs,
                    S::STATE_CODES,
                    &mut self.codes[tile.row * words..][..tile.height * words],
                    &mut self.starts[tile.row..][..tile.height],
                );
            }
        }
    }
}

/// Packs each text's rows by its own tiles.
fn pack_texts(
    hidden: &[f32],
    lengths: &[usize],
    inputs: usize,
    most: usize,
    packed: &mut Vec<f32>,
) {
    packed.resize(hidden.len(), 0.0);
    let mut at = 0;
    for &length in lengths {
        let to = &mut packed[at..at + length * inputs];
        pack_rows(&hidden[at..], inputs, inputs, length, most, to);
        at += length * inputs;
    }
}

/// Finds the dot products of a tile and a panel that may be more than −bias.
#[inline(always)]
fn survivors<S: Lanes, const M: usize>(
    s: S,
    codes: &[i32],
    starts: &[i32],
    panel: &ScreenPanel<'_>,
    tile: &Tile,
    pairs: &mut Vec<Pair>,
) {
    let [mut low, mut high] = [[s.splat_i(0); M]; 2];
    for ((low, high), &start) in low.iter_mut().zip(&mut high).zip(starts) {
        (*low, *high) = (s.splat_i(start), s.splat_i(start));
    }
    for (x, w) in codes.chunks_exact(M).zip(panel.codes.chunks_exact(4 * S::COLUMNS)) {
        let w = (s.load_bytes(w), s.load_bytes(&w[4 * S::N..]));
        for ((low, high), &x) in low.iter_mut().zip(&mut high).zip(x) {
            (*low, *high) = (s.dot4(*low, w.0, x), s.dot4(*high, w.1, x));
        }
    }
    keep(s, low, panel, 0, tile, pairs);
    keep(s, high, panel, S::N, tile, pairs);
}

/// Adds to `pairs` those of a tile's sums, of columns from `at` on, whose bound is above 0.
#[inline(always)]
fn keep<S: Lanes, const M: usize>(
    s: S,
    sums: [S::I; M],
    panel: &ScreenPanel<'_>,
    at: usize,
    tile: &Tile,
    pairs: &mut Vec<Pair>,
) {
    let Quantised { scale, norm, rest } = tile.quantised;
    let scale = s.mul(s.splat(scale), s.load(&panel.scale[at..]));
    let bound = s.fma(s.splat(rest), s.load(&panel.norm[at..]), s.load(&panel.bias[at..]));
    let bound = s.fma(s.splat(norm), s.load(&panel.rest[at..]), bound);
    let above = |sum| s.positive(s.fma(scale, s.to_float(sum), bound));
    // The scale is not negative: if the largest sum is no survivor, none is.
    let mut largest = sums[0];
    for &sum in &sums[1..] {
        largest = s.max_i(largest, sum);
    }
    if above(largest) == 0 {
        return;
    }
    // A copy, for the rare case that gets here: a loop that indexes the sums themselves would
    // keep them in memory while they are added up, which halves the rate.
    for (i, sum) in sums.into_iter().enumerate() {
        let mut mask = above(sum);
        while mask != 0 {
            let column = at + mask.trailing_zeros() as usize;
            let norm = tile.quantised.norm + tile.quantised.rest;
            pairs.push(Pair { row: tile.row + i, column, norm, near: 0.0, error: 0.0 });
            mask &= mask - 1;
        }
    }
}

/// Raises each column's maximum to the largest sum of a tile's rows.
#[inline(always)]
fn dense<S: Lanes, const M: usize>(s: S, rows: &[f32], panel: &[f32], maxima: &mut [f32]) {
    let sums = sums::<S, M>(s, rows, panel);
    let mut largest = [s.load(maxima), s.load(&maxima[S::N..])];
    for &[low, high] in &sums {
        largest = [s.max(largest[0], low), s.max(largest[1], high)];
    }
    s.store(largest[0], maxima);
    s.store(largest[1], &mut maxima[S::N..]);
}

/// Raises each column's maximum to the largest dot product of `pairs`, wherever that can give
/// a weight, added up in the order of [`sums`].
///
/// Any two float sums c, c' of one dot product differ by at most 2γ·‖x‖·‖w‖ (γ as in
/// [`super::screen`]). With twice that as `error`, which covers the roundings of the
/// comparisons here as well, a pair is passed over if c' + error + bias is not above 0, or if
/// c' + error is below c' − error of another pair of the column: in the first case it gives no
/// weight, in the second it is not the maximum.
#[inline(always)]
fn exact<S: Lanes>(
    s: S,
    pairs: &mut [Pair],
    hidden: &[f32],
    decoder: &[f32],
    norms: &[f32],
    bias: &[f32],
    maxima: &mut [f32],
) {
    let inputs = decoder.len() / bias.len();
    let operands = |pair: &Pair| {
        (&hidden[pair.row * inputs..][..inputs], &decoder[pair.column * inputs..][..inputs])
    };
    let gamma = inputs as f32 * 1.01 * f32::EPSILON;
    let mut least = [f32::NEG_INFINITY; MOST_COLUMNS];
    for pair in pairs.iter_mut() {
        let (x, w) = operands(pair);
        pair.near = near(s, x, w);
        pair.error = 4.0 * gamma * pair.norm * norms[pair.column] + 1e-30;
        least[pair.column] = least[pair.column].max(pair.near - pair.error);
    }
    for pair in pairs.iter() {
        let most = pair.near + pair.error;
        if most + bias[pair.column] <= 0.0 || most < least[pair.column] {
            continue;
        }
        let (x, w) = operands(pair);
        let sum = sum(s, x, w);
        let maximum = &mut maxima[pair.column];
        *maximum = if sum > *maximum { sum } else { *maximum };
    }
}

/// The dot product, added up in vectors: fast, and not in the order of [`sums`].
#[inline(always)]
fn near<S: Lanes>(s: S, x: &[f32], w: &[f32]) -> f32 {
    let mut sums = [s.splat(0.0); 2];
    let (whole, rest) = x.split_at(x.len() - x.len() % S::COLUMNS);
    let (w, w_rest) = w.split_at(whole.len());
    for (x, w) in whole.chunks_exact(S::COLUMNS).zip(w.chunks_exact(S::COLUMNS)) {
        sums[0] = s.fma(s.load(x), s.load(w), sums[0]);
        sums[1] = s.fma(s.load(&x[S::N..]), s.load(&w[S::N..]), sums[1]);
    }
    let sum = s.sum(s.add(sums[0], sums[1]));
    rest.iter().zip(w_rest).fold(sum, |sum, (&x, &w)| s.fma1(x, w, sum))
}
