//! `search --explain`: hits with what each query term gave to them.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use serde_json::json;

use super::shown;
use super::texts::{Texts, cut};
use crate::error::{Error, Result};
use crate::index::Index;
use crate::queries::Prepared;
use crate::query::{Contribution, Explainer, Hit};

/// Writes explained hits, for people or as JSON Lines.
pub(super) struct Explanations<'a, W> {
    out: W,
    path: &'a Path,
    index: &'a Index,
    explainer: Explainer,
    json: bool,
    /// Columns of the terminal.
    width: Option<usize>,
}

impl<'a, W: Write> Explanations<'a, W> {
    pub(super) fn new(
        out: W,
        path: &'a Path,
        index: &'a Index,
        json: bool,
        width: Option<usize>,
    ) -> Self {
        Explanations { out, path, index, explainer: Explainer::new(index), json, width }
    }

    pub(super) fn query(
        &mut self,
        query: &Prepared,
        hits: &[Hit],
        texts: Option<&Texts>,
    ) -> Result<()> {
        let mut text = String::new();
        if !self.json {
            let (terms, unknown) = (query.query.terms.len(), query.query.unknown);
            let unknown = super::super::count(unknown.into(), "unknown token", "unknown tokens");
            let terms = super::super::count(terms as u64, "term", "terms");
            let kept = query.query.filter.as_ref().map_or(String::new(), |filter| {
                let documents = u64::from(filter.documents());
                let documents = super::super::count(documents, "document", "documents");
                format!(", the filter keeps {} of {documents}", filter.len())
            });
            line(&mut text, format_args!("query {}: {terms}, {unknown}{kept}", query.id));
        }
        for (rank, &hit) in (1..).zip(hits) {
            self.hit(&mut text, query, rank, hit, texts)?;
        }
        self.out.write_all(text.as_bytes()).map_err(|e| Error::io("write", self.path, e))
    }

    fn hit(
        &self,
        text: &mut String,
        query: &Prepared,
        rank: usize,
        hit: Hit,
        texts: Option<&Texts>,
    ) -> Result<()> {
        let parts = self.explainer.explain(&query.query, hit)?;
        let (names, lexicon) = (self.index.external_ids(), self.index.lexicon());
        let (document, score) = (names.get(hit.ordinal), hit.score);
        // Where scores are lifted, what terms gave is not all.
        let lifted = score - parts.iter().map(Contribution::score).sum::<u32>().min(score);
        if self.json {
            let terms: Vec<_> = parts
                .iter()
                .map(|part| {
                    let (field, token) = lexicon.token(part.term);
                    json!({"token": token, "field": self.index.meta().field_name(field),
                        "weight": part.weight, "impact": part.impact, "score": part.score()})
                })
                .collect();
            let mut value = json!({"qid": query.id, "docid": document, "rank": rank, "score": score,
                "terms": terms});
            if query.query.boost.is_some() {
                value["boost"] = lifted.into();
            }
            if let Some(filter) = &query.query.filter {
                value["kept"] = filter.len().into();
            }
            line(text, format_args!("{value}"));
            return Ok(());
        }
        let fields = self.fields(query, &parts);
        line(text, format_args!("{rank:>5}  {document}  {score}{fields}"));
        if let Some(texts) = texts {
            let width = self.width.unwrap_or(usize::MAX).saturating_sub(7);
            line(text, format_args!("       {}", cut(texts.get(document), width)));
        }
        if query.query.boost.is_some() {
            let share = 100.0 * f64::from(lifted) / f64::from(score.max(1));
            line(text, format_args!("       {lifted:>10}  {share:>5.1} %  (boost)"));
        }
        for part in parts {
            let share = 100.0 * f64::from(part.score()) / f64::from(score.max(1));
            let ((field, token), weight, impact) =
                (lexicon.token(part.term), part.weight, part.impact);
            let product = part.score();
            let meta = self.index.meta();
            let field = match meta.is_hybrid() {
                true => format!("{}, ", meta.field_name(field)),
                false => String::new(),
            };
            line(
                text,
                format_args!(
                    "       {product:>10}  {share:>5.1} %  {token}  ({field}query {weight} × impact {impact})"
                ),
            );
        }
        Ok(())
    }

    /// The score in the units of the weights; of a hybrid index, with what each field gave.
    fn fields(&self, query: &Prepared, parts: &[Contribution]) -> String {
        let (meta, lexicon) = (self.index.meta(), self.index.lexicon());
        let of = |field: u8| -> u32 {
            let field = parts.iter().filter(|part| lexicon.token(part.term).0 == field);
            field.map(Contribution::score).sum()
        };
        let [learned, bm25] = [of(0), of(1)];
        let weighed = |score| shown::score(query, score);
        match meta.is_hybrid() {
            true => format!(
                "  = {} (BM25 {}, h · learned {})",
                weighed(learned + bm25),
                weighed(bm25),
                weighed(learned)
            ),
            false if query.unit == 1.0 => String::new(),
            false => format!("  = {}", weighed(learned)),
        }
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.out.flush().map_err(|e| Error::io("write", self.path, e))
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("memory takes every line");
}
