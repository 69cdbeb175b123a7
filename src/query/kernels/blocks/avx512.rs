//! AVX-512 forms. Where 32 bytes at a time are enough they are those of AVX2.

use std::arch::x86_64::*;

use super::{Halves, Job, LINE, LINE_UNITS, Rows, ScoredRow, Scores, avx2, scalar};
use crate::format::skip::Runs;

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn add_units(maxima: &[u8], weight: u16, bounds: &mut [u16]) {
    scalar::add_units(maxima, weight, bounds);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn group_maxima(bounds: &[u16], out: &mut Vec<u16>) {
    scalar::group_maxima(bounds, out);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,popcnt")]
pub(super) fn sweep(
    rows: Rows<'_>,
    units: (&mut [[u16; LINE_UNITS]], u16),
    added: (&mut [[u8; LINE]], bool),
    found: impl FnMut(usize, [u32; 4], &[u8; LINE]),
) {
    avx2::sweep(rows, units, added, found);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn add_unit(
    rows: &[ScoredRow<'_>],
    (at, halves): (usize, Halves),
    sums: &mut [u32; 16],
) {
    // SAFETY: 16 numbers, as all below.
    let mut all = unsafe { _mm512_loadu_si512(sums.as_ptr().cast()) };
    for (row, scores) in rows {
        let Some(&bytes) = row.get(at..).and_then(|row| row.first_chunk::<8>()) else {
            continue;
        };
        let steps = _mm512_cvtepu8_epi32(avx2::steps_of_unit(bytes, halves));
        // SAFETY: as above.
        let scores = unsafe { _mm512_loadu_si512(scores.as_ptr().cast()) };
        all = _mm512_add_epi32(all, _mm512_permutexvar_epi32(steps, scores));
    }
    // SAFETY: as above.
    unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), all) };
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,popcnt")]
pub(super) fn find_pairs(
    windows: &[u32],
    runs: &[Runs],
    pairs: usize,
    jobs: &mut [Job],
) -> Option<()> {
    avx2::find_pairs(windows, runs, pairs, jobs)
}

/// Pairs that are compared at once.
const GROUP: usize = 16;

/// A block's pairs stand in the order of its documents, so what is left of a group after a
/// compress is an expansion by the documents' bits away from its 16 scores: no loop whose end
/// cannot be foreseen.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn add_pairs(pairs: &[[u8; 2]], jobs: &[Job], weight: u32, scores: &mut [Scores]) {
    let (weights, one) = (_mm512_set1_epi32(weight as i32), _mm512_set1_epi32(1));
    let (low, high) = (_mm512_set1_epi32(15), _mm512_set1_epi32(0xF0));
    for job in jobs {
        let (len, scores) = (usize::from(job.len), &mut scores[usize::from(job.slot)]);
        let run = &pairs[job.at as usize..];
        let Some(whole) = run.get(..len.next_multiple_of(GROUP)) else {
            // Near the end of the list.
            scalar::add_run(&run[..len], job.block, weight, scores);
            continue;
        };
        let block = _mm512_set1_epi32(i32::from(job.block) << 4);
        let Scores(scores) = scores;
        // SAFETY: 16 scores of four bytes.
        let mut sums = unsafe { _mm512_loadu_si512(scores.as_ptr().cast()) };
        let mut left = len;
        for group in whole.as_chunks::<GROUP>().0 {
            // SAFETY: 32 bytes.
            let loaded = unsafe { _mm256_loadu_si256(group.as_ptr().cast()) };
            let loaded = _mm512_cvtepu16_epi32(loaded);
            let inside = (u32::MAX >> (32 - left.min(GROUP))) as u16;
            let blocks = _mm512_and_si512(loaded, high);
            let here = _mm512_mask_cmpeq_epi32_mask(inside, blocks, block);
            let bits = _mm512_maskz_sllv_epi32(here, one, _mm512_and_si512(loaded, low));
            let documents = _mm512_reduce_or_epi32(bits) as u16;
            let impacts = _mm512_maskz_compress_epi32(here, _mm512_srli_epi32::<8>(loaded));
            let impacts = _mm512_maskz_expand_epi32(documents, impacts);
            sums = _mm512_add_epi32(sums, _mm512_mullo_epi32(impacts, weights));
            left = left.saturating_sub(GROUP);
        }
        // SAFETY: as above.
        unsafe { _mm512_storeu_si512(scores.as_mut_ptr().cast(), sums) };
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,popcnt")]
pub(super) fn add_bits(impacts: &[u8], jobs: &[Job], weight: u32, scores: &mut [Scores]) {
    avx2::add_bits(impacts, jobs, weight, scores);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn best(scores: &[Scores], jobs: &[Job], best: &mut [u32]) {
    scalar::best(scores, jobs, best);
}
