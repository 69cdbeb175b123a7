//! Texts through a SPLADE encoder into an index, and a question through the same model.
//!
//! ```text
//! cargo run --release --example encode            # the shipped model; or a folder of your own
//! ```

use std::path::PathBuf;

use splindex::encode::{Encoder, EncoderOptions, QueryEncoder, TextEncoder};
use splindex::{Algorithm, Builder, QueryBuilder};

fn main() -> splindex::Result<()> {
    let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/tiny");
    let model = std::env::args().nth(1).map_or(shipped, PathBuf::from);
    let options = EncoderOptions::default();
    let encoder = Encoder::load(&model, &options)?;

    let texts = [
        ("d1", "The blue whale is the largest animal that has ever lived."),
        ("d2", "A ship under full sail left the harbour."),
        ("d3", "Espresso is made by forcing hot water through ground coffee."),
    ];
    let vectors = encoder.encode_texts(&texts.map(|(_, text)| text), &|_| true)?;
    let tokens = encoder.tokens();
    let documents = texts.iter().zip(&vectors).map(|((id, _), vector)| {
        (id, vector.terms.iter().map(|&(term, weight)| (tokens.token(term), weight)))
    });
    let index = Builder::new().vectors(documents)?.index()?;

    let queries = QueryBuilder::with_encoder(&index, QueryEncoder::load(&model, &options)?)?;
    let question = queries.text("how is coffee brewed")?;
    let mut searcher = index.searcher();
    for hit in searcher.search(&question.query, 10, Algorithm::Auto)? {
        println!("{:.3}  {}", question.weighed(hit.score), index.id(hit.ordinal));
    }
    Ok(())
}
