//! From what a user asks to a query of one index: weighted tokens, BM25 text, text
//! through a query encoder, or two of these for a hybrid index.
//!
//! Architecture invariant: this is the only place where queries meet encoders; `query`
//! knows integers, `encode` knows texts.

mod constraints;
pub mod file;
mod fit;
mod hybrid;
mod limits;
mod required;
mod tokens;

use std::path::Path;
#[cfg(feature = "tokenize")]
use std::sync::Arc;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::bm25::{self, Analyzer, AvgDl, Bm25Params};
#[cfg(feature = "tokenize")]
use crate::encode::QueryEncoder;
use crate::error::{Error, Place, Result};
use crate::format::FieldKind;
use crate::index::{Index, Summary};
use crate::queries::file::{
    QueryBody, QueryFile, QueryInput, broken_list, integer_terms, weight_scale,
};
use crate::query::Query;
use constraints::Compiled;
use fit::{Part, fit};
use hybrid::HybridParts;

pub use constraints::{Constraints, Lift};
pub use fit::Rounding;
pub use hybrid::DEFAULT_HYBRID_WEIGHT;
pub use limits::TextLimits;
pub use required::operators;
pub use tokens::Tokens;

/// A query ready for a [`Searcher`](crate::query::Searcher).
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Query id; empty for a query of no file.
    pub id: String,
    /// The query against the index.
    pub query: Query,
    /// Tokens whose weight was or became 0.
    pub dropped: u32,
    /// Time from text to weighted tokens; zero for weighted queries.
    pub encoding: Duration,
    /// What rounding did to the weights for a hybrid index; nothing for others, whose
    /// weights are integers by rule, but for BM25 texts so long that they were halved.
    pub rounding: Rounding,
    /// Whether the text is longer than what was read of it.
    pub truncated: bool,
    /// The integer score of 1.0: a score divided by it is the sum of query weight × document
    /// weight, of BM25 Lucene's score.
    pub unit: f64,
}

impl Prepared {
    fn new(query: Query, dropped: u32, encoding: Duration, rounding: Rounding, unit: f64) -> Self {
        let (id, truncated) = (String::new(), false);
        Prepared { id, query, dropped, encoding, rounding, truncated, unit }
    }

    /// An integer score in the units of the weights that it comes from.
    pub fn weighed(&self, score: u32) -> f64 {
        f64::from(score) / self.unit
    }
}

impl AsRef<Query> for Prepared {
    fn as_ref(&self) -> &Query {
        &self.query
    }
}

/// Model weights become integers as `round(100 · w)`, whatever `--query-scale` says.
pub const TEXT_SCALE: f64 = 100.0;

/// Makes queries of one index, of which it owns a handle: of texts, of weighted tokens, of both
/// for an index of two fields.
///
/// ```
/// use splindex::{Algorithm, Builder, QueryBuilder};
/// let index = Builder::new().texts([("d1", "blue whale"), ("d2", "red ship")])?.index()?;
/// let queries = QueryBuilder::new(&index)?;
/// let asked = queries.text("whales")?;
/// let mut searcher = index.searcher();
/// let hits = searcher.search(&asked.query, 10, Algorithm::Auto)?;
/// assert_eq!(index.id(hits[0].ordinal), "d1");
/// let score = asked.weighed(hits[0].score); // Lucene's BM25 score
/// assert!((score - 0.69).abs() < 0.01);
/// # Ok::<(), splindex::Error>(())
/// ```
pub struct QueryBuilder {
    index: Index,
    texts: Texts,
    hybrid: Option<Hybrid>,
    limits: Option<TextLimits>,
    compiled: Compiled,
}

/// What the BM25 part of a hybrid index needs.
struct Hybrid {
    analyzer: Box<Analyzer>,
    /// h, the weight of the learned part.
    weight: f64,
}

enum Texts {
    Unsupported,
    Bm25(Box<Analyzer>),
    #[cfg(feature = "tokenize")]
    Model(Arc<QueryEncoder>),
}

