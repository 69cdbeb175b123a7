//! Files of other kinds than they are taken for, each told with its own cause.

use std::fs;
use std::io::Write;

use super::index;
use crate::common::{Folder, QUERY, SPLINDEX};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

#[test]
fn well_known_formats_are_told_in_every_reader_of_text() {
    let shop = Folder::new();
    index(&shop);
    shop.file("good.tsv", "q1\tx:1\n");
    shop.file("good.run", "q1 Q0 a 1 2 t\n");
    let utf_16: Vec<u8> = "\u{feff}d1\tblau".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (content, expected) in [
        (&b"PAR1\x15\x04\x15\x90\xff"[..], &["found a Parquet file", "read_parquet"][..]),
        (&utf_16, &["found UTF-16 text", "iconv -f UTF-16 -t UTF-8"]),
        (b"BZh91AY&SY\xa3\xc1", &["found a file packed by bzip2", "unpack it"]),
        (b"\xfd7zXZ\0\0\x04", &["found a file packed by xz", "unpack it"]),
        (b"\x93NUMPY\x01\0v\0", &["NumPy array", "save_npz"]),
        (b"SQLite format 3\0", &["found an SQLite database", "sqlite3 -tabs"]),
        (b"\x80\x04\x95\x1a\0", &["found a Python pickle", "json.dumps"]),
        (b"%PDF-1.7\n%\xe2\xe3", &["found a PDF document", "pdftotext"]),
        (b"<!DOCTYPE html>\n<html>", &["found an HTML page", "fetch that again"]),
        (b"version https://git-lfs.github.com/spec/v1\n", &["a Git LFS pointer", "git lfs pull"]),
    ] {
        let mut expected = expected.to_vec();
        expected.insert(0, "x.bin: expected ");
        for packed in [content.to_vec(), gzip(content)] {
            shop.file("x.bin", packed);
            for words in [
                "build --bm25 --input x.bin --output out.spx",
                "build --input x.bin --output out.spx",
                "build --input x.bin --output out.spx --order input",
                "convert --input x.bin --output out.jsonl",
                "eval --qrels x.bin good.run",
                "eval --qrels good.tsv x.bin",
            ] {
                // The judgements are read first; those of good.tsv are none.
                if words.starts_with("eval --qrels good") {
                    shop.file("good.tsv", "q1 0 a 1\n");
                }
                shop.refuses(SPLINDEX, words, &expected);
            }
            shop.refuses(QUERY, "search good.spx --queries x.bin --output out.run", &expected);
        }
    }
}

#[test]
fn padding_behind_a_packed_file_is_none_of_it_and_other_bytes_are_counted() {
    let shop = Folder::new();
    let text = b"d1\tred wine\nd2\tgreen tea\n";
    let build = "build --bm25 --input x.tsv.gz --output out.spx --quiet";
    let zst = zstd::encode_all(&text[..], 1).unwrap();
    for (packed, part) in [(gzip(text), "gzip member"), (zst, "zstd frame")] {
        shop.file("x.tsv.gz", [&packed[..], &[0; 512]].concat());
        shop.succeeds(build);
        let padded = fs::read(shop.path("out.spx")).unwrap();
        shop.file("x.tsv.gz", &packed);
        shop.succeeds(build);
        assert!(padded == fs::read(shop.path("out.spx")).unwrap());
        shop.file("x.tsv.gz", [&packed[..], b"\0\0tail"].concat());
        let found = format!("x.tsv.gz: expected its end, found 6 bytes after the last {part}; ");
        shop.refuses(SPLINDEX, build, &[&found]);
        shop.file("x.tsv.gz", &packed[..packed.len() - 3]);
        shop.refuses(SPLINDEX, build, &["cannot decompress", "the file ends too early"]);
    }
}

#[test]
fn header_rows_and_tabs_in_texts_are_said_once_also_when_quiet_and_nothing_is_lost() {
    let shop = Folder::new();
    shop.file("t.tsv", "id\ttext\nd1\tthe manual says: \tpress the walrus key\n\u{feff}d2\tred\n");
    let (_, said) = shop.succeeds("build --bm25 --input t.tsv --output out.spx");
    let warnings: Vec<&str> = said.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(
        warnings,
        [
            "warning: t.tsv:1: taken for a header row (names of columns) and left out",
            "warning: t.tsv:2: more than one tab; all behind the first tab is text, tabs counting as \
             spaces",
        ]
    );
    shop.file("q.tsv", "qid\tquery\nq1\tthe\twalrus\n");
    let search = "search out.spx --queries q.tsv --format msmarco";
    let output = shop.run(QUERY, search);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "q1\td1\t1\n");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.matches("warning: ").count(), 2, "{said}");
    let quiet = shop.run(QUERY, &format!("{search} --quiet"));
    let warnings: Vec<&str> = said.lines().filter(|line| line.starts_with("warning: ")).collect();
    let quiet = String::from_utf8_lossy(&quiet.stderr).into_owned();
    assert_eq!(quiet.lines().collect::<Vec<_>>(), warnings, "warnings are no summary");
    let (_, said) = shop.succeeds("diff out.spx out.spx --queries q.tsv --quiet");
    assert_eq!(said, quiet);
    shop.file("mac.tsv", "d1\tcold water\rd2\twarm air\r");
    let build = "build --bm25 --input mac.tsv --output mac.spx";
    shop.refuses(SPLINDEX, build, &["mac.tsv:1: expected one record a line", "tr '\\r' '\\n'"]);
}

#[test]
fn measures_are_those_of_trec_eval_10_and_beirs_judgements_are_read() {
    let shop = Folder::new();
    shop.file("qrels", "# judged by hand\nq1 0 d0 1\n");
    shop.file("beir.tsv", "query-id\tcorpus-id\tscore\nq1\td0\t1\n");
    let run = "# scores that 32-bit floats do not tell apart\n\
               q1 Q0 d0 1 0.90000000010 t\nq1 Q0 d9 2 0.90000000005 t\n";
    shop.file("run", run);
    for qrels in ["qrels", "beir.tsv"] {
        let (out, _) = shop.succeeds(&format!("eval --qrels {qrels} run --metrics mrr --json"));
        let found: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(found["runs"][0]["mean"]["mrr"], 1.0, "{qrels}");
    }
}
