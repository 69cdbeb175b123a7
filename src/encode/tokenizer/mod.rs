//! Text to token ids, as the model was trained to see it.
//!
//! ```text
//! tokenizer.json ─► audit::read ────┐
//! vocab.txt ──────► vocabulary ─────┴─► apply (settings) ─► audit::tokens ─► TextTokenizer
//! tokenizer_config.json … ─► settings ──┘
//! ```
//!
//! What bounds the time of a regular expression in `tokenizer.json`: parts without look-around and
//! back references run in linear time; for the others the crate's engine gives up a match after
//! 1,000,000 steps back, and the crate then leaves the rest of that text in one piece. So no text
//! hangs, and only a hostile expression ever gets there: GPT-2's, with its one look-ahead, steps back
//! once for each run of white space.

use std::path::{Path, PathBuf};

use tokenizers::{Encoding, Tokenizer, TruncationDirection, TruncationParams};

use self::caught::caught;
use self::settings::{Class, Settings};
use super::cut;
use crate::error::{Error, Place, Result, foreign};
use crate::vectors::TokenTable;

mod apply;
mod audit;
mod caught;
mod settings;
mod vocabulary;

#[cfg(test)]
mod audit_tests;
#[cfg(test)]
mod settings_tests;

/// Bytes of a text that are tokenized first, for each token that is kept. Word pieces of
/// English take 5 with their space, so texts that are cut are nearly always cut here.
const FIRST_BYTES: usize = 16;

/// A model's tokenizer with its own truncation length and no padding, whatever
/// `tokenizer.json` says about either.
pub struct TextTokenizer {
    inner: Tokenizer,
    path: PathBuf,
    digest: String,
    tokens: TokenTable,
    /// Bytes of a text that are tokenized first, to see whether they give all the tokens
    /// that are kept; none where texts must be tokenized whole.
    first: Option<usize>,
}

/// Token ids of one text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenIds {
    /// Ids with the model's special tokens around them.
    pub ids: Vec<u32>,
    /// Whether the text was longer than the limit.
    pub truncated: bool,
    /// Whether there is anything but special tokens.
    pub has_content: bool,
    /// Which of the text's [parts](TextTokenizer::parts) gave them; their number for the whole text.
    pub part: usize,
}

impl TextTokenizer {
    /// Reads `tokenizer.json`, or else builds BERT's tokenizer from `vocab.txt`, with the settings
    /// of `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json` beside it.
    ///
    /// `max_length` counts special tokens; at least 3.
    ///
    /// # Errors
    /// A missing, malformed or inconsistent file; a class or an option that is not known.
    pub fn load(dir: &Path, max_length: usize) -> Result<Self> {
        if max_length < 3 {
            let problem = format!("`max_length` must be at least 3, found {max_length}");
            return Err(Error::Usage(problem));
        }
        let (json, vocabulary) = (dir.join("tokenizer.json"), dir.join("vocab.txt"));
        let (path, from_json) = match (json.exists(), vocabulary.exists()) {
            (true, _) => (json, true),
            (false, true) => (vocabulary, false),
            (false, false) => {
                let problem =
                    "expected tokenizer.json or vocab.txt in the model directory, found none";
                return Err(Error::data(dir, Place::File, problem)
                    .hint("copy it from where the model comes from"));
            }
        };
        let bytes = match from_json {
            true => super::info::read_json(&path)?,
            false => super::info::read_list(&path)?,
        };
        let settings = Settings::read(dir)?;
        let (mut inner, mut changes) = match from_json {
            true => {
                let mut inner = audit::read(&path, &bytes)?;
                let changes = apply::to_file(&path, &mut inner, &settings)?;
                (inner, changes)
            }
            false => {
                require_bert(&settings)?;
                (vocabulary::tokenizer(&path, &bytes, &settings)?, apply::of_vocabulary(&settings))
            }
        };
        changes.extend(apply::tokens(&mut inner, &settings)?);
        truncate(&mut inner, &settings, max_length, &mut changes)?;
        let tokens = audit::tokens(&path, &inner)?;
        let whole =
            inner.get_truncation().is_some_and(|t| t.direction == TruncationDirection::Left);
        let cuts = !whole && cut::keeps_tokens(&inner);
        let first = cuts.then(|| max_length.saturating_mul(FIRST_BYTES));
        Ok(TextTokenizer { inner, path, digest: digest(&bytes, &changes), tokens, first })
    }

    /// The token strings by id.
    pub fn tokens(&self) -> &TokenTable {
        &self.tokens
    }

