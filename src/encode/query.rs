//! Text queries to weighted tokens: by a table of token weights, or by the model.

use std::path::Path;

#[cfg(feature = "encode")]
use super::encoder::{Encoder, EncoderOptions};
use super::folder::{self, Side, SidePart};
use super::tokenizer::TextTokenizer;
use super::{DEFAULT_MAX_LENGTH, Encoded, Progress, TextEncoder, hub, info, prune, table};
use crate::error::{Error, Result};
use crate::vectors::TokenTable;
use crate::vectors::store::{Kind, ModelInfo, TextDigest};

/// What a [`QueryEncoder`] without a model needs to know.
#[cfg(not(feature = "encode"))]
#[derive(Debug, Clone, Default)]
pub struct EncoderOptions {
    /// Tokens of a query that are read, special tokens included; 0 means what the model
    /// says, or else [`DEFAULT_MAX_LENGTH`].
    pub max_length: usize,
}

/// Turns query texts into weighted tokens. Threads share it.
///
/// A directory with a table of token weights (`idf.json` or `query_token_weights.txt`, or a
/// SentenceTransformers router whose query route is a `SparseStaticEmbedding`) is
/// inference-free: the weight of each distinct word piece is looked up; pieces without a
/// weight > 0 are dropped. Any other directory is a model: that of its query route, or the
/// one that encodes documents, too.
pub struct QueryEncoder(By);

enum By {
    Table(Box<Table>),
    #[cfg(feature = "encode")]
    Model(Box<Encoder>),
}

struct Table {
    tokenizer: TextTokenizer,
    /// Weight of each term id, 0 if the table has none.
    weights: Vec<f32>,
    side: Side,
    max_length: usize,
    info: ModelInfo,
}

impl QueryEncoder {
    /// Loads the directory, or hub id, given as `--query-model`.
    ///
    /// # Errors
    /// As [`Encoder::load`], a malformed table, or a model when splindex was built
    /// without the feature `encode`.
    pub fn load(model: &Path, options: &EncoderOptions) -> Result<Self> {
        let dir = hub::model_directory(model)?;
        let side = folder::side(&dir, Kind::Query)?;
        if let SidePart::Table(_) = side.part {
            let table = Table::load(&dir, side, options.max_length)?;
            return Ok(QueryEncoder(By::Table(Box::new(table))));
        }
        #[cfg(feature = "encode")]
        return Ok(QueryEncoder(By::Model(Box::new(Encoder::of_side(&dir, side, options)?))));
        #[cfg(not(feature = "encode"))]
        Err(Error::Usage(format!(
            "{} has no table of token weights, and a model needs a splindex built with the \
             feature encode",
            dir.display()
        )))
    }

    /// Weighted tokens of a query text, by term id.
    pub fn encode(&self, text: &str) -> Result<Vec<(String, f32)>> {
        Ok(self.encode_start(text)?.0)
    }

    /// As [`encode`](Self::encode), and whether the text is longer than what was read of it.
    pub fn encode_start(&self, text: &str) -> Result<(Vec<(String, f32)>, bool)> {
        let encoded = self.encode_texts(&[text], &|_| true)?.pop().unwrap_or_default();
        let tokens = self.tokens();
        let named = encoded.terms.iter().map(|&(id, w)| (tokens.token(id).to_owned(), w));
        Ok((named.collect(), encoded.truncated))
    }

    /// Whether queries are answered from a table, without a model.
    pub fn is_inference_free(&self) -> bool {
        matches!(self.0, By::Table(_))
    }
}

impl TextEncoder for QueryEncoder {
    fn encode_texts(&self, texts: &[&str], done: &Progress<'_>) -> Result<Vec<Encoded>> {
        match &self.0 {
            By::Table(table) => texts
                .iter()
                .map(|text| if done(1) { table.encode(text) } else { Err(Error::Stopped) })
                .collect(),
            #[cfg(feature = "encode")]
            By::Model(encoder) => encoder.encode_texts(texts, done),
        }
    }

    fn check(&self, text: &str) -> Result<()> {
        match &self.0 {
            By::Table(table) => table.encode(text).map(drop),
            #[cfg(feature = "encode")]
            By::Model(encoder) => encoder.check(text),
        }
    }

    fn digests(&self, text: &str) -> Vec<TextDigest> {
        match &self.0 {
            By::Table(table) => table.side.digests(&table.tokenizer, text),
            #[cfg(feature = "encode")]
            By::Model(encoder) => encoder.digests(text),
        }
    }

    fn padding(&self) -> usize {
        match &self.0 {
            By::Table(_) => 0,
            #[cfg(feature = "encode")]
            By::Model(encoder) => encoder.padding(),
        }
    }

