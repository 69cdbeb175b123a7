use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// A copy whose first byte is aligned as a mapped section is.
fn aligned(bytes: &[u8]) -> Vec<u64> {
    let mut words = vec![0u64; bytes.len().div_ceil(8)];
    words.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
    words
}

fn parse(words: &[u64], len: usize, documents: u32) -> Result<Attributes<'_>> {
    Attributes::parse(Path::new("x"), &words.as_bytes()[..len], 0, documents)
}

const DOCUMENTS: u32 = 70_000;

fn ordinals() -> impl Strategy<Value = u32> {
    prop_oneof![0..40u32, 65_000..DOCUMENTS]
}

/// (number of a string, ordinal), a stretch of documents that all have one, and one number a
/// document.
type Content = (Vec<(u8, u32)>, u32, BTreeMap<u32, i64>, BTreeMap<u32, f64>);

fn contents() -> impl Strategy<Value = Content> {
    let number = prop_oneof![-3i64..3, any::<i64>()];
    let float = prop_oneof![-2.0f64..2.0, Just(0.0), Just(-0.0), Just(f64::MAX)];
    (
        prop::collection::vec((0u8..9, ordinals()), 1..60),
        0u32..9000,
        prop::collection::btree_map(ordinals(), number, 1..40),
        prop::collection::btree_map(ordinals(), float, 1..40),
    )
}

fn sections((strings, stretch, numbers, floats): &Content, reversed: bool) -> Vec<u8> {
    let names: Vec<String> = (0..9).map(|i| format!("v{}", 9 - i)).collect();
    let mut pairs: Vec<(u32, u32)> = strings.iter().map(|&(v, o)| (v.into(), o)).collect();
    pairs.extend((0..*stretch).map(|ordinal| (0, ordinal)));
    let mut integers: Vec<(i64, u32)> = numbers.iter().map(|(&o, &v)| (v, o)).collect();
    let mut doubles: Vec<(f64, u32)> = floats.iter().map(|(&o, &v)| (v, o)).collect();
    if reversed {
        pairs.reverse();
        integers.reverse();
        doubles.reverse();
    }
    let bools = integers.iter().map(|&(v, o)| (u32::from(v > 0), o)).collect();
    let mut keys = vec![
        ("site".into(), Column::Strings(names, pairs)),
        ("year".into(), Column::Integers(integers.clone())),
        ("weight".into(), Column::Floats(doubles)),
        ("at".into(), Column::Times(integers)),
        ("ok".into(), Column::Booleans(vec!["false".into(), "true".into()], bools)),
        ("none".into(), Column::Integers(Vec::new())),
    ];
    if reversed {
        keys.reverse();
    }
    encode(keys).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_and_has_one_form(content in contents()) {
        let bytes = sections(&content, false);
        prop_assert!(bytes == sections(&content, true), "the order of documents shows");
        let words = aligned(&bytes);
        let attributes = parse(&words, bytes.len(), DOCUMENTS).unwrap();
        prop_assert_eq!(attributes.fault(), None);
        let names: Vec<&str> = attributes.keys().map(|key| key.name).collect();
        prop_assert_eq!(names, ["at", "ok", "site", "weight", "year"]);
        let (strings, stretch, numbers, floats) = &content;
        let mut expected: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
        let stretch = (0..*stretch).map(|ordinal| (0, ordinal));
        for (value, ordinal) in strings.iter().copied().chain(stretch) {
            expected.entry(format!("v{}", 9 - value)).or_default().insert(ordinal);
        }
        let site = attributes.find("site").unwrap();
        let table = site.table().unwrap();
        prop_assert_eq!(table.len(), expected.len());
        for (value, documents) in &expected {
            let found = site.with_value(table.find(value).unwrap()).unwrap();
            prop_assert!(found.iter().eq(documents.iter().copied()));
        }
        prop_assert_eq!(table.find("v"), None);
        let year = attributes.find("year").unwrap();
        let column = year.column().unwrap();
        let mut sorted: Vec<(i64, u32)> = numbers.iter().map(|(&o, &v)| (v, o)).collect();
        sorted.sort_unstable();
        let values = column.bits().iter().map(|&bits| bits as i64);
        let found: Vec<(i64, u32)> = values.zip(column.ordinals().iter().copied()).collect();
        prop_assert_eq!(found, sorted);
        prop_assert!(year.present().unwrap().iter().eq(numbers.keys().copied()));
        let weight = attributes.find("weight").unwrap();
        prop_assert!(weight.present().unwrap().iter().eq(floats.keys().copied()));
        prop_assert_eq!(attributes.find("none").map(|key| key.entries), None);
    }

    #[test]
    fn damage_is_an_error_or_a_fault_and_never_a_panic(
        content in contents(),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        documents in prop_oneof![Just(DOCUMENTS), 0..70_000u32],
    ) {
        let good = sections(&content, false);
        let mut bytes = good.clone();
        for (at, value) in places {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let words = aligned(&bytes);
        if let Ok(attributes) = parse(&words, bytes.len(), documents) {
            let fault = attributes.fault();
            if bytes[..200] != good[..200] && documents == DOCUMENTS {
                // Names may change into others in order; all else is seen.
                let _ = &fault;
            }
            for key in attributes.keys() {
                let _ = key.present();
                let values = key.table().map_or(0, ValueTable::len);
                for place in 0..values.min(50) {
                    let _ = (key.with_value(place), key.table().map(|t| t.get(place)));
                }
                if let Some(column) = key.column() {
                    let _ = key.at_places(0..column.ordinals().len());
                }
            }
        }
    }

    #[test]
    fn a_shorter_section_is_refused(content in contents(), cut in any::<prop::sample::Index>()) {
        let bytes = sections(&content, false);
        let words = aligned(&bytes);
        prop_assert!(parse(&words, cut.index(bytes.len()), DOCUMENTS).is_err());
    }
}
