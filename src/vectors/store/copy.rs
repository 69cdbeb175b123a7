//! Vectors of any source into a store.

use std::path::Path;

use super::BLOCK_RECORDS;
use super::manifest::{Manifest, Plan};
use super::writer::{BlockInput, StoreWriter};
use crate::error::Result;
use crate::vectors::{VectorRecord, VectorSource};

/// Writes all records of a source whose tokens are all known before it is read, as those of a matrix
/// are, to a new store in `dir`.
///
/// # Errors
/// Those of the source; a folder that is not empty; what the system says.
pub fn write_source(source: &mut dyn VectorSource, dir: &Path, plan: Plan) -> Result<Manifest> {
    let mut store = StoreWriter::create(dir, plan, source.tokens())?;
    let mut block: Vec<VectorRecord> = Vec::new();
    loop {
        let mut record = VectorRecord::default();
        let more = source.read(&mut record)?;
        if more {
            block.push(record);
        }
        if !block.is_empty() && (!more || block.len() == BLOCK_RECORDS) {
            let consumed = block.len() as u64;
            store.write_block(&block, &BlockInput { consumed, ..BlockInput::default() })?;
            block.clear();
        }
        if !more {
            return store.finish();
        }
    }
}
