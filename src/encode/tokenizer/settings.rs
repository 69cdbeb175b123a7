//! What lies beside a tokenizer and changes its tokens: `tokenizer_config.json`,
//! `special_tokens_map.json`, `added_tokens.json`, read as transformers 5 reads them.
//!
//! Options that change no token of a text that is not padded are listed; any other is refused by its
//! name, and so is a class whose tokens we do not know.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::super::info;
use crate::error::{Error, Place, Result, foreign};

/// Options that do not matter here: padding, what is decoded, where a file came from; lengths are
/// `--max-length`'s (or read elsewhere).
const HARMLESS: [&str; 43] = [
    "_commit_hash",
    "_from_auto",
    "backend",
    "chat_template",
    "clean_up_tokenization_spaces",
    "device",
    "errors",
    "fix_mistral_regex",
    "full_tokenizer_file",
    "init_inputs",
    "is_local",
    "language",
    "legacy",
    "local_files_only",
    "max_len",
    "max_length",
    "merges_file",
    "model_input_names",
    "model_max_length",
    "model_type",
    "name_or_path",
    "pad_to_multiple_of",
    "pad_token_id",
    "pad_token_type_id",
    "padding",
    "padding_side",
    "processor_class",
    "return_tensors",
    "return_token_type_ids",
    "revision",
    "sp_model_kwargs",
    "special_tokens_map_file",
    "stride",
    "tokenizer_file",
    "transformers_version",
    "trim_offsets",
    "truncation",
    "truncation_strategy",
    "trust_remote_code",
    "use_fast",
    "verbose",
    "vocab_file",
    "vocab_size",
];

/// Options of transformers' old tokenizers in Python, with the only value that the new ones have,
/// too: whichever of the two a model was trained with, its tokens are ours.
const FIXED: [(&str, &str); 5] = [
    ("do_basic_tokenize", "true"),
    ("never_split", "[]"),
    ("clean_text", "true"),
    ("wordpieces_prefix", "\"##\""),
    ("max_input_chars_per_word", "100"),
];

/// What transformers does with a tokenizer, by its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Builds BERT's normalizer from the options, whatever `tokenizer.json` says.
    Bert,
    /// Builds RoBERTa's byte-level pre-tokenizer from the options.
    Roberta,
    /// Takes `tokenizer.json` as it is.
    File,
}

/// A special token by name.
#[derive(Debug, Clone, Default, PartialEq)]
enum Named {
    #[default]
    Absent,
    /// `null`: there is none.
    Null,
    Token(AddedToken),
}

/// The settings of one directory; by default transformers' defaults.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// The file that most of this is from, for errors.
    pub path: PathBuf,
    /// Nothing if no class is named.
    pub class: Option<Class>,
    /// Its name.
    class_name: String,
    /// The file that names it.
    pub class_path: PathBuf,
    /// `do_lower_case`
    pub lower: Option<bool>,
    /// `strip_accents`; none means as `lower`.
    pub strip: Option<bool>,
    /// `tokenize_chinese_chars`
    pub chinese: Option<bool>,
    /// `add_prefix_space`
    pub prefix_space: Option<bool>,
    /// Whether `truncation_side` is left, if it is named.
    pub left: Option<bool>,
    /// `split_special_tokens`
    pub split_specials: bool,
    /// `add_bos_token` or `add_eos_token`, which rebuild a post-processor.
    pub ends: Option<&'static str>,
    /// Tokens by name: `unk_token` and the like.
    named: BTreeMap<String, Named>,
    /// Further special tokens, in order.
    extra: Vec<AddedToken>,
    /// Tokens with ids: `added_tokens_decoder` or `added_tokens.json`.
    pub added: BTreeMap<u32, AddedToken>,
    /// The file that gives them.
    pub added_path: PathBuf,
    /// The last file that names special tokens.
    pub names_path: PathBuf,
}

/// Special tokens by name, in the order in which transformers gives new ids.
const NAMES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

const EXTRA: &str = "extra_special_tokens";

