//! One look at a tokenizer when a model is opened: whether its parts agree with each other.
//!
//! The tokenizers crate does not ask. It gives added tokens other ids than the file says, hands out
//! ids that the vocabulary does not have, and panics at the first text that meets a fault. Here each
//! fault is an error that names the file and the token.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use tokenizers::{
    AddedToken, Model as _, ModelWrapper, NormalizedString, Normalizer, NormalizerWrapper,
    PostProcessor, PostProcessorWrapper, Tokenizer,
};

use super::caught::caught;
use super::malformed;
use crate::error::{Error, Place, Result, foreign};
use crate::vectors::TokenTable;

/// Letters of a word that WordPiece looks up at most. It tries every part of a word at every place:
/// the work is the cube of this, 0.1 s for a word of 1,000 letters. Models say 100.
const MOST_LETTERS: u64 = 1000;

/// Times that a normalizer may make a text longer: NFKD makes 18 letters of one (U+FDFA), a chain of
/// replacements that double each other would fill the memory.
const MOST_GROWTH: usize = 64;

/// What is looked at before the crate reads a `tokenizer.json`. The crate passes over fields that it
/// does not know; here and in [`Model`] they are errors.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "some fields are only known")]
struct Parts {
    added_tokens: Option<Vec<Listed>>,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    post_processor: Option<Value>,
    model: Option<Model>,
    version: Option<IgnoredAny>,
    truncation: Option<IgnoredAny>,
    padding: Option<IgnoredAny>,
    decoder: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    id: u32,
    content: String,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

impl From<Listed> for (u32, AddedToken) {
    fn from(listed: Listed) -> Self {
        let Listed { id, content, single_word, lstrip, rstrip, normalized, special } = listed;
        (id, AddedToken { content, single_word, lstrip, rstrip, normalized, special })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "some fields are only known")]
struct Model {
    r#type: Option<String>,
    dropout: Option<f64>,
    unk_id: Option<u64>,
    max_input_chars_per_word: Option<u64>,
    vocab: Option<IgnoredAny>,
    merges: Option<IgnoredAny>,
    unk_token: Option<IgnoredAny>,
    continuing_subword_prefix: Option<IgnoredAny>,
    end_of_word_suffix: Option<IgnoredAny>,
    fuse_unk: Option<IgnoredAny>,
    byte_fallback: Option<IgnoredAny>,
    ignore_merges: Option<IgnoredAny>,
}

fn fault(path: &Path, problem: String) -> Error {
    Error::data(path, Place::File, problem)
        .hint("the tokenizer contradicts itself: fetch it again from where the model comes from")
}

/// Reads a `tokenizer.json` after a look at what the crate would panic on or pass over.
///
/// # Errors
/// A malformed file; a part that cannot run or would not give the same tokens twice; an added token
/// that is empty, listed twice, or has another id than the vocabulary gives it.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Tokenizer> {
    let parts: Parts = serde_json::from_slice(bytes).map_err(|e| malformed(path, &e))?;
    let listed = parts.added_tokens.unwrap_or_default().into_iter();
    let mut listed: Vec<(u32, AddedToken)> = listed.map(Listed::into).collect();
    // The same twice is the same once.
    let mut seen = HashSet::new();
    listed.retain(|listed| seen.insert(listed.clone()));
    if let Some(model) = &parts.model {
        check_model(path, model)?;
    }
    let normalizer = parts.normalizer.filter(|value| !value.is_null());
    let checked = normalizer.clone().map(|value| check_normalizer(path, value)).transpose()?;
    check_added(path, checked.as_ref(), listed.iter().map(|(_, token)| token))?;
    let tokenizer = caught(|| Tokenizer::from_bytes(bytes)).map_err(|e| malformed(path, &e))?;
    for (id, token) in listed {
        require_id(path, &tokenizer, id, &token.content)?;
    }
    for (part, given, read) in [
        ("normalizer", normalizer, serde_json::to_value(tokenizer.get_normalizer())),
        ("pre_tokenizer", parts.pre_tokenizer, serde_json::to_value(tokenizer.get_pre_tokenizer())),
        (
            "post_processor",
            parts.post_processor,
            serde_json::to_value(tokenizer.get_post_processor()),
        ),
    ] {
        let read = read.map_err(|e| malformed(path, &e))?;
        require_known(path, part, &given.unwrap_or_default(), &read)?;
    }
    Ok(tokenizer)
}

