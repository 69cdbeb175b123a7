//! What `verify --deep` asks of the section: there is one encoding of the same attributes.

use std::cmp::Ordering;

use roaring::RoaringBitmap;

use super::write::bytes_of;
use super::{Attributes, Key, Kind, NumberColumn, ValueTable};

pub(super) fn of(attributes: &Attributes<'_>) -> Option<String> {
    let padding = |from: u64, to: u64| attributes.section.get(from as usize..to as usize);
    let names = (8 + size_of_val(attributes.records) + attributes.names.len()) as u64;
    let ends = attributes.records.iter().map(|r| r.offset.get() + r.len.get());
    for end in std::iter::once(names).chain(ends) {
        let zeros = padding(end, end.next_multiple_of(8));
        if zeros.is_none_or(|zeros| zeros.iter().any(|&byte| byte != 0)) {
            return Some(format!("expected zeros at byte {end}"));
        }
    }
    let clean = attributes.records.iter().all(|record| record.zero == [0; 3]);
    if !clean || attributes.section.get(4..8) != Some(&[0; 4]) {
        return Some("expected zeros behind the counts".into());
    }
    attributes.keys().find_map(|key| {
        let fault = match (key.table(), key.column()) {
            (Some(table), _) => table_fault(&key, table),
            (_, Some(column)) => column_fault(&key, column),
            _ => None,
        };
        fault.map(|fault| format!("key {:?}: {fault}", key.name))
    })
}

fn table_fault(key: &Key<'_>, table: &ValueTable<'_>) -> Option<String> {
    let (mut union, mut entries) = (RoaringBitmap::new(), 0);
    for place in 0..table.len() {
        let value = table.get(place);
        if place > 0 && value <= table.get(place - 1) {
            return Some(format!("value {place} is out of order or not UTF-8"));
        }
        if key.kind == Kind::Booleans && !["false", "true"].contains(&value) {
            return Some(format!("{value:?} is no boolean"));
        }
        let Ok(mut bitmap) = key.with_value(place) else {
            return Some(format!("the bitmap of value {value:?} does not decode"));
        };
        if bitmap.is_empty() || table.bitmap(place) != Some(&bytes_of(&mut bitmap)[..]) {
            return Some(format!("the bitmap of value {value:?} has another form"));
        }
        if key.kind == Kind::Booleans && !union.is_disjoint(&bitmap) {
            return Some("a document is true and false".into());
        }
        entries += bitmap.len();
        union |= bitmap;
    }
    counts(key, entries, table.len() as u64).or_else(|| present_fault(table.present, union))
}

fn column_fault(key: &Key<'_>, column: &NumberColumn<'_>) -> Option<String> {
    let order = |a: u64, b: u64| match key.kind {
        Kind::Floats => f64::from_bits(a).total_cmp(&f64::from_bits(b)),
        _ => (a as i64).cmp(&(b as i64)),
    };
    let (values, ordinals) = (column.bits(), column.ordinals());
    let odd = |&&bits: &&u64| {
        let value = f64::from_bits(bits);
        !value.is_finite() || bits == (-0.0f64).to_bits()
    };
    if key.kind == Kind::Floats
        && let Some(&bits) = values.iter().find(odd)
    {
        return Some(format!("{:?} is no value", f64::from_bits(bits)));
    }
    let mut different = 1;
    for at in 1..values.len() {
        match order(values[at - 1], values[at]) {
            Ordering::Less => different += 1,
            Ordering::Equal if ordinals[at - 1] < ordinals[at] => {}
            _ => return Some(format!("entry {at} is out of order")),
        }
    }
    if key.at_places(0..ordinals.len()).is_err() {
        return Some("an ordinal exceeds the document count".into());
    }
    let all: RoaringBitmap = ordinals.iter().copied().collect();
    if all.len() != ordinals.len() as u64 {
        return Some("a document has two values".into());
    }
    counts(key, all.len(), different).or_else(|| present_fault(column.present, all))
}

fn counts(key: &Key<'_>, entries: u64, values: u64) -> Option<String> {
    ((entries, values) != (key.entries, key.values)).then(|| {
        let (expected, different) = (key.entries, key.values);
        format!("expected {expected} entries of {different} values, found {entries} of {values}")
    })
}

fn present_fault(found: &[u8], mut expected: RoaringBitmap) -> Option<String> {
    (bytes_of(&mut expected) != found).then(|| "not its documents are said to have it".into())
}
