//! Headers of NumPy's `.npy` arrays, and arrays as streams of numbers.
//! Specification: NumPy's NEP 1.

use std::io::Read;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Headers of plain arrays take 128 bytes.
const LONGEST_HEADER: u32 = 1 << 16;

/// What an array is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NpyHeader {
    /// NumPy's name of the number type, such as `<f4`.
    pub kind: String,
    /// Lengths of the dimensions.
    pub shape: Vec<u64>,
    /// Bytes before the numbers.
    pub len: u64,
}

impl NpyHeader {
    /// Reads the header from the beginning of an array.
    pub(super) fn read(input: &mut impl Read) -> Result<Self, String> {
        let mut start = [0; 8];
        let io = |e: std::io::Error| format!("expected a .npy header: {e}");
        input.read_exact(&mut start).map_err(io)?;
        if start[..6] != *MAGIC {
            return Err("expected a NumPy array, found other bytes".into());
        }
        let wide = start[6] > 1;
        let mut len = [0; 4];
        input.read_exact(&mut len[..if wide { 4 } else { 2 }]).map_err(io)?;
        let len = u32::from_le_bytes(len);
        if len > LONGEST_HEADER {
            return Err(format!("expected a .npy header, found one of {len} bytes"));
        }
        let mut text = vec![0; len as usize];
        input.read_exact(&mut text).map_err(io)?;
        let text = String::from_utf8_lossy(&text);
        let (kind, shape) =
            parse(&text).ok_or_else(|| format!("expected a .npy header, found {:?}", &*text))?;
        Ok(NpyHeader { kind, shape, len: u64::from(len) + if wide { 12 } else { 10 } })
    }

    /// A header of version 1.0, padded to 64 bytes as NumPy does.
    pub(super) fn bytes(kind: &str, shape: &str) -> Vec<u8> {
        let mut text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
        let padded = (10 + text.len() + 1).next_multiple_of(64) - 11;
        text.extend(std::iter::repeat_n(' ', padded - text.len()));
        text.push('\n');
        [MAGIC, &[1, 0][..], &(text.len() as u16).to_le_bytes(), text.as_bytes()].concat()
    }
}

/// The values of `descr` and `shape` of a header's dictionary.
fn parse(text: &str) -> Option<(String, Vec<u64>)> {
    let value = |key: &str| {
        let (_, rest) = text.split_once(key)?;
        Some(rest.trim_start().strip_prefix(':')?.trim_start())
    };
    let kind = value("'descr'")?.strip_prefix('\'')?.split_once('\'')?.0;
    let shape = value("'shape'")?.strip_prefix('(')?.split_once(')')?.0;
    let lengths = shape.split(',').map(str::trim).filter(|n| !n.is_empty());
    let lengths: Option<Vec<u64>> = lengths.map(|n| n.trim_end_matches('L').parse().ok()).collect();
    Some((kind.to_owned(), lengths?))
}

/// A number type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum NpyKind {
    /// Signed, of so many bytes.
    Signed(usize),
    /// Unsigned, of so many bytes.
    Unsigned(usize),
    /// 2, 4 or 8 bytes.
    Float(usize),
}

