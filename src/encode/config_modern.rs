//! What only ModernBERT's `config.json` has: layers that attend locally, rotary positions.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Place, Result};

/// ModernBERT's attention (Warner et al. 2024).
#[derive(Debug, Clone, PartialEq)]
pub struct Modern {
    /// For each layer, whether it attends to the neighbourhood only.
    pub local: Vec<bool>,
    /// Farthest neighbour of a local layer, in tokens to either side.
    pub reach: usize,
    /// Base of the rotary angles in global layers.
    pub global_theta: f64,
    /// Base of the rotary angles in local layers.
    pub local_theta: f64,
}

/// Fields of ModernBERT, in the spelling of transformers 4 and 5.
#[derive(Deserialize)]
pub(super) struct RawModern {
    pub norm_eps: Option<f64>,
    pub hidden_activation: Option<String>,
    pub classifier_activation: Option<String>,
    local_attention: Option<usize>,
    global_attn_every_n_layers: Option<usize>,
    layer_types: Option<Vec<String>>,
    global_rope_theta: Option<f64>,
    local_rope_theta: Option<f64>,
    rope_parameters: Option<BTreeMap<String, Option<Rope>>>,
}

#[derive(Deserialize)]
struct Rope {
    rope_type: Option<String>,
    rope_theta: Option<f64>,
}

impl RawModern {
    /// Defaults as transformers has them.
    pub fn read(&self, path: &Path, layers: usize) -> Result<Modern> {
        const LOCAL: &str = "sliding_attention";
        const GLOBAL: &str = "full_attention";
        let bad = |problem: String| Error::data(path, Place::File, problem);
        let every = self.global_attn_every_n_layers.unwrap_or(3).max(1);
        let local = match &self.layer_types {
            None => (0..layers).map(|i| i % every != 0).collect(),
            Some(types) => {
                if let Some(other) = types.iter().find(|t| *t != LOCAL && *t != GLOBAL) {
                    return Err(bad(format!(
                        "expected \"{LOCAL}\" or \"{GLOBAL}\" in layer_types, found {other:?}"
                    )));
                }
                if types.len() != layers {
                    return Err(bad(format!(
                        "expected as many layer_types as layers, found {} and {layers}",
                        types.len()
                    )));
                }
                types.iter().map(|t| t == LOCAL).collect()
            }
        };
        let theta = |kind: &str, old: Option<f64>, default: f64| {
            let rope = self.rope_parameters.as_ref().and_then(|r| r.get(kind)?.as_ref());
            let kind = rope.and_then(|r| r.rope_type.as_deref()).unwrap_or("default");
            if kind != "default" {
                let problem = format!("expected rotary positions of type default, found {kind:?}");
                return Err(bad(problem));
            }
            let theta = rope.and_then(|r| r.rope_theta).or(old).unwrap_or(default);
            match theta.is_finite() && theta > 0.0 {
                true => Ok(theta),
                false => Err(bad(format!("expected a rope_theta > 0, found {theta}"))),
            }
        };
        Ok(Modern {
            local,
            reach: self.local_attention.unwrap_or(128) / 2,
            global_theta: theta(GLOBAL, self.global_rope_theta, 160_000.0)?,
            local_theta: theta(LOCAL, self.local_rope_theta, 10_000.0)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::config::ModelConfig;

    fn modern(fields: &str) -> Result<Modern> {
        let json = format!(
            r#"{{"model_type":"modernbert","vocab_size":9,"hidden_size":8,"num_hidden_layers":4,
            "num_attention_heads":1,"intermediate_size":8,"max_position_embeddings":64{fields}}}"#
        );
        let config = ModelConfig::parse(Path::new("config.json"), json.as_bytes())?;
        Ok(config.modern.unwrap())
    }

    #[test]
    fn both_spellings_of_modernbert_give_the_same_layers() {
        let old = modern(
            r#","global_attn_every_n_layers":2,"local_attention":8,"global_rope_theta":5e4,
            "local_rope_theta":1e3"#,
        );
        let new = modern(
            r#","layer_types":["full_attention","sliding_attention","full_attention",
            "sliding_attention"],"local_attention":8,"rope_parameters":{"full_attention":
            {"rope_theta":5e4,"rope_type":"default"},"sliding_attention":{"rope_theta":1e3}}"#,
        );
        let want = Modern {
            local: vec![false, true, false, true],
            reach: 4,
            global_theta: 5e4,
            local_theta: 1e3,
        };
        assert_eq!(old.unwrap(), want);
        assert_eq!(new.unwrap(), want);
        let default = modern("").unwrap();
        assert_eq!(default.local, [false, true, true, false]);
        assert_eq!((default.reach, default.global_theta), (64, 160_000.0));
    }

    #[test]
    fn modernbert_variants_that_are_not_computed_are_refused() {
        let e = |fields: &str| modern(fields).unwrap_err().to_string();
        assert!(e(r#","layer_types":["x","x","x","x"]"#).contains("in layer_types, found \"x\""));
        assert!(e(r#","layer_types":["full_attention"]"#).contains("found 1 and 4"));
        let yarn = r#","rope_parameters":{"full_attention":{"rope_type":"yarn"}}"#;
        assert!(e(yarn).contains("rotary positions of type default, found \"yarn\""));
        assert!(e(r#","local_rope_theta":0.0"#).contains("expected a rope_theta > 0, found 0"));
    }
}
