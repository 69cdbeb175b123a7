//! Indexes of consecutive parts of a collection into one: the same results as one build
//! over the concatenated input, and with a fixed scale the same bytes.
//!
//! Lists stream: a few terms at a time are decoded from every part, joined and packed.

use std::ops::Range;
use std::path::Path;

use super::assemble::{self, Assembly, Target};
use super::attributes;
use super::bisected::Bisected;
use super::pack::{self, EachList, PostingLists};
use super::renumber::{Gathered, Renumber};
use super::{BuildOptions, Memory, parts};
use crate::error::{Error, Place, Result};
use crate::format::names::NameTable;
use crate::format::postings::Block;
use crate::format::writer::Written;
use crate::format::{FieldMeta, MAX_DOCUMENTS, Meta, Provenance, ShardMeta};
use crate::index::Index;
use crate::order::{self, BpOptions, ForwardIndex};
use crate::progress::{Progress, advance};

/// Document order of a merged index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MergeOrder {
    /// The parts as they are, one behind the other.
    #[default]
    Concat,
    /// Recursive graph bisection of all documents, as one build would order them.
    Bp,
}

/// What a merge did.
#[derive(Debug, Clone)]
pub struct MergeReport {
    /// The META section.
    pub meta: Meta,
    /// Content id and length of the file.
    pub written: Written,
    /// Mean log2 of gaps in input order and in the new order, if that was made.
    pub log_gap: Option<[f64; 2]>,
}

/// A term's place in a part where it does not occur.
const ABSENT: u32 = u32::MAX;

/// Merges `indexes`, in this order or, if they are shards, in that of their documents.
///
/// Memory, beside the constants of [`Memory`]: 24 bytes and the id a document, 4 bytes a
/// document and part under another order, 80 bytes and 4 a part for each term; under
/// [`MergeOrder::Bp`] what the bisection takes.
///
/// # Errors
/// Parts that do not belong together: other scale, bits, analyzer, tokenizer, codec or
/// pruning; missing or repeated shards; a document id in two parts; a part whose checksums
/// do not hold. Nothing is written.
pub fn merge(
    mut indexes: Vec<Index>,
    choice: MergeOrder,
    memory: Memory,
    target: &Path,
    progress: &dyn Progress,
) -> Result<MergeReport> {
    parts::sort_shards(&mut indexes)?;
    parts::check_alike(&indexes)?;
    let documents: u64 = indexes.iter().map(|index| index.meta().documents).sum();
    if documents > MAX_DOCUMENTS {
        return Err(Error::Usage(format!(
            "{documents} documents exceed the limit of {MAX_DOCUMENTS} an index"
        )));
    }
    let options = BuildOptions {
        codec: indexes[0].meta().codec,
        skip_data: indexes[0].has_skip_data(),
        memory,
        ..BuildOptions::default()
    };
    // A copy of damaged bytes would get checksums of its own.
    indexes.iter().try_for_each(Index::check)?;
    let names = names(&indexes)?;
    let head = names.encode().map_err(|pair| repeated(&indexes, &names, pair))?;
    let mut lists = Union::new(&indexes, documents as u32);
    let terms = lists.keys.len() as u64;
    let attributes = attributes::merged(&indexes, memory, 24 * documents)?;
    let held = 24 * documents
        + attributes.as_ref().map_or(0, |section| section.len() as u64)
        + names.bytes().len() as u64
        + terms * (80 + 4 * indexes.len() as u64)
        + 8 * documents;
    let shape = (documents as u32, &options);
    let least = pack::least_memory(&lists.frequencies, documents, shape);
    let (order, log_gap) = match choice {
        MergeOrder::Concat => (concatenated(&indexes), None),
        MergeOrder::Bp => {
            let need = bisect_bytes(&lists);
            memory.check_for(held, need, held + need.max(least), "`order` bp")?;
            let made = bisect(&mut lists, progress)?;
            (Some(made.order), Some([made.gap_before, made.gap_after]))
        }
    };
    let least = pack::least_memory(&lists.frequencies, lists.scratch(), shape);
    memory.check(held, least, "packing the lists")?;
    let meta = meta(&indexes, terms, order.is_some());
    let assembly = Assembly {
        meta: meta.clone(),
        keys: std::mem::take(&mut lists.keys),
        names: [&head, names.bytes()],
        order: order.as_deref(),
        attributes: attributes.as_deref().unwrap_or_default(),
        provenance: provenance(&indexes),
    };
    let written = assemble::write(assembly, lists, &options, Target::File(target), held, progress)?;
    Ok(MergeReport { meta, written, log_gap })
}