    fn tokens(&self) -> &TokenTable {
        match &self.0 {
            By::Table(table) => table.tokenizer.tokens(),
            #[cfg(feature = "encode")]
            By::Model(encoder) => encoder.tokens(),
        }
    }

    fn info(&self) -> &ModelInfo {
        match &self.0 {
            By::Table(table) => &table.info,
            #[cfg(feature = "encode")]
            By::Model(encoder) => encoder.info(),
        }
    }

    fn max_length(&self) -> usize {
        match &self.0 {
            By::Table(table) => table.max_length,
            #[cfg(feature = "encode")]
            By::Model(encoder) => encoder.max_length(),
        }
    }

    fn pooling(&self) -> &'static str {
        match &self.0 {
            By::Table(_) => "token weights",
            #[cfg(feature = "encode")]
            By::Model(encoder) => encoder.pooling(),
        }
    }

    fn prompt(&self) -> &str {
        match &self.0 {
            By::Table(table) => &table.side.prompt,
            #[cfg(feature = "encode")]
            By::Model(encoder) => encoder.prompt(),
        }
    }
}

impl Table {
    /// `root` is the model directory, of which `side` may be a part.
    fn load(root: &Path, side: Side, max_length: usize) -> Result<Self> {
        let SidePart::Table(path) = &side.part else { unreachable!("the caller has looked") };
        let max_length = match max_length {
            0 => side.max_length.unwrap_or(DEFAULT_MAX_LENGTH),
            n => n,
        };
        let tokenizer = TextTokenizer::load(&side.dir, max_length)?;
        let bytes = match path.extension().is_some_and(|extension| extension == "json") {
            true => info::read_json(path)?,
            false => info::read(path)?,
        };
        let weights = table::read(path, &bytes, tokenizer.tokens())?;
        let info = ModelInfo {
            name: info::name(root),
            architecture: "token weights".into(),
            layers: 0,
            hidden: 0,
            vocabulary: tokenizer.tokens().len(),
            config_digest: match side.settings.as_slice() {
                [] => String::new(),
                settings => blake3::hash(settings).to_hex().to_string(),
            },
            weights_digest: blake3::hash(&bytes).to_hex().to_string(),
            tokenizer_digest: tokenizer.digest().into(),
            licence: info::licence(root),
        };
        Ok(Table { tokenizer, weights, side, max_length, info })
    }

    fn encode(&self, text: &str) -> Result<Encoded> {
        let mut pieces = self.tokenizer.distinct_pieces(&self.side.prepared(text))?;
        pieces.ids.sort_unstable();
        let weight = |id: u32| (id, self.weights[id as usize]);
        let terms = pieces.ids.into_iter().map(weight).filter(|&(_, w)| w > 0.0).collect();
        let terms = prune(terms, self.side.top, 0.0);
        Ok(Encoded { terms, truncated: pieces.truncated, part: pieces.part })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "idf.json";

    fn model(table: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let pieces = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nriver\nflow\n##s\nwater\n";
        std::fs::write(dir.path().join("vocab.txt"), pieces).unwrap();
        std::fs::write(dir.path().join(TABLE), table).unwrap();
        dir
    }

    fn load(dir: &tempfile::TempDir) -> Result<QueryEncoder> {
        QueryEncoder::load(dir.path(), &EncoderOptions::default())
    }

    #[test]
    fn a_table_weighs_distinct_pieces_and_drops_the_rest() {
        let dir = model(r###"{"river": 3.5, "##s": 0.25, "water": 0, "flow": 0.0, "absent": 9}"###);
        let query = load(&dir).unwrap();
        assert!(query.is_inference_free());
        let got = query.encode("Flows of the river, river water").unwrap();
        assert_eq!(got, [("river".to_owned(), 3.5), ("##s".to_owned(), 0.25)]);
        assert_eq!(query.encode("").unwrap(), []);
    }

    #[test]
    fn a_table_of_another_vocabulary_or_shape_is_refused() {
        let e = load(&model(r#"{"absent": 9}"#)).err().unwrap().to_string();
        assert!(e.contains("expected weights of the tokenizer's tokens"), "{e}");
        let e = load(&model(r#"{"river": -1.5}"#)).err().unwrap().to_string();
        assert!(e.contains("expected weights ≥ 0, found -1.5 for token \"river\""), "{e}");
        let e = load(&model("{\"river\":\n \"x\"}")).err().unwrap().to_string();
        assert!(e.contains("idf.json:2: expected {token: weight, …}"), "{e}");
    }
}
