//! Resampling real vectors.
//!
//! A new document has two parents: a real document (each serves equally often) and a mate
//! near it in bisection order, which shares its topic. Terms of both are kept, a term of
//! one parent comes with a probability, and a few terms are exchanged for terms of far
//! documents. Each of these steps keeps every term's expected document frequency, and
//! with it posting lengths and co-occurrence; weights come from the parent that gave the
//! term, jittered.

use std::cmp::Ordering;

use super::pool::Pool;
use super::rng::{Purpose, Rng, permuted};
use super::{Generator, Profile};
use crate::error::{Error, Result};
use crate::order::{BpOptions, bisect};
use crate::progress::Progress;
use crate::vectors::{TokenTable, VectorRecord, WeightSummary};

/// How far children differ from their parents.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LikeOptions {
    /// Share of the terms that only one parent has which comes from the mate.
    pub mate: f32,
    /// Share of terms exchanged for terms of far documents.
    pub far: f32,
    /// Most places between a document and its mate in bisection order.
    pub window: u32,
    /// Deviation of the logarithm of a weight's jitter.
    pub jitter: f32,
}

impl LikeOptions {
    /// For making `documents` from a pool of `real`. The more children a document gets,
    /// the further its mates are taken from, or the children would be copies. The numbers
    /// were chosen so that 7,500 and 30,000 real documents blown up to 120,000 look like
    /// 120,000 real ones, and 120,000 resampled once as well (`docs/synth.md`).
    pub fn for_growth(documents: u64, real: u64) -> Self {
        let growth = documents as f32 / real.max(1) as f32;
        let far_apart = growth > 1.5;
        LikeOptions {
            mate: if far_apart { 0.35 } else { 0.2 },
            far: if far_apart { 0.05 } else { 0.02 },
            window: (16.0 * growth).clamp(8.0, 2048.0) as u32,
            jitter: 0.15,
        }
    }
}

/// Places between the documents that a made query takes its terms from.
const QUERY_WINDOW: u32 = 16;

/// Makes documents like those of a pool; see the module.
pub struct Like {
    pool: Pool,
    /// Real queries over the pool's terms; empty: queries are made from documents.
    queries: Vec<Vec<(u32, u32)>>,
    summary: WeightSummary,
    options: LikeOptions,
    seed: u64,
}

impl Like {
    /// Orders `pool` by bisection and resamples it. `queries` (token, integer weight) are
    /// resampled as well; with none, queries are made from documents.
    ///
    /// Memory: 8 bytes a posting of the pool, twice that and an order's while it starts.
    ///
    /// # Errors
    /// A pool without postings.
    pub fn new(
        pool: Pool,
        queries: &[Vec<(String, u32)>],
        options: LikeOptions,
        seed: u64,
        progress: &dyn Progress,
    ) -> Result<Self> {
        if pool.num_postings() == 0 {
            return Err(Error::Usage("`like`: the collection has no terms to resample".into()));
        }
        let order = bisect(&pool.forward(), &BpOptions::default(), progress);
        let pool = pool.reordered(&order);
        let queries = queries
            .iter()
            .map(|query| {
                let known = query.iter().filter_map(|(t, w)| Some((pool.tokens().get(t)?, *w)));
                known.collect::<Vec<_>>()
            })
            .filter(|query| !query.is_empty())
            .collect();
        Ok(Like { summary: pool.weights(), pool, queries, options, seed })
    }

    /// The pool document that is parent number `ordinal`.
    fn base(&self, ordinal: u64, purpose: Purpose) -> u32 {
        let n = u64::from(self.pool.len());
        let key = Rng::new(self.seed, Purpose::Shuffle, ordinal / n + ((purpose as u64) << 56));
        permuted(ordinal % n, n, key.clone().next()) as u32
    }

    /// A document within about `window` places of `base`, nearer ones more often; `base`
    /// itself in a pool of one.
    fn near(&self, base: u32, window: u32, rng: &mut Rng) -> u32 {
        let n = i64::from(self.pool.len());
        let distance = 1 + (window as f32 * rng.unit().powi(2)) as i64;
        let signed = if rng.next() & 1 == 0 { distance } else { -distance };
        let place = i64::from(base) + signed;
        let inside = if (0..n).contains(&place) { place } else { i64::from(base) - signed };
        inside.clamp(0, n - 1) as u32
    }

