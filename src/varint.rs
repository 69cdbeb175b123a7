//! LEB128: whole numbers as bytes of 7 bits, low bits first, the high bit set on all bytes but
//! the last. Protobuf's varints, and the gaps of our own lists.
//!
//! Architecture invariant: this is the only encoder and the only decoder from memory. (CIFF's
//! message lengths are read from a stream, byte by byte, in `vectors/ciff/wire.rs`.)

/// Appends `value`: one byte below 128, ten at most.
#[inline]
pub(crate) fn put(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes the number that `bytes` begin with; `None`, and `bytes` as they were, if they end
/// inside it or it has more than 64 bits.
#[inline]
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u64> {
    match *bytes {
        // Most numbers are small, and then the branches are foreseen.
        [byte @ ..0x80, rest @ ..] => {
            *bytes = rest;
            Some(u64::from(*byte))
        }
        _ => take_long(bytes),
    }
}

fn take_long(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (i, &byte) in bytes.iter().enumerate().take(10) {
        let bits = u64::from(byte & 0x7f);
        // Nine bytes hold 63 bits.
        if i == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * i);
        if byte < 0x80 {
            *bytes = &bytes[i + 1..];
            return Some(value);
        }
    }
    None
}

/// As [`take`], a number of 32 bits.
#[inline]
pub(crate) fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    u32::try_from(take(bytes)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Numbers of every length.
    fn numbers() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0u32..64).prop_map(|(value, shift)| value >> shift)
    }

    proptest! {
        #[test]
        fn numbers_read_back_one_after_another(values in prop::collection::vec(numbers(), 0..20)) {
            let mut bytes = Vec::new();
            values.iter().for_each(|&value| put(value, &mut bytes));
            let mut rest = &bytes[..];
            for &value in &values {
                prop_assert_eq!(take(&mut rest), Some(value));
            }
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn a_number_that_is_cut_off_is_none(value in 128u64..) {
            let mut bytes = Vec::new();
            put(value, &mut bytes);
            for cut in 0..bytes.len() {
                let mut rest = &bytes[..cut];
                prop_assert_eq!(take(&mut rest), None);
                prop_assert_eq!(rest.len(), cut);
            }
        }
    }

    #[test]
    fn no_bit_is_dropped() {
        let long = |last: &[u8]| [&[0xff; 9], last].concat();
        assert_eq!(take(&mut &long(&[1])[..]), Some(u64::MAX));
        for last in [&[2][..], &[0x7f], &[0x81, 0], &[0x80, 0]] {
            assert_eq!(take(&mut &long(last)[..]), None, "{last:?}");
        }
        assert_eq!(take_u32(&mut &[0xff, 0xff, 0xff, 0xff, 0x0f][..]), Some(u32::MAX));
        assert_eq!(take_u32(&mut &[0xff, 0xff, 0xff, 0xff, 0x1f][..]), None);
    }
}
