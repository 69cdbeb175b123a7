//! A little-endian stream of numbers of few bits: bit `i` is bit `i % 8` of byte `i / 8`.

/// Appends numbers bit by bit.
pub struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    pending: u64,
    bits: u32,
}

impl<'a> BitWriter<'a> {
    /// Starts a stream at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        BitWriter { out, pending: 0, bits: 0 }
    }

    /// Appends the low `bits` ≤ 32 of `value`.
    pub fn put(&mut self, value: u32, bits: u32) {
        self.pending |= (u64::from(value) & ((1 << bits) - 1)) << self.bits;
        self.bits += bits;
        while self.bits >= 8 {
            self.out.push(self.pending as u8);
            self.pending >>= 8;
            self.bits -= 8;
        }
    }

    /// Fills the last byte up with zeros.
    pub fn finish(self) {
        if self.bits > 0 {
            self.out.push(self.pending as u8);
        }
    }
}

/// Number `index` of a stream of numbers of `bits` ≤ 32 each; bits past the end are 0.
#[inline]
pub fn get(stream: &[u8], index: usize, bits: u32) -> u32 {
    let at = index * bits as usize;
    let rest = stream.get(at / 8..).unwrap_or_default();
    let word = match rest.first_chunk() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => {
            let mut eight = [0; 8];
            eight[..rest.len()].copy_from_slice(rest);
            u64::from_le_bytes(eight)
        }
    };
    ((word >> (at % 8)) & ((1 << bits) - 1)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(values in prop::collection::vec(any::<u32>(), 0..50), bits in 0u32..=32) {
            let mut bytes = vec![7];
            let mut writer = BitWriter::new(&mut bytes);
            values.iter().for_each(|&v| writer.put(v, bits));
            writer.finish();
            prop_assert_eq!(bytes.len(), 1 + (values.len() * bits as usize).div_ceil(8));
            for (i, &value) in values.iter().enumerate() {
                let kept = (u64::from(value) & ((1 << bits) - 1)) as u32;
                prop_assert_eq!(get(&bytes[1..], i, bits), kept);
            }
        }
    }
}
