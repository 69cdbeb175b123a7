//! What a file is that was taken for a text and is none, told by its first bytes.

use std::path::Path;

use super::unpack::Packing;
use crate::error::{Error, Place, Result};

/// First bytes that are looked at: tar archives are known by bytes 257 to 261.
pub(crate) const HEAD: usize = 512;

/// A format that is no text of ours, and what to do with it.
type Foreign = (&'static str, &'static str);

const PARQUET: &str = "write it as JSON Lines first, in Python: import pandas; \
                       pandas.read_parquet(FILE).to_json(OUT, orient=\"records\", lines=True)";
const FEATHER: &str = "write it as JSON Lines first, in Python: import pandas; \
                       pandas.read_feather(FILE).to_json(OUT, orient=\"records\", lines=True)";
const STREAM: &str = "write it as JSON Lines first, in Python: import pyarrow as pa; \
                      pa.ipc.open_stream(FILE).read_pandas().to_json(OUT, orient=\"records\", \
                      lines=True)";
const HDF: &str = "write it as JSON Lines first, in Python: import pandas; \
                   pandas.read_hdf(FILE).to_json(OUT, orient=\"records\", lines=True)";
const ORC: &str = "write it as JSON Lines first, in Python: import pandas; \
                   pandas.read_orc(FILE).to_json(OUT, orient=\"records\", lines=True)";
const AVRO: &str = "write it as JSON Lines first: avro-tools tojson FILE";
const MATRIX: &str = "a matrix of weights is read as SciPy's .npz (scipy.sparse.save_npz), by build \
                      and convert; convert to X.jsonl makes lines of it";
const ARCHIVE: &str = "unpack it and give the files inside";
const PACKED: &str = "plain, .gz and .zst files are read: unpack it, or give its text as a pipe, with \
                      - as the file's name";
const TWICE: &str = "unpack it once";
const PICTURE: &str = "give the text in it";
const UTF_16: &str = "convert it: iconv -f UTF-16 -t UTF-8 FILE";
const UTF_32: &str = "convert it: iconv -f UTF-32 -t UTF-8 FILE";

/// Signatures that no text begins with: each has a byte that is no UTF-8 or no printed
/// character.
const BINARY: &[(&[u8], Foreign)] = &[
    (b"\x89SPX\r\n\x1a\n", ("an index of splindex", "give the file that it was built from")),
    (b"\x1f\x8b", ("a file packed twice", TWICE)),
    (b"\x28\xb5\x2f\xfd", ("a file packed twice", TWICE)),
    (b"\xff\xfe\0\0", ("UTF-32 text", UTF_32)),
    (b"\0\0\xfe\xff", ("UTF-32 text", UTF_32)),
    (b"\xff\xfe", ("UTF-16 text", UTF_16)),
    (b"\xfe\xff", ("UTF-16 text", UTF_16)),
    (b"\x93NUMPY", ("a NumPy array (.npy)", MATRIX)),
    (b"PK\x03\x04", ("a zip archive (.zip, .npz, .xlsx)", ZIP)),
    (b"PK\x05\x06", ("an empty zip archive", ARCHIVE)),
    (b"\xfd7zXZ\0", ("a file packed by xz", PACKED)),
    (b"\x5d\0\0", ("a file packed by lzma", PACKED)),
    (b"\x04\x22\x4d\x18", ("a file packed by lz4", PACKED)),
    (b"\x1f\x9d", ("a file packed by compress", PACKED)),
    (b"\xff\x06\0\0sNaPpY", ("a file packed by snappy", PACKED)),
    (b"\x89LZO", ("a file packed by lzop", PACKED)),
    (b"7z\xbc\xaf\x27\x1c", ("a 7z archive", ARCHIVE)),
    (b"Rar!\x1a\x07", ("a rar archive", ARCHIVE)),
    (b"\x89HDF\r\n\x1a\n", ("an HDF5 file", HDF)),
    (b"SQLite format 3\0", ("an SQLite database", SQLITE)),
    (b"Obj\x01", ("an Avro file", AVRO)),
    (b"\xff\xff\xff\xff", ("an Arrow stream", STREAM)),
    (b"\x89PNG\r\n\x1a\n", ("a PNG picture", PICTURE)),
    (b"\xff\xd8\xff", ("a JPEG picture", PICTURE)),
    (b"\x7fELF", ("a program", PICTURE)),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ("an old Office document (.doc, .xls)", OFFICE)),
];
const ZIP: &str = "unpack it and give the files inside; matrices (.npz) are read by build \
                   and convert";
const SQLITE: &str = "write the table as lines of id, tab, text: sqlite3 -tabs FILE \"select …\"";
const OFFICE: &str = "save it as tab-separated text in UTF-8";

