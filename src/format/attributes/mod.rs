//! ATTRIBUTES: what documents are beside their terms, key by key, by ordinal.
//!
//! ```text
//! keys u32 | zero u32 | record × keys | names | zeros to 8 | parts, each at a multiple of 8
//! ```
//!
//! Values of strings and booleans have a roaring bitmap each; numbers and times are columns of
//! (value, ordinal) in order. A key's bitmap `present` says which documents have it.

mod fault;
mod write;

use std::fmt;
use std::path::Path;

use roaring::RoaringBitmap;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::layout::corrupt;
use super::postings::Damaged;
use crate::error::Result;

pub use write::{Column, encode};

/// Most bytes of a key's name or of a value: more is text, not an attribute.
pub const LONGEST_VALUE: usize = 1 << 15;

/// What a key's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Kind {
    /// Strings; a document may have several.
    Strings = 0,
    /// True or false.
    Booleans = 1,
    /// 64-bit integers.
    Integers = 2,
    /// Finite doubles.
    Floats = 3,
    /// Microseconds since 1970 in UTC.
    Times = 4,
}

impl Kind {
    const ALL: [Kind; 5] =
        [Kind::Strings, Kind::Booleans, Kind::Integers, Kind::Floats, Kind::Times];

    /// Whether its values stand in a sorted column.
    pub fn is_column(self) -> bool {
        matches!(self, Kind::Integers | Kind::Floats | Kind::Times)
    }

    /// The name in messages: "strings".
    pub fn name(self) -> &'static str {
        match self {
            Kind::Strings => "strings",
            Kind::Booleans => "booleans",
            Kind::Integers => "integers",
            Kind::Floats => "floats",
            Kind::Times => "times",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One key of the section, 48 bytes.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Record {
    /// Where its name ends among the names.
    name_end: U32,
    kind: u8,
    zero: [u8; 3],
    /// Different values.
    values: U64,
    /// Pairs of a value and a document.
    entries: U64,
    /// First byte of its part in the section.
    offset: U64,
    /// Bytes of its part.
    len: U64,
    /// Bytes of the bitmap `present`.
    present: U64,
}

const RECORD_LEN: usize = 48;
const _: () = assert!(size_of::<Record>() == RECORD_LEN);

/// The section in place; its lengths hold.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    section: &'a [u8],
    records: &'a [Record],
    names: &'a [u8],
    documents: u32,
}

impl<'a> Attributes<'a> {
    /// Checks keys and lengths; reads no value.
    ///
    /// # Errors
    /// Keys out of order, or parts that do not fill the section.
    pub fn parse(path: &Path, section: &'a [u8], offset: u64, documents: u32) -> Result<Self> {
        let bad = |problem: String| {
            corrupt(path, "ATTRIBUTES", offset, problem).hint("copy or build the file again")
        };
        let parsed = Self::framed(section, documents);
        let parsed = parsed.ok_or_else(|| bad("its keys do not fit its bytes".into()))?;
        let mut next = parsed.parts_from();
        let mut name_before = None;
        for number in 0..parsed.len() {
            let problem = || bad(format!("the part of key {number} does not fit its bytes"));
            let record = &parsed.records[number];
            let name = parsed.name(number).filter(|name| name_before < Some(*name));
            name_before = Some(name.ok_or_else(|| bad(format!("key {number} is out of order")))?);
            let end = record.offset.get().checked_add(record.len.get());
            let inside = end.is_some_and(|end| end <= section.len() as u64);
            if record.offset.get() != next || !inside || parsed.key(number).is_none() {
                return Err(problem());
            }
            next = (record.offset.get() + record.len.get()).next_multiple_of(8);
        }
        if next != section.len() as u64 {
            return Err(bad(format!("expected {next} bytes, found {}", section.len())));
        }
        Ok(parsed)
    }

