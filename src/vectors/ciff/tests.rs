use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::wire::{put_double, put_number, put_string};
use super::*;
use crate::corpus::open_input;
use crate::error::Result;
use crate::progress::Silent;
use crate::varint;
use crate::vectors::gathered::{Gathered, ImpactLists};
use crate::vectors::reread::Rereadable;
use crate::vectors::testing::{Vectors, drain, vectors};
use crate::vectors::transpose::Transposed;
use crate::vectors::{Documents, VectorSource};

fn read(path: &Path) -> Result<Vectors> {
    let file = Rereadable::new(path, open_input(path)?, &std::env::temp_dir())?;
    drain(&mut Transposed::new(Ciff::open(file)?))
}

fn written(vectors: &Vectors) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let mut sources: Vec<Box<dyn VectorSource>> = vec![Box::new(Documents::new(vectors.clone()))];
    let gathered = Gathered::collect(&mut sources, dir.path(), &Silent).unwrap();
    let mut bytes = Vec::new();
    write(&gathered, &mut ImpactLists::kept(), &mut bytes, Path::new("x"), &Silent).unwrap();
    bytes
}

struct File(tempfile::TempDir);

impl File {
    fn new(bytes: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x.ciff"), bytes).unwrap();
        File(dir)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("x.ciff")
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn integer_vectors_come_back_exactly(vectors in vectors(true)) {
        let file = File::new(&written(&vectors));
        prop_assert_eq!(read(&file.path()).unwrap(), vectors);
    }

    #[test]
    fn a_damaged_file_is_an_error_or_other_vectors_and_never_a_panic(
        vectors in vectors(true),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = written(&vectors);
        damage.iter().for_each(|(at, byte)| { let at = at.index(bytes.len()); bytes[at] = *byte });
        bytes.truncate(bytes.len() - cut.index(3));
        if let Err(error) = read(&File::new(&bytes).path()) {
            prop_assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error(vectors in vectors(true), cut in any::<prop::sample::Index>()) {
        let bytes = written(&vectors);
        let error = read(&File::new(&bytes[..cut.index(bytes.len())]).path()).unwrap_err();
        prop_assert_eq!(error.exit_code(), 2);
    }
}

/// A message behind its length.
fn delimited(message: Vec<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint::put(message.len() as u64, &mut bytes);
    [bytes, message].concat()
}

fn header(lists: u64, documents: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    [1, lists, documents].iter().zip(1..).for_each(|(&n, f)| put_number(&mut bytes, f, n));
    delimited(bytes)
}

fn list(term: &str, df: u64, postings: &[(i64, i64)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_string(&mut bytes, 1, term);
    put_number(&mut bytes, 2, df);
    for &(gap, tf) in postings {
        let mut posting = Vec::new();
        put_number(&mut posting, 1, gap as u64);
        put_number(&mut posting, 2, tf as u64);
        bytes.extend([4 << 3 | 2, posting.len() as u8]);
        bytes.extend(posting);
    }
    delimited(bytes)
}

fn document(docid: u64, id: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_number(&mut bytes, 1, docid);
    put_string(&mut bytes, 2, id);
    delimited(bytes)
}

#[test]
fn what_is_wrong_is_said_with_the_number_of_the_message() {
    let documents = [document(0, "a"), document(1, "b")].concat();
    let cases: [(Vec<Vec<u8>>, &str); 14] = [
        (vec![header(1, 2), list("x", 2, &[(0, 3), (1, 1)]), documents.clone()], ""),
        (
            vec![header(1, 2), list("x", 1, &[(0, 3), (1, 1)]), documents.clone()],
            "record 2: posting list 1 of 1 (the header's count), term \"x\": expected 1 postings (its df), found 2",
        ),
        (
            vec![header(1, 2), list("x", 2, &[(1, 3), (0, 1)]), documents.clone()],
            "term \"x\": expected increasing docids, found a gap of 0",
        ),
        (vec![header(1, 2), list("x", 1, &[(-1, 3)]), documents.clone()], "found a gap of -1"),
        (
            vec![header(1, 2), list("x", 1, &[(2, 3)]), documents.clone()],
            "expected docids below 2, found 2",
        ),
        (
            vec![header(1, 2), list("x", 1, &[(1, 0)]), documents.clone()],
            "expected tf 1 to 16777216, found 0 in document 1",
        ),
        (vec![header(1, 2), list("x", 1, &[(1, -7)]), documents.clone()], "found -7"),
        (
            vec![header(2, 2), list("x", 1, &[(1, 1)]), list("x", 1, &[(1, 1)]), documents.clone()],
            "record 3: posting list 2 of 2 (the header's count): expected every term once, found \"x\" again",
        ),
        (
            vec![header(2, 2), list("x", 1, &[(1, 1)]), documents.clone()],
            "record 3: posting list 2 of 2 (the header's count): expected a document frequency",
        ),
        (
            vec![header(1, 3), list("x", 1, &[(1, 1)]), documents.clone()],
            "record 5: expected document 3 of 3 (the header's count), found the end of the file",
        ),
        (
            vec![header(1, 1), list("x", 1, &[(0, 1)]), documents.clone()],
            "expected the end of the file after 1 documents (the header's count), found",
        ),
        (
            vec![header(0, 2), document(0, "a"), document(0, "b")],
            "record 3: document 2 of 2 (the header's count): found docid 0 a second time",
        ),
        (
            vec![header(0, 2), document(0, "a"), document(1, "")],
            "expected an id, found an empty one",
        ),
        (
            vec![header(5, 2_000_000_000), documents.clone()],
            "record 1: expected 5 posting lists and 2000000000 documents as the header says, found only",
        ),
    ];
    for (parts, expected) in cases {
        let file = File::new(&parts.concat());
        match read(&file.path()) {
            Ok(_) => assert_eq!(expected, "", "read without an error"),
            Err(error) => {
                let message = error.to_string();
                assert!(!expected.is_empty() && message.contains(expected), "{message}");
            }
        }
    }
}

#[test]
fn counts_that_no_collection_can_have_are_refused() {
    type Put<'a> = &'a dyn Fn(&mut Vec<u8>);
    let negative = |n: i64| n as u64;
    let none: Put<'_> = &|_| ();
    // One list of two postings (sum of tf 4), two documents; what is put behind their fields.
    let read_with = |header: Put<'_>, list: Put<'_>, document: Put<'_>| {
        let message = |numbers: &[(u8, u64)], texts: &[(u8, &str)], more: Put<'_>| {
            let mut bytes = Vec::new();
            numbers.iter().for_each(|&(field, n)| put_number(&mut bytes, field, n));
            texts.iter().for_each(|&(field, text)| put_string(&mut bytes, field, text));
            more(&mut bytes);
            bytes
        };
        let postings = |bytes: &mut Vec<u8>| {
            for (gap, tf) in [(0, 3), (1, 1)] {
                let posting = message(&[(1, gap), (2, tf)], &[], none);
                bytes.extend([4 << 3 | 2, posting.len() as u8]);
                bytes.extend(posting);
            }
            list(bytes);
        };
        let parts = [
            message(&[(1, 1), (2, 1), (3, 2)], &[], header),
            message(&[(2, 2)], &[(1, "x")], &postings),
            message(&[], &[(2, "a")], document),
            message(&[(1, 1)], &[(2, "b")], none),
        ];
        read(&File::new(&parts.map(delimited).concat()).path())
    };
    for (field, n) in [(4u8, 1u64), (4, 9), (5, 2), (6, 1 << 40)] {
        let put = |bytes: &mut Vec<u8>| put_number(bytes, field, n);
        assert!(read_with(&put, none, none).is_ok(), "header field {field}: {n}");
    }
    // Exporters that kept the sum of the counts their impacts were made of.
    for cf in [2, 4, 1_000_000] {
        assert!(read_with(none, &|bytes| put_number(bytes, 3, cf), none).is_ok(), "cf {cf}");
    }
    assert!(read_with(none, none, &|bytes| put_number(bytes, 3, 17)).is_ok());

    let header = |put: Put<'_>| read_with(put, none, none);
    let cases = [
        (
            header(&|bytes| put_number(bytes, 5, 1)),
            "record 1: expected total_docs of at least 2, found 1",
        ),
        (
            header(&|bytes| put_number(bytes, 4, negative(-1))),
            "record 1: expected total_postings_lists of at least 1, found -1",
        ),
        (
            header(&|bytes| put_number(bytes, 5, 1 << 33)),
            "record 1: expected the collection's documents of 32 bits, found 8589934592",
        ),
        (
            header(&|bytes| put_number(bytes, 6, negative(-5))),
            "record 1: expected total_terms_in_collection ≥ 0, found -5",
        ),
        (
            header(&|bytes| put_double(bytes, 7, f64::NAN)),
            "record 1: expected average_doclength ≥ 0, found NaN",
        ),
        (
            header(&|bytes| put_number(bytes, 7, 3)),
            "record 1: expected an average document length, a double, found another kind",
        ),
        (
            read_with(none, &|bytes| put_number(bytes, 3, 1), none),
            "record 2: posting list 1 of 1 (the header's count), term \"x\": expected a cf of at \
             least its df, 2, found 1",
        ),
        (
            read_with(none, none, &|bytes| put_number(bytes, 3, negative(-2))),
            "record 3: document 1 of 2 (the header's count): expected a document length ≥ 0, \
             found -2",
        ),
    ];
    for (result, expected) in cases {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        assert!(message.contains("; the file is damaged"), "{message}");
    }
}
