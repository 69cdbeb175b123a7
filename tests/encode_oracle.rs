//! Our BERT layers against candle-transformers' own BERT, where that one is right: packed
//! rows and fused steps give what its padded, masked graph gives.
#![cfg(feature = "encode")]

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertForMaskedLM, Config};
use splindex::encode::{Encoder, EncoderOptions, TextTokenizer};

const MAX_LENGTH: usize = 32;

/// Weight of every term: max over the text's tokens of log(1 + relu(logit)).
fn oracle(dir: &Path, ids: &[Vec<u32>]) -> Vec<Vec<f32>> {
    let device = Device::Cpu;
    let config: Config =
        serde_json::from_slice(&std::fs::read(dir.join("config.json")).unwrap()).unwrap();
    let bytes = std::fs::read(dir.join("model.safetensors")).unwrap();
    let weights = VarBuilder::from_buffered_safetensors(bytes, DType::F32, &device).unwrap();
    let model = BertForMaskedLM::load(weights, &config).unwrap();

    let longest = ids.iter().map(Vec::len).max().unwrap();
    let pad = |ids: &Vec<u32>| {
        let mut ids = ids.clone();
        ids.resize(longest, 0);
        ids
    };
    let shape = (ids.len(), longest);
    let padded: Vec<u32> = ids.iter().flat_map(pad).collect();
    let mask: Vec<u32> = ids
        .iter()
        .flat_map(|ids| (0..longest).map(|position| u32::from(position < ids.len())))
        .collect();
    let input = Tensor::from_vec(padded, shape, &device).unwrap();
    let mask = Tensor::from_vec(mask, shape, &device).unwrap();
    let logits = model.forward(&input, &input.zeros_like().unwrap(), Some(&mask)).unwrap();
    let logits: Vec<Vec<Vec<f32>>> = logits.to_vec3().unwrap();
    let weight = |rows: &[Vec<f32>], term: usize| {
        rows.iter().map(|row| row[term].max(0.0).ln_1p()).fold(0.0, f32::max)
    };
    logits
        .iter()
        .zip(ids)
        .map(|(rows, ids)| {
            (0..rows[0].len()).map(|term| weight(&rows[..ids.len()], term)).collect()
        })
        .collect()
}

#[test]
fn packed_and_fused_layers_equal_the_padded_and_masked_graph() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/goldens");
    let dir = goldens.join("bert");
    let file = std::fs::read_to_string(goldens.join("texts.tsv")).unwrap();
    // A text without words has no terms here, whatever the model says of bare [CLS] [SEP].
    let texts: Vec<&str> = file
        .lines()
        .map(|line| line.split_once('\t').unwrap().1)
        .filter(|text| !text.trim().is_empty())
        .collect();

    let options = EncoderOptions { max_length: MAX_LENGTH, ..EncoderOptions::default() };
    let ours = Encoder::load(&dir, &options).unwrap().encode_batch(&texts).unwrap();
    let tokenizer = TextTokenizer::load(&dir, MAX_LENGTH).unwrap();
    let ids: Vec<Vec<u32>> = texts.iter().map(|text| tokenizer.encode(text).unwrap().ids).collect();
    for ((ours, theirs), text) in ours.iter().zip(oracle(&dir, &ids)).zip(&texts) {
        let mut weights = vec![0.0; theirs.len()];
        ours.iter().for_each(|&(term, weight)| weights[term as usize] = weight);
        for (term, (ours, theirs)) in weights.iter().zip(&theirs).enumerate() {
            assert!((ours - theirs).abs() < 1e-4, "{text}: term {term}: {ours}, oracle {theirs}");
        }
    }
}
