//! A model directory as a function from texts to sparse vectors.

use std::path::Path;
use std::str::FromStr;

use candle_core::{DType, Device};
use rayon::prelude::*;

use super::batch::{self, Batch};
use super::checkpoint::Checkpoint;
use super::config::ModelConfig;
use super::cpu::CpuModel;
use super::folder::{self, Activated, Side, SidePart};
use super::graph::{MaskedLm, Packed, internal};
use super::modernbert::ModernBert;
use super::pool::Projector;
use super::tokenizer::{TextTokenizer, TokenIds};
use super::weights::{Weights, all_finite};
use super::{DEFAULT_MAX_LENGTH, Encoded, Progress, TextEncoder, hub, info, prune};
use crate::error::{Error, Place, Result};
use crate::vectors::TokenTable;
use crate::vectors::store::{Kind, ModelInfo, TextDigest};

/// Where the arithmetic runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The processor, one worker per thread.
    #[default]
    Cpu,
    /// An NVIDIA GPU by number; needs the feature `cuda`.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(s: &str) -> std::result::Result<Self, String> {
        let cuda = s.strip_prefix("cuda").map(|n| n.strip_prefix(':').unwrap_or("0").parse());
        match (s, cuda) {
            ("cpu", _) => Ok(DeviceChoice::Cpu),
            (_, Some(Ok(n))) => Ok(DeviceChoice::Cuda(n)),
            _ => Err(format!("expected cpu or cuda:N, found {s:?}")),
        }
    }
}

impl std::fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DeviceChoice::Cpu => write!(f, "cpu"),
            DeviceChoice::Cuda(n) => write!(f, "cuda:{n}"),
        }
    }
}

/// Number type of weights and states. Stored f16 or bf16 weights widen to f32 by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// bfloat16, GPU only.
    Bf16,
    /// 16-bit floats, GPU only.
    F16,
}

impl Precision {
    /// The name on the command line and in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
            Precision::F16 => "f16",
        }
    }
}

/// What computes. Vectors of both agree to a few units in the last place of a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arithmetic {
    /// Our kernels, on a CPU. Without the screen every logit is computed in full: the same bits.
    Kernels { screened: bool },
    /// candle's operations: on a GPU, and on a CPU the oracle.
    Candle,
}

impl Arithmetic {
    /// The fastest on this device.
    fn of(device: DeviceChoice) -> Self {
        match device {
            DeviceChoice::Cpu => Arithmetic::Kernels { screened: true },
            DeviceChoice::Cuda(_) => Arithmetic::Candle,
        }
    }
}

/// How to load and run a model.
#[derive(Debug, Clone)]
pub struct EncoderOptions {
    /// Tokens of a text that are read, special tokens included; 0 means what the model says
    /// (a SparseEncoder's `max_seq_length`), or else
    /// [`DEFAULT_MAX_LENGTH`](super::DEFAULT_MAX_LENGTH).
    pub max_length: usize,
    /// Tokens of a batch; memory per worker is about 30 kB each.
    pub batch_tokens: usize,
    /// Number type.
    pub dtype: Precision,
    /// Processor or GPU.
    pub device: DeviceChoice,
    /// Workers; 0 means as many as the global thread pool has.
    pub threads: usize,
}

impl Default for EncoderOptions {
    fn default() -> Self {
        EncoderOptions {
            max_length: 0,
            batch_tokens: 1024,
            dtype: Precision::F32,
            device: DeviceChoice::Cpu,
            threads: 0,
        }
    }
}

/// A loaded SPLADE encoder. Threads share it.
pub struct Encoder {
    tokenizer: TextTokenizer,
    engine: Engine,
    info: ModelInfo,
    side: Side,
    activated: Activated,
    max_length: usize,
    padding: usize,
    options: EncoderOptions,
}

/// What computes a batch.
enum Engine {
    Kernels(Box<CpuModel>),
    Candle(Graph, Projector),
}

