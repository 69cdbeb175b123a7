use proptest::prelude::*;

use super::*;
use crate::{Builder, Index};

fn parse(text: &str) -> Condition {
    text.parse().unwrap()
}

fn problem(text: &str) -> String {
    text.parse::<Condition>().unwrap_err().to_string()
}

#[test]
fn the_language_reads_as_it_is_written() {
    let lang = Condition::Compare("lang".into(), Comparison::Equal, "en".into());
    let year = Condition::Compare("year".into(), Comparison::AtLeast, 2020.into());
    let site = Condition::In("site".into(), vec!["a".into(), "b'".into()]);
    let text = r#"lang = "en" and year >= 2020 and not site in ("a", 'b\'')"#;
    let not = Condition::Not(Box::new(site.clone()));
    assert_eq!(parse(text), Condition::And(vec![lang.clone(), year.clone(), not]));
    let text = "lang=='en' OR (year>=2020 AND Has( `a key` )) or site not in ('a', \"b'\")";
    let both = Condition::And(vec![year, Condition::Has("a key".into())]);
    let not_in = Condition::NotIn("site".into(), vec!["a".into(), "b'".into()]);
    assert_eq!(parse(text), Condition::Or(vec![lang, both, not_in]));
    let float = Condition::Compare("x.y-z".into(), Comparison::Less, (-1.5).into());
    assert_eq!(parse("x.y-z < -1.5"), float);
    assert_eq!(
        parse("has = true"),
        Condition::Compare("has".into(), Comparison::Equal, true.into())
    );
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, expected) in [
        ("", "`filter`: at character 1: expected a key, \"not\", \"has(\" or \"(\", found the end"),
        (
            "lang",
            "at character 5: expected one of = != < <= > >=, \"in\" or \"not in\", found the end",
        ),
        (
            "lang = and",
            "at character 8: expected a string between quotes, a number, true or false, found \"and\"",
        ),
        ("é = 'x", "at character 5: expected a second ' behind the string, found the end"),
        ("a = 1 b = 2", "at character 7: expected \"and\", \"or\" or the end, found \"b\""),
        ("(a = 1", "at character 7: expected \")\", found the end"),
        ("a in 1", "at character 6: expected \"(\" and values, found \"1\""),
        ("a in (1 2)", "at character 9: expected \",\" or \")\", found \"2\""),
        (
            "a ~ 1",
            "at character 3: expected one of = != < <= > >=, \"in\" or \"not in\", found \"~\"",
        ),
        ("a = inf", "at character 5: expected a string"),
        ("`a = 1", "expected a second \"`\""),
    ] {
        let found = problem(text);
        assert!(found.contains(expected), "{text}: {found}");
    }
    assert!(problem(&"(".repeat(10_000)).contains("expected at most 64 levels"));
    assert!(problem(&"not ".repeat(10_000)).contains("expected at most 64 levels"));
}

#[test]
fn keys_and_types_that_are_not_there_are_refused_with_what_is() {
    let records = [
        ("a", [("lang", "en"), ("at", "2024-05-01T12:00:00Z")]),
        ("b", [("lang", "de"), ("at", "2023-01-01")]),
    ];
    let documents = [("a", [("x", 1.0)]), ("b", [("x", 1.0)]), ("c", [("x", 1.0)])];
    let index = Builder::new().attributes(records).vectors(documents).unwrap().index().unwrap();
    let plain = Builder::new().vectors(documents).unwrap().index().unwrap();
    let filter = |index: &Index, text: &str| Filter::new(index, &parse(text));
    for (text, expected) in [
        ("lnag = 'en'", "there is no key \"lnag\"; the index has at (times), lang (strings)"),
        ("lang = 1", "key \"lang\" has strings: expected a string, found 1"),
        ("at > 'May'", "key \"at\" has times: expected a time such as \"2024-05-01\""),
    ] {
        let error = filter(&index, text).unwrap_err();
        assert!(error.to_string().contains(expected), "{text}: {error}");
        assert_eq!(error.exit_code(), 2);
    }
    let error = filter(&plain, "lang = 'en'").unwrap_err().to_string();
    assert!(error.contains("the index has no attributes"), "{error}");
    for (text, kept) in [
        ("at >= '2024-05-01T14:00:00+02:00'", &[0][..]),
        ("at < '2024'", &[]),
        ("lang != 'en'", &[1]),
        ("not lang = 'en'", &[1, 2]),
        ("lang not in ('fr')", &[0, 1]),
        ("lang in ('fr', 'de') or not has(at)", &[1, 2]),
        ("lang > 'de'", &[0]),
    ] {
        let Ok(filter) = filter(&index, text) else {
            assert_eq!(text, "at < '2024'");
            continue;
        };
        let found: Vec<u32> = (0..3).filter(|&ordinal| filter.keeps(&index, ordinal)).collect();
        assert_eq!((found.as_slice(), filter.len() as usize), (kept, kept.len()), "{text}");
    }
    // A filter is of one index.
    let of_other = filter(&index, "has(lang)").unwrap();
    let query = plain.query([("x", 1.0)]).unwrap().filtered(of_other);
    let error = plain.searcher().search(&query, 1, crate::Algorithm::Auto).unwrap_err();
    assert!(error.to_string().contains("`filter` was compiled for another index"), "{error}");
}

fn conditions() -> impl Strategy<Value = Condition> {
    let key = prop_oneof![Just("a".to_owned()), Just("b c".to_owned()), Just("é".to_owned())];
    let literal = prop_oneof![
        "[a-z\"' \\\\]{0,4}".prop_map(Literal::Text),
        any::<i64>().prop_map(Literal::Integer),
        (-1e9..1e9f64).prop_map(|number| Literal::Float(number + 0.5)),
        any::<bool>().prop_map(Literal::Boolean),
    ];
    let values = prop::collection::vec(literal.clone(), 1..3);
    let comparison = prop::sample::select(Comparison::ALL.to_vec());
    let leaf = prop_oneof![
        key.clone().prop_map(Condition::Has),
        (key.clone(), comparison, literal).prop_map(|(k, c, l)| Condition::Compare(k, c, l)),
        (key.clone(), values.clone()).prop_map(|(k, v)| Condition::In(k, v)),
        (key, values).prop_map(|(k, v)| Condition::NotIn(k, v)),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        let parts = prop::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            parts.clone().prop_map(Condition::And),
            parts.prop_map(Condition::Or),
            inner.prop_map(|part| Condition::Not(Box::new(part))),
        ]
    })
}

proptest! {
    #[test]
    fn json_is_the_same_tree(condition in conditions()) {
        prop_assert_eq!(Condition::from_json(&condition.to_json()).unwrap(), condition);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-z0-9=<>!()'\"`\\\\ ,.é-]{0,30}") {
        let _ = text.parse::<Condition>();
    }
}

#[test]
fn json_that_is_no_filter_is_shown() {
    for text in
        ["1", "{}", r#"{"=":["a"]}"#, r#"{"and":[]}"#, r#"{"a":1,"b":2}"#, r#"{"=":["a",null]}"#]
    {
        let json = serde_json::from_str(text).unwrap();
        let error = Condition::from_json(&json).unwrap_err().to_string();
        assert!(error.starts_with("`filter`: expected "), "{error}");
    }
    assert_eq!(Condition::from_json(&"a = 1".into()).unwrap(), parse("a = 1"));
}
