//! The algorithms by name, and what `auto` picks.

use std::collections::BTreeMap;

use super::{Approximation, Query, choose};
use crate::error::{Error, Place, Result};
use crate::index::Index;

macro_rules! algorithms {
    ($($(#[$doc:meta])* $name:ident = $label:literal;)*) => {
        /// How the top k are found.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Algorithm { $($(#[$doc])* $name,)* }

        impl Algorithm {
            /// Every algorithm.
            pub const ALL: &'static [Algorithm] = &[$(Algorithm::$name,)*];

            /// Its name on the command line and in reports.
            pub fn name(self) -> &'static str {
                match self { $(Algorithm::$name => $label,)* }
            }
        }
    };
}

algorithms! {
    /// The cheapest of the others, by [`choose`].
    Auto = "auto";
    /// Scores every posting of every term and sorts: the oracle.
    Exhaustive = "exhaustive";
    /// Broder et al., Efficient query evaluation using a two-level retrieval process
    /// (CIKM 2003).
    Wand = "wand";
    /// Ding and Suel, Faster top-k document retrieval using block-max indexes (SIGIR 2011).
    BlockMaxWand = "block_max_wand";
    /// Turtle and Flood, Query evaluation: strategies and optimizations (IP&M 1995).
    MaxScore = "maxscore";
    /// Chakrabarti et al., Interval-based pruning for top-k processing over compressed
    /// lists (ICDE 2011), as in PISA.
    BlockMaxMaxScore = "block_max_maxscore";
    /// Scores blocks of 16 documents whose maxima reach the threshold, the most promising
    /// first; needs skip data.
    BlockPruned = "block_pruned";
    /// Scores every posting, window by window, in a few SIMD passes.
    Windowed = "windowed";
}

/// An algorithm's name with what it picked, as [`Algorithm::picked`] counts: "auto (windowed
/// 98×, maxscore 2×)".
pub fn with_picks(name: &str, picked: &BTreeMap<&'static str, usize>) -> String {
    let counts: Vec<String> = picked.iter().map(|(name, n)| format!("{name} {n}×")).collect();
    match counts.is_empty() {
        true => name.to_owned(),
        false => format!("{name} ({})", counts.join(", ")),
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Algorithm {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Algorithm::ALL.iter().copied().find(|a| a.name() == name).ok_or_else(|| {
            let known: Vec<&str> = Algorithm::ALL.iter().map(|a| a.name()).collect();
            Error::Usage(format!("unknown algorithm {name:?}; known are {}", known.join(", ")))
        })
    }
}

impl Algorithm {
    /// The algorithm that runs: what [`choose`] says for [`Auto`](Algorithm::Auto), else
    /// itself.
    pub fn resolve(self, index: &Index, query: &Query, k: usize) -> Self {
        if self == Algorithm::Auto { choose(index, query, k) } else { self }
    }

    /// What [`Auto`](Self::Auto) picks, and for how many of `queries`; empty for others.
    pub fn picked<'q>(
        self,
        index: &Index,
        queries: impl Iterator<Item = &'q Query>,
        k: usize,
        approximation: &Approximation,
    ) -> BTreeMap<&'static str, usize> {
        let mut picked = BTreeMap::new();
        if self == Algorithm::Auto {
            for query in queries {
                let kept = approximation.kept(index, query);
                let runs = choose(index, &kept, approximation.candidates(k));
                *picked.entry(runs.name()).or_default() += 1;
            }
        }
        picked
    }

    /// Whether the index has what the algorithm needs.
    ///
    /// # Errors
    /// It lacks a section; the error says how to build it.
    pub fn check(self, index: &Index) -> Result<()> {
        if self == Algorithm::BlockPruned && !index.has_skip_data() {
            let problem = "block_pruned needs the section SKIP_BLOCKS, which is not there";
            return Err(Error::data(index.path(), Place::File, problem)
                .hint("build the index with `skip_data`, or use another algorithm"));
        }
        Ok(())
    }
}