impl QueryBuilder {
    /// Takes what the index itself knows: texts by BM25's analyzer, or weighted tokens only.
    ///
    /// # Errors
    /// An analyzer that this program does not know.
    pub fn new(index: &Index) -> Result<Self> {
        let analyzer = bm25_params(index)?.map(|params| Box::new(Analyzer::new(&params)));
        let (texts, hybrid) = match analyzer {
            Some(analyzer) if index.meta().is_hybrid() => {
                (Texts::Unsupported, Some(Hybrid { analyzer, weight: DEFAULT_HYBRID_WEIGHT }))
            }
            Some(analyzer) => (Texts::Bm25(analyzer), None),
            None => (Texts::Unsupported, None),
        };
        Ok(QueryBuilder {
            index: index.clone(),
            texts,
            hybrid,
            limits: None,
            compiled: Compiled::default(),
        })
    }

    /// As [`new`](Self::new), with the model in folder `model` for texts and
    /// [`weighing`](Self::weighing) `hybrid_weight`, where they are given; the time of a
    /// query is that of one thread. A BM25 index analyses texts itself and
    /// [needs no model](Self::needs_no_model): it is not read.
    ///
    /// # Errors
    /// Those of loading the model and of weighing; a program without encoders.
    pub fn load(index: &Index, model: Option<&Path>, hybrid_weight: Option<f64>) -> Result<Self> {
        Self::load_within(index, model, hybrid_weight, None)
    }

    /// As [`load`](Self::load), for texts of strangers: of a text no more is read than `limits`
    /// say.
    ///
    /// # Errors
    /// Also a `max_query_length` that the model does not have.
    pub fn load_within(
        index: &Index,
        model: Option<&Path>,
        hybrid_weight: Option<f64>,
        limits: Option<TextLimits>,
    ) -> Result<Self> {
        let side = match model.filter(|_| !Self::needs_no_model(index)) {
            None => Self::new(index),
            #[cfg(feature = "tokenize")]
            Some(dir) => {
                use crate::encode::EncoderOptions;
                let max_length = limits.map_or(0, |limits| limits.tokens);
                #[cfg(feature = "encode")]
                let options =
                    EncoderOptions { threads: 1, max_length, ..EncoderOptions::default() };
                #[cfg(not(feature = "encode"))]
                let options = EncoderOptions { max_length };
                let encoder = QueryEncoder::load(dir, &options).map_err(limits::of_queries)?;
                Self::with_encoder(index, encoder)
            }
            #[cfg(not(feature = "tokenize"))]
            Some(_) => Err(without_models()),
        }?;
        let side = QueryBuilder { limits, ..side };
        match hybrid_weight {
            Some(h) => side.weighing(h),
            None => Ok(side),
        }
    }

    /// As [`load_within`](Self::load_within), for a collection in parts: [`Tokens`] carry its queries
    /// to them.
    ///
    /// # Errors
    /// As [`load_within`](Self::load_within).
    pub fn of_summary(
        summary: &Summary,
        model: Option<&Path>,
        hybrid_weight: Option<f64>,
        limits: Option<TextLimits>,
    ) -> Result<Self> {
        Self::load_within(summary.terms(), model, hybrid_weight, limits)
    }

    /// Whether texts are asked of `index` without a query model: of a BM25 index.
    pub fn needs_no_model(index: &Index) -> bool {
        matches!(index.meta().fields[0].kind, FieldKind::Bm25 { .. })
    }

    /// Texts go through `encoder`, which several indexes may share; in a hybrid index, those of
    /// the learned part.
    ///
    /// # Errors
    /// A BM25 index.
    #[cfg(feature = "tokenize")]
    pub fn with_encoder(index: &Index, encoder: impl Into<Arc<QueryEncoder>>) -> Result<Self> {
        let side = Self::new(index)?;
        if matches!(side.texts, Texts::Bm25(_)) {
            let problem = "is a BM25 index, which analyses texts itself";
            return Err(Error::data(index.path(), Place::File, problem)
                .hint("leave `query_model` out, or search the learned index"));
        }
        Ok(QueryBuilder { texts: Texts::Model(encoder.into()), ..side })
    }