/// Refuses a field that the crate passed over: of what it `read`, it writes every field.
fn require_known(path: &Path, part: &str, given: &Value, read: &Value) -> Result<()> {
    // Read, and written under a newer name or not at all.
    const OLD: [&str; 2] = ["add_prefix_space", "str_rep"];
    match (given, read) {
        (Value::Object(given), Value::Object(read)) => {
            let class = read.get("type").and_then(Value::as_str);
            let name = class.map_or(part.to_owned(), |class| format!("{part} {class}"));
            for (field, value) in given.iter().filter(|(_, value)| !value.is_null()) {
                match read.get(field) {
                    Some(read) => require_known(path, &name, value, read)?,
                    None if class == Some("Metaspace") && OLD.contains(&field.as_str()) => (),
                    None => {
                        let problem = format!(
                            "the field {field:?} of the {name} is not known, and may change tokens"
                        );
                        return Err(Error::data(path, Place::File, problem)
                            .hint("remove it if it does not"));
                    }
                }
            }
            Ok(())
        }
        (Value::Array(given), Value::Array(read)) if given.len() == read.len() => given
            .iter()
            .zip(read)
            .try_for_each(|(given, read)| require_known(path, part, given, read)),
        _ => Ok(()),
    }
}

/// An added token has the id that a file gives it.
pub(super) fn require_id(path: &Path, tokenizer: &Tokenizer, id: u32, token: &str) -> Result<()> {
    match tokenizer.token_to_id(token) {
        Some(found) if found == id => Ok(()),
        found => {
            let found = found.map_or("none".to_owned(), |id| id.to_string());
            Err(fault(
                path,
                format!("expected the added token {token:?} to have the id {id}, found {found}"),
            ))
        }
    }
}

fn check_model(path: &Path, model: &Model) -> Result<()> {
    if let Some(dropout) = model.dropout.filter(|&dropout| dropout != 0.0) {
        let problem = format!("expected no dropout in the model, found {dropout}");
        return Err(Error::data(path, Place::File, problem)
            .hint("it is for training: a text would have other tokens each time"));
    }
    if let Some(n) = model.max_input_chars_per_word.filter(|n| !(1..=MOST_LETTERS).contains(n)) {
        let problem =
            format!("expected max_input_chars_per_word to be from 1 to {MOST_LETTERS}, found {n}");
        return Err(Error::data(path, Place::File, problem)
            .hint("a longer word would take seconds; BERT has 100"));
    }
    if model.r#type.as_deref() == Some("Unigram") && model.unk_id.is_none() {
        let problem = "expected the model's unk_id, found none";
        return Err(Error::data(path, Place::File, problem)
            .hint("a letter that the vocabulary does not have would be an error"));
    }
    Ok(())
}

/// The normalizer, which runs over a text that has all the letters it speaks of.
fn check_normalizer(path: &Path, value: Value) -> Result<NormalizerWrapper> {
    let kind = value["type"].as_str().unwrap_or("without a type").to_owned();
    if kind == "BertNormalizer" {
        for name in ["clean_text", "handle_chinese_chars", "strip_accents", "lowercase"] {
            let flag = &value[name];
            let known = flag.is_boolean() || (flag.is_null() && name == "strip_accents");
            if !known {
                let or_null = if name == "strip_accents" { ", false or null" } else { " or false" };
                let problem =
                    format!("expected true{or_null} for {name:?} of the normalizer, found {flag}");
                return Err(Error::data(path, Place::File, problem).hint("fetch the file again"));
            }
        }
    }
    let mut probe = String::from("The cost £5, a naïve e\u{301}\u{200C} 入力 \u{FDFA} ﬁ İß\t");
    probe.extend((' '..='~').chain(['▁', '\u{FE0F}']));
    strings(&value, &mut probe);
    let run = || {
        let normalizer: NormalizerWrapper = serde_json::from_value(value).map_err(foreign)?;
        let mut text = NormalizedString::from(probe.as_str());
        step(&normalizer, &mut text, probe.len() * MOST_GROWTH)?;
        Ok::<_, String>(normalizer)
    };
    caught(run).map_err(|e| {
        let problem = format!("expected a normalizer that runs, found {kind}: {e}");
        Error::data(path, Place::File, problem).hint("fetch the file again")
    })
}

