//! What differs between two indexes, for a terminal and as a page, from the same tables.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::{document, wide};
use crate::lifecycle::diff::{Answers, ChangedQuery, Diff, Documents, TermDrift};
use crate::table::{Table, escape, group, micros};

/// A comparison and what goes with it.
pub(crate) struct Shown<'a> {
    pub diff: &'a Diff,
    /// Names of the old and the new file.
    pub files: [String; 2],
    /// Conditions of the gate that hold.
    pub failed: &'a [String],
    /// Texts of queries by their ids, where they have some.
    pub texts: &'a HashMap<&'a str, &'a str>,
}

/// Queries that a terminal shows; a page shows all.
const QUERIES: usize = 5;
/// Terms of each kind that a terminal shows.
const TERMS: usize = 5;
/// Ids of each kind that a terminal shows.
const IDS: usize = 3;

/// A heading, what is to be said, and a table.
type Part = (&'static str, String, Option<Table>);

/// For a terminal of `width` columns.
pub(crate) fn text(shown: &Shown<'_>, width: usize) -> String {
    let [old, new] = &shown.files;
    let mut text = format!("{old} → {new}\n");
    for (heading, words, table) in parts(shown, TERMS, IDS) {
        write!(text, "\n{heading}").expect("memory takes every line");
        if !words.is_empty() {
            write!(text, ": {words}").expect("memory takes every line");
        }
        text.push('\n');
        if let Some(table) = table {
            text.push_str(&table.within(width));
        }
    }
    let changed = shown.diff.answers.iter().flat_map(|answers| &answers.changed);
    for query in changed.take(QUERIES) {
        write!(text, "\n{}\n{}", title(query, shown), lists(query).within(width))
            .expect("memory takes every line");
    }
    text
}

/// The page.
pub(crate) fn page(shown: &Shown<'_>) -> String {
    let [old, new] = &shown.files;
    let mut body = format!("<h1>{} → {}</h1>\n", escape(old), escape(new));
    for failed in shown.failed {
        writeln!(body, "<p><strong>failed: {}</strong></p>", escape(failed))
            .expect("memory takes every line");
    }
    for (heading, words, table) in parts(shown, usize::MAX, usize::MAX) {
        writeln!(body, "<h2>{heading}</h2>\n<p>{}</p>", escape(&words))
            .expect("memory takes every line");
        body.extend(table.iter().map(wide));
    }
    for query in shown.diff.answers.iter().flat_map(|answers| &answers.changed) {
        write!(body, "<h2>{}</h2>\n{}", escape(&title(query, shown)), wide(&lists(query)))
            .expect("memory takes every line");
    }
    document(&format!("splindex: {old} → {new}"), &body)
}

fn parts(shown: &Shown<'_>, terms: usize, ids: usize) -> Vec<Part> {
    let diff = shown.diff;
    let mut parts = vec![parameters(diff), documents(diff, ids)];
    parts.push(("Lists", String::new(), Some(fields(diff))));
    let named = [
        ("New terms", diff.terms.new, &diff.terms.examples_new),
        ("Terms gone", diff.terms.gone, &diff.terms.examples_gone),
    ];
    for (heading, count, examples) in named.into_iter().filter(|(_, count, _)| *count > 0) {
        let words = format!("{} of {} before", group(count), group(diff.terms.old));
        parts.push((heading, words, Some(term_table(examples, terms))));
    }
    if !diff.terms.drifted.is_empty() {
        let words = "those whose share of the documents has changed most".to_owned();
        parts.push(("Terms", words, Some(term_table(&diff.terms.drifted, terms))));
    }
    if let Some(answers) = &diff.answers {
        parts.push(answered(answers));
        parts.push(("Latency", "retrieval, µs".to_owned(), Some(latency(answers))));
    }
    if !diff.measures.is_empty() {
        parts.push(measures(diff));
    }
    parts
}

fn parameters(diff: &Diff) -> Part {
    if diff.parameters.is_empty() {
        return ("Parameters", "the same".into(), None);
    }
    let mut table = Table::new(["parameter", "old", "new"], 3);
    for parameter in &diff.parameters {
        let [old, new] = parameter.values.each_ref().map(|value| match value {
            Value::Null => "–".to_owned(),
            // Digests are told apart by their beginnings.
            Value::String(text) if text.len() == 64 => {
                format!("{}…", text.chars().take(12).collect::<String>())
            }
            Value::String(text) => text.clone(),
            value => value.to_string(),
        });
        table.row([parameter.name.clone(), old, new]);
    }
    ("Parameters", "those that differ".into(), Some(table))
}

fn documents(diff: &Diff, ids: usize) -> Part {
    let Documents { old, new, same, changed, changed_terms, added, removed, .. } = diff.documents;
    let mut table = Table::new(["documents", "", "share of the old, %", "as"], 1);
    let [of_changed, of_added, of_removed] = diff.documents.examples.each_ref().map(|examples| {
        let named: Vec<&str> = examples.iter().take(ids).map(String::as_str).collect();
        named.join(", ")
    });
    let mut row = |name: &str, count: u64, examples: String| {
        let share = 100.0 * count as f64 / old.max(1) as f64;
        table.row([name.to_owned(), group(count), format!("{share:.2}"), examples]);
    };
    row("before", old, String::new());
    row("now", new, String::new());
    row("same", same, String::new());
    row("changed", changed, of_changed);
    row("with other terms", changed_terms, String::new());
    row("added", added, of_added);
    row("removed", removed, of_removed);
    let words = match (diff.is_same(), diff.notes.is_empty()) {
        (true, _) => "the files have the same content id".to_owned(),
        (false, true) => String::new(),
        (false, false) => diff.notes.join("; "),
    };
    ("Documents", words, Some(table))
}

fn fields(diff: &Diff) -> Table {
    let mut table = Table::new(
        [
            "field",
            "postings before",
            "now",
            "mean weight before",
            "now",
            "drift of lengths",
            "of weights",
        ],
        1,
    );
    for field in &diff.fields {
        table.row([
            field.field.clone(),
            group(field.postings[0]),
            group(field.postings[1]),
            format!("{:.4}", field.weights[0]),
            format!("{:.4}", field.weights[1]),
            format!("{:.4}", field.length_drift),
            format!("{:.4}", field.weight_drift),
        ]);
    }
    table
}

fn term_table(terms: &[TermDrift], most: usize) -> Table {
    let mut table =
        Table::new(["token", "field", "documents before", "now", "mean weight before", "now"], 2);
    for term in terms.iter().take(most) {
        table.row([
            term.token.clone(),
            term.field.clone(),
            group(term.documents[0].into()),
            group(term.documents[1].into()),
            format!("{:.4}", term.weights[0]),
            format!("{:.4}", term.weights[1]),
        ]);
    }
    table
}

fn answered(answers: &Answers) -> Part {
    let mut table = Table::new(["answers", "mean", "least"], 1);
    for overlap in &answers.overlap {
        let name = format!("overlap@{}", overlap.k);
        table.row([name, format!("{:.4}", overlap.mean), format!("{:.4}", overlap.least)]);
    }
    table.row(["rank-biased overlap (p 0.9)".to_owned(), format!("{:.4}", answers.rbo)]);
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let scores = &answers.scores;
    table.row(["change of a score".to_owned(), percent(scores.mean)]);
    table.row(["size of the change".to_owned(), percent(scores.mean_size)]);
    table.row(["largest".to_owned(), percent(scores.largest)]);
    let words = format!(
        "{} of {} queries have the same list",
        group(answers.identical as u64),
        group(answers.queries as u64)
    );
    ("Answers", words, Some(table))
}

fn latency(answers: &Answers) -> Table {
    let mut table = Table::new(["index", "mean", "p50", "p99"], 1);
    for (name, latency) in ["old", "new"].into_iter().zip(&answers.latency) {
        table.row([
            name.to_owned(),
            micros(latency.mean),
            micros(latency.p50),
            micros(latency.p99),
        ]);
    }
    table
}

fn measures(diff: &Diff) -> Part {
    let header = ["measure", "old", "new", "difference", "wins", "losses", "ties", "p"];
    let mut table = Table::new(header, 1);
    for m in &diff.measures {
        table.row([
            m.measure.clone(),
            format!("{:.4}", m.means[0]),
            format!("{:.4}", m.means[1]),
            format!("{:+.4}", m.means[1] - m.means[0]),
            m.wins.to_string(),
            m.losses.to_string(),
            m.ties.to_string(),
            format!("{:.4}", m.p),
        ]);
    }
    let queries = diff.measures.first().map_or(0, |m| m.queries);
    ("Measures", format!("{} judged queries", group(queries as u64)), Some(table))
}

fn title(query: &ChangedQuery, shown: &Shown<'_>) -> String {
    let text =
        shown.texts.get(query.id.as_str()).map_or(String::new(), |text| format!(" {text:?}"));
    format!("Query {}{text}: overlap {:.2}, RBO {:.2}", query.id, query.overlap, query.rbo)
}

/// Both lists of a query, place by place.
fn lists(query: &ChangedQuery) -> Table {
    let mut table = Table::new(["place", "old", "score", "now at", "new", "score", "was at"], 1);
    let [old, new] = &query.lists;
    for place in 0..old.len().max(new.len()) {
        let cells = |list: &[crate::lifecycle::diff::Ranked]| match list.get(place) {
            None => [String::new(), String::new(), String::new()],
            Some(ranked) => [
                ranked.id.clone(),
                format!("{:.3}", ranked.score),
                ranked.other.map_or_else(|| "–".to_owned(), |place| place.to_string()),
            ],
        };
        let place = [(place + 1).to_string()];
        table.row(place.into_iter().chain(cells(old)).chain(cells(new)));
    }
    table
}
