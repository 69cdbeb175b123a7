//! An index inside a server of one's own: one handle, a searcher a thread, an index that is
//! replaced while questions come.
//!
//! ```text
//! cargo run --release --no-default-features --example server
//! ```
//!
//! The network is left out: questions come through a channel. `splindex-query serve` is the
//! whole thing.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, RwLock};
use std::thread;

use splindex::{Algorithm, Builder, Index};

fn index(night: u32) -> splindex::Result<Index> {
    let document = |d: u32| {
        let weight = (d * 7 + night) % 13 + 1;
        (format!("d{d}"), [(format!("t{}", d % 5), weight as f32), ("all".to_owned(), 1.0)])
    };
    Builder::new().vectors((0..1000).map(document))?.index()
}

fn main() -> splindex::Result<()> {
    let current = Arc::new(RwLock::new(index(0)?));
    let (questions, waiting) = channel::<String>();
    let waiting = Arc::new(Mutex::new(waiting));
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let (current, waiting) = (Arc::clone(&current), Arc::clone(&waiting));
            thread::spawn(move || -> splindex::Result<usize> {
                let mut searcher = current.read().expect("nobody panicked").searcher();
                let mut answered = 0;
                while let Ok(token) = { waiting.lock().expect("nobody panicked").recv() } {
                    // A handle is cheap: ask for it anew, and keep the searcher while it is the same.
                    let index = current.read().expect("nobody panicked").clone();
                    if index.content_id() != searcher.index().content_id() {
                        searcher = index.searcher();
                    }
                    let query = index.query([(token, 1.0), ("all".into(), 0.5)])?;
                    let hits = searcher.search(&query, 10, Algorithm::Auto)?;
                    assert_eq!(hits.len(), 10);
                    answered += 1;
                }
                Ok(answered)
            })
        })
        .collect();

    for night in 1..=3 {
        for question in 0..100 {
            questions.send(format!("t{}", question % 5)).expect("workers live");
        }
        // The old index goes when the last searcher lets go of it.
        *current.write().expect("nobody panicked") = index(night)?;
    }
    drop(questions);
    let answered: usize = workers
        .into_iter()
        .map(|worker| worker.join().expect("nobody panicked"))
        .sum::<splindex::Result<usize>>()?;
    println!("{answered} questions answered, over 4 indexes");
    assert_eq!(answered, 300);
    Ok(())
}
