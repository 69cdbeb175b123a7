//! META: what a reader must know of a build; PROVENANCE: what a person may want to.

use std::fmt;
use std::path::Path;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::layout::corrupt;
use crate::error::{Error, Result, foreign};
use crate::quantize::Clipping;

/// How posting lists are laid out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// Bit-packed blocks: fewest bytes.
    Small,
    /// Byte streams and bitmaps that need no decoding: fastest.
    #[default]
    Fast,
}

impl Codec {
    /// Every codec, the default first.
    pub const ALL: [Codec; 2] = [Codec::Fast, Codec::Small];

    /// The name used on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Small => "small",
            Codec::Fast => "fast",
        }
    }
}

/// Where the weights of a field come from, with all that a query needs to match them.
#[derive(Debug, Clone, PartialEq, Encode, Decode, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum FieldKind {
    /// Weights of a model, or of a file of vectors.
    Learned,
    /// BM25: the impact holds the tf part, the query weight the idf part.
    Bm25 {
        /// Term frequency saturation.
        k1: f64,
        /// Length normalisation.
        b: f64,
        /// Mean document length in tokens, as used.
        avgdl: f64,
        /// `english` or `none`.
        stemmer: String,
        /// `english` or `none`.
        stopwords: String,
    },
}

/// Name and parameters, for people.
impl fmt::Display for FieldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            FieldKind::Learned => Ok(()),
            FieldKind::Bm25 { k1, b, avgdl, stemmer, stopwords } => write!(
                f,
                " (k1 {k1}, b {b}, mean length {avgdl:.2}, stemmer {stemmer}, stop words \
                 {stopwords})"
            ),
        }
    }
}

impl FieldKind {
    /// Its name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            FieldKind::Learned => "learned",
            FieldKind::Bm25 { .. } => "bm25",
        }
    }

    /// No weight of the field reaches this: what its largest impact stands for. `None` for
    /// learned weights, which have no such bound.
    pub fn largest_weight(&self) -> Option<f64> {
        match self {
            FieldKind::Learned => None,
            FieldKind::Bm25 { k1, .. } => Some(k1 + 1.0),
        }
    }
}

/// One field of an index.
#[derive(Debug, Clone, PartialEq, Encode, Decode, Serialize, Deserialize)]
pub struct FieldMeta {
    /// Origin of the weights.
    #[serde(flatten)]
    pub kind: FieldKind,
    /// Impacts per unit of weight.
    pub scale: f64,
    /// Weights cut off at the top and lifted to 1, of all.
    pub clipped: u64,
    /// See `clipped`.
    pub lifted: u64,
    /// Postings of the field.
    pub postings: u64,
}

impl FieldMeta {
    /// A field as its build left it.
    pub fn new(kind: FieldKind, scale: f64, clipping: Clipping) -> Self {
        let Clipping { clipped, lifted, total } = clipping;
        FieldMeta { kind, scale, clipped, lifted, postings: total }
    }
}

/// Postings left out at build time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Pruning {
    /// Heaviest terms kept of each document; 0 keeps all.
    pub top_per_doc: u32,
    /// Least impact kept; 1 keeps all.
    pub min_impact: u8,
}

impl Default for Pruning {
    fn default() -> Self {
        Pruning { top_per_doc: 0, min_impact: 1 }
    }
}

/// Which part of a collection an index holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ShardMeta {
    /// From 0.
    pub index: u32,
    /// Number of shards; 0 if the index is no shard.
    pub count: u32,
    /// Documents of the collection before this shard's first.
    pub doc_base: u64,
}

/// The META section.
#[derive(Debug, Clone, PartialEq, Encode, Decode, Serialize, Deserialize)]
pub struct Meta {
    /// Documents, those without a term included.
    pub documents: u64,
    /// Postings of all lists.
    pub postings: u64,
    /// Terms with a posting list.
    pub terms: u64,
    /// Layout of the posting lists.
    pub codec: Codec,
    /// Documents are not in input order: section ORDER maps docids to ordinals.
    pub reordered: bool,
    /// Bits of an impact.
    pub bits: u8,
    /// Fields by field byte.
    pub fields: Vec<FieldMeta>,
    /// Postings that the build left out.
    pub pruning: Pruning,
    /// The part of the collection.
    pub shard: ShardMeta,
    /// With two fields, C: a score is C · (BM25 + h · learned), so that a query weight q of
    /// a field with scale s is the integer round(C · q / s), × h for the learned field. 0
    /// with one field.
    pub hybrid_constant: f64,
}

/// Integer query weights of the BM25 field of a hybrid index, a unit of idf: C is this times
/// the field's scale. Ten times what BM25 alone has, so that rounding (0.5) is below 0.1 %
/// of an idf of 0.5, and far from the largest weight, 65,535, for an idf of 16 (a term of
/// one of 9 million documents).
pub const HYBRID_IDF: f64 = 1000.0;

/// META is a few hundred bytes; a corrupt length must not allocate more than this.
const META_LIMIT: usize = 1 << 20;

impl Meta {
    /// Whether BM25 (field 1) stands beside learned weights (field 0).
    pub fn is_hybrid(&self) -> bool {
        self.fields.len() == 2
    }