    fn framed(section: &'a [u8], documents: u32) -> Option<Self> {
        let ([keys, _], rest) = <[U32; 2]>::read_from_prefix(section).ok()?;
        let (records, rest) =
            <[Record]>::ref_from_prefix_with_elems(rest, keys.get() as usize).ok()?;
        let names_len = records.last().map_or(0, |last| last.name_end.get() as usize);
        Some(Attributes { section, records, names: rest.get(..names_len)?, documents })
    }

    /// Where the first part begins.
    fn parts_from(&self) -> u64 {
        (8 + self.records.len() * RECORD_LEN + self.names.len()).next_multiple_of(8) as u64
    }

    fn name(&self, number: usize) -> Option<&'a str> {
        let start = number.checked_sub(1).map_or(0, |before| self.records[before].name_end.get());
        let range = start as usize..self.records.get(number)?.name_end.get() as usize;
        std::str::from_utf8(self.names.get(range)?).ok()
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn key(&self, number: usize) -> Option<Key<'a>> {
        let record = self.records.get(number)?;
        let kind = *Kind::ALL.get(usize::from(record.kind))?;
        let part = self.section.get(record.offset.get() as usize..)?;
        let part = part.get(..usize::try_from(record.len.get()).ok()?)?;
        let name = self.name(number)?;
        let (values, entries) = (record.values.get(), record.entries.get());
        let present = usize::try_from(record.present.get()).ok()?;
        let documents = self.documents;
        let content = match kind.is_column() {
            true => Content::Column(NumberColumn::split(part, entries, present)?),
            false => Content::Values(ValueTable::split(part, values, present)?),
        };
        Some(Key { name, kind, values, entries, documents, content })
    }

    /// The keys, in the order of their names.
    pub fn keys(&self) -> impl Iterator<Item = Key<'a>> + '_ {
        (0..self.len()).filter_map(|number| self.key(number))
    }

    /// The key of this name.
    pub fn find(&self, name: &str) -> Option<Key<'a>> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.name(middle)?.cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return self.key(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Why the section is not sound, if it is not: reads all of it.
    pub fn fault(&self) -> Option<String> {
        fault::of(self)
    }
}

/// A key and its values.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// Its name.
    pub name: &'a str,
    /// What its values are.
    pub kind: Kind,
    /// Different values.
    pub values: u64,
    /// Pairs of a value and a document.
    pub entries: u64,
    documents: u32,
    content: Content<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Content<'a> {
    Values(ValueTable<'a>),
    Column(NumberColumn<'a>),
}

impl<'a> Key<'a> {
    /// The documents that have it.
    ///
    /// # Errors
    /// A damaged bitmap.
    pub fn present(&self) -> Result<RoaringBitmap, Damaged> {
        let bytes = match &self.content {
            Content::Values(table) => table.present,
            Content::Column(column) => column.present,
        };
        bitmap(bytes, self.documents)
    }

    /// Strings or booleans.
    pub fn table(&self) -> Option<&ValueTable<'a>> {
        match &self.content {
            Content::Values(table) => Some(table),
            Content::Column(_) => None,
        }
    }

    /// Numbers or times.
    pub fn column(&self) -> Option<&NumberColumn<'a>> {
        match &self.content {
            Content::Column(column) => Some(column),
            Content::Values(_) => None,
        }
    }

    /// The documents that have the value with this place in [`table`](Self::table).
    ///
    /// # Errors
    /// A damaged bitmap.
    pub fn with_value(&self, place: usize) -> Result<RoaringBitmap, Damaged> {
        let bytes = self.table().and_then(|table| table.bitmap(place)).ok_or(Damaged)?;
        bitmap(bytes, self.documents)
    }

    /// The ordinals at these places of [`column`](Self::column).
    ///
    /// # Errors
    /// An ordinal that no document has.
    pub fn at_places(&self, places: std::ops::Range<usize>) -> Result<&'a [u32], Damaged> {
        let column = self.column().ok_or(Damaged)?;
        let ordinals = column.ordinals.get(places).ok_or(Damaged)?;
        match ordinals.iter().all(|&ordinal| ordinal < self.documents) {
            true => Ok(ordinals),
            false => Err(Damaged),
        }
    }
}

