use std::fs;

use proptest::prelude::*;

use super::*;

/// Writes each text to a file of that name and reads all of them as one collection.
fn read(files: &[(&str, &str)], fields: Option<&str>) -> Vec<Result<(String, String), String>> {
    let dir = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = files.iter().map(|(name, _)| dir.path().join(name)).collect();
    for (path, (_, text)) in paths.iter().zip(files) {
        fs::write(path, text).unwrap();
    }
    let fields: Option<Fields> = fields.map(|f| f.parse().unwrap());
    let folder = format!("{}/", dir.path().display());
    let reader = match CorpusReader::open(&paths, fields.as_ref()) {
        Ok(reader) => reader,
        Err(e) => return vec![Err(e.to_string().replace(&folder, ""))],
    };
    reader
        .map(|r| {
            r.map(|r| (r.id, r.text)).map_err(|e| {
                assert_eq!(e.exit_code(), 2);
                e.to_string().replace(&folder, "")
            })
        })
        .collect()
}

fn ok(id: &str, text: &str) -> Result<(String, String), String> {
    Ok((id.into(), text.into()))
}

fn only_error(name: &str, text: &str) -> String {
    let errors: Vec<String> =
        read(&[(name, text)], None).into_iter().filter_map(Result::err).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.into_iter().next().unwrap()
}

#[test]
fn tsv_takes_all_behind_the_first_tab_and_keeps_empty_texts() {
    let text = "1\tone\tmore\r\n2\t\n3\tthree\t\t\n4\t\tfour";
    let docs = read(&[("d.tsv", text)], None);
    assert_eq!(docs, [ok("1", "one\tmore"), ok("2", ""), ok("3", "three"), ok("4", "\tfour")]);
    assert_eq!(read(&[("d.tsv", text)], Some("2"))[0], ok("1", "one"));
    assert_eq!(
        notes("d.tsv", text),
        ["d.tsv:1 and 1 more line: more than one tab; all behind the first tab is text, tabs \
          counting as spaces"]
    );
    assert_eq!(notes("d.tsv", "1\tone\n2\ttwo\t\n"), [""; 0]);
}

/// What is said of a file.
fn notes(name: &str, text: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(name), text).unwrap();
    let mut reader = CorpusReader::open(&[dir.path().join(name)], None).unwrap();
    reader.by_ref().for_each(|record| drop(record.unwrap()));
    let folder = format!("{}/", dir.path().display());
    reader.notes().all().into_iter().map(|note| note.replace(&folder, "")).collect()
}

#[test]
fn rows_of_column_names_are_no_documents() {
    let text = "id\ttext\n1\tone\ndocid\ttitle\tbody\n2\ttwo\n";
    for name in ["d.tsv", "d"] {
        assert_eq!(read(&[(name, text)], None), [ok("1", "one"), ok("2", "two")]);
    }
    assert_eq!(
        notes("d.tsv", text),
        ["d.tsv:1 and 1 more line: taken for a header row (names of columns) and left out"]
    );
    assert_eq!(read(&[("d.tsv", "id\tof a text\n")], None), [ok("id", "of a text")]);
}

#[test]
fn joined_files_old_line_ends_and_padded_ids() {
    let docs = read(&[("d.tsv", "\u{feff}d1\tblue\n\u{feff}d2\tred\n \t \n     3\tc\n")], None);
    assert_eq!(docs, [ok("d1", "blue"), ok("d2", "red"), ok("3", "c")]);
    let commas = only_error("d.tsv", "id,text\n");
    assert!(commas.contains("its columns are separated by commas: "), "{commas}");
    let mac = only_error("d.tsv", "d1\tcold water\rd2\twarm air\r");
    assert!(mac.starts_with("d.tsv:1: expected one record a line, found several"), "{mac}");
    assert_eq!(
        notes("d.tsv", "d1\tblue\u{feff}d2 red\n"),
        [
            "d.tsv:1: a byte order mark (U+FEFF) inside a text, which keeps it; files that were joined \
          without a line end between them have one"
        ]
    );
    let json = "{\"id\":1,\"text\":\"a\"}\r{\"id\":2,\"text\":\"b\"}\r";
    assert!(only_error("d.jsonl", json).contains("turn them into line feeds"));
    assert_eq!(read(&[("d.tsv", "d1\tcold\rwater\n")], None), [ok("d1", "cold\rwater")]);
    assert!(
        only_error("d.tsv", "d\u{200b}1\tblue\n").contains("d.tsv:1: expected an id of visible")
    );
}