/// BERT's own names for those that it has.
const BERT: [(&str, &str); 5] = [
    ("pad_token", "[PAD]"),
    ("unk_token", "[UNK]"),
    ("cls_token", "[CLS]"),
    ("sep_token", "[SEP]"),
    ("mask_token", "[MASK]"),
];

impl Settings {
    /// Reads the files in `dir`; those that are missing say nothing.
    ///
    /// # Errors
    /// A malformed file; an option or class that we do not know, or whose tokens are not ours.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join("tokenizer_config.json");
        let mut settings =
            Settings { added_path: path.clone(), names_path: path.clone(), ..Settings::default() };
        settings.path = path.clone();
        let config = object(&path)?.unwrap_or_default();
        for (key, value) in config.iter().filter(|(_, value)| !value.is_null()) {
            settings.option(&path, key, value)?;
        }
        settings.tokens(&path, &config)?;
        // Newer files hold the tokens themselves, and transformers looks at no others then.
        if config.get("added_tokens_decoder").is_none_or(Value::is_null) {
            let map = dir.join("special_tokens_map.json");
            if let Some(tokens) = object(&map)? {
                for (key, value) in tokens.iter().filter(|(_, value)| !value.is_null()) {
                    settings.option(&map, key, value)?;
                }
                settings.tokens(&map, &tokens)?;
            }
            settings.old_added(&dir.join("added_tokens.json"))?;
        }
        if settings.class.is_none() {
            settings.class_of_model(&dir.join("config.json"))?;
        }
        Ok(settings)
    }

    fn option(&mut self, path: &Path, key: &str, value: &Value) -> Result<()> {
        let flag = || value.as_bool().ok_or_else(|| wrong(path, key, "true, false or null", value));
        let found = value.to_string();
        match key {
            "tokenizer_class" => {
                self.name_class(path, value)?;
            }
            "do_lower_case" => self.lower = Some(flag()?),
            "strip_accents" => self.strip = Some(flag()?),
            "tokenize_chinese_chars" => self.chinese = Some(flag()?),
            "add_prefix_space" => self.prefix_space = Some(flag()?),
            "split_special_tokens" => self.split_specials = flag()?,
            "add_bos_token" => self.ends = flag().map(|_| Some("add_bos_token"))?,
            "add_eos_token" => self.ends = flag().map(|_| Some("add_eos_token"))?,
            "truncation_side" => match value.as_str() {
                Some("left") => self.left = Some(true),
                Some("right") => self.left = Some(false),
                _ => return Err(wrong(path, key, "\"left\" or \"right\"", value)),
            },
            "auto_map" => {
                let problem =
                    "expected a tokenizer of transformers, found one of its own code (auto_map)";
                return Err(
                    Error::data(path, Place::File, problem).hint("code of a model is not run")
                );
            }
            _ if is_token(key, value) || HARMLESS.contains(&key) => (),
            _ => match FIXED.iter().find(|(name, _)| *name == key) {
                Some((_, only)) if found == *only => (),
                Some((_, only)) => {
                    return Err(wrong(path, key, only, value).hint(
                        "transformers' tokenizers in Python obey another value and those in Rust \
                         do not: remove it if the model was trained with the latter",
                    ));
                }
                None => {
                    let problem = format!("the option {key:?} is not known, and may change tokens");
                    return Err(
                        Error::data(path, Place::File, problem).hint("remove it if it does not")
                    );
                }
            },
        }
        Ok(())
    }

    /// Takes the special tokens of a file; what it names replaces what another named.
    fn tokens(&mut self, path: &Path, file: &Map<String, Value>) -> Result<()> {
        let (mut own, mut list) = (Vec::new(), Vec::new());
        for (key, value) in file {
            let one =
                |value: &Value| token(value).ok_or_else(|| wrong(path, key, "a token", value));
            match (key.as_str(), value) {
                (name, Value::Null) if NAMES.contains(&name) => {
                    self.named.insert(name.to_owned(), Named::Null);
                }
                (_, Value::Null) => (),
                (name, value) if NAMES.contains(&name) => {
                    self.named.insert(name.to_owned(), Named::Token(one(value)?));
                }
                ("added_tokens_decoder", value) => self.with_ids(path, key, value)?,
                (EXTRA | "model_specific_special_tokens", Value::Object(tokens)) => {
                    own.extend(tokens.values().map(one).collect::<Result<Vec<_>>>()?);
                }
                // Both names of one list; the newer, which comes later here, is the one that counts.
                ("additional_special_tokens" | EXTRA, Value::Array(values)) => {
                    let tokens = values.iter().map(one).collect::<Result<Vec<_>>>()?;
                    list = if tokens.is_empty() { list } else { tokens };
                }
                (_, value) if is_token(key, value) => own.push(one(value)?),
                _ => (),
            }
        }
        if !file.is_empty() {
            self.names_path = path.to_owned();
        }
        self.extra.extend(own.into_iter().chain(list));
        Ok(())
    }

    /// `{id: token}`
    fn with_ids(&mut self, path: &Path, key: &str, value: &Value) -> Result<()> {
        let tokens = value.as_object().ok_or_else(|| wrong(path, key, "{id: token, …}", value))?;
        for (id, value) in tokens {
            let id = id.parse().map_err(|_| wrong(path, key, "ids", &Value::from(id.as_str())))?;
            let added = added(value).ok_or_else(|| wrong(path, key, "tokens", value))?;
            self.added.insert(id, added);
        }
        Ok(())
    }

    /// `{token: id}`; those that are special tokens by name are found as they are.
    fn old_added(&mut self, path: &Path) -> Result<()> {
        let Some(file) = object(path)? else { return Ok(()) };
        let special: BTreeSet<&str> = self.specials().map(|token| token.content.as_str()).collect();
        let mut added = BTreeMap::new();
        for (token, value) in file {
            let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
            let id = id.ok_or_else(|| wrong(path, &token, "an id", &value))?;
            let special = special.contains(token.as_str());
            added.insert(id, AddedToken::from(token, special));
        }
        self.added.extend(added);
        self.added_path = path.to_owned();
        Ok(())
    }

    /// `config.json` names a class where the tokenizer's own file does not.
    fn class_of_model(&mut self, path: &Path) -> Result<()> {
        if !path.is_file() {
            return Ok(());
        }
        // What else is wrong with the file is said where the model is read.
        let config: Value = serde_json::from_slice(&info::read_json(path)?).unwrap_or_default();
        if let Some(value) = config.get("tokenizer_class").filter(|value| !value.is_null()) {
            self.name_class(path, value)?;
        }
        Ok(())
    }

    fn name_class(&mut self, path: &Path, value: &Value) -> Result<()> {
        self.class = Some(class(path, "tokenizer_class", value)?);
        self.class_name = value.as_str().unwrap_or_default().to_owned();
        self.class_path = path.to_owned();
        Ok(())
    }

    /// The class that is named, and the kind of model that it has, if it has one only.
    pub fn class_and_model(&self) -> (&str, Option<&'static str>) {
        let model = match self.class {
            Some(Class::Bert) => Some("WordPiece"),
            Some(Class::Roberta) => Some("BPE"),
            Some(Class::File) if self.class_name.starts_with("XLMRoberta") => Some("Unigram"),
            Some(Class::File) | None => None,
        };
        (&self.class_name, model)
    }

    /// The token for a text's unknown words.
    pub fn unk(&self) -> &str {
        self.bert("unk_token")
    }

    /// The token before a text.
    pub fn cls(&self) -> &str {
        self.bert("cls_token")
    }

    /// The token after a text.
    pub fn sep(&self) -> &str {
        self.bert("sep_token")
    }

    /// The token that is called `name`, as BERT calls it if nothing is said.
    fn bert(&self, name: &str) -> &str {
        match self.named.get(name) {
            Some(Named::Token(token)) => &token.content,
            _ => BERT.iter().find(|(n, _)| *n == name).map_or("", |(_, token)| token),
        }
    }

    /// The token that a file calls `name`.
    pub fn named(&self, name: &str) -> Option<&str> {
        match self.named.get(name) {
            Some(Named::Token(token)) => Some(&token.content),
            _ => None,
        }
    }

    /// BERT's special tokens, where a file does not say that there is none.
    pub fn bert_specials(&self) -> impl Iterator<Item = &str> {
        let named =
            BERT.into_iter().filter(|(name, _)| self.named.get(*name) != Some(&Named::Null));
        named.map(|(name, _)| self.bert(name))
    }

    /// Special tokens that a file names, in the order in which new ones get ids.
    pub fn specials(&self) -> impl Iterator<Item = &AddedToken> {
        let named = NAMES.into_iter().filter_map(|name| match self.named.get(name) {
            Some(Named::Token(token)) => Some(token),
            _ => None,
        });
        named.chain(&self.extra)
    }
}

