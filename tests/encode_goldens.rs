//! Two small random checkpoints against the vectors that transformers computes for them;
//! `tools/fidelity/checkpoints.py goldens` made both. BERT: untied decoder, gamma/beta
//! norms, vocab.txt. DistilBERT: tied decoder, a tokenizer.json whose truncation to 8
//! tokens and padding to 40 must not be obeyed.
#![cfg(feature = "encode")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use splindex::encode::{Encoder, EncoderOptions};

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/goldens")
}

fn texts() -> Vec<(String, String)> {
    let file = std::fs::read_to_string(goldens().join("texts.tsv")).unwrap();
    let pair = |line: &str| line.split_once('\t').map(|(id, text)| (id.into(), text.into()));
    file.lines().map(|line| pair(line).unwrap()).collect()
}

fn expected(model: &str) -> Vec<(String, BTreeMap<String, f32>)> {
    let file = std::fs::read_to_string(goldens().join(model).join("expected.jsonl")).unwrap();
    let record = |line: &str| {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        let vector = serde_json::from_value(json["vector"].clone()).unwrap();
        (json["id"].as_str().unwrap().to_owned(), vector)
    };
    file.lines().map(record).collect()
}

fn compare(model: &str, batch_tokens: usize) {
    let options = EncoderOptions { max_length: 32, batch_tokens, ..EncoderOptions::default() };
    let encoder = Encoder::load(&goldens().join(model), &options).unwrap();
    let texts = texts();
    let strings: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
    let vectors = encoder.encode_batch(&strings).unwrap();
    let expected = expected(model);
    assert_eq!(vectors.len(), expected.len());
    for ((vector, (id, _)), (golden_id, want)) in vectors.iter().zip(&texts).zip(&expected) {
        assert_eq!(id, golden_id);
        assert!(vector.is_sorted_by_key(|&(term, _)| term));
        let token = |term| encoder.tokenizer().tokens().token(term).to_owned();
        let got: BTreeMap<String, f32> = vector.iter().map(|&(t, w)| (token(t), w)).collect();
        for term in got.keys().chain(want.keys()) {
            let (g, w) = (got.get(term).unwrap_or(&0.0), want.get(term).unwrap_or(&0.0));
            assert!((g - w).abs() < 1e-4, "{model} {id} {term}: {g}, transformers {w}");
        }
    }
    let terms: usize = vectors.iter().map(Vec::len).sum();
    assert!(terms > 300, "the goldens have terms to compare, found {terms}");
}

#[test]
fn bert_equals_transformers() {
    compare("bert", 512);
}

#[test]
fn distilbert_equals_transformers() {
    compare("distilbert", 512);
}

#[test]
fn batches_of_one_text_give_the_same() {
    compare("bert", 1);
    compare("distilbert", 1);
}
