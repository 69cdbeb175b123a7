//! Writing CIFF.

use std::io::Write;
use std::path::Path;

use super::wire::{put_double, put_number, put_string, put_varint};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::vectors::gathered::{Gathered, Impacts};

/// Writes a collection as CIFF to `out`; `path` is what errors call it. Lists are in the
/// bytewise order of their terms; a document's length is the sum of its impacts.
pub(crate) fn write(
    gathered: &Gathered,
    impacts: &mut Impacts,
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
    put_number(&mut message, 1, 1);
    for (field, count) in [(2, order.len()), (3, documents as usize)] {
        put_number(&mut message, field, count as u64);
        put_number(&mut message, field + 2, count as u64);
    }
    put_number(&mut message, 6, total);
    put_double(&mut message, 7, total as f64 / f64::from(documents.max(1)));
    put_string(&mut message, 8, concat!("impacts by splindex ", env!("CARGO_PKG_VERSION")));
    delimited(&mut out, &message).map_err(io)?;

    let mut posting = Vec::new();
    gathered.lists(&order, progress, &mut |term, docids, weights| {
        message.clear();
        put_string(&mut message, 1, gathered.tokens().token(term));
        put_number(&mut message, 2, docids.len() as u64);
        let start = message.len();
        let (mut before, mut cf) = (0, 0);
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
        let mut field = Vec::new();
        put_number(&mut field, 3, cf);
        message.splice(start..start, field);
        if message.len() > i32::MAX as usize {
            let token = gathered.tokens().token(term);
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

fn delimited(out: &mut impl Write, message: &[u8]) -> std::io::Result<()> {
    let mut length = Vec::with_capacity(5);
    put_varint(&mut length, message.len() as u64);
    out.write_all(&length)?;
    out.write_all(message)
}
