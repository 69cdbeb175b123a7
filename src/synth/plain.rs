//! Vectors from published shapes, with no data.
//!
//! A document belongs to a topic in a tree. It takes a share of its terms from a few very
//! common expansion words, a share from the term sets of its topic, of the topic's parent
//! and of the grandparent, and the rest from all words. Weights fall along the published
//! curve from the heaviest term to the lightest; common words sit low on it.

use super::Generator;
use super::rng::{Purpose, Rng, mix};
use crate::error::{Error, Result};
use crate::vectors::{TokenTable, VectorRecord, WeightSummary};

/// A family of encoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// SPLADE documents (about 150 terms) and queries (about 24).
    Splade,
    /// Efficient SPLADE: documents of about 180 terms, queries of about 6.
    Esplade,
    /// uniCOIL with document expansion: about 67 terms, queries of about 6.
    Unicoil,
}

impl Profile {
    /// All profiles.
    pub const ALL: [Profile; 3] = [Profile::Splade, Profile::Esplade, Profile::Unicoil];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Splade => "splade",
            Profile::Esplade => "esplade",
            Profile::Unicoil => "unicoil",
        }
    }

    fn shape(self) -> Shape {
        match self {
            Profile::Splade => Shape {
                terms: Length { mean: 147.0, deviation: 25.0, least: 40, most: 260 },
                query_terms: Length { mean: 24.0, deviation: 7.5, least: 4, most: 50 },
                common: 0.30,
                falloff: SPLADE_FALLOFF,
                query_falloff: QUERY_FALLOFF,
            },
            Profile::Esplade => Shape {
                terms: Length { mean: 180.0, deviation: 30.0, least: 50, most: 320 },
                query_terms: Length { mean: 6.0, deviation: 2.0, least: 1, most: 14 },
                common: 0.30,
                falloff: SPLADE_FALLOFF,
                query_falloff: UNICOIL_FALLOFF,
            },
            Profile::Unicoil => Shape {
                terms: Length { mean: 67.0, deviation: 14.0, least: 15, most: 130 },
                query_terms: Length { mean: 6.6, deviation: 2.5, least: 1, most: 16 },
                common: 0.20,
                falloff: UNICOIL_FALLOFF,
                query_falloff: UNICOIL_FALLOFF,
            },
        }
    }

    /// Number of terms of a query.
    pub(crate) fn query_len(self, rng: &mut Rng) -> usize {
        self.shape().query_terms.draw(rng)
    }
}

impl std::str::FromStr for Profile {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Profile::ALL.into_iter().find(|p| p.name() == name).ok_or_else(|| {
            Error::Usage(format!("expected a profile (splade, esplade, unicoil), found {name:?}"))
        })
    }
}

/// Weight over the heaviest weight, from the first rank to the last in tenths.
type Falloff = [f32; 11];

/// Public SPLADE document encodings.
const SPLADE_FALLOFF: Falloff = [1.0, 0.49, 0.34, 0.25, 0.18, 0.13, 0.09, 0.06, 0.04, 0.02, 0.001];
/// Encodings of MS MARCO dev queries by distill-splade-max.
const QUERY_FALLOFF: Falloff = [1.0, 0.80, 0.60, 0.44, 0.32, 0.23, 0.18, 0.13, 0.08, 0.05, 0.01];
/// Encodings of MS MARCO dev queries by uniCOIL.
const UNICOIL_FALLOFF: Falloff = [1.0, 0.99, 0.88, 0.81, 0.71, 0.61, 0.56, 0.49, 0.41, 0.36, 0.21];

#[derive(Debug, Clone, Copy)]
struct Length {
    mean: f32,
    deviation: f32,
    least: usize,
    most: usize,
}

impl Length {
    fn draw(&self, rng: &mut Rng) -> usize {
        let drawn = self.mean + self.deviation * rng.normal();
        (drawn.max(0.0) as usize).clamp(self.least, self.most)
    }
}

#[derive(Debug, Clone, Copy)]
struct Shape {
    terms: Length,
    query_terms: Length,
    /// Share of common expansion words among a document's draws.
    common: f32,
    falloff: Falloff,
    query_falloff: Falloff,
}

