//! Byte streams of (position, impact) pairs: as [`stream`](super::stream), but each unit of 256
//! documents can be read by itself.
//!
//! Documents are cut into windows of 2^13, and each has a run of pairs (docid mod 256, impact).
//! No pair is more than 255 documents behind the one before, or behind the window's beginning
//! less one: where postings are further apart, a pair of impact 0 stands 255 documents behind
//! the one before. So the gaps are the differences mod 256, and a reader of the whole run needs
//! no more than those. A reader of one unit finds its pairs by [`Runs`].
//!
//! A unit with 255 pairs gets a pair of impact 0 at the position that it lacks: counts of 0 to
//! 254 and 256 fit into a byte. Pairs of the last position and impact 0 fill a run up to four.
//!
//! A block is half a unit, so it begins where documents say, as a dense list's.

use super::{Block, Encoded, List};
use crate::format::skip::{Runs, UNIT, UNITS};
use crate::format::{BLOCK, WINDOW};

/// Pairs to which a window's run is filled up: one 8-byte load.
const PAD: usize = 4;

/// Appends a list.
pub fn encode(docids: &[u32], impacts: &[u8], documents: u32, out: &mut Encoded) {
    let start = out.bytes.len();
    let mut at = 0;
    let mut pairs: Vec<(u32, u8)> = Vec::new();
    for window in 0..documents.div_ceil(WINDOW) {
        out.windows.push((out.bytes.len() - start) as u32);
        let end = at + docids[at..].partition_point(|&d| d / WINDOW <= window);
        pairs.clear();
        push_pairs(window * WINDOW, &docids[at..end], &impacts[at..end], &mut pairs);
        out.runs.push(runs(window * WINDOW, &pairs));
        let last = pairs.last().map(|&(docid, _)| (docid, 0));
        pairs.resize(pairs.len().next_multiple_of(PAD), last.unwrap_or_default());
        out.bytes.extend(pairs.iter().flat_map(|&(docid, impact)| [docid as u8, impact]));
        at = end;
    }
}

/// The pairs of a window, with whole docids.
fn push_pairs(first: u32, docids: &[u32], impacts: &[u8], out: &mut Vec<(u32, u8)>) {
    let mut before = i64::from(first) - 1;
    let units = docids.chunk_by(|a, b| a / UNIT == b / UNIT);
    let mut at = 0;
    for unit in units {
        let begin = out.len();
        for (&docid, &impact) in unit.iter().zip(&impacts[at..]) {
            while i64::from(docid) - before > 255 {
                before += 255;
                out.push((before as u32, 0));
            }
            out.push((docid, impact));
            before = i64::from(docid);
        }
        at += unit.len();
        // Pairs that lead to this unit may stand in earlier ones.
        let begin = begin + out[begin..].partition_point(|(d, _)| d / UNIT < unit[0] / UNIT);
        if out.len() - begin == 255 {
            let unit = unit[0] / UNIT * UNIT;
            let lacks = (0..255).find(|&i| out[begin + i].0 != unit + i as u32).unwrap_or(255);
            out.insert(begin + lacks, (unit + lacks as u32, 0));
            before = i64::from(out[out.len() - 1].0);
        }
    }
}

fn runs(first: u32, pairs: &[(u32, u8)]) -> Runs {
    let mut counts = [0usize; UNITS];
    for (docid, _) in pairs {
        counts[((docid - first) / UNIT) as usize] += 1;
    }
    Runs { counts: counts.map(|count| count.min(255) as u8) }
}

/// Decodes block `b`; `None` if its bytes contradict the format.
#[inline]
pub fn decode(list: &List<'_>, b: usize, out: &mut Block) -> Option<()> {
    let unit = b / 2;
    let (first, half) = (unit as u32 * UNIT, (b % 2) as u8);
    let mut next = 0;
    for &[position, impact] in list.unit_pairs(unit)? {
        if usize::from(position) < next {
            return None;
        }
        next = usize::from(position) + 1;
        if impact != 0 && position / BLOCK as u8 == half {
            out.push(first + u32::from(position), impact)?;
        }
    }
    (out.len == 0 || out.docids[out.len - 1] < list.documents).then_some(())
}

impl<'a> List<'a> {
    /// All pairs of a list of positions.
    #[inline]
    pub fn pairs(&self) -> &'a [[u8; 2]] {
        self.bytes.as_chunks().0
    }

    /// First pair of a unit in [`pairs`](Self::pairs), and how many there are.
    #[inline(always)]
    pub fn unit_run(&self, unit: usize) -> Option<(usize, usize)> {
        let (start, len) = self.runs.get(unit / UNITS)?.run(unit % UNITS);
        Some((*self.windows.get(unit / UNITS)? as usize / 2 + start, len))
    }

    /// The pairs of a unit.
    #[inline]
    fn unit_pairs(&self, unit: usize) -> Option<&'a [[u8; 2]]> {
        let (start, len) = self.unit_run(unit)?;
        self.pairs().get(start..start + len)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Representation;
    use super::*;

    #[test]
    fn gaps_beyond_255_have_pairs_between_and_runs_are_filled_to_four() {
        let mut out = Encoded::default();
        encode(&[0, 256, 1000, WINDOW + 2], &[9, 8, 7, 6], WINDOW + 3, &mut out);
        // 255, 256; 511, 766; 1000.
        let first = [0, 9, 255, 0, 0, 8, 255, 0, 254, 0, 232, 7, 232, 0, 232, 0];
        assert_eq!(out.bytes[..16], first);
        assert_eq!(out.bytes[16..], [2, 6, 2, 0, 2, 0, 2, 0]);
        assert_eq!(out.windows, vec![0, 16]);
        assert_eq!(out.runs[0].counts[..5], [2, 2, 1, 1, 0]);
        assert_eq!(out.runs[1].counts[..2], [1, 0]);
    }

    #[test]
    fn units_of_255_get_a_pair_of_impact_0() {
        for lacks in [0, 100, 255] {
            let docids: Vec<u32> = (0..700).filter(|&d| d != 256 + lacks).collect();
            let impacts = vec![3; docids.len()];
            let mut encoded = Encoded::default();
            encode(&docids, &impacts, 700, &mut encoded);
            assert_eq!(encoded.runs[0].counts[..3], [255, 255, 700u32.wrapping_sub(512) as u8]);
            assert_eq!(encoded.runs[0].run(2), (512, 188));
            let view = super::super::tests::view;
            let list = view(&encoded, Representation::Positions, docids.len() as u32, 700);
            assert_eq!(list.decode_all(), Ok((docids, impacts)));
        }
    }

    #[test]
    fn positions_that_go_back_are_damage() {
        let mut encoded = Encoded::default();
        encode(&[0, 5], &[9, 8], 10, &mut encoded);
        let mut block = Block::default();
        encoded.bytes[2] = 0;
        let view = super::super::tests::view;
        let list = view(&encoded, Representation::Positions, 2, 10);
        assert!(list.decode(0, &mut block).is_err());
    }
}
