//! Documents and terms of two indexes, by one pass over all lists.

use std::cmp::Ordering;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rayon::prelude::*;
use serde::Serialize;

use crate::error::Result;
use crate::format::postings::Block;
use crate::index::{Index, TermId};
use crate::progress::{Progress, advance};

/// Ids and terms that are named.
const NAMED: usize = 20;
/// Terms between two steps of progress.
const STEP: usize = 256;

/// Documents, matched by id.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Documents {
    /// Documents of the old index.
    pub old: u64,
    /// Documents of the new one.
    pub new: u64,
    /// Documents of both with the same terms and impacts.
    pub same: u64,
    /// Documents of both with other terms or impacts.
    pub changed: u64,
    /// Of these, documents with other terms; the rest has other impacts only.
    pub changed_terms: u64,
    /// Documents that only the new index has.
    pub added: u64,
    /// Documents that only the old one has.
    pub removed: u64,
    /// The first ids of changed, added and removed documents, in bytewise order.
    pub examples: [Vec<String>; 3],
}

/// Terms, matched by field and token.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Terms {
    /// Terms of the old index.
    pub old: u64,
    /// Terms that only the new index has.
    pub new: u64,
    /// Terms that only the old one has.
    pub gone: u64,
    /// New terms with the longest lists.
    pub examples_new: Vec<TermDrift>,
    /// Terms gone that had the longest lists.
    pub examples_gone: Vec<TermDrift>,
    /// Terms of both whose share of the documents has changed most.
    pub drifted: Vec<TermDrift>,
}

/// A term in both indexes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TermDrift {
    /// Its field.
    pub field: String,
    /// The token.
    pub token: String,
    /// Documents with the term.
    pub documents: [u32; 2],
    /// Mean weight in these documents; 0 without any.
    pub weights: [f64; 2],
}

/// The lists of one field.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldDrift {
    /// `learned` or `bm25`.
    pub field: String,
    /// Postings.
    pub postings: [u64; 2],
    /// Mean weight of a posting.
    pub weights: [f64; 2],
    /// How far the shares of terms in the postings are apart: 0 where they are equal, 1 where no
    /// term is in both (total variation distance).
    pub length_drift: f64,
    /// The same of terms' shares in the sum of all weights.
    pub weight_drift: f64,
}

/// A term by its number in either index.
#[derive(Clone, Copy)]
struct Pair {
    terms: [Option<TermId>; 2],
}

/// What a term's lists hold.
#[derive(Clone, Copy, Default)]
struct Lists {
    documents: [u32; 2],
    impacts: [u64; 2],
}

/// Two sums a document: of hashes of its terms, and of its terms with their impacts. Sums do not
/// depend on the order in which lists are read.
struct Contents(Vec<[AtomicU64; 2]>);

pub(super) fn compare(
    old: &Index,
    new: &Index,
    progress: &dyn Progress,
) -> Result<(Documents, Terms, Vec<FieldDrift>)> {
    let pairs = pairs(old, new);
    progress.begin("comparing", pairs.len() as u64);
    let contents = [old, new].map(Contents::of);
    let parts: Vec<Vec<Lists>> = pairs
        .par_chunks(STEP)
        .map(|part| {
            let lists = part.iter().map(|pair| read([old, new], pair, &contents)).collect();
            advance(progress, part.len() as u64)?;
            lists
        })
        .collect::<Result<_>>()?;
    let lists: Vec<Lists> = parts.into_iter().flatten().collect();
    let documents = documents(old, new, &contents)?;
    let drift = Drift { indexes: [old, new], pairs: &pairs, lists: &lists };
    Ok((documents, drift.terms(), drift.fields()))
}

/// All terms of both in bytewise order.
fn pairs(old: &Index, new: &Index) -> Vec<Pair> {
    let (a, b) = (old.lexicon(), new.lexicon());
    let (mut i, mut j) = (0, 0);
    let mut pairs = Vec::with_capacity(a.len().max(b.len()) as usize);
    while i < a.len() || j < b.len() {
        let order = match (i < a.len(), j < b.len()) {
            (true, true) => a.key(i).cmp(b.key(j)),
            (true, false) => Ordering::Less,
            (false, _) => Ordering::Greater,
        };
        let terms = [order.is_le().then_some(i), order.is_ge().then_some(j)];
        i += u32::from(order.is_le());
        j += u32::from(order.is_ge());
        pairs.push(Pair { terms });
    }
    pairs
}