    /// A warning for queries by another model than the documents' own, unless both read
    /// texts alike: as the halves of a pair do, and models that have nothing in common do not.
    pub fn other_model_warning(&self) -> Option<String> {
        #[cfg(not(feature = "tokenize"))]
        return None;
        #[cfg(feature = "tokenize")]
        {
            use crate::encode::TextEncoder;
            let Texts::Model(encoder) = &self.texts else { return None };
            let documents = self.index.provenance().model?;
            let field = |name: &str| documents["model"][name].as_str().map(str::to_owned);
            let (name, tokenizer) = (field("name")?, field("tokenizer_digest")?);
            let queries = encoder.info();
            let alike = queries.tokenizer_digest == tokenizer || queries.name == name;
            (!alike).then(|| {
                format!(
                    "documents were encoded by {name:?}, queries are by {:?}, with another \
                     tokenizer file; answers mean something only if the two belong together",
                    queries.name
                )
            })
        }
    }

    /// Whether queries may be texts.
    pub fn takes_texts(&self) -> bool {
        !matches!(self.texts, Texts::Unsupported)
    }

    /// Whether h is 0: a hybrid index answers as BM25.
    pub fn is_weighed_as_bm25(&self) -> bool {
        self.hybrid.as_ref().is_some_and(|hybrid| hybrid.weight == 0.0)
    }

    /// Sets h, the weight of the learned part of a hybrid index, instead of
    /// [`DEFAULT_HYBRID_WEIGHT`]. 0 asks BM25 alone.
    ///
    /// # Errors
    /// The index has one field, or h is negative or not finite.
    pub fn weighing(mut self, h: f64) -> Result<Self> {
        if !(h.is_finite() && h >= 0.0) {
            return Err(Error::setting("hybrid_weight", "0 or more", h));
        }
        let Some(hybrid) = &mut self.hybrid else {
            let problem = "has one field, so `hybrid_weight` has nothing to weigh";
            return Err(Error::data(self.index.path(), Place::File, problem)
                .hint("build `hybrid_text` makes an index of two"));
        };
        hybrid.weight = h;
        Ok(self)
    }

