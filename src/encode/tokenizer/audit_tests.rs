//! A tokenizer.json that contradicts itself: each fault has one error with file and token.

use std::path::Path;

use serde_json::{Value, json};

use super::TextTokenizer;
use crate::error::{Error, Result};

fn golden(model: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/goldens").join(model);
    serde_json::from_slice(&std::fs::read(path.join("tokenizer.json")).unwrap()).unwrap()
}

fn load(file: &Value) -> Result<TextTokenizer> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("tokenizer.json"), file.to_string()).unwrap();
    TextTokenizer::load(dir.path(), 8)
}

/// The error about the golden `model` after `spoil`, from "tokenizer.json: " on.
fn error(model: &str, spoil: impl FnOnce(&mut Value)) -> String {
    let mut file = golden(model);
    spoil(&mut file);
    let e = load(&file).err().expect("a spoilt tokenizer is refused");
    assert!(matches!(e, Error::Data(_)), "{e:?}");
    let e = e.to_string();
    e.split_once("tokenizer.json: ").unwrap_or_else(|| panic!("no file: {e}")).1.to_owned()
}

fn added(id: u32, content: &str, normalized: bool) -> Value {
    json!({"id": id, "content": content, "normalized": normalized, "special": false,
        "single_word": false, "lstrip": false, "rstrip": false})
}

/// Renames the last token of DistilBERT's vocabulary.
fn rename_last(file: &mut Value, to: &str) {
    let vocabulary = file["model"]["vocab"].as_object_mut().unwrap();
    let last = vocabulary.iter().find(|(_, id)| **id == json!(190)).unwrap().0.clone();
    vocabulary.remove(&last);
    vocabulary.insert(to.to_owned(), json!(190));
}

#[test]
fn an_added_token_that_the_normalizer_removes_is_refused_by_name() {
    for content in ["\u{200C}", "\u{FE0F}", "\u{301}", "\u{301}\u{200C}"] {
        let e = error("distilbert", |file| {
            rename_last(file, content);
            file["added_tokens"].as_array_mut().unwrap().push(added(190, content, true));
        });
        let expected = format!("of which the normalizer leaves something, found {content:?}; ");
        assert!(e.contains(&expected), "{e}");
    }
    // Found as it is, it is a token like any other.
    let mut file = golden("distilbert");
    rename_last(&mut file, "\u{200C}");
    file["added_tokens"].as_array_mut().unwrap().push(added(190, "\u{200C}", false));
    let tokenizer = load(&file).unwrap();
    assert_eq!(tokenizer.encode("a\u{200C}a").unwrap().ids.len(), 5);
}

#[test]
fn added_tokens_have_their_ids_and_are_different() {
    let with = |token: Value| {
        error("distilbert", |file| file["added_tokens"].as_array_mut().unwrap().push(token))
    };
    assert!(with(added(9999, "zyx", false)).starts_with(
        "expected the added token \"zyx\" to have the id 9999, found 191; the tokenizer contradicts"
    ));
    assert!(with(added(3, "zyx", false)).contains("\"zyx\" to have the id 3, found 191"));
    assert!(with(added(7, "[MASK]", true)).contains("\"[MASK]\" to have the id"));
    assert!(with(added(191, "", false)).contains("expected added tokens, found an empty one"));
    let e = error("distilbert", |file| {
        let list = file["added_tokens"].as_array_mut().unwrap();
        list.extend([added(191, "Zyx", true), added(192, "zYX", true)]);
    });
    assert!(e.contains("found \"Zyx\" and \"zYX\", which the normalizer makes the same"), "{e}");
    // The same twice is the same once; a new one beyond the vocabulary is a token.
    let mut file = golden("distilbert");
    let list = file["added_tokens"].as_array_mut().unwrap();
    list.extend([added(191, "zyx", false), added(191, "zyx", false)]);
    let tokenizer = load(&file).unwrap();
    assert_eq!(tokenizer.encode("zyx").unwrap().ids, [2, 191, 3]);
    assert_eq!(tokenizer.tokens().len(), 192);
}

