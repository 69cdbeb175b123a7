use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tokenizers::Tokenizer;

use super::super::tokenizer::{TextTokenizer, TokenIds};
use super::*;

/// Every model of data/goldens with a tokenizer of its own, and the shipped one.
const MODELS: [&str; 7] = [
    "goldens/bert",
    "goldens/distilbert",
    "goldens/roberta",
    "goldens/modernbert",
    "goldens/router/document_0_Transformer",
    "goldens/router/query_0_SparseStaticEmbedding",
    "tiny",
];

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data")
}

/// The tokenizer that cuts as early as it may, and the one that never does.
fn both(model: &str, max_length: usize, first: usize) -> [TextTokenizer; 2] {
    let load = || TextTokenizer::load(&data().join(model), max_length).unwrap();
    assert!(load().cuts(), "{model}");
    [load().with_first(Some(first)), load().with_first(None)]
}

fn assert_equal(model: &str, max_length: usize, first: usize, texts: &[String]) {
    let [cutting, whole] = both(model, max_length, first);
    for text in texts {
        // Which part it was is the one thing that differs.
        let tokens = |found: TokenIds| TokenIds { part: 0, ..found };
        let found = tokens(cutting.encode(text).unwrap());
        assert_eq!(
            found,
            tokens(whole.encode(text).unwrap()),
            "{model} {max_length} {first} {text:?}"
        );
        let found = tokens(cutting.distinct_pieces(text).unwrap());
        assert_eq!(
            found,
            tokens(whole.distinct_pieces(text).unwrap()),
            "{model} {max_length} {text:?}"
        );
    }
}

/// The goldens' texts one after another, with all kinds of space between.
fn long_texts() -> Vec<String> {
    let file = std::fs::read_to_string(data().join("goldens/texts.tsv")).unwrap();
    let texts: Vec<&str> = file.lines().filter_map(|l| Some(l.split_once('\t')?.1)).collect();
    [" ", "\n", "  \t ", "\u{a0} ", " \u{0} ", "\r\n\u{85} ", ". "]
        .map(|gap| texts.join(gap))
        .into()
}

#[test]
fn long_texts_have_the_tokens_and_the_truncation_of_whole_tokenization() {
    let texts = long_texts();
    for model in MODELS {
        for (max_length, first) in [(3, 1), (32, 7), (32, 512), (256, 100), (100_000, 1)] {
            assert_equal(model, max_length, first, &texts);
        }
    }
}

#[test]
fn a_text_is_cut_where_its_tokens_fill_the_limit() {
    let text = "a river flows to the sea ".repeat(100_000);
    let [cutting, _] = both("goldens/bert", 32, 512);
    let started = before_space(&text, 512).unwrap();
    assert!((512..530).contains(&started), "{started}");
    assert!(cutting.encode(&text).unwrap().truncated);
}

#[test]
fn a_cut_stands_between_a_letter_or_sign_and_an_ascii_space() {
    assert_eq!(before_space("ab cd", 0), Some(2));
    assert_eq!(before_space("ab cd", 3), None);
    assert_eq!(before_space("a  \u{e9}\tb", 2), Some(5));
    assert_eq!(before_space("a\u{a0} \u{2003}b", 2), None, "spaces before the space");
    assert_eq!(before_space("", 0), None);
    assert_eq!(before_space("ab", usize::MAX), None);
}

/// A tokenizer.json with these parts over a few words.
fn tokenizer(normalizer: &str, pre_tokenizer: &str, added: &str) -> Tokenizer {
    let json = format!(
        r#"{{"version":"1.0","truncation":null,"padding":null,"normalizer":{normalizer},
        "pre_tokenizer":{pre_tokenizer},"post_processor":null,"decoder":null,
        "added_tokens":[{{"id":0,"content":"{added}","single_word":false,"lstrip":false,
        "rstrip":false,"normalized":false,"special":true}}],
        "model":{{"type":"WordLevel","vocab":{{"{added}":0,"a":1}},"unk_token":"{added}"}}}}"#
    );
    json.parse().unwrap()
}

#[test]
fn kinds_for_which_nothing_is_proved_are_tokenized_whole() {
    let level =
        r#"{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}"#;
    let bare = level.replace("\"use_regex\":true", "\"use_regex\":false");
    let spaces = r#"{"type":"WhitespaceSplit"}"#;
    let bert = r#"{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,
        "strip_accents":null,"lowercase":true}"#;
    let metaspace =
        r#"{"type":"Metaspace","replacement":"\u2581","prepend_scheme":"always","split":true}"#;
    let list = r#"{"type":"Sequence","normalizers":[{"type":"NFD"},{"type":"Lowercase"}]}"#;
    let kept = |n: &str, p: &str, added: &str| keeps_tokens(&tokenizer(n, p, added));
    assert!(kept("null", level, "<unk>"));
    assert!(kept(r#"{"type":"NFC"}"#, level, "   "));
    assert!(kept(list, spaces, "<unk>"));
    assert!(kept(bert, spaces, "<unk>"));
    assert!(!kept(bert, level, "<unk>"), "removes characters between spaces");
    assert!(!kept(r#"{"type":"NFKC"}"#, level, "<unk>"));
    assert!(!kept("null", &bare, "<unk>"));
    assert!(!kept("null", metaspace, "<unk>"));
    assert!(!kept("null", "null", "<unk>"));
    for over in ["new york", "\u{4e2d}", "a "] {
        assert!(!kept("null", level, over), "{over:?}");
        assert!(!kept("null", spaces, over), "{over:?}");
    }
    assert!(!kept(bert, spaces, "  "));
}

proptest! {
    #[test]
    fn no_text_is_tokenized_otherwise_for_being_cut(
        parts in prop::collection::vec(prop::sample::select(vec![
            "a", "B", "river", "x1", "9", "'s", "'", ".", "-", "\u{e9}", "e\u{301}", "\u{301}",
            "\u{345}", "\u{4e2d}", "\u{3002}", "\u{1100}", "\u{1161}", "\u{916}", "\u{1f30a}", "[MASK]",
            "<mask>", "[", "]", "<", " ", " ", " ", "  ", "\t", "\n", "\r\n", "\u{a0}", "\u{85}",
            "\u{2003}", "\u{200b}", "\u{0}", "\u{fffd}",
        ]), 0..60),
        model in prop::sample::select(MODELS[..4].to_vec()),
        max_length in 3usize..40,
        first in 0usize..60,
    ) {
        assert_equal(model, max_length, first, &[parts.concat()]);
    }
}