fn names(indexes: &[Index]) -> Result<NameTable> {
    let mut names = NameTable::default();
    for index in indexes {
        let part = index.external_ids();
        (0..part.len()).for_each(|ordinal| names.push(part.get(ordinal)));
        index.release();
    }
    Ok(names)
}

fn repeated(indexes: &[Index], names: &NameTable, (a, b): (u32, u32)) -> Error {
    let part = |ordinal: u32| {
        let mut end = 0;
        let holds = |index: &&Index| {
            end += index.meta().documents;
            u64::from(ordinal) < end
        };
        indexes.iter().find(holds).expect("ordinals are below the sum of the parts").path()
    };
    let id = String::from_utf8_lossy(names.get(a as usize)).into_owned();
    let problem = format!("document id {id:?} is also in {}", part(a).display());
    Error::data(part(b), Place::File, problem).hint("ids are unique in a collection")
}

/// The order of parts that are in another than input order, one behind the other.
fn concatenated(indexes: &[Index]) -> Option<Vec<u32>> {
    if indexes.iter().all(|index| index.order().is_none()) {
        return None;
    }
    let (mut order, mut base) = (Vec::new(), 0);
    for index in indexes {
        order.extend((0..index.documents()).map(|docid| base + index.ordinal(docid)));
        base += index.documents();
    }
    Some(order)
}

pub(super) fn meta(indexes: &[Index], terms: u64, reordered: bool) -> Meta {
    let sum = |count: fn(&Meta) -> u64| indexes.iter().map(|index| count(index.meta())).sum();
    let mut fields = indexes[0].meta().fields.clone();
    for (f, field) in fields.iter_mut().enumerate() {
        let sum = |count: fn(&FieldMeta) -> u64| {
            indexes.iter().map(|index| count(&index.meta().fields[f])).sum()
        };
        field.clipped = sum(|f| f.clipped);
        field.lifted = sum(|f| f.lifted);
        field.postings = sum(|f| f.postings);
    }
    Meta {
        documents: sum(|m| m.documents),
        postings: sum(|m| m.postings),
        terms,
        reordered,
        fields,
        shard: ShardMeta::default(),
        ..indexes[0].meta().clone()
    }
}

pub(super) fn provenance(indexes: &[Index]) -> Provenance {
    let mut inputs: Vec<String> = Vec::new();
    for input in indexes.iter().flat_map(|index| index.provenance().inputs) {
        if !inputs.contains(&input) {
            inputs.push(input);
        }
    }
    Provenance { inputs, model: indexes[0].provenance().model, ..Default::default() }
}

/// All lists of all parts, in the lexicon order of their union.
pub(super) struct Union<'a> {
    indexes: &'a [Index],
    /// Documents before each part.
    bases: Vec<u32>,
    keys: Vec<(u8, &'a [u8])>,
    frequencies: Vec<u32>,
    /// For each part, its term for each term of the union.
    terms: Vec<Vec<u32>>,
    renumber: Renumber,
    by_ordinal: bool,
}

impl<'a> Union<'a> {
    /// Documents of all parts.
    fn documents(&self) -> u32 {
        let last = self.bases.last().zip(self.indexes.last());
        last.map_or(0, |(base, last)| base + last.documents())
    }

    /// Terms that have gaps to be made small.
    fn ordered(&self) -> usize {
        self.frequencies.iter().filter(|&&df| df > 1).count()
    }