/// The object in a file of JSON; nothing if there is no file.
fn object(path: &Path) -> Result<Option<Map<String, Value>>> {
    if !path.is_file() {
        return Ok(None);
    }
    // null says nothing, as it does in a field.
    serde_json::from_slice(&info::read_json(path)?).map_err(|e| {
        let place = Place::Line(e.line() as u64);
        Error::data(
            path,
            place,
            format!("expected the settings of a tokenizer, found {}", foreign(e)),
        )
    })
}

fn wrong(path: &Path, key: &str, expected: &str, found: &Value) -> Error {
    Error::data(path, Place::File, format!("expected {expected} for {key:?}, found {found}"))
}

fn class(path: &Path, key: &str, value: &Value) -> Result<Class> {
    let name = value.as_str().ok_or_else(|| wrong(path, key, "a class", value))?;
    match name.strip_suffix("Fast").unwrap_or(name) {
        "BertTokenizer" | "DistilBertTokenizer" | "ElectraTokenizer" | "MobileBertTokenizer" => {
            Ok(Class::Bert)
        }
        "RobertaTokenizer" | "GPT2Tokenizer" => Ok(Class::Roberta),
        "PreTrainedTokenizer" | "TokenizersBackend" | "XLMRobertaTokenizer" => Ok(Class::File),
        _ => {
            let problem = format!("the tokenizer class {name:?} is not known");
            Err(Error::data(path, Place::File, problem).hint(
                "known are BertTokenizer, DistilBertTokenizer, ElectraTokenizer, \
                 MobileBertTokenizer, RobertaTokenizer, GPT2Tokenizer, XLMRobertaTokenizer and \
                 PreTrainedTokenizerFast; name the last if tokenizer.json says it all",
            ))
        }
    }
}

