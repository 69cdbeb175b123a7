//! Our BERT layers against candle-transformers' own BERT, where that one is right: packed
//! rows and fused steps give what its padded, masked graph gives. And our kernels against our
//! graph in candle's operations.
#![cfg(feature = "encode")]

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertForMaskedLM, Config};
use splindex::encode::{Arithmetic, Encoder, EncoderOptions, TextTokenizer};

const MAX_LENGTH: usize = 32;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/goldens").join(name)
}

/// Without those without words: such a text has no terms here, whatever the model says of bare
/// [CLS] [SEP].
fn texts() -> Vec<String> {
    let file = std::fs::read_to_string(golden("texts.tsv")).unwrap();
    let text = |line: &str| line.split_once('\t').unwrap().1.to_owned();
    file.lines().map(text).filter(|text| !text.trim().is_empty()).collect()
}

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
    let dir = golden("bert");
    let texts = texts();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();

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

#[test]
fn the_kernels_equal_the_graph_in_candle() {
    let texts = texts();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for model in ["bert", "distilbert"] {
        let encode = |arithmetic| {
            let options =
                EncoderOptions { max_length: MAX_LENGTH, arithmetic, ..EncoderOptions::default() };
            Encoder::load(&golden(model), &options).unwrap().encode_batch(&texts).unwrap()
        };
        let fastest = encode(Arithmetic::Fastest);
        assert_eq!(fastest, encode(Arithmetic::Unscreened), "the screen changes no bit");
        for (ours, candle) in fastest.iter().zip(encode(Arithmetic::Candle)) {
            let terms = |vector: &[(u32, f32)]| vector.iter().map(|t| t.0).collect::<Vec<_>>();
            // No weight of these is so small that rounding decides whether it is there.
            assert_eq!(terms(ours), terms(&candle), "{model}");
            for (a, b) in ours.iter().zip(&candle) {
                assert!((a.1 - b.1).abs() < 1e-5, "{model}: {a:?}, candle {b:?}");
            }
        }
    }
}

#[test]
fn a_vector_does_not_depend_on_the_batch_it_is_in() {
    let texts = texts();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let encoder = Encoder::load(
        &golden("bert"),
        &EncoderOptions { max_length: MAX_LENGTH, ..EncoderOptions::default() },
    );
    let encoder = encoder.unwrap();
    let together = encoder.encode_batch(&texts).unwrap();
    for (text, vector) in texts.iter().zip(&together) {
        assert_eq!(&encoder.encode_batch(&[text]).unwrap()[0], vector);
    }
}