/// Adds a term's lists to the documents of both indexes.
fn read(indexes: [&Index; 2], pair: &Pair, contents: &[Contents; 2]) -> Result<Lists> {
    let mut lists = Lists::default();
    let mut hashes = None;
    for (side, index) in indexes.into_iter().enumerate() {
        let Some(term) = pair.terms[side] else { continue };
        let hashes = hashes.get_or_insert_with(|| Hashes::of(index.lexicon().key(term)));
        let list = index.list(term)?;
        let mut block = Block::default();
        for b in 0..list.blocks() {
            list.decode(b, &mut block).map_err(|_| index.damaged(term))?;
            let postings = block.docids[..block.len].iter().zip(&block.impacts[..block.len]);
            for (&docid, &impact) in postings {
                contents[side].add(docid, hashes, impact);
                lists.impacts[side] += u64::from(impact);
            }
            lists.documents[side] += block.len as u32;
        }
    }
    Ok(lists)
}

/// Pseudo-random numbers of a term, and of the term with each impact: its BLAKE3 output.
struct Hashes {
    term: u64,
    impacts: Box<[u64; 256]>,
}

impl Hashes {
    fn of(key: &[u8]) -> Self {
        let mut output = blake3::Hasher::new().update(key).finalize_xof();
        let mut bytes = [0; 257 * 8];
        output.fill(&mut bytes);
        let mut numbers = bytes.as_chunks::<8>().0.iter().map(|&b| u64::from_le_bytes(b));
        let term = numbers.next().unwrap_or_default();
        let mut impacts = Box::new([0; 256]);
        impacts.iter_mut().zip(numbers).for_each(|(slot, number)| *slot = number);
        Hashes { term, impacts }
    }
}

impl Contents {
    fn of(index: &Index) -> Self {
        Contents((0..index.documents()).map(|_| Default::default()).collect())
    }

    fn add(&self, docid: u32, hashes: &Hashes, impact: u8) {
        // Decoding gives no docid that the index does not have.
        let [terms, impacts] = &self.0[docid as usize];
        terms.fetch_add(hashes.term, Relaxed);
        impacts.fetch_add(hashes.impacts[usize::from(impact)], Relaxed);
    }

    fn get(&self, index: &Index, ordinal: u32) -> [u64; 2] {
        let docid = index.docid(ordinal).unwrap_or_default();
        self.0[docid as usize].each_ref().map(|sum| sum.load(Relaxed))
    }
}

/// Both indexes' documents by their ids, which both have in order.
fn documents(old: &Index, new: &Index, contents: &[Contents; 2]) -> Result<Documents> {
    let mut found = Documents {
        old: u64::from(old.documents()),
        new: u64::from(new.documents()),
        ..Documents::default()
    };
    let (a, b) = (old.external_ids(), new.external_ids());
    if let Some(&ordinal) = a.sorted().iter().find(|&&ordinal| ordinal >= a.len()) {
        return Err(old.damaged_order(ordinal));
    }
    if let Some(&ordinal) = b.sorted().iter().find(|&&ordinal| ordinal >= b.len()) {
        return Err(new.damaged_order(ordinal));
    }
    let (mut left, mut right) = (a.sorted().iter().peekable(), b.sorted().iter().peekable());
    let [changed, added, removed] = &mut found.examples;
    let name = |examples: &mut Vec<String>, id: &str| {
        if examples.len() < NAMED {
            examples.push(id.to_owned());
        }
    };
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(&&i), Some(&&j)) => a.get(i).cmp(b.get(j)),
        };
        let i = if order.is_le() { left.next() } else { None };
        let j = if order.is_ge() { right.next() } else { None };
        match (i, j) {
            (Some(&i), Some(&j)) => {
                let (was, is) = (contents[0].get(old, i), contents[1].get(new, j));
                found.changed_terms += u64::from(was[0] != is[0]);
                if was == is {
                    found.same += 1;
                } else {
                    found.changed += 1;
                    name(changed, a.get(i));
                }
            }
            (Some(&i), None) => {
                found.removed += 1;
                name(removed, a.get(i));
            }
            (None, Some(&j)) => {
                found.added += 1;
                name(added, b.get(j));
            }
            (None, None) => break,
        }
    }
    Ok(found)
}

