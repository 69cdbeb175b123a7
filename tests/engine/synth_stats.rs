//! The figures that `cargo bench --bench synth` prints, of collections that are known: a bench has
//! no tests of its own.

use splindex::error::Result;
use splindex::progress::Silent;
use splindex::quantize::Quantizer;
use splindex::synth::Pool;
use splindex::vectors::{TokenTable, VectorRecord, VectorSource};
use stats::{Inverted, measure};

#[path = "../../benches/synth/stats.rs"]
mod stats;

/// Document i of 128 has term 0 with weight i + 1, and term 1 + i / 64 with weight 1.
struct Ramp(u32, TokenTable);

impl VectorSource for Ramp {
    fn read(&mut self, record: &mut VectorRecord) -> Result<bool> {
        record.clear();
        record.terms = vec![1 + self.0 / 64, 0];
        record.weights = vec![1.0, (self.0 + 1) as f32];
        self.0 += 1;
        Ok(self.0 <= 128)
    }

    fn tokens(&self) -> &TokenTable {
        &self.1
    }
}

fn ramp() -> Pool {
    Pool::read(&mut Ramp(0, TokenTable::from_tokens(["a", "b", "c"])), 1000).unwrap()
}

#[test]
fn figures_of_a_known_collection() {
    let queries = vec![vec![("a".to_owned(), 2)], vec![("nothing".to_owned(), 1)]];
    let stats = measure(ramp(), &queries, &Silent).unwrap();
    assert_eq!((stats.documents, stats.postings, stats.terms), (128, 256, 3));
    assert_eq!(stats.lengths, [2; 5]);
    assert_eq!(stats.df_shares, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    // Lists: 128 gaps of 1; 64 of 1; one of 65 and 63 of 1.
    assert!((stats.gap_before - 65f64.log2() / 256.0).abs() < 1e-9);
    assert_eq!(stats.long.queries, 1);
    assert_eq!(stats.long.tenth, 119.0 / 128.0);
    assert_eq!(stats.long.hundredth, 29.0 / 128.0);
}

#[test]
fn ranges_survive_if_their_maxima_reach_the_threshold() {
    let pool = ramp();
    let quantizer = Quantizer::auto(pool.weights(), 8).unwrap();
    let inverted = Inverted::new(&pool, &quantizer);
    // Maxima of term 0 in ranges of 16: 16, 32, … 128.
    assert_eq!(inverted.survivors(&[(0, 2)], 16, 2 * 96), 3.0 / 8.0);
    assert_eq!(inverted.survivors(&[(0, 2)], 16, 2 * 96 + 1), 2.0 / 8.0);
    assert_eq!(inverted.survivors(&[(0, 1), (2, 100)], 64, 200), 1.0 / 2.0);
}
