//! The part of protobuf's wire format that CIFF needs: messages behind their length,
//! fields of varints, fixed numbers and bytes.
//!
//! By hand and not by a library: a posting list is decoded from one buffer without an
//! object a posting, and what is wrong can be said in CIFF's words.
//! Specification: <https://protobuf.dev/programming-guides/encoding/>.

use std::io::{BufRead, Read};

use crate::error::{Error, Place, Result};
use crate::varint;
use crate::vectors::reread::{Bytes, Rereadable, unreadable};

/// Protobuf's own limit of a message.
const LONGEST: u64 = i32::MAX as u64;

/// Messages of a file, one after another, each behind its length as a varint.
pub(super) struct Messages<'a> {
    file: &'a Rereadable,
    input: std::io::BufReader<Bytes>,
    left: u64,
    number: u64,
    message: Vec<u8>,
}

impl<'a> Messages<'a> {
    /// From the first message on.
    pub(super) fn new(file: &'a Rereadable) -> Result<Self> {
        let (input, left) = (file.reader(0)?, file.len());
        Ok(Messages { file, input, left, number: 0, message: Vec::new() })
    }

    /// The next message; `what` it should be, for the error if the file ends before or
    /// inside it.
    pub(super) fn next(&mut self, what: &str) -> Result<&[u8]> {
        let len = self.begin(what)?;
        self.message.clear();
        let read = self.input.by_ref().take(len).read_to_end(&mut self.message);
        match read.map_err(|e| unreadable(self.file.path(), e))? as u64 == len {
            true => self.left -= len,
            false => return Err(self.error(format!("expected {what} of {len} bytes, found fewer"))),
        }
        Ok(&self.message)
    }

    /// Passes over the next message; its length.
    pub(super) fn skip(&mut self, what: &str) -> Result<u64> {
        let len = self.begin(what)?;
        let passed = self.input.seek_relative(len as i64);
        passed.map_err(|e| unreadable(self.file.path(), e))?;
        self.left -= len;
        Ok(len)
    }

    /// Length of the next message, of which there are as many bytes.
    fn begin(&mut self, what: &str) -> Result<u64> {
        self.number += 1;
        if self.left == 0 {
            return Err(self.error(format!("expected {what}, found the end of the file")));
        }
        let len = self.length(what)?;
        if len > self.left {
            let left = self.left;
            return Err(self.error(format!("expected {what} of {len} bytes, found only {left}")));
        }
        Ok(len)
    }

    fn length(&mut self, what: &str) -> Result<u64> {
        let mut len = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.input.fill_buf().map_err(|e| unreadable(self.file.path(), e))?;
            let Some(&byte) = byte.first() else { break };
            self.input.consume(1);
            self.left = self.left.saturating_sub(1);
            len |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                match len <= LONGEST {
                    true => return Ok(len),
                    false => break,
                }
            }
        }
        Err(self.error(format!("expected the length of {what}, found none up to {LONGEST}")))
    }

    /// Bytes after the messages read so far.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// A data error at the current message, counted from 1: the header.
    pub(super) fn error(&self, problem: impl Into<String>) -> Error {
        Error::data(self.file.path(), Place::Record(self.number), problem)
            .hint("the file is damaged, cut off, or no CIFF file")
    }
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32,
}

/// Fields of one message in the order they stand.
pub(super) struct CiffFields<'a>(pub(super) &'a [u8]);

impl<'a> CiffFields<'a> {
    /// Field number and value, `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, String> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(*self.chunk()?),
            2 => {
                let len = self.varint()?;
                let bytes = usize::try_from(len).ok().and_then(|len| self.0.split_at_checked(len));
                let (bytes, rest) = bytes.ok_or_else(|| {
                    format!("expected a field of {len} bytes, found only {}", self.0.len())
                })?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            5 => {
                self.chunk::<4>()?;
                Value::Fixed32
            }
            kind => {
                return Err(format!("expected a protobuf field, found one of wire type {kind}"));
            }
        };
        Ok(Some((tag >> 3, value)))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, String> {
        varint::take(&mut self.0).ok_or_else(|| {
            "expected a whole number of 64 bits, found none that ends within its message".into()
        })
    }

