//! Model directories and hub ids: what they set, and a message for each of their faults.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Run, edit, golden, message};

/// A copy of the golden model that a test may spoil.
fn model_copy(run: &Run) -> PathBuf {
    let copy = run.path("model");
    std::fs::create_dir(&copy).unwrap();
    for name in ["config.json", "vocab.txt", "model.safetensors"] {
        std::fs::copy(golden("bert").join(name), copy.join(name)).unwrap();
    }
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|e| e.unwrap()) {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

#[test]
fn every_fault_of_a_model_directory_has_its_message() {
    let run = Run::new("a\triver\n");
    let model = model_copy(&run);
    let refused = || run.refused(&model, "store", &[]);
    let file = |name: &str| model.join(name);
    let restore = |name: &str| {
        std::fs::copy(golden("bert").join(name), file(name)).unwrap();
    };

    let e = run.refused(&run.path("nowhere"), "store", &[]);
    assert_eq!(
        e,
        "error: nowhere: expected a model directory, found none; give a directory with \
         config.json, tokenizer.json and model.safetensors"
    );

    std::fs::remove_file(file("model.safetensors")).unwrap();
    assert_eq!(
        refused(),
        "error: model: expected model.safetensors or pytorch_model.bin (or shards with their \
         index) in the model directory, found none; download the model's weights into it"
    );
    std::fs::write(file("pytorch_model.bin"), "version https://git-lfs").unwrap();
    let e = refused();
    assert_eq!(
        e,
        "error: model/pytorch_model.bin: expected a file of a model, found a Git LFS pointer, not \
         the file; git lfs pull gets the file"
    );
    std::fs::write(file("pytorch_model.bin"), "PK").unwrap();
    let e = refused();
    assert!(e.starts_with("error: model/pytorch_model.bin: expected a PyTorch archive, "), "{e}");
    assert!(e.ends_with("it may be truncated"), "{e}");
    std::fs::remove_file(file("pytorch_model.bin")).unwrap();
    std::fs::copy(golden("roberta/pytorch_model.bin"), file("pytorch_model.bin")).unwrap();
    assert_eq!(
        refused(),
        "error: model/pytorch_model.bin: expected a tensor \
         \"bert.embeddings.word_embeddings.weight\" of shape [191, 32], found none; the \
         checkpoint must hold the model and its masked-language-model head"
    );
    restore("model.safetensors");

    edit(&file("config.json"), "BertForMaskedLM", "T5ForConditionalGeneration");
    assert_eq!(
        refused(),
        "error: model/config.json: architecture \"T5ForConditionalGeneration\" is not \
         supported; supported: BertForMaskedLM, DistilBertForMaskedLM, RobertaForMaskedLM, \
         ModernBertForMaskedLM; use a masked-language-model SPLADE checkpoint of one of these"
    );
    restore("config.json");

    edit(&file("vocab.txt"), "river\n", "river\none more\n");
    let e = refused();
    assert!(e.starts_with("error: model/vocab.txt: expected at most the 191 tokens "), "{e}");
    assert!(e.ends_with("use the tokenizer that the model was trained with"), "{e}");
    std::fs::remove_file(file("vocab.txt")).unwrap();
    assert_eq!(
        refused(),
        "error: model: expected tokenizer.json or vocab.txt in the model directory, found \
         none; copy it from where the model comes from"
    );
    std::fs::write(file("tokenizer.json"), "{}").unwrap();
    assert!(refused().starts_with("error: model/tokenizer.json: expected a tokenizer, found: "));
    std::fs::remove_file(file("tokenizer.json")).unwrap();
    restore("vocab.txt");

    edit(&file("config.json"), "\"intermediate_size\": 64", "\"intermediate_size\": 65");
    assert_eq!(
        refused(),
        "error: model/model.safetensors: expected tensor \
         \"bert.encoder.layer.0.intermediate.dense.weight\" to have the shape [65, 32] of \
         config.json, found [64, 32]"
    );
    restore("config.json");
    edit(&file("config.json"), "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
    let e = refused();
    assert!(e.contains("expected a tensor \"bert.encoder.layer.2."), "{e}");
    restore("config.json");
    edit(&file("config.json"), "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
    let e = refused();
    let found =
        "expected only the tensors of the model in config.json, found \"bert.encoder.layer.1.";
    assert!(e.contains(found) && e.ends_with("see its number of layers"), "{e}");
    restore("config.json");

    let weights = std::fs::read(file("model.safetensors")).unwrap();
    std::fs::write(file("model.safetensors"), &weights[..weights.len() / 2]).unwrap();
    let e = refused();
    assert!(e.contains("model.safetensors: expected a safetensors file, found: "), "{e}");
    let mut spoiled = weights.clone();
    let end = spoiled.len();
    spoiled[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(file("model.safetensors"), spoiled).unwrap();
    let e = refused();
    assert!(e.contains("expected finite numbers in tensor ") && e.contains("found NaN"), "{e}");
}

/// The golden model with every weight 0.
fn zeros(run: &Run) -> PathBuf {
    let model = model_copy(run);
    let path = model.join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + header..].fill(0);
    std::fs::write(path, bytes).unwrap();
    model
}

#[test]
fn a_store_of_empty_documents_only_is_warned_about() {
    let run = Run::new("a\triver\nb\tmoon\n");
    let warned = |model: &Path, store: &str, flags: &[&str]| {
        let output = run.command(model, store, flags).output().unwrap();
        assert!(output.status.success(), "{}", message(&output));
        message(&output).contains("warning: every document is empty")
    };
    assert!(warned(&zeros(&run), "zeros", &[]));
    assert_eq!(run.manifest("zeros").totals.empty, 2);
    assert!(warned(&golden("bert"), "heavy", &["--min-weight", "1e9"]));
    assert!(!warned(&golden("bert"), "store", &[]));
}

#[test]
fn integers_for_weights_are_refused_with_their_type() {
    let run = Run::new("a\triver\n");
    let model = model_copy(&run);
    let path = model.join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = String::from_utf8(bytes[8..end].to_vec()).unwrap();
    // As many bytes a number, so that all else stays true.
    let header = header.replace("\"F32\"", "\"I32\"");
    std::fs::write(&path, [&bytes[..8], header.as_bytes(), &bytes[end..]].concat()).unwrap();
    assert_eq!(
        run.refused(&model, "store", &[]),
        "error: model/model.safetensors: expected numbers of type F32, F16, BF16 or F64 in tensor \
         \"bert.embeddings.word_embeddings.weight\", found I32; quantized checkpoints are not \
         read: get the original weights"
    );
}

#[test]
fn a_shard_that_is_missing_or_of_another_download_is_named() {
    let run = Run::new("a\triver\n");
    let model = run.path("model");
    copy_folder(&golden("modernbert"), &model);
    let index = model.join("model.safetensors.index.json");
    let second = model.join("model-00002-of-00006.safetensors");
    std::fs::remove_file(&second).unwrap();
    assert_eq!(
        run.refused(&model, "store", &[]),
        "error: model/model.safetensors.index.json: expected the shard \
         \"model-00002-of-00006.safetensors\" beside it, found none; download all 6 shards"
    );
    std::fs::copy(model.join("model-00006-of-00006.safetensors"), &second).unwrap();
    let e = run.refused(&model, "store", &[]);
    assert!(e.contains("index.json: expected tensor \""), "{e}");
    assert!(e.ends_with("index and shards must come from one download"), "{e}");
    std::fs::write(&index, "{\n\"weight_map\": 3}").unwrap();
    let e = run.refused(&model, "store", &[]);
    assert!(e.contains("index.json:2: expected {\"weight_map\": {…}}, found"), "{e}");
}

#[test]
fn a_sparse_encoder_folder_sets_length_and_prompt_and_the_manifest_says_so() {
    let run = Run::new(&format!("a\t{}\n", "river ".repeat(40)));
    let encode = |kind: &str, flags: &[&str]| {
        let mut command = Command::new(crate::common::SPLINDEX);
        command.args(["encode", "--kind", kind, "--model"]).arg(golden("router"));
        command.arg("--input").arg(run.path("texts.tsv")).args(flags);
        let store = format!("{kind}{}", flags.len());
        let output = command.arg("--output").arg(run.path(&store)).output().unwrap();
        assert!(output.status.success(), "{}", message(&output));
        run.manifest(&store).plan.encoding.unwrap()
    };
    let document = encode("document", &[]);
    assert_eq!((document.max_length, document.prompt.as_deref()), (Some(20), Some("salt: ")));
    assert_eq!(document.pooling, "max log(1+log(1+relu))");
    assert_eq!(document.model.name, "router");
    assert_eq!(encode("document", &["--max-length", "30"]).max_length, Some(30));
    let query = encode("query", &[]);
    assert_eq!(query.max_length, None, "the tokenizer names no limit");
    assert_eq!((query.pooling.as_str(), query.prompt.as_deref()), ("token weights", Some("sea: ")));
}

#[test]
fn a_hub_id_is_read_from_the_cache_or_refused_with_the_way_to_get_it() {
    let run = Run::new("a\triver\n");
    let cache = run.path("cache");
    let repository = cache.join("hub/models--own--tiny");
    let with = |id: &str, store: &str, variables: &[(&str, &Path)]| {
        let mut command = run.command(Path::new(id), store, &[]);
        for name in ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME"] {
            command.env_remove(name);
        }
        // Nothing here may ask a network.
        command.env("HF_HUB_OFFLINE", "1").envs(variables.iter().copied());
        command.current_dir(run.dir.path()).output().unwrap()
    };
    let hub = cache.join("hub");
    let refused = with("own/tiny", "no", &[("HF_HUB_CACHE", &hub)]);
    assert_eq!(refused.status.code(), Some(2));
    let e = message(&refused);
    assert!(
        e.starts_with("error: model own/tiny: there is no such directory, it is not in"),
        "{e}"
    );
    assert!(e.contains("`hf download own/tiny --local-dir tiny`"), "{e}");
    assert_eq!(e.contains("the feature hub"), !cfg!(feature = "hub"), "{e}");

    copy_folder(&golden("bert"), &repository.join("snapshots/0123abc"));
    std::fs::create_dir_all(repository.join("refs")).unwrap();
    std::fs::write(repository.join("refs/main"), "0123abc").unwrap();
    for (store, name, value) in [("one", "HF_HUB_CACHE", &hub), ("two", "HF_HOME", &cache)] {
        let output = with("own/tiny", store, &[(name, value)]);
        assert!(output.status.success(), "{}", message(&output));
        assert_eq!(run.manifest(store).plan.encoding.unwrap().model.name, "own/tiny");
    }
    // A directory of that name wins.
    copy_folder(&golden("distilbert"), &run.path("own/tiny"));
    assert!(with("own/tiny", "three", &[("HF_HUB_CACHE", &hub)]).status.success());
    let model = run.manifest("three").plan.encoding.unwrap().model;
    assert_eq!(
        (model.name.as_str(), model.architecture.as_str()),
        ("tiny", "DistilBertForMaskedLM")
    );
}

#[test]
fn a_length_beyond_the_models_positions_is_refused() {
    let run = Run::new("a\triver\n");
    let mut command = Command::new(crate::common::SPLINDEX);
    command.args(["encode", "--max-length", "65", "--model"]).arg(golden("bert"));
    command.arg("--input").arg(run.path("texts.tsv")).arg("--output").arg(run.path("store"));
    let output = command.output().unwrap();
    assert_eq!(message(&output), "error: --max-length 65 is more than the model's 64 positions");
}

#[test]
fn a_tokenizer_that_contradicts_itself_is_an_error_without_a_panic_in_sight() {
    let run = Run::new("d1\tcost \u{a3}5\n");
    let model = run.path("model");
    copy_folder(&golden("distilbert"), &model);
    let path = model.join("tokenizer.json");
    let golden = std::fs::read_to_string(&path).unwrap();
    let mut file: serde_json::Value = serde_json::from_str(&golden).unwrap();
    file["normalizer"] = serde_json::json!({"type": "Precompiled", "precompiled_charsmap": null});
    std::fs::write(&path, file.to_string()).unwrap();
    let e = run.refused(&model, "store", &[]);
    let start = "error: model/tokenizer.json: expected a normalizer that runs, found Precompiled: ";
    assert!(e.starts_with(start) && e.lines().count() == 1, "{e}");

    let mut file: serde_json::Value = serde_json::from_str(&golden).unwrap();
    file["post_processor"]["special_tokens"]["[CLS]"]["ids"] = serde_json::json!([9999]);
    std::fs::write(&path, file.to_string()).unwrap();
    assert_eq!(
        run.refused(&model, "store", &[]),
        "error: model/tokenizer.json: expected the post_processor's token \"[CLS]\" in the \
         vocabulary with the id 9999, found the id 2; the tokenizer contradicts itself: fetch it \
         again from where the model comes from"
    );
}

#[test]
fn rows_without_a_token_are_told_of_once() {
    let run = Run::new("a\triver\n");
    let model = model_copy(&run);
    let list = std::fs::read_to_string(model.join("vocab.txt")).unwrap();
    let all: Vec<&str> = list.lines().collect();
    std::fs::write(model.join("vocab.txt"), all[..all.len() - 3].join("\n")).unwrap();
    let output = run.command(&model, "store", &[]).output().unwrap();
    assert!(output.status.success(), "{}", message(&output));
    let said = message(&output);
    let note = "note: of the model's vocabulary, 3 rows after the tokenizer's 188 tokens have no \
                token and are passed over as padding";
    assert!(said.contains(note), "{said}");
    assert_eq!(run.manifest("store").plan.encoding.unwrap().model.vocabulary, 188);
}
