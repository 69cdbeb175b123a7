use std::path::Path;

use super::*;
use crate::builder::{MergeOrder, merge};
use crate::format::attributes::Kind;
use crate::progress::Silent;
use crate::{Builder, Index};

fn vectors() -> [(&'static str, [(&'static str, f32); 1]); 4] {
    ["a", "b", "c", "d"].map(|id| (id, [("whale", 1.0)]))
}

fn of_file(text: &str, name: &str) -> Result<Index> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    let source = AttributeSource::File(path);
    Builder::new().attribute_sources([source]).vectors(vectors())?.index()
}

fn kinds(index: &Index) -> Vec<(String, Kind, u64, u64)> {
    let attributes = index.attributes().unwrap();
    assert_eq!(attributes.fault(), None);
    attributes.keys().map(|k| (k.name.to_owned(), k.kind, k.values, k.entries)).collect()
}

#[test]
fn json_lines_and_tsv_say_the_same() {
    let json = r#"{"id":"d","lang":"en","year":2020,"w":1,"ok":true,"at":"2024-05-01","tags":["x","y"]}
{"id":"a","lang":"de","year":-3,"w":0.5,"ok":false,"at":"2024-05-01T02:00:00+02:00","tags":["x"]}
{"id":"gone","lang":"fr"}
"#;
    let tsv = "d\tlang=en\tyear=2020\tw=1\tok=true\tat=2024-05-01\ttags=x\ttags=y
a\tlang=de\tyear=-3\tw=0.5\tok=false\tat=2024-05-01T00:00:00Z\ttags=x\n";
    let index = of_file(json, "x.jsonl").unwrap();
    let found = kinds(&index);
    let expected = [
        ("at", Kind::Times, 1, 2),
        ("lang", Kind::Strings, 2, 2),
        ("ok", Kind::Booleans, 2, 2),
        ("tags", Kind::Strings, 2, 3),
        ("w", Kind::Floats, 2, 2),
        ("year", Kind::Integers, 2, 2),
    ];
    assert_eq!(found, expected.map(|(name, kind, values, n)| (name.to_owned(), kind, values, n)));
    assert_eq!(index.content_id(), of_file(tsv, "x.tsv").unwrap().content_id());
    // Codes are no numbers.
    let codes = of_file("a\tzip=01234\nb\tzip=99999\n", "x.tsv").unwrap();
    assert_eq!(kinds(&codes), [("zip".to_owned(), Kind::Strings, 2, 2)]);
}

#[test]
fn bad_attributes_are_one_error_that_says_where() {
    for (text, problem) in [
        (
            "{\"id\":\"a\",\"y\":1}\n{\"id\":\"b\",\"y\":\"x\"}\n",
            "x.jsonl:2: key \"y\": expected an integer as in ",
        ),
        (
            "{\"id\":\"a\",\"y\":1}\n{\"id\":\"a\",\"z\":1}\n",
            "x.jsonl:2: expected each id once, found \"a\" a second time",
        ),
        (
            "{\"id\":\"A\",\"y\":1}\n",
            "expected ids of the collection's documents, found none of them",
        ),
        (
            "{\"id\":\"a\",\"y\":9007199254740993}\n{\"id\":\"b\",\"y\":0.5}\n",
            "expected integers that are floats too",
        ),
        ("{\"id\":\"a\",\"\":1}\n", "expected a key of 1 to 32768 bytes"),
        ("{\"id\":\"a\",\"y\":{\"z\":1}}\n", "found an object"),
    ] {
        let error = of_file(text, "x.jsonl").unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
    let long = format!("{{\"id\":\"a\",\"y\":\"{}\"}}\n", "x".repeat(40_000));
    assert!(of_file(&long, "x.jsonl").unwrap_err().to_string().contains("at most 32768 bytes"));
}

#[test]
fn several_values_are_for_strings_only() {
    let twice = [("a", [("y", 1)]), ("b", [("y", 2)])];
    let builder = Builder::new().attributes(twice).attributes([("b", [("y", 3)])]);
    let error = builder.vectors(vectors()).err().unwrap().to_string();
    assert!(
        error.contains("key \"y\": expected one value a document, found two for \"b\""),
        "{error}"
    );
    let strings =
        Builder::new().attributes([("b", [("y", "p")])]).attributes([("b", [("y", "q")])]);
    let index = strings.vectors(vectors()).unwrap().index().unwrap();
    assert_eq!(kinds(&index), [("y".to_owned(), Kind::Strings, 2, 2)]);
}

#[test]
fn too_many_values_for_the_memory_are_refused() {
    let values: Vec<String> = (0..200_000).map(|i| format!("v{i}")).collect();
    let records = [("a", [("y", crate::corpus::AttributeValue::Texts(values))])];
    let builder = Builder::new().memory(Memory::new(40 << 20)).attributes(records);
    let error = builder.vectors(vectors()).err().unwrap().to_string();
    assert!(error.contains("reading the attributes needs"), "{error}");
}

#[test]
fn a_merge_is_one_build_and_documents_without_a_key_stay_without() {
    let dir = tempfile::tempdir().unwrap();
    let attributes = [
        ("a", vec![("lang", "en"), ("at", "2024-01-01")]),
        ("c", vec![("lang", "de"), ("site", "x")]),
        ("d", vec![("lang", "en")]),
    ];
    let build = |documents: &[(&'static str, [(&'static str, f32); 1])], name: &str| {
        let path = dir.path().join(name);
        let scale = crate::Scale::Fixed(1.0);
        let builder = Builder::new().scale(scale).attributes(attributes.clone());
        builder.vectors(documents.iter().copied()).unwrap().write(&path).unwrap();
        Index::open(&path).unwrap()
    };
    let all = vectors();
    let parts = vec![build(&all[..2], "1.spx"), build(&all[2..], "2.spx")];
    let whole = build(&all, "whole.spx");
    let merged = dir.path().join("merged.spx");
    merge(parts, MergeOrder::Concat, Memory::UNLIMITED, &merged, &Silent).unwrap();
    let merged = Index::open(&merged).unwrap();
    assert_eq!(merged.verify_deep().faults, Vec::<String>::new());
    assert_eq!(merged.content_id(), whole.content_id());

    let other = Builder::new().scale(crate::Scale::Fixed(1.0)).attributes([("a", [("lang", 1)])]);
    let other = other.vectors([all[0]]).unwrap().index().unwrap();
    let target = dir.path().join("no.spx");
    let parts = vec![build(&all[1..], "3.spx"), other];
    let error = merge(parts, MergeOrder::Concat, Memory::UNLIMITED, &target, &Silent).unwrap_err();
    assert!(error.to_string().contains("key \"lang\": expected strings as in"), "{error}");
    assert!(!Path::new(&target).exists());
}
