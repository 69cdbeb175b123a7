//! Vectors in memory to an index in memory, and its answers.
//!
//! ```text
//! cargo run --release --no-default-features --example in_memory
//! ```

use splindex::{Algorithm, Builder, Order};

fn main() -> splindex::Result<()> {
    // What a SPLADE encoder gives: a document's tokens with their weights.
    let documents = [
        ("whales", vec![("whale", 2.1), ("sea", 0.9), ("mammal", 0.6)]),
        ("ships", vec![("ship", 1.9), ("sea", 1.1), ("sail", 0.4)]),
        ("whalers", vec![("whale", 1.2), ("ship", 1.3), ("harpoon", 0.8)]),
    ];
    let index = Builder::new().order(Order::Bisected).vectors(documents)?.index()?;
    println!("{} documents, {} postings", index.documents(), index.meta().postings);

    let query = index.query([("whale", 1.0), ("ship", 0.6)])?;
    let mut searcher = index.searcher();
    for hit in searcher.search(&query, 10, Algorithm::Auto)? {
        println!("{:>6}  {}", hit.score, index.id(hit.ordinal));
    }

    // Exact scores of documents of another list, as a reranker asks for.
    let others = ["ships", "whales"].map(|id| index.find(id).expect("it was built in"));
    println!("ships, whales: {:?}", searcher.score(&query, &others)?);

    // What a document holds, for feedback models.
    for part in index.vector(others[1])? {
        println!(
            "whales holds {:?} with impact {}",
            index.lexicon().token(part.term).1,
            part.impact
        );
    }
    Ok(())
}
