//! Settings into a tokenizer, as transformers does it. Each function returns what it changed, for
//! the digest: two tokenizers of one file may give different tokens.

use std::path::Path;

use tokenizers::normalizers::BertNormalizer;
use tokenizers::{
    AddedToken, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    Tokenizer,
};

use super::caught::caught;
use super::settings::{Class, Settings};
use super::{audit, malformed};
use crate::error::{Error, Place, Result};

/// What a tokenizer from `vocab.txt` has other than by default.
pub(super) fn of_vocabulary(settings: &Settings) -> Vec<String> {
    let default = Settings::default();
    let mut changes = Vec::new();
    let mut change = |name: &str, value: String, usual: String| {
        if value != usual {
            changes.push(format!("{name} {value}"));
        }
    };
    let lower = settings.lower.unwrap_or(true);
    change("do_lower_case", lower.to_string(), "true".into());
    change("strip_accents", settings.strip.unwrap_or(lower).to_string(), lower.to_string());
    change("tokenize_chinese_chars", settings.chinese.unwrap_or(true).to_string(), "true".into());
    let specials = |settings: &Settings| settings.bert_specials().collect::<Vec<_>>().join(" ");
    change("special tokens", specials(settings), specials(&default));
    changes
}

/// Gives the tokenizer of a `tokenizer.json` what its class takes from the settings.
pub(super) fn to_file(
    path: &Path,
    inner: &mut Tokenizer,
    settings: &Settings,
) -> Result<Vec<String>> {
    class_fits(inner, settings)?;
    let mut changes = Vec::new();
    if settings.class != Some(Class::File) {
        changes.extend(normalizer(path, inner, settings)?);
    }
    changes.extend(pre_tokenizer(inner, settings)?);
    if let Some(name) = settings.ends.filter(|_| settings.class != Some(Class::Bert)) {
        let problem = format!("the option {name:?} is not known for this class");
        return Err(Error::data(&settings.path, Place::File, problem)
            .hint("the post_processor of tokenizer.json says which tokens a text gets"));
    }
    same_specials(path, inner, settings)?;
    Ok(changes)
}

/// A class builds one kind of model only.
fn class_fits(inner: &Tokenizer, settings: &Settings) -> Result<()> {
    let own = match inner.get_model() {
        ModelWrapper::WordPiece(_) => "WordPiece",
        ModelWrapper::WordLevel(_) => "WordLevel",
        ModelWrapper::BPE(_) => "BPE",
        ModelWrapper::Unigram(_) => "Unigram",
    };
    let (class, model) = settings.class_and_model();
    if model.is_none_or(|model| model == own) {
        return Ok(());
    }
    let problem = format!(
        "expected a tokenizer_class that has the {own} model of tokenizer.json, found {class:?}"
    );
    Err(Error::data(&settings.class_path, Place::File, problem).hint(
        "name the class that the model was trained with, or PreTrainedTokenizerFast if \
         tokenizer.json says it all",
    ))
}

/// BERT's normalizer by the options; those that are not named are BERT's own where its class is.
fn normalizer(path: &Path, inner: &mut Tokenizer, settings: &Settings) -> Result<Vec<String>> {
    let Some(NormalizerWrapper::BertNormalizer(own)) = inner.get_normalizer() else {
        let usual = settings.lower != Some(false)
            && settings.strip.is_none()
            && settings.chinese != Some(false);
        if usual {
            return Ok(Vec::new());
        }
        let problem = "expected BERT's normalizer in tokenizer.json for do_lower_case, strip_accents \
                       and tokenize_chinese_chars, found another";
        return Err(Error::data(&settings.path, Place::File, problem)
            .hint("remove them, or name the tokenizer_class PreTrainedTokenizerFast, if tokenizer.json says it all"));
    };
    let bert = settings.class == Some(Class::Bert);
    let or = |named: Option<bool>, own: bool| named.unwrap_or(bert || own);
    let wanted = BertNormalizer::new(
        bert || own.clean_text,
        or(settings.chinese, own.handle_chinese_chars),
        settings.strip.or(if bert { None } else { own.strip_accents }),
        or(settings.lower, own.lowercase),
    );
    let effective = |n: &BertNormalizer| {
        (n.lowercase, n.handle_chinese_chars, n.strip_accents.unwrap_or(n.lowercase), n.clean_text)
    };
    if effective(&wanted) == effective(own) {
        return Ok(Vec::new());
    }
    let change = format!("normalizer {:?}", effective(&wanted));
    let tokens: Vec<AddedToken> = inner.get_added_tokens_decoder().into_values().collect();
    audit::check_added(path, Some(&wanted.into()), tokens.iter())?;
    caught(|| inner.with_normalizer(Some(wanted)).map(drop)).map_err(|e| malformed(path, &e))?;
    Ok(vec![change])
}

