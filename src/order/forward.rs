//! The forward index that bisection reads: which terms each document has, without
//! weights, two bytes a posting.

/// Term number in a forward index or in a part of one: `u16` wherever at most 65,536
/// terms take part, else `u32`.
pub(crate) trait TermId: Copy + Default + Send + Sync + 'static {
    /// Most terms this type can tell apart.
    const TERMS: usize;
    /// As a table index.
    fn index(self) -> usize;
    /// From a table index below [`Self::TERMS`].
    fn from_index(index: usize) -> Self;
    /// Length of a gain table over `terms` terms.
    fn table_len(terms: usize) -> usize;
    /// Sum of `table` over `terms`.
    fn sum(terms: &[Self], table: &[i32]) -> i32;
}

impl TermId for u16 {
    const TERMS: usize = 1 << 16;

    #[inline]
    fn index(self) -> usize {
        self as usize
    }

    #[inline]
    fn from_index(index: usize) -> Self {
        index as u16
    }

    fn table_len(_: usize) -> usize {
        // Full size, so that no look-up needs a bounds check.
        1 << 16
    }

    #[inline]
    fn sum(terms: &[u16], table: &[i32]) -> i32 {
        let table: &[i32; 1 << 16] = table.try_into().expect("table_len entries");
        let (fours, rest) = terms.as_chunks::<4>();
        let mut sums = [0i32; 4];
        for four in fours {
            for (sum, &t) in sums.iter_mut().zip(four) {
                *sum += table[t as usize];
            }
        }
        rest.iter().fold(sums.iter().sum(), |sum, &t| sum + table[t as usize])
    }
}

impl TermId for u32 {
    const TERMS: usize = u32::MAX as usize;

    #[inline]
    fn index(self) -> usize {
        self as usize
    }

    #[inline]
    fn from_index(index: usize) -> Self {
        index as u32
    }

    fn table_len(terms: usize) -> usize {
        terms
    }

    #[inline]
    fn sum(terms: &[u32], table: &[i32]) -> i32 {
        terms.iter().map(|&t| table[t as usize]).sum()
    }
}

/// Posting bytes of either width.
#[derive(Debug, Clone)]
pub(crate) enum Postings {
    /// At most 65,536 terms.
    Narrow(Vec<u16>),
    /// More.
    Wide(Vec<u32>),
}

/// Documents as lists of term numbers, numbered by falling document frequency (the
/// tables that bisection looks into are then hot at the front).
///
/// Memory: 2 bytes a posting for up to 65,536 terms and 4 beyond, 8 bytes a document,
/// 4 bytes a term. 8.8 million documents of 180 terms take 3.3 GB.
#[derive(Debug, Clone)]
pub struct ForwardIndex {
    pub(crate) offsets: Vec<u64>,
    pub(crate) postings: Postings,
    /// Document frequency of each term number.
    pub(crate) frequencies: Vec<u32>,
    pub(crate) longest: usize,
}

impl ForwardIndex {
    /// From posting lists, each the documents of one term: what a [`ForwardBuilder`] makes
    /// of the same documents with `finish(2)`, up to the order of terms in a document.
    ///
    /// `frequencies` has the number of documents of each term; `visit` is called with a
    /// term and hands its documents, all below `documents`, to the function given; twice a
    /// term of two documents or more.
    ///
    /// # Errors
    /// Those of `visit`.
    ///
    /// # Panics
    /// If lists change between visits.
    pub fn transpose<E>(
        documents: u32,
        frequencies: &[u32],
        mut visit: impl FnMut(usize, &mut dyn FnMut(u32)) -> Result<(), E>,
    ) -> Result<Self, E> {
        let kept: Vec<usize> = (0..frequencies.len()).filter(|&t| frequencies[t] >= 2).collect();
        let mut number = vec![0u32; frequencies.len()];
        let mut falling = kept.clone();
        falling.sort_by_key(|&t| (std::cmp::Reverse(frequencies[t]), t));
        falling.iter().zip(0..).for_each(|(&term, new)| number[term] = new);
        // Offsets, one place further: filling moves each to where the next document starts.
        let mut offsets = vec![0u64; documents as usize + 2];
        for &term in &kept {
            visit(term, &mut |document| offsets[document as usize + 2] += 1)?;
        }
        let longest = offsets.iter().copied().max().unwrap_or(0) as usize;
        for i in 2..offsets.len() {
            offsets[i] += offsets[i - 1];
        }
        let total = offsets[documents as usize + 1] as usize;
        let narrow = kept.len() <= u16::TERMS;
        let mut postings = match narrow {
            true => Postings::Narrow(vec![0; total]),
            false => Postings::Wide(vec![0; total]),
        };
        for &term in &kept {
            let new = number[term];
            visit(term, &mut |document| {
                let at = &mut offsets[document as usize + 1];
                match &mut postings {
                    Postings::Narrow(p) => p[*at as usize] = new as u16,
                    Postings::Wide(p) => p[*at as usize] = new,
                }
                *at += 1;
            })?;
        }
        offsets.pop();
        let frequencies = falling.iter().map(|&t| frequencies[t]).collect();
        Ok(ForwardIndex { offsets, postings, frequencies, longest })
    }