    /// blake3 of the file the tokenizer came from and of what settings change in it, in
    /// hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The file the tokenizer came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ids of `text` with special tokens, cut at the maximum length.
    pub fn encode(&self, text: &str) -> Result<TokenIds> {
        let (encoding, part) = self.first_tokens(text, true)?;
        Ok(TokenIds {
            part,
            truncated: !encoding.get_overflowing().is_empty(),
            // Byte-level tokenizers make tokens of white space, too.
            has_content: encoding.get_special_tokens_mask().contains(&0) && !text.trim().is_empty(),
            ids: encoding.get_ids().to_vec(),
        })
    }

    /// Distinct word pieces of `text` in order of first appearance, without special tokens.
    pub fn distinct_pieces(&self, text: &str) -> Result<TokenIds> {
        let (encoding, part) = self.first_tokens(text, false)?;
        let mut ids = Vec::new();
        for &id in encoding.get_ids() {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let truncated = !encoding.get_overflowing().is_empty();
        Ok(TokenIds { has_content: !ids.is_empty(), truncated, part, ids })
    }

    fn failed(&self, text: &str, error: &str) -> Error {
        let start: String = text.chars().take(40).collect();
        let problem = format!("expected tokens of the text that begins {start:?}, found: {error}");
        Error::data(&self.path, Place::File, problem)
            .hint("the tokenizer cannot read this text: take it out, or change it")
    }

    /// Ends of the parts of a long text that are tokenized before it is tokenized whole: the first
    /// part with more tokens than are kept decides its tokens. Empty for texts that are short, or
    /// that must be tokenized whole.
    pub fn parts<'t>(&self, text: &'t str) -> impl Iterator<Item = usize> + use<'t> {
        let next = |at_least: usize| cut::before_space(text, at_least);
        let first = next(self.first.unwrap_or(usize::MAX));
        std::iter::successors(first, move |end| next(2 * end))
    }

    /// The text's tokens up to the limit, and which of its parts gave them. Overflowing, if the text
    /// has more: of a long text, then, only a part is tokenized.
    fn first_tokens(&self, text: &str, specials: bool) -> Result<(Encoding, usize)> {
        let encode = |text: &str| {
            caught(|| self.inner.encode_fast(text, specials)).map_err(|e| self.failed(text, &e))
        };
        let mut parts = 0;
        for end in self.parts(text) {
            let encoding = encode(&text[..end])?;
            if !encoding.get_overflowing().is_empty() {
                return Ok((encoding, parts));
            }
            parts += 1;
        }
        Ok((encode(text)?, parts))
    }
}

fn malformed(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::data(path, Place::File, format!("expected a tokenizer, found: {}", foreign(error)))
}

/// A list of word pieces makes BERT's tokenizer only.
fn require_bert(settings: &Settings) -> Result<()> {
    match settings.class {
        None | Some(Class::Bert) => Ok(()),
        Some(_) => {
            let problem = "expected BERT's tokenizer_class for vocab.txt, found another";
            Err(Error::data(&settings.class_path, Place::File, problem)
                .hint("its tokenizer needs the file tokenizer.json"))
        }
    }
}

/// Cuts at our length, whatever the file says of lengths and padding.
fn truncate(
    inner: &mut Tokenizer,
    settings: &Settings,
    max_length: usize,
    changes: &mut Vec<String>,
) -> Result<()> {
    let specials = audit::special_tokens(inner);
    if specials >= max_length {
        let problem = format!(
            "`max_length` must be at least {}, found {max_length}: the tokenizer puts {specials} \
             special tokens around a text",
            specials + 1
        );
        return Err(Error::Usage(problem));
    }
    let own = inner.get_truncation().map(|t| t.direction == TruncationDirection::Left);
    let left = settings.left.or(own).unwrap_or(false);
    if left && own != Some(true) {
        changes.push("truncation_side left".into());
    }
    let direction = if left { TruncationDirection::Left } else { TruncationDirection::Right };
    let truncation = TruncationParams { max_length, direction, ..TruncationParams::default() };
    inner.with_truncation(Some(truncation)).map_err(|e| Error::Internal(e.to_string()))?;
    inner.with_padding(None);
    Ok(())
}

fn digest(bytes: &[u8], changes: &[String]) -> String {
    let mut hash = blake3::Hasher::new();
    hash.update(bytes);
    for change in changes {
        hash.update(change.as_bytes()).update(b"\0");
    }
    hash.finalize().to_hex().to_string()
}

#[cfg(test)]
impl TextTokenizer {
    /// With another number of bytes that are tokenized first; none: whole texts.
    pub(super) fn with_first(mut self, first: Option<usize>) -> Self {
        self.first = first;
        self
    }

    /// Whether long texts are cut.
    pub(super) fn cuts(&self) -> bool {
        self.first.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(vocabulary: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("vocab.txt"), vocabulary).unwrap();
        dir
    }