/// Words of the vocabulary; the first [`COMMON`] are expansion words.
const WORDS: u32 = 30_000;
const COMMON: u32 = 300;
/// Documents of a leaf topic; a parent has [`FAN_OUT`] times as many.
const TOPIC: u64 = 24;
const FAN_OUT: u64 = 16;
/// Words of a topic's set.
const TOPIC_WORDS: f32 = 200.0;
/// Of draws that are not common words: from the topic, its parent, its grandparent.
const LEVELS: [f32; 3] = [0.42, 0.25, 0.15];

/// Makes documents of a published shape; see the module.
pub struct Plain {
    shape: Shape,
    tokens: TokenTable,
    topics: u64,
    seed: u64,
}

impl Plain {
    /// A generator for a collection of about `documents` documents (their number decides
    /// how many topics there are).
    pub fn new(profile: Profile, documents: u64, seed: u64) -> Self {
        let tokens = TokenTable::from_tokens((0..WORDS).map(|word| format!("w{word}")));
        let topics = documents.div_ceil(TOPIC).max(1);
        Plain { shape: profile.shape(), tokens, topics, seed }
    }

    /// A word of `topic`, the first words of its set more often.
    fn topic_word(&self, topic: u64, level: usize, rng: &mut Rng) -> u32 {
        let place = (TOPIC_WORDS * rng.unit() * rng.unit()) as u64;
        let ancestor = topic / FAN_OUT.pow(level as u32);
        let key = (ancestor << 2 | level as u64) << 16 | place;
        word(Rng::new(self.seed, Purpose::Topic, key).unit())
    }

    /// One term and how high it may stand on the falloff (0 heaviest, 1 lightest).
    fn term(&self, topic: u64, common: f32, rng: &mut Rng) -> (u32, f32) {
        let (kind, u) = (rng.unit(), rng.unit());
        // Common words have density 2x over the places, the others what makes all even.
        if kind < common {
            let x = rng.unit();
            return ((COMMON as f32 * x * x.sqrt()) as u32, u.sqrt());
        }
        let place = match common {
            0.0 => u,
            c => (1.0 - (1.0 - 4.0 * c * (1.0 - c) * u).max(0.0).sqrt()) / (2.0 * c),
        };
        let mut left = (kind - common) / (1.0 - common);
        for (level, share) in LEVELS.into_iter().enumerate() {
            if left < share {
                return (self.topic_word(topic, level, rng), place);
            }
            left -= share;
        }
        (word(rng.unit()), place)
    }
}

/// A word that is not common: rank r with frequency (r + 600)^−1.5, which follows real
/// SPLADE document frequencies from rank 300 to 10,000.
fn word(u: f32) -> u32 {
    let (first, last) =
        ((COMMON as f32 + 600.0).sqrt().recip(), (WORDS as f32 + 600.0).sqrt().recip());
    let x = first - u * (first - last);
    ((1.0 / (x * x)) as u32).saturating_sub(600).clamp(COMMON, WORDS - 1)
}

fn fall(curve: &Falloff, place: f32) -> f32 {
    let at = place.clamp(0.0, 1.0) * 10.0;
    let step = (at as usize).min(9);
    curve[step] + (curve[step + 1] - curve[step]) * (at - step as f32)
}

/// Impacts per unit of weight: 2.817 is the largest weight of a public SPLADE collection.
const IMPACTS: f32 = 255.0 / 2.817;

impl Generator for Plain {
    fn tokens(&self) -> &TokenTable {
        &self.tokens
    }

    fn weights(&self) -> WeightSummary {
        WeightSummary { largest: 255.0, small_integers: true }
    }

    fn document(&self, ordinal: u64, record: &mut VectorRecord) {
        record.clear();
        record.id.push_str(&ordinal.to_string());
        let mut rng = Rng::new(self.seed, Purpose::Document, ordinal);
        let topic = mix(self.seed ^ mix(ordinal)) % self.topics;
        let heaviest = (2.1 + 0.22 * rng.normal()) * IMPACTS;
        let wanted = self.shape.terms.draw(&mut rng);
        let mut seen = [0u64; WORDS.div_ceil(64) as usize];
        for _ in 0..2 * wanted {
            let (term, place) = self.term(topic, self.shape.common, &mut rng);
            let (cell, bit) = (&mut seen[term as usize / 64], 1u64 << (term % 64));
            if *cell & bit != 0 {
                continue;
            }
            *cell |= bit;
            let weight = heaviest * fall(&self.shape.falloff, place);
            record.terms.push(term);
            record.weights.push(weight.round().clamp(1.0, 255.0));
            if record.terms.len() == wanted {
                break;
            }
        }
    }

