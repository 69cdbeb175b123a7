//! Opening whatever vectors a user names: stores, JsonVectorCollection, CIFF and
//! sparse-matrix files, recognised by content, then by name.

use std::collections::VecDeque;
use std::io::{BufRead, Cursor, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::ciff::Ciff;
use super::jsonl::JsonVectorReader;
use super::parts::{one_kind, order_shards, range_of};
use super::reread::{Rereadable, unreadable};
use super::sparse::{Sidecars, csr_len, open_csr, open_npz};
use super::store::{Kind, Shard, StoreReader};
use super::transpose::{ROOM, Transposed};
use super::{Slice, VectorSource};
use crate::corpus::{check_inputs, open_input, sniff};
use crate::error::{Error, Place, Result};

/// Inputs of one collection, in order.
pub struct OpenedVectors {
    /// One source an input; consecutive JSON files are one source.
    pub sources: Vec<Box<dyn VectorSource>>,
    /// The first store's encoding, for provenance.
    pub model: Option<serde_json::Value>,
    /// If the only input is a shard: which one, and the documents before it.
    pub shard: Option<(Shard, u64)>,
    /// Matrices among the inputs.
    matrices: usize,
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
                "`shard` cuts whole collections, and the input is shard {index}/{count} of one"
            )));
        }
        let lengths: Option<Vec<u64>> = self.sources.iter().map(|s| s.len_hint()).collect();
        let Some(lengths) = lengths else {
            return Err(Error::Usage(
                "`shard` needs vector stores, which know how many documents they have".into(),
            ));
        };
        let documents: u64 = lengths.iter().sum();
        let Range { start, end } = range_of(shard, documents);
        let (mut sources, mut base) = (Vec::new(), 0);
        for (source, len) in self.sources.into_iter().zip(lengths) {
            let from = start.clamp(base, base + len);
            let to = end.clamp(base, base + len);
            // Empty parts stay: every input's weights count for the scale.
            let part: Box<dyn VectorSource> = Box::new(Slice::new(source, from - base, to - from));
            sources.push(part);
            base += len;
        }
        Ok(OpenedVectors { sources, shard: Some((shard, start)), ..self })
    }
}

/// What a file of vectors is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// JsonVectorCollection lines.
    Jsonl,
    /// Common Index File Format.
    Ciff,
    /// A SciPy matrix.
    Npz,
    /// A big-ann-benchmarks matrix.
    Csr,
    /// A dense NumPy array.
    Npy,
    /// An index of ours.
    Index,
}

/// A file of queries, by its first bytes.
pub(crate) enum Queries {
    /// Lines: texts, token lists or JSON. What was read of an input that cannot be opened
    /// again comes with them.
    Lines(Option<Box<dyn BufRead + Send>>),
    /// Vectors: a store, a matrix, a CIFF file, or a folder of JSON files.
    Vectors(Vec<Box<dyn VectorSource>>),
}

/// Looks at the queries in `path`, and opens them if they are vectors.
///
/// # Errors
/// An index, a dense array, and what opening says; ids or a vocabulary for lines.
pub(crate) fn open_queries(path: &Path, sidecars: &Sidecars) -> Result<Queries> {
    if path.is_dir() {
        return Ok(Queries::Vectors(open_vectors_with(&[path.to_owned()], sidecars)?.sources));
    }
    let input = Input::open(path, "queries")?;
    match input.format {
        Format::Jsonl if sidecars.ids.is_some() || sidecars.vocabulary.is_some() => {
            let problem = "expected a matrix (.npz or .csr), as `ids` and `vocabulary` belong to \
                           one, found text";
            Err(Error::data(path, Place::File, problem).hint("leave them out"))
        }
        Format::Jsonl => Ok(Queries::Lines(input.bytes)),
        Format::Index => {
            let problem = "expected queries, found an index";
            Err(Error::data(path, Place::File, problem).hint("give the file of queries"))
        }
        _ => {
            let (mut sources, _) = open_inputs(vec![input], sidecars)?;
            sources.iter_mut().try_for_each(|source| source.prepare(ROOM))?;
            Ok(Queries::Vectors(sources))
        }
    }
}

/// Opens documents: [`open_documents`], with ids and vocabulary of matrices looked for beside
/// them.
pub fn open_vectors(paths: &[PathBuf]) -> Result<OpenedVectors> {
    open_documents(paths, &Sidecars::default())
}