    /// Field byte and token of each term.
    pub(super) fn keys(&self) -> &[(u8, &'a [u8])] {
        &self.keys
    }

    /// The largest impact of a term in any part.
    pub(super) fn max_impact(&self, term: usize) -> u8 {
        let parts = self.indexes.iter().zip(&self.terms);
        let known = parts.filter(|(_, terms)| terms[term] != ABSENT);
        known.map(|(index, terms)| index.term(terms[term]).max_impact).max().unwrap_or(0)
    }

    /// The union of the terms of parts with so many documents.
    pub(super) fn new(indexes: &'a [Index], documents: u32) -> Self {
        let bases = indexes.iter().scan(0, |base, index| {
            *base += index.documents();
            Some(*base - index.documents())
        });
        let mut union = Union {
            indexes,
            bases: bases.collect(),
            keys: Vec::new(),
            frequencies: Vec::new(),
            terms: vec![Vec::new(); indexes.len()],
            renumber: Renumber::new(None, documents),
            by_ordinal: false,
        };
        let lexicons: Vec<_> = indexes.iter().map(Index::lexicon).collect();
        let mut next = vec![0u32; indexes.len()];
        loop {
            let heads = lexicons.iter().zip(&next).filter(|(l, n)| **n < l.len());
            let Some(key) = heads.map(|(lexicon, &n)| lexicon.key(n)).min() else { break };
            let mut df = 0u32;
            for (part, lexicon) in lexicons.iter().enumerate() {
                let has = next[part] < lexicon.len() && lexicon.key(next[part]) == key;
                union.terms[part].push(if has { next[part] } else { ABSENT });
                if has {
                    df = indexes[part].term(next[part]).df.get().saturating_add(df);
                    next[part] += 1;
                }
            }
            let (&field, token) = key.split_first().unwrap_or((&0, &[]));
            union.keys.push((field, token));
            union.frequencies.push(df);
        }
        union
    }

    /// Gathers the list of a term: docids of the concatenation or ordinals.
    fn gather(&self, term: usize, block: &mut Block, list: &mut Gathered) -> Result<()> {
        list.clear();
        for ((index, &base), terms) in self.indexes.iter().zip(&self.bases).zip(&self.terms) {
            if terms[term] == ABSENT {
                continue;
            }
            let part = index.list(terms[term])?;
            for b in 0..part.blocks() {
                part.decode(b, block).map_err(|_| index.damaged(terms[term]))?;
                let docids = &block.docids[..block.len];
                match index.order().filter(|_| self.by_ordinal) {
                    None => list.docids.extend(docids.iter().map(|docid| base + docid)),
                    Some(order) => {
                        for &docid in docids {
                            let ordinal = order[docid as usize];
                            if ordinal >= index.documents() {
                                return Err(index.damaged_order(ordinal));
                            }
                            list.docids.push(base + ordinal);
                        }
                    }
                }
                list.impacts.extend_from_slice(&block.impacts[..block.len]);
            }
        }
        if list.docids.len() != self.frequencies[term] as usize {
            let part = self.terms.iter().position(|terms| terms[term] != ABSENT).unwrap_or(0);
            return Err(self.indexes[part].damaged(self.terms[part][term]));
        }
        Ok(())
    }

    fn release(&self) {
        self.indexes.iter().for_each(Index::release);
    }
}

impl PostingLists for Union<'_> {
    type Fetched = Range<usize>;

    fn frequencies(&self) -> &[u32] {
        &self.frequencies
    }

    fn scratch(&self) -> u64 {
        self.renumber.scratch()
    }

    fn fetch(&mut self, terms: Range<usize>) -> Result<Range<usize>> {
        Ok(terms)
    }

    fn visit(&self, fetched: &Range<usize>, each: &mut EachList<'_>) -> Result<()> {
        let (mut block, mut list) = (Block::default(), Gathered::default());
        for term in fetched.clone() {
            self.gather(term, &mut block, &mut list)?;
            self.renumber.apply(&mut list);
            each(&list.docids, &list.impacts)?;
        }
        Ok(())
    }

    fn packed(&self) {
        self.release();
    }
}

/// What [`bisect`] needs: the forward index and its copies, and lists in hand while it is
/// filled.
fn bisect_bytes(lists: &Union<'_>) -> u64 {
    let postings = lists.frequencies.iter().map(|&df| u64::from(df)).sum();
    let longest = u64::from(lists.frequencies.iter().copied().max().unwrap_or(0));
    let documents = u64::from(lists.documents());
    let bp = BpOptions::default();
    order::bisect_bytes(lists.ordered(), postings, documents, &bp) + 8 * longest
}

/// Orders all documents as one build would: bisection starts from input order and its sums
/// do not depend on how terms are numbered.
fn bisect(lists: &mut Union<'_>, progress: &dyn Progress) -> Result<Bisected> {
    lists.by_ordinal = true;
    let bp = BpOptions::default();
    let documents = lists.documents();
    let kept = lists.ordered();
    progress.begin("merging", 2 * kept as u64);
    let (mut block, mut list, mut since) = (Block::default(), Gathered::default(), 0);
    let forward = ForwardIndex::transpose(documents, &lists.frequencies, |term, each| {
        lists.gather(term, &mut block, &mut list)?;
        list.docids.iter().for_each(|&ordinal| each(ordinal));
        advance(progress, 1)?;
        since += list.docids.len();
        if since > 1 << 22 {
            since = 0;
            lists.release();
        }
        Ok::<_, Error>(())
    })?;
    drop(list);
    lists.release();
    let start = order::identity(documents);
    let bisected = Bisected::of(&forward, start, &bp, progress)?;
    lists.renumber = Renumber::new(Some(&bisected.order), documents);
    Ok(bisected)
}
