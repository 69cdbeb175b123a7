//! What a release is: its objects with their digests, and what a reader must know of them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Place, Result, foreign};
use crate::format::Provenance;

/// What a manifest calls itself.
const FORMAT: &str = "splindex-release";
/// The newest version that this program reads, and the one that it writes.
const VERSION: u32 = 1;
/// Hexadecimal digits of a manifest's BLAKE3 in its name.
const SHORT: usize = 12;

/// Bytes of the store, named by what they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Path below the store's root: `objects/…`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// BLAKE3 of the bytes, hexadecimal.
    pub blake3: String,
}

/// An index of the release; several together are one collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The file.
    #[serde(flatten)]
    pub object: Object,
    /// As `splindex verify` says it.
    pub content_id: String,
    /// Ordinal in the collection of the part's first document.
    pub first_ordinal: u64,
    /// Documents, those without a term included.
    pub documents: u64,
    /// Postings of all lists.
    pub postings: u64,
    /// Terms with a posting list.
    pub terms: u64,
    /// Codec, order, bits, fields with scale and analyzer, pruning, shard: META of the file.
    pub parameters: Value,
    /// Who made the file and from what.
    pub provenance: Provenance,
}

/// What text queries need beside the indexes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryModel {
    /// Name of the model's folder.
    pub name: String,
    /// Whether queries are answered from a table of token weights.
    pub inference_free: bool,
    /// BLAKE3 of the tokenizer's file, as provenances of indexes have it.
    pub tokenizer_digest: String,
    /// BLAKE3 of the token weights, or of the model's.
    pub weights_digest: String,
    /// Its files.
    pub files: Vec<ModelFile>,
}

/// A file of a model's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFile {
    /// Path in the model's folder, with `/`.
    pub name: String,
    /// The bytes.
    #[serde(flatten)]
    pub object: Object,
}

/// BM25 of the whole collection: what parts that are served apart must agree on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GlobalBm25 {
    /// N: documents of all parts.
    pub documents: u64,
    /// Mean document length in tokens, as all parts use it.
    pub avgdl: f64,
    /// Term frequency saturation.
    pub k1: f64,
    /// Length normalisation.
    pub b: f64,
    /// `english` or `none`.
    pub stemmer: String,
    /// `english` or `none`.
    pub stopwords: String,
}

/// A release, as `releases/<id>.json` says it. Fields that a reader does not know are skipped; what it
/// must know raises the version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// `splindex-release`.
    pub format: String,
    /// Of this format: 1.
    pub version: u32,
    /// When it was published: RFC 3339, UTC.
    pub time: String,
    /// What its publisher said of it; may be empty.
    #[serde(default)]
    pub note: String,
    /// Program and version that published it.
    pub tool: String,
    /// Documents of all parts.
    pub documents: u64,
    /// Postings of all parts.
    pub postings: u64,
    /// In the order of their documents.
    pub parts: Vec<Part>,
    /// What the parts have in common, for who makes queries of all of them; none for one part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Object>,
    /// None where queries need no model, or where it is elsewhere.
    pub query_model: Option<QueryModel>,
    /// None without a BM25 field.
    pub bm25: Option<GlobalBm25>,
}

impl Manifest {
    pub(super) fn new(time: String, note: String, parts: Vec<Part>) -> Self {
        Manifest {
            format: FORMAT.into(),
            version: VERSION,
            time,
            note,
            tool: concat!("splindex ", env!("CARGO_PKG_VERSION")).into(),
            documents: parts.iter().map(|part| part.documents).sum(),
            postings: parts.iter().map(|part| part.postings).sum(),
            parts,
            summary: None,
            query_model: None,
            bm25: None,
        }
    }

    /// All objects: parts, summary, files of the model; one that two files share stands twice.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        let files = self.query_model.iter().flat_map(|model| &model.files);
        let parts = self.parts.iter().map(|part| &part.object);
        parts.chain(&self.summary).chain(files.map(|file| &file.object))
    }

    /// As [`objects`](Self::objects), to give them their paths.
    pub(super) fn objects_mut(&mut self) -> impl Iterator<Item = &mut Object> {
        let files = self.query_model.iter_mut().flat_map(|model| &mut model.files);
        let parts = self.parts.iter_mut().map(|part| &mut part.object);
        parts.chain(&mut self.summary).chain(files.map(|file| &mut file.object))
    }

    /// What does not hold, if anything: later code trusts paths, names and sums.
    fn fault(&self) -> Option<String> {
        if self.parts.is_empty() {
            return Some("expected at least one part, found none".into());
        }
        let mut next = 0u64;
        for (i, part) in self.parts.iter().enumerate() {
            if part.first_ordinal != next {
                let found = part.first_ordinal;
                return Some(format!("expected part {i} from document {next} on, found {found}"));
            }
            next = match next.checked_add(part.documents) {
                Some(next) => next,
                None => return Some(format!("part {i} has {} documents", part.documents)),
            };
        }
        if next != self.documents {
            return Some(format!("expected {next} documents, found {}", self.documents));
        }
        if let Some(object) = self.objects().find(|object| !object.is_sound()) {
            return Some(format!(
                "expected an object's path (objects/NAME) and BLAKE3, found {:?} and {:?}",
                object.path, object.blake3
            ));
        }
        let sizes = self.objects().try_fold(0u64, |sum, object| sum.checked_add(object.size));
        if sizes.is_none() {
            return Some("the sizes of its objects have no sum".into());
        }
        let files = self.query_model.iter().flat_map(|model| &model.files);
        let mut names = BTreeSet::new();
        for file in files {
            if !is_inside(&file.name) || !names.insert(&file.name) {
                return Some(format!("no file of a model is called {:?}, or two are", file.name));
            }
        }
        None
    }
}

