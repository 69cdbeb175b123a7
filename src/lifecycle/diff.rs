//! What differs between two indexes: a look before the new one goes live.
//!
//! ```text
//! compare ──► Diff: parameters, documents, terms, drift
//! Answers ──► overlap, RBO, scores, latency, the queries that changed most
//! Gate ─────► conditions that a Diff must not meet
//! ```
//!
//! Documents are matched by their external ids, terms by their tokens. Lists are read one after
//! another: a document's content is a sum of hashes, 16 bytes a document of either index.
//!
//! ```
//! use splindex::Builder;
//! use splindex::lifecycle::diff::{Gate, compare, names};
//! use splindex::progress::Silent;
//!
//! let old = Builder::new().vectors([("a", [("whale", 2.0)]), ("b", [("ship", 1.0)])])?.index()?;
//! let new = Builder::new().vectors([("a", [("whale", 2.0)]), ("c", [("sail", 1.0)])])?.index()?;
//! let diff = compare(&old, &new, &Silent)?;
//! let documents = &diff.documents;
//! assert_eq!((documents.added, documents.removed, documents.changed), (1, 1, 0));
//! assert_eq!((diff.terms.new, diff.terms.gone), (1, 1));
//!
//! let gate = Gate::parse("removed>40%,changed>0", &names(&[], &[]))?;
//! let failed = gate.failed(&diff.values());
//! assert_eq!(failed, ["removed>40% holds: removed is 1, 50 % of 2"]);
//! # Ok::<(), splindex::Error>(())
//! ```

mod answers;
mod content;
mod gate;
mod parameters;
mod quality;
mod similar;

pub use answers::{Answers, ChangedQuery, Latency, Overlap, Ranked, ScoreChange, compare_answers};
pub use content::{Documents, FieldDrift, TermDrift, Terms};
pub use gate::{Gate, Value};
pub use parameters::Parameter;
pub use quality::{MeasureChange, compare_quality};
pub use similar::{overlap, rank_biased_overlap};

use serde::Serialize;

use crate::error::{Error, Place, Result};
use crate::eval::Measure;
use crate::index::Index;
use crate::progress::Progress;

/// What differs between an old and a new index.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Diff {
    /// Content ids; equal ones mean equal files but for provenance.
    pub content_ids: [String; 2],
    /// Bytes of the files.
    pub bytes: [u64; 2],
    /// Build parameters, models and tools that are not the same.
    pub parameters: Vec<Parameter>,
    /// Documents by their ids.
    pub documents: Documents,
    /// Terms by field and token.
    pub terms: Terms,
    /// How each field's lists have changed.
    pub fields: Vec<FieldDrift>,
    /// What to know when reading the rest.
    pub notes: Vec<String>,
    /// Both indexes' answers to the same queries, where they were compared.
    pub answers: Option<Answers>,
    /// Measures of these answers, where there are judgements.
    pub measures: Vec<MeasureChange>,
}

/// Compares parameters, documents and terms of two indexes; reads every list once.
///
/// Memory: 16 bytes a document of both, 4 of one under another order than the input's, 32 a term.
///
/// # Errors
/// Indexes of other fields; a damaged file: checksums are looked at first.
pub fn compare(old: &Index, new: &Index, progress: &dyn Progress) -> Result<Diff> {
    let names = |index: &Index| -> Vec<&str> {
        index.meta().fields.iter().map(|field| field.kind.name()).collect()
    };
    if names(old) != names(new) {
        let fields = |index: &Index| names(index).join(" and ");
        let problem = format!(
            "expected the field {} of {}, found {}",
            fields(old),
            old.path().display(),
            fields(new)
        );
        return Err(Error::data(new.path(), Place::File, problem)
            .hint("terms of other fields have nothing in common: compare indexes of the same"));
    }
    old.check()?;
    new.check()?;
    let parameters = parameters::differing(old, new);
    let (documents, terms, fields) = content::compare(old, new, progress)?;
    let mut notes = Vec::new();
    let scales = |index: &Index| -> Vec<f64> {
        index.meta().fields.iter().map(|field| field.scale).collect()
    };
    if scales(old) != scales(new) && documents.changed > 0 {
        notes.push(
            "the scales differ, so impacts differ where weights do not: builds of the same scale \
             show which documents changed"
                .to_owned(),
        );
    }
    if documents.changed + documents.same == 0 {
        notes
            .push("no document of the old index is in the new one: are ids what they were?".into());
    }
    Ok(Diff {
        content_ids: [old.content_id(), new.content_id()],
        bytes: [old.file_len(), new.file_len()],
        parameters,
        documents,
        terms,
        fields,
        notes,
        answers: None,
        measures: Vec::new(),
    })
}

/// Names of all that a [`Gate`] can ask of: where queries are compared, also with their numbers of
/// results `ks` and, against judgements, their `measures`.
pub fn names(ks: &[usize], measures: &[Measure]) -> Vec<String> {
    let mut names: Vec<String> = NAMES.map(str::to_owned).into();
    if !ks.is_empty() {
        names.extend(ks.iter().map(|k| format!("overlap@{k}")));
        names.extend(ANSWERS.map(str::to_owned));
    }
    names.extend(measures.iter().map(Measure::to_string));
    names
}

/// Names that need no query.
const NAMES: [&str; 10] = [
    "added",
    "removed",
    "changed",
    "documents",
    "postings",
    "bytes",
    "terms_new",
    "terms_gone",
    "length_drift",
    "weight_drift",
];
/// Names that need queries.
const ANSWERS: [&str; 5] = ["rbo", "scores", "mean", "p50", "p99"];

impl Diff {
    /// Whether nothing differs that an answer could show.
    pub fn is_same(&self) -> bool {
        self.content_ids[0] == self.content_ids[1]
    }

    /// What a [`Gate`] can ask of: each with its name.
    pub fn values(&self) -> Vec<Value> {
        let Documents { old, new, added, removed, changed, .. } = self.documents;
        let of = |count: u64, base: u64| (count as f64, Some(base as f64));
        let growth = |[old, new]: [u64; 2]| (new as f64 - old as f64, Some(old as f64));
        let sum = |part: fn(&FieldDrift) -> [u64; 2]| {
            self.fields.iter().fold([0, 0], |[a, b], field| {
                let [old, new] = part(field);
                [a + old, b + new]
            })
        };
        let largest =
            |part: fn(&FieldDrift) -> f64| self.fields.iter().map(part).fold(0.0, f64::max);
        let numbers = [
            of(added, old),
            of(removed, old),
            of(changed, old),
            growth([old, new]),
            growth(sum(|field| field.postings)),
            growth(self.bytes),
            of(self.terms.new, self.terms.old),
            of(self.terms.gone, self.terms.old),
            (largest(|field| field.length_drift), None),
            (largest(|field| field.weight_drift), None),
        ];
        let value = |(name, (number, of)): (&str, _)| Value { name: name.to_owned(), number, of };
        let mut values: Vec<Value> = NAMES.into_iter().zip(numbers).map(value).collect();
        values.extend(self.answers.iter().flat_map(Answers::values));
        let measure = |m: &MeasureChange| Value::share(&m.measure, m.means[1] - m.means[0]);
        values.extend(self.measures.iter().map(measure));
        values
    }
}

#[cfg(test)]
mod tests;
