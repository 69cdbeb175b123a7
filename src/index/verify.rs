//! `verify` and `verify --deep`: what a file promises, checked by reading all of it.

use rayon::prelude::*;

use super::Index;
use crate::format::header::Section;
use crate::format::postings::{Block, Encoded, List, Representation};
use crate::format::skip;
use crate::format::terms::impact_statistics;
use crate::format::{SectionKind, WINDOW};

/// Outcome of a verification; the file is sound if there are no faults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Sections whose checksum was computed, with their lengths in bytes.
    pub sections: Vec<(&'static str, u64)>,
    /// Each names the section, the byte offset, what was expected and what was found.
    pub faults: Vec<String>,
}

pub(super) fn checksums(index: &Index) -> VerifyReport {
    let mut report = VerifyReport::default();
    for section in index.opened.layout.entries() {
        let found = crc32fast::hash(index.section_bytes(section));
        let (expected, at) = (section.crc.get(), section.offset.get());
        report.sections.push((label(section), section.len.get()));
        if found != expected {
            report.faults.push(format!(
                "section {} at byte {at}: expected checksum {expected:#010x}, found {found:#010x}",
                label(section)
            ));
        }
    }
    report.faults.extend(index.padding_fault());
    let content = content_id(index);
    if content != index.content_id() {
        report
            .faults
            .push(format!("header: expected content id {}, found {content}", index.content_id()));
    }
    report
}

fn label(section: &Section) -> &'static str {
    SectionKind::from_number(section.kind.get())
        .map_or("of a newer minor version", SectionKind::label)
}

/// The first section whose checksum does not hold. Pages are given back on the way, so that
/// resident memory stays small.
pub(super) fn first_fault(index: &Index) -> Option<(&'static str, u64)> {
    const STEP: usize = 16 << 20;
    index.opened.layout.entries().iter().find_map(|section| {
        let mut hasher = crc32fast::Hasher::new();
        for bytes in index.section_bytes(section).chunks(STEP) {
            hasher.update(bytes);
            index.release();
        }
        (hasher.finalize() != section.crc.get()).then(|| (label(section), section.offset.get()))
    })
}

fn content_id(index: &Index) -> String {
    let mut hasher = blake3::Hasher::new();
    for section in index.opened.layout.entries() {
        if section.kind.get() != SectionKind::Provenance as u32 {
            hasher.update(index.section_bytes(section));
        }
    }
    super::hex(&hasher.finalize().as_bytes()[..16])
}

/// Faults of everything that decodes; at most one a term, in term order.
pub(super) fn structure(index: &Index) -> Vec<String> {
    let mut faults = Vec::new();
    let lexicon = index.lexicon();
    for term in 1..lexicon.len() {
        if lexicon.key(term - 1) >= lexicon.key(term) {
            faults.push(format!("section LEXICON: terms {} and {term} are not in order", term - 1));
        }
    }
    if let Some(term) = (0..lexicon.len()).find(|&t| std::str::from_utf8(lexicon.key(t)).is_err()) {
        faults.push(format!("section LEXICON: term {term} is not UTF-8"));
    }
    faults.extend(index.external_ids().fault().map(|f| format!("section NAMES: {f}")));
    faults.extend(order_fault(index));
    let attributes = index.attributes().and_then(|attributes| attributes.fault());
    faults.extend(attributes.map(|f| format!("section ATTRIBUTES: {f}")));
    let lists: Vec<(u64, Option<String>)> =
        (0..lexicon.len()).into_par_iter().map(|term| list_fault(index, term)).collect();
    faults.extend(count_fault(index, &lists));
    faults.extend(lists.into_iter().filter_map(|(_, fault)| fault));
    faults
}

/// META's postings, of all fields and of each, against those of the lists.
fn count_fault(index: &Index, lists: &[(u64, Option<String>)]) -> Option<String> {
    let (meta, lexicon) = (index.meta(), index.lexicon());
    let mut found = vec![0; meta.fields.len()];
    for (term, (df, _)) in (0..).zip(lists) {
        let (field, token) = lexicon.token(term);
        match found.get_mut(usize::from(field)) {
            Some(found) => *found += df,
            None => return Some(format!("section LEXICON: {token:?} has no field {field}")),
        }
    }
    let expected: Vec<u64> = meta.fields.iter().map(|field| field.postings).collect();
    let sum = expected.iter().try_fold(0u64, |sum, &n| sum.checked_add(n));
    if found != expected || sum != Some(meta.postings) {
        let total = meta.postings;
        return Some(format!(
            "section META: expected {total} postings, {expected:?} by field, found {found:?}"
        ));
    }
    None
}

fn order_fault(index: &Index) -> Option<String> {
    let mut seen = vec![false; index.documents() as usize];
    for (docid, &ordinal) in index.order()?.iter().enumerate() {
        match seen.get_mut(ordinal as usize) {
            Some(seen) if !*seen => *seen = true,
            _ => {
                return Some(format!(
                    "section ORDER: docid {docid} has ordinal {ordinal}, which is out of range or taken"
                ));
            }
        }
    }
    None
}

