//! Results for people: a table a query, with scores in the units of the weights.

use std::fmt::Write as _;

use console::measure_text_width;

use super::texts::{Texts, cut, line};
use crate::index::Index;
use crate::queries::Prepared;
use crate::queries::file::{QueryBody, QueryInput};
use crate::query::Hit;
use crate::table::group;

/// Columns for a text beside its document; with fewer it stands below.
const LEAST_TEXT: usize = 24;

/// One query's results. Lines end at `width` columns, if it is given.
pub(super) fn table(
    index: &Index,
    (input, query): (&QueryInput, &Prepared),
    hits: &[Hit],
    texts: Option<&Texts>,
    width: Option<usize>,
) -> String {
    let width = width.unwrap_or(usize::MAX);
    let mut text = format!("{}\n", cut(&heading(input), width));
    if hits.is_empty() {
        let unknown = super::super::count(query.query.unknown.into(), "token", "tokens");
        let why = match query.query.terms.len() {
            0 if query.query.unknown == 0 => "it has no token of a weight above 0".into(),
            0 => format!("none of its tokens is in the index ({unknown})"),
            _ => "no document has a term of it".into(),
        };
        writeln!(text, "      nothing found: {why}").expect("memory takes every line");
        return text;
    }
    let rows: Vec<[String; 3]> = hits
        .iter()
        .map(|hit| {
            let document = line(index.id(hit.ordinal));
            [score(query, hit.score), group(hit.score.into()), document]
        })
        .collect();
    // Integer weights of both sides: the score is the integer.
    let whole = query.unit == 1.0;
    let header = ["score", "integer", "document"].map(str::to_owned);
    let columns = [0, 1, 2].map(|c| {
        let cells = rows.iter().chain([&header]).map(|row| measure_text_width(&row[c]));
        if whole && c == 1 { 0 } else { cells.max().unwrap_or(0) }
    });
    let start = |rank: &str, row: &[String; 3]| {
        let pad = |c: usize| " ".repeat(columns[c].saturating_sub(measure_text_width(&row[c])));
        let integer = if whole { String::new() } else { format!("{}{}  ", pad(1), row[1]) };
        let document =
            if texts.is_some() { format!("{}{}", row[2], pad(2)) } else { row[2].clone() };
        format!("{rank:>4}  {}{}  {integer}{document}", pad(0), row[0])
    };
    let mut add = |start: String, text_of_row: Option<&str>| {
        text.push_str(&start);
        if let Some(shown) = text_of_row {
            let left = width.saturating_sub(measure_text_width(&start) + 2);
            match left >= LEAST_TEXT {
                true => write!(text, "  {}", cut(shown, left)),
                false => write!(text, "\n      {}", cut(shown, width.saturating_sub(6))),
            }
            .expect("memory takes every line");
        }
        text.push('\n');
    };
    add(start("rank", &header), texts.map(|_| "text"));
    for (rank, (row, hit)) in (1..).zip(rows.iter().zip(hits)) {
        let shown = texts.map(|texts| texts.get(index.id(hit.ordinal)));
        add(start(&format!("{rank}"), row), shown);
    }
    text
}

/// A score in the units of the weights.
pub(super) fn score(query: &Prepared, score: u32) -> String {
    if query.unit == 1.0 { group(score.into()) } else { format!("{:.4}", query.weighed(score)) }
}

fn heading(input: &QueryInput) -> String {
    let asked = match &input.body {
        QueryBody::Text(text) => line(text),
        QueryBody::Weighted(tokens) => {
            let tokens: Vec<String> =
                tokens.iter().map(|(token, weight)| format!("{token}:{weight}")).collect();
            line(&tokens.join(" "))
        }
    };
    format!("query {}: {asked}", line(&input.id))
}