impl NpyKind {
    /// From NumPy's name; only little-endian numbers.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (order, rest) = name.split_at_checked(1)?;
        let (kind, size) = rest.split_at_checked(1)?;
        let size: usize = size.parse().ok()?;
        if !(order == "<" || order == "|" && size == 1) || ![1, 2, 4, 8].contains(&size) {
            return None;
        }
        match kind {
            "i" => Some(NpyKind::Signed(size)),
            "u" => Some(NpyKind::Unsigned(size)),
            "f" if size > 1 => Some(NpyKind::Float(size)),
            _ => None,
        }
    }

    /// Bytes of a number.
    pub(super) fn size(self) -> usize {
        let (NpyKind::Signed(size) | NpyKind::Unsigned(size) | NpyKind::Float(size)) = self;
        size
    }

    /// A whole number; `None` for floats and what exceeds 63 bits.
    fn integer(self, bytes: &[u8]) -> Option<i64> {
        let mut wide = [0; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        match self {
            NpyKind::Float(_) => None,
            NpyKind::Unsigned(_) => i64::try_from(u64::from_le_bytes(wide)).ok(),
            NpyKind::Signed(size) => {
                let unused = 64 - 8 * size as u32;
                Some(i64::from_le_bytes(wide) << unused >> unused)
            }
        }
    }

    /// Any number as f32, rounded once.
    fn weight(self, bytes: &[u8]) -> f32 {
        match (self, bytes) {
            (NpyKind::Float(_), &[a, b]) => half::f16::from_le_bytes([a, b]).to_f32(),
            (NpyKind::Float(_), &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (NpyKind::Float(_), _) => {
                let mut wide = [0; 8];
                wide[..bytes.len()].copy_from_slice(bytes);
                f64::from_le_bytes(wide) as f32
            }
            _ => self.integer(bytes).map_or(f32::INFINITY, |n| n as f32),
        }
    }
}

/// Numbers of an array, one after another.
pub(super) struct Numbers {
    input: Box<dyn Read + Send>,
    kind: NpyKind,
    buffer: Vec<u8>,
}

impl Numbers {
    pub(super) fn new(input: impl Read + Send + 'static, kind: NpyKind) -> Self {
        Numbers { input: Box::new(input), kind, buffer: Vec::new() }
    }

    fn fill(&mut self, count: u64) -> std::io::Result<()> {
        self.buffer.clear();
        let len = count * self.kind.size() as u64;
        let read = self.input.by_ref().take(len).read_to_end(&mut self.buffer)?;
        match read as u64 == len {
            true => Ok(()),
            false => Err(std::io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Reads the next `count` whole numbers; -1 for what is none.
    pub(super) fn integers(
        &mut self,
        count: u64,
    ) -> std::io::Result<impl Iterator<Item = i64> + '_> {
        self.fill(count)?;
        let kind = self.kind;
        Ok(self.buffer.chunks_exact(kind.size()).map(move |b| kind.integer(b).unwrap_or(-1)))
    }

    /// Reads the next `count` weights.
    pub(super) fn weights(
        &mut self,
        count: u64,
    ) -> std::io::Result<impl Iterator<Item = f32> + '_> {
        self.fill(count)?;
        let kind = self.kind;
        Ok(self.buffer.chunks_exact(kind.size()).map(move |bytes| kind.weight(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_read_back_and_end_on_a_multiple_of_64() {
        for (kind, shape, expected) in
            [("<f4", "(17,)", vec![17]), ("<i8", "(2, 3)", vec![2, 3]), ("|S3", "()", vec![])]
        {
            let bytes = NpyHeader::bytes(kind, shape);
            assert_eq!(bytes.len() % 64, 0);
            let header = NpyHeader::read(&mut &bytes[..]).unwrap();
            assert_eq!(
                header,
                NpyHeader { kind: kind.into(), shape: expected, len: bytes.len() as u64 }
            );
        }
        assert!(NpyHeader::read(&mut &b"PK\x03\x04and more"[..]).is_err());
    }

    #[test]
    fn every_number_type_is_read() {
        let weight = |name: &str, bytes: &[u8]| NpyKind::parse(name).unwrap().weight(bytes);
        assert_eq!(weight("<f4", &1.5f32.to_le_bytes()), 1.5);
        assert_eq!(weight("<f8", &0.1f64.to_le_bytes()), 0.1);
        assert_eq!(weight("<f2", &half::f16::from_f32(2.5).to_le_bytes()), 2.5);
        assert_eq!(weight("<i4", &(-3i32).to_le_bytes()), -3.0);
        assert_eq!(weight("|u1", &[200]), 200.0);
        assert_eq!(NpyKind::parse("|i1").unwrap().integer(&[0xff]), Some(-1));
        assert_eq!(NpyKind::parse("<u8").unwrap().integer(&[0xff; 8]), None);
        for unsupported in [">f4", "|O", "|b1", "<U3", "<c8", "", "<f1", "|f4"] {
            assert_eq!(NpyKind::parse(unsupported), None, "{unsupported}");
        }
    }
}
