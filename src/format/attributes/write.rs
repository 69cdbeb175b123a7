//! Columns to the bytes of the section.

use std::cmp::Ordering;

use roaring::RoaringBitmap;
use zerocopy::IntoBytes;
use zerocopy::little_endian::{U32, U64};

use super::{Kind, RECORD_LEN, Record};
use crate::error::{Error, Result};

/// The values of a key, in any order of documents.
#[derive(Debug, Clone)]
pub enum Column {
    /// Different strings, and (place of a string, ordinal).
    Strings(Vec<String>, Vec<(u32, u32)>),
    /// As strings, of `false` and `true`.
    Booleans(Vec<String>, Vec<(u32, u32)>),
    /// (value, ordinal).
    Integers(Vec<(i64, u32)>),
    /// (value, ordinal); finite.
    Floats(Vec<(f64, u32)>),
    /// (microseconds, ordinal).
    Times(Vec<(i64, u32)>),
}

impl Column {
    fn kind(&self) -> Kind {
        match self {
            Column::Strings(..) => Kind::Strings,
            Column::Booleans(..) => Kind::Booleans,
            Column::Integers(_) => Kind::Integers,
            Column::Floats(_) => Kind::Floats,
            Column::Times(_) => Kind::Times,
        }
    }
}

/// The section of these keys, by name; keys without a value are left out.
///
/// # Errors
/// Names of more than 4 GiB.
pub fn encode(mut keys: Vec<(String, Column)>) -> Result<Vec<u8>> {
    keys.sort_by(|(a, _), (b, _)| a.cmp(b));
    keys.retain(|(_, column)| match column {
        Column::Strings(_, pairs) | Column::Booleans(_, pairs) => !pairs.is_empty(),
        Column::Integers(pairs) | Column::Times(pairs) => !pairs.is_empty(),
        Column::Floats(pairs) => !pairs.is_empty(),
    });
    let mut out = Vec::new();
    out.extend_from_slice(&(keys.len() as u32).to_le_bytes());
    out.resize(8 + keys.len() * RECORD_LEN, 0);
    let names_from = out.len();
    keys.iter().for_each(|(name, _)| out.extend_from_slice(name.as_bytes()));
    if u32::try_from(out.len() - names_from).is_err() {
        return Err(Error::Usage("names of attributes take more than 4 GiB".into()));
    }
    let mut name_end = 0;
    for (number, (name, column)) in keys.into_iter().enumerate() {
        out.resize(out.len().next_multiple_of(8), 0);
        let (offset, kind) = (out.len(), column.kind());
        let Part { values, entries, present } = part(column, &mut out);
        name_end += name.len() as u32;
        let record = Record {
            name_end: U32::new(name_end),
            kind: kind as u8,
            zero: [0; 3],
            values: U64::new(values),
            entries: U64::new(entries),
            offset: U64::new(offset as u64),
            len: U64::new((out.len() - offset) as u64),
            present: U64::new(present),
        };
        out[8 + number * RECORD_LEN..][..RECORD_LEN].copy_from_slice(record.as_bytes());
    }
    out.resize(out.len().next_multiple_of(8), 0);
    Ok(out)
}

struct Part {
    values: u64,
    entries: u64,
    present: u64,
}

fn part(column: Column, out: &mut Vec<u8>) -> Part {
    match column {
        Column::Strings(values, pairs) | Column::Booleans(values, pairs) => {
            table(&values, pairs, out)
        }
        Column::Integers(pairs) | Column::Times(pairs) => {
            numbers(pairs, |a, b| a.cmp(b), |value| value as u64, out)
        }
        Column::Floats(mut pairs) => {
            // One zero: they are equal, and a file has one form.
            pairs.iter_mut().for_each(|(value, _)| *value += 0.0);
            numbers(pairs, f64::total_cmp, f64::to_bits, out)
        }
    }
}

fn table(values: &[String], mut pairs: Vec<(u32, u32)>, out: &mut Vec<u8>) -> Part {
    // Values that no pair has are left out.
    let mut places: Vec<u32> = (0..values.len() as u32).collect();
    places.sort_unstable_by_key(|&place| &values[place as usize]);
    let mut rank = vec![0; values.len()];
    (0..).zip(&places).for_each(|(to, &place)| rank[place as usize] = to);
    pairs.iter_mut().for_each(|(value, _)| *value = rank[*value as usize]);
    drop(rank);
    pairs.sort_unstable();
    pairs.dedup();
    let groups = || pairs.chunk_by(|a, b| a.0 == b.0);
    let count = groups().count();
    let tables = out.len();
    out.resize(tables + 16 * count, 0);
    let (mut end, strings) = (0, out.len());
    for (i, group) in groups().enumerate() {
        out.extend_from_slice(values[places[group[0].0 as usize] as usize].as_bytes());
        end = (out.len() - strings) as u64;
        out[tables + 8 * i..][..8].copy_from_slice(&end.to_le_bytes());
    }
    debug_assert_eq!(end, (out.len() - strings) as u64);
    let present = put_present(pairs.iter().map(|&(_, ordinal)| ordinal).collect(), out);
    let bitmaps = out.len();
    for (i, group) in groups().enumerate() {
        put(group.iter().map(|&(_, ordinal)| ordinal), out);
        let end = (out.len() - bitmaps) as u64;
        out[tables + 8 * (count + i)..][..8].copy_from_slice(&end.to_le_bytes());
    }
    Part { values: count as u64, entries: pairs.len() as u64, present }
}

fn numbers<T: Copy>(
    mut pairs: Vec<(T, u32)>,
    order: impl Fn(&T, &T) -> Ordering,
    bits: impl Fn(T) -> u64,
    out: &mut Vec<u8>,
) -> Part {
    pairs.sort_unstable_by(|a, b| order(&a.0, &b.0).then(a.1.cmp(&b.1)));
    let values = pairs.chunk_by(|a, b| order(&a.0, &b.0).is_eq()).count() as u64;
    pairs.iter().for_each(|&(value, _)| out.extend_from_slice(&bits(value).to_le_bytes()));
    pairs.iter().for_each(|&(_, ordinal)| out.extend_from_slice(&ordinal.to_le_bytes()));
    let present = put_present(pairs.iter().map(|&(_, ordinal)| ordinal).collect(), out);
    Part { values, entries: pairs.len() as u64, present }
}

fn put_present(mut ordinals: Vec<u32>, out: &mut Vec<u8>) -> u64 {
    let start = out.len();
    ordinals.sort_unstable();
    ordinals.dedup();
    put(ordinals.into_iter(), out);
    (out.len() - start) as u64
}

/// The bitmap of increasing ordinals.
fn put(ordinals: impl Iterator<Item = u32>, out: &mut Vec<u8>) {
    let mut bitmap = RoaringBitmap::from_sorted_iter(ordinals).expect("ordinals increase");
    out.extend_from_slice(&bytes_of(&mut bitmap));
}

/// The one form of a bitmap: each container as runs where that is smaller, as the crate writes it.
pub(super) fn bytes_of(bitmap: &mut RoaringBitmap) -> Vec<u8> {
    bitmap.remove_run_compression();
    bitmap.optimize();
    let mut bytes = Vec::with_capacity(bitmap.serialized_size());
    bitmap.serialize_into(&mut bytes).expect("a vector takes all");
    bytes
}
