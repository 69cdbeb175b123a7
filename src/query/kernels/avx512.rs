//! AVX-512 forms.

use std::arch::x86_64::*;

use super::avx2::{halves, impacts_of_four};
use super::{
    Accumulators, CHUNK, ChunkBytes, GROUP, Lane, MAX_LANES, NO_IMPACTS, Stage, ones, scalar,
};
use crate::format::WINDOW;

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
pub(super) fn expand(
    words: &[[u8; 8]; CHUNK / 64],
    impacts: &[u8],
    out: &mut ChunkBytes,
) -> Option<usize> {
    // What follows loads past the last impact it uses. Only near a list's end are they
    // counted first.
    if impacts.len() < CHUNK + 64 && impacts.len() < ones(words) + 64 {
        return scalar::expand(words, impacts, out);
    }
    let mut next = impacts.as_ptr();
    for (&word, out) in words.iter().zip(out.as_chunks_mut::<64>().0) {
        let mask = u64::from_le_bytes(word);
        // A register expand after a plain load: the expanding load is microcoded on Zen.
        // SAFETY: `next` moved by at most the number of bits, so 64 bytes can be read;
        // `out` has 64.
        unsafe {
            let impacts = _mm512_loadu_si512(next.cast());
            _mm512_storeu_si512(out.as_mut_ptr().cast(), _mm512_maskz_expand_epi8(mask, impacts));
            next = next.add(mask.count_ones() as usize);
        }
    }
    Some(next as usize - impacts.as_ptr() as usize)
}

/// A running sum of gaps and the products by vectors, then additions one by one: the
/// scalar form takes ten operations a posting, this one five.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn scatter<const POSITIONS: bool>(
    run: &[[u8; 2]],
    weight: u32,
    stage: &mut Stage,
    accumulators: &mut Accumulators,
) {
    let Some(weights) = halves(weight) else {
        return scalar::scatter::<POSITIONS>(run, weight, stage, accumulators);
    };
    let weights = _mm512_set1_epi32(weights);
    // The last sum of each of the four lanes below, one and two lanes down.
    let down = |lanes: i64| {
        let top = |lane: i64| (8 * (lane - lanes) + 7).max(0) * 0x0001_0001_0001_0001;
        _mm512_setr_epi64(top(0), top(0), top(1), top(1), top(2), top(2), top(3), top(3))
    };
    let (one, two) = (down(1), down(2));
    let last = _mm512_set1_epi16(31);
    // Shuffles inside 16 bytes then leave the products in order.
    let in_order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
    let [lower, upper] = [false, true].map(|upper| {
        let bytes = impacts_of_four(upper);
        // SAFETY: 16 bytes.
        _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
    });
    // One before the window; the first gap is at least 1.
    let mut before = _mm512_set1_epi16(-1);
    let mut pairs_before = before;
    // The last pair of one vector, then all but the last of another.
    let shifted: [i16; 32] = std::array::from_fn(|i| i as i16 + 31);
    // SAFETY: 64 bytes.
    let shifted = unsafe { _mm512_loadu_si512(shifted.as_ptr().cast()) };
    for group in run.chunks(32) {
        let loaded = (u32::MAX >> (32 - group.len() as u32)) as __mmask32;
        // SAFETY: masked to the group; the rest adds nothing.
        let pairs = unsafe { _mm512_maskz_loadu_epi16(loaded, group.as_ptr().cast()) };
        let mut sum = pairs;
        if POSITIONS {
            let previous = _mm512_permutex2var_epi16(pairs_before, shifted, pairs);
            sum = _mm512_sub_epi16(pairs, previous);
            pairs_before = pairs;
        }
        sum = _mm512_and_si512(sum, _mm512_set1_epi16(0xFF));
        sum = _mm512_add_epi16(sum, _mm512_bslli_epi128::<2>(sum));
        sum = _mm512_add_epi16(sum, _mm512_bslli_epi128::<4>(sum));
        sum = _mm512_add_epi16(sum, _mm512_bslli_epi128::<8>(sum));
        sum = _mm512_add_epi16(sum, _mm512_maskz_permutexvar_epi16(0xFFFF_FF00, one, sum));
        sum = _mm512_add_epi16(sum, _mm512_maskz_permutexvar_epi16(0xFFFF_0000, two, sum));
        sum = _mm512_add_epi16(sum, before);
        before = _mm512_permutexvar_epi16(last, sum);
        let position = _mm512_and_si512(sum, _mm512_set1_epi16((WINDOW - 1) as i16));
        let fours = _mm512_permutexvar_epi64(in_order, pairs);
        let low = _mm512_madd_epi16(_mm512_shuffle_epi8(fours, lower), weights);
        let high = _mm512_madd_epi16(_mm512_shuffle_epi8(fours, upper), weights);
        let (positions, products) = stage.end();
        // SAFETY: 32 positions of two bytes, 32 products of four: a step.
        unsafe {
            _mm512_storeu_si512(positions.as_mut_ptr().cast(), position);
            _mm512_storeu_si512(products.as_mut_ptr().cast(), low);
            _mm512_storeu_si512(products.as_mut_ptr().add(16).cast(), high);
        }
        stage.grow(group.len(), accumulators);
    }
}