/// Opens documents: [`open_vectors_with`], which refuses stores of queries, and a vocabulary
/// without a matrix that it could belong to.
pub fn open_documents(paths: &[PathBuf], sidecars: &Sidecars) -> Result<OpenedVectors> {
    let opened = open_kind(paths, sidecars, Kind::Document)?;
    if opened.matrices == 0 && sidecars.vocabulary.is_some() {
        return Err(Error::Usage(
            "`vocabulary` names the columns of .npz and .csr files, found none among the inputs"
                .into(),
        ));
    }
    Ok(opened)
}

/// Opens `paths`, documents or queries: store directories are ordered by the doc base that
/// they record, files stay in the order given. CIFF files are read once to the end for their
/// structure; where documents are opened, before their first record.
///
/// # Errors
/// Stores mixed with files, shards that leave a gap or overlap, ids or a vocabulary for
/// anything but one matrix, an index, and what opening says.
pub fn open_vectors_with(paths: &[PathBuf], sidecars: &Sidecars) -> Result<OpenedVectors> {
    let mut opened = open_kind(paths, sidecars, Kind::Query)?;
    opened.sources.iter_mut().try_for_each(|source| source.prepare(ROOM))?;
    Ok(opened)
}

/// `allowed` queries are allowed beside documents.
fn open_kind(paths: &[PathBuf], sidecars: &Sidecars, allowed: Kind) -> Result<OpenedVectors> {
    let paths = &unfold(paths)?[..];
    let stores = paths.iter().filter(|path| path.is_dir()).count();
    if stores == 0 {
        let (sources, matrices) = open_files(paths, sidecars)?;
        return Ok(OpenedVectors { sources, model: None, shard: None, matrices });
    }
    if sidecars.ids.is_some() {
        return Err(ids_without_matrix(0));
    }
    if stores < paths.len() {
        return Err(Error::Usage(
            "`input` mixes vector stores and files; give one kind, so that the order is clear"
                .into(),
        ));
    }
    let mut readers = paths.iter().map(|dir| StoreReader::open(dir)).collect::<Result<Vec<_>>>()?;
    one_kind(&readers, paths, allowed)?;
    order_shards(&mut readers)?;
    let model = readers
        .first()
        .and_then(|reader| serde_json::to_value(reader.manifest().plan.encoding.as_ref()?).ok());
    let shard = match &readers[..] {
        [only] => only.manifest().plan.shard.map(|s| (s, only.manifest().plan.doc_base)),
        _ => None,
    };
    let sources = readers.into_iter().map(|r| Box::new(r) as Box<dyn VectorSource>).collect();
    Ok(OpenedVectors { sources, model, shard, matrices: 0 })
}

/// `paths` with the JSON files of a folder, by name, in its place: what Anserini and its kin
/// export. A folder without any stays, to be opened as a store.
fn unfold(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut unfolded = Vec::new();
    for path in paths {
        if !path.is_dir() || StoreReader::is_store(path) {
            unfolded.push(path.clone());
            continue;
        }
        let unread = |e| Error::io("read", path, e);
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).map_err(unread)? {
            let file = entry.map_err(unread)?.path();
            // A Mac's archives have a `._x.jsonl` beside each x.jsonl.
            let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes()[0] == b'.');
            if !hidden && file.is_file() && by_name(&file) == Some(Format::Jsonl) {
                files.push(file);
            }
        }
        files.sort();
        match files.is_empty() {
            true => unfolded.push(path.clone()),
            false => unfolded.append(&mut files),
        }
    }
    Ok(unfolded)
}

fn ids_without_matrix(matrices: usize) -> Error {
    Error::Usage(format!(
        "`ids` belongs to one .npz or .csr file, found {matrices} among the inputs"
    ))
}

/// Sources of `paths`, and how many of them are matrices.
fn open_files(
    paths: &[PathBuf],
    sidecars: &Sidecars,
) -> Result<(Vec<Box<dyn VectorSource>>, usize)> {
    check_inputs(paths)?;
    open_inputs(
        paths.iter().map(|path| Input::open(path, "vectors")).collect::<Result<_>>()?,
        sidecars,
    )
}

