//! Byte streams of (gap, impact) pairs that need no decoding.
//!
//! Documents are cut into windows of 2^13. In each window the list is a run of pairs
//! (u8 gap, u8 impact) with docid = previous + gap, where previous starts at the
//! window's first docid − 1, so that real gaps are 1..=255. The pair (255, 0) advances
//! without a posting, and (0, 0) pads the run to four pairs at its end. Impact 0 stands
//! nowhere else, so a reader may add every pair blindly: gap to the position, weight ·
//! impact to that position's accumulator.
//!
//! A block is at most 128 postings of one window; the advances before a posting belong
//! to its block.

use super::{Block, Encoded, List};
use crate::format::{BLOCK, WINDOW};

const WINDOW_BITS: u32 = WINDOW.trailing_zeros();
/// Pairs to which a window's run is padded: one 8-byte load.
const PAD: usize = 4;
/// Far more pairs than a block has: 128 postings, and advances over 2^13 documents.
const MOST_PAIRS: usize = 1024;

/// Appends a list.
pub fn encode(docids: &[u32], impacts: &[u8], documents: u32, out: &mut Encoded) {
    let start = out.bytes.len();
    let mut at = 0;
    for window in 0..documents.div_ceil(WINDOW) {
        out.windows.push((out.bytes.len() - start) as u32);
        let end = at + docids[at..].partition_point(|&d| d >> WINDOW_BITS <= window);
        let run_start = out.bytes.len();
        let mut before = i64::from(window * WINDOW) - 1;
        for (docids, impacts) in docids[at..end].chunks(BLOCK).zip(impacts[at..end].chunks(BLOCK)) {
            out.last.push(docids[docids.len() - 1]);
            out.offset.push((out.bytes.len() - start) as u32);
            out.max.push(impacts.iter().copied().max().unwrap_or(0));
            for (&docid, &impact) in docids.iter().zip(impacts) {
                let mut gap = i64::from(docid) - before;
                while gap > 255 {
                    out.bytes.extend([255, 0]);
                    gap -= 255;
                }
                out.bytes.extend([gap as u8, impact]);
                before = i64::from(docid);
            }
        }
        let run = out.bytes.len() - run_start;
        out.bytes.resize(run_start + run.next_multiple_of(2 * PAD), 0);
        at = end;
    }
}

/// Decodes block `b`; `None` if its bytes contradict the format.
#[inline]
pub fn decode(list: &List<'_>, b: usize, out: &mut Block) -> Option<()> {
    let bytes = list.block_bytes(b)?;
    let last = *list.last.get(b)?;
    let window_start = last >> WINDOW_BITS << WINDOW_BITS;
    let before = b.checked_sub(1).and_then(|b| list.last.get(b)).copied();
    // A block of another window before this one says nothing about where we start.
    let mut docid = match before {
        Some(before) if before >> WINDOW_BITS == last >> WINDOW_BITS => before,
        _ => window_start.wrapping_sub(1),
    };
    // Pads behind the last posting are left out, so that in a sound block every pair has
    // a free place to be written to; advances are overwritten by what follows them.
    let pairs = bytes.as_chunks::<2>().0;
    let pairs = &pairs[..pairs.iter().rposition(|&[_, impact]| impact != 0)? + 1];
    if pairs.len() > MOST_PAIRS {
        return None;
    }
    let (mut len, mut sound) = (0, true);
    for &[gap, impact] in pairs {
        // A posting without a gap is no posting: before the first window it would be docid −1.
        sound &= gap != 0 || impact == 0;
        docid = docid.wrapping_add(u32::from(gap));
        *out.docids.get_mut(len)? = docid;
        out.impacts[len] = impact;
        len += usize::from(impact != 0);
    }
    out.len = len;
    // So few gaps cannot wrap around: if the last docid is right, none is beyond it.
    (sound && last < list.documents && docid == last).then_some(())
}

impl<'a> List<'a> {
    /// The pairs of one window of a stream list, a multiple of four; empty where the
    /// directory contradicts the list.
    #[inline]
    pub fn stream_run(&self, window: usize) -> &'a [[u8; 2]] {
        let Some(&start) = self.windows.get(window) else { return &[] };
        let end = self.windows.get(window + 1).map_or(self.bytes.len(), |&o| o as usize);
        self.bytes.get(start as usize..end).unwrap_or_default().as_chunks().0
    }
}

#[cfg(test)]
mod tests {
    use super::super::Representation;
    use super::*;

    #[test]
    fn long_gaps_advance_and_runs_are_padded_to_four_pairs() {
        let mut out = Encoded::default();
        encode(&[0, 256, 1000, WINDOW + 2], &[9, 8, 7, 6], WINDOW + 3, &mut out);
        let first = [1, 9, 255, 0, 1, 8, 255, 0, 255, 0, 234, 7, 0, 0, 0, 0];
        assert_eq!(out.bytes[..16], first);
        assert_eq!(out.bytes[16..], [3, 6, 0, 0, 0, 0, 0, 0]);
        assert_eq!((out.windows, out.last), (vec![0, 16], vec![1000, WINDOW + 2]));
        assert_eq!((out.offset, out.max), (vec![0, 16], vec![9, 6]));
    }

    #[test]
    fn a_posting_without_a_gap_is_damage() {
        let mut encoded = Encoded::default();
        encode(&[0, 5], &[9, 8], 10, &mut encoded);
        assert_eq!(encoded.bytes[..4], [1, 9, 5, 8]);
        let mut block = Block::default();
        let mut decodes = |bytes: [u8; 6]| {
            encoded.bytes[..6].copy_from_slice(&bytes);
            let view = super::super::tests::view;
            decode(&view(&encoded, Representation::Stream, 2, 10), 0, &mut block).is_some()
        };
        assert!(decodes([1, 9, 5, 8, 0, 0]));
        assert!(!decodes([0, 9, 6, 8, 0, 0]), "docid -1");
        assert!(!decodes([6, 9, 0, 8, 0, 0]), "docid 5 twice");
    }

    #[test]
    fn adding_every_pair_blindly_visits_exactly_the_postings() {
        let docids: Vec<u32> = (0..2000).map(|i| i * 37 % 70_000 + i / 1892).collect();
        let docids: Vec<u32> = std::collections::BTreeSet::from_iter(docids).into_iter().collect();
        let impacts: Vec<u8> = docids.iter().map(|d| (d % 255 + 1) as u8).collect();
        let mut encoded = Encoded::default();
        encode(&docids, &impacts, 70_000, &mut encoded);
        let list = super::super::tests::view(
            &encoded,
            Representation::Stream,
            docids.len() as u32,
            70_000,
        );
        let mut found = Vec::new();
        for window in 0..70_000usize.div_ceil(WINDOW as usize) {
            let mut position = (window as i64 * i64::from(WINDOW)) - 1;
            for &[gap, impact] in list.stream_run(window) {
                position += i64::from(gap);
                if impact > 0 {
                    found.push((position as u32, impact));
                }
            }
        }
        assert!(found.iter().copied().eq(docids.iter().copied().zip(impacts)));
    }
}
