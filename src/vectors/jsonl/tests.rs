use std::fs;

use proptest::prelude::*;

use super::*;

type Vector = (String, Vec<(String, f32)>);

/// Reads `bytes` as one file, up to the first error.
fn read(bytes: &[u8]) -> (Vec<Vector>, Result<u64, String>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("v.jsonl");
    fs::write(&path, bytes).unwrap();
    let folder = format!("{}/", dir.path().display());
    let mut reader = JsonVectorReader::open(&[path]).unwrap();
    let (mut vectors, mut record) = (Vec::new(), VectorRecord::default());
    loop {
        match reader.read(&mut record) {
            Ok(true) => {
                let terms = record.terms.iter().map(|&t| reader.tokens().token(t).to_owned());
                let pairs = terms.zip(record.weights.iter().copied()).collect();
                vectors.push((record.id.clone(), pairs));
            }
            Ok(false) => return (vectors, Ok(reader.zero_weights())),
            Err(e) => {
                assert_eq!(e.exit_code(), 2);
                return (vectors, Err(e.to_string().replace(&folder, "")));
            }
        }
    }
}

fn error(line: &str) -> String {
    let text = format!("{{\"id\":\"first\",\"vector\":{{\"a\":1}}}}\n{line}\n");
    let (vectors, outcome) = read(text.as_bytes());
    assert_eq!(vectors.len(), 1);
    let message = outcome.unwrap_err();
    message.strip_prefix("v.jsonl:2: ").unwrap_or_else(|| panic!("{message}")).to_owned()
}

#[test]
fn reads_vectors_in_order_and_drops_zeros() {
    let text = r###"{"id":"a","contents":"x","vector":{"b":2,"##a":0.5,"z":0,"y":-0.0}}
{"vector":{},"_id":7}
"###;
    let expected: Vec<Vector> =
        vec![("a".into(), vec![("b".into(), 2.0), ("##a".into(), 0.5)]), ("7".into(), vec![])];
    assert_eq!(read(text.as_bytes()), (expected, Ok(2)));
}

#[test]
fn null_is_as_good_as_absent_and_other_files_are_told() {
    let text = "{\"id\":null,\"_id\":\"x7\",\"vector\":{\"a\":1}}\n \t\n\u{feff}{\"id\":2,\"vector\":null}\n";
    let expected: Vec<Vector> = vec![("x7".into(), vec![("a".into(), 1.0)]), ("2".into(), vec![])];
    assert_eq!(read(text.as_bytes()), (expected, Ok(0)));
    assert!(error("{\"id\":null,\"vector\":{}}").contains("found null"));
    assert!(error("{\"id\":\"d\u{200b}\",\"vector\":{}}").contains("U+200B"));
    let (_, outcome) = read(b"SQLite format 3\0");
    assert!(outcome.unwrap_err().contains("found an SQLite database; write the table as lines"));
}

#[test]
fn each_fault_is_an_error_that_says_what_was_found() {
    let weight = |w: &str| error(&format!("{{\"id\":1,\"vector\":{{\"tok\":{w}}}}}"));
    assert_eq!(weight("-1.5"), "expected a weight ≥ 0 for token \"tok\", found -1.5");
    assert_eq!(weight("-3"), "expected a weight ≥ 0 for token \"tok\", found -3");
    assert!(weight("1e39").contains("found one too large at column"), "no f32 holds it");
    assert!(weight("1e999").contains("found one too large at column"));
    // In a field that is not read it does no harm, and leaves no trace.
    let line = "{\"id\":1,\"vector\":{\"a\":1,\"b\":0},\"x\":[NaN]}";
    let expected = vec![("1".to_owned(), vec![("a".to_owned(), 1.0)])];
    assert_eq!(read(line.as_bytes()), (expected, Ok(1)));
    assert_eq!(weight("NaN"), "expected a finite number, found NaN");
    assert_eq!(weight(" -Infinity"), "expected a finite number, found -Infinity");
    assert_eq!(weight("Infinity"), "expected a finite number, found Infinity");
    assert!(weight("Nope").contains("malformed JSON"));
    assert_eq!(weight("\"NaN\""), "invalid type: string \"NaN\", expected a number as weight");
    assert!(weight("null").contains("expected a number as weight"));
    assert!(weight("true").contains("expected a number as weight"));
    assert!(weight("[1]").contains("expected a number as weight"));
    assert!(error("{\"id\":1,\"vector\":{\"a\":1,\"b\":2,\"a\":3}}").contains("\"a\" again"));
    assert!(error("{\"id\":1}").contains("\"vector\", found none"));
    assert!(error("{\"id\":1,\"vector\":{},\"vector\":{}}").contains("found several"));
    assert!(error("{\"vector\":{}}").contains("expected a field \"id\""));
    assert!(error("{\"id\":1,\"vector\":[1]}").contains("object of token: weight"));
    assert!(error("{\"id\":\"first\",\"vector\":{}}").contains("a second time"));
    assert!(error("{\"id\":\"\",\"vector\":{}}").contains("an empty one"));
    assert!(error("{\"id\":1,\"vector\":{").contains("malformed JSON at column"));
    assert!(error("[1]").contains("one JSON object"));
}