/// Signatures of letters only, which could begin a text: what follows tells.
const LETTERS: &[(&[u8], Foreign)] = &[
    (b"PAR1", ("a Parquet file", PARQUET)),
    (b"ARROW1", ("an Arrow file (Feather)", FEATHER)),
    (b"FEA1", ("a Feather file", FEATHER)),
    (b"ORC", ("an ORC file", ORC)),
    (b"BZh", ("a file packed by bzip2", PACKED)),
    (b"GIF8", ("a GIF picture", PICTURE)),
    (b"MATLAB", ("a MATLAB file", MATRIX)),
];

/// Texts of other kinds: known by how their first line begins, if it has no tab.
const TEXTS: &[(&[u8], Foreign)] = &[
    (b"%pdf-", ("a PDF document", "give its text: pdftotext FILE")),
    (b"%!ps", ("a PostScript document", "give its text: ps2ascii FILE")),
    (b"{\\rtf", ("an RTF document", OFFICE)),
    (b"<!doctype html", ("an HTML page", HTML)),
    (b"<html", ("an HTML page", HTML)),
    (b"<?xml", ("an XML file", XML)),
    (b"<top>", ("TREC topics", "write them as lines of query id, tab, text")),
    (b"<doc>", ("TREC documents", XML)),
    (b"version https://git-lfs", ("a Git LFS pointer, not the file", POINTER)),
];
const POINTER: &str = "git lfs pull gets the file";
const HTML: &str = "perhaps a download page was saved for the file behind it: fetch that again";
const XML: &str = "write it as lines of id, tab, text or as JSON Lines";

/// An error if `head`, the first unpacked bytes of `path`, is of a well-known format that is
/// not `expected`.
pub(crate) fn check(path: &Path, head: &[u8], expected: &str) -> Result<()> {
    refuse(path, expected, foreign(head))
}

/// An error if `head`, the first bytes of `path` as they are, is no file that a download could have
/// meant: a pointer to it, a page about it, or it is packed.
#[cfg(feature = "tokenize")]
pub(crate) fn check_fetched(path: &Path, head: &[u8], expected: &str) -> Result<()> {
    let found = foreign(head).filter(|(_, hint)| [POINTER, HTML].contains(hint));
    refuse(path, expected, packed(head).or(found))
}

/// As [`check`] of a file that is read as it is, whether packed or not.
#[cfg(any(feature = "tokenize", feature = "cli"))]
pub(crate) fn check_plain(path: &Path, head: &[u8], expected: &str) -> Result<()> {
    refuse(path, expected, packed(head).or_else(|| foreign(head)))
}

/// What a file that should be an index is, and what to do.
pub(crate) fn instead_of_index(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let head = &head[..head.len().min(HEAD)];
    if let Some(packed) = packed(head) {
        return Some(packed);
    }
    let (what, hint) = match foreign(head) {
        Some(found) => found,
        None if binary(head) || head.is_empty() => return None,
        None if head.trim_ascii_start().starts_with(b"{") => ("JSON", BUILD),
        None => ("a text", BUILD),
    };
    Some((what, if [POINTER, HTML].contains(&hint) { hint } else { BUILD }))
}
const BUILD: &str = "`splindex build` makes an index of texts and of vectors";

fn packed(head: &[u8]) -> Option<Foreign> {
    match Packing::of(head) {
        Packing::None => None,
        Packing::Gzip => Some(("a file packed by gzip", "unpack it: gzip -d FILE")),
        Packing::Zstd => Some(("a file packed by zstd", "unpack it: zstd -d FILE")),
    }
}

fn refuse(path: &Path, expected: &str, found: Option<Foreign>) -> Result<()> {
    let Some((what, hint)) = found else { return Ok(()) };
    let problem = format!("expected {expected}, found {what}");
    Err(Error::data(path, Place::File, problem).hint(hint).ends_input())
}

