//! The fuzz target for tokenizer files as a plain test: the corpus, damaged as bytes and as JSON.
//! `cargo fuzz run tokenizer` goes on from there.

#[path = "../../fuzz/tokenizer.rs"]
mod target;

use serde_json::{Value, json};
use splindex::encode::TextTokenizer;

use crate::mutations::{corpus, run};
use crate::random::Random;

/// Damaged copies of each file of JSON.
const MUTATIONS: u64 = 400;

#[test]
fn the_corpus_is_of_sound_files() {
    // Else it would test that the first look refuses them, and nothing behind that.
    let dir = tempfile::tempdir().unwrap();
    for path in corpus("tokenizer") {
        target::tokenizer(dir.path(), &std::fs::read(&path).unwrap());
        let tokenizer = TextTokenizer::load(dir.path(), 16);
        let tokenizer = tokenizer.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(tokenizer.encode("The cost £5").unwrap().has_content, "{}", path.display());
    }
}

#[test]
fn damaged_tokenizers() {
    run("tokenizer", target::tokenizer);
}

/// Values that are of a type, and out of bounds.
fn odd(random: &mut Random) -> Value {
    match random.index(14) {
        0 => Value::Null,
        1 => json!(0),
        2 => json!(-1),
        3 => json!(u32::MAX),
        4 => json!(u64::MAX),
        5 => json!(1e300),
        6 => json!(""),
        7 => json!("\u{200C}"),
        8 => json!("[UNK]"),
        9 => json!("(a|b|ab)*c\\1(?=x)"),
        10 => json!([]),
        11 => json!({}),
        12 => json!(true),
        _ => json!("\u{FDFA}".repeat(40)),
    }
}

/// Replaces, removes or doubles one part somewhere below `value`.
fn mutate(value: &mut Value, random: &mut Random) {
    let stop = random.index(4) == 0;
    match value {
        Value::Object(fields) if !fields.is_empty() && !stop => {
            let key = fields.keys().nth(random.index(fields.len())).unwrap().clone();
            match random.index(12) {
                0 => drop(fields.remove(&key)),
                1 => drop(fields.insert("\u{301}".into(), fields[&key].clone())),
                _ => mutate(&mut fields[&key], random),
            }
        }
        Value::Array(values) if !values.is_empty() && !stop => {
            let at = random.index(values.len());
            match random.index(12) {
                0 => drop(values.remove(at)),
                1 => values.insert(at, values[at].clone()),
                _ => mutate(&mut values[at], random),
            }
        }
        _ => *value = odd(random),
    }
}

#[test]
fn tokenizers_with_other_values() {
    let dir = tempfile::tempdir().unwrap();
    for path in corpus("tokenizer") {
        let bytes = std::fs::read(&path).unwrap();
        let Ok(whole) = serde_json::from_slice::<Value>(&bytes[1..]) else { continue };
        println!("{}", path.display());
        let mut random = Random(0x2545_F491_4F6C_DD1D);
        for mutation in 0..MUTATIONS {
            let mut value = whole.clone();
            for _ in 0..1 + random.index(3) {
                mutate(&mut value, &mut random);
            }
            println!("mutation {mutation}");
            target::tokenizer(dir.path(), &[&bytes[..1], value.to_string().as_bytes()].concat());
        }
    }
}
