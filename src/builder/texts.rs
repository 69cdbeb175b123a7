//! Texts as BM25 vectors, within the memory of a build.

use std::path::Path;

use super::BuildOptions;
use super::estimate::{Estimate, Growth};
use crate::bm25::{Bm25Params, Bm25Source};
use crate::corpus::TextRecord;
use crate::error::Result;
use crate::format::FieldKind;
use crate::vectors::Size;

/// BM25 weights of `texts`, and how they are made. Of the memory, a quarter is for what is analysed
/// before the mean length is known: what is made of it needs the rest. The texts may go with
/// vectors of the sizes `beside`; `done` tells which share of them was read, if it is known.
///
/// # Errors
/// Those of [`Bm25Source::within`]; a collection that the memory cannot hold.
pub fn analysed<R: Iterator<Item = Result<TextRecord>>>(
    texts: R,
    params: Bm25Params,
    beside: &[Size],
    options: &BuildOptions,
    tmp: &Path,
    done: impl Fn(&R) -> Option<f64>,
) -> Result<(Bm25Source<R>, FieldKind)> {
    let mut growth = Growth::default();
    let check = |source: &Bm25Source<R>| {
        let size = source.analysed();
        growth.note(size.documents, size.tokens);
        Estimate::so_far(size, beside, &growth).check(done(source.texts()), options)
    };
    let source = Bm25Source::within(options.memory.left(0) / 4, tmp, texts, params, check)?;
    let kind = source.field();
    Ok((source, kind))
}
