use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Folder(dir)
    }

    fn side(&self, kind: Kind) -> Side {
        side(self.0.path(), kind).unwrap()
    }

    fn error(&self, kind: Kind) -> String {
        let e = side(self.0.path(), kind).unwrap_err().to_string();
        e.replace(&format!("{}/", self.0.path().display()), "")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

const SPLADE: &str = r#"[{"idx":0,"name":"0","path":"",
    "type":"sentence_transformers.sparse_encoder.models.MLMTransformer"},
    {"idx":1,"name":"1","path":"1_SpladePooling",
    "type":"sentence_transformers.sparse_encoder.models.SpladePooling"}]"#;
const ROUTER: &str = r#"[{"idx":0,"name":"0","path":"",
    "type":"sentence_transformers.models.Router"}]"#;
/// OpenSearch's folders keep the transformer at the root.
const ROUTES: &str = r#"{"types":{"":"x.MLMTransformer","document_1_SpladePooling":
    "x.SpladePooling","query_0_SparseStaticEmbedding":"x.SparseStaticEmbedding"},
    "structure":{"document":["","document_1_SpladePooling"],
    "query":["query_0_SparseStaticEmbedding"]},"parameters":{"default_route":"document"}}"#;

#[test]
fn a_plain_checkpoint_serves_both_kinds_unless_it_has_a_table() {
    let folder = Folder::new(&[("config.json", "{}")]);
    assert_eq!(folder.side(Kind::Query), folder.side(Kind::Document));
    for table in TABLES {
        let folder = Folder::new(&[("config.json", "{}"), (table, "")]);
        assert_eq!(folder.side(Kind::Query).part, SidePart::Table(folder.path(table)));
        let document = folder.side(Kind::Document).part;
        assert_eq!(document, SidePart::Transformer(Activated::Once));
    }
}

