//! Float weights to 8-bit impacts.
//!
//! impact = clamp(round(weight · scale), 1, 2^bits − 1), computed in f64, half up. A
//! collection whose weights are all integers ≤ 255 keeps them exactly (scale 1).

use crate::error::{Error, Result};

/// What is known of all weights of a collection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightSummary {
    /// Largest weight of the collection.
    pub largest: f32,
    /// Whether every weight is an integer ≤ 255, so that impacts can be kept as they are.
    pub small_integers: bool,
}

/// Maps document weights to impacts and counts what the range cut off.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantizer {
    scale: f64,
    top: u8,
}

/// Outcome of [`Quantizer::impact`]s over a collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clipping {
    /// Weights above the range, stored as the largest impact.
    pub clipped: u64,
    /// Weights that rounded to 0, stored as 1.
    pub lifted: u64,
    /// All weights seen.
    pub total: u64,
}

impl Clipping {
    /// Sums two counts.
    pub fn merge(self, other: Self) -> Self {
        Clipping {
            clipped: self.clipped + other.clipped,
            lifted: self.lifted + other.lifted,
            total: self.total + other.total,
        }
    }
}

impl Quantizer {
    /// Scale chosen from the weights: 1 for small integers (only at 8 bits), else the
    /// largest weight maps to the largest impact.
    pub fn auto(weights: WeightSummary, bits: u8) -> Result<Self> {
        let top = largest_impact(bits)?;
        if weights.small_integers && bits == 8 {
            return Ok(Quantizer { scale: 1.0, top });
        }
        Self::fixed(f64::from(weights.largest), bits)
    }

    /// `weight` maps to the largest impact; what shards of one collection share.
    pub fn fixed(weight: f64, bits: u8) -> Result<Self> {
        let top = largest_impact(bits)?;
        if !(weight.is_finite() && weight > 0.0) {
            return Err(Error::Usage(format!(
                "`scale` must be a positive finite weight, found {weight}"
            )));
        }
        Ok(Quantizer { scale: f64::from(top) / weight, top })
    }

    /// Impacts per unit of weight.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// The impact of a finite weight > 0.
    #[inline]
    pub fn impact(&self, weight: f32, clipping: &mut Clipping) -> u8 {
        let rounded = (f64::from(weight) * self.scale + 0.5).floor();
        clipping.total += 1;
        if rounded < 1.0 {
            clipping.lifted += 1;
            1
        } else if rounded > f64::from(self.top) {
            clipping.clipped += 1;
            self.top
        } else {
            rounded as u8
        }
    }
}

pub(crate) fn largest_impact(bits: u8) -> Result<u8> {
    match bits {
        1..=8 => Ok((255u16 >> (8 - bits)) as u8),
        _ => Err(Error::setting("bits", "1 to 8", bits)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_half_up_and_clamps_to_the_range() {
        let q = Quantizer::fixed(255.0, 8).unwrap();
        let mut c = Clipping::default();
        let impacts: Vec<u8> =
            [0.2, 0.5, 1.49, 1.5, 254.5, 300.0].map(|w| q.impact(w, &mut c)).to_vec();
        assert_eq!(impacts, [1, 1, 1, 2, 255, 255]);
        assert_eq!(c, Clipping { clipped: 1, lifted: 1, total: 6 });
    }

    #[test]
    fn small_integers_keep_their_impacts() {
        let summary = WeightSummary { largest: 17.0, small_integers: true };
        let q = Quantizer::auto(summary, 8).unwrap();
        assert_eq!(q.impact(17.0, &mut Clipping::default()), 17);
    }

    #[test]
    fn the_largest_weight_of_a_collection_is_the_largest_impact() {
        for bits in 1..=8 {
            let summary = WeightSummary { largest: 2.817, small_integers: false };
            let q = Quantizer::auto(summary, bits).unwrap();
            assert_eq!(u32::from(q.impact(2.817, &mut Clipping::default())), (1u32 << bits) - 1);
        }
    }

    #[test]
    fn a_scale_that_is_no_weight_is_refused() {
        for w in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Quantizer::fixed(w, 8).is_err());
        }
        assert!(Quantizer::fixed(1.0, 9).is_err());
    }
}
