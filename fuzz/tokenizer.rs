//! The target for tokenizer files, apart from the others since it needs the feature `tokenize`.
//! Used by `tests/encoder/fuzz_tokenizer.rs`, too.

use std::path::Path;

use splindex::encode::TextTokenizer;

/// Texts with what normalizers remove, join, split and turn.
const TEXTS: [&str; 6] = [
    "",
    "The cost £5",
    "[CLS] a [MASK]New york\u{200C} [PAD]",
    "naïve e\u{301} 入力 \u{FDFA}ﬁ İß \u{1F468}\u{200D}\u{1F469}\u{FE0F}",
    "  two  spaces\t\r\n",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

/// A file beside the one that is fuzzed: its name and its bytes.
type Beside = (&'static str, &'static [u8]);

/// Files by the first byte: (the name of these bytes, the file of the corpus that lies beside it).
const KINDS: [(&str, Option<Beside>); 6] = [
    ("tokenizer.json", None),
    ("vocab.txt", None),
    ("tokenizer_config.json", Some(("vocab.txt", LIST))),
    ("tokenizer_config.json", Some(("tokenizer.json", WORDPIECE))),
    ("special_tokens_map.json", Some(("vocab.txt", LIST))),
    ("added_tokens.json", Some(("vocab.txt", LIST))),
];
const LIST: &[u8] = include_bytes!("corpus/tokenizer/list");
const WORDPIECE: &[u8] = include_bytes!("corpus/tokenizer/wordpiece");

/// A tokenizer, opened and given texts: every id is a token.
pub fn tokenizer(dir: &Path, bytes: &[u8]) {
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    let (name, beside) = KINDS[usize::from(kind) % KINDS.len()];
    for entry in std::fs::read_dir(dir).expect("a temporary folder") {
        std::fs::remove_file(entry.expect("an entry").path()).expect("a file of ours");
    }
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(dir.join(name), bytes).expect("a temporary file");
    };
    write(name, bytes);
    if let Some((name, bytes)) = beside {
        write(name, &bytes[1..]);
    }
    let Ok(tokenizer) = TextTokenizer::load(dir, 16) else { return };
    let tokens = tokenizer.tokens().len() as u32;
    for text in TEXTS {
        for ids in [tokenizer.encode(text), tokenizer.distinct_pieces(text)] {
            let Ok(ids) = ids else { continue };
            assert!(ids.ids.len() <= 16 && ids.ids.iter().all(|&id| id < tokens), "{ids:?}");
        }
    }
}
