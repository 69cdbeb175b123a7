//! What is to be published, looked at before anything is sent.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::fetch::{SUMMARY_FILE, Uncounted};
use super::manifest::{GlobalBm25, Manifest, Object, Part};
use super::publish::PublishOptions;
use crate::builder::{parts, write_summary};
use crate::error::{Error, Place, Result};
use crate::format::FieldKind;
use crate::index::Index;
use crate::progress::{Progress, advance};
use crate::queries::QueryBuilder;

/// A release whose objects are still files here.
pub(super) struct Prepared {
    /// Objects have the names that they are to get.
    pub manifest: Manifest,
    /// The file of each object, in the manifest's order.
    pub files: Vec<PathBuf>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// Has the summary, if there is one.
    _folder: Option<TempDir>,
}

/// Verifies the indexes, computes the digests of all files and checks that they belong together.
pub(super) fn prepare(
    options: &PublishOptions,
    time: String,
    progress: &dyn Progress,
) -> Result<Prepared> {
    let indexes = indexes(&options.indexes, progress)?;
    let (mut parts, mut files) = (Vec::new(), Vec::new());
    let total = indexes.iter().map(Index::file_len).sum();
    progress.begin("hashing", total);
    let mut first_ordinal = 0;
    for index in &indexes {
        let name = format!("objects/{}.spx", index.content_id());
        parts.push(part(index, object(index.path(), name, progress)?, first_ordinal)?);
        files.push(index.path().to_owned());
        first_ordinal += index.meta().documents;
    }
    let mut manifest = Manifest::new(time, options.note.clone(), parts);
    manifest.bm25 = bm25(&indexes[0], manifest.documents);
    let folder = match indexes.len() {
        1 => None,
        _ => Some(summary(&indexes, &mut manifest, &mut files, progress)?),
    };
    let mut notes = Vec::new();
    match &options.query_model {
        Some(_) if QueryBuilder::needs_no_model(&indexes[0]) => {
            notes.push("BM25 analyses texts itself: the query model is left out".into());
        }
        Some(model) => {
            let (shipped, paths) = model::ship(model, &indexes, &mut notes, progress)?;
            manifest.query_model = Some(shipped);
            files.extend(paths);
        }
        None if QueryBuilder::needs_no_model(&indexes[0]) => {}
        None => notes.push(
            "without `query_model` the release answers weighted tokens; text queries need a model \
             from elsewhere"
                .into(),
        ),
    }
    Ok(Prepared { manifest, files, notes, _folder: folder })
}

/// Writes the summary of the parts to a temporary folder, which is given back.
fn summary(
    indexes: &[Index],
    manifest: &mut Manifest,
    files: &mut Vec<PathBuf>,
    progress: &dyn Progress,
) -> Result<TempDir> {
    let folder = tempfile::tempdir().map_err(|e| Error::io("create", std::env::temp_dir(), e))?;
    let path = folder.path().join(SUMMARY_FILE);
    write_summary(indexes.to_vec(), &path)?;
    let (size, blake3) = digest(&path, &Uncounted(progress))?;
    let name = format!("objects/{blake3}.{SUMMARY_FILE}");
    manifest.summary = Some(Object { path: name, size, blake3 });
    files.push(path);
    Ok(folder)
}

/// Opens and verifies the parts, in the order of their documents.
fn indexes(paths: &[PathBuf], progress: &dyn Progress) -> Result<Vec<Index>> {
    let mut indexes = paths.iter().map(|path| Index::open(path)).collect::<Result<Vec<_>>>()?;
    if indexes.is_empty() {
        return Err(Error::Usage("give at least one index to publish".into()));
    }
    parts::sort_shards(&mut indexes)?;
    parts::check_alike(&indexes)?;
    for (i, index) in indexes.iter().enumerate() {
        let twice = indexes[..i].iter().find(|other| other.content_id() == index.content_id());
        if let Some(other) = twice {
            let problem = format!("has the content of {}", other.path().display());
            return Err(Error::data(index.path(), Place::File, problem)
                .hint("give every part of the collection once"));
        }
    }
    progress.begin("verifying", indexes.len() as u64);
    for index in &indexes {
        if let Some(fault) = index.verify().faults.into_iter().next() {
            return Err(Error::data(index.path(), Place::File, fault)
                .hint("it is damaged: copy or build it again"));
        }
        index.release();
        advance(progress, 1)?;
    }
    Ok(indexes)
}

fn part(index: &Index, object: Object, first_ordinal: u64) -> Result<Part> {
    let meta = index.meta();
    let mut parameters =
        serde_json::to_value(meta).map_err(|e| Error::Internal(format!("META to JSON: {e}")))?;
    if let Value::Object(map) = &mut parameters {
        map.insert("skip_data".into(), index.has_skip_data().into());
    }
    Ok(Part {
        object,
        content_id: index.content_id(),
        first_ordinal,
        documents: meta.documents,
        postings: meta.postings,
        terms: meta.terms,
        parameters,
        provenance: index.provenance(),
    })
}

fn bm25(index: &Index, documents: u64) -> Option<GlobalBm25> {
    index.meta().fields.iter().find_map(|field| match field.kind.clone() {
        FieldKind::Learned => None,
        FieldKind::Bm25 { k1, b, avgdl, stemmer, stopwords } => {
            Some(GlobalBm25 { documents, avgdl, k1, b, stemmer, stopwords })
        }
    })
}

/// Size and digest of a file; `path` is what it will be called.
fn object(file: &Path, path: String, progress: &dyn Progress) -> Result<Object> {
    let (size, blake3) = digest(file, progress)?;
    Ok(Object { path, size, blake3 })
}

