use std::fs;

use proptest::prelude::*;

use super::*;

fn read(name: &str, bytes: impl AsRef<[u8]>, kind: QueryKind) -> Result<QueryFile, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    read_queries(&path, kind).map_err(|e| {
        assert_eq!(e.exit_code(), 2);
        e.to_string().replace(&format!("{}/", dir.path().display()), "")
    })
}

fn bodies(text: &str, kind: QueryKind) -> Vec<(String, QueryBody)> {
    let file = read("q.tsv", text, kind).unwrap();
    file.queries.into_iter().map(|q| (q.id, q.body)).collect()
}

fn text(id: &str, text: &str) -> (String, QueryBody) {
    (id.into(), QueryBody::Text(text.into()))
}

fn tokens(id: &str, tokens: &[(&str, f64)]) -> (String, QueryBody) {
    let tokens = tokens.iter().map(|&(t, w)| (t.to_owned(), w)).collect();
    (id.into(), QueryBody::Weighted(tokens))
}

#[test]
fn auto_tells_lists_from_texts() {
    let lists = "1\ta:b:2 ##c:0.5\r\n2\t\n3\t::1e1\n";
    let expected =
        [tokens("1", &[("a:b", 2.0), ("##c", 0.5)]), tokens("2", &[]), tokens("3", &[(":", 10.0)])];
    assert_eq!(bodies(lists, QueryKind::Auto), expected);
    let texts = "1\twhat is 12:30\tkept\n2\t\n3\t12:30\n4\tx y\n";
    let expected =
        [text("1", "what is 12:30\tkept"), text("2", ""), text("3", "12:30"), text("4", "x y")];
    assert_eq!(bodies(texts, QueryKind::Auto), expected);
}

#[test]
fn what_is_read_otherwise_than_it_may_be_meant_is_noted() {
    let notes = |text: &str| read("q.tsv", text, QueryKind::Auto).unwrap().notes;
    let found = notes("qid\tquery\nq1\ta\tb\nq2\tc\n");
    assert!(found[0].ends_with("q.tsv:1: taken for a header row (names of columns) and left out"));
    assert!(found[1].contains("q.tsv:2: more than one tab"), "{found:?}");
    assert_eq!(notes("q1\ta:1\tb:2\nq2\tc:1\t\n"), [""; 0], "tabs between weighted tokens");
    let lines = "\u{feff}q1\tblue\n\u{feff}q2\tred\n \t\n  3\tpadded\n";
    let expected = [text("q1", "blue"), text("q2", "red"), text("3", "padded")];
    assert_eq!(bodies(lines, QueryKind::Text), expected);
}

#[test]
fn an_array_a_piece_of_text_and_names_of_columns_are_no_queries() {
    let fails = |text: &str| read("q", text, QueryKind::Auto).unwrap_err();
    for array in [
        "[{\"id\": 1, \"text\": \"a\"}]",
        "[\n  {\"id\": 1}\n]",
        "[\n\t{\"id\": 1}\n]",
        "[[\"q1\", \"a\"]]",
        "[1, 2]",
    ] {
        let message = fails(array);
        let expected = "q:1: expected one query a line, found a JSON array; a line is {\"id\": ";
        assert!(message.starts_with(expected) && message.contains("jq -c"), "{message}");
    }
    for text in [
        "http://example.org/a",
        "what is this: a text",
        "\"q1\": \"a\"",
        "q1,\"what: now\"",
        "say \u{201c}no\u{201d}: now",
    ] {
        assert!(
            fails(text).starts_with("q:1: expected qid<TAB>query (or qid:query), found a text")
        );
    }
    let map = fails("{\"q1\": \"a\"}");
    assert!(map.contains("found none; of one object {\"q1\": "), "{map}");
    assert!(fails("qid,query\nq1,a\n").contains("; its columns are separated by commas: "));
    assert_eq!(read("q", "q1:a\nq2:\tb\tc\n", QueryKind::Auto).unwrap().notes, [""; 0]);
    // A line that lost its tab.
    assert!(fails("q1\ta\nq2:b\n").starts_with("q:2: expected qid<TAB>query as in the first line"));
    assert_eq!(bodies("q:1\ta\n", QueryKind::Auto), [text("q:1", "a")]);
    assert_eq!(bodies("[1]\ta\n", QueryKind::Auto), [text("[1]", "a")]);
    assert_eq!(bodies(" q1 \ta\n", QueryKind::Auto), [text("q1", "a")]);
    let padded = "{\"id\":\" q1 \",\"text\":\"a\"}\n";
    assert_eq!(bodies(padded, QueryKind::Auto), [text("q1", "a")]);
    for header in ["qid:query", "query_id: query", "qid\tquery"] {
        let line = if header.contains(':') { "q1:a" } else { "q1\ta" };
        let both = format!("{header}\n{line}\n");
        assert_eq!(bodies(&both, QueryKind::Auto), [text("q1", "a")]);
        let asked = parse_request(Path::new("q"), both.into_bytes(), QueryKind::Auto);
        let message = asked.unwrap_err().to_string();
        assert!(
            message.starts_with("q:1: expected queries, found names of columns; "),
            "{message}"
        );
    }
}

