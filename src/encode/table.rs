//! Tables of query token weights: `idf.json`, `query_token_weights.txt`, and the tensor of
//! a SentenceTransformers `SparseStaticEmbedding`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::corpus::json::Number;
use crate::error::{Error, Place, Result, foreign};
use crate::vectors::TokenTable;

/// Weight of each token id, 0 if the table has none, from the bytes of `path`; the form
/// goes by the file's extension.
///
/// # Errors
/// A malformed table, a negative or infinite weight, none of the tokenizer's tokens.
pub(super) fn read(path: &Path, bytes: &[u8], tokens: &TokenTable) -> Result<Vec<f32>> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let mut weights = match extension {
        "json" => by_token(path, json(path, bytes)?, tokens)?,
        "txt" => by_token(path, tabbed(path, bytes)?, tokens)?,
        "safetensors" => safetensors(path, bytes)?,
        _ => archive(path, bytes)?,
    };
    // Rows after the last token are padding.
    weights.truncate(tokens.len());
    if weights.len() < tokens.len() {
        let problem = format!(
            "expected a weight for each of the tokenizer's {} tokens, found {}",
            tokens.len(),
            weights.len()
        );
        return Err(Error::data(path, Place::File, problem).hint(SAME_MODEL));
    }
    if let Some(id) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
        let (weight, token) = (weights[id], tokens.token(id as u32));
        let problem = format!("expected weights ≥ 0, found {weight} for token {token:?}");
        return Err(Error::data(path, Place::File, problem)
            .hint("a token that shall not count has weight 0 or no entry"));
    }
    Ok(weights)
}

const SAME_MODEL: &str = "the table and the tokenizer must come from the same model";