impl Object {
    fn is_sound(&self) -> bool {
        let name = self.path.strip_prefix("objects/");
        name.is_some_and(is_name) && is_hex(&self.blake3, 64)
    }
}

/// A name that is one on every file system and in every store.
pub(super) fn is_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=200).contains(&name.len()) && !name.starts_with('.') && name.chars().all(legal)
}

/// A relative path that stays inside its folder.
pub(super) fn is_inside(path: &str) -> bool {
    path.len() <= 500 && path.split('/').all(is_name)
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A manifest under its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Release {
    /// `<time>-<digest>`: sorts by time.
    pub id: String,
    /// What it holds.
    pub manifest: Manifest,
    bytes: Vec<u8>,
}

impl Release {
    /// Gives the manifest its name.
    pub(super) fn of(manifest: Manifest) -> Result<Self> {
        let mut bytes = serde_json::to_vec_pretty(&manifest)
            .map_err(|e| Error::Internal(format!("the manifest to JSON: {e}")))?;
        bytes.push(b'\n');
        let time: String = manifest.time.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
        let digest = blake3::hash(&bytes).to_hex();
        let id = format!("{time}-{}", &digest[..SHORT]);
        Ok(Release { id, manifest, bytes })
    }

    /// Reads the manifest that is called `id`; `file` names it in errors.
    ///
    /// # Errors
    /// Bytes that the name does not fit, a newer version, what is no sound manifest.
    pub(super) fn parse(file: &str, id: &str, bytes: Vec<u8>) -> Result<Self> {
        let bad = |problem: String| Error::data(file, Place::File, problem);
        let digest = blake3::hash(&bytes).to_hex();
        let Some(expected) = short(id) else {
            return Err(bad(format!("expected the name of a release, found {id:?}")));
        };
        if expected != &digest[..SHORT] {
            let problem =
                format!("expected bytes with the BLAKE3 {expected}…, found {}…", &digest[..SHORT]);
            return Err(bad(problem).hint("the manifest is damaged: publish again, or roll back"));
        }
        let head: Head = serde_json::from_slice(&bytes)
            .map_err(|e| bad(format!("expected a manifest in JSON, found {}", foreign(e))))?;
        head.check(file, FORMAT, VERSION)?;
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|e| {
            bad(format!("expected a manifest of version {VERSION}, found {}", foreign(e)))
        })?;
        match manifest.fault() {
            Some(problem) => Err(bad(problem)),
            None => Ok(Release { id: id.to_owned(), manifest, bytes }),
        }
    }

    /// The manifest's bytes, as the store has them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// BLAKE3 of the manifest's bytes, hexadecimal.
    pub fn digest(&self) -> String {
        blake3::hash(&self.bytes).to_hex().to_string()
    }

    /// Bytes of all its objects.
    pub fn size(&self) -> u64 {
        self.manifest.objects().map(|object| object.size).sum()
    }
}

/// First fields of every JSON file of a store.
#[derive(Deserialize)]
pub(super) struct Head {
    #[serde(default)]
    format: String,
    #[serde(default)]
    version: u32,
}

impl Head {
    /// # Errors
    /// Another format, or a newer version of it than this program knows.
    pub(super) fn check(&self, file: &str, format: &str, newest: u32) -> Result<()> {
        let bad = |problem: String| Error::data(file, Place::File, problem);
        if self.format != format {
            return Err(bad(format!("expected the format {format:?}, found {:?}", self.format))
                .hint("it was not written by splindex publish"));
        }
        if !(1..=newest).contains(&self.version) {
            let problem = format!("expected version 1 to {newest}, found {}", self.version);
            return Err(bad(problem).hint("a newer splindex wrote it: update this one"));
        }
        Ok(())
    }
}

/// The digest in a release's name.
fn short(id: &str) -> Option<&str> {
    let (time, short) = id.rsplit_once('-')?;
    (is_name(time) && is_hex(short, SHORT)).then_some(short)
}

/// Whether `id` may name a release.
pub(super) fn is_id(id: &str) -> bool {
    short(id).is_some() && is_name(id)
}
