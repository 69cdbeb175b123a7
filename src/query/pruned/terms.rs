//! The frequent terms of a query, as the steps of the search see them.

use super::super::Weighted;
use super::super::kernels::blocks::{DOCUMENTS, Row};
use super::super::kernels::prefetch_line;
use crate::format::WINDOW;
use crate::format::postings::dense::Bitmap;
use crate::format::postings::{Damaged, List, Representation};
use crate::format::skip::{BlockMaxima, impacts_of_steps, place};

/// A frequent term of a query.
pub(super) struct Term<'a> {
    pub(super) list: List<'a>,
    pub(super) weight: u32,
    pub(super) maxima: BlockMaxima<'a>,
    pub(super) postings: Postings<'a>,
    /// What each number of steps lets a document score at most.
    pub(super) scores: [u32; 16],
}

/// A list of which any block can be read.
pub(super) enum Postings<'a> {
    Positions(&'a [[u8; 2]]),
    Bitmap(Bitmap<'a>),
}

impl<'a> Term<'a> {
    /// `None` of a rare term.
    pub(super) fn of(&Weighted { list, weight }: &Weighted<'a>) -> Result<Option<Self>, Damaged> {
        let postings = match list.representation {
            Representation::Packed => return Ok(None),
            Representation::Positions => Postings::Positions(list.pairs()),
            Representation::Bitmap => Postings::Bitmap(list.bitmap().ok_or(Damaged)?),
            // A file with skip data has none.
            Representation::Stream => return Err(Damaged),
        };
        let maxima = list.skip.ok_or(Damaged)?;
        let scores = impacts_of_steps(list.max_impact).map(|impact| weight * u32::from(impact));
        Ok(Some(Term { list, weight, maxima, postings, scores }))
    }

    /// Asks for what says where a block's postings stand.
    #[inline(always)]
    pub(super) fn prefetch(&self, block: u32) {
        let block = block as usize;
        match &self.postings {
            Postings::Positions(_) => {
                let at = block / (WINDOW as usize / DOCUMENTS);
                prefetch_line(self.list.runs.get(at..).unwrap_or_default());
                prefetch_line(self.list.windows.get(at..).unwrap_or_default());
            }
            Postings::Bitmap(bitmap) => {
                prefetch_line(bitmap.words.get(block / 4..).unwrap_or_default());
            }
        }
    }

    /// The most that the term can add to a score.
    pub(super) fn most(&self) -> u32 {
        self.scores[15]
    }

    /// The same in a block; `FINE` is what the row is.
    #[inline(always)]
    pub(super) fn bound<const FINE: bool>(&self, block: u32) -> u32 {
        let (at, shift) = place(block, FINE);
        let steps = self.maxima.row.get(at).map_or(0, |byte| byte >> shift & 15);
        self.scores[usize::from(steps)]
    }

    /// The row as a sweep takes it; `enough` is what 255 stands for.
    pub(super) fn row<const BYTES: usize>(&self, enough: u32) -> Row<'a, BYTES> {
        let adds = self.scores.map(|score| in_255ths(score, enough));
        Row { lines: self.maxima.row.as_chunks().0, adds }
    }
}

/// A score in 255ths of another, rounded up: if scores sum to `enough`, these sum to 255.
pub(super) fn in_255ths(score: u32, enough: u32) -> u8 {
    if score >= enough {
        return 255;
    }
    (u64::from(score) * 255).div_ceil(u64::from(enough)) as u8
}