#[test]
fn more_tabs_are_noted_in_a_file_and_refused_in_a_request() {
    let lines = "q1\ta\nq2\tb\tc\n";
    assert!(read("q", lines, QueryKind::Auto).unwrap().notes[0].contains("q:2: more than one tab"));
    let asked = |text: &str, kind| parse_request(Path::new("q"), text.into(), kind);
    let message = asked(lines, QueryKind::Auto).unwrap_err().to_string();
    assert!(message.starts_with("q:2: expected qid<TAB>query, found more tabs"), "{message}");
    assert!(asked("q1\ta:1\tb:2\n", QueryKind::Auto).is_ok(), "between weighted tokens");
    assert!(asked("{\"id\":1,\"text\":\"a\\tb\"}", QueryKind::Auto).is_ok());
}

#[test]
fn old_line_ends_and_unseen_characters_are_refused() {
    for lines in ["q1\tcold water\rq2\twarm air\r", "q1:a\rq2:b\r"] {
        let message = read("q", lines, QueryKind::Auto).unwrap_err();
        assert!(message.starts_with("q:1: expected one record a line"), "{message}");
    }
    assert!(read("q", "q\u{200b}1\ta\n", QueryKind::Auto).unwrap_err().contains("U+200B"));
    let parquet = read("q", b"PAR1\x15\x04\x15\x90\xff", QueryKind::Auto).unwrap_err();
    assert!(parquet.starts_with("q: expected queries, found a Parquet file"), "{parquet}");
}