#[test]
fn several_files_are_one_collection_with_one_token_table() {
    let dir = tempfile::tempdir().unwrap();
    let paths = ["a.jsonl.zst", "b.jsonl"].map(|name| dir.path().join(name));
    let first = zstd::encode_all(&b"{\"id\":1,\"vector\":{\"x\":1}}\n"[..], 1).unwrap();
    fs::write(&paths[0], first).unwrap();
    fs::write(&paths[1], "{\"id\":2,\"vector\":{\"y\":1,\"x\":2}}\n").unwrap();
    let mut reader = JsonVectorReader::open(&paths).unwrap();
    let mut record = VectorRecord::default();
    assert!(reader.read(&mut record).unwrap());
    assert!(reader.read(&mut record).unwrap());
    assert_eq!((record.id.as_str(), &record.terms[..]), ("2", &[1, 0][..]));
    assert!(!reader.read(&mut record).unwrap());
    assert_eq!(Some(reader.bytes.get()), reader.total);
}

fn write(vectors: &[Vector]) -> Vec<u8> {
    let mut writer = JsonVectorWriter::new(Vec::new(), "out");
    for (id, vector) in vectors {
        writer.write_pairs(id, vector.iter().map(|(t, w)| (t.as_str(), *w))).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn integers_are_written_as_integers() {
    let vector = [("a", 3.0), ("b", 0.1), ("c", 16_777_216.0), ("d", 3e38), ("\"\n", 1e-40)];
    let vector = vector.map(|(t, w)| (t.to_owned(), w)).to_vec();
    let line = String::from_utf8(write(&[("x".into(), vector)])).unwrap();
    let expected = r#"{"id":"x","vector":{"a":3,"b":0.1,"c":16777216,"d":3e38,"\"\n":1e-40}}"#;
    assert_eq!(line.replace("3e+38", "3e38"), format!("{expected}\n"));
}

/// Every positive finite f32, subnormals included.
fn weights() -> impl Strategy<Value = f32> {
    prop_oneof![(1u32..0x7f80_0000).prop_map(f32::from_bits), (1u32..300).prop_map(|n| n as f32)]
}

fn collection() -> impl Strategy<Value = Vec<Vector>> {
    let vector = prop::collection::btree_map("\\PC{0,5}", weights(), 0..20);
    prop::collection::vec(vector, 1..10).prop_map(|vectors| {
        let ids = (0..).map(|i| format!("d{i}"));
        ids.zip(vectors).map(|(id, v)| (id, v.into_iter().collect())).collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back_to_the_bit(vectors in collection()) {
        prop_assert_eq!(read(&write(&vectors)), (vectors, Ok(0)));
    }

    #[test]
    fn damaged_files_never_panic_nor_yield_bad_weights(
        vectors in collection(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = write(&vectors);
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for (_, vector) in read(&bytes).0 {
            prop_assert!(vector.iter().all(|(_, w)| w.is_finite() && *w > 0.0));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(read(&bytes));
    }
}