/// Whether an option names a special token, under a name that files may invent.
fn is_token(key: &str, value: &Value) -> bool {
    const LISTS: [&str; 4] = [
        "added_tokens_decoder",
        "additional_special_tokens",
        "extra_special_tokens",
        "model_specific_special_tokens",
    ];
    LISTS.contains(&key) || NAMES.contains(&key) || (key.ends_with("_token") && value.is_string())
}

/// A special token, as its text or with its flags.
fn token(value: &Value) -> Option<AddedToken> {
    match value {
        Value::String(content) => Some(AddedToken::from(content.as_str(), true)),
        _ => added(value).map(|token| token.special(true)),
    }
}

/// A token with its flags; those that are left out are Python's defaults.
fn added(value: &Value) -> Option<AddedToken> {
    let token = value.as_object()?;
    let flag = |name: &str, default: bool| match token.get(name) {
        None | Some(Value::Null) => Some(default),
        Some(value) => value.as_bool(),
    };
    let special = flag("special", false)?;
    Some(AddedToken {
        content: token.get("content")?.as_str()?.to_owned(),
        single_word: flag("single_word", false)?,
        lstrip: flag("lstrip", false)?,
        rstrip: flag("rstrip", false)?,
        normalized: flag("normalized", !special)?,
        special,
    })
}
