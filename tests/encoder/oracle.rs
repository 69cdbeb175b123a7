//! Our layers against candle-transformers' own BERT, XLM-RoBERTa and ModernBERT, where those
//! are right: packed rows and fused steps give what their padded, masked graphs give. Its
//! RoBERTa head forgets the output bias, which is added here; its ModernBERT knows no biases in
//! norms, so the checkpoint's are taken away for both. That our kernels equal our graph in
//! candle's operations is a unit test of `src/encode/encoder.rs`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor, pickle, safetensors};
use candle_nn::VarBuilder;
use candle_transformers::models::{bert, modernbert, xlm_roberta};
use serde_json::json;
use splindex::encode::{Encoder, EncoderOptions, TextTokenizer};

const MAX_LENGTH: usize = 32;

/// A batch as the padded graphs take it.
struct Padded {
    ids: Tensor,
    mask: Tensor,
    zeros: Tensor,
    lengths: Vec<usize>,
}

impl Padded {
    fn new(ids: &[Vec<u32>], pad: u32) -> Self {
        let longest = ids.iter().map(Vec::len).max().unwrap();
        let place = |i: usize, ids: &[u32]| ids.get(i).copied().unwrap_or(pad);
        let padded = ids.iter().flat_map(|ids| (0..longest).map(move |i| place(i, ids)));
        let mask = ids.iter().flat_map(|ids| (0..longest).map(|i| u32::from(i < ids.len())));
        let tensor = |values: Vec<u32>| {
            Tensor::from_vec(values, (ids.len(), longest), &Device::Cpu).unwrap()
        };
        let ids_tensor = tensor(padded.collect());
        Padded {
            zeros: ids_tensor.zeros_like().unwrap(),
            ids: ids_tensor,
            mask: tensor(mask.collect()),
            lengths: ids.iter().map(Vec::len).collect(),
        }
    }

    /// Weight of every term: max over the text's tokens of log(1 + relu(logit)).
    fn weights(&self, logits: &Tensor) -> Vec<Vec<f32>> {
        let logits: Vec<Vec<Vec<f32>>> = logits.to_vec3().unwrap();
        let weight = |rows: &[Vec<f32>], term: usize| {
            rows.iter().map(|row| row[term].max(0.0).ln_1p()).fold(0.0, f32::max)
        };
        let text = |(rows, &length): (&Vec<Vec<f32>>, &usize)| {
            (0..rows[0].len()).map(|term| weight(&rows[..length], term)).collect()
        };
        logits.iter().zip(&self.lengths).map(text).collect()
    }
}

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

fn config(dir: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(dir.join("config.json")).unwrap()).unwrap()
}

fn graph(tensors: HashMap<String, Tensor>) -> VarBuilder<'static> {
    VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu)
}

/// The texts' vectors by `dir`'s model against `oracle`'s logits.
fn compare(dir: &Path, pad: u32, oracle: impl Fn(&Padded) -> candle_core::Result<Tensor>) {
    let texts = texts();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let options = EncoderOptions { max_length: MAX_LENGTH, ..EncoderOptions::default() };
    let ours = Encoder::load(dir, &options).unwrap().encode_batch(&texts).unwrap();
    let tokenizer = TextTokenizer::load(dir, MAX_LENGTH).unwrap();
    let ids: Vec<Vec<u32>> = texts.iter().map(|text| tokenizer.encode(text).unwrap().ids).collect();
    let padded = Padded::new(&ids, pad);
    let theirs = padded.weights(&oracle(&padded).unwrap());
    for ((ours, theirs), text) in ours.iter().zip(theirs).zip(&texts) {
        let mut weights = vec![0.0; theirs.len()];
        ours.iter().for_each(|&(term, weight)| weights[term as usize] = weight);
        for (term, (ours, theirs)) in weights.iter().zip(&theirs).enumerate() {
            assert!((ours - theirs).abs() < 1e-4, "{text}: term {term}: {ours}, oracle {theirs}");
        }
    }
}

#[test]
fn bert_in_packed_rows_equals_the_padded_and_masked_graph() {
    let dir = golden("bert");
    let tensors = safetensors::load(dir.join("model.safetensors"), &Device::Cpu).unwrap();
    let config: bert::Config = serde_json::from_value(config(&dir)).unwrap();
    let model = bert::BertForMaskedLM::load(graph(tensors), &config).unwrap();
    compare(&dir, 0, |batch| model.forward(&batch.ids, &batch.zeros, Some(&batch.mask)));
}

#[test]
fn roberta_in_packed_rows_equals_the_padded_and_masked_graph() {
    let dir = golden("roberta");
    let mut config = config(&dir);
    config["position_embedding_type"] = json!("absolute");
    let config: xlm_roberta::Config = serde_json::from_value(config).unwrap();
    let tensors: HashMap<String, Tensor> =
        pickle::read_all(dir.join("pytorch_model.bin")).unwrap().into_iter().collect();
    let bias = tensors["lm_head.bias"].clone();
    let model = xlm_roberta::XLMRobertaForMaskedLM::new(&config, graph(tensors)).unwrap();
    compare(&dir, config.pad_token_id, |batch| {
        let (ids, mask) = (&batch.ids, &batch.mask);
        model.forward(ids, mask, &batch.zeros, None, None, None)?.broadcast_add(&bias)
    });
}

#[test]
fn modernbert_in_packed_rows_equals_the_padded_and_masked_graph() {
    let mut config = config(&golden("modernbert"));
    let mut tensors = HashMap::new();
    for i in 1..=6 {
        let shard = golden(&format!("modernbert/model-{i:05}-of-00006.safetensors"));
        tensors.extend(safetensors::load(shard, &Device::Cpu).unwrap());
    }
    tensors.retain(|name, _| !name.ends_with("norm.bias"));
    let dir = tempfile::tempdir().unwrap();
    safetensors::save(&tensors, dir.path().join("model.safetensors")).unwrap();
    for name in ["config.json", "tokenizer.json"] {
        std::fs::copy(golden("modernbert").join(name), dir.path().join(name)).unwrap();
    }
    config["layer_norm_eps"] = config["norm_eps"].clone();
    config["global_attn_every_n_layers"] = json!(3);
    config["global_rope_theta"] = json!(160_000.0);
    config["local_rope_theta"] = json!(10_000.0);
    config.as_object_mut().unwrap().remove("classifier_pooling");
    let config: modernbert::Config = serde_json::from_value(config).unwrap();
    let model = modernbert::ModernBertForMaskedLM::load(graph(tensors), &config).unwrap();
    compare(dir.path(), config.pad_token_id, |batch| model.forward(&batch.ids, &batch.mask));
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