fn json(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, Option<f64>>> {
    let table: serde_json::Result<BTreeMap<String, Option<Number>>> = serde_json::from_slice(bytes);
    let table = table.map_err(|e| {
        let line = Place::Line(e.line() as u64);
        Error::data(path, line, format!("expected {{token: weight, …}}, found {}", foreign(e)))
    })?;
    let weight = |number: Option<Number>| number.map(|Number(weight)| weight);
    Ok(table.into_iter().map(|(token, number)| (token, weight(number))).collect())
}

/// token<TAB>weight
fn tabbed(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, Option<f64>>> {
    let mut table = BTreeMap::new();
    for (i, line) in bytes.split(|&b| b == b'\n').enumerate() {
        let text = std::str::from_utf8(line).ok().map(|l| l.strip_suffix('\r').unwrap_or(l));
        if text == Some("") {
            continue;
        }
        let pair = text.and_then(|l| l.rsplit_once('\t'));
        let Some((token, weight)) =
            pair.and_then(|(t, w)| Some((t, w.trim().parse::<f64>().ok()?)))
        else {
            let found = String::from_utf8_lossy(line);
            let problem = format!("expected token<TAB>weight, found {found:?}");
            return Err(Error::data(path, Place::Line(i as u64 + 1), problem));
        };
        table.insert(token.to_owned(), Some(weight));
    }
    Ok(table)
}

/// A token whose weight is null has none.
fn by_token(
    path: &Path,
    table: BTreeMap<String, Option<f64>>,
    tokens: &TokenTable,
) -> Result<Vec<f32>> {
    let mut weights = vec![0.0; tokens.len()];
    let mut known = false;
    for (token, weight) in table {
        if let Some(id) = tokens.get(&token) {
            weights[id as usize] = weight.unwrap_or(0.0) as f32;
            known = true;
        }
    }
    match known {
        true => Ok(weights),
        false => {
            let problem = "expected weights of the tokenizer's tokens, found none of them";
            Err(Error::data(path, Place::File, problem).hint(SAME_MODEL))
        }
    }
}

#[derive(Deserialize)]
struct TensorHeader {
    weight: Tensor,
}

#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

/// The tensor "weight": read here, since this side works without candle. The file is a
/// 64-bit length, as many bytes of JSON, and the data.
fn safetensors(path: &Path, bytes: &[u8]) -> Result<Vec<f32>> {
    let bad = |found: &str| {
        let problem = format!("expected a vector of floats named \"weight\", found {found}");
        Error::data(path, Place::File, problem).hint("fetch the file again: it may be truncated")
    };
    let (length, rest) = bytes.split_first_chunk().ok_or_else(|| bad("no header"))?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let (header, data) = rest.split_at_checked(length).ok_or_else(|| bad("a short file"))?;
    let TensorHeader { weight } =
        serde_json::from_slice(header).map_err(|e| bad(&format!("the header: {}", foreign(e))))?;
    let (start, end) = weight.data_offsets;
    let data = data.get(start..end).ok_or_else(|| bad("a short file"))?;
    let values: Vec<f32> = match weight.dtype.as_str() {
        "F32" => numbers(data, f32::from_le_bytes),
        "F16" => numbers(data, |b| half::f16::from_le_bytes(b).to_f32()),
        "BF16" => numbers(data, |b| half::bf16::from_le_bytes(b).to_f32()),
        other => return Err(bad(&format!("numbers of type {other}"))),
    };
    match weight.shape.as_slice() {
        [n] if *n == values.len() => Ok(values),
        shape => Err(bad(&format!("shape {shape:?} and {} numbers", values.len()))),
    }
}

fn numbers<const N: usize>(data: &[u8], read: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    data.as_chunks::<N>().0.iter().map(|&bytes| read(bytes)).collect()
}

#[cfg(feature = "encode")]
fn archive(path: &Path, bytes: &[u8]) -> Result<Vec<f32>> {
    use candle_core::{DType, Device};

    let pickle = super::pickle::Pickle::new(path, bytes.to_vec())?;
    let values = pickle
        .load("weight", &Device::Cpu)
        .and_then(|t| t.to_dtype(DType::F32)?.to_vec1())
        .map_err(|e| format!("expected a vector of floats named \"weight\", found {e}"));
    values.map_err(|problem| Error::data(path, Place::File, problem))
}

#[cfg(not(feature = "encode"))]
fn archive(path: &Path, _bytes: &[u8]) -> Result<Vec<f32>> {
    let problem = "reading PyTorch archives needs a splindex built with the feature encode";
    Err(Error::data(path, Place::File, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> TokenTable {
        TokenTable::from_tokens(["[UNK]", "river", "sea"].map(str::to_owned))
    }

    fn of(name: &str, bytes: &[u8]) -> Result<Vec<f32>> {
        read(Path::new(name), bytes, &tokens())
    }

    fn tensor(header: &str, data: &[f32]) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend(data.iter().flat_map(|x| x.to_le_bytes()));
        bytes
    }

    #[test]
    fn every_form_gives_the_same_weights() {
        let want = [0.0, 3.5, 0.25];
        assert_eq!(of("idf.json", br#"{"river": 3.5, "sea": 0.25, "other": 7}"#).unwrap(), want);
        let nulls = br#"{"[UNK]": null, "river": 3.5, "sea": 0.25}"#;
        assert_eq!(of("idf.json", nulls).unwrap(), want, "null is no weight");
        let text = b"river\t3.5\r\nother\t7\n\nsea\t0.25\n";
        assert_eq!(of("query_token_weights.txt", text).unwrap(), want);
        let header = r#"{"__metadata__":{"format":"pt"},
            "weight":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}"#;
        assert_eq!(of("model.safetensors", &tensor(header, &want)).unwrap(), want);
    }

    #[test]
    fn a_malformed_table_is_refused_with_its_place() {
        let e = |name: &str, bytes: &[u8]| of(name, bytes).unwrap_err().to_string();
        assert_eq!(
            e("q.txt", b"river\t1\nsea 2\n"),
            "q.txt:2: expected token<TAB>weight, found \"sea 2\""
        );
        let none = e("q.txt", b"");
        assert!(none.contains("expected weights of the tokenizer's tokens, found none of them"));
        assert!(e("q.txt", b"sea\tinf\n").contains("expected weights ≥ 0, found inf"));
        let negative = e("q.json", br#"{"river": -1.5, "sea": -2}"#);
        assert!(negative.contains("found -1.5 for token \"river\""), "{negative}");
    }

    #[test]
    fn a_malformed_tensor_is_refused() {
        let e = |bytes: &[u8]| of("m.safetensors", bytes).unwrap_err().to_string();
        assert!(e(b"short").contains("found no header"));
        assert!(e(&tensor("{}", &[])).contains("missing field \"weight\""));
        let header = |dtype: &str, shape: &str, end: usize| {
            let header = format!(
                r#"{{"weight":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{end}]}}}}"#
            );
            tensor(&header, &[1.0, 2.0])
        };
        assert!(e(&header("F32", "[2]", 8)).contains("each of the tokenizer's 3 tokens, found 2"));
        assert!(e(&header("F32", "[2]", 12)).contains("found a short file"));
        assert!(e(&header("I64", "[1]", 8)).contains("found numbers of type I64"));
        assert!(e(&header("F32", "[1,2]", 8)).contains("found shape [1, 2] and 2 numbers"));
        assert!(e(&u64::MAX.to_le_bytes()).contains("found a short file"));
        // Rows after the last token are padding, whatever is in them.
        let header = r#"{"weight":{"dtype":"F32","shape":[5],"data_offsets":[0,20]}}"#;
        let padded = tensor(header, &[1.0, 2.0, 3.0, f32::NAN, -1.0]);
        assert_eq!(of("m.safetensors", &padded).unwrap(), [1.0, 2.0, 3.0]);
    }
}
