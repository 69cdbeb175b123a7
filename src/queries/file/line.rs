//! A query file's lines of text: `qid<TAB>query`, or PISA's `qid:query`.

use super::{QueryBody, QueryInput};
use crate::corpus::{is_header, trim_id};

/// What stands between a query's id and the query; the first line of a file decides, as a line
/// that lost its tab is no query of the text before its colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    Tab,
    Colon,
}

impl Separator {
    pub(super) fn of_line(line: &str) -> Self {
        if line.contains('\t') { Separator::Tab } else { Separator::Colon }
    }

    pub(super) fn char(self) -> char {
        match self {
            Separator::Tab => '\t',
            Separator::Colon => ':',
        }
    }

    /// Whether `line` names columns.
    pub(super) fn is_header(self, line: &str) -> bool {
        is_header(line.split(self.char()))
    }

    /// Id and query. Empty columns at a line's end hold nothing.
    pub(super) fn split(self, line: &str) -> Result<(&str, &str), String> {
        match self {
            // Numbers of `cat -n` are padded.
            Separator::Tab => line
                .split_once('\t')
                .map(|(id, query)| (trim_id(id), query.trim_end_matches('\t')))
                .ok_or_else(|| "expected qid<TAB>query as in the first line, found no tab".into()),
            Separator::Colon => match line.split_once(':') {
                Some((id, query)) if !is_no_id(id) && !query.starts_with("//") => {
                    Ok((id, query.trim_matches('\t')))
                }
                Some(_) => {
                    Err("expected qid<TAB>query (or qid:query), found a text with a colon".into())
                }
                None => {
                    Err("expected qid<TAB>query (or qid:query), found neither tab nor colon"
                        .to_owned())
                }
            },
        }
    }
}

/// Whether what stands before a colon is a piece of text or of JSON, but no id. (An empty id has an
/// error of its own.)
fn is_no_id(id: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || "\"'`“”„«»()[]{}<>,;!?".contains(c);
    id.contains(odd)
}

/// The line of the first text that has tabs in it: nobody reads what else could be said of it where a
/// request is answered.
pub(super) fn with_tabs(queries: &[QueryInput]) -> Option<u64> {
    let tabs =
        |query: &&QueryInput| matches!(&query.body, QueryBody::Text(text) if text.contains('\t'));
    queries.iter().find(tabs).map(|query| query.line)
}

/// Whether a first line begins a JSON array; the id of a text query may begin with a bracket, too.
pub(super) fn begins_array(line: &str) -> bool {
    let behind = line.trim_start().strip_prefix('[').map(str::trim_start);
    behind.is_some_and(|rest| {
        rest.is_empty() || rest.starts_with(['{', '"', '[', ']']) || !line.contains('\t')
    })
}
