//! Settings beside a tokenizer: the ids that transformers 5.24 gives under each
//! (`tools/fidelity/tokenizer_settings.py` wrote them), and the refusals.

use std::path::Path;

use serde_json::{Value, json};

use super::TextTokenizer;
use crate::error::Result;

fn goldens() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/goldens")
}

/// A tokenizer of these files, copied or written.
fn load(copied: &[&str], files: &[(&str, String)]) -> Result<TextTokenizer> {
    let dir = tempfile::tempdir().unwrap();
    for name in copied {
        let name = Path::new(name);
        std::fs::copy(goldens().join(name), dir.path().join(name.file_name().unwrap())).unwrap();
    }
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    TextTokenizer::load(dir.path(), 7)
}

#[test]
fn settings_give_the_tokens_that_transformers_gives() {
    let file = std::fs::read(goldens().join("tokenizers/settings.json")).unwrap();
    let golden: Value = serde_json::from_slice(&file).unwrap();
    let texts: Vec<&str> =
        golden["texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let cases = golden["cases"].as_array().unwrap();
    let mut plain = std::collections::BTreeMap::new();
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let copied: Vec<&str> =
            case["from"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
        let content = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
        let files: Vec<(&str, String)> = case["files"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), content(value)))
            .collect();
        let tokenizer = load(&copied, &files).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut all = Vec::new();
        for (text, want) in texts.iter().zip(case["ids"].as_array().unwrap()) {
            let got = tokenizer.encode(text).unwrap().ids;
            assert_eq!(json!(got), *want, "{name}: {text}");
            all.push(got);
        }
        // Other tokens, another digest: a store is not continued with another tokenizer.
        let first = plain.entry(copied).or_insert((all.clone(), tokenizer.digest().to_owned()));
        if first.0 != all {
            assert_ne!(first.1, tokenizer.digest(), "{name}");
        }
    }
    assert!(cases.len() > 35);
}

#[test]
fn settings_that_say_what_is_so_anyhow_keep_the_digest() {
    let digest = |config: &str| {
        let files = [("tokenizer_config.json", config.to_owned())];
        let list = load(&["bert/vocab.txt"], &files).unwrap();
        let json = load(&["distilbert/tokenizer.json"], &files).unwrap();
        (list.digest().to_owned(), json.digest().to_owned())
    };
    let plain = digest("{}");
    let same = r#"{"tokenizer_class": "BertTokenizer", "do_lower_case": true, "strip_accents": null,
        "tokenize_chinese_chars": true, "cls_token": "[CLS]", "truncation_side": "right"}"#;
    assert_eq!(digest(same), plain);
    // What a file's own bytes give, as before there were settings.
    let bytes = std::fs::read(goldens().join("bert/vocab.txt")).unwrap();
    assert_eq!(plain.0, blake3::hash(&bytes).to_hex().to_string());
    let cased = digest(r#"{"tokenizer_class": "BertTokenizer", "do_lower_case": false}"#);
    assert!(cased.0 != plain.0 && cased.1 != plain.1);
}

/// What is said about a tokenizer_config.json beside a word list and beside a tokenizer.json.
fn refused(config: &str) -> (Option<String>, Option<String>) {
    let said = |model: &str| {
        let files = [("tokenizer_config.json", config.to_owned())];
        Some(load(&[model], &files).err()?.to_string())
    };
    (said("bert/vocab.txt"), said("distilbert/tokenizer.json"))
}

