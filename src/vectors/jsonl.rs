//! JsonVectorCollection, Anserini's exchange format: one
//! `{"id": …, "contents": …, "vector": {token: weight, …}}` a line.
//!
//! Reading goes from serde_json's tokens straight into the record, with no map between.

use std::fmt;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Unexpected,
    Visitor,
};

use super::{TokenTable, VectorRecord, VectorSource};
use crate::corpus::json::{ID_NAMES, Key, Scalar, first_id, parse_line, set_once};
use crate::corpus::{BytesRead, IdSet, Lines, check_id, check_inputs, total_bytes};
use crate::error::{Error, Place, Result};

/// Streams the vectors of one or several JsonVectorCollection files (plain, .gz or .zst;
/// `-` is standard input).
///
/// Errors name file and line: malformed JSON, no id or no vector, an id that occurs twice
/// in the collection, a token that occurs twice in a vector, a weight that is no number,
/// negative or not finite as f32. Zero weights are dropped and counted.
pub struct JsonVectorReader {
    inputs: std::vec::IntoIter<(PathBuf, Option<Box<dyn BufRead + Send>>)>,
    current: Option<Lines>,
    tokens: TokenTable,
    /// For each term id the last record, by `record`, that had it: finds repeated tokens.
    last_record: Vec<u64>,
    ids: IdSet,
    /// Readings of a record so far.
    record: u64,
    zeros: u64,
    bytes: BytesRead,
    total: Option<u64>,
}

impl JsonVectorReader {
    /// Checks that all `paths` are there; reads nothing yet.
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        check_inputs(paths)?;
        Ok(Self::of_opened(paths.iter().map(|path| (path.clone(), None)).collect()))
    }

    /// Reads inputs that are open already, or opens them when their turn comes.
    pub(super) fn of_opened(inputs: Vec<(PathBuf, Option<Box<dyn BufRead + Send>>)>) -> Self {
        let paths: Vec<&PathBuf> = inputs.iter().map(|(path, _)| path).collect();
        let total = match inputs.iter().any(|(_, opened)| opened.is_some()) {
            true => None,
            false => total_bytes(&paths),
        };
        JsonVectorReader {
            inputs: inputs.into_iter(),
            current: None,
            tokens: TokenTable::default(),
            last_record: Vec::new(),
            ids: IdSet::default(),
            record: 0,
            zeros: 0,
            bytes: BytesRead::default(),
            total,
        }
    }
}

impl VectorSource for JsonVectorReader {
    fn read(&mut self, record: &mut VectorRecord) -> Result<bool> {
        record.clear();
        let lines = loop {
            let Some(lines) = &mut self.current else {
                let Some((path, opened)) = self.inputs.next() else { return Ok(false) };
                self.current = Some(match opened {
                    Some(bytes) => Lines::new(&path, bytes),
                    None => Lines::open(&path, &self.bytes)?,
                });
                continue;
            };
            if lines.advance()? {
                break self.current.as_ref().expect("just advanced");
            }
            self.current = None;
        };
        let first = self.record == 0;
        let zeros = self.zeros;
        let parsed = parse_line(lines.text(), |json| {
            // A line that is read twice begins anew.
            record.clear();
            self.record += 1;
            self.zeros = zeros;
            let seed = RecordSeed {
                record,
                tokens: &mut self.tokens,
                last_record: &mut self.last_record,
                number: self.record,
                zeros: &mut self.zeros,
            };
            seed.deserialize(json)
        });
        parsed.map_err(|problem| {
            let error = lines.error(problem);
            let text = lines.text();
            let vectors = text.trim_start().starts_with('{') && text.contains("\"vector\"");
            if !first || vectors {
                return error;
            }
            error.hint("texts are for encode, or for build --bm25")
        })?;
        check_id(&record.id).map_err(|problem| lines.error(problem))?;
        if !self.ids.insert(&record.id) {
            return Err(lines.error(format!(
                "expected unique document ids, found {:?} a second time",
                record.id
            )));
        }
        Ok(true)
    }

    fn tokens(&self) -> &TokenTable {
        &self.tokens
    }

    fn place(&self) -> Option<(&Path, Place)> {
        let lines = self.current.as_ref()?;
        Some((lines.path(), Place::Line(lines.number())))
    }

    fn done(&self) -> Option<f64> {
        self.bytes.share_of(self.total?)
    }

    fn memory(&self) -> u64 {
        36 * self.ids.len() as u64 + 160 * self.tokens.len() as u64
    }

    fn zero_weights(&self) -> u64 {
        self.zeros
    }
}

/// Fills a record from the object of one line.
struct RecordSeed<'a> {
    record: &'a mut VectorRecord,
    tokens: &'a mut TokenTable,
    last_record: &'a mut Vec<u64>,
    number: u64,
    zeros: &'a mut u64,
}

const VECTOR: usize = ID_NAMES.len();
const NAMES: [&str; VECTOR + 1] = [ID_NAMES[0], ID_NAMES[1], ID_NAMES[2], "vector"];

