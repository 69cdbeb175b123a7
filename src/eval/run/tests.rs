use proptest::prelude::*;

use super::*;

fn read(text: impl AsRef<[u8]>) -> Result<Run, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    std::fs::write(&path, text).unwrap();
    Run::read(&path).map_err(|e| {
        assert_eq!(e.exit_code(), 2);
        e.to_string().rsplit_once("/run").unwrap().1.to_owned()
    })
}

fn ranking(text: &str, query: &str) -> String {
    read(text).unwrap().ranking(query).unwrap().join(" ")
}

#[test]
fn trec_runs_are_ordered_by_score_then_id_descending_and_rank_is_ignored() {
    let text = "q Q0 b 1 1.5 t\nq Q0 a 2 1.5 t\nq Q0 c 3 2 t\nq Q0 d 4 -1e3 t\n";
    assert_eq!(ranking(text, "q"), "c b a d");
}

#[test]
fn trec_scores_are_64_bit_floats_as_to_trec_eval_10() {
    let text = "q Q0 d0 1 0.90000000010 t\nq Q0 d9 2 0.90000000005 t\n";
    assert_eq!(ranking(text, "q"), "d0 d9");
    // Equal as 32-bit floats, and 0 is -0.
    let text = "q Q0 a 1 16777217 t\nq Q0 b 2 16777216 t\nq Q0 c 3 0 t\nq Q0 d 4 -0.0 t\n";
    assert_eq!(ranking(text, "q"), "a b d c");
    let text = "q Q0 a 1 0.1 t\nq Q0 b 2 1e-1 t\nq Q0 c 3 -1e-400 t\n";
    assert_eq!(ranking(text, "q"), "b a c");
}

#[test]
fn comments_names_of_columns_and_blank_lines_are_passed_over() {
    let trec = "# a run\n\u{feff}q Q0 a 1 2 t\n \t \n  #q Q0 c 2 1.5 t\nq Q0 b 2 1 t\n";
    assert_eq!(ranking(trec, "q"), "a b");
    assert_eq!(ranking("query_id\tdoc_id\trank\nq\tb\t2\nq\ta\t1\n", "q"), "a b");
    assert_eq!(ranking("#\n{\"qid\":\"q\",\"docid\":\"a\",\"score\":1}\n\t\n", "q"), "a");
}

#[test]
fn columns_between_tabs_may_hold_spaces() {
    assert_eq!(ranking("q\tQ0\tb\t1\t1.5\tt\nq\tQ0\ta\t2\t2\tt\n", "q"), "a b");
    assert_eq!(read("q 1\tQ0\tDoc One\t1\t1.5\tt\n").unwrap().ranking("q 1").unwrap().len(), 1);
}

#[test]
fn ms_marco_runs_are_ordered_by_rank() {
    assert_eq!(ranking("q\tb c\t2\nq\ta\t1\np\tx\t10\nq\tz\t10\n", "q"), "a b c z");
    assert_eq!(ranking("q b 2\nq a 1\n", "q"), "a b");
}

#[test]
fn json_runs_are_ordered_by_score_and_keep_the_order_of_ties() {
    let text = r#"{"qid":1,"docid":"x","score":5,"rank":1}
{"qid":1,"docid":"b","score":7}
{"qid":1,"docid":"c","score":5}
"#;
    assert_eq!(ranking(text, "1"), "b x c");
}

#[test]
fn each_fault_names_its_line() {
    let fails = |text: &str| read(text).unwrap_err();
    let trec = "q Q0 a 1 5 t\n";
    assert!(fails(&format!("{trec}q Q0 b 2 4\n")).starts_with(":2: expected six columns"));
    assert!(fails(&format!("{trec}q Q0 b 2 4 t u\n")).ends_with("found 7"));
    assert!(fails(&format!("{trec}q Q0 b 2 nan t\n")).contains("finite score in column 5"));
    assert_eq!(
        fails(&format!("{trec}p Q0 a 1 4 t\nq Q0 a 2 4 t\n")),
        ":3: expected a document once for a query, found \"a\" again for \"q\""
    );
    assert!(fails("q a 1\nq b first\n").contains(":2: expected a whole number as rank"));
    assert!(fails("q a 1\nq b 2 3\n").starts_with(":2: expected three columns"));
    assert!(fails("q a\n").starts_with(":1: expected a run: TREC"));
    assert!(fails("{\"qid\":1,\"docid\":2}\n").contains(":1: missing field \"score\""));
    assert_eq!(fails("\n"), ": expected a run, found no line");
    // Two lines of three columns are no line of six.
    assert!(fails("1 5 1\r1 6 2\r").contains("turn them into line feeds"));
    assert!(
        fails(&format!("{trec}q Q0 d\u{200b}9 2 4 t\n")).contains(":2: expected an id of visible")
    );
}

proptest! {
    #[test]
    fn no_bytes_make_the_readers_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        start in prop::sample::select(vec!["", "q Q0 a 1 5 t\n", "q\ta\t1\n", "{\"qid\":1,"]),
    ) {
        let bytes = [start.as_bytes(), &bytes].concat();
        drop(read(&bytes));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qrels");
        std::fs::write(&path, bytes).unwrap();
        drop(crate::eval::Qrels::read(&path));
    }

    #[test]
    fn damaged_runs_never_panic(
        text in prop::sample::select(vec![
            "q Q0 a 1 1.5 t\nq Q0 b 2 1 t\nr Q0 a 1 7 t\n",
            "q\ta\t1\nq\tb\t2\nr\ta\t1\n",
            "{\"qid\":1,\"docid\":\"a\",\"score\":5}\n{\"qid\":1,\"docid\":2,\"score\":5}\n",
        ]),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(run) = read(bytes) {
            prop_assert!(run.queries().all(|query| !run.ranking(query).unwrap().is_empty()));
        }
    }
}

#[test]
fn a_run_of_scores_stands_in_the_order_of_trec_eval() {
    let of = |documents: Vec<(&str, f64)>| Run::from_scores([("q".to_owned(), documents)]);
    let run = of(vec![("a", 1.0), ("b", 2.5), ("c", 1.0), ("d", -3.0)]).unwrap();
    let ranking: Vec<&str> = run.ranking("q").unwrap().iter().map(|d| &**d).collect();
    assert_eq!(ranking, ["b", "c", "a", "d"]);
    for (documents, problem) in [
        (vec![("a", f64::NAN)], "expected a finite score, found NaN"),
        (vec![("a", 1.0), ("a", 2.0)], "found \"a\" again for \"q\""),
    ] {
        let error = of(documents).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains(problem), "{error}");
    }
    let twice = [("q".to_owned(), vec![("a", 1.0)]), ("q".to_owned(), vec![("b", 1.0)])];
    assert!(Run::from_scores(twice).unwrap_err().to_string().contains("found \"q\" again"));
}