    /// What answers the queries of `file`, for reports.
    pub fn describe(&self, file: &QueryFile) -> &'static str {
        let weighted = |q: &QueryInput| matches!(self.asked(q), QueryBody::Weighted(_));
        let weighted = file.queries.iter().all(weighted);
        let model = match &self.texts {
            #[cfg(feature = "tokenize")]
            Texts::Model(encoder) if !weighted => Some(encoder.is_inference_free()),
            _ => None,
        };
        match (&self.texts, &self.hybrid, model) {
            (_, Some(_), Some(true)) => "hybrid: BM25 and inference-free",
            (_, Some(_), Some(false)) => "hybrid: BM25 and query encoder",
            (_, Some(_), None) => "hybrid: BM25 and weighted tokens",
            (_, None, Some(true)) => "inference-free",
            (_, None, Some(false)) => "query encoder",
            (Texts::Bm25(_), None, None) if !weighted => "BM25 analyzer",
            (_, None, None) => "weighted tokens",
        }
    }

    /// The query of a text: by BM25's analyzer, by the encoder, or by both for an index of two
    /// fields.
    ///
    /// # Errors
    /// A learned index without an encoder; those of encoding.
    pub fn text(&self, text: &str) -> Result<Prepared> {
        if self.hybrid.is_some() {
            return self.parts(&QueryBody::Text(text.to_owned()), None);
        }
        let start = Instant::now();
        if let Texts::Bm25(analyzer) = &self.texts {
            let (stems, truncated) = self.bm25_tokens(0, analyzer, text);
            return Ok(Prepared { truncated, ..self.bm25(&stems, start.elapsed())? });
        }
        let (tokens, truncated) = self.encode(text)?;
        let (terms, dropped) = integer_terms(&tokens, TEXT_SCALE).map_err(Error::Usage)?;
        let prepared = self.terms(&terms, dropped, start.elapsed(), TEXT_SCALE)?;
        Ok(Prepared { truncated, ..prepared })
    }

    /// The query of weighted tokens for an index of one field, or the learned one of two
    /// (then texts or tokens for BM25 belong beside it: [`parts`](Self::parts)). Weights that are
    /// all integers are taken as they are, others times [`TEXT_SCALE`] and rounded.
    ///
    /// # Errors
    /// A weight that is negative, not finite or too large; an index of two fields whose learned
    /// field is not [asked alone](Self::weighing).
    pub fn tokens<T: AsRef<str>>(
        &self,
        tokens: impl IntoIterator<Item = (T, f64)>,
    ) -> Result<Prepared> {
        let tokens = tokens.into_iter().map(|(token, weight)| (token.as_ref().to_owned(), weight));
        let tokens: Vec<(String, f64)> = tokens.collect();
        for (token, weight) in &tokens {
            file::check_weight(token, *weight).map_err(Error::Usage)?;
        }
        if self.hybrid.is_some() {
            return self.parts(&QueryBody::Weighted(tokens), None);
        }
        let scale = file::scale_of(tokens.iter().map(|(_, weight)| *weight), TEXT_SCALE);
        self.weighted(&tokens, scale)
    }

    /// Prepares every query of a file, one after another, each encoding timed.
    pub fn prepare(&self, file: &QueryFile, scale: f64) -> Result<Vec<Prepared>> {
        self.prepare_counted(file, scale, || {})
    }

    /// As [`prepare`](Self::prepare), with a call of `done` behind each query.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub fn prepare_counted(
        &self,
        file: &QueryFile,
        scale: f64,
        done: impl Fn(),
    ) -> Result<Vec<Prepared>> {
        let prepare = self.preparing(file, scale)?;
        file.queries.iter().map(|query| prepare(query).inspect(|_| done())).collect()
    }

    /// As [`prepare`](Self::prepare), on the threads of the caller's pool: encoding takes the
    /// same queries less time together, and each more.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare): that of the first query that has one.
    pub fn prepare_together(&self, file: &QueryFile, scale: f64) -> Result<Vec<Prepared>> {
        let prepare = self.preparing(file, scale)?;
        let prepared: Vec<_> = file.queries.par_iter().with_min_len(16).map(prepare).collect();
        prepared.into_iter().collect()
    }

    /// How queries of a file are prepared.
    fn preparing<'f>(
        &'f self,
        file: &'f QueryFile,
        scale: f64,
    ) -> Result<impl Fn(&QueryInput) -> Result<Prepared> + Sync + 'f> {
        let scale = weight_scale(file, scale)?;
        if let (Texts::Unsupported, None, Some((line, problem))) =
            (&self.texts, &self.hybrid, broken_list(file))
        {
            return Err(Error::data(&file.path, file.place(line), problem)
                .hint("most other lines are lists of token:weight; texts need `query_model`"));
        }
        Ok(move |query: &QueryInput| {
            let prepared = match (self.asked(query), &self.texts) {
                _ if self.hybrid.is_some() => self.parts(&query.body, query.bm25.as_ref()),
                (QueryBody::Text(text), _) => self.text(text),
                (QueryBody::Weighted(stems), Texts::Bm25(_)) if query.bm25.is_some() => {
                    self.bm25(stems, Duration::ZERO)
                }
                (QueryBody::Weighted(tokens), _) => self.weighted(tokens, scale),
            };
            let prepared =
                prepared.and_then(|prepared| self.constrain(prepared, &query.constraints));
            let prepared = prepared.map_err(|e| at_place(e, file, query.line))?;
            Ok(Prepared { id: query.id.clone(), ..prepared })
        })
    }

    /// What a query of a file asks of an index with one field: a BM25 index takes the part
    /// that stands beside a learned vector for it.
    fn asked<'q>(&self, query: &'q QueryInput) -> &'q QueryBody {
        match (&self.texts, &query.bm25) {
            (Texts::Bm25(_), Some(bm25)) => bm25,
            _ => &query.body,
        }
    }

    fn weighted(&self, tokens: &[(String, f64)], scale: f64) -> Result<Prepared> {
        let (terms, dropped) = integer_terms(tokens, scale).map_err(Error::Usage)?;
        self.terms(&terms, dropped, Duration::ZERO, scale)
    }

    /// Terms with integer weights that are `scale` times those asked for.
    fn terms(
        &self,
        terms: &[(String, u32)],
        dropped: u32,
        encoding: Duration,
        scale: f64,
    ) -> Result<Prepared> {
        let terms = terms.iter().map(|(token, weight)| (token.as_str(), *weight));
        let query = Query::new(&self.index, 0, terms)?;
        let unit = scale * self.index.meta().fields[0].scale;
        Ok(Prepared::new(query, dropped, encoding, Rounding::default(), unit))
    }

    /// A query of both parts of a hybrid index: `body` is asked of the learned field, `bm25`, or
    /// else `body`, of the other.
    ///
    /// # Errors
    /// An index of one field; a part that cannot be had: a text without an encoder, weighted
    /// tokens alone.
    pub fn parts(&self, body: &QueryBody, bm25: Option<&QueryBody>) -> Result<Prepared> {
        let Some(Hybrid { analyzer, weight }) = &self.hybrid else {
            return Err(Error::Usage("the index has one field: it takes one part".into()));
        };
        let start = Instant::now();
        let (learned, cut) = match body {
            _ if *weight == 0.0 => (Vec::new(), false),
            QueryBody::Weighted(tokens) => (tokens.clone(), false),
            QueryBody::Text(text) => self.encode(text)?,
        };
        let (stems, bm25_cut) = match bm25.unwrap_or(body) {
            QueryBody::Text(text) => self.bm25_tokens(1, analyzer, text),
            QueryBody::Weighted(tokens) if bm25.is_some() => (tokens.clone(), false),
            QueryBody::Weighted(_) => return Err(Error::Usage(NO_BM25_PART.into())),
        };
        let encoding = match (body, bm25) {
            (QueryBody::Weighted(_), Some(QueryBody::Weighted(_))) => Duration::ZERO,
            _ => start.elapsed(),
        };
        let (terms, dropped, rounding) =
            hybrid::query(&self.index, *weight, &HybridParts { learned, bm25: stems })?;
        let unit = rounding.unit() * self.index.meta().hybrid_constant;
        let prepared = Prepared::new(terms, dropped, encoding, rounding, unit);
        Ok(Prepared { truncated: cut || bm25_cut, ..prepared })
    }

    /// A text through the model: tokens with the weights that it gives, and whether there is more
    /// of the text than was read.
    #[cfg_attr(not(feature = "tokenize"), expect(unused_variables))]
    fn encode(&self, text: &str) -> Result<(Vec<(String, f64)>, bool)> {
        match &self.texts {
            #[cfg(feature = "tokenize")]
            Texts::Model(encoder) => {
                use crate::encode::TextEncoder;
                let (start, cut) = match self.limits {
                    Some(_) => limits::start(text, encoder.max_length()),
                    None => (text, false),
                };
                let (tokens, truncated) = encoder.encode_start(start)?;
                let tokens = tokens.into_iter().map(|(t, w)| (t, f64::from(w)));
                Ok((tokens.collect(), cut || truncated))
            }
            _ if self.hybrid.is_some() => Err(Error::Usage(NO_LEARNED_PART.into())),
            _ => Err(Error::Usage(unsupported())),
        }
    }

    /// Stems with their idf · qtf, for a BM25 index. Weights that do not fit, of a text of
    /// tens of thousands of words, are halved, all of them.
    fn bm25(&self, stems: &[(String, f64)], encoding: Duration) -> Result<Prepared> {
        let part: Part<'_> = (0, stems, &bm25::query_weight);
        let (query, dropped, rounding) = fit(&self.index, &[part])?;
        let scale = bm25::QUERY_SCALE * self.index.meta().fields[0].scale;
        Ok(Prepared::new(query, dropped, encoding, rounding, rounding.unit() * scale))
    }

    /// The stems of a text with idf · qtf; with 1 where the index has no such term, so that
    /// they are counted as unknown. Also whether there is more of the text than was read.
    fn bm25_tokens(
        &self,
        field: u8,
        analyzer: &Analyzer,
        text: &str,
    ) -> (Vec<(String, f64)>, bool) {
        let (text, truncated) = match self.limits {
            Some(limits) => limits.words(text),
            None => (text, false),
        };
        let documents = self.index.meta().documents;
        let lexicon = self.index.lexicon();
        let weight = |(token, qtf): (String, u32)| {
            let weight = lexicon.find(field, &token).map_or(1.0, |term| {
                let df = u64::from(self.index.term(term).df.get());
                bm25::idf(documents, df) * f64::from(qtf)
            });
            (token, weight)
        };
        (analyzer.query(text).into_iter().map(weight).collect(), truncated)
    }
}