/// Bytes and BLAKE3 of a file, advancing by bytes.
pub(super) fn digest(path: &Path, progress: &dyn Progress) -> Result<(u64, String)> {
    let mut file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let (mut hasher, mut size) = (blake3::Hasher::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let len = file.read(&mut buffer).map_err(|e| Error::io("read", path, e))?;
        if len == 0 {
            return Ok((size, hasher.finalize().to_hex().to_string()));
        }
        hasher.update(&buffer[..len]);
        size += len as u64;
        advance(progress, len as u64)?;
    }
}

#[cfg(not(feature = "tokenize"))]
mod model {
    use super::*;
    use crate::lifecycle::release::QueryModel;

    pub fn ship(
        _: &Path,
        _: &[Index],
        _: &mut Vec<String>,
        _: &dyn Progress,
    ) -> Result<(QueryModel, Vec<PathBuf>)> {
        Err(Error::Usage("`query_model` needs a splindex built with the feature tokenize".into()))
    }
}

#[cfg(feature = "tokenize")]
mod model {
    use super::super::manifest::is_inside;
    use super::*;
    use crate::encode::{EncoderOptions, QueryEncoder, QueryFiles, TextEncoder, query_files};
    use crate::lifecycle::release::{ModelFile, QueryModel};

    /// The files of a model that fits the indexes.
    pub fn ship(
        model: &Path,
        indexes: &[Index],
        notes: &mut Vec<String>,
        progress: &dyn Progress,
    ) -> Result<(QueryModel, Vec<PathBuf>)> {
        let shipped = query_files(model)?;
        let encoder = load(&shipped)?;
        indexes.iter().try_for_each(|index| check_tokens(model, &encoder, index))?;
        notes.extend(other_tokenizer(&shipped.name, &encoder, &indexes[0]));
        let (mut files, mut paths) = (Vec::new(), Vec::new());
        for name in &shipped.files {
            let path = shipped.dir.join(name);
            if !is_inside(name) {
                let problem = "expected a name of letters, digits, `-`, `_` and `.`";
                return Err(Error::data(path, Place::File, problem).hint("rename the file"));
            }
            let last = name.rsplit('/').next().unwrap_or_default();
            let (size, blake3) = digest(&path, progress)?;
            let object = Object { path: format!("objects/{blake3}.{last}"), size, blake3 };
            files.push(ModelFile { name: name.clone(), object });
            paths.push(path);
        }
        let info = encoder.info();
        let query_model = QueryModel {
            name: shipped.name,
            inference_free: encoder.is_inference_free(),
            tokenizer_digest: info.tokenizer_digest.clone(),
            weights_digest: info.weights_digest.clone(),
            files,
        };
        Ok((query_model, paths))
    }

    /// Loads the model from the files that are shipped, and no others: what they lack, a node would.
    fn load(shipped: &QueryFiles) -> Result<QueryEncoder> {
        let failed = |e| Error::io("link the files of", &shipped.dir, e);
        let whole = std::fs::canonicalize(&shipped.dir).map_err(failed)?;
        let dir = tempfile::tempdir().map_err(|e| Error::io("create", std::env::temp_dir(), e))?;
        for name in &shipped.files {
            let link = dir.path().join(name);
            std::fs::create_dir_all(crate::output::folder(&link)).map_err(failed)?;
            #[cfg(unix)]
            std::os::unix::fs::symlink(whole.join(name), &link).map_err(failed)?;
            #[cfg(not(unix))]
            std::fs::copy(whole.join(name), &link).map(drop).map_err(failed)?;
        }
        #[cfg(feature = "encode")]
        let options = EncoderOptions { threads: 1, ..EncoderOptions::default() };
        #[cfg(not(feature = "encode"))]
        let options = EncoderOptions::default();
        QueryEncoder::load(dir.path(), &options).map_err(|error| match error {
            // The folder that the user knows, not the one with the links.
            Error::Data(mut data) => {
                if let Ok(inside) = data.path.strip_prefix(dir.path()) {
                    data.path = shipped.dir.join(inside);
                }
                Error::Data(data)
            }
            other => other,
        })
    }

    /// Every token of the index's learned field must be one that the model can ask for.
    fn check_tokens(model: &Path, encoder: &QueryEncoder, index: &Index) -> Result<()> {
        let (tokens, lexicon) = (encoder.tokens(), index.lexicon());
        let learned = (0..lexicon.len()).map(|term| lexicon.token(term));
        let mut unknown =
            learned.filter(|(field, token)| *field == 0 && tokens.get(token).is_none());
        let Some((_, example)) = unknown.next() else { return Ok(()) };
        let problem = format!(
            "has no token {example:?} ({} of {} tokens of {} are unknown to it)",
            1 + unknown.count(),
            lexicon.len(),
            index.path().display()
        );
        Err(Error::data(model, Place::File, problem)
            .hint("`query_model` must belong to the model that encoded the documents"))
    }

    /// A model that knows all tokens and cuts texts otherwise may be meant.
    fn other_tokenizer(name: &str, encoder: &QueryEncoder, index: &Index) -> Option<String> {
        let documents = index.provenance().model?;
        let field = |field: &str| documents["model"][field].as_str().map(str::to_owned);
        let (document_name, digest) = (field("name")?, field("tokenizer_digest")?);
        (encoder.info().tokenizer_digest != digest && name != document_name).then(|| {
            format!(
                "documents were encoded by {document_name:?}, queries are by {name:?}, with another \
                 tokenizer file; answers mean something only if the two belong together"
            )
        })
    }
}
