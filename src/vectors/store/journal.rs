//! The journal: one JSON line for the plan and one for every block on disk.
//!
//! A line counts when it ends in a newline; a line cut by a crash is as if not written,
//! and the block it would have named is written again.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::manifest::{Plan, Totals};
use crate::error::{Error, Place, Result, foreign};

/// A block that is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BlockEntry {
    /// Number of its part file.
    pub part: usize,
    /// Length of that part file with this block.
    pub end: u64,
    /// Input records it took, bad ones included.
    pub consumed: u64,
    /// CRC over ids and texts of its records, to notice a changed input on resume.
    pub input_crc: u32,
    /// Counts of the block.
    pub totals: Totals,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Line {
    /// The first line.
    Plan {
        /// What decides the bytes.
        plan: Box<Plan>,
        /// blake3 of `tokens.json`.
        tokens_digest: String,
    },
    /// A block.
    Block(BlockEntry),
}

impl Line {
    /// The line with its newline.
    pub fn text(&self) -> Result<String> {
        let json = serde_json::to_string(self)
            .map_err(|e| Error::Internal(format!("journal line: {e}")))?;
        Ok(json + "\n")
    }
}

/// A journal's whole lines.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub plan: Option<(Plan, String)>,
    pub blocks: Vec<BlockEntry>,
    /// Line of each block, from 1.
    pub lines: Vec<u64>,
    /// Bytes of the whole lines; what follows was cut by a crash.
    pub len: u64,
}

impl Journal {
    /// Reads `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
        let mut journal = Journal::default();
        for (i, line) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
            if line.last() != Some(&b'\n') {
                break;
            }
            journal.len += line.len() as u64;
            let place = Place::Line(i as u64 + 1);
            let parsed = serde_json::from_slice(line).map_err(|e| {
                Error::data(
                    path,
                    place.clone(),
                    format!("expected a journal line, found {}", foreign(e)),
                )
                .hint("remove the store and encode again")
            })?;
            match parsed {
                Line::Plan { plan, tokens_digest } if i == 0 => {
                    journal.plan = Some((*plan, tokens_digest));
                }
                Line::Block(entry) if i > 0 => {
                    journal.blocks.push(entry);
                    journal.lines.push(i as u64 + 1);
                }
                _ => {
                    let problem = "expected the plan on the first line and only there";
                    return Err(Error::data(path, place, problem));
                }
            }
        }
        Ok(journal)
    }
}