/// Different values in bytewise order, each with its documents.
#[derive(Debug, Clone, Copy)]
pub struct ValueTable<'a> {
    ends: &'a [u64],
    bitmap_ends: &'a [u64],
    bytes: &'a [u8],
    present: &'a [u8],
    bitmaps: &'a [u8],
}

impl<'a> ValueTable<'a> {
    fn split(part: &'a [u8], values: u64, present: usize) -> Option<Self> {
        let values = usize::try_from(values).ok().filter(|&values| values > 0)?;
        let (ends, rest) = <[u64]>::ref_from_prefix_with_elems(part, values).ok()?;
        let (bitmap_ends, rest) = <[u64]>::ref_from_prefix_with_elems(rest, values).ok()?;
        let (bytes, rest) = rest.split_at_checked(usize::try_from(*ends.last()?).ok()?)?;
        let (present, bitmaps) = rest.split_at_checked(present)?;
        let whole = *bitmap_ends.last()? == bitmaps.len() as u64;
        whole.then_some(ValueTable { ends, bitmap_ends, bytes, present, bitmaps })
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Never: a key has a value.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A value; empty where the section is damaged.
    pub fn get(&self, place: usize) -> &'a str {
        slice(self.bytes, self.ends, place)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }

    fn bitmap(&self, place: usize) -> Option<&'a [u8]> {
        slice(self.bitmaps, self.bitmap_ends, place)
    }

    /// The place of a value.
    pub fn find(&self, value: &str) -> Option<usize> {
        let place = self.below(|found| found < value);
        (place < self.len() && self.get(place) == value).then_some(place)
    }

    /// Values of which `below` holds, which holds of no value behind one of which it does not.
    pub fn below(&self, below: impl Fn(&str) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if below(self.get(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

fn slice<'a>(bytes: &'a [u8], ends: &[u64], place: usize) -> Option<&'a [u8]> {
    let start = place.checked_sub(1).map_or(0, |before| ends[before]);
    bytes.get(usize::try_from(start).ok()?..usize::try_from(*ends.get(place)?).ok()?)
}

/// Numbers in order, equal ones in the order of their ordinals; doubles by their bits.
#[derive(Debug, Clone, Copy)]
pub struct NumberColumn<'a> {
    values: &'a [u64],
    ordinals: &'a [u32],
    present: &'a [u8],
}

impl<'a> NumberColumn<'a> {
    fn split(part: &'a [u8], entries: u64, present: usize) -> Option<Self> {
        let entries = usize::try_from(entries).ok().filter(|&entries| entries > 0)?;
        let (values, rest) = <[u64]>::ref_from_prefix_with_elems(part, entries).ok()?;
        let (ordinals, rest) = <[u32]>::ref_from_prefix_with_elems(rest, entries).ok()?;
        (rest.len() == present).then_some(NumberColumn { values, ordinals, present: rest })
    }

    /// The values' bits: of an `i64`, or of an `f64`.
    pub fn bits(&self) -> &'a [u64] {
        self.values
    }

    /// Ordinals, one a value; damaged ones may be any numbers.
    pub fn ordinals(&self) -> &'a [u32] {
        self.ordinals
    }

    /// Places of the values before the first of which `below` does not hold.
    pub fn below(&self, below: impl Fn(u64) -> bool) -> usize {
        self.values.partition_point(|&bits| below(bits))
    }
}

fn bitmap(mut bytes: &[u8], documents: u32) -> Result<RoaringBitmap, Damaged> {
    let bitmap = RoaringBitmap::deserialize_from(&mut bytes).map_err(|_| Damaged)?;
    let inside = bitmap.max().is_none_or(|last| last < documents);
    if bytes.is_empty() && inside { Ok(bitmap) } else { Err(Damaged) }
}

#[cfg(test)]
mod tests;