impl Engine {
    /// The model of the first `terms` rows of its vocabulary.
    fn load(
        config: &ModelConfig,
        weights: &Weights<'_>,
        terms: usize,
        arithmetic: Arithmetic,
    ) -> Result<Self> {
        let graph = match &config.modern {
            Some(modern) => {
                Graph::ModernBert(Box::new(ModernBert::load(config, modern, weights, terms)?))
            }
            None => Graph::Bert(Box::new(MaskedLm::load(config, weights, terms)?)),
        };
        let Arithmetic::Kernels { screened } = arithmetic else {
            let projector = internal(|| graph.projector())?;
            return Ok(Engine::Candle(graph, projector));
        };
        let model = internal(|| match &graph {
            Graph::Bert(model) => CpuModel::new(model, screened),
            Graph::ModernBert(model) => CpuModel::modern(model, screened),
        });
        Ok(Engine::Kernels(Box::new(model?)))
    }
}

/// The graphs in candle's operations.
enum Graph {
    Bert(Box<MaskedLm>),
    ModernBert(Box<ModernBert>),
}

impl Graph {
    fn hidden(&self, batch: &Packed) -> candle_core::Result<candle_core::Tensor> {
        match self {
            Graph::Bert(model) => model.hidden(batch),
            Graph::ModernBert(model) => model.hidden(batch),
        }
    }

    fn projector(&self) -> candle_core::Result<Projector> {
        match self {
            Graph::Bert(model) => Projector::new(&model.decoder, model.decoder_bias.clone()),
            Graph::ModernBert(model) => Projector::new(&model.decoder, model.decoder_bias.clone()),
        }
    }
}

impl Encoder {
    /// Loads what encodes documents in a model directory (or in the hub's cache, for a hub
    /// id): `config.json`, `tokenizer.json` (or `vocab.txt`) and the weights, or a
    /// SentenceTransformers folder that names the parts in `modules.json`.
    ///
    /// # Errors
    /// A missing or malformed file, an architecture other than those of
    /// [`super::SUPPORTED`], tensors that do not fit the configuration, a tokenizer of
    /// another vocabulary size, a maximum length beyond the model's positions.
    pub fn load(model: &Path, options: &EncoderOptions) -> Result<Self> {
        let dir = hub::model_directory(model)?;
        let side = folder::side(&dir, Kind::Document)?;
        Encoder::of_side(&dir, side, options)
    }

    /// The encoder of one side of the model directory `root`.
    pub(super) fn of_side(root: &Path, side: Side, options: &EncoderOptions) -> Result<Self> {
        Encoder::computing(root, side, options, Arithmetic::of(options.device))
    }

    fn computing(
        root: &Path,
        side: Side,
        options: &EncoderOptions,
        arithmetic: Arithmetic,
    ) -> Result<Self> {
        let SidePart::Transformer(activated) = side.part else {
            let problem = "expected a model for documents, found token weights only";
            return Err(Error::data(root, Place::File, problem)
                .hint("they are for queries: encode documents with the model they belong to"));
        };
        let device = open_device(options)?;
        let config_path = side.dir.join("config.json");
        let mut config_bytes = info::read_json(&config_path)?;
        let config = ModelConfig::parse(&config_path, &config_bytes)?;
        config_bytes.extend_from_slice(&side.settings);
        let max_length = max_length(&side, &config, options)?;
        let tokenizer = tokenizer(&side, &config, max_length)?;
        let checkpoint = Checkpoint::open(&side.dir)?;
        let dtype = match options.dtype {
            Precision::F32 => DType::F32,
            Precision::Bf16 => DType::BF16,
            Precision::F16 => DType::F16,
        };
        let weights = Weights::new(&checkpoint, dtype, device);
        let engine = Engine::load(&config, &weights, tokenizer.tokens().len(), arithmetic)?;
        weights.require_all_read()?;
        let info = ModelInfo {
            name: info::name(root),
            architecture: config.architecture.name().into(),
            layers: config.layers,
            hidden: config.hidden,
            vocabulary: tokenizer.tokens().len(),
            config_digest: blake3::hash(&config_bytes).to_hex().to_string(),
            weights_digest: checkpoint.digest().into(),
            tokenizer_digest: tokenizer.digest().into(),
            licence: info::licence(root),
        };
        let (options, padding) = (options.clone(), config.vocabulary - tokenizer.tokens().len());
        Ok(Encoder { tokenizer, engine, info, side, activated, max_length, padding, options })
    }