    const PIECES: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nriver\nflow\n##s\nwater\n";

    #[test]
    fn a_word_list_gives_bert_tokens_cut_at_the_limit() {
        let dir = dir(PIECES);
        let tokenizer = TextTokenizer::load(dir.path(), 6).unwrap();
        let t = tokenizer.encode("River flows: water").unwrap();
        let ids = vec![2, 4, 5, 6, 1, 3];
        assert_eq!(t, TokenIds { ids, truncated: true, has_content: true, part: 0 });
        assert_eq!(tokenizer.tokens().token(6), "##s");
    }

    #[test]
    fn a_text_without_words_has_no_content() {
        let dir = dir(PIECES);
        let tokenizer = TextTokenizer::load(dir.path(), 6).unwrap();
        for text in ["", " \t ", "\u{0}"] {
            let t = tokenizer.encode(text).unwrap();
            assert_eq!((t.ids.len(), t.has_content), (2, false));
        }
    }

    #[test]
    fn pieces_of_a_query_are_distinct() {
        let dir = dir(PIECES);
        let tokenizer = TextTokenizer::load(dir.path(), 16).unwrap();
        let t = tokenizer.distinct_pieces("water flows flow water").unwrap();
        assert_eq!(t.ids, [7, 5, 6]);
    }

    #[test]
    fn case_is_kept_where_the_model_says_so() {
        let dir = dir(PIECES);
        let config = r#"{"do_lower_case": false}"#;
        std::fs::write(dir.path().join("tokenizer_config.json"), config).unwrap();
        let tokenizer = TextTokenizer::load(dir.path(), 6).unwrap();
        assert_eq!(tokenizer.encode("River").unwrap().ids, [2, 1, 3]);
    }

    #[test]
    fn special_tokens_in_a_text_are_themselves_as_with_tokenizer_json() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/goldens/distilbert");
        let json = TextTokenizer::load(&golden, 32).unwrap();
        let list: Vec<&str> =
            (0..json.tokens().len() as u32).map(|id| json.tokens().token(id)).collect();
        let dir = dir(&(list.join("\n") + "\n"));
        let plain = TextTokenizer::load(dir.path(), 32).unwrap();
        let mask = json.tokens().get("[MASK]").unwrap();
        assert!(plain.encode("the [MASK] flows").unwrap().ids.contains(&mask));
        for text in [
            "the [MASK] flows",
            "[CLS] river[SEP]sea [PAD]",
            "[UNK][unk] [ MASK ] [mask]",
            "[MASK]",
            "River flows, naïve",
        ] {
            assert_eq!(plain.encode(text).unwrap(), json.encode(text).unwrap(), "{text}");
            assert_eq!(plain.distinct_pieces(text).unwrap(), json.distinct_pieces(text).unwrap());
        }
    }

    #[test]
    fn a_word_list_is_read_as_python_reads_it() {
        let of = |list: &str| TextTokenizer::load(dir(list).path(), 6);
        let windows = of(&(PIECES.replace('\n', "\r\n") + "\r\n\r\n")).unwrap();
        assert_eq!(windows.tokens().len(), 8, "empty lines at the end are no tokens");
        assert_eq!(windows.encode("river").unwrap().ids, [2, 4, 3]);
        let wide = of(&PIECES.replace("water", "water\u{3000}")).unwrap();
        assert_eq!(wide.tokens().token(7), "water\u{3000}", "white space is part of a piece");
        let e = |list: &str| of(list).err().unwrap().to_string();
        let twice = e(&format!("{PIECES}river\n"));
        assert!(
            twice.contains("vocab.txt:9: expected a new token, found \"river\" of line 5 again")
        );
        assert!(e(&format!("\u{FEFF}{PIECES}")).contains("vocab.txt:1: expected the first token"));
        assert!(
            e(&PIECES.replace("\nflow\n", "\rflow\n")).contains("vocab.txt:5: expected one token")
        );
        assert!(e("").ends_with("expected a line [CLS], found none"));
        assert!(e(&PIECES.replace("[UNK]", "x")).ends_with("expected a line [UNK], found none"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let empty = tempfile::tempdir().unwrap();
        let e = TextTokenizer::load(empty.path(), 6).err().unwrap().to_string();
        assert!(e.contains("expected tokenizer.json or vocab.txt in the model directory"), "{e}");
        let e = TextTokenizer::load(dir("[PAD]\n[CLS]\n").path(), 6).err().unwrap().to_string();
        assert!(e.ends_with("expected a line [SEP], found none"), "{e}");
        let e = TextTokenizer::load(empty.path(), 2).err().unwrap().to_string();
        assert_eq!(e, "`max_length` must be at least 3, found 2");
    }
}