    /// The name of a field.
    pub fn field_name(&self, field: u8) -> &'static str {
        self.fields.get(usize::from(field)).map_or("unknown", |field| field.kind.name())
    }

    /// The section's bytes: bincode's fixed-width little-endian form.
    pub fn encode(&self) -> Result<Vec<u8>> {
        bincode::encode_to_vec(self, bincode::config::legacy().with_limit::<META_LIMIT>())
            .map_err(|e| Error::Internal(format!("META does not encode: {e}")))
    }

    /// Reads and checks the section.
    pub fn decode(path: &Path, bytes: &[u8], offset: u64) -> Result<Self> {
        let bad = |problem: String| corrupt(path, "META", offset, problem);
        let config = bincode::config::legacy().with_limit::<META_LIMIT>();
        let (meta, read): (Meta, usize) =
            bincode::decode_from_slice(bytes, config).map_err(|e| {
                bad(format!("does not decode ({})", foreign(e))).hint("run `splindex verify`")
            })?;
        if read != bytes.len() {
            return Err(bad(format!("expected {read} bytes, found {}", bytes.len())));
        }
        if meta.documents > super::MAX_DOCUMENTS || meta.terms > u64::from(u32::MAX) {
            return Err(bad(format!("{} documents, {} terms", meta.documents, meta.terms)));
        }
        meta.check_fields().map_err(bad)?;
        Ok(meta)
    }

    fn check_fields(&self) -> Result<(), String> {
        let kinds: Vec<&str> = self.fields.iter().map(|field| field.kind.name()).collect();
        if !matches!(kinds[..], [_] | ["learned", "bm25"]) {
            return Err(format!("expected one field, or learned and bm25, found {kinds:?}"));
        }
        let positive = |x: f64| x.is_finite() && x > 0.0;
        if let Some(field) = self.fields.iter().find(|field| !positive(field.scale)) {
            return Err(format!("expected a scale above 0, found {}", field.scale));
        }
        if !(1..=8).contains(&self.bits) {
            return Err(format!("expected impacts of 1 to 8 bits, found {}", self.bits));
        }
        for field in &self.fields {
            if let FieldKind::Bm25 { k1, b, avgdl, .. } = field.kind
                && !(k1.is_finite() && k1 >= 0.0 && (0.0..=1.0).contains(&b) && positive(avgdl))
            {
                return Err(format!("no BM25 has k1 {k1}, b {b} and mean length {avgdl}"));
            }
        }
        let constant = self.hybrid_constant;
        if self.is_hybrid() != positive(constant) {
            return Err(format!("found {kinds:?} and the hybrid constant {constant}"));
        }
        Ok(())
    }
}

/// The PROVENANCE section: JSON, for people and for merge checks of the model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// Program and version that wrote the file.
    pub tool: String,
    /// Names of the inputs, without directories.
    pub inputs: Vec<String>,
    /// The encoder as the vectors' manifest recorded it.
    pub model: Option<serde_json::Value>,
    /// Content id of the index whose order the bisection began with, if it was another's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_from: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Meta {
        Meta {
            documents: 3,
            postings: 5,
            terms: 2,
            codec: Codec::Small,
            reordered: false,
            bits: 8,
            fields: vec![FieldMeta::new(FieldKind::Learned, 1.0, Clipping::default())],
            pruning: Pruning::default(),
            shard: ShardMeta { index: 1, count: 4, doc_base: 77 },
            hybrid_constant: 0.0,
        }
    }

    #[test]
    fn meta_bytes_stay_what_they_are() {
        // Golden: the file format must not move with a version of bincode.
        let bytes = meta().encode().unwrap();
        let mut golden = Vec::new();
        for count in [3u64, 5, 2] {
            golden.extend(count.to_le_bytes());
        }
        golden.extend(0u32.to_le_bytes()); // codec
        golden.extend([0, 8]); // reordered, bits
        golden.extend(1u64.to_le_bytes()); // fields
        golden.extend(0u32.to_le_bytes()); // learned
        golden.extend(1f64.to_le_bytes());
        golden.extend([0; 24]); // clipped, lifted, postings
        golden.extend([0, 0, 0, 0, 1]); // pruning
        golden.extend([1, 0, 0, 0, 4, 0, 0, 0]); // shard
        golden.extend(77u64.to_le_bytes());
        golden.extend(0f64.to_le_bytes());
        assert_eq!(bytes, golden);
        assert_eq!(Meta::decode(Path::new("x"), &bytes, 64).unwrap(), meta());
    }

    #[test]
    fn fields_that_no_query_can_weigh_are_refused() {
        let bm25 = FieldKind::Bm25 {
            k1: 0.9,
            b: 0.4,
            avgdl: 7.0,
            stemmer: "none".into(),
            stopwords: "none".into(),
        };
        let field = |kind: &FieldKind| FieldMeta::new(kind.clone(), 2.0, Clipping::default());
        let (learned, mut bm25) = (field(&FieldKind::Learned), field(&bm25));
        let decodes = |fields: &[&FieldMeta], hybrid_constant| {
            let fields = fields.iter().map(|&field| field.clone()).collect();
            let bytes = Meta { fields, hybrid_constant, ..meta() }.encode().unwrap();
            Meta::decode(Path::new("x"), &bytes, 64).is_ok()
        };
        assert!(decodes(&[&learned, &bm25], 2000.0) && decodes(&[&bm25], 0.0));
        assert!(!decodes(&[&bm25, &learned], 2000.0) && !decodes(&[&learned; 3], 2000.0));
        assert!(!decodes(&[&learned, &bm25], 0.0) && !decodes(&[&learned], 1.0));
        assert!(!decodes(&[&learned, &bm25], f64::NAN));
        assert!(!decodes(&[&FieldMeta { scale: 0.0, ..learned.clone() }, &bm25], 2000.0));
        let FieldKind::Bm25 { b: ref mut length, .. } = bm25.kind else { panic!("it is BM25") };
        *length = 1.5;
        assert!(!decodes(&[&bm25], 0.0));
    }

    #[test]
    fn a_hostile_length_is_an_error_and_no_allocation() {
        let mut bytes = meta().encode().unwrap();
        bytes[30..38].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(Meta::decode(Path::new("x"), &bytes, 64).is_err());
        assert!(Meta::decode(Path::new("x"), &bytes[..10], 64).is_err());
    }
}
