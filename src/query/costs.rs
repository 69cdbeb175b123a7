//! What [`Algorithm::Auto`] runs: the algorithm with the least estimated time.
//!
//! The constants were fitted to the times of single queries, as docs/tried.md says;
//! on another machine all of them change, their ratios little.

use super::filter::Kept;
use super::{Algorithm, Query};
use crate::format::postings::Representation;
use crate::format::skip;
use crate::index::Index;

/// The cheapest algorithm for a query, by estimate; never one that the index has no
/// section for.
pub fn choose(index: &Index, query: &Query, k: usize) -> Algorithm {
    let kept = query.filter.as_ref().and_then(|filter| filter.kept_of(index).ok());
    kept.map_or_else(
        || Facts::of(index, query, k).cheapest(),
        |kept| choose_kept(index, query, k, kept).0,
    )
}

/// Blocks × terms whose scoring takes as long as a scan: with more than that ahead of it
/// [`Algorithm::Auto`] scans after all.
pub(super) fn block_terms_of_a_scan(index: &Index, query: &Query, k: usize) -> u64 {
    (Facts::of(index, query, k).windowed() / BLOCK_TERM) as u64
}

/// What runs where a filter keeps `kept`: as if the others were not there, the threshold is that
/// of a deeper answer. `true` where it is quicker to ask for each kept document.
pub(super) fn choose_kept(
    index: &Index,
    query: &Query,
    k: usize,
    kept: &Kept,
) -> (Algorithm, bool) {
    let share = f64::from(kept.len().max(1)) / f64::from(index.documents().max(1));
    let facts = Facts::of(index, query, (k as f64 / share).ceil() as usize);
    // A scan has no threshold to reach, and nothing to look at where no document is kept.
    let answers = (k as f64).min(f64::from(kept.len()));
    let scan = Facts { k: answers, ..facts }.windowed() * kept.share_of_windows();
    let algorithm = facts.cheaper_than(scan);
    let directly = kept.few().is_some_and(|few| {
        let lists = facts.terms - facts.bitmaps;
        let each = 0.012 * facts.bitmaps + 0.1 * lists;
        0.5 * facts.terms + each * (few.len() as f64) < scan
    });
    (algorithm, directly)
}

/// What an estimate is made from.
#[derive(Debug, Clone, Copy, Default)]
struct Facts {
    documents: f64,
    k: f64,
    terms: f64,
    /// Postings of all lists, and of those by representation.
    postings: f64,
    packed: f64,
    stream: f64,
    /// Lists that are read document by document.
    bitmaps: f64,
    /// Rows of block maxima: of 16 documents, and of 32.
    fine: f64,
    coarse: f64,
    skip_data: bool,
}

impl Facts {
    fn of(index: &Index, query: &Query, k: usize) -> Self {
        let documents = index.documents();
        let mut facts = Facts {
            documents: f64::from(documents),
            k: (k as f64).clamp(1.0, f64::from(documents).max(1.0)),
            terms: query.terms.len() as f64,
            skip_data: index.has_skip_data(),
            ..Facts::default()
        };
        for term in &query.terms {
            let record = index.term(term.term);
            let df = f64::from(record.df.get());
            facts.postings += df;
            if facts.skip_data && skip::is_frequent(record.df.get(), documents) {
                let fine = skip::is_fine(record.df.get(), documents);
                *(if fine { &mut facts.fine } else { &mut facts.coarse }) += 1.0;
            }
            match Representation::from_number(record.representation) {
                Some(Representation::Stream | Representation::Positions) => facts.stream += df,
                Some(Representation::Bitmap) => facts.bitmaps += 1.0,
                Some(Representation::Packed) | None => facts.packed += df,
            }
        }
        facts
    }

    /// Ties go to the windowed scan: its time varies least.
    fn cheapest(&self) -> Algorithm {
        self.cheaper_than(self.windowed())
    }