#[test]
fn what_is_not_known_is_refused_by_name_and_null_is_nothing() {
    for (config, found) in [
        (r#"{"word_tokenizer_type": "mecab"}"#, "the option \"word_tokenizer_type\" is not known"),
        (
            r#"{"tokenizer_class": "BertJapaneseTokenizer"}"#,
            "class \"BertJapaneseTokenizer\" is not",
        ),
        (
            r#"{"tokenizer_class": "Own"}"#,
            "the tokenizer class \"Own\" is not known; known are Bert",
        ),
        (r#"{"tokenizer_class": 3}"#, "expected a class for \"tokenizer_class\", found 3"),
        (r#"{"auto_map": {"AutoTokenizer": ["x.Own", null]}}"#, "found one of its own code"),
        (r#"{"do_basic_tokenize": false}"#, "expected true for \"do_basic_tokenize\", found false"),
        (r#"{"never_split": ["a"]}"#, "expected [] for \"never_split\", found [\"a\"]"),
        (r#"{"wordpieces_prefix": "@@"}"#, "for \"wordpieces_prefix\", found \"@@\""),
        (r#"{"do_lower_case": "no"}"#, "expected true, false or null for \"do_lower_case\""),
        (r#"{"truncation_side": "top"}"#, "expected \"left\" or \"right\" for \"truncation_side\""),
        (r#"{"cls_token": 5}"#, "expected a token for \"cls_token\", found 5"),
        (r#"{"additional_special_tokens": [5]}"#, "for \"additional_special_tokens\", found 5"),
        (r#"{"additional_special_tokens": [""]}"#, "expected added tokens, found an empty one"),
        (r#"{"added_tokens_decoder": {"x": {"content": "a"}}}"#, "expected ids for \"added_tokens"),
        (
            r#"{"added_tokens_decoder": {"3": {"content": "[CLS]"}}}"#,
            "\"[CLS]\" to have the id 3, found 2",
        ),
        (
            r#"{"added_tokens_decoder": {"400": {"content": "far"}}}"#,
            "\"far\" to have the id 400, found 191",
        ),
        ("[1]", "tokenizer_config.json:1: expected the settings of a tokenizer, found"),
        ("\u{feff}[1]", "tokenizer_config.json:1: expected the settings of a tokenizer, found"),
        ("version https://git-lfs.github.com/spec/v1\n", "found a Git LFS pointer, not the file"),
        ("{\n3", "tokenizer_config.json:2: expected the settings of a tokenizer, found"),
    ] {
        let (list, json) = refused(config);
        for e in [list, json] {
            let e = e.unwrap_or_else(|| panic!("{config} passes"));
            assert!(e.contains(found), "{config}: {e}");
        }
    }
    let nulls = r#"{"tokenizer_class": null, "do_lower_case": null, "strip_accents": null,
        "tokenize_chinese_chars": null, "unk_token": null, "never_split": null, "auto_map": null,
        "additional_special_tokens": null, "added_tokens_decoder": null, "own_option": null,
        "model_max_length": null, "truncation_side": null}"#;
    for nothing in [nulls, "null", "\u{feff}{}"] {
        assert_eq!(refused(nothing), (None, None), "{nothing}");
    }
}

#[test]
fn settings_that_the_tokenizer_cannot_have_are_refused() {
    let (list, json) = refused(r#"{"tokenizer_class": "PreTrainedTokenizerFast"}"#);
    let list = list.unwrap();
    assert!(list.ends_with("found another; its tokenizer needs the file tokenizer.json"), "{list}");
    assert!(list.contains("tokenizer_config.json: "), "{list}");
    let class = r#"{"tokenizer_class": "PreTrainedTokenizerFast"}"#.to_owned();
    let e = load(&["bert/vocab.txt"], &[("config.json", class)]).err().unwrap().to_string();
    assert!(e.contains("/config.json: expected BERT's tokenizer_class for vocab.txt"), "{e}");
    assert_eq!(json, None);
    let (list, _) = refused(r#"{"cls_token": "[NONE]"}"#);
    assert!(list.unwrap().ends_with("vocab.txt: expected a line [NONE], found none"));
    let (_, json) = refused(r#"{"tokenizer_class": "BertTokenizer", "unk_token": "[MASK]"}"#);
    assert!(
        json.unwrap()
            .contains("expected the unk_token \"[UNK]\" of tokenizer.json, found \"[MASK]\"")
    );
    let (_, json) = refused(r#"{"tokenizer_class": "BertTokenizer", "sep_token": "[MASK]"}"#);
    assert!(
        json.unwrap()
            .contains("expected the sep_token \"[SEP]\" of tokenizer.json, found \"[MASK]\"")
    );
    let (_, json) =
        refused(r#"{"tokenizer_class": "PreTrainedTokenizerFast", "add_eos_token": true}"#);
    assert!(json.unwrap().contains("the option \"add_eos_token\" is not known for this class"));
    let roberta = |config: &str| {
        let files = [("tokenizer_config.json", config.to_owned())];
        load(&["roberta/tokenizer.json"], &files).err().map(|e| e.to_string())
    };
    let e = roberta(r#"{"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": true}"#);
    assert!(e.unwrap().contains("\"add_prefix_space\": true contradicts tokenizer.json"));
    let e = roberta(r#"{"do_lower_case": false}"#);
    assert!(e.unwrap().contains("expected BERT's normalizer in tokenizer.json for do_lower_case"));
    assert_eq!(roberta(r#"{"do_lower_case": true}"#), None);
    for class in ["RobertaTokenizer", "GPT2TokenizerFast", "XLMRobertaTokenizerFast"] {
        let (_, json) = refused(&json!({ "tokenizer_class": class }).to_string());
        let expected = format!("has the WordPiece model of tokenizer.json, found \"{class}\"; ");
        assert!(json.unwrap().contains(&expected), "{class}");
    }
    let e = roberta(r#"{"tokenizer_class": "BertTokenizer"}"#).unwrap();
    assert!(e.contains("has the BPE model of tokenizer.json, found \"BertTokenizer\""), "{e}");
}

#[test]
fn older_files_are_held_to_the_same() {
    let said = |name: &str, content: &str| {
        let e = load(&["bert/vocab.txt"], &[(name, content.to_owned())]).err()?.to_string();
        Some(e.split_once(name).unwrap_or_else(|| panic!("no file: {e}")).1.to_owned())
    };
    let map = |content: &str| said("special_tokens_map.json", content).unwrap();
    assert!(map(r#"{"own": 1}"#).contains("the option \"own\" is not known"));
    assert!(map(r#"{"sep_token": {"content": 3}}"#).contains("expected a token for \"sep_token\""));
    let added = |content: &str| said("added_tokens.json", content).unwrap();
    assert!(added(r#"{"new one": "x"}"#).contains("expected an id for \"new one\", found \"x\""));
    assert!(added(r#"{"new one": 400}"#).contains("\"new one\" to have the id 400, found 191"));
    assert!(added("[1]").contains("expected the settings of a tokenizer"));
    assert_eq!(said("special_tokens_map.json", r#"{"mask_token": null, "own": null}"#), None);
    assert_eq!(said("special_tokens_map.json", "null"), None);
    let map = r#"{"cls_token": "[MASK]"}"#.to_owned();
    let class = r#"{"tokenizer_class": "BertTokenizer"}"#.to_owned();
    let files = [("special_tokens_map.json", map), ("config.json", class)];
    let e = load(&["distilbert/tokenizer.json"], &files).err().unwrap().to_string();
    assert!(e.contains("special_tokens_map.json: expected the cls_token \"[CLS]\""), "{e}");
}

#[test]
fn the_class_in_config_json_counts_where_the_tokenizer_names_none() {
    let japanese = r#"{"tokenizer_class": "BertJapaneseTokenizer"}"#.to_owned();
    let e =
        load(&["bert/vocab.txt"], &[("config.json", japanese.clone())]).err().unwrap().to_string();
    assert!(e.contains("config.json: the tokenizer class \"BertJapaneseTokenizer\""), "{e}");
    let named = r#"{"tokenizer_class": "BertTokenizer"}"#.to_owned();
    let files = [("config.json", japanese), ("tokenizer_config.json", named)];
    assert!(load(&["bert/vocab.txt"], &files).is_ok());
}
