//! The real SPLADE-tiny checkpoint (`tools/fetch-models`) on real passages, against
//! vectors that another program computed: `splade-tiny-120k.jsonl.zst` of the data folder.
//! Ignored, since neither is in the repository: `cargo test --test encoder real -- --ignored` runs
//! it, and fails where the model or the data is not there.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use splindex::encode::{Encoder, EncoderOptions};

/// Of that file: impact = round(weight · 255 / 2.817), at least 1; the 2.817 is rounded.
const SCALE: f32 = 255.0 / 2.817;

fn present(variable: &str, default: &str, name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = std::env::var_os(variable).map_or_else(|| root.join(default), PathBuf::from);
    let path = dir.join(name);
    assert!(path.exists(), "{} is not there (set {variable})", path.display());
    path
}

fn lines(path: &Path) -> impl Iterator<Item = String> {
    let file = std::fs::File::open(path).unwrap();
    BufReader::new(zstd::Decoder::new(file).unwrap()).lines().map(|line| line.unwrap())
}

#[test]
#[ignore = "needs the model of tools/fetch-models and the data folder"]
fn real_passages_get_the_impacts_another_program_gave_them() {
    let model = present("SPLINDEX_MODELS", "target/models", "splade-tiny");
    let data = |name| present("SPLINDEX_DATA", "../shared/data", name);
    let (vectors, passages) = (data("splade-tiny-120k.jsonl.zst"), data("passages.tsv.zst"));

    let mut expected: HashMap<String, HashMap<String, u32>> = HashMap::new();
    for line in lines(&vectors).take(100) {
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        let vector = serde_json::from_value(json["vector"].clone()).unwrap();
        expected.insert(json["id"].as_str().unwrap().to_owned(), vector);
    }
    let texts: Vec<(String, String)> = lines(&passages)
        .filter_map(|line| {
            let mut columns = line.split('\t');
            let id = columns.next().filter(|id| expected.contains_key(*id))?;
            Some((id.to_owned(), columns.next()?.to_owned()))
        })
        .collect();
    assert_eq!(texts.len(), 100);

    let options = EncoderOptions { max_length: 96, ..EncoderOptions::default() };
    let encoder = Encoder::load(&model, &options).unwrap();
    let strings: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
    let encoded = encoder.encode_batch(&strings).unwrap();
    for ((id, _), vector) in texts.iter().zip(&encoded) {
        let want = &expected[id];
        for &(term, weight) in vector {
            let token = encoder.tokenizer().tokens().token(term);
            let given = want.get(token).copied().unwrap_or(0) as f32;
            let exact = (weight * SCALE).max(1.0);
            let slack = 0.5 + 0.01 + given * 0.0005 / 2.817;
            assert!((exact - given).abs() <= slack, "{id} {token}: {exact}, given {given}");
        }
        assert_eq!(vector.len(), want.len(), "{id}: as many terms");
    }
}