impl<'de> DeserializeSeed<'de> for RecordSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RecordSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one JSON object {\"id\":…,\"vector\":{…}} a line")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut ids: [Option<Scalar>; VECTOR] = [None, None, None];
        let mut vectors = 0;
        while let Some(slot) = map.next_key_seed(Key(&NAMES))? {
            match slot {
                Some(VECTOR) => {
                    vectors += 1;
                    map.next_value_seed(VectorSeed(&mut self))?;
                }
                Some(slot) => set_once(&mut ids[slot], map.next_value()?, NAMES[slot])?,
                None => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        if vectors != 1 {
            let found = if vectors == 0 { "none" } else { "several" };
            return Err(A::Error::custom(format!("expected a field \"vector\", found {found}")));
        }
        self.record.id = first_id(ids).map_err(A::Error::custom)?;
        Ok(())
    }
}

/// Reads `{token: weight, …}` into the record.
struct VectorSeed<'a, 'b>(&'a mut RecordSeed<'b>);

impl<'de> DeserializeSeed<'de> for VectorSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for VectorSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"vector\" to be an object of token: weight")
    }

    /// Python's tools write null for the vector of a document without terms.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let line = self.0;
        while let Some(term) = map.next_key_seed(Intern(line.tokens))? {
            if line.last_record.len() <= term as usize {
                line.last_record.resize(line.tokens.len(), 0);
            }
            if line.last_record[term as usize] == line.number {
                return Err(A::Error::custom(format!(
                    "expected each token once in a vector, found {:?} again",
                    line.tokens.token(term)
                )));
            }
            line.last_record[term as usize] = line.number;
            let weight = map.next_value::<Weight>()?.0;
            if weight > 0.0 && weight.is_finite() {
                line.record.terms.push(term);
                line.record.weights.push(weight);
            } else if weight == 0.0 {
                *line.zeros += 1;
            } else {
                return Err(A::Error::custom(format!(
                    "expected a weight ≥ 0 for token {:?}, found {weight}",
                    line.tokens.token(term)
                )));
            }
        }
        Ok(())
    }
}

struct Intern<'a>(&'a mut TokenTable);

impl<'de> DeserializeSeed<'de> for Intern<'_> {
    type Value = u32;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<u32, D::Error> {
        d.deserialize_str(self)
    }
}

impl Visitor<'_> for Intern<'_> {
    type Value = u32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token")
    }

    fn visit_str<E>(self, token: &str) -> Result<u32, E> {
        Ok(self.0.intern(token))
    }
}

/// A weight as f32, read with one rounding: asking serde_json for an f32 makes it round
/// the decimal digits to 32 bits directly (feature `float_roundtrip`).
struct Weight(f32);

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_f32(WeightVisitor).map(Weight)
    }
}

struct WeightVisitor;

impl Visitor<'_> for WeightVisitor {
    type Value = f32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number as weight")
    }

    fn visit_f64<E>(self, weight: f64) -> Result<f32, E> {
        Ok(weight as f32)
    }

    fn visit_u64<E>(self, weight: u64) -> Result<f32, E> {
        Ok(weight as f32)
    }

    fn visit_i64<E>(self, weight: i64) -> Result<f32, E> {
        Ok(weight as f32)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<f32, E> {
        Err(E::invalid_type(Unexpected::Str(text), &self))
    }
}

/// Writes JsonVectorCollection lines: tokens in the order given, integers as integers,
/// other weights as the shortest digits that read back as the same f32.
pub struct JsonVectorWriter<W> {
    out: W,
    path: PathBuf,
    line: Vec<u8>,
}

impl<W: Write> JsonVectorWriter<W> {
    /// Writes to `out`, which wants to be buffered; `path` is what errors call it.
    pub fn new(out: W, path: impl AsRef<Path>) -> Self {
        JsonVectorWriter { out, path: path.as_ref().to_owned(), line: Vec::new() }
    }

    /// Writes one record whose term ids are those of `tokens`.
    pub fn write(&mut self, record: &VectorRecord, tokens: &TokenTable) -> Result<()> {
        let pairs = record.terms.iter().zip(&record.weights);
        self.write_pairs(&record.id, pairs.map(|(&term, &weight)| (tokens.token(term), weight)))
    }

    /// Writes one vector given as tokens and finite weights.
    pub fn write_pairs<'t>(
        &mut self,
        id: &str,
        vector: impl IntoIterator<Item = (&'t str, f32)>,
    ) -> Result<()> {
        let line = &mut self.line;
        line.clear();
        line.extend_from_slice(b"{\"id\":");
        push_json(line, id);
        line.extend_from_slice(b",\"vector\":{");
        for (i, (token, weight)) in vector.into_iter().enumerate() {
            if i > 0 {
                line.push(b',');
            }
            push_json(line, token);
            line.push(b':');
            // Integers beyond 2^24 would be written with digits that f32 does not hold.
            if weight.fract() == 0.0 && weight.abs() <= 16_777_216.0 {
                push_json(line, &(weight as i32));
            } else {
                push_json(line, &weight);
            }
        }
        line.extend_from_slice(b"}}\n");
        self.out.write_all(line).map_err(|e| Error::io("write", &self.path, e))
    }

    /// Flushes and gives the output back.
    pub fn finish(mut self) -> Result<W> {
        self.out.flush().map_err(|e| Error::io("write", &self.path, e))?;
        Ok(self.out)
    }
}

fn push_json<T: serde::Serialize + ?Sized>(line: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(line, value).expect("strings and numbers always serialise to memory");
}

#[cfg(test)]
mod tests;