struct Drift<'a> {
    indexes: [&'a Index; 2],
    pairs: &'a [Pair],
    lists: &'a [Lists],
}

impl Drift<'_> {
    fn terms(&self) -> Terms {
        let only = |side: usize| {
            let at =
                (0..self.pairs.len()).filter(move |&at| self.pairs[at].terms[1 - side].is_none());
            at.collect::<Vec<usize>>()
        };
        let (gone, new) = (only(0), only(1));
        let length = |side: usize| move |at: &usize| f64::from(self.lists[*at].documents[side]);
        let both = (0..self.pairs.len())
            .filter(|&at| self.pairs[at].terms.iter().all(Option::is_some) && self.moved(at) > 0.0);
        Terms {
            old: u64::from(self.indexes[0].lexicon().len()),
            new: new.len() as u64,
            gone: gone.len() as u64,
            examples_new: self.most(new, length(1)),
            examples_gone: self.most(gone, length(0)),
            drifted: self.most(both.collect(), |&at| self.moved(at)),
        }
    }

    /// By how much a term's share of the documents has changed.
    fn moved(&self, at: usize) -> f64 {
        let share = |side: usize| {
            let all = self.indexes[side].documents().max(1);
            f64::from(self.lists[at].documents[side]) / f64::from(all)
        };
        (share(0) - share(1)).abs()
    }

    /// Terms of which `by` says most.
    fn most(&self, mut terms: Vec<usize>, by: impl Fn(&usize) -> f64) -> Vec<TermDrift> {
        terms.sort_by(|a, b| by(b).total_cmp(&by(a)).then(a.cmp(b)));
        terms.truncate(NAMED);
        terms.into_iter().map(|at| self.term(at)).collect()
    }

    fn term(&self, at: usize) -> TermDrift {
        let terms = self.pairs[at].terms;
        let side = usize::from(terms[0].is_none());
        let index = self.indexes[side];
        let (field, token) = terms[side].map_or((0, ""), |term| index.lexicon().token(term));
        let Lists { documents, impacts } = self.lists[at];
        let weight = |side: usize| self.weight(side, field, impacts[side], documents[side].into());
        TermDrift {
            field: index.meta().field_name(field).to_owned(),
            token: token.to_owned(),
            documents,
            weights: [weight(0), weight(1)],
        }
    }

    /// The mean weight of postings with this sum of impacts.
    fn weight(&self, side: usize, field: u8, impacts: u64, postings: u64) -> f64 {
        let scale =
            self.indexes[side].meta().fields.get(usize::from(field)).map_or(1.0, |f| f.scale);
        if postings == 0 { 0.0 } else { impacts as f64 / scale / postings as f64 }
    }

    fn fields(&self) -> Vec<FieldDrift> {
        let fields = self.indexes[0].meta().fields.len() as u8;
        (0..fields).map(|field| self.field(field)).collect()
    }

    fn field(&self, field: u8) -> FieldDrift {
        let of_field = |at: usize| {
            let terms = self.pairs[at].terms;
            let side = usize::from(terms[0].is_none());
            let lexicon = self.indexes[side].lexicon();
            terms[side].is_some_and(|term| lexicon.token(term).0 == field)
        };
        let lists: Vec<&Lists> =
            (0..self.pairs.len()).filter(|&at| of_field(at)).map(|at| &self.lists[at]).collect();
        let sums = |part: fn(&Lists, usize) -> u64| {
            [0, 1].map(|side| lists.iter().map(|list| part(list, side)).sum::<u64>())
        };
        let lengths: fn(&Lists, usize) -> u64 = |list, side| list.documents[side].into();
        let weights: fn(&Lists, usize) -> u64 = |list, side| list.impacts[side];
        let (postings, impacts) = (sums(lengths), sums(weights));
        let drift = |part: fn(&Lists, usize) -> u64, sums: [u64; 2]| {
            let share = |list: &Lists, side| part(list, side) as f64 / sums[side].max(1) as f64;
            lists.iter().map(|l| (share(l, 0) - share(l, 1)).abs()).sum::<f64>() / 2.0
        };
        FieldDrift {
            field: self.indexes[0].meta().field_name(field).to_owned(),
            postings,
            weights: [0, 1].map(|side| self.weight(side, field, impacts[side], postings[side])),
            length_drift: drift(lengths, postings),
            weight_drift: drift(weights, impacts),
        }
    }
}