/// The list's df and what is wrong with it.
fn list_fault(index: &Index, term: u32) -> (u64, Option<String>) {
    let list = match index.list(term) {
        Ok(list) => list,
        Err(error) => return (0, Some(error.to_string())),
    };
    let problem = match block_fault(&list) {
        Ok((docids, impacts)) => window_fault(&list, &docids, &impacts)
            .map(|problem| format!("section WINDOWS: {problem}"))
            .or_else(|| {
                skip_fault(index, &list, &docids, &impacts)
                    .map(|(section, problem)| format!("section {section}: {problem}"))
            }),
        Err(problem) => Some(format!("section POSTINGS: list {problem}")),
    };
    let fault = problem.map(|problem| {
        let (_, token) = index.lexicon().token(term);
        format!("{problem} (term {token:?})")
    });
    (u64::from(list.df), fault)
}

/// The postings, or what is wrong with them.
fn block_fault(list: &List<'_>) -> Result<(Vec<u32>, Vec<u8>), String> {
    let mut block = Block::default();
    let (mut docids, mut impacts) = (Vec::new(), Vec::with_capacity(list.df as usize));
    for b in 0..list.blocks() {
        list.decode(b, &mut block).map_err(|_| format!("block {b} does not decode"))?;
        for (&docid, &impact) in block.docids[..block.len].iter().zip(&block.impacts) {
            let before = docids.last().copied();
            if before.is_some_and(|before| docid <= before) || docid > list.block_last(b) {
                return Err(format!("block {b} has docid {docid} out of order"));
            }
            if impact == 0 {
                return Err(format!("block {b} has impact 0 at docid {docid}"));
            }
            docids.push(docid);
        }
        impacts.extend_from_slice(&block.impacts[..block.len]);
    }
    if impacts.len() != list.df as usize {
        return Err(format!("has {} postings, expected {}", impacts.len(), list.df));
    }
    if impact_statistics(&impacts) != (list.max_impact, list.kth_impacts) {
        return Err("has other largest impacts than its record".into());
    }
    maximum_fault(list, &docids, &impacts).map_or(Ok((docids, impacts)), Err)
}

/// The scan adds the pairs of a stream's windows blindly: they must be the postings.
fn window_fault(list: &List<'_>, docids: &[u32], impacts: &[u8]) -> Option<String> {
    if list.representation != Representation::Stream {
        return None;
    }
    let mut expected = docids.iter().copied().zip(impacts.iter().copied());
    for window in 0..list.documents.div_ceil(WINDOW) {
        let mut docid = (window * WINDOW).wrapping_sub(1);
        for &[gap, impact] in list.stream_run(window as usize) {
            docid = docid.wrapping_add(gap.into());
            let fits = impact == 0
                || (docid / WINDOW == window && expected.next() == Some((docid, impact)));
            if !fits {
                return Some(format!("window {window} does not hold the list's postings"));
            }
        }
    }
    expected.next().map(|(docid, _)| format!("no window holds docid {docid}"))
}

/// Every maximum is that of the postings of its block.
fn maximum_fault(list: &List<'_>, docids: &[u32], impacts: &[u8]) -> Option<String> {
    let mut at = 0;
    for i in 0..list.max.len() {
        let len = docids[at..].partition_point(|&d| d <= list.bound_last(i));
        let max = impacts[at..at + len].iter().copied().max().unwrap_or(0);
        if list.bound_max(i) != max {
            let expected = list.bound_max(i);
            return Some(format!("has maximum {max} in block {i}, expected {expected}"));
        }
        at += len;
    }
    None
}

/// What is wrong with the skip data of a term, and in which section: it has one encoding only.
fn skip_fault(
    index: &Index,
    list: &List<'_>,
    docids: &[u32],
    impacts: &[u8],
) -> Option<(&'static str, String)> {
    let documents = list.documents;
    let wanted = index.has_skip_data() && skip::is_frequent(list.df, documents);
    let packed = list.representation == Representation::Packed;
    if index.has_skip_data() && (packed == wanted || list.representation == Representation::Stream)
    {
        let name = list.representation.name();
        return Some(("TERMS", format!("a list of {} postings is {name}", list.df)));
    }
    let found = list.skip?;
    let mut expected = Encoded::default();
    expected.push_frequent(list.representation, docids, impacts, documents);
    if let Some(at) = differs(&expected.max, list.max) {
        return Some((
            "BLOCK_MAX",
            format!("another maximum of unit {at}, expected {}", expected.max[at]),
        ));
    }
    if let Some(at) = differs(&expected.skip_blocks, found.row) {
        return Some((
            "SKIP_BLOCKS",
            format!(
                "other maxima in byte {at} of the row, expected {:#04x}",
                expected.skip_blocks[at]
            ),
        ));
    }
    if list.representation != Representation::Positions {
        return None;
    }
    if let Some(at) = differs(&expected.runs, list.runs) {
        return Some(("SKIP_RUNS", format!("other pairs in the units of window {at}")));
    }
    if let Some(at) = differs(&expected.bytes, list.bytes) {
        return Some(("POSTINGS", format!("another pair at byte {at} of the list")));
    }
    differs(&expected.windows, list.windows)
        .map(|at| ("WINDOWS", format!("window {at} begins elsewhere")))
}

/// First place at which two slices differ, or where the shorter ends.
fn differs<T: PartialEq>(a: &[T], b: &[T]) -> Option<usize> {
    let equal = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    (a.len() != b.len() || equal < a.len()).then(|| equal.min(a.len().max(1) - 1))
}
