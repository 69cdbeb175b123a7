//! `splindex diff` as a gate before an index goes live.

use crate::common::{Folder, SPLINDEX};

/// An index of yesterday and one of today: of 60 documents two changed, one is gone, three are new.
fn night() -> Folder {
    let folder = Folder::new();
    let line = |id: String, text: String| format!("{id}\t{text}\n");
    let words = ["whale", "ship", "sea", "coffee", "harbour", "sail", "moon"];
    let text = |i: usize| {
        let word = |n: usize| words[(i / n + n) % words.len()];
        format!("{} {} {} number{i}", word(1), word(3), word(7))
    };
    let old: String = (0..60).map(|i| line(format!("d{i}"), text(i))).collect();
    let changed = old.replace("number5\n", "number5 anchor\n").replace("number6\n", "six\n");
    let new: String = changed
        .lines()
        .filter(|l| !l.starts_with("d7\t"))
        .fold(String::new(), |all, line| all + line + "\n")
        + "e1\tanchor chain\ne2\twhale song\ne3\tmoon\n";
    folder.file("old.tsv", old);
    folder.file("new.tsv", new);
    for name in ["old", "new"] {
        folder.succeeds(&format!(
            "build --bm25 --avgdl 4 --input {name}.tsv --output {name}.spx --quiet"
        ));
    }
    folder
        .file("queries.tsv", "q1\twhale song\nq2\tcoffee\nq3\tanchor\nq4\tnumber7 moon\nq5\txyz\n");
    folder.file("qrels.txt", "q1 0 e2 1\nq1 0 d0 1\nq2 0 d3 1\nq4 0 d7 1\n");
    folder
}

#[test]
fn a_comparison_says_what_changed_in_tables_and_as_json() {
    let folder = night();
    let (out, _) = folder.succeeds("diff old.spx new.spx");
    assert!(out.starts_with("old.spx → new.spx\n\nParameters: those that differ\n"), "{out}");
    let rows: Vec<Vec<&str>> = out.lines().map(|l| l.split_whitespace().collect()).collect();
    for row in [
        "changed 2 3.33 d5, d6",
        "added 3 5.00 e1, e2, e3",
        "removed 1 1.67 d7",
        "inputs [\"old.tsv\"] [\"new.tsv\"]",
    ] {
        assert!(rows.contains(&row.split(' ').collect()), "{row}: {out}");
    }
    assert!(out.contains("Terms gone: 2 of 67 before"), "{out}");
    let (out, _) = folder.succeeds(
        "diff old.spx new.spx --queries queries.tsv --k 5,20 --qrels qrels.txt --html p.html --json",
    );
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    let documents = &json["documents"];
    let counts = ["old", "new", "same", "changed", "changed_terms", "added", "removed"];
    let counts: Vec<u64> = counts.iter().map(|&name| documents[name].as_u64().unwrap()).collect();
    assert_eq!(counts, [60, 62, 57, 2, 2, 3, 1]);
    // A collection of other lengths has another mean length, and so other impacts.
    folder.succeeds("build --bm25 --input new.tsv --output auto.spx --quiet");
    let (auto, _) = folder.succeeds("diff new.spx auto.spx --json");
    let auto: serde_json::Value = serde_json::from_str(&auto).unwrap();
    assert_eq!(auto["parameters"][0]["name"], "bm25.avgdl");
    assert!(auto["documents"]["changed"].as_u64() > Some(0));
    assert_eq!(auto["documents"]["changed_terms"], 0);
    let answers = &json["answers"];
    assert_eq!((&answers["queries"], &answers["overlap"][1]["k"]), (&5.into(), &20.into()));
    let changed = answers["changed"].as_array().unwrap();
    assert!(changed.iter().any(|q| q["id"] == "q3") && changed.iter().all(|q| q["id"] != "q5"));
    assert_eq!(json["measures"][2]["measure"], "recall@20");
    assert_eq!(json["measures"][0]["queries"], 3);
    assert_eq!(json["failed"], serde_json::json!([]));
    let page = std::fs::read_to_string(folder.path("p.html")).unwrap();
    assert!(page.contains("whale song") && page.contains("<h2>Measures</h2>"));
    for outside in ["http://", "https://", "src=", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
    // Nothing differs from itself.
    let (out, _) = folder.succeeds("diff old.spx old.spx --queries queries.tsv");
    assert!(out.contains("Parameters: the same") && out.contains("the same content id"), "{out}");
    assert!(out.contains("5 of 5 queries have the same list"), "{out}");
}

#[test]
fn a_gate_exits_with_1_and_says_each_condition_that_holds() {
    let folder = night();
    let run = |conditions: &str| {
        let words = "diff old.spx new.spx --quiet --queries queries.tsv --k 5 --qrels qrels.txt \
                     --fail-if";
        let mut command = crate::common::command(&folder.path(""), SPLINDEX, words);
        let output = command.arg(conditions).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run("added>3,removed>5%,overlap@5<0.1"), (Some(0), String::new()));
    let (code, said) = run("added>=3, removed>1% ,overlap@5<0.99,recall@5<0,rbo<0");
    assert_eq!(code, Some(1));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 4, "{said}");
    assert_eq!(lines[0], "failed: added>=3 holds: added is 3, 5 % of 60");
    assert_eq!(lines[1], "failed: removed>1% holds: removed is 1, 1.6667 % of 60");
    assert!(lines[2].starts_with("failed: overlap@5<0.99 holds: overlap@5 is 0."), "{said}");
    assert!(lines[3].starts_with("failed: recall@5<0 holds: recall@5 is -0."), "{said}");
}

