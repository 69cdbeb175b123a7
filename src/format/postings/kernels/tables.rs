//! Tables of the forms that have no instruction for a compression.

/// For each byte, the positions of its set bits.
pub(super) static BITS: [[u8; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut next) = (0, 0);
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                table[byte][next] = bit;
                next += 1;
            }
            bit += 1;
        }
        byte += 1;
    }
    table
};

/// Where the numbers of `bits` bits lie: for each of 8, the two bytes that hold it, and
/// the factor that moves it to the top of 16 bits.
pub(super) static SPREAD: [([u8; 16], [u16; 8]); 9] = {
    let mut table = [([0; 16], [0; 8]); 9];
    let mut bits = 1;
    while bits <= 8 {
        let mut i = 0;
        while i < 8 {
            let at = i * bits;
            table[bits].0[2 * i] = (at / 8) as u8;
            table[bits].0[2 * i + 1] = (at / 8 + 1) as u8;
            table[bits].1[i] = 1 << (16 - bits - at % 8);
            i += 1;
        }
        bits += 1;
    }
    table
};
