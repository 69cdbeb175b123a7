//! Small random checkpoints against the vectors that transformers or SentenceTransformers
//! computes for them; `tools/fidelity/checkpoints.py goldens` and `families.py goldens` made
//! them. BERT: untied decoder, gamma/beta norms, vocab.txt. DistilBERT: tied decoder, a
//! tokenizer.json whose truncation to 8 tokens and padding to 40 must not be obeyed. RoBERTa:
//! `pytorch_model.bin`, byte-level BPE, tanh gelu in the layers and erf in the head.
//! ModernBERT: sharded safetensors, windows of 3 tokens to either side. Router: a
//! SparseEncoder with double log, its own maximum length, prompts, static query weights.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use splindex::encode::{Encoder, EncoderOptions, QueryEncoder, TextEncoder};

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/goldens")
}

fn texts() -> Vec<(String, String)> {
    let file = std::fs::read_to_string(goldens().join("texts.tsv")).unwrap();
    let pair = |line: &str| line.split_once('\t').map(|(id, text)| (id.into(), text.into()));
    file.lines().map(|line| pair(line).unwrap()).collect()
}

fn expected(file: &str) -> Vec<(String, BTreeMap<String, f32>)> {
    let file = std::fs::read_to_string(goldens().join(file)).unwrap();
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
    compare_with(&encoder, &format!("{model}/expected.jsonl"), 300);
}

/// `least`: terms there must be to compare.
fn compare_with(encoder: &dyn TextEncoder, file: &str, least: usize) {
    let texts = texts();
    let strings: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
    let encoded = encoder.encode_texts(&strings, &|_| true).unwrap();
    let expected = expected(file);
    assert_eq!(encoded.len(), expected.len());
    for ((encoded, (id, _)), (golden_id, want)) in encoded.iter().zip(&texts).zip(&expected) {
        assert_eq!(id, golden_id);
        assert!(encoded.terms.is_sorted_by_key(|&(term, _)| term));
        let token = |term| encoder.tokens().token(term).to_owned();
        let got: BTreeMap<String, f32> =
            encoded.terms.iter().map(|&(t, w)| (token(t), w)).collect();
        for term in got.keys().chain(want.keys()) {
            let (g, w) = (got.get(term).unwrap_or(&0.0), want.get(term).unwrap_or(&0.0));
            assert!((g - w).abs() < 1e-4, "{file} {id} {term}: {g}, reference {w}");
        }
    }
    let terms: usize = encoded.iter().map(|e| e.terms.len()).sum();
    assert!(terms > least, "the goldens have terms to compare, found {terms}");
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
fn roberta_equals_transformers() {
    compare("roberta", 512);
}

#[test]
fn modernbert_equals_transformers() {
    compare("modernbert", 512);
}

#[test]
fn batches_of_one_text_give_the_same() {
    for model in ["bert", "distilbert", "roberta", "modernbert"] {
        compare(model, 1);
    }
}

#[test]
fn both_routes_of_a_sparse_encoder_equal_sentence_transformers() {
    let dir = goldens().join("router");
    let documents = Encoder::load(&dir, &EncoderOptions::default()).unwrap();
    assert_eq!(documents.max_length(), 20);
    assert_eq!(documents.pooling(), "max log(1+log(1+relu))");
    assert_eq!(documents.prompt(), "salt: ");
    compare_with(&documents, "router/expected-document.jsonl", 300);
    let queries = QueryEncoder::load(&dir, &EncoderOptions::default()).unwrap();
    assert!(queries.is_inference_free());
    compare_with(&queries, "router/expected-query.jsonl", 100);
}
