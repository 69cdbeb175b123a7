//! A model directory as a function from texts to sparse vectors.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use candle_core::{DType, Device};
use rayon::prelude::*;

use super::batch::{self, Batch};
use super::config::ModelConfig;
use super::cpu::CpuModel;
use super::graph::{MaskedLm, Packed, internal};
use super::info;
use super::pool::Projector;
use super::tokenizer::{TextTokenizer, TokenIds};
use super::weights::{Weights, all_finite};
use super::{Encoded, Progress, TextEncoder};
use crate::error::{Error, Place, Result};
use crate::vectors::TokenTable;
use crate::vectors::store::ModelInfo;

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

/// What computes. The CPU's vectors agree to a few units in the last place of a weight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Arithmetic {
    /// Our kernels on a CPU, candle on a GPU.
    #[default]
    Fastest,
    /// Our kernels, every logit computed in full: the same bits as `Fastest`, for tests.
    Unscreened,
    /// candle's operations on a CPU, too: the oracle.
    Candle,
}

/// How to load and run a model.
#[derive(Debug, Clone)]
pub struct EncoderOptions {
    /// Tokens of a text that are read, special tokens included.
    pub max_length: usize,
    /// Tokens of a batch; memory per worker is about 30 kB each.
    pub batch_tokens: usize,
    /// Number type.
    pub dtype: Precision,
    /// Processor or GPU.
    pub device: DeviceChoice,
    /// Workers; 0 means as many as the global thread pool has.
    pub threads: usize,
    /// What computes.
    pub arithmetic: Arithmetic,
}

impl Default for EncoderOptions {
    fn default() -> Self {
        EncoderOptions {
            max_length: 256,
            batch_tokens: 1024,
            dtype: Precision::F32,
            device: DeviceChoice::Cpu,
            threads: 0,
            arithmetic: Arithmetic::Fastest,
        }
    }
}

/// A loaded SPLADE encoder. Threads share it.
pub struct Encoder {
    tokenizer: TextTokenizer,
    engine: Engine,
    info: ModelInfo,
    dir: PathBuf,
    options: EncoderOptions,
}

enum Engine {
    Kernels(Box<CpuModel>),
    Candle(Box<MaskedLm>, Projector),
}

impl Encoder {
    /// Reads `config.json`, `tokenizer.json` (or `vocab.txt`) and `model.safetensors`.
    ///
    /// # Errors
    /// A missing or malformed file, an architecture other than those of
    /// [`super::SUPPORTED`], tensors that do not fit the configuration, a tokenizer of
    /// another vocabulary size, a maximum length beyond the model's positions.
    pub fn load(model_dir: &Path, options: &EncoderOptions) -> Result<Self> {
        let device = open_device(options)?;
        if !model_dir.is_dir() {
            return Err(Error::data(
                model_dir,
                Place::File,
                "expected a model directory, found none",
            )
            .hint("give a directory with config.json, tokenizer.json and model.safetensors"));
        }
        let config_path = model_dir.join("config.json");
        let config_bytes = info::read(&config_path)?;
        let config = ModelConfig::parse(&config_path, &config_bytes)?;
        if options.max_length > config.positions {
            let n = options.max_length;
            let problem =
                format!("--max-length {n} is more than the model's {} positions", config.positions);
            return Err(Error::Usage(problem));
        }
        let tokenizer = TextTokenizer::load(model_dir, options.max_length)?;
        if tokenizer.tokens().len() != config.vocabulary {
            let problem = format!(
                "expected the {} tokens of config.json's vocab_size, found {}",
                config.vocabulary,
                tokenizer.tokens().len()
            );
            return Err(Error::data(tokenizer.path(), Place::File, problem)
                .hint("use the tokenizer that the model was trained with"));
        }
        let path = weights_path(model_dir)?;
        let bytes = info::read(&path)?;
        let dtype = match options.dtype {
            Precision::F32 => DType::F32,
            Precision::Bf16 => DType::BF16,
            Precision::F16 => DType::F16,
        };
        let model = MaskedLm::load(&config, &Weights::new(&path, &bytes, dtype, device)?)?;
        let engine = engine(model, options)?;
        let hex = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
        let info = ModelInfo {
            name: info::name(model_dir),
            architecture: config.architecture.name().into(),
            layers: config.layers,
            hidden: config.hidden,
            vocabulary: config.vocabulary,
            config_digest: hex(&config_bytes),
            weights_digest: hex(&bytes),
            tokenizer_digest: tokenizer.digest().into(),
            licence: info::licence(model_dir),
        };
        let dir = model_dir.to_owned();
        Ok(Encoder { tokenizer, engine, info, dir, options: options.clone() })
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
            Engine::Candle(model, projector) => internal(|| {
                let hidden = model.hidden(&packed)?;
                // Here, since the maximum over tokens would hide a NaN.
                match all_finite(&hidden)? {
                    true => projector.pool(&hidden, &packed.lengths).map(Some),
                    false => Ok(None),
                }
            })?,
        };
        pooled.ok_or_else(|| {
            let problem = "the model computes numbers that are not finite";
            Error::data(&self.dir, Place::File, problem)
                .hint("its weights are damaged, or overflow in this --dtype")
        })
    }
}