#[test]
fn an_unknown_token_that_is_not_in_the_vocabulary_is_refused() {
    let e = error("distilbert", |file| {
        rename_last(file, "[OTHER]");
        let vocabulary = file["model"]["vocab"].as_object_mut().unwrap();
        vocabulary.remove("[UNK]");
        vocabulary.insert("[GONE]".into(), json!(1));
        file["added_tokens"].as_array_mut().unwrap().remove(1);
    });
    assert!(
        e.starts_with("expected the model's unk_token \"[UNK]\" in its vocabulary, found none"),
        "{e}"
    );
    let e = error("roberta", |file| file["model"]["unk_token"] = json!("<none>"));
    assert!(e.contains("unk_token \"<none>\" in its vocabulary"), "{e}");
    let null = error("distilbert", |file| file["model"]["unk_token"] = Value::Null);
    assert!(null.starts_with("expected a tokenizer, found: "), "{null}");
    let unigram = |unk: Value| {
        error("distilbert", |file| {
            file["model"] =
                json!({"type": "Unigram", "unk_id": unk, "vocab": [["[UNK]", 0.0], ["a", -1.0]]});
        })
    };
    assert!(unigram(Value::Null).starts_with("expected the model's unk_id, found none"));
    assert!(unigram(json!(2)).contains("UnkIdNotInVocabulary"));
}

#[test]
fn a_post_processor_of_other_tokens_or_without_the_text_is_refused() {
    let spoilt = |path: &str, value: Value| {
        error("distilbert", |file| *file["post_processor"].pointer_mut(path).unwrap() = value)
    };
    assert!(spoilt("/special_tokens/[CLS]/ids", json!([9999])).starts_with(
        "expected the post_processor's token \"[CLS]\" in the vocabulary with the id 9999, found the \
         id 2"
    ));
    let e = spoilt("/special_tokens/[SEP]/tokens", json!(["[NONE]"]));
    assert!(e.contains("token \"[NONE]\" in the vocabulary with the id 3, found no such token"));
    assert!(spoilt("/special_tokens/[CLS]/ids", json!([2, 3])).contains("as many ids as tokens"));
    let e = spoilt("/single/0/SpecialToken/id", json!("[NONE]"));
    assert!(e.contains("token \"[NONE]\" among its special_tokens, found none"), "{e}");
    let once = "expected the text once in the post_processor's template for one text";
    assert!(spoilt("/single/1/Sequence/id", json!("B")).contains(once));
    assert!(spoilt("/single", json!([])).contains(once));
    assert!(spoilt("/single/1/Sequence/type_id", json!(1)).contains("expected the type 0"));
    let e = error("roberta", |file| file["post_processor"]["cls"] = json!(["<s>", 9999]));
    assert!(e.contains("token \"<s>\" in the vocabulary with the id 9999, found the id 0"), "{e}");
    let e = error("roberta", |file| {
        let own = file["post_processor"].take();
        file["post_processor"] = json!({"type": "Sequence", "processors": [own]});
        file["post_processor"]["processors"][0]["sep"] = json!(["</none>", 2]);
    });
    assert!(e.contains("token \"</none>\" in the vocabulary"), "{e}");
    let mut file = golden("distilbert");
    let single: Vec<Value> =
        (0..8).map(|_| json!({"SpecialToken": {"id": "[CLS]", "type_id": 0}})).collect();
    file["post_processor"]["single"].as_array_mut().unwrap().extend(single);
    let e = load(&file).err().unwrap().to_string();
    assert!(
        e.starts_with("`max_length` must be at least 11, found 8: the tokenizer puts 10"),
        "{e}"
    );
}

