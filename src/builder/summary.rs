//! The summary of the parts of a collection: what one index of them would know of its terms.

use std::path::Path;

use zerocopy::{FromZeros, IntoBytes};

use super::merge::{Union, meta, provenance};
use super::pack::PostingLists;
use super::parts;
use crate::error::{Error, Result};
use crate::format::header::SUMMARY;
use crate::format::{IndexWriter, MAX_DOCUMENTS, Provenance, SectionKind, TermRecord, lexicon};
use crate::index::Index;
use crate::output::OutputFile;

/// Writes the [`Summary`](crate::index::Summary) of all parts of a collection to `target`.
///
/// # Errors
/// Parts that do not belong together, as [`merge`](super::merge()) says it; what the system says.
pub fn write_summary(mut indexes: Vec<Index>, target: &Path) -> Result<()> {
    parts::sort_shards(&mut indexes)?;
    parts::check_alike(&indexes)?;
    let documents: u64 = indexes.iter().map(|index| index.meta().documents).sum();
    if documents > MAX_DOCUMENTS {
        let problem = format!("{documents} documents exceed the limit of {MAX_DOCUMENTS}");
        return Err(Error::Usage(problem));
    }
    let union = Union::new(&indexes, documents as u32);
    let records: Vec<TermRecord> = union
        .frequencies()
        .iter()
        .enumerate()
        .map(|(term, &df)| TermRecord {
            df: df.into(),
            max_impact: union.max_impact(term),
            ..TermRecord::new_zeroed()
        })
        // As in an index, one more record ends the last list.
        .chain([TermRecord::new_zeroed()])
        .collect();
    let mut file = OutputFile::create(target)?;
    let name = file.target().to_owned();
    let mut writer = IndexWriter::new(&mut file, &name)?;
    writer.require(SUMMARY);
    writer.section(SectionKind::Terms, records.as_bytes())?;
    writer.section(SectionKind::Lexicon, &lexicon::encode(union.keys().iter().copied())?)?;
    let meta = meta(&indexes, union.keys().len() as u64, false);
    writer.section(SectionKind::Meta, &meta.encode()?)?;
    let tool = concat!("splindex ", env!("CARGO_PKG_VERSION")).into();
    let provenance = serde_json::to_vec(&Provenance { tool, ..provenance(&indexes) })
        .map_err(|e| Error::Internal(format!("PROVENANCE does not encode: {e}")))?;
    writer.section(SectionKind::Provenance, &provenance)?;
    writer.finish()?;
    file.publish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Summary;
    use crate::queries::{QueryBuilder, Tokens};
    use crate::query::Algorithm;
    use crate::query::partial::{Partial, merged};
    use crate::{Builder, Scale};

    const TEXTS: [(&str, &str); 7] = [
        ("a", "a blue whale and a whale"),
        ("b", "ships at sea"),
        ("c", "whales at sea"),
        ("d", "the sea, the sea"),
        ("e", "blue ship"),
        ("f", "whales at sea"),
        ("g", "ship whale sea blue"),
    ];

    /// One index of all texts, and of parts with the same mean length.
    fn collection(dir: &Path) -> (Index, Vec<Index>) {
        let vectors = |texts: &[(&'static str, &'static str)]| {
            let weights =
                |text: &'static str| text.split(' ').map(|word| (word, 1.5 / word.len() as f32));
            let mut rows: Vec<_> =
                texts.iter().map(|&(id, text)| (id, weights(text).collect::<Vec<_>>())).collect();
            rows.iter_mut().for_each(|(_, row)| {
                row.sort_by_key(|(word, _)| *word);
                row.dedup_by_key(|(word, _)| *word);
            });
            rows
        };
        let whole = Builder::new().texts(TEXTS).unwrap().index().unwrap();
        let crate::format::FieldKind::Bm25 { avgdl, .. } = whole.meta().fields[0].kind else {
            panic!()
        };
        let build = |name: &str, texts: &[(&'static str, &'static str)]| {
            let bm25 = crate::bm25::Bm25Params {
                avgdl: crate::bm25::AvgDl::Fixed(avgdl),
                ..Default::default()
            };
            let rows = vectors(texts);
            let mut source = crate::vectors::Documents::new(rows);
            let loaded = Builder::new()
                .bm25(bm25)
                .scale(Scale::Fixed(1.5))
                .hybrid(&mut source, texts.iter().copied());
            loaded.unwrap().write(dir.join(name)).unwrap();
            Index::open(&dir.join(name)).unwrap()
        };
        let parts = [&TEXTS[..2], &TEXTS[2..3], &TEXTS[3..]];
        let parts = parts.iter().enumerate().map(|(i, part)| build(&format!("{i}.spx"), part));
        (build("all.spx", &TEXTS), parts.collect())
    }

    #[test]
    fn parts_asked_with_a_summarys_queries_answer_as_one_index() {
        let dir = tempfile::tempdir().unwrap();
        let (whole, parts) = collection(dir.path());
        let path = dir.path().join("summary.spx");
        write_summary(parts.clone(), &path).unwrap();
        assert!(Index::open(&path).unwrap_err().to_string().contains("summary"), "no index");
        let summary = Summary::open(&path).unwrap();
        assert_eq!(summary.documents(), 7);
        let of_summary = QueryBuilder::of_summary(&summary, None, Some(0.0), None).unwrap();
        let of_whole = QueryBuilder::load(&whole, None, Some(0.0)).unwrap();
        for text in ["whales", "blue sea", "ship of the sea unknown", "whale ship sea blue"] {
            let asked = of_whole.text(text).unwrap();
            let made = of_summary.text(text).unwrap();
            assert_eq!((asked.unit, asked.query.unknown), (made.unit, made.query.unknown));
            let tokens = Tokens::of(&made, &of_summary).encode();
            for k in 1..9 {
                for algorithm in [Algorithm::Auto, Algorithm::Exhaustive, Algorithm::Wand] {
                    let mut searcher = whole.searcher();
                    let hits = searcher.search(&asked.query, k, algorithm).unwrap();
                    let expected: Vec<_> = hits
                        .iter()
                        .map(|hit| {
                            (u64::from(hit.ordinal), hit.score, whole.id(hit.ordinal).to_owned())
                        })
                        .collect();
                    let mut base = 0;
                    let lists: Vec<Vec<u8>> = parts
                        .iter()
                        .map(|part| {
                            let query = Tokens::decode(&tokens).unwrap().query(part).unwrap();
                            let hits =
                                part.searcher().search(&query, k, algorithm).unwrap().to_vec();
                            let list = Partial::encode(part, base, &hits);
                            base += u64::from(part.documents());
                            list
                        })
                        .collect();
                    let found = merged(lists.iter().map(Vec::as_slice), k).unwrap();
                    let found: Vec<_> =
                        found.into_iter().map(|hit| (hit.ordinal, hit.score, hit.id)).collect();
                    assert_eq!(found, expected, "{text}, {k}");
                }
            }
        }
    }
}
