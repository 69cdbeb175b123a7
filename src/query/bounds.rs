//! What a list can add to a document: at most its maximum, or the maximum of the block
//! around the document, remembered until a document lies beyond the block.
//!
//! A query asks for these bounds far more often than they change, and the lists' own
//! directories differ by representation: kept here, twelve bytes a list, a bound costs
//! one comparison that is nearly always predicted.

use super::cursor::Cursor;

/// Bounds of one list; of the cursor with the same index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    /// Query weight × largest impact of the list.
    pub(super) list: u32,
    /// Query weight × largest impact around the last document asked for.
    pub(super) block: u32,
    /// First document for which `block` does not hold.
    pub(super) until: u32,
}

impl Bound {
    pub(super) fn of(cursor: &Cursor<'_>) -> Self {
        Bound { list: cursor.max_score, block: 0, until: 0 }
    }

    /// Makes `block` hold for `docid`, which must not decrease from call to call.
    #[inline]
    pub(super) fn move_to<'c, 'l: 'c>(
        &mut self,
        docid: u32,
        cursor: impl FnOnce() -> &'c mut Cursor<'l>,
    ) {
        if self.until <= docid {
            let (block, last) = cursor().block_bound(docid);
            (self.block, self.until) = (block, last.saturating_add(1));
        }
    }
}
