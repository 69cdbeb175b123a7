//! Tables of the forms that have no instruction for an expansion.

/// For each 8-bit mask, where each of 8 documents finds its impact among the next ones;
/// 0x80 makes the shuffles of AVX2 and NEON write 0.
pub(super) static SPREAD: [[u8; 8]; 256] = {
    let mut table = [[0x80; 8]; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut bit, mut next) = (0, 0);
        while bit < 8 {
            if mask >> bit & 1 == 1 {
                table[mask][bit] = next;
                next += 1;
            }
            bit += 1;
        }
        mask += 1;
    }
    table
};