    fn query(&self, ordinal: u64) -> Vec<(u32, u32)> {
        let mut rng = Rng::new(self.seed, Purpose::Query, ordinal);
        let topic = rng.below(self.topics);
        let wanted = self.shape.query_terms.draw(&mut rng);
        let mut query: Vec<(u32, u32)> = Vec::with_capacity(wanted);
        for _ in 0..3 * wanted {
            let (term, place) = self.term(topic, self.shape.common / 2.0, &mut rng);
            if query.iter().all(|&(known, _)| known != term) {
                let weight = (250.0 * fall(&self.shape.query_falloff, place)).round();
                query.push((term, weight.max(1.0) as u32));
            }
            if query.len() == wanted {
                break;
            }
        }
        query
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_have_the_shape_they_promise() {
        for profile in Profile::ALL {
            let plain = Plain::new(profile, 2000, 3);
            let mean = profile.shape().terms.mean;
            let mut record = VectorRecord::default();
            let mut total = 0;
            for ordinal in 0..2000 {
                plain.document(ordinal, &mut record);
                total += record.terms.len();
                let mut terms = record.terms.clone();
                terms.sort_unstable();
                terms.dedup();
                assert_eq!(terms.len(), record.terms.len());
                assert!(terms.iter().all(|&t| t < WORDS));
                let kept = |w: &f32| (1.0..=255.0).contains(w) && w.fract() == 0.0;
                assert!(record.weights.iter().all(kept));
            }
            let found = total as f32 / 2000.0;
            assert!((found / mean - 1.0).abs() < 0.03, "{}: {found}", profile.name());
        }
    }

    #[test]
    fn weights_follow_the_published_falloff() {
        let plain = Plain::new(Profile::Splade, 2000, 3);
        let mut weights = Vec::new();
        let mut record = VectorRecord::default();
        for ordinal in 0..2000 {
            plain.document(ordinal, &mut record);
            weights.extend_from_slice(&record.weights);
        }
        weights.sort_unstable_by(f32::total_cmp);
        // Published: p50 .28, p75 .63, p95 1.4 of weights up to 2.6.
        for (quantile, published) in [(0.5, 0.28), (0.75, 0.63), (0.95, 1.4)] {
            let found = weights[(weights.len() as f64 * quantile) as usize] / IMPACTS;
            assert!((found / published - 1.0).abs() < 0.3, "{quantile}: {found}, {published}");
        }
    }

    #[test]
    fn documents_of_a_topic_share_more_terms_than_others() {
        let plain = Plain::new(Profile::Splade, 24 * 16 * 4, 3);
        let document = |topic: u64, salt: u64| {
            let mut rng = Rng::new(salt, Purpose::Document, topic);
            let terms = (0..150).map(|_| plain.term(topic, 0.3, &mut rng).0);
            terms.filter(|&t| t >= COMMON).collect::<std::collections::BTreeSet<u32>>()
        };
        let shared = |a, b| document(a, 1).intersection(&document(b, 2)).count();
        let same: usize = (0..50).map(|t| shared(t, t)).sum();
        let other: usize = (0..50).map(|t| shared(t, t + 1000)).sum();
        assert!(same > 2 * other, "{same} {other}");
    }

    #[test]
    fn queries_have_different_terms_and_positive_weights() {
        for profile in Profile::ALL {
            let plain = Plain::new(profile, 1000, 3);
            for ordinal in 0..100 {
                let query = plain.query(ordinal);
                let mut terms: Vec<u32> = query.iter().map(|q| q.0).collect();
                terms.sort_unstable();
                terms.dedup();
                assert!(terms.len() == query.len() && !query.is_empty());
                assert!(query.iter().all(|q| (1..=250).contains(&q.1)));
            }
        }
    }

    #[test]
    fn an_unknown_profile_is_refused_with_the_known_ones() {
        let error = "bert".parse::<Profile>().unwrap_err().to_string();
        assert!(error.contains("splade, esplade, unicoil") && error.contains("bert"), "{error}");
    }
}
