//! From what a user asks to a query of one index: weighted tokens, BM25 text, or text
//! through a query encoder.
//!
//! Architecture invariant: this is the only place where queries meet encoders; `query`
//! knows integers, `encode` knows texts.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::bm25::{self, Analyzer, AvgDl, Bm25Params};
#[cfg(feature = "tokenize")]
use crate::encode::QueryEncoder;
use crate::error::{Error, Place, Result};
use crate::format::FieldKind;
use crate::index::Index;
use crate::query::Query;
use crate::query::file::{QueryBody, QueryFile, QueryInput, integer_terms, weight_scale};

/// A query file's query, ready for a [`Searcher`](crate::query::Searcher).
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Query id.
    pub id: String,
    /// The query against the index.
    pub query: Query,
    /// Tokens whose weight was or became 0.
    pub dropped: u32,
    /// Time from text to weighted tokens; zero for weighted queries.
    pub encoding: Duration,
}

/// Model weights become integers as `round(100 · w)`, whatever `--query-scale` says.
pub const TEXT_SCALE: f64 = 100.0;

/// The query side of one index.
pub struct QuerySide<'a> {
    index: &'a Index,
    texts: Texts,
}

enum Texts {
    Unsupported,
    Bm25(Box<Analyzer>),
    #[cfg(feature = "tokenize")]
    Model(Box<QueryEncoder>),
}

impl<'a> QuerySide<'a> {
    /// The query side that the index itself has: BM25's analyzer, or weighted tokens only.
    pub fn of_index(index: &'a Index) -> Result<Self> {
        let texts = match bm25_params(index)? {
            Some(params) => Texts::Bm25(Box::new(Analyzer::new(&params))),
            None => Texts::Unsupported,
        };
        Ok(QuerySide { index, texts })
    }

    /// Texts go through `encoder`.
    #[cfg(feature = "tokenize")]
    pub fn with_encoder(index: &'a Index, encoder: QueryEncoder) -> Result<Self> {
        if bm25_params(index)?.is_some() {
            let problem = "is a BM25 index, which analyses texts itself";
            return Err(Error::data(index.path(), Place::File, problem)
                .hint("leave --query-model out, or search the learned index"));
        }
        Ok(QuerySide { index, texts: Texts::Model(Box::new(encoder)) })
    }

    /// What answers the queries of `file`, for reports.
    pub fn describe(&self, file: &QueryFile) -> &'static str {
        if file.queries.iter().all(|q| matches!(q.body, QueryBody::Weighted(_))) {
            return "weighted tokens";
        }
        match &self.texts {
            Texts::Unsupported => "weighted tokens",
            Texts::Bm25(_) => "BM25 analyzer",
            #[cfg(feature = "tokenize")]
            Texts::Model(encoder) if encoder.is_inference_free() => "inference-free",
            #[cfg(feature = "tokenize")]
            Texts::Model(_) => "query encoder",
        }
    }

    /// Prepares every query of a file, one after another, each encoding timed.
    pub fn prepare(&self, file: &QueryFile, scale: f64) -> Result<Vec<Prepared>> {
        let scale = weight_scale(file, scale)?;
        let prepare = |query: &QueryInput| {
            let prepared = match &query.body {
                QueryBody::Text(text) => self.prepare_text(&query.id, text),
                QueryBody::Weighted(tokens) => self.prepare_tokens(&query.id, tokens, scale),
            };
            prepared.map_err(|e| at_line(e, &file.path, query.line))
        };
        file.queries.iter().map(prepare).collect()
    }

    fn prepare_tokens(&self, id: &str, tokens: &[(String, f64)], scale: f64) -> Result<Prepared> {
        let (terms, dropped) = integer_terms(tokens, scale).map_err(Error::Usage)?;
        let query = self.query(&terms)?;
        Ok(Prepared { id: id.to_owned(), query, dropped, encoding: Duration::ZERO })
    }

    /// Prepares one text.
    pub fn prepare_text(&self, id: &str, text: &str) -> Result<Prepared> {
        let start = Instant::now();
        let (terms, dropped) = self.text_terms(text)?;
        let encoding = start.elapsed();
        Ok(Prepared { id: id.to_owned(), query: self.query(&terms)?, dropped, encoding })
    }

    fn text_terms(&self, text: &str) -> Result<(Vec<(String, u32)>, u32)> {
        match &self.texts {
            Texts::Unsupported => Err(Error::Usage(unsupported())),
            Texts::Bm25(analyzer) => Ok((self.bm25_terms(analyzer, text), 0)),
            #[cfg(feature = "tokenize")]
            Texts::Model(encoder) => {
                let tokens: Vec<(String, f64)> =
                    encoder.encode(text)?.into_iter().map(|(t, w)| (t, f64::from(w))).collect();
                integer_terms(&tokens, TEXT_SCALE).map_err(Error::Usage)
            }
        }
    }

    fn bm25_terms(&self, analyzer: &Analyzer, text: &str) -> Vec<(String, u32)> {
        let documents = self.index.meta().documents;
        let lexicon = self.index.lexicon();
        let weight = |(token, qtf): (String, u32)| {
            // An unknown token keeps weight 1, so that it is counted as unknown.
            let weight = lexicon.find(0, &token).map_or(1, |term| {
                let df = u64::from(self.index.term(term).df.get());
                bm25::query_weight(bm25::idf(documents, df), qtf)
            });
            (token, weight)
        };
        analyzer.query(text).into_iter().map(weight).collect()
    }

    fn query(&self, terms: &[(String, u32)]) -> Result<Query> {
        Query::new(self.index, 0, terms.iter().map(|(token, weight)| (token.as_str(), *weight)))
    }
}

/// The error for a query model in a program that reads none.
#[cfg(not(feature = "tokenize"))]
pub(crate) fn without_models() -> Error {
    Error::Usage(
        "--query-model needs a splindex-query built with the feature encode or tokenize".into(),
    )
}

#[cfg(feature = "tokenize")]
fn unsupported() -> String {
    "the queries are texts and the index is not BM25; give --query-model DIR, or weighted tokens \
     (qid<TAB>token:weight …)"
        .into()
}

#[cfg(not(feature = "tokenize"))]
fn unsupported() -> String {
    "the queries are texts, and this program was built without the features tokenize and encode; \
     give weighted tokens (qid<TAB>token:weight …), or build with --features encode"
        .into()
}

/// A usage error about one query becomes an error about its line.
fn at_line(error: Error, path: &Path, line: u64) -> Error {
    match error {
        Error::Usage(problem) => Error::data(path, Place::Line(line), problem),
        other => other,
    }
}

/// The analyzer parameters that a BM25 index was built with.
fn bm25_params(index: &Index) -> Result<Option<Bm25Params>> {
    let Some(FieldKind::Bm25 { k1, b, avgdl, stemmer, stopwords }) =
        index.meta().fields.first().map(|f| &f.kind)
    else {
        return Ok(None);
    };
    let (stemmer, stopwords) = (stemmer.parse()?, stopwords.parse()?);
    Ok(Some(Bm25Params { k1: *k1, b: *b, avgdl: AvgDl::Fixed(*avgdl), stemmer, stopwords }))
}
