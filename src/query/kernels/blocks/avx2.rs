//! AVX2 forms, for AVX-512 machines too.

use std::arch::x86_64::*;

use super::super::tables::SPREAD;
use super::{Halves, Job, LINE, LINE_UNITS, Row, Rows, ScoredRow, Scores, scalar};
use crate::format::skip::{Runs, UNITS};

#[target_feature(enable = "avx2")]
pub(super) fn add_units(maxima: &[u8], weight: u16, bounds: &mut [u16]) {
    scalar::add_units(maxima, weight, bounds);
}

#[target_feature(enable = "avx2")]
pub(super) fn group_maxima(bounds: &[u16], out: &mut Vec<u16>) {
    scalar::group_maxima(bounds, out);
}

/// 32 bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: there are 32.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn table(adds: &[u8; 16]) -> __m256i {
    // SAFETY: 16 bytes.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(adds.as_ptr().cast()) })
}

/// Bytes that a row's lines are asked for before they are needed: rows are more than the
/// machine follows by itself.
const AHEAD: usize = 512;

#[inline]
#[target_feature(enable = "avx2")]
fn ahead(line: *const u8) {
    _mm_prefetch::<_MM_HINT_T0>(line.wrapping_add(AHEAD).cast());
}

#[target_feature(enable = "avx2")]
pub(super) fn sweep(
    (fine, coarse): Rows<'_>,
    (units, least): (&mut [[u16; LINE_UNITS]], u16),
    (added, keep): (&mut [[u8; LINE]], bool),
    mut found: impl FnMut(usize, [u32; 4], &[u8; LINE]),
) {
    let (low, zero) = (_mm256_set1_epi8(15), _mm256_setzero_si256());
    for (line, (sums, units)) in added.iter_mut().zip(units).enumerate() {
        if !scalar::promises(units, least) {
            if !keep {
                sums.fill(0);
            }
            continue;
        }
        units.fill(0);
        let quarters = sums.as_chunks::<32>().0;
        let [mut a, mut b, mut c, mut d] = [0, 1, 2, 3].map(|i| load(&quarters[i]));
        for Row { lines, adds } in fine {
            let halves = lines[line].as_chunks::<32>().0;
            ahead(lines[line].as_ptr());
            let adds = table(adds);
            let (first, second) = (load(&halves[0]), load(&halves[1]));
            let of = |nibbles| _mm256_shuffle_epi8(adds, _mm256_and_si256(nibbles, low));
            a = _mm256_adds_epu8(a, of(first));
            b = _mm256_adds_epu8(b, of(_mm256_srli_epi16::<4>(first)));
            c = _mm256_adds_epu8(c, of(second));
            d = _mm256_adds_epu8(d, of(_mm256_srli_epi16::<4>(second)));
        }
        for Row { lines, adds } in coarse {
            ahead(lines[line].as_ptr());
            let adds = table(adds);
            let both = load(&lines[line]);
            // Each chunk's lower halves, then its upper halves.
            let lower = _mm256_and_si256(both, low);
            let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(both), low);
            let first = _mm256_permute2x128_si256::<0x20>(lower, upper);
            let second = _mm256_permute2x128_si256::<0x31>(lower, upper);
            let (first, second) =
                (_mm256_shuffle_epi8(adds, first), _mm256_shuffle_epi8(adds, second));
            a = _mm256_adds_epu8(a, first);
            b = _mm256_adds_epu8(b, first);
            c = _mm256_adds_epu8(c, second);
            d = _mm256_adds_epu8(d, second);
        }
        let most = _mm256_max_epu8(_mm256_max_epu8(a, b), _mm256_max_epu8(c, d));
        let full = _mm256_set1_epi8(-1);
        let mask = |sums| _mm256_movemask_epi8(_mm256_cmpeq_epi8(sums, full)) as u32;
        if mask(most) != 0 {
            found(line, [mask(a), mask(b), mask(c), mask(d)], sums);
        }
        for quarter in sums.as_chunks_mut::<32>().0 {
            // SAFETY: 32 bytes.
            unsafe { _mm256_storeu_si256(quarter.as_mut_ptr().cast(), zero) };
        }
    }
}