#[test]
fn null_is_as_good_as_absent() {
    let lines = r#"{"id":null,"qid":"a","vector":null,"text":"t"}
{"id":"b","vector":{"x":1},"text":null}
{"id":"c","text":null,"query":"how"}
{"id":"d","vector":{"x":1},"bm25":null}
{"id":"e","vector":null}
{"id":"f","text":null}
"#;
    let vector = |id| tokens(id, &[("x", 1.0)]);
    let expected = [
        text("a", "t"),
        vector("b"),
        text("c", "how"),
        vector("d"),
        tokens("e", &[]),
        text("f", ""),
    ];
    assert_eq!(bodies(lines, QueryKind::Auto), expected);
    let file = read("q", lines, QueryKind::Auto).unwrap();
    assert!(file.queries.iter().all(|query| query.bm25.is_none()));
    let wrong = read("q", r#"{"id":"a","vector":{"x":null}}"#, QueryKind::Auto).unwrap_err();
    assert!(wrong.contains("q:1: ") && wrong.contains("null"), "{wrong}");
}

#[test]
fn one_malformed_token_does_not_make_a_file_of_lists_a_file_of_texts() {
    let message = read("q.tsv", "1\ta:1\n2\tb:1 c\n3\td:1\n", QueryKind::Auto).unwrap_err();
    assert!(message.starts_with("q.tsv:2: expected token:weight, found \"c\"; "), "{message}");
}

#[test]
fn where_texts_make_no_sense_the_line_that_is_no_list_is_named() {
    let broken = |text: &str| broken_list(&read("q.tsv", text, QueryKind::Auto).unwrap());
    let slip = "q1\tcoffee:1\nq2\tcoffee 1\nq3\t\n";
    assert_eq!(broken(slip), Some((2, "expected token:weight, found \"coffee\"".into())));
    assert_eq!(broken("q1\tone two\nq2\tthree\nq3\t12:30\n"), None, "texts");
    let message = integer_weights(&read("q", slip, QueryKind::Auto).unwrap(), 1.0).unwrap_err();
    assert!(message.to_string().contains("q:2: expected token:weight"), "{message}");
}

#[test]
fn the_caller_decides_between_text_and_repeated_tokens() {
    let line = "1\tb a b\n";
    assert_eq!(bodies(line, QueryKind::Text), [text("1", "b a b")]);
    assert_eq!(
        bodies(line, QueryKind::Repeated),
        [tokens("1", &[("b", 1.0), ("a", 1.0), ("b", 1.0)])]
    );
}

#[test]
fn pisa_queries_split_at_the_first_colon() {
    assert_eq!(bodies("q1:a b:c\nq2:\n", QueryKind::Text), [text("q1", "a b:c"), text("q2", "")]);
    assert_eq!(bodies("7:a b\n", QueryKind::Repeated), [tokens("7", &[("a", 1.0), ("b", 1.0)])]);
}

#[test]
fn json_lines_hold_vectors_or_texts() {
    let lines = r#"{"id":1,"vector":{"a":2,"b":0.5,"a":1}}
{"qid":"x","query":"how"}
{"_id":"y","text":"t","vector":{}}
"#;
    let vector = tokens("1", &[("a", 2.0), ("b", 0.5), ("a", 1.0)]);
    assert_eq!(bodies(lines, QueryKind::Auto), [vector, text("x", "how"), tokens("y", &[])]);
    let last = lines.lines().last().unwrap();
    assert_eq!(bodies(last, QueryKind::Text), [text("y", "t")]);
    let missing = read("q.jsonl", "{\"id\":1,\"text\":\"t\"}", QueryKind::Weighted).unwrap_err();
    assert_eq!(missing, "q.jsonl:1: expected a field \"vector\", found none");
}

#[test]
fn each_fault_names_its_line() {
    let fails = |text: &str, kind| read("q", format!("0\ta:1\n{text}\n"), kind).unwrap_err();
    let auto = QueryKind::Auto;
    assert!(fails("no tab", auto).starts_with("q:2: expected qid<TAB>query"));
    assert!(fails("no tab:1", auto).starts_with("q:2: expected qid<TAB>query"));
    assert!(fails("\ta:1", auto).starts_with("q:2: expected an id"));
    assert_eq!(fails("0\tb:1", auto), "q:2: expected unique query ids, found \"0\" a second time");
    for weight in ["-1", "nan", "inf", "1e999"] {
        let message = fails(&format!("1\ta:{weight}"), auto);
        assert!(message.starts_with("q:2: expected a finite weight ≥ 0 for token \"a\""));
    }
    assert!(fails("1\t:5", QueryKind::Weighted).ends_with("expected token:weight, found \":5\""));
    let json = |line: &str| read("q", format!("{{\"id\":0,\"text\":\"\"}}\n{line}"), auto);
    assert!(json("{\"id\":1,").unwrap_err().starts_with("q:2: expected one JSON object"));
    assert!(json("{\"id\":1}").unwrap_err().contains("expected a field \"vector\" or \"text\""));
    assert!(json("{\"id\":1,\"vector\":{\"a\":-2}}").unwrap_err().contains("found -2"));
    assert!(json("{\"id\":1,\"vector\":{\"a\":null}}").unwrap_err().ends_with("expected a number"));
}

fn integers(text: &str, scale: f64) -> Result<Vec<IntegerQuery>, String> {
    integer_weights(&read("q", text, QueryKind::Weighted).unwrap(), scale)
        .map_err(|e| e.to_string())
}

fn terms(text: &str, scale: f64) -> Vec<(String, u32)> {
    integers(text, scale).unwrap().swap_remove(0).terms
}

fn pairs(pairs: &[(&str, u32)]) -> Vec<(String, u32)> {
    pairs.iter().map(|&(t, w)| (t.to_owned(), w)).collect()
}

#[test]
fn integers_stay_and_fractions_anywhere_in_the_file_scale_all_of_it() {
    assert_eq!(terms("1\ta:3 b:7\n", 100.0), pairs(&[("a", 3), ("b", 7)]));
    assert_eq!(terms("1\ta:3 b:7\n2\tc:0.5\n", 100.0), pairs(&[("a", 300), ("b", 700)]));
}

#[test]
fn repeated_tokens_are_summed_before_rounding() {
    assert_eq!(terms("1\ta:0.004 b:1 a:0.004\n", 100.0), pairs(&[("a", 1), ("b", 100)]));
    assert_eq!(terms("1\ta:2 b:1 a:3\n", 100.0), pairs(&[("a", 5), ("b", 1)]));
}

#[test]
fn weights_that_round_to_zero_are_dropped_and_counted() {
    let queries = integers("1\ta:0.0049 b:0.005 c:0\n2\t\n", 100.0).unwrap();
    assert_eq!((&queries[0].terms, queries[0].dropped), (&pairs(&[("b", 1)]), 2));
    assert_eq!((queries[1].terms.len(), queries[1].dropped, queries[1].line), (0, 0, 2));
}

#[test]
fn weights_beyond_16_bits_are_errors_with_their_line() {
    assert_eq!(terms("1\ta:65535\n", 1.0), pairs(&[("a", 65_535)]));
    assert!(integers("1\ta:1\n2\ta:65536\n", 1.0).unwrap_err().contains(":2: expected query"));
    assert!(integers("1\ta:40000 a:40000\n", 1.0).is_err());
    assert!(integers("1\ta:655.354\n", 100.0).is_ok());
    assert!(integers("1\ta:655.355\n", 100.0).is_err());
    assert!(integers("1\ta:1\n", 0.0).unwrap_err().contains("`query_scale`"));
}

#[test]
fn a_text_query_has_no_weights() {
    let file = read("q", "1\thow\n", QueryKind::Text).unwrap();
    let message = integer_weights(&file, 100.0).unwrap_err().to_string();
    assert!(message.contains(":1: expected weighted tokens, found a text query"), "{message}");
}

proptest! {
    #[test]
    fn weighted_lines_read_back(
        queries in prop::collection::vec(
            prop::collection::vec(("[^ \t\r\n\x0b\x0c]{1,6}", 0.0f64..1e6), 1..8), 1..8),
    ) {
        let lines = queries.iter().enumerate().map(|(i, tokens)| {
            let list: Vec<String> = tokens.iter().map(|(t, w)| format!("{t}:{w}")).collect();
            format!("q{i}\t{}\n", list.join(" "))
        });
        let lines: String = lines.collect();
        let file = read("q", &lines, QueryKind::Auto).unwrap();
        let read: Vec<QueryBody> = file.queries.into_iter().map(|q| q.body).collect();
        let written: Vec<QueryBody> = queries.into_iter().map(QueryBody::Weighted).collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        json in any::<bool>(),
    ) {
        let bytes = if json { [b"{\"id\":1,", &bytes[..]].concat() } else { bytes };
        for kind in [QueryKind::Auto, QueryKind::Text, QueryKind::Weighted, QueryKind::Repeated] {
            if let Ok(file) = read("q", &bytes, kind) {
                drop(integer_weights(&file, 100.0));
            }
        }
    }
}

#[test]
fn what_stands_beside_a_vector_is_for_bm25() {
    let lines = [
        r#"{"id":"1","vector":{"a":0.5},"text":"free text"}"#,
        r#"{"id":"2","bm25":{"b":2},"vector":{"a":0.5},"text":"free text"}"#,
        r#"{"id":"3","bm25":{"b":2},"text":"free text"}"#,
        r#"{"id":"4","vector":{"a":0.5}}"#,
    ];
    let file = read("q.jsonl", lines.join("\n"), QueryKind::Auto).unwrap();
    let vector = |token: &str, weight| QueryBody::Weighted(vec![(token.to_owned(), weight)]);
    let text = || QueryBody::Text("free text".into());
    let found: Vec<_> = file.queries.into_iter().map(|q| (q.body, q.bm25)).collect();
    let expected = [
        (vector("a", 0.5), Some(text())),
        (vector("a", 0.5), Some(vector("b", 2.0))),
        (text(), Some(vector("b", 2.0))),
        (vector("a", 0.5), None),
    ];
    assert_eq!(found, expected);
    let message = read("q.jsonl", r#"{"id":"1","vector":{},"bm25":{"b":-1}}"#, QueryKind::Auto);
    assert!(message.unwrap_err().contains("q.jsonl:1: "));
}

#[test]
fn queries_from_memory_are_checked_as_those_of_files_are() {
    let query = |id: &str, weight: f64| {
        let body = QueryBody::Weighted(vec![("whale".into(), weight)]);
        QueryInput::new(id, 0, body)
    };
    let of = |queries| QueryFile::of_queries(Path::new("<queries>"), queries);
    let file = of(vec![query("a", 1.0), query("b", 2.0)]).unwrap();
    assert_eq!(file.queries.iter().map(|q| q.line).collect::<Vec<_>>(), [1, 2]);
    for (queries, problem) in [
        (vec![query("a", 1.0), query("a", 1.0)], "<queries>: record 2: expected unique query ids"),
        (vec![query("a", f64::NAN)], "<queries>: record 1: expected a finite weight"),
        (vec![query("a", -1.0)], "for token \"whale\", found -1"),
    ] {
        let error = of(queries).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}