/// `add_prefix_space` of byte-level tokenizers.
fn pre_tokenizer(inner: &mut Tokenizer, settings: &Settings) -> Result<Vec<String>> {
    let Some(space) = settings.prefix_space else { return Ok(Vec::new()) };
    let own = match inner.get_pre_tokenizer() {
        Some(PreTokenizerWrapper::ByteLevel(level)) => Some(*level),
        _ => None,
    };
    match own {
        Some(level) if level.add_prefix_space == space => Ok(Vec::new()),
        Some(level) if matches!(settings.class, None | Some(Class::Roberta)) => {
            inner.with_pre_tokenizer(Some(level.add_prefix_space(space)));
            Ok(vec![format!("add_prefix_space {space}")])
        }
        // BERT's class does not know the option, and others have no such space to leave out.
        None if settings.class == Some(Class::Bert) || !space => Ok(Vec::new()),
        _ => {
            let problem = format!("\"add_prefix_space\": {space} contradicts tokenizer.json");
            Err(Error::data(&settings.path, Place::File, problem)
                .hint("make the two say the same, as the model was trained"))
        }
    }
}

/// Where a class builds a tokenizer of its own, names and file must be of one mind.
fn same_specials(path: &Path, inner: &Tokenizer, settings: &Settings) -> Result<()> {
    if !matches!(settings.class, Some(Class::Bert | Class::Roberta)) {
        return Ok(());
    }
    let differ = |name: &str, named: &str, own: &str| {
        let problem = format!("expected the {name} {own:?} of tokenizer.json, found {named:?}");
        Err(Error::data(&settings.names_path, Place::File, problem)
            .hint("make the two say the same, as the model was trained"))
    };
    if let (ModelWrapper::WordPiece(model), Some(unk)) =
        (inner.get_model(), settings.named("unk_token"))
        && unk != model.unk_token
    {
        return differ("unk_token", unk, &model.unk_token);
    }
    let Some(processor) = inner.get_post_processor() else { return Ok(()) };
    let (cls, sep) = match processor {
        PostProcessorWrapper::Bert(p) => (p.get_cls_copy().0, p.get_sep_copy().0),
        PostProcessorWrapper::Roberta(p) => (p.get_cls_copy().0, p.get_sep_copy().0),
        PostProcessorWrapper::Template(_) => match audit::around(path, processor)? {
            Some(pair) => pair,
            None => return Ok(()),
        },
        _ => return Ok(()),
    };
    for (name, own) in [("cls_token", cls), ("sep_token", sep)] {
        if let Some(named) = settings.named(name).filter(|named| *named != own) {
            return differ(name, named, &own);
        }
    }
    Ok(())
}

/// Adds the tokens that settings name, and finds special tokens in texts or not.
pub(super) fn tokens(inner: &mut Tokenizer, settings: &Settings) -> Result<Vec<String>> {
    let path = &settings.names_path;
    let known = inner.get_added_tokens_decoder();
    let has = |content: &str| known.values().find(|token| token.content == content);
    let mut new: Vec<AddedToken> = Vec::new();
    for token in settings.added.values() {
        if has(&token.content) != Some(token) {
            new.push(token.clone());
        }
    }
    for token in settings.specials() {
        let is_new = |other: &AddedToken| other.content == token.content;
        if has(&token.content).is_none() && !new.iter().any(is_new) {
            new.push(token.clone());
        }
    }
    let kept = known.values().filter(|old| !new.iter().any(|token| token.content == old.content));
    audit::check_added(path, inner.get_normalizer(), kept.chain(&new))?;
    let mut changes: Vec<String> = new.iter().map(|token| format!("added {token:?}")).collect();
    if !new.is_empty() {
        caught(|| inner.add_tokens(new)).map_err(|e| malformed(path, &e))?;
    }
    for (&id, token) in &settings.added {
        audit::require_id(&settings.added_path, inner, id, &token.content)?;
    }
    if settings.split_specials {
        inner.set_encode_special_tokens(true);
        changes.push("split_special_tokens true".into());
    }
    Ok(changes)
}