/// The steps of a unit's 16 blocks, a byte each.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn steps_of_unit(bytes: [u8; 8], halves: Halves) -> __m128i {
    let bytes = _mm_cvtsi64_si128(i64::from_le_bytes(bytes));
    let low = _mm_set1_epi8(15);
    let lower = _mm_and_si128(bytes, low);
    let upper = _mm_and_si128(_mm_srli_epi16::<4>(bytes), low);
    match halves {
        Halves::Both => _mm_unpacklo_epi8(lower, upper),
        Halves::Lower => _mm_unpacklo_epi8(lower, lower),
        Halves::Upper => _mm_unpacklo_epi8(upper, upper),
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn add_unit(
    rows: &[ScoredRow<'_>],
    (at, halves): (usize, Halves),
    sums: &mut [u32; 16],
) {
    let [mut first, mut second] = [0, 8].map(|half| {
        // SAFETY: eight of 16 numbers.
        unsafe { _mm256_loadu_si256(sums.as_ptr().add(half).cast()) }
    });
    for (row, scores) in rows {
        let Some(&bytes) = row.get(at..).and_then(|row| row.first_chunk::<8>()) else {
            continue;
        };
        let steps = steps_of_unit(bytes, halves);
        let [few, many] = [0, 8].map(|half| {
            // SAFETY: eight of 16 numbers.
            unsafe { _mm256_loadu_si256(scores.as_ptr().add(half).cast()) }
        });
        let of = |steps: __m128i| {
            let steps = _mm256_cvtepu8_epi32(steps);
            let few = _mm256_permutevar8x32_epi32(few, steps);
            let many = _mm256_permutevar8x32_epi32(many, steps);
            let is_many = _mm256_cmpgt_epi32(steps, _mm256_set1_epi32(7));
            _mm256_blendv_epi8(few, many, is_many)
        };
        first = _mm256_add_epi32(first, of(steps));
        second = _mm256_add_epi32(second, of(_mm_srli_si128::<8>(steps)));
    }
    // SAFETY: as above.
    unsafe {
        _mm256_storeu_si256(sums.as_mut_ptr().cast(), first);
        _mm256_storeu_si256(sums.as_mut_ptr().add(8).cast(), second);
    }
}

/// For each unit of a window the bytes before its own.
static BEFORE: [[u8; UNITS]; UNITS] = {
    let mut masks = [[0; UNITS]; UNITS];
    let mut unit = 0;
    while unit < UNITS {
        let mut byte = 0;
        while byte < unit {
            masks[unit][byte] = 255;
            byte += 1;
        }
        unit += 1;
    }
    masks
};

/// What [`Runs::run`] gives: the counts before the unit's, added up, and its own.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn run(runs: &Runs, unit: usize) -> (usize, usize) {
    let unit = unit % UNITS;
    let before = _mm256_and_si256(load(&runs.counts), load(&BEFORE[unit]));
    let sums = _mm256_sad_epu8(before, _mm256_setzero_si256());
    let sums = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    let sum = _mm_extract_epi64::<0>(sums) + _mm_extract_epi64::<1>(sums);
    // 255 stands for 256.
    let full = _mm256_movemask_epi8(_mm256_cmpeq_epi8(before, _mm256_set1_epi8(-1))) as u32;
    let count = usize::from(runs.counts[unit]);
    (sum as usize + full.count_ones() as usize, count + usize::from(count == 255))
}

#[target_feature(enable = "avx2,popcnt")]
pub(super) fn find_pairs(
    windows: &[u32],
    runs: &[Runs],
    pairs: usize,
    jobs: &mut [Job],
) -> Option<()> {
    scalar::find_pairs_by(|runs, unit| run(runs, unit), windows, runs, pairs, jobs)
}

/// Pairs that are compared at once.
const GROUP: usize = 16;

#[target_feature(enable = "avx2,bmi1,popcnt")]
pub(super) fn add_pairs(pairs: &[[u8; 2]], jobs: &[Job], weight: u32, scores: &mut [Scores]) {
    for job in jobs {
        let (len, scores) = (usize::from(job.len), &mut scores[usize::from(job.slot)]);
        let run = &pairs[job.at as usize..];
        let whole = run.get(..len.next_multiple_of(GROUP));
        let Some(groups) = whole else {
            // Near the end of the list.
            scalar::add_run(&run[..len], job.block, weight, scores);
            continue;
        };
        let Scores(scores) = scores;
        let block = _mm256_set1_epi16(i16::from(job.block) << 4);
        let mut left = len;
        for group in groups.as_chunks::<GROUP>().0 {
            // SAFETY: 32 bytes.
            let loaded = unsafe { _mm256_loadu_si256(group.as_ptr().cast()) };
            let blocks = _mm256_and_si256(loaded, _mm256_set1_epi16(0xF0));
            let here = _mm256_movemask_epi8(_mm256_cmpeq_epi16(blocks, block)) as u32;
            let inside = u32::MAX >> (2 * GROUP - 2 * left.min(GROUP));
            let here = here & inside;
            // Positions are in order, so those of a block follow each other; of a damaged list
            // others may stand between them.
            let (first, count) = (here.trailing_zeros() / 2, here.count_ones() / 2);
            for &[position, impact] in group.iter().skip(first as usize).take(count as usize) {
                let score = &mut scores[usize::from(position & 15)];
                *score = score.wrapping_add(weight.wrapping_mul(u32::from(impact)));
            }
            left = left.saturating_sub(GROUP);
        }
    }
}

#[target_feature(enable = "avx2,popcnt")]
pub(super) fn add_bits(impacts: &[u8], jobs: &[Job], weight: u32, scores: &mut [Scores]) {
    let weight8 = _mm256_set1_epi32(weight as i32);
    for job in jobs {
        let Some(bytes) = impacts.get(job.at as usize..job.at as usize + 16) else {
            scalar::add_bits(impacts, std::slice::from_ref(job), weight, scores);
            continue;
        };
        let [low, high] = job.len.to_le_bytes();
        let Scores(scores) = &mut scores[usize::from(job.slot)];
        // SAFETY: 16 bytes, of which at most the first 8 are passed by; rows of the table have
        // 8 bytes; 16 scores of four.
        unsafe {
            let next = bytes.as_ptr().add(low.count_ones() as usize);
            let spread = |bits: u8, impacts: *const u8| {
                let table = _mm_loadl_epi64(SPREAD[usize::from(bits)].as_ptr().cast());
                let impacts = _mm_shuffle_epi8(_mm_loadl_epi64(impacts.cast()), table);
                _mm256_mullo_epi32(_mm256_cvtepu8_epi32(impacts), weight8)
            };
            let at: *mut __m256i = scores.as_mut_ptr().cast();
            let first = _mm256_add_epi32(_mm256_loadu_si256(at), spread(low, bytes.as_ptr()));
            let second = _mm256_add_epi32(_mm256_loadu_si256(at.add(1)), spread(high, next));
            _mm256_storeu_si256(at, first);
            _mm256_storeu_si256(at.add(1), second);
        }
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn best(scores: &[Scores], jobs: &[Job], best: &mut [u32]) {
    scalar::best(scores, jobs, best);
}