    fn chunk<const N: usize>(&mut self) -> Result<&'a [u8; N], String> {
        let (chunk, rest) = self.0.split_first_chunk().ok_or("expected a number, found the end")?;
        self.0 = rest;
        Ok(chunk)
    }
}

impl<'a> Value<'a> {
    /// An `int32`, whatever its sign; `what` it is, for the error.
    pub(super) fn int32(self, what: &str) -> Result<i32, String> {
        match self {
            // Negative numbers are sign-extended to 64 bits.
            Value::Varint(value) => i32::try_from(value as i64)
                .map_err(|_| format!("expected {what} of 32 bits, found {}", value as i64)),
            _ => Err(format!("expected {what}, a whole number, found another kind of field")),
        }
    }

    /// An `int64`.
    pub(super) fn int64(self, what: &str) -> Result<i64, String> {
        match self {
            Value::Varint(value) => Ok(value as i64),
            _ => Err(format!("expected {what}, a whole number, found another kind of field")),
        }
    }

    /// A double.
    pub(super) fn double(self, what: &str) -> Result<f64, String> {
        match self {
            Value::Fixed64(bytes) => Ok(f64::from_le_bytes(bytes)),
            _ => Err(format!("expected {what}, a double, found another kind of field")),
        }
    }

    /// Bytes: a string or a message.
    pub(super) fn bytes(self, what: &str) -> Result<&'a [u8], String> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(format!("expected {what}, found another kind of field")),
        }
    }

    /// A string.
    pub(super) fn string(self, what: &str) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes(what)?)
            .map_err(|_| format!("expected {what} in UTF-8, found other bytes"))
    }
}

/// A number that is not 0; protobuf leaves those out.
pub(super) fn put_number(out: &mut Vec<u8>, field: u8, value: u64) {
    if value != 0 {
        out.push(field << 3);
        varint::put(value, out);
    }
}

/// A string that is not empty.
pub(super) fn put_string(out: &mut Vec<u8>, field: u8, value: &str) {
    if !value.is_empty() {
        out.push(field << 3 | 2);
        varint::put(value.len() as u64, out);
        out.extend_from_slice(value.as_bytes());
    }
}

/// A double.
pub(super) fn put_double(out: &mut Vec<u8>, field: u8, value: f64) {
    out.push(field << 3 | 1);
    out.extend(value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fields_read_back_as_they_were_written(a in any::<u64>(), b in any::<i32>(), s in ".{1,9}") {
            let mut bytes = Vec::new();
            put_number(&mut bytes, 1, a | 1);
            put_number(&mut bytes, 2, i64::from(b) as u64);
            put_string(&mut bytes, 3, &s);
            put_double(&mut bytes, 4, 0.5);
            let mut fields = CiffFields(&bytes);
            prop_assert_eq!(fields.next(), Ok(Some((1, Value::Varint(a | 1)))));
            if b != 0 {
                let (_, value) = fields.next().unwrap().unwrap();
                prop_assert_eq!(value.int32("x"), Ok(b));
            }
            let (_, value) = fields.next().unwrap().unwrap();
            prop_assert_eq!(value.string("x"), Ok(&*s));
            prop_assert_eq!(fields.next(), Ok(Some((4, Value::Fixed64(0.5f64.to_le_bytes())))));
            prop_assert_eq!(fields.next(), Ok(None));
        }

        #[test]
        fn any_bytes_end_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut fields = CiffFields(&bytes);
            for _ in 0..=bytes.len() {
                match fields.next() {
                    Ok(Some(_)) => continue,
                    Ok(None) | Err(_) => return Ok(()),
                }
            }
            prop_assert!(false, "more fields than bytes");
        }
    }
}
