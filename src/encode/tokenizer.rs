//! Text to token ids, as the model was trained to see it.

use std::path::{Path, PathBuf};

use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, Encoding, Tokenizer, TruncationParams};

use super::cut;
use crate::error::{Error, Place, Result};
use crate::vectors::TokenTable;

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
}

impl TextTokenizer {
    /// Reads `tokenizer.json`, or else builds BERT's tokenizer from `vocab.txt`
    /// (`tokenizer_config.json` may say `"do_lower_case": false`).
    ///
    /// `max_length` counts special tokens; at least 3.
    pub fn load(dir: &Path, max_length: usize) -> Result<Self> {
        if max_length < 3 {
            let problem = format!("--max-length must be at least 3, found {max_length}");
            return Err(Error::Usage(problem));
        }
        let (json, vocabulary) = (dir.join("tokenizer.json"), dir.join("vocab.txt"));
        let (path, bytes, mut inner) = if json.exists() {
            let bytes = super::info::read(&json)?;
            let inner = Tokenizer::from_bytes(&bytes).map_err(|e| malformed(&json, &e))?;
            (json, bytes, inner)
        } else if vocabulary.exists() {
            let bytes = super::info::read(&vocabulary)?;
            let inner = from_vocabulary(dir, &vocabulary, &bytes)?;
            (vocabulary, bytes, inner)
        } else {
            let problem = "expected tokenizer.json or vocab.txt in the model directory, found none";
            return Err(Error::data(dir, Place::File, problem)
                .hint("copy it from where the model comes from"));
        };
        let truncation = TruncationParams { max_length, ..TruncationParams::default() };
        inner.with_truncation(Some(truncation)).map_err(|e| malformed(&path, &e))?;
        inner.with_padding(None);
        let tokens = token_table(&path, &inner)?;
        let digest = blake3::hash(&bytes).to_hex().to_string();
        let first = cut::keeps_tokens(&inner).then(|| max_length.saturating_mul(FIRST_BYTES));
        Ok(TextTokenizer { inner, path, digest, tokens, first })
    }

    /// The token strings by id.
    pub fn tokens(&self) -> &TokenTable {
        &self.tokens
    }

    /// blake3 of the file the tokenizer came from, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The file the tokenizer came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ids of `text` with special tokens, cut at the maximum length.
    pub fn encode(&self, text: &str) -> Result<TokenIds> {
        let encoding = self.first_tokens(text, true)?;
        Ok(TokenIds {
            truncated: !encoding.get_overflowing().is_empty(),
            // Byte-level tokenizers make tokens of white space, too.
            has_content: encoding.get_special_tokens_mask().contains(&0) && !text.trim().is_empty(),
            ids: encoding.get_ids().to_vec(),
        })
    }

    /// Distinct word pieces of `text` in order of first appearance, without special tokens.
    pub fn distinct_pieces(&self, text: &str) -> Result<TokenIds> {
        let encoding = self.first_tokens(text, false)?;
        let mut ids = Vec::new();
        for &id in encoding.get_ids() {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let truncated = !encoding.get_overflowing().is_empty();
        Ok(TokenIds { has_content: !ids.is_empty(), truncated, ids })
    }

    /// The text's tokens up to the limit. Overflowing, if the text has more: of a long text,
    /// then, only a part is tokenized, the smallest of doubling ones that overflows.
    fn first_tokens(&self, text: &str, specials: bool) -> Result<Encoding> {
        let encode = |text: &str| {
            self.inner.encode_fast(text, specials).map_err(|e| malformed(&self.path, &e))
        };
        let mut at_least = self.first.unwrap_or(usize::MAX);
        while let Some(end) = cut::before_space(text, at_least) {
            let encoding = encode(&text[..end])?;
            if !encoding.get_overflowing().is_empty() {
                return Ok(encoding);
            }
            at_least = 2 * end;
        }
        encode(text)
    }
}

fn malformed(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::data(path, Place::File, format!("expected a tokenizer, found: {error}"))
}

/// Tokens that BERT's tokenizer finds in a text as they are, whatever it makes of signs and
/// case; a list of pieces may leave out those that it can do without.
const BERT_SPECIALS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// BERT's tokenizer over a word-piece list, one piece a line.
fn from_vocabulary(dir: &Path, path: &Path, bytes: &[u8]) -> Result<Tokenizer> {
    let pieces = WordPiece::read_bytes(bytes).map_err(|e| malformed(path, &e))?;
    let special = |token: &str| match pieces.get(token) {
        Some(&id) => Ok((token.to_owned(), id)),
        None => Err(Error::data(path, Place::File, format!("expected a line {token}, found none"))),
    };
    let (cls, sep, _) = (special("[CLS]")?, special("[SEP]")?, special("[UNK]")?);
    let specials = BERT_SPECIALS.into_iter().filter(|&token| pieces.contains_key(token));
    let specials: Vec<AddedToken> = specials.map(|token| AddedToken::from(token, true)).collect();
    let model = WordPiece::builder()
        .vocab(pieces)
        .unk_token("[UNK]".into())
        .build()
        .map_err(|e| malformed(path, &e))?;
    let mut tokenizer = Tokenizer::new(model);
    let normalizer = BertNormalizer::new(true, true, None, lower_cases(dir)?);
    tokenizer.with_normalizer(Some(normalizer)).map_err(|e| malformed(path, &e))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_post_processor(Some(BertProcessing::new(sep, cls)));
    tokenizer.add_special_tokens(specials).map_err(|e| malformed(path, &e))?;
    Ok(tokenizer)
}

/// `do_lower_case` of `tokenizer_config.json`; true if the file or the field is missing.
fn lower_cases(dir: &Path) -> Result<bool> {
    let path = dir.join("tokenizer_config.json");
    if !path.exists() {
        return Ok(true);
    }
    let config: serde_json::Value =
        serde_json::from_slice(&super::info::read(&path)?).map_err(|e| malformed(&path, &e))?;
    Ok(config.get("do_lower_case").and_then(|v| v.as_bool()).unwrap_or(true))
}

fn token_table(path: &Path, tokenizer: &Tokenizer) -> Result<TokenTable> {
    let mut pairs: Vec<(u32, String)> =
        tokenizer.get_vocab(true).into_iter().map(|(token, id)| (id, token)).collect();
    pairs.sort_unstable();
    if let Some((i, (id, token))) = pairs.iter().enumerate().find(|(i, (id, _))| *i as u32 != *id) {
        let problem = format!("expected token ids 0, 1, 2, …, found {token:?} with id {id} at {i}");
        return Err(Error::data(path, Place::File, problem));
    }
    Ok(TokenTable::from_tokens(pairs.into_iter().map(|(_, token)| token)))
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
        assert_eq!(t, TokenIds { ids: vec![2, 4, 5, 6, 1, 3], truncated: true, has_content: true });
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
    fn what_is_missing_is_named() {
        let empty = tempfile::tempdir().unwrap();
        let e = TextTokenizer::load(empty.path(), 6).err().unwrap().to_string();
        assert!(e.contains("expected tokenizer.json or vocab.txt in the model directory"), "{e}");
        let e = TextTokenizer::load(dir("[PAD]\n[CLS]\n").path(), 6).err().unwrap().to_string();
        assert!(e.ends_with("expected a line [SEP], found none"), "{e}");
        let e = TextTokenizer::load(empty.path(), 2).err().unwrap().to_string();
        assert_eq!(e, "--max-length must be at least 3, found 2");
    }
}