/// Positions and products by vectors, then additions one by one: faster than the scatter
/// instruction.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn scatter_groups<'g>(
    groups: impl Iterator<Item = (&'g [u32; GROUP], &'g [u8; GROUP])>,
    first: u32,
    weight: u32,
    stage: &mut Stage,
    accumulators: &mut Accumulators,
) -> usize {
    let limit = _mm512_set1_epi32(WINDOW as i32);
    let mask = _mm512_set1_epi32(WINDOW as i32 - 1);
    let (first16, weight16) = (_mm512_set1_epi32(first as i32), _mm512_set1_epi32(weight as i32));
    let mut done = 0;
    for (docids, impacts) in groups {
        // SAFETY: both are arrays of 16.
        let (docids, impacts) = unsafe {
            (_mm512_loadu_si512(docids.as_ptr().cast()), _mm_loadu_si128(impacts.as_ptr().cast()))
        };
        let position = _mm512_sub_epi32(docids, first16);
        let inside = _mm512_cmplt_epu32_mask(position, limit);
        let position = _mm512_cvtepi32_epi16(_mm512_and_si512(position, mask));
        let product = _mm512_maskz_mullo_epi32(inside, _mm512_cvtepu8_epi32(impacts), weight16);
        let (positions, products) = stage.end();
        // SAFETY: 16 positions of two bytes, 16 products of four, half a step.
        unsafe {
            _mm256_storeu_si256(positions.as_mut_ptr().cast(), position);
            _mm512_storeu_si512(products.as_mut_ptr().cast(), product);
        }
        stage.grow(GROUP, accumulators);
        if inside >> (GROUP - 1) == 0 {
            break;
        }
        done += 1;
    }
    done
}

/// Four lanes whose bytes one instruction multiplies: weights as 128 · high + low, each
/// below 128.
#[derive(Clone, Copy)]
struct Quad<'a> {
    impacts: [&'a ChunkBytes; 4],
    low: i32,
    high: i32,
}

impl<'a> Quad<'a> {
    fn new(lanes: &[Lane<'a>]) -> Self {
        let mut quad = Quad { impacts: [&NO_IMPACTS; 4], low: 0, high: 0 };
        for (i, lane) in lanes.iter().enumerate() {
            quad.impacts[i] = lane.impacts;
            quad.low |= i32::from(lane.weight & 127) << (8 * i);
            quad.high |= i32::from(lane.weight >> 7) << (8 * i);
        }
        quad
    }

    /// The impacts of 64 documents.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(&self, lane: usize, group: usize) -> __m512i {
        let impacts = &self.impacts[lane].as_chunks::<64>().0[group];
        // SAFETY: an array of 64 bytes.
        unsafe { _mm512_loadu_si512(impacts.as_ptr().cast()) }
    }
}