    /// One vector per text: (term id, weight > 0), sorted by term id. A text without
    /// words gives an empty vector.
    pub fn encode_batch(&self, texts: &[&str]) -> Result<Vec<Vec<(u32, f32)>>> {
        Ok(self.encode_texts(texts, &|_| true)?.into_iter().map(|e| e.terms).collect())
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    fn run(&self, batch: &Batch, tokens: &[TokenIds]) -> Result<Vec<Vec<(u32, f32)>>> {
        let packed = Packed {
            ids: batch.iter().flat_map(|&i| tokens[i].ids.iter().copied()).collect(),
            lengths: batch.iter().map(|&i| tokens[i].ids.len()).collect(),
        };
        let pooled = match &self.engine {
            Engine::Kernels(model) => model.run(&packed),
            Engine::Candle(graph, projector) => internal(|| {
                let hidden = graph.hidden(&packed)?;
                // Here, since the maximum over tokens would hide a NaN.
                match all_finite(&hidden)? {
                    true => projector.pool(&hidden, &packed.lengths).map(Some),
                    false => Ok(None),
                }
            })?,
        };
        let mut pooled = pooled.ok_or_else(|| {
            let problem = "the model computes numbers that are not finite";
            Error::data(&self.side.dir, Place::File, problem)
                .hint("its weights are damaged, or overflow in this `dtype`")
        })?;
        if self.activated == Activated::Twice {
            pooled.iter_mut().flatten().for_each(|(_, weight)| *weight = weight.ln_1p());
        }
        Ok(pooled)
    }
}

impl TextEncoder for Encoder {
    fn encode_texts(&self, texts: &[&str], done: &Progress<'_>) -> Result<Vec<Encoded>> {
        let tokens_of = |text: &str| self.tokenizer.encode(&self.side.prepared(text));
        // A query is alone: handing it to the pool would cost it 20 µs.
        let tokens: Vec<TokenIds> = match texts {
            [text] => vec![tokens_of(text)?],
            // A text that must be tokenized whole takes seconds if it has megabytes.
            _ => texts
                .par_iter()
                .map(|text| if done(0) { tokens_of(text) } else { Err(Error::Stopped) })
                .collect::<Result<_>>()?,
        };
        let lengths: Vec<usize> =
            tokens.iter().map(|t| if t.has_content { t.ids.len() } else { 0 }).collect();
        let batches = batch::plan(&lengths, self.options.batch_tokens);
        let workers = match (self.options.device, self.options.threads) {
            (DeviceChoice::Cuda(_), _) => 1,
            (_, 0) => rayon::current_num_threads(),
            (_, n) => n,
        };
        let mut encoded: Vec<Encoded> = tokens
            .iter()
            .map(|t| Encoded { truncated: t.truncated, part: t.part, ..Encoded::default() })
            .collect();
        done((texts.len() - batches.iter().map(Vec::len).sum::<usize>()) as u64);
        let isolate = matches!(self.engine, Engine::Candle(..));
        let results = batch::run(&batches, workers, isolate, |batch| {
            let vectors = self.run(batch, &tokens)?;
            if done(batch.len() as u64) { Ok(vectors) } else { Err(Error::Stopped) }
        })?;
        for (batch, vectors) in batches.iter().zip(results) {
            for (&i, terms) in batch.iter().zip(vectors) {
                encoded[i].terms = prune(terms, self.side.top, 0.0);
            }
        }
        Ok(encoded)
    }

    fn check(&self, text: &str) -> Result<()> {
        self.tokenizer.encode(&self.side.prepared(text)).map(drop)
    }

    fn digests(&self, text: &str) -> Vec<TextDigest> {
        self.side.digests(&self.tokenizer, text)
    }

    fn tokens(&self) -> &TokenTable {
        self.tokenizer.tokens()
    }

    fn padding(&self) -> usize {
        self.padding
    }

    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn max_length(&self) -> usize {
        self.max_length
    }

    fn pooling(&self) -> &'static str {
        self.activated.name()
    }

    fn prompt(&self) -> &str {
        &self.side.prompt
    }
}