    /// Number of documents.
    pub fn len(&self) -> u32 {
        (self.offsets.len() - 1) as u32
    }

    /// Whether there are no documents.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of postings kept.
    pub fn num_postings(&self) -> u64 {
        self.offsets[self.offsets.len() - 1]
    }

    /// Number of terms kept.
    pub fn num_terms(&self) -> u32 {
        self.frequencies.len() as u32
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        let width = match self.postings {
            Postings::Narrow(_) => 2,
            Postings::Wide(_) => 4,
        };
        self.num_postings() * width
            + 8 * self.offsets.len() as u64
            + 4 * self.frequencies.len() as u64
    }

    #[inline]
    pub(crate) fn range(&self, doc: u32) -> std::ops::Range<usize> {
        self.offsets[doc as usize] as usize..self.offsets[doc as usize + 1] as usize
    }
}

/// Collects documents in input order into a [`ForwardIndex`].
///
/// Holds 2 bytes a posting while term ids stay below 65,536, then 4.
#[derive(Debug)]
pub struct ForwardBuilder {
    offsets: Vec<u64>,
    postings: Postings,
    frequencies: Vec<u32>,
}

impl Default for ForwardBuilder {
    fn default() -> Self {
        ForwardBuilder {
            offsets: vec![0],
            postings: Postings::Narrow(Vec::new()),
            frequencies: Vec::new(),
        }
    }
}

impl ForwardBuilder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next document; `terms` are ids of its source, each at most once.
    pub fn push(&mut self, terms: &[u32]) {
        let bound = terms.iter().max().map_or(0, |&t| t as usize + 1);
        if bound > self.frequencies.len() {
            self.frequencies.resize(bound, 0);
        }
        for &t in terms {
            self.frequencies[t as usize] += 1;
        }
        if bound > u16::TERMS
            && let Postings::Narrow(narrow) = &mut self.postings
        {
            let narrow = std::mem::take(narrow);
            self.postings = Postings::Wide(narrow.into_iter().map(u32::from).collect());
        }
        let end = match &mut self.postings {
            Postings::Narrow(p) => {
                p.extend(terms.iter().map(|&t| t as u16));
                p.len()
            }
            Postings::Wide(p) => {
                p.extend_from_slice(terms);
                p.len()
            }
        };
        self.offsets.push(end as u64);
    }

    /// Number of documents added.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether no document was added.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops terms in fewer than `min_frequency` documents and numbers the rest by
    /// falling frequency (ties: by source id). 2 drops only what has no gap to make small.
    pub fn finish(mut self, min_frequency: u32) -> ForwardIndex {
        let mut kept: Vec<u32> = (0..self.frequencies.len() as u32)
            .filter(|&t| self.frequencies[t as usize] >= min_frequency.max(1))
            .collect();
        kept.sort_by_key(|&t| (std::cmp::Reverse(self.frequencies[t as usize]), t));
        let mut map = vec![u32::MAX; self.frequencies.len()];
        for (new, &old) in kept.iter().enumerate() {
            map[old as usize] = new as u32;
        }
        let postings = match self.postings {
            Postings::Narrow(mut p) => {
                renumber(&mut p, &mut self.offsets, &map);
                Postings::Narrow(p)
            }
            Postings::Wide(mut p) => {
                renumber(&mut p, &mut self.offsets, &map);
                if kept.len() <= u16::TERMS {
                    Postings::Narrow(p.into_iter().map(|t| t as u16).collect())
                } else {
                    Postings::Wide(p)
                }
            }
        };
        let longest = self.offsets.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(0) as usize;
        let frequencies = kept.iter().map(|&t| self.frequencies[t as usize]).collect();
        ForwardIndex { offsets: self.offsets, postings, frequencies, longest }
    }
}

