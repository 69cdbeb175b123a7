//! Rotary positions (Su et al. 2021): queries and keys turn by angles that grow with the place
//! in the text.

use super::Heads;

/// Cosines and sines of every place.
pub(in crate::encode) struct Rotary {
    /// places × (half a head's width)
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
}

impl Rotary {
    /// `angles` is places × `half`.
    pub fn new(angles: &[f32], half: usize) -> Self {
        let of = |f: fn(f32) -> f32| angles.iter().map(|&a| f(a)).collect();
        Rotary { cos: of(f32::cos), sin: of(f32::sin), half }
    }

    /// Turns queries and keys of `qkv`, rows × (3 · hidden), in place: number i of a head's first
    /// half with number i of its second. Plain Rust: a layer's products have some thousand times
    /// as much to do.
    pub fn turn(&self, qkv: &mut [f32], lengths: &[usize], heads: Heads) {
        let places = lengths.iter().flat_map(|&length| 0..length);
        for (row, place) in qkv.chunks_exact_mut(3 * heads.hidden).zip(places) {
            let (cos, sin) = (self.at(&self.cos, place), self.at(&self.sin, place));
            for head in row[..2 * heads.hidden].chunks_exact_mut(2 * self.half) {
                let (low, high) = head.split_at_mut(self.half);
                for (((x, y), c), s) in low.iter_mut().zip(high).zip(cos).zip(sin) {
                    (*x, *y) = (*x * c - *y * s, *y * c + *x * s);
                }
            }
        }
    }

    fn at<'a>(&self, table: &'a [f32], place: usize) -> &'a [f32] {
        &table[place * self.half..][..self.half]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_turn_by_their_places_angle_and_values_stay() {
        let quarter = std::f32::consts::FRAC_PI_2;
        // Two places; the second turns by 90 and by 180 degrees.
        let rotary = Rotary::new(&[0.0, 0.0, quarter, 2.0 * quarter], 2);
        let row = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0];
        let mut qkv = [row, row, row].concat();
        // The third row is the first of another text.
        rotary.turn(&mut qkv, &[2, 1], Heads { hidden: 4, count: 1, reach: usize::MAX });
        assert_eq!((&qkv[..12], &qkv[24..]), (&row[..], &row[..]));
        let want = [-3.0, -2.0, 1.0, -4.0, -7.0, -6.0, 5.0, -8.0, 9.0, 10.0, 11.0, 12.0];
        for (got, want) in qkv[12..24].iter().zip(want) {
            assert!((got - want).abs() < 1e-5, "{qkv:?}");
        }
    }
}