/// Bytes of four lanes interleaved, a document in 32 bits: one instruction multiplies and
/// adds them, where pairs of 16 bits take three.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn multiply_add(lanes: &[Lane<'_>], out: &mut [u32; CHUNK]) {
    let zero = _mm512_setzero_si512();
    let mut quads = [Quad::new(&[]); MAX_LANES / 4];
    for (quad, lanes) in quads.iter_mut().zip(lanes.chunks(4)) {
        *quad = Quad::new(lanes);
    }
    let quads = &quads[..lanes.len().div_ceil(4)];
    // The last one may be half empty.
    let (quads, pair) = match lanes.len() % 4 {
        1 | 2 => (&quads[..quads.len() - 1], quads.last()),
        _ => (quads, None),
    };
    for (group, out) in out.as_chunks_mut::<64>().0.iter_mut().enumerate() {
        let (mut low_sums, mut high_sums) = ([zero; 4], [zero; 4]);
        let mut add = |quad: &Quad<'_>, bytes: [__m512i; 4]| {
            let (low, high) = (_mm512_set1_epi32(quad.low), _mm512_set1_epi32(quad.high));
            for ((low_sum, high_sum), bytes) in low_sums.iter_mut().zip(&mut high_sums).zip(bytes) {
                *low_sum = _mm512_dpbusd_epi32(*low_sum, bytes, low);
                *high_sum = _mm512_dpbusd_epi32(*high_sum, bytes, high);
            }
        };
        for quad in quads {
            let [a, b, c, d] = [0, 1, 2, 3].map(|lane| quad.load(lane, group));
            let (ab, cd) = (_mm512_unpacklo_epi8(a, b), _mm512_unpacklo_epi8(c, d));
            let (ab_high, cd_high) = (_mm512_unpackhi_epi8(a, b), _mm512_unpackhi_epi8(c, d));
            let bytes = [
                _mm512_unpacklo_epi16(ab, cd),
                _mm512_unpackhi_epi16(ab, cd),
                _mm512_unpacklo_epi16(ab_high, cd_high),
                _mm512_unpackhi_epi16(ab_high, cd_high),
            ];
            add(quad, bytes);
        }
        if let Some(pair) = pair {
            let (a, b) = (pair.load(0, group), pair.load(1, group));
            let (ab, ab_high) = (_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b));
            let bytes = [
                _mm512_unpacklo_epi16(ab, zero),
                _mm512_unpackhi_epi16(ab, zero),
                _mm512_unpacklo_epi16(ab_high, zero),
                _mm512_unpackhi_epi16(ab_high, zero),
            ];
            add(pair, bytes);
        }
        for (low_sum, high_sum) in low_sums.iter_mut().zip(high_sums) {
            *low_sum = _mm512_add_epi32(*low_sum, _mm512_slli_epi32::<7>(high_sum));
        }
        store_sums(low_sums, out);
    }
}

/// Vector i holds documents 16q + 4i .. 16q + 4i + 4 in its quarter q: transposes the
/// quarters, so that whole vectors can be stored.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn store_sums([s0, s1, s2, s3]: [__m512i; 4], out: &mut [u32; 64]) {
    let (a, b) = (_mm512_shuffle_i32x4::<0x44>(s0, s1), _mm512_shuffle_i32x4::<0x44>(s2, s3));
    let (c, d) = (_mm512_shuffle_i32x4::<0xEE>(s0, s1), _mm512_shuffle_i32x4::<0xEE>(s2, s3));
    let rows = [
        _mm512_shuffle_i32x4::<0x88>(a, b),
        _mm512_shuffle_i32x4::<0xDD>(a, b),
        _mm512_shuffle_i32x4::<0x88>(c, d),
        _mm512_shuffle_i32x4::<0xDD>(c, d),
    ];
    for (row, out) in rows.into_iter().zip(out.as_chunks_mut::<16>().0) {
        // SAFETY: `out` is 16 accumulators, 64 bytes.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), row) };
    }
}

#[target_feature(enable = "avx512f,avx512bw,popcnt")]
pub(super) fn scan<const CLEAR: bool>(
    accumulators: &mut [u32],
    mut threshold: u32,
    mut found: impl FnMut(u32, u32) -> u32,
) {
    let (groups, rest) = accumulators.as_chunks_mut::<64>();
    let tail = groups.len() as u32 * 64;
    // Scores are below 2^31, so signed compares are right.
    let mut least = _mm512_set1_epi32(threshold as i32);
    for (group, scores) in groups.iter_mut().enumerate() {
        let at = scores.as_ptr();
        let sixteens = [0, 16, 32, 48].map(|i| {
            // SAFETY: the group has 64 scores, four vectors of 16.
            unsafe { _mm512_loadu_si512(at.wrapping_add(i).cast()) }
        });
        let [a, b, c, d] = sixteens;
        let most = _mm512_max_epi32(_mm512_max_epi32(a, b), _mm512_max_epi32(c, d));
        if _mm512_cmpge_epi32_mask(most, least) != 0 {
            let [a, b, c, d] =
                sixteens.map(|scores| u64::from(_mm512_cmpge_epi32_mask(scores, least)));
            let mut mask = a | b << 16 | c << 32 | d << 48;
            while mask != 0 {
                let position = mask.trailing_zeros() as usize;
                mask &= mask - 1;
                if scores[position] >= threshold {
                    threshold = found((group * 64 + position) as u32, scores[position]);
                }
            }
            least = _mm512_set1_epi32(threshold as i32);
        }
        if CLEAR {
            scores.fill(0);
        }
    }
    scalar::scan::<CLEAR>(rest, threshold, |position, score| found(tail + position, score));
}