/// Applies `map` (`u32::MAX` drops) in place and moves the offsets along.
fn renumber<T: TermId>(postings: &mut Vec<T>, offsets: &mut [u64], map: &[u32]) {
    let (mut write, mut read) = (0usize, 0usize);
    for end in &mut offsets[1..] {
        for i in read..*end as usize {
            let new = map[postings[i].index()];
            if new != u32::MAX {
                postings[write] = T::from_index(new as usize);
                write += 1;
            }
        }
        read = *end as usize;
        *end = write as u64;
    }
    postings.truncate(write);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(forward: &ForwardIndex) -> Vec<Vec<u32>> {
        (0..forward.len())
            .map(|d| match &forward.postings {
                Postings::Narrow(p) => p[forward.range(d)].iter().map(|&t| t.into()).collect(),
                Postings::Wide(p) => p[forward.range(d)].to_vec(),
            })
            .collect()
    }

    #[test]
    fn terms_are_numbered_by_falling_frequency_and_rare_ones_dropped() {
        let mut builder = ForwardBuilder::new();
        for doc in [&[5, 9, 2][..], &[], &[9, 70_000], &[9, 2]] {
            builder.push(doc);
        }
        let forward = builder.finish(2);
        assert_eq!(lists(&forward), [vec![0, 1], vec![], vec![0], vec![0, 1]]);
        assert_eq!(forward.frequencies, [3, 2]);
        assert!(matches!(forward.postings, Postings::Narrow(_)));
        assert_eq!((forward.num_postings(), forward.longest), (5, 2));
    }

    #[test]
    fn transposed_lists_are_the_same_index() {
        let documents = [&[5, 9, 2][..], &[], &[9, 7], &[2, 9], &[5]];
        let mut builder = ForwardBuilder::new();
        documents.iter().for_each(|d| builder.push(d));
        let built = builder.finish(2);
        let with = |term: u32| (0..5u32).filter(move |&d| documents[d as usize].contains(&term));
        let frequencies: Vec<u32> = (0..10).map(|term| with(term).count() as u32).collect();
        let transposed = ForwardIndex::transpose(5, &frequencies, |term, each| {
            with(term as u32).for_each(each);
            Ok::<_, ()>(())
        })
        .unwrap();
        let sorted = |forward: &ForwardIndex| {
            let mut lists = lists(forward);
            lists.iter_mut().for_each(|list| list.sort());
            lists
        };
        assert_eq!(sorted(&transposed), sorted(&built));
        assert_eq!(transposed.frequencies, built.frequencies);
        assert_eq!((transposed.longest, &transposed.offsets), (built.longest, &built.offsets));
    }

    #[test]
    fn more_than_65536_terms_are_kept_apart() {
        let mut builder = ForwardBuilder::new();
        let all: Vec<u32> = (0..70_000).collect();
        builder.push(&[3]);
        builder.push(&all);
        let forward = builder.finish(1);
        assert_eq!(lists(&forward)[0], [0]);
        assert_eq!(lists(&forward)[1].len(), 70_000);
        assert_eq!(forward.num_terms(), 70_000);
    }

    #[test]
    fn narrow_sums_equal_wide_sums() {
        let table: Vec<i32> = (0..1 << 16).map(|i| i * 7 - 100_000).collect();
        for len in 0..20u16 {
            let narrow: Vec<u16> = (0..len).map(|i| i * 3001).collect();
            let wide: Vec<u32> = narrow.iter().map(|&t| t.into()).collect();
            assert_eq!(u16::sum(&narrow, &table), u32::sum(&wide, &table));
        }
    }
}
