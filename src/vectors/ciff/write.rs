//! Writing CIFF.

use std::io::Write;
use std::path::Path;

use super::wire::{put_double, put_number, put_string};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::varint;
use crate::vectors::gathered::{Gathered, ImpactLists};

/// Writes a collection as CIFF to `out`; `path` is what errors call it. Lists are in the
/// bytewise order of their terms; a document's length is the sum of its impacts.
pub(crate) fn write(
    gathered: &Gathered,
    impacts: &mut ImpactLists,
    mut out: impl Write,
    path: &Path,
    progress: &dyn Progress,
) -> Result<()> {
    let documents = i32::try_from(gathered.documents()).map_err(|_| {
        Error::Usage(format!(
            "CIFF holds at most {} documents, found {}",
            i32::MAX,
            gathered.documents()
        ))
    })?;
    let lengths = gathered.lengths(impacts)?;
    let order = gathered.sorted_terms();
    let total: u64 = lengths.iter().map(|&length| u64::from(length)).sum();
    let io = |e| Error::io("write", path, e);

    let mut message = Vec::new();
    header(&mut message, order.len() as u64, documents, total);
    delimited(&mut out, &message).map_err(io)?;
    gathered.lists(&order, progress, &mut |term, docids, weights| {
        let token = gathered.tokens().token(term);
        list(&mut message, token, docids, weights, impacts);
        if message.len() > i32::MAX as usize {
            return Err(Error::Usage(format!("the list of {token:?} exceeds CIFF's 2 GiB")));
        }
        delimited(&mut out, &message).map_err(io)
    })?;
    for (docid, length) in lengths.iter().enumerate() {
        message.clear();
        put_number(&mut message, 1, docid as u64);
        put_string(&mut message, 2, gathered.id(docid));
        put_number(&mut message, 3, u64::from(*length));
        delimited(&mut out, &message).map_err(io)?;
    }
    out.flush().map_err(io)
}

/// Fills `message`. The collection that lists and documents are part of is the file itself.
fn header(message: &mut Vec<u8>, lists: u64, documents: i32, total: u64) {
    message.clear();
    put_number(message, 1, 1);
    for (field, count) in [(2, lists), (3, documents as u64)] {
        put_number(message, field, count);
        put_number(message, field + 2, count);
    }
    put_number(message, 6, total);
    put_double(message, 7, total as f64 / f64::from(documents.max(1)));
    put_string(message, 8, concat!("impacts by splindex ", env!("CARGO_PKG_VERSION")));
}

/// Fills `message` with a posting list.
fn list(
    message: &mut Vec<u8>,
    token: &str,
    docids: &[u32],
    weights: &[f32],
    impacts: &ImpactLists,
) {
    message.clear();
    put_string(message, 1, token);
    put_number(message, 2, docids.len() as u64);
    let start = message.len();
    let (mut before, mut cf) = (0, 0);
    let mut posting = Vec::new();
    for (&docid, &weight) in docids.iter().zip(weights) {
        let impact = impacts.of(weight);
        posting.clear();
        put_number(&mut posting, 1, u64::from(docid - before));
        put_number(&mut posting, 2, u64::from(impact));
        message.push(4 << 3 | 2);
        message.push(posting.len() as u8);
        message.extend_from_slice(&posting);
        before = docid;
        cf += u64::from(impact);
    }
    // Known last, but field 3 stands before the postings, field 4.
    let mut field = Vec::new();
    put_number(&mut field, 3, cf);
    message.splice(start..start, field);
}

fn delimited(out: &mut impl Write, message: &[u8]) -> std::io::Result<()> {
    let mut length = Vec::with_capacity(5);
    varint::put(message.len() as u64, &mut length);
    out.write_all(&length)?;
    out.write_all(message)
}
