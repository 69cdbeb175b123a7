//! BM25 of texts, through a file, and a batch of questions.
//!
//! ```text
//! cargo run --release --no-default-features --example bm25
//! ```

use splindex::{BatchOptions, Builder, Index, QueryBuilder};

fn main() -> splindex::Result<()> {
    let texts = [
        ("d1", "The blue whale is the largest animal that has ever lived."),
        ("d2", "A ship under full sail left the harbour."),
        ("d3", "Whales sing; ships do not."),
    ];
    let path = std::env::temp_dir().join(format!("bm25-example-{}.spx", std::process::id()));
    let report = Builder::new().texts(texts)?.write(&path)?;
    println!("{} bytes", report.written.file_len);

    // The file appeared under its name when it was complete; it is mapped, not read.
    let index = Index::open(&path)?;
    let builder = QueryBuilder::new(&index)?;
    let questions = ["largest whale", "sailing ships", "zebra"];
    let queries = questions.iter().map(|text| builder.text(text)).collect::<Result<Vec<_>, _>>()?;
    let batch = index.search_batch(&queries, &BatchOptions::new(10))?;
    for ((question, query), hits) in questions.iter().zip(&queries).zip(batch.iter()) {
        println!("{question}: {} unknown words", query.query.unknown);
        for hit in hits {
            println!("  {:.4}  {}", query.weighed(hit.score), index.id(hit.ordinal));
        }
    }
    std::fs::remove_file(&path).map_err(|e| splindex::Error::io("remove", &path, e))
}