impl Index {
    /// The query of weighted tokens, for an index of learned weights. Weights that are all
    /// integers are taken as they are, others times [`TEXT_SCALE`] and rounded; tokens that
    /// the index does not have are counted. [`QueryBuilder`] makes queries of texts.
    ///
    /// # Errors
    /// As [`QueryBuilder::tokens`].
    pub fn query<T: AsRef<str>>(
        &self,
        tokens: impl IntoIterator<Item = (T, f64)>,
    ) -> Result<Query> {
        Ok(QueryBuilder::new(self)?.tokens(tokens)?.query)
    }
}

/// The error for a query model in a program that reads none.
#[cfg(not(feature = "tokenize"))]
pub(crate) fn without_models() -> Error {
    Error::Usage(
        "`query_model` needs a splindex-query built with the feature encode or tokenize".into(),
    )
}

#[cfg(feature = "tokenize")]
fn unsupported() -> String {
    "the queries are texts and the index is not BM25; give `query_model`, weighted tokens \
     (qid<TAB>token:weight …), or `query_kind` repeated for tokens that stand there as often as \
     they weigh"
        .into()
}

#[cfg(not(feature = "tokenize"))]
fn unsupported() -> String {
    "the queries are texts, and this program was built without the features tokenize and encode; \
     give weighted tokens (qid<TAB>token:weight …), or build with --features encode"
        .into()
}

