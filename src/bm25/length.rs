//! How long texts are: the first pass over a collection that is built in parts.

use rayon::prelude::*;

use super::analyzer::Analyzer;
use super::chunk::Analysed;
use super::params::Bm25Params;
use crate::corpus::TextRecord;
use crate::error::Result;

/// Texts that are analysed together.
const CHUNK: usize = 512;

/// Documents and tokens of `texts`: sums over the parts of a collection give the mean length that
/// [`AvgDl::Auto`](super::AvgDl::Auto) takes of all of it, tokens / documents (1 where there are none).
///
/// # Errors
/// Parameters outside their ranges; the first error of `texts`.
pub fn total_length(
    texts: impl Iterator<Item = Result<TextRecord>>,
    params: &Bm25Params,
) -> Result<(u64, u64)> {
    params.check()?;
    let analyzer = Analyzer::new(params);
    let (mut documents, mut tokens) = (0, 0);
    let mut batch: Vec<TextRecord> = Vec::new();
    let mut count = |batch: &mut Vec<TextRecord>| {
        let length = |chunk: &[TextRecord]| Analysed::new(&analyzer, chunk).length();
        documents += batch.len() as u64;
        tokens += batch.par_chunks(CHUNK).map(length).sum::<u64>();
        batch.clear();
    };
    for text in texts {
        batch.push(text?);
        if batch.len() >= 16 * CHUNK {
            count(&mut batch);
        }
    }
    count(&mut batch);
    Ok((documents, tokens))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::bm25::Bm25Source;
    use crate::error::Place;
    use crate::format::FieldKind;

    #[test]
    fn sums_of_parts_give_the_mean_length_of_the_whole() {
        let record = |i: u64| {
            let text = "blue whales and ".repeat(i as usize % 7);
            let (place, path) = (Place::Record(i), Path::new("x").into());
            Ok(TextRecord { id: i.to_string(), text, place, path })
        };
        let params = Bm25Params::default();
        let whole = Bm25Source::new((0..20_000).map(record), params).unwrap();
        let FieldKind::Bm25 { avgdl, .. } = whole.field() else { panic!("no BM25") };
        let parts = [0..1, 1..9_000, 9_000..9_000, 9_000..20_000];
        let sums = parts.map(|part| total_length(part.map(record), &params).unwrap());
        let (documents, tokens) =
            sums.iter().fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        assert_eq!(documents, 20_000);
        assert_eq!(tokens as f64 / documents as f64, avgdl);
    }
}