fn open_inputs(
    inputs: Vec<Input>,
    sidecars: &Sidecars,
) -> Result<(Vec<Box<dyn VectorSource>>, usize)> {
    let matrices = inputs.iter().filter(|i| matches!(i.format, Format::Npz | Format::Csr)).count();
    if sidecars.ids.is_some() && matrices != 1 {
        return Err(ids_without_matrix(matrices));
    }
    let mut inputs: VecDeque<Input> = inputs.into();
    let mut sources: Vec<Box<dyn VectorSource>> = Vec::new();
    while let Some(input) = inputs.pop_front() {
        let tmp = sidecars.tmp.clone().unwrap_or_else(std::env::temp_dir);
        let reread = |input: Input| match input.bytes {
            Some(bytes) => Rereadable::new(&input.path, bytes, &tmp),
            None => Rereadable::new(&input.path, open_input(&input.path)?, &tmp),
        };
        sources.push(match input.format {
            Format::Jsonl => {
                let mut lines = vec![(input.path, input.bytes)];
                while inputs.front().is_some_and(|next| next.format == Format::Jsonl) {
                    lines.extend(inputs.pop_front().map(|next| (next.path, next.bytes)));
                }
                Box::new(JsonVectorReader::of_opened(lines))
            }
            Format::Ciff => Box::new(Transposed::new(Ciff::open(reread(input)?)?)),
            Format::Npz => Box::new(open_npz(&reread(input)?, sidecars)?),
            Format::Csr => Box::new(open_csr(&reread(input)?, sidecars)?),
            Format::Npy => {
                let problem = "expected a sparse matrix, found a dense NumPy array";
                return Err(Error::data(&input.path, Place::File, problem).hint(
                    "save it in compressed rows: scipy.sparse.save_npz(\"x.npz\", \
                     scipy.sparse.csr_matrix(array))",
                ));
            }
            Format::Index => {
                let problem = "expected vectors, found an index";
                return Err(Error::data(&input.path, Place::File, problem).hint(
                    "`splindex merge` joins indexes, `splindex convert` gives their vectors",
                ));
            }
        });
    }
    Ok((sources, matrices))
}

/// An input whose first bytes have been looked at.
struct Input {
    path: PathBuf,
    format: Format,
    /// What is left to read of an input that cannot be opened again.
    bytes: Option<Box<dyn BufRead + Send>>,
}

/// Enough to tell the formats apart, and others from them.
const HEAD: u64 = sniff::HEAD as u64;

impl Input {
    /// `expected` is what it should be, for errors.
    fn open(path: &Path, expected: &str) -> Result<Self> {
        let mut bytes = open_input(path)?;
        let mut head = Vec::new();
        bytes.by_ref().take(HEAD).read_to_end(&mut head).map_err(|e| unreadable(path, e))?;
        let format = recognise(path, &head, expected)?;
        let bytes: Option<Box<dyn BufRead + Send>> = match path.is_file() {
            true => None,
            false => Some(Box::new(Cursor::new(head).chain(bytes))),
        };
        Ok(Input { path: path.to_owned(), format, bytes })
    }
}

/// What the file at `path` is.
pub(crate) fn format_of(path: &Path) -> Result<Format> {
    Ok(Input::open(path, "vectors")?.format)
}

/// From the first (unpacked) bytes; an empty or damaged file is what its name says.
fn recognise(path: &Path, head: &[u8], expected: &str) -> Result<Format> {
    let number = |at: usize| {
        let bytes = head.get(at..at + 8)?;
        Some(u64::from_le_bytes(std::array::from_fn(|i| bytes[i])))
    };
    // Rows and columns below 2^32, entries far below 2^48: text and protobuf have no zero bytes
    // there, UTF-32 and tar archives have others.
    let counts =
        [(0, 32), (8, 32), (16, 48)].map(|(at, bits)| number(at).filter(|&n| n < 1 << bits));
    // A header of up to 16,383 bytes that begins with version 1.
    let ciff = |at: usize| head.get(at..at + 3) == Some(&[0x08, 0x01, 0x10]);
    let start = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    Ok(if head.starts_with(&crate::format::header::MAGIC) {
        Format::Index
    } else if head.starts_with(b"PK\x03\x04") {
        Format::Npz
    } else if head.starts_with(b"\x93NUMPY") {
        Format::Npy
    } else if let [Some(rows @ 1..), Some(_), Some(nnz)] = counts
        && csr_len(rows, nnz).is_some()
        && !sniff::is_tar(head)
    {
        Format::Csr
    } else if ciff(1) || ciff(2) {
        Format::Ciff
    } else if start.starts_with(b"{") {
        Format::Jsonl
    } else {
        sniff::check(path, head, expected)?;
        by_name(path).unwrap_or(Format::Jsonl)
    })
}

