use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use proptest::prelude::*;
use rawzip::{CompressionMethod, ZipArchiveWriter};

use super::npy::NpyHeader;
use super::zip::ZipWriter;
use super::*;
use crate::corpus::open_input;
use crate::error::Result;
use crate::progress::Silent;
use crate::vectors::gathered::Gathered;
use crate::vectors::reread::Rereadable;
use crate::vectors::testing::{Vectors, drain, vectors};
use crate::vectors::{Documents, VectorSource};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> Result<Vectors> {
        let path = self.path(name);
        let file = Rereadable::new(&path, open_input(&path)?, &std::env::temp_dir())?;
        let sidecars = Sidecars::default();
        drain(&mut match name.ends_with(".csr") {
            true => open_csr(&file, &sidecars)?,
            false => open_npz(&file, &sidecars)?,
        })
    }

    fn message(&self, name: &str) -> String {
        let error = self.read(name).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    /// Writes `name` and what goes beside it.
    fn write(&self, name: &str, vectors: &Vectors) {
        let mut sources: Vec<Box<dyn VectorSource>> =
            vec![Box::new(Documents::new(vectors.clone()))];
        let gathered = Gathered::collect(&mut sources, self.0.path(), &Silent).unwrap();
        let columns = Columns::of(&gathered, None).unwrap();
        let path = self.path(name);
        let bytes = match name.ends_with(".csr") {
            true => write_csr(&gathered, &columns, Vec::new(), &path).unwrap(),
            false => {
                write_npz(&gathered, &columns, Cursor::new(Vec::new()), &path).unwrap().into_inner()
            }
        };
        std::fs::write(&path, bytes).unwrap();
        let ids: String = vectors.iter().map(|(id, _)| format!("{id}\n")).collect();
        std::fs::write(beside(&path, "ids"), ids).unwrap();
        if let Some(tokens) = &columns.tokens {
            std::fs::write(beside(&path, "tokens"), tokens.join("\n") + "\n").unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]
    #[test]
    fn vectors_come_back_to_the_bit(vectors in vectors(false), csr in any::<bool>()) {
        let folder = Folder::new();
        let name = if csr { "x.csr" } else { "x.npz" };
        folder.write(name, &vectors);
        prop_assert_eq!(folder.read(name).unwrap(), vectors);
    }

    #[test]
    fn a_damaged_file_is_an_error_or_other_vectors_and_never_a_panic(
        vectors in vectors(false),
        csr in any::<bool>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let folder = Folder::new();
        let name = if csr { "x.csr" } else { "x.npz" };
        folder.write(name, &vectors);
        let mut bytes = std::fs::read(folder.path(name)).unwrap();
        damage.iter().for_each(|(at, byte)| { let at = at.index(bytes.len()); bytes[at] = *byte });
        bytes.truncate(bytes.len() - cut.index(3));
        std::fs::write(folder.path(name), bytes).unwrap();
        if let Err(error) = folder.read(name) {
            prop_assert_eq!(error.exit_code(), 2, "{}", error);
        }
    }
}

#[test]
fn tokens_that_are_numbers_are_their_own_columns() {
    let folder = Folder::new();
    let vector = BTreeMap::from([("7".to_owned(), 1.5), ("30521".to_owned(), 0.25)]);
    let vectors = vec![("a".to_owned(), vector)];
    folder.write("doc-embeddings.npz", &vectors);
    assert!(!folder.path("doc-tokens.txt").exists());
    assert!(folder.path("doc-ids.txt").exists());
    assert_eq!(folder.read("doc-embeddings.npz").unwrap(), vectors);
}

fn le<T: Copy, const N: usize>(numbers: &[T], bytes: fn(T) -> [u8; N]) -> Vec<u8> {
    numbers.iter().flat_map(|&n| bytes(n)).collect()
}

/// An archive of arrays given as type, shape and bytes.
fn npz(arrays: &[(&str, &str, String, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, kind, shape, bytes) in arrays {
        let all = [NpyHeader::bytes(kind, shape), bytes.clone()].concat();
        zip.member::<std::io::Error>(&format!("{name}.npy"), |out| out(&all)).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Two rows, three values, three columns, of int64 indices and float64 data.
fn arrays(indptr: &[i64], indices: &[i64], data: &[f64]) -> Vec<u8> {
    let shape = |len: usize| format!("({len},)");
    npz(&[
        ("indptr", "<i8", shape(indptr.len()), le(indptr, i64::to_le_bytes)),
        ("indices", "<i8", shape(indices.len()), le(indices, i64::to_le_bytes)),
        ("data", "<f8", shape(data.len()), le(data, f64::to_le_bytes)),
        ("shape", "<i8", shape(2), le(&[2, 3], i64::to_le_bytes)),
    ])
}

#[test]
fn what_is_wrong_in_a_matrix_is_said_with_its_row() {
    let folder = Folder::new();
    let nan = f64::NAN;
    for (indptr, indices, data, expected) in [
        (&[0, 1, 3][..], &[2, 0, 1][..], &[0.5, 0.0, 2.0][..], ""),
        (
            &[0, 1, 3],
            &[2, 1, 0],
            &[0.5, 1.0, 2.0],
            "record 2: expected each column once and in increasing order, found 0 after 1",
        ),
        (
            &[0, 1, 3],
            &[2, 1, 1],
            &[0.5, 1.0, 2.0],
            "record 2: expected each column once and in increasing order, found 1 after 1",
        ),
        (&[0, 1, 3], &[3, 0, 1], &[0.5, 1.0, 2.0], "record 1: expected columns 0 to 2, found 3"),
        (&[0, 1, 3], &[-1, 0, 1], &[0.5, 1.0, 2.0], "record 1: expected columns 0 to 2, found -1"),
        (
            &[0, 1, 3],
            &[2, 0, 1],
            &[0.5, -1.0, 2.0],
            "record 2: expected finite weights ≥ 0, found -1 for token \"0\"",
        ),
        (
            &[0, 1, 3],
            &[2, 0, 1],
            &[nan, 1.0, 2.0],
            "record 1: expected finite weights ≥ 0, found NaN for token \"2\"",
        ),
        (&[0, 1, 3], &[2, 0, 1], &[0.5, 1.0, 1e300], "found inf"),
        (
            &[0, 4, 3],
            &[2, 0, 1],
            &[0.5, 1.0, 2.0],
            "record 1: expected indptr from 0 to 3, found 4",
        ),
        (&[0, 2, 1], &[0, 2, 1], &[0.5, 1.0, 2.0], "record 2: expected indptr"),
        (
            &[0, 1, 2],
            &[2, 0, 1],
            &[0.5, 1.0, 2.0],
            "record 2: expected indptr to end with 3, the number of values, found 2",
        ),
        (&[1, 1, 3], &[2, 0, 1], &[0.5, 1.0, 2.0], "expected indptr to begin with 0"),
        (&[0, 1, 3], &[2, 0, 1], &[0.5, 1.0], "expected as many indices as data, found 3 and 2"),
        (
            &[0, 1, 2, 3],
            &[2, 0, 1],
            &[0.5, 1.0, 2.0],
            "expected a shape of 3 rows (from indptr), found [2, 3]",
        ),
    ] {
        std::fs::write(folder.path("x.npz"), arrays(indptr, indices, data)).unwrap();
        match folder.read("x.npz") {
            Ok(vectors) => {
                assert_eq!(expected, "", "read without an error");
                let row =
                    |pairs: &[(&str, f32)]| pairs.iter().map(|&(t, w)| (t.to_owned(), w)).collect();
                let rows = vec![
                    ("0".to_owned(), row(&[("2", 0.5)])),
                    ("1".to_owned(), row(&[("1", 2.0)])),
                ];
                assert_eq!(vectors, rows);
            }
            Err(error) => {
                let message = error.to_string();
                assert!(!expected.is_empty() && message.contains(expected), "{message}");
            }
        }
    }
}

#[test]
fn files_that_do_not_go_with_the_matrix_are_refused() {
    let folder = Folder::new();
    std::fs::write(folder.path("x.npz"), arrays(&[0, 1, 3], &[2, 0, 1], &[0.5, 1.0, 2.0])).unwrap();
    std::fs::write(folder.path("x-ids.txt"), "a\nb\nc\n").unwrap();
    let message = folder.message("x.npz");
    assert!(message.contains("x-ids.txt: expected 2 ids, one a row of"), "{message}");
    assert!(message.contains("found 3"), "{message}");
    std::fs::write(folder.path("x-ids.txt"), "a\n\n").unwrap();
    let message = folder.message("x.npz");
    assert!(message.contains("x-ids.txt: expected 2 ids, one a row of"), "{message}");
    std::fs::write(folder.path("x-ids.txt"), "a\nb\n").unwrap();
    std::fs::write(folder.path("x-tokens.txt"), "x\ny\n").unwrap();
    let message = folder.message("x.npz");
    assert!(
        message.contains("expected a vocabulary of 3 tokens, one a column, found 2"),
        "{message}"
    );
    std::fs::write(folder.path("x-tokens.txt"), "x\ny\nz\n").unwrap();
    assert_eq!(folder.read("x.npz").unwrap()[1].1.keys().collect::<Vec<_>>(), ["x", "y"]);
}

#[test]
fn deflated_members_are_read_and_checksums_compared() {
    let folder = Folder::new();
    let data = le(&[0.5, 2.0], f64::to_le_bytes);
    let (one, two) = (|| "(1,)".to_owned(), || "(2,)".to_owned());
    let members = [
        ("indptr.npy", [NpyHeader::bytes("<i8", &two()), le(&[0, 2], i64::to_le_bytes)].concat()),
        ("indices.npy", [NpyHeader::bytes("<i8", &two()), le(&[0, 2], i64::to_le_bytes)].concat()),
        ("data.npy", [NpyHeader::bytes("<f8", &two()), data].concat()),
    ];
    let packed = |method: CompressionMethod| {
        let mut zip = ZipArchiveWriter::new(Vec::new());
        for (name, bytes) in &members {
            let (mut entry, config) =
                zip.new_file(name).compression_method(method).start().unwrap();
            let deflate = flate2::write::DeflateEncoder::new(&mut entry, Compression::best());
            let mut writer = config.wrap(deflate);
            writer.write_all(bytes).unwrap();
            let (deflate, descriptor) = writer.finish().unwrap();
            deflate.finish().unwrap();
            entry.finish(descriptor).unwrap();
        }
        zip.finish().unwrap()
    };
    let bytes = packed(CompressionMethod::DEFLATE);
    std::fs::write(folder.path("x.npz"), &bytes).unwrap();
    let row = BTreeMap::from([("0".to_owned(), 0.5), ("2".to_owned(), 2.0)]);
    assert_eq!(folder.read("x.npz").unwrap(), [("0".to_owned(), row)]);
    std::fs::write(folder.path("x.npz"), packed(CompressionMethod::BZIP2)).unwrap();
    let message = folder.message("x.npz");
    assert!(message.contains("member \"indptr.npy\": expected it stored or deflated"), "{message}");

    // The last number of a stored array.
    let mut bytes = npz(&[
        ("indptr", "<i8", two(), le(&[0, 1], i64::to_le_bytes)),
        ("indices", "<i8", one(), le(&[7], i64::to_le_bytes)),
        ("data", "<f8", one(), le(&[0.5], f64::to_le_bytes)),
    ]);
    let at = bytes.windows(8).position(|window| window == 0.5f64.to_le_bytes()).unwrap();
    bytes[at] ^= 1;
    std::fs::write(folder.path("x.npz"), bytes).unwrap();
    assert!(folder.message("x.npz").contains("its checksum does not hold"));
}

#[test]
fn archives_that_hold_no_csr_matrix_are_refused() {
    let folder = Folder::new();
    let csc = npz(&[("format", "|S3", "()".into(), b"csc".to_vec())]);
    let other = npz(&[("a", "<f4", "(1,)".into(), vec![0; 4])]);
    let object = npz(&[("indptr", "|O", "(1,)".into(), vec![0; 8])]);
    let float = npz(&[("indptr", "<f8", "(1,)".into(), vec![0; 8])]);
    let short = npz(&[("indptr", "<i8", "(9,)".into(), vec![0; 8])]);
    let names: Vec<String> = (0..1001).map(|i| i.to_string()).collect();
    let many: Vec<_> =
        names.iter().map(|name| (&**name, "<f4", "(1,)".into(), vec![0; 4])).collect();
    let many = npz(&many);
    for (bytes, expected) in [
        (csc, "expected a matrix in compressed rows (csr), found csc"),
        (other, "expected an array indptr, found a.npy"),
        (object, "array indptr: expected numbers, found type \"|O\""),
        (float, "array indptr: expected numbers, found type \"<f8\""),
        (short, "array indptr: expected 9 numbers, found 8 bytes"),
        (many, "found more than 1000 members"),
        (
            b"PK\x03\x04 and no more".to_vec(),
            "expected a .npz (zip) file: Missing end of central directory",
        ),
    ] {
        std::fs::write(folder.path("x.npz"), bytes).unwrap();
        let message = folder.message("x.npz");
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_csr_file_has_the_length_its_header_calls_for() {
    let folder = Folder::new();
    let vectors = vec![("0".to_owned(), BTreeMap::from([("3".to_owned(), 1.0)]))];
    folder.write("x.csr", &vectors);
    let bytes = std::fs::read(folder.path("x.csr")).unwrap();
    assert_eq!(Some(bytes.len() as u64), csr_len(1, 1));
    std::fs::write(folder.path("x.csr"), &bytes[..bytes.len() - 1]).unwrap();
    assert!(folder.message("x.csr").contains("expected 48 bytes for the 1 rows and 1 values"));
    std::fs::write(folder.path("x.csr"), [[0xff; 8]; 3].concat()).unwrap();
    folder.message("x.csr");
    assert!(Path::new(&folder.path("x-ids.txt")).exists());
}