#[test]
fn a_normalizer_or_pre_tokenizer_that_cannot_run_is_refused() {
    let normalizer = |value: Value| error("distilbert", |file| file["normalizer"] = value);
    let runs = "expected a normalizer that runs, found";
    let e = normalizer(json!({"type": "Precompiled", "precompiled_charsmap": null}));
    assert!(e.starts_with(&format!("{runs} Precompiled: ")), "{e}");
    let e = normalizer(json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"}));
    assert!(e.starts_with(&format!("{runs} Precompiled: ")), "{e}");
    assert!(normalizer(json!({"type": "None"})).starts_with(&format!("{runs} None: ")));
    let replace = |pattern: Value, content: &str| json!({"type": "Replace", "pattern": pattern, "content": content});
    let e = normalizer(replace(json!({"Regex": "("}), ""));
    assert!(e.starts_with(&format!("{runs} Replace: ")), "{e}");
    // Each doubles what the one before has made.
    let twice: Vec<Value> = (0..60).map(|_| replace(json!({"String": "ю"}), "юю")).collect();
    let e = normalizer(json!({"type": "Sequence", "normalizers": twice}));
    assert!(e.contains("it makes a text more than 64 times longer"), "{e}");
    let pre = |value: Value| error("distilbert", |file| file["pre_tokenizer"] = value);
    let e = pre(json!({"type": "FixedLength", "length": 0}));
    assert!(e.starts_with("expected a tokenizer that runs, found: a panic"), "{e}");
    let split = json!({"type": "Split", "pattern": {"Regex": "[a"}, "behavior": "Isolated",
        "invert": false});
    assert!(pre(split).starts_with("expected a tokenizer, found: "));
}

#[test]
fn a_vocabulary_or_model_that_cannot_be_is_refused() {
    let model = |key: &str, value: Value| error("distilbert", |file| file["model"][key] = value);
    assert!(
        model("vocab", json!({})).contains("unk_token \"[UNK]\" in its vocabulary, found none")
    );
    let e = error("distilbert", |file| {
        file["model"]["vocab"] = json!({});
        file["added_tokens"] = json!([]);
    });
    assert!(e.contains("expected a vocabulary, found no token"), "{e}");
    assert!(
        model("max_input_chars_per_word", json!(u64::MAX)).contains("from 1 to 1000, found 1844")
    );
    assert!(model("max_input_chars_per_word", json!(0)).contains("from 1 to 1000, found 0"));
    let e = error("distilbert", |file| rename_last(file, "[MASK]"));
    assert!(e.contains("\"[MASK]\" to have the id 4, found 190"), "{e}");
    let e = error("distilbert", |file| file["model"]["vocab"]["river"] = json!(500));
    assert!(e.contains("expected token ids 0, 1, 2, …, found"), "{e}");
    let bpe = |key: &str, value: Value| error("roberta", |file| file["model"][key] = value);
    assert!(bpe("dropout", json!(0.1)).starts_with("expected no dropout in the model, found 0.1"));
    assert!(bpe("merges", json!(["a zzz"])).starts_with("expected a tokenizer, found: "));
    for whole in [json!(null), json!([]), json!("x"), json!({})] {
        let e = load(&whole).err().unwrap().to_string();
        assert!(e.contains("tokenizer.json: expected a tokenizer, found: "), "{whole}: {e}");
    }
    // Ours are the length and the padding, whatever the file says, even nonsense.
    let mut file = golden("distilbert");
    file["truncation"] = json!({"direction": "Right", "max_length": 0, "strategy": "OnlySecond",
        "stride": 99});
    file["padding"]["pad_to_multiple_of"] = json!(0);
    assert_eq!(load(&file).unwrap().encode("the [MASK]").unwrap().ids.len(), 4);
}

#[test]
fn fields_that_the_crate_would_pass_over_are_refused_by_name() {
    let named = |part: &str, class: &str| {
        format!(
            "the field \"foo\" of the {part} {class} is not known, and may change tokens; remove"
        )
    };
    let e = error("distilbert", |file| file["normalizer"]["foo"] = json!(1));
    assert!(e.starts_with(&named("normalizer", "BertNormalizer")), "{e}");
    let e = error("distilbert", |file| file["pre_tokenizer"]["foo"] = json!("x"));
    assert!(e.starts_with(&named("pre_tokenizer", "BertPreTokenizer")), "{e}");
    let e = error("roberta", |file| file["post_processor"]["foo"] = json!(false));
    assert!(e.contains("the field \"foo\" of the post_processor "), "{e}");
    let e = error("distilbert", |file| {
        let own = file["normalizer"].take();
        file["normalizer"] =
            json!({"type": "Sequence", "normalizers": [{"type": "NFC", "foo": 0}, own]});
    });
    assert!(e.contains("the field \"foo\" of the normalizer Sequence NFC"), "{e}");
    for place in ["/model", "/added_tokens/0", ""] {
        let e = load(&{
            let mut file = golden("distilbert");
            file.pointer_mut(place).unwrap()["foo"] = json!(1);
            file
        });
        let e = e.err().unwrap().to_string();
        assert!(e.contains("expected a tokenizer, found: unknown field \"foo\""), "{place}: {e}");
    }
    let mut file = golden("distilbert");
    file["normalizer"]["foo"] = json!(null);
    // Older files write it so.
    file["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [file["pre_tokenizer"],
        {"type": "Metaspace", "replacement": "▁", "add_prefix_space": true, "str_rep": "▁"}]});
    load(&file).unwrap();
}