    /// Merges the two sorted parents, then trades terms with far documents.
    fn cross(&self, base: u32, rng: &mut Rng, record: &mut VectorRecord) {
        let (a, a_weights) = self.pool.document(base);
        let (b, b_weights) = self.pool.document(self.near(base, self.options.window, rng));
        let chance = |p: f32| (p.clamp(0.0, 1.0) * 256.0) as u64;
        let LikeOptions { mate, far, .. } = self.options;
        let (from_mate, from_far) = (chance(mate), chance(far));
        let mut keep = |term: u32, weight: f32, rate: u64| {
            let bits = rng.next();
            if bits & 0xFF < rate && (bits >> 8) & 0xFF >= from_far {
                record.terms.push(term);
                record.weights.push(weight);
            }
        };
        let (mut i, mut j) = (0, 0);
        while i < a.len() || j < b.len() {
            let x = a.get(i).copied().unwrap_or(u32::MAX);
            let y = b.get(j).copied().unwrap_or(u32::MAX);
            match x.cmp(&y) {
                Ordering::Equal => keep(x, a_weights[i], 256),
                Ordering::Less => keep(x, a_weights[i], 256 - from_mate),
                Ordering::Greater => keep(y, b_weights[j], from_mate),
            }
            i += usize::from(x <= y);
            j += usize::from(y <= x);
        }
        self.trade(a.len(), rng, record);
    }

    /// Adds `far` · `len` terms of documents from anywhere; what is there already stays.
    fn trade(&self, len: usize, rng: &mut Rng, record: &mut VectorRecord) {
        let sorted = record.terms.len();
        let wanted = (len as f32 * self.options.far + rng.unit()) as usize;
        for _ in 0..wanted {
            let other = rng.below(u64::from(self.pool.len())) as u32;
            let (terms, weights) = self.pool.document(other);
            if terms.is_empty() {
                continue;
            }
            let pick = rng.below(terms.len() as u64) as usize;
            let known = record.terms[..sorted].binary_search(&terms[pick]).is_ok()
                || record.terms[sorted..].contains(&terms[pick]);
            if !known {
                record.terms.push(terms[pick]);
                record.weights.push(weights[pick]);
            }
        }
    }

    fn jitter(&self, record: &mut VectorRecord, rng: &mut Rng) {
        let WeightSummary { largest, small_integers } = self.summary;
        for weight in &mut record.weights {
            let jittered = (*weight * rng.lognormal(self.options.jitter)).min(largest);
            *weight = if small_integers { jittered.round().max(1.0) } else { jittered };
        }
    }

    /// A real query with one term in twenty exchanged for one of another query, weights
    /// jittered.
    fn real_query(&self, ordinal: u64) -> Vec<(u32, u32)> {
        let mut rng = Rng::new(self.seed, Purpose::Query, ordinal);
        let n = self.queries.len() as u64;
        let key = Rng::new(self.seed, Purpose::Shuffle, !(ordinal / n)).next();
        let real = &self.queries[permuted(ordinal % n, n, key) as usize];
        let mut query: Vec<(u32, u32)> = Vec::with_capacity(real.len());
        for &(mut term, mut weight) in real {
            if rng.below(20) == 0 {
                let other = &self.queries[rng.below(n) as usize];
                (term, weight) = other[rng.below(other.len() as u64) as usize];
            }
            if query.iter().all(|&(known, _)| known != term) {
                query.push((term, query_weight(weight as f32, &mut rng)));
            }
        }
        query
    }

    /// Terms of one neighbourhood, each from another document there, the heavier of two;
    /// terms of one document would match it far better than any other.
    fn made_query(&self, ordinal: u64) -> Vec<(u32, u32)> {
        let mut rng = Rng::new(self.seed, Purpose::Query, ordinal);
        let base = self.base(ordinal, Purpose::Query);
        let to_query = 250.0 / self.summary.largest;
        let wanted = Profile::Splade.query_len(&mut rng);
        let mut query: Vec<(u32, u32)> = Vec::with_capacity(wanted);
        for _ in 0..4 * wanted {
            let (terms, weights) = self.pool.document(self.near(base, QUERY_WINDOW, &mut rng));
            if terms.is_empty() {
                continue;
            }
            let [i, j] = [(); 2].map(|()| rng.below(terms.len() as u64) as usize);
            let pick = if weights[i] >= weights[j] { i } else { j };
            if query.iter().all(|&(known, _)| known != terms[pick]) {
                query.push((terms[pick], query_weight(weights[pick] * to_query, &mut rng)));
            }
            if query.len() == wanted {
                break;
            }
        }
        query
    }
}

