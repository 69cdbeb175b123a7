//! Bit-packed blocks with exceptions (patched frame of reference).
//!
//! Every block but the last holds 128 postings:
//!
//! ```text
//! gap bits (6) | bytes of a gap exception − 1 (2) : u8
//! gap exceptions                                  : u8
//! impact bits                                     : u8
//! impact exceptions                               : u8
//! gaps − 1, low bits     : 16 · gap bits bytes    (BitPacker4x)
//! impacts − 1, low bits  : 16 · impact bits bytes (BitPacker4x)
//! gap exceptions         : positions u8 …, high bits, little-endian …
//! impact exceptions      : positions u8 …, high bits u8 …
//! ```
//!
//! The width is the one that makes the block smallest. Packing gaps to the block's
//! largest costs 8.4 bits a posting on SPLADE vectors in BP order, with exceptions 6.8:
//! clustering makes outliers. The last block, if it has fewer than 128 postings, is
//! gap − 1 in LEB128 for each posting, then the impacts as they are.
//!
//! The gap of the first posting counts from the block before, or from −1. A list of one
//! block has no entries in BLOCK_LAST, BLOCK_OFFSET and BLOCK_MAX: BM25 has millions.

use bitpacking::{BitPacker, BitPacker4x};

use super::{Block, Encoded, List};
use crate::format::BLOCK;

const HEADER: usize = 4;

/// Appends a list.
pub fn encode(docids: &[u32], impacts: &[u8], out: &mut Encoded) {
    let start = out.bytes.len();
    let with_blocks = docids.len() > BLOCK;
    let mut before = u32::MAX;
    for (docids, impacts) in docids.chunks(BLOCK).zip(impacts.chunks(BLOCK)) {
        let last = docids[docids.len() - 1];
        if with_blocks {
            out.last.push(last);
            out.offset.push((out.bytes.len() - start) as u32);
            out.max.push(impacts.iter().copied().max().unwrap_or(0));
        }
        let mut gaps = [0u32; BLOCK];
        for (gap, &docid) in gaps.iter_mut().zip(docids) {
            *gap = docid.wrapping_sub(before).wrapping_sub(1);
            before = docid;
        }
        match docids.len() {
            BLOCK => encode_full(&gaps, impacts, &mut out.bytes),
            len => encode_tail(&gaps[..len], impacts, &mut out.bytes),
        }
    }
}

fn encode_full(gaps: &[u32; BLOCK], impacts: &[u8], out: &mut Vec<u8>) {
    let mut lower = [0u32; BLOCK];
    for (value, &impact) in lower.iter_mut().zip(impacts) {
        *value = u32::from(impact) - 1;
    }
    let (gap_width, impact_width) = (Width::cheapest(gaps), Width::cheapest(&lower));
    out.extend([
        gap_width.bits | (gap_width.exception_bytes - 1) << 6,
        gap_width.exceptions,
        impact_width.bits,
        impact_width.exceptions,
    ]);
    pack(gaps, gap_width.bits, out);
    pack(&lower, impact_width.bits, out);
    gap_width.write_exceptions(gaps, out);
    impact_width.write_exceptions(&lower, out);
}

fn encode_tail(gaps: &[u32], impacts: &[u8], out: &mut Vec<u8>) {
    for &gap in gaps {
        let mut rest = gap;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }
    out.extend_from_slice(impacts);
}

/// How one array of 128 values is cut into low bits and exceptions.
#[derive(Debug, Clone, Copy)]
struct Width {
    bits: u8,
    exceptions: u8,
    exception_bytes: u8,
}

impl Width {
    fn cheapest(values: &[u32; BLOCK]) -> Self {
        let mut by_bits = [0u8; 33];
        for value in values {
            by_bits[32 - value.leading_zeros() as usize] += 1;
        }
        let widest = by_bits.iter().rposition(|&n| n > 0).unwrap_or(0);
        let mut best = Width { bits: widest as u8, exceptions: 0, exception_bytes: 1 };
        let mut best_cost = 16 * widest;
        let mut exceptions = 0u8;
        for bits in (0..widest).rev() {
            exceptions += by_bits[bits + 1];
            let exception_bytes = (widest - bits).div_ceil(8);
            let cost = 16 * bits + usize::from(exceptions) * (1 + exception_bytes);
            if cost < best_cost {
                let (bits, exception_bytes) = (bits as u8, exception_bytes as u8);
                best = Width { bits, exceptions, exception_bytes };
                best_cost = cost;
            }
        }
        best
    }

    fn write_exceptions(self, values: &[u32; BLOCK], out: &mut Vec<u8>) {
        let high = |value: u32| if self.bits == 32 { 0 } else { value >> self.bits };
        let exceptional = || values.iter().enumerate().filter(|&(_, &v)| high(v) > 0);
        out.extend(exceptional().map(|(i, _)| i as u8));
        for (_, &value) in exceptional() {
            out.extend_from_slice(&high(value).to_le_bytes()[..self.exception_bytes as usize]);
        }
    }
}