fn foreign(head: &[u8]) -> Option<Foreign> {
    let head = &head[..head.len().min(HEAD)];
    let begins = |list: &[(&[u8], Foreign)], head: &[u8]| {
        list.iter().find(|(signature, _)| head.starts_with(signature)).map(|(_, found)| *found)
    };
    if let Some(found) = begins(BINARY, head) {
        return Some(found);
    }
    if binary(head) {
        let found = begins(LETTERS, head).or_else(|| others(head));
        if found.is_some() {
            return found;
        }
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let first_line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if first_line.contains(&b'\t') {
        return None;
    }
    begins(TEXTS, &first_line.to_ascii_lowercase())
}

/// Whether there are bytes that no text in UTF-8 has.
fn binary(head: &[u8]) -> bool {
    let cut = |e: std::str::Utf8Error| e.error_len().is_some();
    head.contains(&0) || std::str::from_utf8(head).is_err_and(cut)
}

/// Formats known by more than their first bytes.
fn others(head: &[u8]) -> Option<Foreign> {
    if is_tar(head) {
        return Some(("a tar archive", "unpack it (tar -xf FILE) and give the files inside"));
    }
    if let [0x80, 2..=5, ..] = head {
        return Some(("a Python pickle", PICKLE));
    }
    // A length below 2^40 and the JSON object that it is of.
    if let [_, _, _, _, _, 0, 0, 0, b'{', b'"', ..] = head {
        return Some(("safetensors", "weights of a model go to `model`, with their folder"));
    }
    if utf_32(head) {
        return Some(("UTF-32 text", UTF_32));
    }
    utf_16(head).then_some(("UTF-16 text", UTF_16))
}

/// Whether `head` is of a tar archive, which may begin with the name of any file.
pub(crate) fn is_tar(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

const PICKLE: &str = "write what is in it as JSON Lines, one json.dumps(…) a line";

/// Letters of UTF-32 without its mark: of four bytes three are zero.
fn utf_32(head: &[u8]) -> bool {
    let (units, _) = head[..head.len().min(64)].as_chunks::<4>();
    let little = |unit: &[u8; 4]| unit[0] != 0 && unit[1..] == [0; 3];
    let big = |unit: &[u8; 4]| unit[3] != 0 && unit[..3] == [0; 3];
    units.len() >= 2 && (units.iter().all(little) || units.iter().all(big))
}

/// Letters of UTF-16 without its mark: every second byte is zero.
fn utf_16(head: &[u8]) -> bool {
    let (pairs, _) = head[..head.len().min(64)].as_chunks::<2>();
    let letters = |zero: usize| pairs.iter().all(|pair| pair[zero] == 0 && pair[1 - zero] != 0);
    pairs.len() >= 2 && (letters(0) || letters(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(head: &[u8]) -> Option<&'static str> {
        foreign(head).map(|(what, _)| what)
    }

    #[test]
    fn well_known_formats_are_told_by_their_first_bytes() {
        let mut tar = b"docs.tsv".to_vec();
        tar.resize(257, 0);
        tar.extend(b"ustar\x0000");
        let utf_16 = |text: &str, order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            text.encode_utf16().flat_map(order).collect()
        };
        let safetensors = b"\x40\x01\0\0\0\0\0\0{\"bert.embeddings\":{";
        for (head, what) in [
            (&b"PAR1\x15\x04\x15\x90\xff"[..], "a Parquet file"),
            (b"ARROW1\0\0\xff\xff", "an Arrow file (Feather)"),
            (b"BZh91AY&SY\xa3\xc1", "a file packed by bzip2"),
            (b"\xfd7zXZ\0\0\x04", "a file packed by xz"),
            (b"\x93NUMPY\x01\0v\0{", "a NumPy array (.npy)"),
            (b"PK\x03\x04\x14\0", "a zip archive (.zip, .npz, .xlsx)"),
            (b"SQLite format 3\0\x10", "an SQLite database"),
            (b"\x80\x04\x95\x1a\0\0", "a Python pickle"),
            (b"\x89HDF\r\n\x1a\n\0", "an HDF5 file"),
            (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
            (b"%PDF-1.7\nabc", "a PDF document"),
            (b"\n<!DOCTYPE html>\n<html>", "an HTML page"),
            (b"<top>\n<num> Number: 301", "TREC topics"),
            (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, not the file"),
            (b"\x1f\x8b\x08\0", "a file packed twice"),
            (safetensors, "safetensors"),
            (&tar, "a tar archive"),
            (&utf_16("\u{feff}d1\tblau", u16::to_le_bytes), "UTF-16 text"),
            (&utf_16("\u{feff}d1\tblau", u16::to_be_bytes), "UTF-16 text"),
            (&utf_16("d1\tblue", u16::to_le_bytes), "UTF-16 text"),
            (&utf_16("d1\tblue", u16::to_be_bytes), "UTF-16 text"),
        ] {
            assert_eq!(found(head), Some(what), "{:?}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn texts_that_begin_alike_are_texts() {
        for text in [
            "PAR1\ta text",
            "BZh9\ta text",
            "ORC\torcs",
            "<html>\tan id that looks like a tag",
            "%PDF-1\tan id",
            "{\"id\":1,\"text\":\"x\"}",
            "[PAD]\n[UNK]\n",
            "\u{feff}d1\tblue",
            "d\0\tzero",
            "",
            "a",
            "ß\tsz",
        ] {
            assert_eq!(found(text.as_bytes()), None, "{text:?}");
        }
        // A letter that the end of the head cuts is no damage.
        let cut = [vec![b'a'; HEAD - 1], "é".as_bytes().to_vec()].concat();
        assert_eq!(found(&cut), None);
    }
}
