//! Whether a store may be continued: its plan, its tokens, the blocks on disk, the input. All that
//! a resumed run checks stands here.

use std::path::Path;

use serde_json::Value;

#[cfg(feature = "encode")]
use super::journal::BlockEntry;
use super::journal::Journal;
use super::manifest::{InputDigest, Plan};
use super::reader::OpenPart;
use super::{JOURNAL, TOKENS, part_name};
use crate::error::{Error, Place, Result};

/// Checks all that is known before the input is read: that the store in `dir` was started under
/// `plan` and with tokens of the digest, and that its blocks are as they were written. The plan is
/// that of the journal, under which the store is continued. `finished`: whether it has its manifest.
///
/// # Errors
/// The first thing that is not as it was.
pub(super) fn check(
    dir: &Path,
    journal: &Journal,
    old: (&Plan, &str),
    new: (&Plan, &str),
    finished: bool,
) -> Result<()> {
    compare(dir, old.0, new.0)?;
    if old.1 != new.1 {
        let problem = "expected the token strings the store was started with, found others";
        return Err(Error::data(dir.join(TOKENS), Place::File, problem));
    }
    check_blocks(dir, journal, finished)
}

/// Checks that the input repeats what a block had read: `documents` of them, of this CRC, from
/// document `first` (from 0) on. `last` is where the last of them stood.
///
/// # Errors
/// What is not as it was.
#[cfg(feature = "encode")]
pub(crate) fn check_input(
    entry: &BlockEntry,
    first: u64,
    (documents, crc): (u64, u32),
    last: Option<(&Path, &Place)>,
) -> Result<()> {
    let expected = entry.totals.documents;
    if crc == entry.input_crc && documents == expected {
        return Ok(());
    }
    let place = match last {
        Some((path, Place::Line(line))) => format!(" (up to {}:{line})", path.display()),
        _ => String::new(),
    };
    let from = first + 1;
    Err(other_input(&match documents == expected {
        true => format!("documents {from} to {}{place} have other ids or texts", first + expected),
        false => {
            format!("expected {expected} documents from number {from} on, found {documents}{place}")
        }
    }))
}

/// Checks that nothing follows the documents of a finished store, of which there are `documents`
/// with those before its first.
///
/// # Errors
/// There is more.
#[cfg(feature = "encode")]
pub(crate) fn check_end(documents: u64, more: bool) -> Result<()> {
    match more {
        true => Err(other_input(&format!("expected {documents} documents, found more"))),
        false => Ok(()),
    }
}

/// An error for anything that differs and decides the bytes. The names by which model and
/// licence go do not: digests tell models apart, and the folder may have been renamed.
fn compare(dir: &Path, old: &Plan, new: &Plan) -> Result<()> {
    let mut new = new.clone();
    if let (Some(old), Some(new)) = (&old.encoding, &mut new.encoding) {
        new.model.name.clone_from(&old.model.name);
        new.model.licence.clone_from(&old.model.licence);
    }
    // Where a shard begins depends on the input, which is looked at last: other --fields make
    // other texts of the same files.
    let input = std::mem::replace(&mut new.input, old.input.clone());
    let doc_base = std::mem::replace(&mut new.doc_base, old.doc_base);
    // A store that was started without digests goes on without.
    new.digests = old.digests;
    compare_flags(dir, old, &new)?;
    if input != old.input {
        return Err(other_input(&differing(old.input.as_ref(), input.as_ref())));
    }
    if doc_base != old.doc_base {
        let problem = format!("expected to begin at document {}, found {doc_base}", old.doc_base);
        return Err(Error::data(dir, Place::File, problem).hint(SAME_FLAGS));
    }
    Ok(())
}

const SAME_FLAGS: &str = "resume with the flags and model it was started with";

fn compare_flags(dir: &Path, old: &Plan, new: &Plan) -> Result<()> {
    let json =
        |plan: &Plan| serde_json::to_value(plan).map_err(|e| Error::Internal(format!("plan: {e}")));
    let Some((field, was, is)) = difference(&json(old)?, &json(new)?, String::new()) else {
        return Ok(());
    };
    let hint = match &*field {
        "encoding.simd" => "resume on the same kind of processor",
        _ => SAME_FLAGS,
    };
    let problem = format!("the store was started with {field} = {was}, found {is}");
    Err(Error::data(dir, Place::File, problem).hint(hint))
}

/// What is not as it was in the input of a store.
fn differing(old: Option<&InputDigest>, new: Option<&InputDigest>) -> String {
    let (Some(old), Some(new)) = (old, new) else {
        let way = |is: bool| if is { "files" } else { "standard input or a pipe" };
        return format!("expected {}, found {}", way(old.is_some()), way(new.is_some()));
    };
    if old.documents != new.documents {
        return format!("expected {} documents, found {}", old.documents, new.documents);
    }
    let short = |digest: &str| digest.chars().take(12).collect::<String>();
    format!(
        "expected {} documents with ids and texts of digest {}…, found as many of digest {}…",
        old.documents,
        short(&old.digest),
        short(&new.digest)
    )
}

/// A store continues with the input it was started with, and only with it; `what` is not as
/// it was.
fn other_input(what: &str) -> Error {
    Error::Usage(format!(
        "the input differs from what the store was made from: {what}; resume with the same \
         input, or remove the store and encode again"
    ))
}

/// Reads every block that `journal` names in the part files of `dir`, one in memory at a
/// time: a resumed run must not go on for hours into a store that no reader takes. `finished`:
/// whether the store has its manifest.
///
/// # Errors
/// The first block that is missing, damaged, or not what its line says.
fn check_blocks(dir: &Path, journal: &Journal, finished: bool) -> Result<()> {
    let mut part: Option<OpenPart> = None;
    let mut before = (0, 0);
    for (index, (block, line)) in journal.blocks.iter().zip(&journal.lines).enumerate() {
        let start = if block.part == before.0 { before.1 } else { 0 };
        let follows = block.part == before.0 || (block.part == before.0 + 1 && before.1 > 0);
        if !follows || block.end <= start {
            let problem = format!(
                "expected block {index} to follow byte {} of part {}, found it to end at byte \
                 {} of part {}",
                before.1, before.0, block.end, block.part
            );
            return Err(Error::data(dir.join(JOURNAL), Place::Line(*line), problem)
                .hint("the store is damaged: remove the folder and encode again"));
        }
        if start == 0 {
            part = Some(OpenPart::open(dir.join(part_name(block.part)), 0)?);
        }
        let open = part.as_mut().expect("opened with the part's first block");
        let hint = || match (finished, index) {
            (false, 1..) => format!(
                "remove the folder and encode again, or delete line {line} of {JOURNAL} and \
                 those after it, and `resume` goes on from block {index}"
            ),
            _ => "remove the folder and encode again".to_owned(),
        };
        let sound = open.check(index as u64, block);
        sound.map_err(|e| e.hint(format!("block {index} is damaged: {}", hint())))?;
        before = (block.part, block.end);
    }
    Ok(())
}

/// The first field that differs, dotted, with both values.
pub(super) fn difference(old: &Value, new: &Value, at: String) -> Option<(String, Value, Value)> {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            // Fields that say nothing may be left out on either side.
            let mut keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            let field = |object: &serde_json::Map<String, Value>, key: &String| {
                object.get(key).cloned().unwrap_or(Value::Null)
            };
            keys.find_map(|key| {
                let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                difference(&field(a, key), &field(b, key), at)
            })
        }
        _ if old == new => None,
        _ => Some((at, old.clone(), new.clone())),
    }
}
