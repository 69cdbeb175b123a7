//! Text queries to weighted tokens: by a table of token weights, or by the model.

use std::collections::HashMap;
use std::path::Path;

#[cfg(feature = "encode")]
use super::encoder::{Encoder, EncoderOptions};
use super::tokenizer::TextTokenizer;
use super::{Encoded, TextEncoder, info};
use crate::error::{Error, Place, Result};
use crate::vectors::TokenTable;
use crate::vectors::store::ModelInfo;

/// The table's file name, as OpenSearch's document-only models have it.
const TABLE: &str = "idf.json";

/// What a [`QueryEncoder`] without a model needs to know.
#[cfg(not(feature = "encode"))]
#[derive(Debug, Clone)]
pub struct EncoderOptions {
    /// Tokens of a query that are read, special tokens included.
    pub max_length: usize,
}

#[cfg(not(feature = "encode"))]
impl Default for EncoderOptions {
    fn default() -> Self {
        EncoderOptions { max_length: 256 }
    }
}

/// Turns query texts into weighted tokens. Threads share it.
///
/// A directory with `idf.json` (token → weight) is inference-free: the weight of each
/// distinct word piece is looked up; pieces without a weight > 0 are dropped. Any other
/// directory is a model that encodes queries as it does documents.
pub struct QueryEncoder(Kind);

enum Kind {
    Table(Box<Table>),
    #[cfg(feature = "encode")]
    Model(Box<Encoder>),
}

struct Table {
    tokenizer: TextTokenizer,
    /// Weight of each term id, 0 if the table has none.
    weights: Vec<f32>,
    info: ModelInfo,
}

impl QueryEncoder {
    /// Loads the directory given as `--query-model`.
    ///
    /// # Errors
    /// As [`Encoder::load`], a malformed table, or a model when splindex was built
    /// without the feature `encode`.
    pub fn load(dir: &Path, options: &EncoderOptions) -> Result<Self> {
        let table = dir.join(TABLE);
        if table.exists() {
            let table = Table::load(dir, &table, options.max_length)?;
            return Ok(QueryEncoder(Kind::Table(Box::new(table))));
        }
        #[cfg(feature = "encode")]
        return Ok(QueryEncoder(Kind::Model(Box::new(Encoder::load(dir, options)?))));
        #[cfg(not(feature = "encode"))]
        Err(Error::Usage(format!(
            "{} has no {TABLE}, and a model needs a splindex built with the feature encode",
            dir.display()
        )))
    }

    /// Weighted tokens of a query text, by term id.
    pub fn encode(&self, text: &str) -> Result<Vec<(String, f32)>> {
        let encoded = self.encode_texts(&[text], &|_| ())?.pop().unwrap_or_default();
        let tokens = self.tokens();
        Ok(encoded.terms.iter().map(|&(id, w)| (tokens.token(id).to_owned(), w)).collect())
    }

    /// Whether queries are answered from a table, without a model.
    pub fn is_inference_free(&self) -> bool {
        matches!(self.0, Kind::Table(_))
    }
}

impl TextEncoder for QueryEncoder {
    fn encode_texts(&self, texts: &[&str], done: &(dyn Fn(u64) + Sync)) -> Result<Vec<Encoded>> {
        match &self.0 {
            Kind::Table(table) => texts
                .iter()
                .map(|text| {
                    done(1);
                    table.encode(text)
                })
                .collect(),
            #[cfg(feature = "encode")]
            Kind::Model(encoder) => encoder.encode_texts(texts, done),
        }
    }

    fn tokens(&self) -> &TokenTable {
        match &self.0 {
            Kind::Table(table) => table.tokenizer.tokens(),
            #[cfg(feature = "encode")]
            Kind::Model(encoder) => encoder.tokens(),
        }
    }

    fn info(&self) -> &ModelInfo {
        match &self.0 {
            Kind::Table(table) => &table.info,
            #[cfg(feature = "encode")]
            Kind::Model(encoder) => encoder.info(),
        }
    }
}

impl Table {
    fn load(dir: &Path, path: &Path, max_length: usize) -> Result<Self> {
        let tokenizer = TextTokenizer::load(dir, max_length)?;
        let bytes = info::read(path)?;
        let table: HashMap<String, f64> = serde_json::from_slice(&bytes).map_err(|e| {
            let line = Place::Line(e.line() as u64);
            Error::data(path, line, format!("expected {{token: weight, …}}, found {e}"))
        })?;
        let mut weights = vec![0.0; tokenizer.tokens().len()];
        let mut known = 0;
        for (token, weight) in &table {
            let Some(id) = tokenizer.tokens().get(token) else { continue };
            if *weight < 0.0 {
                let problem = format!("expected weights ≥ 0, found {weight} for token {token:?}");
                return Err(Error::data(path, Place::File, problem)
                    .hint("a token that shall not count has weight 0 or no entry"));
            }
            known += 1;
            weights[id as usize] = *weight as f32;
        }
        if known == 0 {
            let problem = "expected weights of the tokenizer's tokens, found none of them";
            return Err(Error::data(path, Place::File, problem)
                .hint("the table and the tokenizer must come from the same model"));
        }
        let info = ModelInfo {
            name: info::name(dir),
            architecture: "token weights".into(),
            layers: 0,
            hidden: 0,
            vocabulary: tokenizer.tokens().len(),
            config_digest: String::new(),
            weights_digest: blake3::hash(&bytes).to_hex().to_string(),
            tokenizer_digest: tokenizer.digest().into(),
            licence: info::licence(dir),
        };
        Ok(Table { tokenizer, weights, info })
    }

    fn encode(&self, text: &str) -> Result<Encoded> {
        let mut pieces = self.tokenizer.distinct_pieces(text)?;
        pieces.ids.sort_unstable();
        let weight = |id: u32| (id, self.weights[id as usize]);
        let terms = pieces.ids.into_iter().map(weight).filter(|&(_, w)| w > 0.0).collect();
        Ok(Encoded { terms, truncated: pieces.truncated })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