/// What the name says, with or without `.gz` or `.zst`.
pub(crate) fn by_name(path: &Path) -> Option<Format> {
    let name = path.file_name()?.to_str()?;
    let name = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(name);
    match name.rsplit_once('.')?.1 {
        "jsonl" | "json" => Some(Format::Jsonl),
        "ciff" => Some(Format::Ciff),
        "npz" => Some(Format::Npz),
        "csr" => Some(Format::Csr),
        "npy" => Some(Format::Npy),
        "spx" => Some(Format::Index),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_content_and_else_by_name() {
        let told = |name: &str, head: &[u8]| recognise(Path::new(name), head, "vectors").unwrap();
        let csr = [67_843u64, 30_522, 17, 0].map(u64::to_le_bytes).concat();
        for (head, format) in [
            (&b"PK\x03\x04"[..], Format::Npz),
            (b"\x93NUMPY\x01\x00", Format::Npy),
            (b"\x89SPX\r\n\x1a\n", Format::Index),
            (b"\x2b\x08\x01\x10\x07\x18\x02", Format::Ciff),
            (b"\x9a\x01\x08\x01\x10\x07\x18\x02", Format::Ciff),
            (b"\xef\xbb\xbf\n {\"id\": 1}", Format::Jsonl),
            // Its first bytes look like a CIFF header.
            (&csr, Format::Csr),
        ] {
            assert_eq!(told("x", head), format);
            assert_eq!(told("x.ciff", head), format);
        }
        // A name says nothing of a file that is known.
        let mut tar = b"d.tsv".to_vec();
        tar.resize(512, 0);
        tar[257..262].copy_from_slice(b"ustar");
        let utf_32: Vec<u8> = "d1\tblue".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        for (head, what) in [(&tar, "a tar archive"), (&utf_32, "UTF-32 text")] {
            let error = recognise(Path::new("x.csr"), head, "vectors").unwrap_err().to_string();
            assert!(error.contains(&format!("found {what}")), "{error}");
        }
        assert_eq!(told("x.ciff.gz", b""), Format::Ciff);
        assert_eq!(told("a.b/x.csr.zst", b"short"), Format::Csr);
        assert_eq!(told("-", b"not JSON"), Format::Jsonl);
        let parquet = b"PAR1\x15\x04\x15\x90\xff";
        for expected in ["vectors", "queries"] {
            let error = recognise(Path::new("x.npz"), parquet, expected).unwrap_err().to_string();
            let found =
                format!("x.npz: expected {expected}, found a Parquet file; write it as JSON");
            assert!(error.starts_with(&found), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_opened_once() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let line = "{\"id\":\"a\",\"vector\":{\"x\":1}}\n";
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::write(pipe, line)
        });
        let mut sources = open_vectors(&[pipe]).unwrap().sources;
        let mut record = crate::vectors::VectorRecord::default();
        assert!(sources[0].read(&mut record).unwrap());
        assert_eq!(record.id, "a");
        assert!(!sources[0].read(&mut record).unwrap());
        writer.join().unwrap().unwrap();
    }

    #[test]
    fn a_folder_of_json_files_is_its_files_by_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["part-10.jsonl", "part-09.jsonl", ".part-08.jsonl.tmp", "README.md"] {
            let line = format!("{{\"id\":\"{name}\",\"vector\":{{}}}}\n");
            std::fs::write(dir.path().join(name), line).unwrap();
        }
        let mut sources = open_vectors(&[dir.path().to_owned()]).unwrap().sources;
        let mut record = crate::vectors::VectorRecord::default();
        for name in ["part-09.jsonl", "part-10.jsonl"] {
            assert!(sources[0].read(&mut record).unwrap());
            assert_eq!(record.id, name);
        }
        assert!(!sources[0].read(&mut record).unwrap());
        let empty = tempfile::tempdir().unwrap();
        let message = open_vectors(&[empty.path().to_owned()]).err().unwrap().to_string();
        assert!(message.contains("neither a vector store nor JSON files"), "{message}");
    }

    #[test]
    fn kinds_of_files_may_be_mixed() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).unwrap();
            dir.path().join(name)
        };
        let inputs = [
            file("a.jsonl", "{\"id\":\"a\",\"vector\":{\"x\":1}}"),
            file("b.jsonl", "{\"id\":\"b\",\"vector\":{}}"),
            file("e.csr", ""),
        ];
        let opened = open_vectors(&inputs[..2]).unwrap();
        assert_eq!(opened.sources.len(), 1);
        let message = open_vectors(&inputs).err().unwrap().to_string();
        assert!(message.contains("e.csr: expected a .csr file, found less"), "{message}");
        let sidecars = Sidecars { ids: Some("ids".into()), ..Sidecars::default() };
        assert!(open_vectors_with(&inputs[..2], &sidecars).is_err());
        let sidecars = Sidecars { vocabulary: Some("tokens".into()), ..Sidecars::default() };
        assert!(open_documents(&inputs[..2], &sidecars).is_err());
        // convert writes a matrix with it.
        assert!(open_vectors_with(&inputs[..2], &sidecars).is_ok());
    }
}