#[test]
fn a_sparse_encoder_says_its_pooling_length_case_and_prompts() {
    let folder = Folder::new(&[
        ("modules.json", SPLADE),
        ("1_SpladePooling/config.json", r#"{"activation_function":"log1p_relu"}"#),
        (TRANSFORMER, r#"{"max_seq_length": 77, "do_lower_case": true}"#),
        ("tokenizer_config.json", r#"{"model_max_length": 512}"#),
        (
            "config_sentence_transformers.json",
            r#"{"prompts":{"query":"Q: ","passage":"P: ","document":null},
            "max_active_dims":9}"#,
        ),
    ]);
    let side = folder.side(Kind::Document);
    assert_eq!(side.part, SidePart::Transformer(Activated::Twice));
    assert_eq!((side.max_length, side.top), (Some(77), Some(9)));
    assert_eq!(side.prepared("River"), "p: river");
    assert_eq!(side.prepared(" "), " ");
    assert_eq!(folder.side(Kind::Query).prompt, "Q: ");
}

#[test]
fn a_length_that_no_text_can_have_is_refused_with_its_file() {
    for (modules, name) in [(SPLADE, "modules.json"), ("", "other.json")] {
        let with = |length: &str| {
            Folder::new(&[
                (name, modules),
                ("1_SpladePooling/config.json", "{}"),
                (TRANSFORMER, &format!(r#"{{"max_seq_length": {length}}}"#)),
            ])
        };
        for bad in ["2", "1", "1.5", "0", "-5", "300.5"] {
            let e = with(bad).error(Kind::Document);
            let expected = format!(
                "{TRANSFORMER}: expected max_seq_length to be a whole number of at least 3, found {bad}; "
            );
            assert!(e.starts_with(&expected), "{e}");
        }
        for (good, read) in [("3", 3), ("512", 512), ("64.0", 64)] {
            assert_eq!(with(good).side(Kind::Document).max_length, Some(read));
        }
        for none in ["null", "1e30"] {
            assert!(with(none).side(Kind::Document).max_length.is_none_or(|n| n == usize::MAX));
        }
    }
}

#[test]
fn new_folders_keep_the_length_with_the_tokenizer() {
    let with = |tokenizer: &str| {
        Folder::new(&[
            ("modules.json", SPLADE),
            ("1_SpladePooling/config.json", "{}"),
            (TRANSFORMER, r#"{"transformer_task": "fill-mask"}"#),
            ("tokenizer_config.json", tokenizer),
        ])
        .side(Kind::Document)
        .max_length
    };
    assert_eq!(with(r#"{"model_max_length": 24}"#), Some(24));
    assert_eq!(with(r#"{"model_max_length": 1000000000000000019884624838656}"#), Some(usize::MAX));
}

#[test]
fn a_router_sends_each_kind_its_own_way() {
    let folder = Folder::new(&[
        ("modules.json", ROUTER),
        ("router_config.json", ROUTES),
        ("document_1_SpladePooling/config.json", r#"{"activation_function":"relu"}"#),
        ("query_0_SparseStaticEmbedding/model.safetensors", ""),
        ("query_0_SparseStaticEmbedding/config.json", r#"{"frozen": true}"#),
        ("idf.json", "{}"),
    ]);
    let document = folder.side(Kind::Document);
    assert_eq!(document.part, SidePart::Transformer(Activated::Once));
    assert_eq!(document.dir, folder.0.path());
    let query = folder.side(Kind::Query);
    assert_eq!(query.dir, folder.path("query_0_SparseStaticEmbedding"));
    let tensor = folder.path("query_0_SparseStaticEmbedding/model.safetensors");
    assert_eq!(query.part, SidePart::Table(tensor));
}

#[test]
fn what_is_not_supported_is_named() {
    let dense = SPLADE.replace("SpladePooling\"}", "Pooling\"}");
    let e = Folder::new(&[("modules.json", &dense)]).error(Kind::Document);
    assert_eq!(
        e,
        "modules.json: expected the modules Transformer (or MLMTransformer) and \
         SpladePooling, or SparseStaticEmbedding, found MLMTransformer, Pooling; splindex \
         encodes with SPLADE models; this is another kind"
    );
    let pooling = |config: &str| {
        Folder::new(&[("modules.json", SPLADE), ("1_SpladePooling/config.json", config)])
            .error(Kind::Document)
    };
    let e = pooling(r#"{"pooling_strategy":"sum"}"#);
    assert!(e.contains("expected the pooling_strategy max, found \"sum\""), "{e}");
    let e = pooling(r#"{"activation_function":"gelu"}"#);
    assert!(e.contains("relu or log1p_relu, found \"gelu\""), "{e}");
    let e = pooling("{\n]");
    assert!(e.starts_with("1_SpladePooling/config.json:2: expected a model's"), "{e}");
    let out = SPLADE.replace("1_SpladePooling", "../other");
    let e = Folder::new(&[("modules.json", &out)]).error(Kind::Document);
    assert!(e.contains("expected a path inside the model directory, found \"../other\""));
    let e = Folder::new(&[("modules.json", ROUTER)]).error(Kind::Document);
    assert!(e.ends_with("expected router_config.json for the Router, found none"), "{e}");
}

#[test]
fn null_is_what_a_missing_field_is() {
    let folder = Folder::new(&[
        ("modules.json", SPLADE),
        ("config.json", "{}"),
        ("1_SpladePooling/config.json", r#"{"pooling_strategy":null,"activation_function":null}"#),
        (
            "sentence_bert_config.json",
            r#"{"max_seq_length":null,"do_lower_case":null,"transformer_task":null}"#,
        ),
        ("tokenizer_config.json", r#"{"model_max_length":null}"#),
        (
            "config_sentence_transformers.json",
            r#"{"prompts":null,"default_prompt_name":null,"max_active_dims":null}"#,
        ),
    ]);
    let side = folder.side(Kind::Document);
    assert_eq!(side.part, SidePart::Transformer(Activated::Once));
    assert_eq!((side.prompt.as_str(), side.top, side.lower_case), ("", None, false));
    assert_eq!(side.max_length, Some(usize::MAX));
    let routes = ROUTES.replace(r#"{"default_route":"document"}"#, "null");
    assert_ne!(routes, ROUTES);
    let folder = Folder::new(&[
        ("modules.json", ROUTER),
        ("router_config.json", &routes),
        ("document_1_SpladePooling/config.json", "{}"),
    ]);
    assert_eq!(folder.side(Kind::Document).part, SidePart::Transformer(Activated::Once));
}
