//! Opening whatever vectors a user names: stores and JsonVectorCollection files.

use std::path::PathBuf;

use super::jsonl::JsonVectorReader;
use super::store::{Encoding, Kind, Shard, StoreReader};
use super::{Slice, VectorSource};
use crate::error::{Error, Place, Result};

/// Inputs of one collection, in order.
pub struct OpenedVectors {
    /// One source an input; consecutive JSON files are one source.
    pub sources: Vec<Box<dyn VectorSource>>,
    /// The first store's encoding, for provenance.
    pub model: Option<serde_json::Value>,
    /// If the only input is a shard: which one, and the documents before it.
    pub shard: Option<(Shard, u64)>,
}

impl OpenedVectors {
    /// Cuts the collection into `shard.count` parts of equal size and keeps one, as
    /// `encode --shard` does.
    ///
    /// # Errors
    /// The number of documents is not known beforehand, or the input is a shard already.
    pub fn cut(self, shard: Shard) -> Result<Self> {
        if let Some((Shard { index, count }, _)) = self.shard {
            return Err(Error::Usage(format!(
                "--shard cuts whole collections, and the input is shard {index}/{count} of one"
            )));
        }
        let lengths: Option<Vec<u64>> = self.sources.iter().map(|s| s.len_hint()).collect();
        let Some(lengths) = lengths else {
            return Err(Error::Usage(
                "--shard needs vector stores, which know how many documents they have".into(),
            ));
        };
        let documents: u64 = lengths.iter().sum();
        let at = |i: u64| (u128::from(documents) * u128::from(i) / u128::from(shard.count)) as u64;
        let (start, end) = (at(shard.index), at(shard.index + 1));
        let (mut sources, mut base) = (Vec::new(), 0);
        for (source, len) in self.sources.into_iter().zip(lengths) {
            let from = start.clamp(base, base + len);
            let to = end.clamp(base, base + len);
            // Empty parts stay: every input's weights count for the scale.
            sources.push(Box::new(Slice::new(source, from - base, to - from)) as Box<dyn VectorSource>);
            base += len;
        }
        Ok(OpenedVectors { sources, shard: Some((shard, start)), ..self })
    }
}

/// Opens `paths`: store directories are ordered by the doc base that they record, files
/// stay in the order given.
///
/// # Errors
/// Stores mixed with files, shards that leave a gap or overlap, and what opening says.
pub fn open_vectors(paths: &[PathBuf]) -> Result<OpenedVectors> {
    let stores = paths.iter().filter(|path| path.is_dir()).count();
    if stores == 0 {
        let source: Box<dyn VectorSource> = Box::new(JsonVectorReader::open(paths)?);
        return Ok(OpenedVectors { sources: vec![source], model: None, shard: None });
    }
    if stores < paths.len() {
        return Err(Error::Usage(
            "--input mixes vector stores and files; give one kind, so that the order is clear"
                .into(),
        ));
    }
    let mut readers = paths.iter().map(|dir| StoreReader::open(dir)).collect::<Result<Vec<_>>>()?;
    one_kind(&readers, paths)?;
    order_shards(&mut readers, paths)?;
    let model = readers
        .first()
        .and_then(|reader| serde_json::to_value(reader.manifest().plan.encoding.as_ref()?).ok());
    let shard = match &readers[..] {
        [only] => only.manifest().plan.shard.map(|s| (s, only.manifest().plan.doc_base)),
        _ => None,
    };
    let sources = readers.into_iter().map(|r| Box::new(r) as Box<dyn VectorSource>).collect();
    Ok(OpenedVectors { sources, model, shard })
}

/// Refuses stores of queries, and stores whose texts were encoded in different ways: their
/// weights do not compare.
fn one_kind(readers: &[StoreReader], paths: &[PathBuf]) -> Result<()> {
    let stores = || readers.iter().map(|r| &r.manifest().plan).zip(paths);
    if let Some((_, path)) = stores().find(|(plan, _)| plan.kind == Kind::Query) {
        return Err(Error::data(path, Place::File, "expected documents, found a store of queries")
            .hint("encode the texts without --kind query"));
    }
    let Some((first, first_path)) = stores().next() else { return Ok(()) };
    for (plan, path) in stores().skip(1) {
        let Some(what) = difference(first.encoding.as_ref(), plan.encoding.as_ref()) else {
            continue;
        };
        let problem = format!("{what} differs from that of {}", first_path.display());
        return Err(Error::data(path, Place::File, problem)
            .hint("encode all parts of a collection with the same model and flags"));
    }
    Ok(())
}

/// What makes the weights of two encodings differ by more than rounding.
fn difference(a: Option<&Encoding>, b: Option<&Encoding>) -> Option<&'static str> {
    let (Some(a), Some(b)) = (a, b) else {
        return (a.is_some() != b.is_some()).then_some("where the vectors come from");
    };
    [
        ("the model", a.model.weights_digest != b.model.weights_digest),
        ("the model's configuration", a.model.config_digest != b.model.config_digest),
        ("the tokenizer", a.model.tokenizer_digest != b.model.tokenizer_digest),
        ("the pooling", a.pooling != b.pooling),
        ("--max-length", a.max_length != b.max_length),
        ("--fields", a.fields != b.fields),
        ("--top", a.top != b.top),
        ("--min-weight", a.min_weight != b.min_weight),
    ]
    .into_iter()
    .find_map(|(what, differs)| differs.then_some(what))
}

/// Sorts shards of one collection by doc base and checks that each begins where the one
/// before ends. Stores that are no shards keep their order.
fn order_shards(readers: &mut [StoreReader], paths: &[PathBuf]) -> Result<()> {
    let shards = readers.iter().filter(|r| r.manifest().plan.shard.is_some()).count();
    if shards == 0 {
        return Ok(());
    }
    if shards < readers.len() {
        return Err(Error::Usage(
            "--input mixes shards with whole stores; give one kind, so that the order is clear"
                .into(),
        ));
    }
    readers.sort_by_key(|r| r.manifest().plan.doc_base);
    let (mut expected, mut count) = (0, 0);
    for reader in readers.iter() {
        let (base, documents) =
            (reader.manifest().plan.doc_base, reader.manifest().totals.documents);
        if base != expected {
            let problem =
                format!("expected a shard that begins at document {expected}, found one at {base}");
            return Err(Error::data(&paths[0], Place::File, problem)
                .hint("give every shard of the collection once"));
        }
        expected = base + documents;
        count = reader.manifest().plan.shard.map_or(0, |shard| shard.count);
    }
    if count != shards as u64 {
        let problem = format!("expected all {count} shards of the collection, found {shards}");
        return Err(Error::data(&paths[0], Place::File, problem)
            .hint("give every shard of the collection once"));
    }
    Ok(())
}
