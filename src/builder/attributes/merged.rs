//! Attributes of several indexes as those of one.

use std::collections::BTreeMap;

use super::super::Memory;
use crate::error::{Error, Place, Result};
use crate::format::attributes::{Column, Key, Kind, encode};
use crate::format::postings::Damaged;
use crate::index::Index;

/// The section of all parts, one behind the other; `None` if no part has any.
///
/// # Errors
/// A key that is of one type in a part and of another in the next; a damaged part; memory too
/// small beside the `held` bytes.
pub(in crate::builder) fn merged(
    indexes: &[Index],
    memory: Memory,
    held: u64,
) -> Result<Option<Vec<u8>>> {
    let bytes: u64 = indexes.iter().map(|index| index.attribute_bytes()).sum();
    if bytes == 0 {
        return Ok(None);
    }
    // Values as they are, sorted, and the section; strings and their places as columns.
    memory.check(held, 6 * bytes, "joining the attributes")?;
    let mut keys: BTreeMap<String, (Kind, usize, Joined)> = BTreeMap::new();
    let mut base = 0;
    for (number, index) in indexes.iter().enumerate() {
        for key in index.attributes().iter().flat_map(|attributes| attributes.keys()) {
            let (kind, first, joined) = keys
                .entry(key.name.to_owned())
                .or_insert_with(|| (key.kind, number, Joined::default()));
            if *kind != key.kind {
                let first = indexes[*first].path().display();
                let problem = format!(
                    "key {:?}: expected {kind} as in {first}, found {}",
                    key.name, key.kind
                );
                return Err(Error::data(index.path(), Place::File, problem)
                    .hint("build the parts with attributes of the same types"));
            }
            joined.add(&key, base).map_err(|Damaged| index.damaged_attributes(key.name))?;
        }
        base += index.documents();
        index.release();
    }
    let columns = keys.into_iter().map(|(name, (kind, _, joined))| (name, joined.column(kind)));
    encode(columns.collect()).map(Some)
}

/// One key of all parts.
#[derive(Default)]
struct Joined {
    strings: BTreeMap<String, u32>,
    pairs: Vec<(u32, u32)>,
    /// Bits of numbers.
    numbers: Vec<(u64, u32)>,
}

impl Joined {
    fn add(&mut self, key: &Key<'_>, base: u32) -> Result<(), Damaged> {
        if let Some(table) = key.table() {
            for place in 0..table.len() {
                let next = self.strings.len() as u32;
                let value = *self.strings.entry(table.get(place).to_owned()).or_insert(next);
                let documents = key.with_value(place)?;
                self.pairs.extend(documents.iter().map(|ordinal| (value, base + ordinal)));
            }
        }
        if let Some(column) = key.column() {
            let ordinals = key.at_places(0..column.ordinals().len())?;
            let pairs = column.bits().iter().zip(ordinals);
            self.numbers.extend(pairs.map(|(&bits, &ordinal)| (bits, base + ordinal)));
        }
        Ok(())
    }

    fn column(self, kind: Kind) -> Column {
        let Joined { strings, pairs, numbers } = self;
        let mut values = vec![String::new(); strings.len()];
        strings.into_iter().for_each(|(value, place)| values[place as usize] = value);
        let integers = || numbers.iter().map(|&(bits, ordinal)| (bits as i64, ordinal)).collect();
        match kind {
            Kind::Strings => Column::Strings(values, pairs),
            Kind::Booleans => Column::Booleans(values, pairs),
            Kind::Integers => Column::Integers(integers()),
            Kind::Times => Column::Times(integers()),
            Kind::Floats => Column::Floats(
                numbers.iter().map(|&(bits, ordinal)| (f64::from_bits(bits), ordinal)).collect(),
            ),
        }
    }
}