/// What the caller asks for, or else what the model is meant for, within its positions.
fn max_length(side: &Side, config: &ModelConfig, options: &EncoderOptions) -> Result<usize> {
    match options.max_length {
        0 => Ok(side.max_length.unwrap_or(DEFAULT_MAX_LENGTH).min(config.positions)),
        n if n <= config.positions => Ok(n),
        n => {
            let positions = config.positions;
            let problem =
                format!("`max_length` {n} is more than the model's {positions} positions");
            Err(Error::Usage(problem))
        }
    }
}

/// Most rows after the tokenizer's last token that are taken for padding: published models pad to
/// multiples of 8 to 1,024. More belong to another tokenizer.
const MOST_PADDING: usize = 1024;

/// The tokenizer, whose tokens must all have a row in the model. Some rows after the last token
/// are padding.
fn tokenizer(side: &Side, config: &ModelConfig, max_length: usize) -> Result<TextTokenizer> {
    let tokenizer = TextTokenizer::load(&side.dir, max_length)?;
    let (expected, found) = (config.vocabulary, tokenizer.tokens().len());
    if found <= expected && expected - found <= MOST_PADDING {
        return Ok(tokenizer);
    }
    if found < expected {
        let problem = format!(
            "expected the {expected} tokens of config.json's vocab_size, less at most {MOST_PADDING} \
             rows of padding, found {found}"
        );
        return Err(Error::data(tokenizer.path(), Place::File, problem)
            .hint("use the tokenizer that the model was trained with"));
    }
    let first = tokenizer.tokens().token(expected as u32);
    let problem = format!(
        "expected at most the {expected} tokens of config.json's vocab_size, found {found}: the \
         model has no row for {first:?}"
    );
    Err(Error::data(tokenizer.path(), Place::File, problem)
        .hint("use the tokenizer that the model was trained with"))
}

fn open_device(options: &EncoderOptions) -> Result<Device> {
    match options.device {
        DeviceChoice::Cpu if options.dtype == Precision::F32 => Ok(Device::Cpu),
        DeviceChoice::Cpu => {
            let name = options.dtype.name();
            Err(Error::Usage(format!("`dtype` {name} needs `device` cuda:N; the CPU uses f32")))
        }
        DeviceChoice::Cuda(_) if !cfg!(feature = "cuda") => {
            Err(Error::Usage("`device` cuda needs a splindex built with --features cuda".into()))
        }
        DeviceChoice::Cuda(n) => Device::new_cuda(n)
            .map_err(|e| Error::Usage(format!("`device` cuda:{n} cannot be used: {e}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The golden texts' vectors by a golden model. Texts without words have no terms here,
    /// whatever the model says of bare [CLS] [SEP].
    fn vectors(model: &str, arithmetic: Arithmetic) -> Vec<Vec<(u32, f32)>> {
        let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/goldens");
        let file = std::fs::read_to_string(goldens.join("texts.tsv")).unwrap();
        let texts: Vec<&str> = file.lines().map(|line| line.split_once('\t').unwrap().1).collect();
        let dir = goldens.join(model);
        let side = folder::side(&dir, Kind::Document).unwrap();
        let options = EncoderOptions { max_length: 32, ..EncoderOptions::default() };
        let encoder = Encoder::computing(&dir, side, &options, arithmetic).unwrap();
        encoder.encode_batch(&texts).unwrap()
    }

    #[test]
    fn the_kernels_equal_the_graph_in_candle() {
        // ModernBERT's four layers of wide random matrices amplify rounding.
        let models =
            [("bert", 1e-5), ("distilbert", 1e-5), ("roberta", 1e-5), ("modernbert", 5e-5)];
        for (model, tolerance) in models {
            let fastest = vectors(model, Arithmetic::of(DeviceChoice::Cpu));
            let unscreened = vectors(model, Arithmetic::Kernels { screened: false });
            assert_eq!(fastest, unscreened, "the screen changes no bit");
            for (ours, candle) in fastest.iter().zip(vectors(model, Arithmetic::Candle)) {
                let terms = |vector: &[(u32, f32)]| vector.iter().map(|t| t.0).collect::<Vec<_>>();
                // No weight of these is so small that rounding decides whether it is there.
                assert_eq!(terms(ours), terms(&candle), "{model}");
                for (a, b) in ours.iter().zip(&candle) {
                    assert!((a.1 - b.1).abs() < tolerance, "{model}: {a:?}, candle {b:?}");
                }
            }
        }
    }
}