fn pack(values: &[u32; BLOCK], bits: u8, out: &mut Vec<u8>) {
    let mask = if bits == 32 { u32::MAX } else { (1 << bits) - 1 };
    let low = values.map(|v| v & mask);
    let start = out.len();
    out.resize(start + 16 * bits as usize, 0);
    BitPacker4x::new().compress(&low, &mut out[start..], bits);
}

/// Decodes block `b`; `None` if its bytes contradict the format.
#[inline]
pub fn decode(list: &List<'_>, b: usize, out: &mut Block) -> Option<()> {
    let bytes = list.block_bytes(b)?;
    // u32::MAX stands for −1: adding gap − 1 + 1 wraps to the docid.
    let before = if b == 0 { u32::MAX } else { *list.last.get(b - 1)? };
    let postings = (list.df as usize).checked_sub(b * BLOCK)?.min(BLOCK);
    if postings == BLOCK {
        decode_full(bytes, out)?;
    } else {
        decode_tail(bytes, postings, out)?;
    }
    out.len = postings;
    sum_gaps(before, list.documents, out)
}

/// Turns gaps − 1 into docids, after a proof that none reaches `documents`.
#[inline]
fn sum_gaps(before: u32, documents: u32, out: &mut Block) -> Option<()> {
    let gaps = &mut out.docids[..out.len];
    let sum: u64 = gaps.iter().map(|&gap| u64::from(gap)).sum();
    let first = u64::from(before.wrapping_add(1));
    // The last docid; all before it are smaller, since every step is at least 1.
    if first + sum + gaps.len() as u64 > u64::from(documents) {
        return None;
    }
    let mut docid = before;
    for gap in gaps {
        docid = docid.wrapping_add(*gap).wrapping_add(1);
        *gap = docid;
    }
    Some(())
}

fn decode_full(bytes: &[u8], out: &mut Block) -> Option<()> {
    let (&[gap_header, gap_exceptions, impact_bits, impact_exceptions], rest) =
        bytes.split_first_chunk::<HEADER>()?;
    let (gap_bits, exception_bytes) = (gap_header & 63, usize::from(gap_header >> 6) + 1);
    // The packer panics on widths it does not know.
    if gap_bits > 32 || impact_bits > 8 {
        return None;
    }
    let (packed, rest) = rest.split_at_checked(16 * usize::from(gap_bits))?;
    BitPacker4x::new().decompress(packed, &mut out.docids, gap_bits);
    let (packed, rest) = rest.split_at_checked(16 * usize::from(impact_bits))?;
    let mut impacts = [0u32; BLOCK];
    BitPacker4x::new().decompress(packed, &mut impacts, impact_bits);

    let (positions, rest) = rest.split_at_checked(usize::from(gap_exceptions))?;
    let (highs, rest) = rest.split_at_checked(positions.len() * exception_bytes)?;
    for (&position, high) in positions.iter().zip(highs.chunks_exact(exception_bytes)) {
        let mut word = [0; 4];
        word[..exception_bytes].copy_from_slice(high);
        let high = u32::from_le_bytes(word).checked_shl(u32::from(gap_bits))?;
        *out.docids.get_mut(usize::from(position))? |= high;
    }
    let (positions, rest) = rest.split_at_checked(usize::from(impact_exceptions))?;
    for (&position, &high) in positions.iter().zip(rest.get(..positions.len())?) {
        *impacts.get_mut(usize::from(position))? |= u32::from(high) << impact_bits;
    }
    for (impact, value) in out.impacts.iter_mut().zip(impacts) {
        *impact = (value as u8).wrapping_add(1);
    }
    Some(())
}

fn decode_tail(bytes: &[u8], postings: usize, out: &mut Block) -> Option<()> {
    let mut rest = bytes.iter();
    for gap in &mut out.docids[..postings] {
        let (mut value, mut shift) = (0u32, 0);
        loop {
            let byte = *rest.next()?;
            value |= u32::from(byte & 0x7F).checked_shl(shift)?;
            if byte < 0x80 {
                break;
            }
            shift += 7;
        }
        *gap = value;
    }
    out.impacts[..postings].copy_from_slice(rest.as_slice().get(..postings)?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_width_with_the_fewest_bytes_wins() {
        let mut values = [3u32; BLOCK];
        assert_eq!(Width::cheapest(&values).bits, 2);
        values[5] = 1000;
        let width = Width::cheapest(&values);
        assert_eq!((width.bits, width.exceptions, width.exception_bytes), (2, 1, 1));
        assert_eq!(Width::cheapest(&[0; BLOCK]).bits, 0);
        assert_eq!(Width::cheapest(&[u32::MAX; BLOCK]).bits, 32);
    }
}
