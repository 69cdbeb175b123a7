use proptest::prelude::*;

use super::*;
use crate::eval::Run;

fn write(format: RunFormat, hits: &[(&str, u32)]) -> String {
    let mut writer = RunWriter::new(Vec::new(), "out", format, "tag");
    writer.query("q", hits.iter().copied()).unwrap();
    String::from_utf8(writer.finish().unwrap()).unwrap()
}

#[test]
fn formats_look_as_their_readers_expect() {
    let hits = [("d\"1", 7), ("d2", 7)];
    assert_eq!(
        write(RunFormat::Trec, &hits),
        "q Q0 d\"1 1 7.00000000 tag\nq Q0 d2 2 6.99999952 tag\n"
    );
    assert_eq!(write(RunFormat::MsMarco, &hits), "q\td\"1\t1\nq\td2\t2\n");
    assert_eq!(
        write(RunFormat::Jsonl, &hits[..1]),
        "{\"qid\":\"q\",\"docid\":\"d\\\"1\",\"rank\":1,\"score\":7}\n"
    );
}

#[test]
fn an_id_that_a_column_cannot_hold_is_refused() {
    let mut writer = RunWriter::new(Vec::new(), "out", RunFormat::Trec, "t");
    let message = writer.query("q", [("a b", 1)]).unwrap_err().to_string();
    assert!(message.contains("\"a b\"") && message.contains("jsonl"), "{message}");
    let mut writer = RunWriter::new(Vec::new(), "out", RunFormat::MsMarco, "t");
    assert!(writer.query("q", [("a b", 1)]).is_ok());
    assert!(writer.query("q", [("a\tb", 1)]).is_err());
    assert!(writer.query("", [("a", 1)]).is_err());
    assert!(writer.query("#1", [("a", 1)]).unwrap_err().to_string().contains("comments"));
    assert!(writer.query("1", [("#a", 1)]).is_ok());
}

/// Scores around every place where rounding could bite: 1, 2^24, i32::MAX, long ties.
fn scores() -> impl Strategy<Value = Vec<u32>> {
    let score = prop_oneof![
        1u32..5,
        16_777_200u32..16_777_300,
        (i32::MAX as u32 - 300)..=i32::MAX as u32,
        1u32..=i32::MAX as u32,
    ];
    let runs = prop::collection::vec((score, 1usize..300), 1..12);
    runs.prop_map(|runs| {
        let mut scores: Vec<u32> =
            runs.into_iter().flat_map(|(score, n)| std::iter::repeat_n(score, n)).collect();
        scores.sort_unstable_by(|a, b| b.cmp(a));
        scores
    })
}

proptest! {
    #[test]
    fn every_format_reads_back_in_our_order(scores in scores(), descending in any::<bool>()) {
        let mut ids: Vec<String> = (0..scores.len()).map(|i| format!("d{i:05}")).collect();
        if descending {
            ids.reverse();
        }
        let hits: Vec<(&str, u32)> = ids.iter().map(String::as_str).zip(scores).collect();
        for format in [RunFormat::Trec, RunFormat::MsMarco, RunFormat::Jsonl] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("run");
            std::fs::write(&path, write(format, &hits)).unwrap();
            let run = Run::read(&path).unwrap();
            let read: Vec<&str> = run.ranking("q").unwrap().iter().map(|d| &**d).collect();
            prop_assert_eq!(&read, &ids, "{}", format);
        }
    }

    #[test]
    fn nine_digits_name_the_float(bits in 0u32..0x7f80_0000) {
        let value = f32::from_bits(bits);
        let text = NineDigits(value).to_string();
        prop_assert_eq!(text.parse::<f32>().unwrap(), value);
        // trec_eval goes through a double.
        prop_assert_eq!(text.parse::<f64>().unwrap() as f32, value);
    }
}