#[test]
fn what_cannot_be_compared_is_one_error() {
    let folder = night();
    folder.file("v.jsonl", "{\"id\":\"d1\",\"vector\":{\"whale\":3}}\n");
    folder.succeeds("build --input v.jsonl --output v.spx --quiet");
    let refuses = |words: &str, expected: &[&str]| folder.refuses(SPLINDEX, words, expected);
    refuses("diff old.spx v.spx", &["v.spx: expected the field bm25 of old.spx, found learned"]);
    refuses("diff old.spx none.spx --html p.html", &["none.spx: no such file"]);
    refuses("diff old.spx old.tsv", &["old.tsv"]);
    refuses(
        "diff old.spx new.spx --fail-if lost>3",
        &["--fail-if \"lost>3\"", "expected one of added"],
    );
    refuses("diff old.spx new.spx --fail-if overlap@10<0.9", &["with --queries also overlap@K"]);
    let asked = "diff old.spx new.spx --queries queries.tsv";
    refuses(
        &format!("{asked} --k 5 --fail-if overlap@10<0.9"),
        &["overlap@5, rbo", "\"overlap@10\""],
    );
    refuses(&format!("{asked} --k 5,0"), &["--k must be 1 or more, found 0"]);
    refuses(&format!("{asked} --qrels none.txt"), &["none.txt: no such file"]);
    folder.file("other.txt", "x 0 d1 1\n");
    refuses(&format!("{asked} --qrels other.txt"), &["expected judgements of the run's queries"]);
    refuses("diff old.spx new.spx --html old.spx", &["the output is also an input"]);
    refuses("diff v.spx v.spx --queries queries.tsv", &["the queries are texts"]);
    // Damage that no list shows is found by the checksums.
    let mut bytes = std::fs::read(folder.path("new.spx")).unwrap();
    let at = bytes.windows(3).rposition(|w| w == b"d59").unwrap();
    bytes[at + 2] ^= 1;
    folder.file("damaged.spx", bytes);
    refuses(
        "diff old.spx damaged.spx",
        &["damaged.spx: section NAMES", "its checksum does not hold"],
    );
}

/// The commands of docs/nightly.md, with the small model of data/goldens.
#[cfg(feature = "encode")]
#[test]
fn a_night_goes_from_texts_to_a_gate() {
    let folder = night();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/data/goldens/bert");
    let encode = format!("encode --model {model} --max-length 32 --quiet");
    folder.succeeds(&format!("{encode} --input old.tsv --output yesterday"));
    folder.succeeds("build --input yesterday --output y.spx --order bp --scale 3 --quiet");
    let reuse = format!("{encode} --input new.tsv --output today --reuse yesterday --json");
    let json: serde_json::Value = serde_json::from_str(&folder.succeeds(&reuse).0).unwrap();
    assert_eq!(json["reuse"]["kept"], 57);
    let build = "build --input today --output t.spx --order-from y.spx --scale 3";
    let (_, said) = folder.succeeds(build);
    assert!(said.contains("\norder: log-gap "), "{said}");
    let (out, _) = folder.succeeds("inspect t.spx --json");
    let index: serde_json::Value = serde_json::from_str(&out).unwrap();
    let (out, _) = folder.succeeds("inspect y.spx --json");
    let earlier: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(index["provenance"]["order_from"], earlier["content_id"]);
    assert_eq!(
        (&index["meta"]["reordered"], &earlier["provenance"]["order_from"]),
        (&true.into(), &serde_json::Value::Null)
    );
    let gate = format!(
        "diff y.spx t.spx --queries queries.tsv --query-model {model} --k 10 --fail-if \
         overlap@10<0.5,changed>4%,removed>4% --json --quiet"
    );
    let json: serde_json::Value = serde_json::from_str(&folder.succeeds(&gate).0).unwrap();
    let documents = &json["documents"];
    assert_eq!((&documents["same"], &documents["changed"]), (&57.into(), &2.into()));

    let refuses = |words: &str, expected: &[&str]| folder.refuses(SPLINDEX, words, expected);
    refuses(
        "build --input today --output x.spx --order-from old.spx",
        &["old.spx: expected an index under an order of its own", "--order-from takes an index"],
    );
    refuses(
        "build --input today --output x.spx --order-from none.spx",
        &["none.spx: no such file"],
    );
    refuses("build --input today --output x.spx --order-from old.tsv", &["old.tsv"]);
    let output =
        folder.splindex("build --input today --output x.spx --order bp --order-from y.spx");
    assert_eq!(output.status.code(), Some(2));
}