const NO_LEARNED_PART: &str = "the index is hybrid and the query has no learned part; give \
     `query_model`, or JSON Lines with a vector beside the text";

const NO_BM25_PART: &str = "the index is hybrid and the query has no BM25 part; give texts and \
     `query_model`, or JSON Lines with a vector and a text or bm25";

/// A usage error about one query becomes an error about its place.
fn at_place(error: Error, file: &QueryFile, line: u64) -> Error {
    match error {
        Error::Usage(problem) => Error::data(&file.path, file.place(line), problem),
        other => other,
    }
}

/// The analyzer parameters that a BM25 index was built with.
fn bm25_params(index: &Index) -> Result<Option<Bm25Params>> {
    let Some(FieldKind::Bm25 { k1, b, avgdl, stemmer, stopwords }) =
        index.meta().fields.last().map(|f| &f.kind)
    else {
        return Ok(None);
    };
    let unknown = |error: Error| {
        Error::data(
            index.path(),
            Place::File,
            format!("expected an analyzer that this program knows ({error})"),
        )
        .hint("use the splindex version that wrote it")
    };
    let stemmer = stemmer.parse().map_err(unknown)?;
    let stopwords = stopwords.parse().map_err(unknown)?;
    Ok(Some(Bm25Params { k1: *k1, b: *b, avgdl: AvgDl::Fixed(*avgdl), stemmer, stopwords }))
}
