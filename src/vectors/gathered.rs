//! A collection on disk while its output is made: formats that begin with counts, or are
//! inverted, cannot be written before the last record is read.

use std::path::Path;

use super::{TokenTable, VectorRecord, VectorSource};
use crate::corpus::{IdSet, check_id};
use crate::error::{Error, Place, Result};
use crate::progress::Progress;
use crate::quantize::{Clipping, Quantizer};
use crate::spill::Spill;

/// Bytes of a posting in the temporary file: term and weight.
const POSTING: u64 = 8;
/// Bytes read and written at a time.
const CHUNK: usize = 1 << 20;
/// Postings inverted at a time, 8 bytes each; more take further passes over the file.
const BUFFER: u64 = 128 << 20;
/// f32 holds whole numbers up to here exactly, and so do our readers of integer formats.
const LARGEST_INTEGER: f32 = 16_777_216.0;

/// Takes ordinal and (term, weight) pairs of one document.
type VisitRow<'a> = dyn FnMut(usize, &[(u32, f32)]) -> Result<()> + 'a;
/// Takes term, docids and weights of one list.
type VisitList<'a> = dyn FnMut(u32, &[u32], &[f32]) -> Result<()> + 'a;

/// All records of a collection: postings in a temporary file (8 bytes each), ids, tokens
/// and 16 bytes a document in memory.
pub(crate) struct Gathered {
    postings: Spill,
    ids: String,
    id_ends: Vec<u64>,
    ends: Vec<u64>,
    tokens: TokenTable,
    vocabulary: Option<TokenTable>,
    df: Vec<u64>,
    largest: f32,
    integers: bool,
    zeros: u64,
}

impl Gathered {
    /// Reads `sources` one after another; the temporary file lies in `dir`.
    ///
    /// # Errors
    /// Those of the sources; an id that occurs twice.
    pub(crate) fn collect(
        sources: &mut [Box<dyn VectorSource>],
        dir: &Path,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let mut gathered = Gathered {
            postings: Spill::create(dir)?,
            ids: String::new(),
            id_ends: Vec::new(),
            ends: Vec::new(),
            tokens: TokenTable::default(),
            vocabulary: None,
            df: Vec::new(),
            largest: 0.0,
            integers: true,
            zeros: 0,
        };
        let mut packed = Vec::with_capacity(CHUNK);
        let known = sources.first().map_or(0, |source| source.tokens().len());
        for_each(sources, progress, |record, _, own| {
            gathered.push(record, own, &mut packed);
            if packed.len() >= CHUNK {
                gathered.postings.append(&packed)?;
                packed.clear();
            }
            Ok(())
        })?;
        gathered.postings.append(&packed)?;
        if let [source] = &*sources
            && known > 0
            && known == source.tokens().len()
        {
            // Positions are lost where a token stands twice.
            gathered.vocabulary = Some(source.tokens().clone()).filter(TokenTable::is_unique);
        }
        gathered.zeros = sources.iter().map(|source| source.zero_weights()).sum();
        Ok(gathered)
    }

    /// Takes over one record; its postings are packed behind `packed`.
    fn push(&mut self, record: &VectorRecord, own: &mut OwnTerms, packed: &mut Vec<u8>) {
        let start = self.ends.last().copied().unwrap_or(0);
        self.ends.push(start + record.terms.len() as u64);
        self.ids.push_str(&record.id);
        self.id_ends.push(self.ids.len() as u64);
        own.map(&record.terms, &mut self.tokens);
        self.df.resize(self.tokens.len(), 0);
        for (&term, &weight) in own.terms.iter().zip(&record.weights) {
            self.df[term as usize] += 1;
            self.largest = self.largest.max(weight);
            self.integers &= weight.fract() == 0.0 && weight <= LARGEST_INTEGER;
            packed.extend_from_slice(&term.to_le_bytes());
            packed.extend_from_slice(&weight.to_le_bytes());
        }
    }

