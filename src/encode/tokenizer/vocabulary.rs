//! BERT's tokenizer from `vocab.txt`: a word-piece list, one piece a line.

use std::path::Path;

use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, Tokenizer};

use super::malformed;
use super::settings::Settings;
use crate::error::{Error, Place, Result};

/// BERT's tokenizer over the pieces of `bytes`, as transformers' `BertTokenizer` makes it.
pub(super) fn tokenizer(path: &Path, bytes: &[u8], settings: &Settings) -> Result<Tokenizer> {
    // The crate does not name its map's type.
    let mut pieces = WordPiece::read_bytes(b"").map_err(|e| malformed(path, &e))?;
    for (id, piece) in lines(path, bytes)?.into_iter().enumerate() {
        if let Some(first) = pieces.insert(piece.to_owned(), id as u32) {
            let problem =
                format!("expected a new token, found {piece:?} of line {} again", first + 1);
            return Err(Error::data(path, Place::Line(id as u64 + 1), problem)
                .hint("a token has one id, and its id is its line"));
        }
    }
    let special = |token: &str| match pieces.get(token) {
        Some(&id) => Ok((token.to_owned(), id)),
        None => Err(Error::data(path, Place::File, format!("expected a line {token}, found none"))),
    };
    let (cls, sep) = (special(settings.cls())?, special(settings.sep())?);
    let (unk, _) = special(settings.unk())?;
    // Found in a text as they are. A list may leave out those that it can do without.
    let found = settings.bert_specials().filter(|token| pieces.contains_key(*token));
    let found: Vec<AddedToken> = found.map(|token| AddedToken::from(token, true)).collect();
    let model = WordPiece::builder().vocab(pieces).unk_token(unk).build();
    let mut tokenizer = Tokenizer::new(model.map_err(|e| malformed(path, &e))?);
    let (lower, chinese) = (settings.lower.unwrap_or(true), settings.chinese.unwrap_or(true));
    let normalizer = BertNormalizer::new(true, chinese, settings.strip, lower);
    tokenizer.with_normalizer(Some(normalizer)).map_err(|e| malformed(path, &e))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_post_processor(Some(BertProcessing::new(sep, cls)));
    tokenizer.add_special_tokens(found).map_err(|e| malformed(path, &e))?;
    Ok(tokenizer)
}

/// The pieces as Python's readlines gives them: white space other than the line's end belongs to a
/// piece. Empty lines at the end, which no text can give, are no pieces.
fn lines<'b>(path: &Path, bytes: &'b [u8]) -> Result<Vec<&'b str>> {
    let at =
        |line: usize, problem: String| Error::data(path, Place::Line(line as u64 + 1), problem);
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(at(0, "expected the first token, found a byte order mark".into())
            .hint("remove the file's first three bytes"));
    }
    let mut lines = Vec::new();
    for (i, line) in bytes.split(|&b| b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let piece = std::str::from_utf8(line).map_err(|_| {
            at(i, format!("expected UTF-8, found {:?}", String::from_utf8_lossy(line)))
        })?;
        if piece.contains('\r') {
            return Err(at(i, format!("expected one token a line, found {piece:?}"))
                .hint("end lines with a line feed"));
        }
        lines.push(piece);
    }
    while lines.last() == Some(&"") {
        lines.pop();
    }
    Ok(lines)
}
