//! The vectors of an index, from its posting lists.

use std::path::Path;

use crate::bm25;
use crate::error::{Error, Result};
use crate::format::FieldKind;
use crate::index::{Index, TermId};
use crate::vectors::TokenTable;
use crate::vectors::transpose::{DocumentTable, Inverted};

/// One field of an index, term by term; documents in their original order.
///
/// The weight of a learned term is its impact: an index built from these vectors has the
/// same lists. That of a BM25 term is idf × its tf part, so that a plain sum over the
/// query's terms, each as often as it stands there, is the BM25 score.
pub(super) struct IndexLists {
    index: Index,
    documents: DocumentTable,
    tokens: TokenTable,
    /// Terms of the field and what a unit of impact weighs.
    terms: Vec<(TermId, f64)>,
}

impl IndexLists {
    /// Decodes every list once to count the documents' terms.
    ///
    /// # Errors
    /// A damaged index; a field that it does not have, or none named where it has two.
    pub(super) fn open(path: &Path, field: Option<&str>) -> Result<Self> {
        let index = Index::open(path)?;
        index.check()?;
        let field = choose(&index, field)?;
        let lexicon = index.lexicon();
        let (mut tokens, mut terms) = (TokenTable::default(), Vec::new());
        for term in 0..index.meta().terms as TermId {
            let (of, token) = lexicon.token(term);
            if of != field {
                continue;
            }
            if tokens.intern(token) as usize != terms.len() {
                return Err(index.damaged(term));
            }
            terms.push((term, unit(&index, field, term)));
        }
        let mut documents = DocumentTable::new(index.documents() as usize, 0);
        let names = index.external_ids();
        (0..index.documents()).for_each(|ordinal| {
            documents.set_name(ordinal as usize, names.get(ordinal));
        });
        let mut lists = IndexLists { documents, tokens, terms, index };
        let mut counts = std::mem::take(&mut lists.documents.terms);
        lists.scan(&mut |_, ordinal, _| counts[ordinal as usize] += 1)?;
        lists.documents.terms = counts;
        Ok(lists)
    }
}

/// The field byte of the field that is asked for.
fn choose(index: &Index, name: Option<&str>) -> Result<u8> {
    let fields = &index.meta().fields;
    let names: Vec<&str> = fields.iter().map(|field| field.kind.name()).collect();
    let found = match name {
        Some(name) => names.iter().position(|&n| n == name),
        None => (names.len() == 1).then_some(0),
    };
    found.map(|at| at as u8).ok_or_else(|| {
        let path = index.path().display();
        let names = names.join(" and ");
        Error::Usage(match name {
            Some(name) => format!("{path} has no field {name:?}: it has {names}"),
            None => format!("{path} has the fields {names}: choose one with `field`"),
        })
    })
}

/// What an impact of 1 weighs in a list.
fn unit(index: &Index, field: u8, term: TermId) -> f64 {
    let meta = &index.meta().fields[field as usize];
    match meta.kind {
        FieldKind::Learned => 1.0,
        FieldKind::Bm25 { .. } => {
            let df = u64::from(index.term(term).df.get());
            bm25::idf(index.meta().documents, df) / meta.scale
        }
    }
}

impl Inverted for IndexLists {
    fn documents(&self) -> &DocumentTable {
        &self.documents
    }

    fn tokens(&self) -> &TokenTable {
        &self.tokens
    }

    fn scan(&mut self, visit: &mut dyn FnMut(u32, u32, f32)) -> Result<()> {
        let documents = self.index.documents();
        let mut block = crate::format::postings::Block::default();
        for (id, &(term, unit)) in (0..).zip(&self.terms) {
            let list = self.index.list(term)?;
            for b in 0..list.blocks() {
                list.decode(b, &mut block).map_err(|_| self.index.damaged(term))?;
                for (&docid, &impact) in block.docids[..block.len].iter().zip(&block.impacts) {
                    let ordinal = self.index.ordinal(docid);
                    let weight = (f64::from(impact) * unit) as f32;
                    if ordinal >= documents || !(weight.is_finite() && weight > 0.0) {
                        return Err(self.index.damaged(term));
                    }
                    visit(id, ordinal, weight);
                }
            }
        }
        Ok(())
    }

    fn path(&self) -> &Path {
        self.index.path()
    }
}