    pub(crate) fn documents(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn postings(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Ends of the documents' postings, from the first document on.
    pub(crate) fn ends(&self) -> &[u64] {
        &self.ends
    }

    pub(crate) fn id(&self, ordinal: usize) -> &str {
        let start = if ordinal == 0 { 0 } else { self.id_ends[ordinal - 1] as usize };
        &self.ids[start..self.id_ends[ordinal] as usize]
    }

    pub(crate) fn tokens(&self) -> &TokenTable {
        &self.tokens
    }

    /// All tokens of the one source, if it knew them before its first record.
    pub(crate) fn vocabulary(&self) -> Option<&TokenTable> {
        self.vocabulary.as_ref()
    }

    /// Weights that were zero and dropped by the sources.
    pub(crate) fn zeros(&self) -> u64 {
        self.zeros
    }

    /// Largest weight, and whether all are whole numbers that f32 holds exactly.
    pub(crate) fn weights(&self) -> (f32, bool) {
        (self.largest, self.integers)
    }

    /// Terms that occur, in the bytewise order of their tokens.
    pub(crate) fn sorted_terms(&self) -> Vec<u32> {
        let mut terms: Vec<u32> =
            (0..self.df.len() as u32).filter(|&t| self.df[t as usize] > 0).collect();
        terms.sort_unstable_by_key(|&t| self.tokens.token(t).as_bytes());
        terms
    }

    /// Visits every document's terms and weights, in the order they were read.
    pub(crate) fn rows(&self, visit: &mut VisitRow<'_>) -> Result<()> {
        let (mut chunk, mut row) = (Vec::new(), Vec::new());
        // The chunk holds bytes from..to of the file.
        let (mut from, mut to, mut start) = (0, 0, 0);
        for (ordinal, end) in self.ends.iter().map(|end| end * POSTING).enumerate() {
            if end > to {
                (from, to) = (start, end.max(self.postings.len().min(start + CHUNK as u64)));
                chunk.resize((to - from) as usize, 0);
                self.postings.read(&mut chunk, from)?;
            }
            row.clear();
            let bytes = &chunk[(start - from) as usize..(end - from) as usize];
            row.extend(bytes.as_chunks().0.iter().map(|&[a, b, c, d, e, f, g, h]| {
                (u32::from_le_bytes([a, b, c, d]), f32::from_le_bytes([e, f, g, h]))
            }));
            visit(ordinal, &row)?;
            start = end;
        }
        Ok(())
    }

    /// The sum of each document's impacts; counts in `impacts` what was cut off.
    pub(crate) fn lengths(&self, impacts: &mut ImpactLists) -> Result<Vec<u32>> {
        let mut lengths = Vec::with_capacity(self.documents());
        self.rows(&mut |ordinal, row| {
            let length: u64 = row.iter().map(|&(_, w)| u64::from(impacts.count(w))).sum();
            // A length is a signed 32-bit number in CIFF and unsigned in PISA's files.
            let length = i32::try_from(length).map_err(|_| {
                let id = self.id(ordinal);
                Error::Usage(format!("the weights of document {id:?} sum to {length}: too many"))
            })?;
            lengths.push(length as u32);
            Ok(())
        })?;
        Ok(lengths)
    }

    /// Visits the lists of `order` as (term, docids, weights), docids ascending.
    pub(crate) fn lists(
        &self,
        order: &[u32],
        progress: &dyn Progress,
        visit: &mut VisitList<'_>,
    ) -> Result<()> {
        self.lists_within(BUFFER, order, progress, visit)
    }

    fn lists_within(
        &self,
        buffer: u64,
        order: &[u32],
        progress: &dyn Progress,
        visit: &mut VisitList<'_>,
    ) -> Result<()> {
        progress.begin("writing", order.len() as u64);
        let mut left = order;
        while !left.is_empty() {
            let mut sum = 0;
            let fits = left.iter().take_while(|&&term| {
                sum += self.df[term as usize];
                sum <= buffer
            });
            let (batch, rest) = left.split_at(fits.count().max(1));
            left = rest;
            // Where the next posting of a term goes; terms of other batches go nowhere.
            let mut cursors = vec![u64::MAX; self.df.len()];
            let mut total = 0;
            for &term in batch {
                cursors[term as usize] = total;
                total += self.df[term as usize];
            }
            let (mut docids, mut weights) = (vec![0; total as usize], vec![0.0; total as usize]);
            self.rows(&mut |ordinal, row| {
                for &(term, weight) in row {
                    let cursor = &mut cursors[term as usize];
                    if *cursor != u64::MAX {
                        docids[*cursor as usize] = ordinal as u32;
                        weights[*cursor as usize] = weight;
                        *cursor += 1;
                    }
                }
                Ok(())
            })?;
            for &term in batch {
                let end = cursors[term as usize] as usize;
                let list = end - self.df[term as usize] as usize..end;
                visit(term, &docids[list.clone()], &weights[list])?;
                progress.advance(1);
            }
        }
        Ok(())
    }
}

/// Terms of one record as ids of a common table.
#[derive(Default)]
pub(crate) struct OwnTerms {
    known: Vec<u32>,
    pub(crate) terms: Vec<u32>,
    from: Vec<Box<str>>,
}

impl OwnTerms {
    fn learn(&mut self, tokens: &TokenTable) {
        for id in self.from.len()..tokens.len() {
            self.from.push(tokens.token(id as u32).into());
            self.known.push(u32::MAX);
        }
    }

    /// Fills `terms`; a token takes its id when a record has it first, so that the ids
    /// depend on the records and not on the vocabulary that a source knows.
    pub(crate) fn map(&mut self, terms: &[u32], common: &mut TokenTable) {
        self.terms.clear();
        for &term in terms {
            let known = &mut self.known[term as usize];
            if *known == u32::MAX {
                *known = common.intern(&self.from[term as usize]);
            }
            self.terms.push(*known);
        }
    }
}

/// Reads every record of `sources` in order and checks that no id occurs twice.
///
/// # Errors
/// Those of the sources, and an id that is none or was there: they name the file.
pub(crate) fn for_each(
    sources: &mut [Box<dyn VectorSource>],
    progress: &dyn Progress,
    mut visit: impl FnMut(&VectorRecord, &TokenTable, &mut OwnTerms) -> Result<()>,
) -> Result<()> {
    let total = sources.iter().map(|s| s.len_hint()).sum::<Option<u64>>().unwrap_or(0);
    progress.begin("reading", total);
    let (mut record, mut ids) = (VectorRecord::default(), IdSet::default());
    for source in sources {
        let mut own = OwnTerms::default();
        while source.read(&mut record)? {
            let bad = |problem| {
                let (path, place) = source.place().unwrap_or((Path::new("input"), Place::File));
                Error::data(path, place, problem)
            };
            check_id(&record.id).map_err(bad)?;
            if !ids.insert(&record.id) {
                let id = &record.id;
                return Err(bad(format!(
                    "expected unique document ids, found {id:?} a second time"
                )));
            }
            own.learn(source.tokens());
            visit(&record, source.tokens(), &mut own)?;
            progress.advance(1);
        }
    }
    Ok(())
}

/// How weights become whole numbers in formats that hold nothing else.
#[derive(Debug, Clone)]
pub(crate) struct ImpactLists {
    quantizer: Option<Quantizer>,
    clipping: Clipping,
}

impl ImpactLists {
    /// Weights are whole numbers already and stay what they are.
    pub(crate) fn kept() -> Self {
        ImpactLists { quantizer: None, clipping: Clipping::default() }
    }

    /// As a build would quantise them.
    pub(crate) fn quantized(quantizer: Quantizer) -> Self {
        ImpactLists { quantizer: Some(quantizer), clipping: Clipping::default() }
    }

    /// The impact of a weight.
    pub(crate) fn of(&self, weight: f32) -> u32 {
        match &self.quantizer {
            Some(quantizer) => u32::from(quantizer.impact(weight, &mut Clipping::default())),
            None => weight as u32,
        }
    }

    /// The impact of a weight, counted in [`clipping`](Self::clipping).
    fn count(&mut self, weight: f32) -> u32 {
        match &self.quantizer {
            Some(quantizer) => u32::from(quantizer.impact(weight, &mut self.clipping)),
            None => weight as u32,
        }
    }

    /// What quantises, unless weights are kept.
    pub(crate) fn quantizer(&self) -> Option<&Quantizer> {
        self.quantizer.as_ref()
    }

    /// What the range cut off.
    pub(crate) fn clipping(&self) -> Clipping {
        self.clipping
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::progress::Silent;
    use crate::vectors::Documents;
    use crate::vectors::jsonl::JsonVectorReader;
    use crate::vectors::testing::vectors;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn lists_are_the_transpose_of_the_rows_in_any_buffer(
            vectors in vectors(false), buffer in 1u64..200,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut sources: Vec<Box<dyn VectorSource>> = vec![Box::new(Documents::new(vectors.clone()))];
            let gathered = Gathered::collect(&mut sources, dir.path(), &Silent).unwrap();
            let mut found = vec![std::collections::BTreeMap::new(); vectors.len()];
            let order = gathered.sorted_terms();
            gathered.lists_within(buffer, &order, &Silent, &mut |term, docids, weights| {
                assert!(docids.windows(2).all(|pair| pair[0] < pair[1]));
                for (&docid, &weight) in docids.iter().zip(weights) {
                    found[docid as usize].insert(gathered.tokens().token(term).to_owned(), weight);
                }
                Ok(())
            }).unwrap();
            for ((i, (id, vector)), found) in vectors.iter().enumerate().zip(&found) {
                prop_assert_eq!(gathered.id(i), id);
                prop_assert_eq!(vector, found);
            }
        }
    }

    #[test]
    fn an_id_that_two_sources_have_is_told_with_its_place_in_the_second() {
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str| -> Box<dyn VectorSource> {
            std::fs::write(dir.path().join(name), "\n{\"id\":\"a\",\"vector\":{}}\n").unwrap();
            Box::new(JsonVectorReader::open(&[dir.path().join(name)]).unwrap())
        };
        let mut sources = [open("x.jsonl"), open("y.jsonl")];
        let error = Gathered::collect(&mut sources, dir.path(), &Silent).err().unwrap().to_string();
        let expected = "y.jsonl:2: expected unique document ids, found \"a\" a second time";
        assert!(error.ends_with(expected), "{error}");
    }
}
