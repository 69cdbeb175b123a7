//! Vocabularies padded to a round number of rows, as training tools leave them: the rows after the
//! tokenizer's last token have no token and give no term.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor, pickle, safetensors};
use splindex::encode::{Encoder, EncoderOptions, QueryEncoder, TextEncoder};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/goldens").join(name)
}

fn tensors(model: &Path) -> HashMap<String, Tensor> {
    let mut tensors = HashMap::new();
    for path in std::fs::read_dir(model).unwrap().map(|entry| entry.unwrap().path()) {
        match path.extension().and_then(|e| e.to_str()) {
            Some("safetensors") => tensors.extend(safetensors::load(&path, &Device::Cpu).unwrap()),
            Some("bin") => tensors.extend(pickle::read_all(&path).unwrap()),
            _ => (),
        }
    }
    tensors
}

/// A copy of a golden model whose vocabulary, of `terms` tokens, has `more` rows of fives in the
/// tensors that `which` takes.
fn padded(model: &str, terms: usize, more: usize, which: fn(&str) -> bool) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut tensors = tensors(&golden(model));
    for (name, tensor) in &mut tensors {
        if tensor.dims()[0] == terms && which(name) {
            let mut shape = tensor.dims().to_vec();
            shape[0] = more;
            let rows = Tensor::full(5f32, shape, &Device::Cpu).unwrap();
            *tensor = Tensor::cat(&[&*tensor, &rows], 0).unwrap();
        }
    }
    safetensors::save(&tensors, dir.path().join("model.safetensors")).unwrap();
    for name in ["tokenizer.json", "vocab.txt"] {
        if golden(model).join(name).exists() {
            std::fs::copy(golden(model).join(name), dir.path().join(name)).unwrap();
        }
    }
    let config = std::fs::read(golden(model).join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["vocab_size"], terms);
    config["vocab_size"] = (terms + more).into();
    // What Python writes where nothing is set.
    for name in ["architectures", "id2label", "label2id", "torch_dtype"] {
        config[name] = serde_json::Value::Null;
    }
    std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    dir
}

#[test]
fn rows_without_a_token_change_no_vector_of_any_family() {
    let texts = ["the river keeps the moon", "bees and bread", "salt 12 lime"];
    for (model, terms) in
        [("bert", 191), ("distilbert", 191), ("roberta", 340), ("modernbert", 340)]
    {
        for more in [1, 64] {
            let dir = padded(model, terms, more, |_| true);
            let load = |path: &Path| Encoder::load(path, &EncoderOptions::default()).unwrap();
            let (plain, padded) = (load(&golden(model)), load(dir.path()));
            assert_eq!((plain.padding(), padded.padding()), (0, more));
            let want = plain.encode_batch(&texts).unwrap();
            assert!(want.iter().all(|vector| !vector.is_empty()));
            assert_eq!(padded.encode_batch(&texts).unwrap(), want, "{model} and {more} rows");
            assert_eq!(padded.info().vocabulary, terms);
        }
    }
}

#[test]
fn a_model_that_is_padded_in_part_is_refused() {
    for (which, found) in [
        ((|name| name.ends_with("decoder.weight")) as fn(&str) -> bool, "found [191, 32]"),
        (|name| name.ends_with("decoder.bias"), "found [191, 32]"),
        (|name| name.ends_with("weight"), "found [191]"),
    ] {
        let dir = padded("bert", 191, 1, which);
        let e = Encoder::load(dir.path(), &EncoderOptions::default()).err().unwrap().to_string();
        assert!(e.contains("to have the shape [192") && e.contains(found), "{e}");
    }
    // More tokens than rows: the first of them is named.
    let dir = padded("bert", 191, 1, |_| true);
    let list = std::fs::read_to_string(dir.path().join("vocab.txt")).unwrap();
    std::fs::write(dir.path().join("vocab.txt"), format!("{list}zyx\nzyxw\n")).unwrap();
    let e = Encoder::load(dir.path(), &EncoderOptions::default()).err().unwrap().to_string();
    assert!(e.contains("found 193: the model has no row for \"zyxw\""), "{e}");
}

#[test]
fn a_padded_table_of_query_weights_is_read() {
    let part = golden("router/query_0_SparseStaticEmbedding");
    let weight = &tensors(&part)["weight"];
    let terms = weight.dims1().unwrap();
    let rows = Tensor::full(5f32, 3, &Device::Cpu).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let modules = r#"[{"idx":0,"name":"0","path":"",
        "type":"sentence_transformers.sparse_encoder.models.SparseStaticEmbedding"}]"#;
    std::fs::write(dir.path().join("modules.json"), modules).unwrap();
    std::fs::copy(part.join("tokenizer.json"), dir.path().join("tokenizer.json")).unwrap();
    let queries = |tensor: Tensor| {
        let tensors = HashMap::from([("weight".to_owned(), tensor)]);
        safetensors::save(&tensors, dir.path().join("model.safetensors")).unwrap();
        QueryEncoder::load(dir.path(), &EncoderOptions::default())
    };
    let plain = queries(weight.clone()).unwrap().encode("the river").unwrap();
    let padded = queries(Tensor::cat(&[weight, &rows], 0).unwrap()).unwrap();
    assert!(!plain.is_empty());
    assert_eq!(padded.encode("the river").unwrap(), plain);
    let short = queries(weight.narrow(0, 0, terms - 1).unwrap()).err().unwrap().to_string();
    assert!(
        short.contains(&format!("each of the tokenizer's {terms} tokens, found {}", terms - 1))
    );
}
