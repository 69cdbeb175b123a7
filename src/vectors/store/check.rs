//! Whether the blocks that a journal names are on disk as they were written.

use std::path::Path;

use super::journal::Journal;
use super::reader::OpenPart;
use super::{JOURNAL, part_name};
use crate::error::{Error, Place, Result};

/// Reads every block that `journal` names in the part files of `dir`, one in memory at a
/// time: a resumed run must not go on for hours into a store that no reader takes. `finished`:
/// whether the store has its manifest.
///
/// # Errors
/// The first block that is missing, damaged, or not what its line says.
pub(super) fn blocks(dir: &Path, journal: &Journal, finished: bool) -> Result<()> {
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