#[test]
fn null_is_as_good_as_absent() {
    for (line, expected) in [
        (r#"{"id":null,"_id":"x7","text":"a"}"#, ok("x7", "a")),
        (r#"{"_id":null,"id":null,"docid":7,"text":"a"}"#, ok("7", "a")),
        (r#"{"id":"a","contents":null,"text":"B"}"#, ok("a", "B")),
        (r#"{"id":"a","title":null,"text":"B"}"#, ok("a", "B")),
        (r#"{"id":"a","title":"T","contents":null,"text":null}"#, ok("a", "T")),
        (r#"{"id":"a","text":null}"#, ok("a", "")),
        (r#"{"id":"a","title":NaN,"text":"B","score":-Infinity}"#, ok("a", "B")),
        (r#"{"id":"a","title":1984,"text":"B"}"#, ok("a", "1984 B")),
        (r#"{"id":"a","title":-1.50,"text":7}"#, ok("a", "-1.5 7")),
    ] {
        assert_eq!(read(&[("d.jsonl", line)], None), [expected], "{line}");
    }
    assert!(only_error("d.jsonl", r#"{"id":null,"text":"a"}"#).contains("found null"));
    assert!(only_error("d.jsonl", "{\"id\":null}").contains("found null"));
    let title = only_error("d.jsonl", r#"{"id":"a","title":["T"],"text":"B"}"#);
    assert!(
        title.ends_with("in field \"title\", found an array; `fields` can name others"),
        "{title}"
    );
    assert!(only_error("d.tsv", "[{\"id\":1}]\n").contains("jq -c '.[]'"));
    assert!(only_error("d.jsonl", "[{\"id\":1}]\n").contains("jq -c '.[]'"));
    let spread = read(&[("d.jsonl", "{\n\"id\": 1\n}\n")], None);
    assert!(spread[0].as_ref().unwrap_err().contains("jq -c ."), "{spread:?}");
}

#[test]
fn tsv_fields_choose_and_join_columns() {
    let docs = read(&[("d.tsv", "1\ta\tb\n2\t\tc\n3\td\n")], Some("2,3"));
    assert_eq!(docs[..2], [ok("1", "a b"), ok("2", "c")]);
    assert_eq!(docs[2], Err("d.tsv:3: expected a column 3, found 2 columns".into()));
}

#[test]
fn json_knows_the_usual_names() {
    let text = r#"{"id":"a","contents":"A"}
{"_id":"b","title":"T","text":"B","metadata":{"id":"no"}}
{"docid":3,"title":"","text":"C"}
{"id":"d","title":null,"contents":"D","text":"ignored"}
"#;
    let expected = [ok("a", "A"), ok("b", "T B"), ok("3", "C"), ok("d", "D")];
    assert_eq!(read(&[("d.jsonl", text)], None), expected);
    assert_eq!(read(&[("d", text)], None), expected, "recognised by content");
}

#[test]
fn json_fields_override_and_must_be_there() {
    let text = "{\"id\":1,\"a\":\"x\",\"b\":\"y\",\"text\":\"no\"}\n{\"id\":2,\"a\":\"x\"}\n";
    let docs = read(&[("d.jsonl", text)], Some("b,a"));
    assert_eq!(docs[0], ok("1", "y x"));
    assert_eq!(docs[1], Err("d.jsonl:2: expected a field \"b\", found none".into()));
}

#[test]
fn fields_of_the_other_format_are_refused() {
    for (name, text, fields) in [("d.tsv", "1\ta\n", "title"), ("d.jsonl", "{}\n", "2,3")] {
        let found = read(&[(name, text)], Some(fields));
        assert!(found[0].as_ref().unwrap_err().contains("`fields`"), "{found:?}");
    }
    let found = read(&[("d.txt", "1\ta\n")], Some("title"));
    assert!(found[0].as_ref().unwrap_err().contains("`fields`"), "{found:?}");
}

#[test]
fn each_fault_names_its_line_and_reading_goes_on() {
    let docs = read(&[("d.tsv", "1\ta\nno tab\n\tx\n2\tb\n")], None);
    assert_eq!(
        docs[1],
        Err("d.tsv:2: expected id<TAB>text, found no tab; separate the columns with a tab".into())
    );
    assert_eq!(docs[2], Err("d.tsv:3: expected an id, found an empty one".into()));
    assert_eq!(docs[3], ok("2", "b"));
    assert!(
        only_error("d.jsonl", "{\"id\":1,\"text\":\"a\"}\n{\"id\":2,").starts_with("d.jsonl:2: ")
    );
    assert!(only_error("d.jsonl", "{\"text\":\"a\"}").contains("expected a field \"id\""));
    assert!(only_error("d.jsonl", "{\"id\":1}").contains("\"contents\" or \"text\""));
    assert!(only_error("d.jsonl", "{\"id\":1,\"text\":[1]}").contains("found an array"));
    assert!(only_error("d.jsonl", "{\"id\":1.5,\"text\":\"\"}").contains("fractional"));
    assert!(only_error("d.tsv", "{\"id\":1}").ends_with("name the file .jsonl"));
}

#[test]
fn duplicate_ids_are_found_across_files() {
    let docs = read(&[("a.tsv", "1\ta\n2\tb\n"), ("b.jsonl", "{\"id\":1,\"text\":\"c\"}\n")], None);
    assert_eq!(
        docs[2],
        Err("b.jsonl:1: expected unique document ids, found \"1\" a second time".into())
    );
}

#[test]
fn an_empty_collection_is_an_error_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.tsv");
    fs::write(&path, "\n\n").unwrap();
    let mut reader = CorpusReader::open(&[path], None).unwrap();
    assert!(reader.next().is_none());
    let message = reader.require_records().unwrap_err().to_string();
    assert!(message.ends_with("d.tsv: expected at least one document, found none"), "{message}");
}

#[test]
fn progress_runs_to_the_size_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.tsv.zst");
    let text: String = (0..10_000).map(|i| format!("{i}\tdocument {i}\n")).collect();
    fs::write(&path, zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
    let mut reader = CorpusReader::open(&[path], None).unwrap();
    assert_eq!(reader.by_ref().filter_map(Result::ok).count(), 10_000);
    assert_eq!(Some(reader.bytes.get()), reader.bytes_total());
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic_or_loop(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        name in prop::sample::select(vec!["d.tsv", "d.jsonl", "d"]),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        let lines = bytes.iter().filter(|&&b| b == b'\n').count() + 1;
        fs::write(&path, bytes).unwrap();
        let items = CorpusReader::open(&[path], None).unwrap().count();
        prop_assert!(items <= lines + 1);
    }

    #[test]
    fn json_and_tsv_give_the_same_documents(texts in prop::collection::vec("[^\t\r\n]{0,20}", 1..20)) {
        let tsv: String = texts.iter().enumerate().map(|(i, t)| format!("{i}\t{t}\n")).collect();
        let json: String = texts.iter().enumerate()
            .map(|(i, t)| format!("{}\n", serde_json::json!({"id": i, "text": t}))).collect();
        prop_assert_eq!(read(&[("d.tsv", &tsv)], None), read(&[("d.jsonl", &json)], None));
    }

    #[test]
    fn damaged_compressed_files_never_panic(
        gzip in any::<bool>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let text: String = (0..40).map(|i| format!("{i}\tdocument number {}\n", i * i)).collect();
        let mut bytes = if gzip {
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut gz, text.as_bytes()).unwrap();
            gz.finish().unwrap()
        } else {
            zstd::encode_all(text.as_bytes(), 1).unwrap()
        };
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.tsv");
        fs::write(&path, bytes).unwrap();
        let items = CorpusReader::open(&[path], None).unwrap().count();
        prop_assert!(items < 10_000, "{items} items of 40 lines");
    }
}
