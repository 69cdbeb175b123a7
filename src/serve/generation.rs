//! An index and its query side, opened, verified and warm before it answers anybody.

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

use super::ServeOptions;
use crate::error::{Error, Place, Result};
use crate::index::{Index, Load};
use crate::queries::{QueryBuilder, TextLimits};
use crate::query::{Algorithm, Query, QueryTerm, Searcher};

/// Words of a BM25 query that are read where nothing else is said. Each asks for a list, and
/// questions have a dozen.
pub const MOST_WORDS: usize = 1024;

/// What of an index file is read before it answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verify {
    /// Every checksum.
    #[default]
    Checksums,
    /// Checksums, then everything that posting lists promise.
    Deep,
    /// Lengths and the header only.
    None,
}

impl std::str::FromStr for Verify {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "checksums" => Ok(Verify::Checksums),
            "deep" => Ok(Verify::Deep),
            "none" => Ok(Verify::None),
            _ => Err(Error::setting("verify", "checksums, deep or none", format!("{name:?}"))),
        }
    }
}

/// What is to be served.
#[derive(Clone)]
pub struct Target {
    /// The index file.
    pub index: PathBuf,
    /// Folder (or hub id) of the model for text queries, where the index is learned.
    pub query_model: Option<PathBuf>,
    /// The release that it is of.
    pub release: Option<String>,
    /// Kept while it is served: what holds the files in their place.
    pub held: Option<Arc<dyn Any + Send + Sync>>,
}

/// The index that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// Its content id.
    pub content_id: String,
    /// The release that it is of, where it is of one.
    pub release: Option<String>,
    /// Its documents.
    pub documents: u32,
    /// Postings of all lists.
    pub postings: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Whether it answers texts, not only weighted tokens.
    pub texts: bool,
    /// What is to be said of its queries: a model that is not that of the documents.
    pub warning: Option<String>,
}

/// What workers share and nothing changes.
pub(super) struct Loaded {
    pub(super) index: Index,
    pub(super) side: QueryBuilder,
    pub(super) serving: Arc<Serving>,
    /// Dropped behind the index.
    _held: Option<Arc<dyn Any + Send + Sync>>,
}

/// Opens, verifies and warms `target`; it must do all that `before` does.
pub(super) fn load(
    options: &ServeOptions,
    target: &Target,
    before: Option<&Serving>,
) -> Result<Loaded> {
    let index = Index::open_with(&target.index, options.load)?;
    verify(&index, options.verify)?;
    let (words, tokens) = match options.max_query_length {
        None => (MOST_WORDS, 0),
        Some(0) => return Err(Error::setting("max_query_length", "at least 1", 0)),
        Some(n) => (n, n),
    };
    let side = QueryBuilder::load_within(
        &index,
        target.query_model.as_deref(),
        options.hybrid_weight,
        Some(TextLimits { tokens, words }),
    )?;
    let serving = Serving {
        content_id: index.content_id(),
        release: target.release.clone(),
        documents: index.documents(),
        postings: index.meta().postings,
        bytes: index.file_len(),
        texts: side.takes_texts(),
        warning: side.other_model_warning(),
    };
    if let Some(before) = before {
        fits(&index, &serving, before)?;
    }
    warm(&index, options.load)?;
    Ok(Loaded { index, side, serving: Arc::new(serving), _held: target.held.clone() })
}

/// Whether the bytes are those that were written.
fn verify(index: &Index, verify: Verify) -> Result<()> {
    match verify {
        Verify::None => Ok(()),
        Verify::Checksums => index.check(),
        Verify::Deep => {
            index.check()?;
            match index.verify_deep().faults.into_iter().next() {
                None => Ok(()),
                Some(fault) => Err(Error::data(index.path(), Place::File, fault)
                    .hint("copy or build the file again")),
            }
        }
    }
}

/// Clients of the index before must not find their queries refused, or answered by chance.
fn fits(index: &Index, new: &Serving, before: &Serving) -> Result<()> {
    let refused = |problem: String| {
        Err(Error::data(index.path(), Place::File, problem).hint(
            "publish an index that `query_model` belongs to, or start another server for this one",
        ))
    };
    match &new.warning {
        Some(warning) if before.warning.is_none() => return refused(warning.clone()),
        _ => {}
    }
    if before.texts && !new.texts {
        return refused(
            "expected an index that answers texts as the one before, found one that needs a \
             query model for them"
                .into(),
        );
    }
    Ok(())
}

/// Queries that warm an index, and terms of each.
const WARM: (u32, u32) = (8, 8);

/// Touches what queries read, and answers a few of the index's own terms: what is slow for want
/// of pages is slow now, and what answers nothing never goes live.
fn warm(index: &Index, load: Load) -> Result<()> {
    if load == Load::Mmap {
        index.touch();
    }
    let (queries, each) = WARM;
    let (lexicon, all) = (index.lexicon(), queries * each);
    let terms = (0..all.min(lexicon.len())).map(|i| {
        (u64::from(i) * u64::from(lexicon.len()) / u64::from(all.min(lexicon.len()))) as u32
    });
    let terms: Vec<QueryTerm> = terms.map(|term| QueryTerm { term, weight: 1 }).collect();
    let mut searcher = Searcher::new(index);
    for terms in terms.chunks(each as usize) {
        let query = Query { terms: terms.to_vec(), ..Query::default() };
        searcher.search(&query, 10, Algorithm::Auto)?;
    }
    Ok(())
}