impl TextEncoder for Encoder {
    fn encode_texts(&self, texts: &[&str], done: &Progress<'_>) -> Result<Vec<Encoded>> {
        // A query is alone: handing it to the pool would cost it 20 µs.
        let tokens: Vec<TokenIds> = match texts {
            [text] => vec![self.tokenizer.encode(text)?],
            _ => texts.par_iter().map(|text| self.tokenizer.encode(text)).collect::<Result<_>>()?,
        };
        let lengths: Vec<usize> =
            tokens.iter().map(|t| if t.has_content { t.ids.len() } else { 0 }).collect();
        let batches = batch::plan(&lengths, self.options.batch_tokens);
        let workers = match (self.options.device, self.options.threads) {
            (DeviceChoice::Cuda(_), _) => 1,
            (_, 0) => rayon::current_num_threads(),
            (_, n) => n,
        };
        let mut encoded: Vec<Encoded> =
            tokens.iter().map(|t| Encoded { terms: Vec::new(), truncated: t.truncated }).collect();
        done((texts.len() - batches.iter().map(Vec::len).sum::<usize>()) as u64);
        let isolate = matches!(self.engine, Engine::Candle(..));
        let results = batch::run(&batches, workers, isolate, |batch| {
            let vectors = self.run(batch, &tokens)?;
            if done(batch.len() as u64) { Ok(vectors) } else { Err(Error::Stopped) }
        })?;
        for (batch, vectors) in batches.iter().zip(results) {
            for (&i, terms) in batch.iter().zip(vectors) {
                encoded[i].terms = terms;
            }
        }
        Ok(encoded)
    }

    fn tokens(&self) -> &TokenTable {
        self.tokenizer.tokens()
    }

    fn info(&self) -> &ModelInfo {
        &self.info
    }
}

fn engine(model: MaskedLm, options: &EncoderOptions) -> Result<Engine> {
    let on_cpu = options.device == DeviceChoice::Cpu;
    let screened = match options.arithmetic {
        Arithmetic::Fastest if on_cpu => true,
        Arithmetic::Unscreened if on_cpu => false,
        _ => {
            let new = || Projector::new(&model.decoder, model.decoder_bias.clone());
            let projector = internal(new)?;
            return Ok(Engine::Candle(Box::new(model), projector));
        }
    };
    Ok(Engine::Kernels(Box::new(internal(|| CpuModel::new(&model, screened))?)))
}

fn open_device(options: &EncoderOptions) -> Result<Device> {
    match options.device {
        DeviceChoice::Cpu if options.dtype == Precision::F32 => Ok(Device::Cpu),
        DeviceChoice::Cpu => {
            let name = options.dtype.name();
            Err(Error::Usage(format!("--dtype {name} needs --device cuda:N; the CPU uses f32")))
        }
        DeviceChoice::Cuda(_) if !cfg!(feature = "cuda") => {
            Err(Error::Usage("--device cuda needs a splindex built with --features cuda".into()))
        }
        DeviceChoice::Cuda(n) => Device::new_cuda(n)
            .map_err(|e| Error::Usage(format!("--device cuda:{n} cannot be used: {e}"))),
    }
}

fn weights_path(dir: &Path) -> Result<PathBuf> {
    let path = dir.join("model.safetensors");
    if path.exists() {
        return Ok(path);
    }
    let other = ["pytorch_model.bin", "model.safetensors.index.json", "onnx/model.onnx"];
    let hint = match other.iter().find(|name| dir.join(name).exists()) {
        Some(name) => format!("it has {name}: save the model as one safetensors file"),
        None => "download the model's weights into it".into(),
    };
    Err(Error::data(
        dir,
        Place::File,
        "expected model.safetensors in the model directory, found none",
    )
    .hint(hint))
}