    /// The same, where a scan takes `scan`.
    fn cheaper_than(&self, scan: f64) -> Algorithm {
        let mut best = (scan, Algorithm::Windowed);
        let mut offer = |micros: f64, algorithm| {
            if micros < best.0 {
                best = (micros, algorithm);
            }
        };
        offer(self.power(&MAXSCORE), Algorithm::MaxScore);
        offer(self.power(&BLOCK_MAX_WAND), Algorithm::BlockMaxWand);
        if self.skip_data {
            offer(self.block_pruned(), Algorithm::BlockPruned);
        }
        best.1
    }

    /// The scan reads everything, so its time is a sum, µs: within 9 % on average of 1,150
    /// queries × 4 depths.
    fn windowed(&self) -> f64 {
        let per_million_documents = 67.5 + 86.8 * self.bitmaps;
        1.7 + per_million_documents * self.documents * 1e-6
            + 0.000_77 * self.stream
            + 0.001_1 * self.packed
            + 0.12 * self.terms
            + 0.026 * self.k
    }

    /// Rare lists, sweeps over maxima, and the terms of the blocks that these leave, which is a
    /// guess, a power of what is known beforehand. What a sweep left is known before it is
    /// scored, see [`block_terms_of_a_scan`].
    fn block_pruned(&self) -> f64 {
        let millions = self.documents * 1e-6;
        let sweep = millions * (20.0 + 3.0 * self.fine + 2.0 * self.coarse);
        let block_terms = 2_200.0
            * (self.k / 10.0).powf(0.45)
            * millions.powf(0.53)
            * (self.terms / 6.0).powf(1.12);
        10.0 + 2.0 * self.terms + sweep + 0.004 * self.packed + block_terms * BLOCK_TERM
    }

    /// What pruning leaves depends on the query; powers of what is known beforehand are
    /// within 45 % on average, and the regions where algorithms win lie further apart.
    fn power(&self, [constant, k, documents, terms, postings]: &[f64; 5]) -> f64 {
        let log = constant
            + k * self.k.ln()
            + documents * self.documents.max(1.0).ln()
            + terms * self.terms.max(1.0).ln()
            + postings * self.postings.max(1.0).ln();
        // Opening a cursor decodes a block: 4.3 µs for 6.7 lists of 300 documents.
        0.7 * self.terms + log.exp()
    }
}

/// ln µs: constant, and exponents of k, documents, terms and postings.
const MAXSCORE: [f64; 5] = [-6.729, 0.212, 0.278, 0.480, 0.637];
const BLOCK_MAX_WAND: [f64; 5] = [-6.064, 0.225, 0.231, 0.487, 0.626];
/// µs of a term in a block of 16 documents, and what it takes to find the block.
const BLOCK_TERM: f64 = 0.065;

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(documents: f64, k: f64, terms: f64, postings: f64) -> Facts {
        Facts { documents, k, terms, postings, stream: postings, ..Facts::default() }
    }

    #[test]
    fn many_postings_are_scanned_and_few_are_walked() {
        // Six terms and twenty of SPLADE at 120,000 documents.
        assert_eq!(facts(120e3, 10.0, 6.0, 38e3).cheapest(), Algorithm::Windowed);
        assert_eq!(facts(120e3, 1000.0, 20.0, 180e3).cheapest(), Algorithm::Windowed);
        let rare = facts(1e6, 10.0, 2.0, 1_600.0).cheapest();
        assert!(matches!(rare, Algorithm::MaxScore | Algorithm::BlockMaxWand), "{rare}");
    }

    #[test]
    fn blocks_are_pruned_only_where_there_is_skip_data_and_much_to_skip() {
        let facts = |documents: f64, k, terms: f64, postings| Facts {
            fine: terms / 2.0,
            coarse: terms / 4.0,
            ..facts(documents, k, terms, postings)
        };
        let with = |facts| Facts { skip_data: true, ..facts };
        let large = facts(8.8e6, 10.0, 6.0, 2.8e6);
        assert_ne!(large.cheapest(), Algorithm::BlockPruned);
        assert_eq!(with(large).cheapest(), Algorithm::BlockPruned);
        assert_eq!(with(facts(30e3, 1000.0, 20.0, 45e3)).cheapest(), Algorithm::Windowed);
    }
}