/// Appends what a normalizer's fields speak of, the first kilobyte of each.
fn strings(value: &Value, into: &mut String) {
    match value {
        Value::String(text) => into.extend(text.chars().take(1000)),
        Value::Array(values) => values.iter().for_each(|value| strings(value, into)),
        Value::Object(fields) => fields.values().for_each(|value| strings(value, into)),
        _ => (),
    }
}

fn step(
    normalizer: &NormalizerWrapper,
    text: &mut NormalizedString,
    most: usize,
) -> Result<(), String> {
    if let NormalizerWrapper::Sequence(list) = normalizer {
        return list.as_ref().iter().try_for_each(|normalizer| step(normalizer, text, most));
    }
    normalizer.normalize(text).map_err(foreign)?;
    match text.get().len() {
        n if n > most => Err(format!("it makes a text more than {MOST_GROWTH} times longer")),
        _ => Ok(()),
    }
}

/// Added tokens are found by their normal forms, of which each must be one, and a text.
pub(super) fn check_added<'t>(
    path: &Path,
    normalizer: Option<&NormalizerWrapper>,
    tokens: impl Iterator<Item = &'t AddedToken>,
) -> Result<()> {
    let mut seen: BTreeMap<(bool, String), &str> = BTreeMap::new();
    for token in tokens {
        let content = token.content.as_str();
        let mut text = NormalizedString::from(content);
        if let Some(normalizer) = normalizer.filter(|_| token.normalized) {
            caught(|| normalizer.normalize(&mut text)).map_err(|e| malformed(path, &e))?;
        }
        let normal = text.get();
        if normal.is_empty() {
            let problem = match content.is_empty() {
                true => "expected added tokens, found an empty one".to_owned(),
                false => format!(
                    "expected an added token of which the normalizer leaves something, found {content:?}"
                ),
            };
            return Err(Error::data(path, Place::File, problem).hint(
                "it would be found between any two letters: take it out of the added tokens",
            ));
        }
        if let Some(other) = seen.insert((token.normalized, normal.to_owned()), content) {
            let problem = match other == content {
                true => format!("expected different added tokens, found {content:?} twice"),
                false => format!(
                    "expected different added tokens, found {other:?} and {content:?}, which the \
                     normalizer makes the same"
                ),
            };
            return Err(fault(path, problem));
        }
    }
    Ok(())
}

/// The token strings by id, of a tokenizer whose ids are all among them.
///
/// # Errors
/// Ids with gaps or shared by two tokens; an unknown token that there is not; a post-processor that
/// names a token or an id that there is not, or leaves out the text; a text that cannot be
/// tokenized.
pub(super) fn tokens(path: &Path, tokenizer: &Tokenizer) -> Result<TokenTable> {
    let mut pairs: Vec<(u32, String)> =
        tokenizer.get_vocab(true).into_iter().map(|(token, id)| (id, token)).collect();
    pairs.sort_unstable();
    if pairs.is_empty() {
        return Err(fault(path, "expected a vocabulary, found no token".into()));
    }
    // A token that is gone leaves a gap, too: its name says more.
    require_unknown(path, tokenizer)?;
    if let Some((i, (id, token))) = pairs.iter().enumerate().find(|(i, (id, _))| *i as u32 != *id) {
        let found = match i.checked_sub(1).map(|before| &pairs[before]) {
            Some((same, other)) if same == id => format!("{other:?} and {token:?} with id {id}"),
            _ => format!("no token with id {i}, and {token:?} with id {id}"),
        };
        return Err(fault(path, format!("expected token ids 0, 1, 2, …, found {found}")));
    }
    if let Some(processor) = tokenizer.get_post_processor() {
        let processor = serde_json::to_value(processor).map_err(|e| malformed(path, &e))?;
        Processor { path, tokenizer }.check(&processor)?;
    }
    let contents: Vec<String> = pairs.iter().take(2000).map(|(_, token)| token.clone()).collect();
    let probes =
        ["", " ", "The cost £5, a naïve e\u{301}\u{200C}\u{FE0F} 入力 \u{FDFA} ﬁ İß\t\n", "\u{0}"];
    let long = "x1".repeat(300);
    for text in probes.into_iter().chain([long.as_str(), &contents.join(" "), &contents.concat()]) {
        caught(|| tokenizer.encode_fast(text, true)).map_err(|e| {
            let problem = format!("expected a tokenizer that runs, found: {e}");
            Error::data(path, Place::File, problem).hint("fetch the file again")
        })?;
    }
    Ok(TokenTable::from_tokens(pairs.into_iter().map(|(_, token)| token)))
}