fn query_weight(weight: f32, rng: &mut Rng) -> u32 {
    (weight * rng.lognormal(0.2)).round().clamp(1.0, 65_535.0) as u32
}

impl Generator for Like {
    fn tokens(&self) -> &TokenTable {
        self.pool.tokens()
    }

    fn weights(&self) -> WeightSummary {
        self.summary
    }

    fn document(&self, ordinal: u64, record: &mut VectorRecord) {
        record.clear();
        record.id.push_str(&ordinal.to_string());
        let mut rng = Rng::new(self.seed, Purpose::Document, ordinal);
        self.cross(self.base(ordinal, Purpose::Document), &mut rng, record);
        self.jitter(record, &mut rng);
    }

    fn query(&self, ordinal: u64) -> Vec<(u32, u32)> {
        if self.queries.is_empty() { self.made_query(ordinal) } else { self.real_query(ordinal) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use crate::synth::{Plain, SynthSource};

    const N: u64 = 3000;

    fn pool() -> Pool {
        let plain = Plain::new(Profile::Unicoil, N, 5);
        Pool::read(&mut SynthSource::new(&plain, N), N).unwrap()
    }

    fn like(queries: &[Vec<(String, u32)>]) -> Like {
        Like::new(pool(), queries, LikeOptions::for_growth(N, N), 9, &Silent).unwrap()
    }

    fn frequencies(pool: &Pool) -> Vec<f64> {
        let mut df = vec![0.0; pool.tokens().len()];
        for doc in 0..pool.len() {
            pool.document(doc).0.iter().for_each(|&t| df[t as usize] += 1.0);
        }
        df
    }

    #[test]
    fn children_keep_lengths_and_document_frequencies() {
        let like = like(&[]);
        let made = Pool::read(&mut SynthSource::new(&like, N), N).unwrap();
        let real = pool();
        let ratio = made.num_postings() as f64 / real.num_postings() as f64;
        assert!((ratio - 1.0).abs() < 0.03, "{ratio}");
        let (a, b) = (frequencies(&real), frequencies(&made));
        let common = a.iter().zip(&b).filter(|(a, _)| **a >= 300.0);
        let errors: Vec<f64> = common.map(|(a, b)| (b / a - 1.0).abs()).collect();
        assert!(errors.len() > 20 && errors.iter().all(|e| *e < 0.25), "{errors:?}");
    }

    #[test]
    fn children_have_each_term_once_and_weights_of_the_pools_kind() {
        let like = like(&[]);
        let mut record = VectorRecord::default();
        for ordinal in (0..N).step_by(7).chain([u64::from(u32::MAX)]) {
            like.document(ordinal, &mut record);
            assert_eq!(record.id, ordinal.to_string());
            let mut terms = record.terms.clone();
            terms.sort_unstable();
            terms.dedup();
            assert_eq!(terms.len(), record.terms.len());
            assert!(record.weights.iter().all(|w| (1.0..=255.0).contains(w) && w.fract() == 0.0));
        }
    }

    #[test]
    fn no_child_is_its_parent() {
        let like = like(&[]);
        let mut record = VectorRecord::default();
        let copies = (0..200).filter(|&ordinal| {
            like.document(ordinal, &mut record);
            let (terms, _) = like.pool.document(like.base(ordinal, Purpose::Document));
            record.terms == terms
        });
        assert_eq!(copies.count(), 0);
    }

    #[test]
    fn real_queries_are_resampled_and_others_made_from_documents() {
        let token = |t: u32| format!("w{t}");
        let real = vec![vec![(token(1), 70), (token(2), 90), ("unknown".into(), 5)]; 3];
        let like_queries = like(&real);
        for ordinal in 0..20 {
            let query = like_queries.query(ordinal);
            assert!(!query.is_empty() && query.len() <= 2);
            let known = |t: u32| ["w1", "w2"].contains(&like_queries.tokens().token(t));
            assert!(query.iter().all(|&(t, w)| known(t) && (30..200).contains(&w)));
        }
        let made = like(&[]).query(3);
        assert!(made.len() >= 4 && made.iter().all(|&(_, w)| w >= 1));
    }

    #[test]
    fn a_pool_without_terms_is_refused() {
        let options = LikeOptions::for_growth(10, 0);
        assert!(Like::new(Pool::default(), &[], options, 1, &Silent).is_err());
    }
}