/// Words that the vocabulary does not have become a token that it has.
fn require_unknown(path: &Path, tokenizer: &Tokenizer) -> Result<()> {
    let model = tokenizer.get_model();
    let unknown = match model {
        ModelWrapper::WordPiece(model) => Some(&model.unk_token),
        ModelWrapper::WordLevel(model) => Some(&model.unk_token),
        ModelWrapper::BPE(model) => model.unk_token.as_ref(),
        ModelWrapper::Unigram(_) => None,
    };
    match unknown.filter(|token| model.token_to_id(token).is_none()) {
        None => Ok(()),
        Some(token) => Err(fault(
            path,
            format!("expected the model's unk_token {token:?} in its vocabulary, found none"),
        )),
    }
}

/// The part that puts special tokens around a text.
struct Processor<'a> {
    path: &'a Path,
    tokenizer: &'a Tokenizer,
}

impl Processor<'_> {
    fn check(&self, value: &Value) -> Result<()> {
        match value["type"].as_str().unwrap_or_default() {
            "Sequence" => {
                value["processors"].as_array().into_iter().flatten().try_for_each(|p| self.check(p))
            }
            "BertProcessing" | "RobertaProcessing" => {
                ["sep", "cls"].into_iter().try_for_each(|name| {
                    self.require(value[name][0].as_str().unwrap_or_default(), &value[name][1])
                })
            }
            "TemplateProcessing" => self.template(value),
            _ => Ok(()),
        }
    }

    fn require(&self, token: &str, id: &Value) -> Result<()> {
        let found = self.tokenizer.token_to_id(token);
        if found.is_some() && found.map(u64::from) == id.as_u64() {
            return Ok(());
        }
        let found = found.map_or("no such token".to_owned(), |id| format!("the id {id}"));
        Err(fault(
            self.path,
            format!(
                "expected the post_processor's token {token:?} in the vocabulary with the id {id}, \
                 found {found}"
            ),
        ))
    }

    fn template(&self, value: &Value) -> Result<()> {
        let special = &value["special_tokens"];
        for entry in special.as_object().into_iter().flatten().map(|(_, entry)| entry) {
            let list = |name: &str| entry[name].as_array().map(Vec::as_slice).unwrap_or_default();
            let (tokens, ids) = (list("tokens"), list("ids"));
            if tokens.len() != ids.len() {
                let problem = format!(
                    "expected as many ids as tokens in the post_processor's {}, found {} and {}",
                    entry["id"],
                    ids.len(),
                    tokens.len()
                );
                return Err(fault(self.path, problem));
            }
            for (token, id) in tokens.iter().zip(ids) {
                self.require(token.as_str().unwrap_or_default(), id)?;
            }
        }
        let single = value["single"].as_array().map(Vec::as_slice).unwrap_or_default();
        let texts: Vec<&Value> = single.iter().filter_map(|piece| piece.get("Sequence")).collect();
        if texts.len() != 1 || texts[0]["id"] != "A" {
            let problem = "expected the text once in the post_processor's template for one text";
            return Err(fault(self.path, format!("{problem}, found {}", value["single"])));
        }
        for piece in single {
            let (kind, part) = match piece.get("Sequence") {
                Some(text) => ("text", text),
                None => ("special token", &piece["SpecialToken"]),
            };
            if kind == "special token"
                && special.get(part["id"].as_str().unwrap_or_default()).is_none()
            {
                let problem = format!(
                    "expected the post_processor's token {} among its special_tokens, found none",
                    part["id"]
                );
                return Err(fault(self.path, problem));
            }
            if part["type_id"].as_u64() != Some(0) {
                let problem = format!(
                    "expected the type 0 for the post_processor's {kind}, found {}",
                    part["type_id"]
                );
                return Err(Error::data(self.path, Place::File, problem)
                    .hint("models read one text here, of the first type"));
            }
        }
        Ok(())
    }
}

/// The special tokens before and after a text, where a template has one of each.
pub(super) fn around(
    path: &Path,
    processor: &PostProcessorWrapper,
) -> Result<Option<(String, String)>> {
    let value = serde_json::to_value(processor).map_err(|e| malformed(path, &e))?;
    let token = |i: usize| value["single"][i]["SpecialToken"]["id"].as_str().map(str::to_owned);
    Ok(token(0).zip(token(2)))
}

/// Special tokens that a text gets.
pub(super) fn special_tokens(tokenizer: &Tokenizer) -> usize {
    tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(false))
}
