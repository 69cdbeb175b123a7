//! Reading a collection: ids, tokens and documents, within the memory that a build may hold.

use std::ops::DerefMut;
use std::path::Path;

use super::estimate::{Estimate, Growth, READ_BUFFERS, admit};
use super::impacts::{FieldImpacts, Impacts};
use super::joined::{Interned, Second, key};
use super::spool::Spool;
use super::{AttributeReport, BuildOptions, Scale, pack};
use crate::error::{Error, Result};
use crate::format::Pruning;
use crate::format::names::NameTable;
use crate::progress::{Progress, advance};
use crate::quantize::{Quantizer, largest_impact};
use crate::vectors::transpose;
use crate::vectors::{TokenTable, VectorRecord, VectorSource, WeightSummary};

/// Vectors of all documents in input order: in memory, or in a temporary file once they
/// would not fit.
pub struct Collection {
    names: NameTable,
    /// Keys of LEXICON (field byte and token) by term id.
    keys: TokenTable,
    pub(super) documents: Held,
    weights: WeightSummary,
    zero_weights: u64,
    /// Postings before pruning.
    postings: u64,
    growth: Growth,
    /// The section ATTRIBUTES, and what was read for it.
    attributes: (Vec<u8>, AttributeReport),
}

/// Weights are kept as they are until the scale is known.
pub(super) enum Held {
    Weights(Spool<f32>),
    Impacts(Box<Impacts>),
}

impl Default for Collection {
    fn default() -> Self {
        Self::new(Held::Weights(Spool::default()))
    }
}

impl Collection {
    fn new(documents: Held) -> Self {
        Collection {
            names: NameTable::default(),
            keys: TokenTable::default(),
            documents,
            weights: WeightSummary { largest: 0.0, small_integers: true },
            zero_weights: 0,
            postings: 0,
            growth: Growth::default(),
            attributes: Default::default(),
        }
    }

    /// Reads every record of every source, in order, and quantizes them under `options`.
    /// Sources may number their terms differently; tokens are what counts. Documents that
    /// do not fit beside what inversion needs go to a temporary file in `tmp`.
    ///
    /// # Errors
    /// Those of the sources, of the scale, of the disk; `--memory` too small for ids and
    /// tokens alone.
    pub fn read<'s>(
        sources: &mut [impl DerefMut<Target = dyn VectorSource + 's>],
        options: &BuildOptions,
        tmp: &Path,
        progress: &dyn Progress,
    ) -> Result<Self> {
        Self::read_all(&mut borrowed(sources), None, options, tmp, progress)
    }

    /// As [`read`](Self::read), with the records of `texts`, BM25 weights of the same
    /// documents in the same order, as a second field; `path` is what errors about them
    /// call it. `options.hybrid` says how they were made.
    ///
    /// # Errors
    /// Also: another id than that of the vectors, or more or fewer records.
    pub fn read_hybrid<'s>(
        sources: &mut [impl DerefMut<Target = dyn VectorSource + 's>],
        (path, texts): (&Path, &mut dyn VectorSource),
        options: &BuildOptions,
        tmp: &Path,
        progress: &dyn Progress,
    ) -> Result<Self> {
        if options.hybrid.is_none() {
            return Err(Error::Usage("a second field needs BuildOptions::hybrid".into()));
        }
        let second = Second::new(path, texts, options.shard.doc_base);
        Self::read_all(&mut borrowed(sources), Some(second), options, tmp, progress)
    }

    fn read_all(
        sources: &mut [&mut (dyn VectorSource + '_)],
        mut second: Option<Second<'_>>,
        options: &BuildOptions,
        tmp: &Path,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let documents = match known_weights(sources, options) {
            Some(weights) => Held::Impacts(Box::new(Impacts::new(fields(options, weights)?))),
            None => Held::Weights(Spool::default()),
        };
        let mut collection = Collection::new(documents);
        prepare(sources, second.as_ref(), options)?;
        let total = sources.iter().map(|s| s.len_hint()).sum::<Option<u64>>();
        progress.begin("reading", total.unwrap_or(0));
        for i in 0..sources.len() {
            // Those that were read keep the ids that they saw, and others what they prepared.
            let held = sources.iter().map(|source| source.memory()).sum::<u64>();
            let limits = Limits {
                others: held - sources[i].memory(),
                total,
                alone: sources.len() == 1,
                options,
                tmp,
            };
            collection.read_source(&mut *sources[i], second.as_mut(), &limits, progress)?;
        }
        if let Some(second) = second {
            second.end(&mut collection.keys)?;
        }
        match &mut collection.documents {
            Held::Weights(spool) => spool.close()?,
            Held::Impacts(impacts) => impacts.spool.close()?,
        }
        collection.quantize(options, tmp, progress)?;
        Ok(collection)
    }

    /// Appends a document from memory. Zero weights are dropped and counted.
    ///
    /// # Errors
    /// A weight is negative or not finite, or a token is repeated.
    pub fn push<'t>(
        &mut self,
        id: &str,
        vector: impl IntoIterator<Item = (&'t str, f32)>,
    ) -> Result<()> {
        let mut record = VectorRecord::default();
        for (token, weight) in vector {
            if !(weight.is_finite() && weight >= 0.0) {
                let problem = format!("document {id:?}: token {token:?} has weight {weight}");
                return Err(Error::Usage(format!(
                    "{problem}; weights are finite and not negative"
                )));
            }
            if weight == 0.0 {
                self.zero_weights += 1;
                continue;
            }
            let term = self.keys.intern(&key(0, token));
            if record.terms.contains(&term) {
                return Err(Error::Usage(format!("document {id:?}: token {token:?} is repeated")));
            }
            record.terms.push(term);
            record.weights.push(weight);
        }
        record.id.push_str(id);
        self.observe(&record.weights);
        self.append(&record).map(drop)
    }

    fn read_source(
        &mut self,
        source: &mut dyn VectorSource,
        mut second: Option<&mut Second<'_>>,
        limits: &Limits<'_>,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut record = VectorRecord::default();
        let mut source = Interned::new(0, source);
        let mut unreported = 0;
        while source.read(&mut self.keys, &mut record)? {
            self.observe(&record.weights);
            if let Some(second) = second.as_deref_mut() {
                second.join(&mut self.keys, &mut record)?;
            }
            if self.append(&record)? {
                let texts = second.as_ref().map_or(0, |second| second.memory());
                let done = source.done().filter(|_| limits.alone);
                self.keep_within(source.memory() + texts, done, limits)?;
            }
            unreported += 1;
            if unreported == 256 {
                advance(progress, unreported)?;
                unreported = 0;
            }
        }
        advance(progress, unreported)?;
        self.zero_weights += source.zero_weights();
        Ok(())
    }

    /// Notes weights that may decide the scale.
    fn observe(&mut self, weights: &[f32]) {
        for &weight in weights {
            self.weights.largest = self.weights.largest.max(weight);
            self.weights.small_integers &= weight <= 255.0 && weight.fract() == 0.0;
        }
    }

    /// Adds a record whose terms are ids of our key table; whether a chunk was sealed.
    fn append(&mut self, record: &VectorRecord) -> Result<bool> {
        self.names.push(&record.id);
        self.postings += record.terms.len() as u64;
        self.growth.note(self.names.len() as u64, self.keys.len() as u64);
        let full = match &mut self.documents {
            Held::Impacts(impacts) => {
                impacts.push(&self.keys, &record.terms, &record.weights);
                impacts.spool.is_full()
            }
            Held::Weights(spool) => {
                spool.open().terms.extend_from_slice(&record.terms);
                spool.open().values.extend_from_slice(&record.weights);
                spool.open().end_document();
                spool.is_full()
            }
        };
        if full {
            match &mut self.documents {
                Held::Impacts(impacts) => impacts.spool.seal()?,
                Held::Weights(spool) => spool.seal()?,
            }
        }
        Ok(full)
    }

    /// Moves documents to a file when they, their inversion (4 bytes a posting) and
    /// packing (as much again, while that is small) no longer fit.
    fn keep_within(&mut self, source: u64, done: Option<f64>, limits: &Limits<'_>) -> Result<()> {
        let Limits { options, tmp, .. } = *limits;
        let sources = source + limits.others;
        let read = self.names.len() as f64;
        let done = limits.total.map(|all| read / (all as f64).max(read)).or(done);
        self.estimate(sources).check(done, options)?;
        let left = options.memory.left(self.held() + sources + READ_BUFFERS);
        let spill = |in_memory: u64, per_posting: u64| {
            in_memory > 0 && in_memory + in_memory / per_posting * 8 > left
        };
        match &mut self.documents {
            Held::Impacts(i) if spill(i.spool.in_memory(), 3) => i.spool.spill(tmp),
            Held::Weights(spool) if spill(spool.in_memory(), 6) => spool.spill(tmp),
            _ => Ok(()),
        }
    }

    fn quantize(
        &mut self,
        options: &BuildOptions,
        tmp: &Path,
        progress: &dyn Progress,
    ) -> Result<()> {
        let Held::Weights(weights) = &mut self.documents else { return Ok(()) };
        let mut weights = std::mem::take(weights);
        progress.begin("quantizing", self.names.len() as u64);
        let impacts = Impacts::new(fields(options, self.weights)?);
        let dir = weights.is_spilled().then_some(tmp);
        let (mut next, mut buffer) = (0, Vec::new());
        let impacts = impacts.of_weights(&self.keys, dir, progress, |chunk| {
            if next == weights.len() {
                return Ok(false);
            }
            weights.read(next, chunk, &mut buffer)?;
            weights.forget(next);
            next += 1;
            Ok(true)
        })?;
        self.documents = Held::Impacts(Box::new(impacts));
        Ok(())
    }

    /// The impacts, if the collection was read as such, or a copy made of the weights.
    pub(super) fn with_impacts<T>(
        &self,
        options: &BuildOptions,
        progress: &dyn Progress,
        work: impl FnOnce(&Impacts) -> Result<T>,
    ) -> Result<T> {
        let weights = match &self.documents {
            Held::Impacts(impacts) => return work(impacts),
            Held::Weights(weights) => weights,
        };
        let impacts = Impacts::new(fields(options, self.weights)?);
        let (mut next, mut buffer, last) = (0, Vec::new(), weights.len());
        work(&impacts.of_weights(&self.keys, None, progress, |chunk| {
            next += 1;
            match next - 1 {
                i if i < last => weights.read(i, chunk, &mut buffer).map(|()| true),
                i if i == last => Ok(weights.read_open(chunk)),
                _ => Ok(false),
            }
        })?)
    }

    /// Frees the documents, in memory and on disk: they are inverted.
    pub(super) fn forget_documents(&mut self) {
        match &mut self.documents {
            Held::Weights(spool) => *spool = Spool::default(),
            Held::Impacts(impacts) => impacts.spool = Spool::default(),
        }
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no document.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// External ids.
    pub(super) fn names(&self) -> &NameTable {
        &self.names
    }

    /// Keys of LEXICON by term id.
    pub(super) fn keys(&self) -> &TokenTable {
        &self.keys
    }

    /// Weights that were zero and dropped while reading.
    pub fn zero_weights(&self) -> u64 {
        self.zero_weights
    }

    /// Bytes of documents in a temporary file.
    pub fn spilled(&self) -> u64 {
        match &self.documents {
            Held::Weights(spool) => spool.on_disk(),
            Held::Impacts(impacts) => impacts.spool.on_disk(),
        }
    }

    /// Bytes that stay until the build ends; see [`Estimate::held`].
    pub(super) fn held(&self) -> u64 {
        self.estimate(0).held() + self.attributes.0.len() as u64
    }

    pub(super) fn set_attributes(&mut self, section: Vec<u8>, report: AttributeReport) {
        self.attributes = (section, report);
    }

    /// The section ATTRIBUTES; empty if there is none.
    pub(super) fn attributes(&self) -> &[u8] {
        &self.attributes.0
    }

    /// What [`read_attributes`](Self::read_attributes) found.
    pub fn attribute_report(&self) -> &AttributeReport {
        &self.attributes.1
    }

    /// What has been read, or all there is. The longest list is not known before the end.
    pub(super) fn estimate(&self, sources: u64) -> Estimate {
        let (documents, tokens) = (self.names.len() as u64, self.keys.len() as u64);
        Estimate {
            documents,
            id_bytes: self.names.bytes().len() as u64,
            tokens,
            postings: self.postings,
            longest: documents,
            sources,
            waiting: 0,
            growth: self.growth.power(documents, tokens),
        }
    }

    /// Moves documents from memory to a file in `tmp` if packing needs their room.
    pub(super) fn make_room(
        &mut self,
        order: Option<&[u32]>,
        options: &BuildOptions,
        tmp: &Path,
    ) -> Result<()> {
        let held = self.held() + order.map_or(0, |order| 8 * order.len() as u64);
        let scratch = order.map_or(0, |order| order.len() as u64);
        let documents = self.len() as u32;
        let Held::Impacts(impacts) = &mut self.documents else { return Ok(()) };
        let least = pack::least_memory(&impacts.df, scratch, (documents, options));
        match held + impacts.spool.in_memory() + least > options.memory.left(0) {
            true => impacts.spool.spill(tmp),
            false => Ok(()),
        }
    }
}

fn borrowed<'a, 's>(
    sources: &'a mut [impl DerefMut<Target = dyn VectorSource + 's>],
) -> Vec<&'a mut (dyn VectorSource + 's)> {
    sources.iter_mut().map(|source| &mut **source).collect()
}

/// What reading one of the sources must stay within.
struct Limits<'a> {
    /// Bytes that the other sources hold.
    others: u64,
    /// Documents of all sources, if known.
    total: Option<u64>,
    /// Whether there is no other source.
    alone: bool,
    options: &'a BuildOptions,
    tmp: &'a Path,
}

/// Refuses what cannot be built within the memory, as far as the sources know, and gives them
/// their part of it: half of what is left beside all that must stay. Documents get the other
/// half, and a file.
fn prepare(
    sources: &mut [&mut (dyn VectorSource + '_)],
    second: Option<&Second<'_>>,
    options: &BuildOptions,
) -> Result<()> {
    let sizes: Option<Vec<_>> = sources.iter().map(|source| source.size()).collect();
    let mut held = READ_BUFFERS;
    if let Some(mut sizes) = sizes {
        sizes.extend(second.and_then(|second| second.size()));
        let [least, most] = Estimate::of(&sizes, options);
        admit([least, most], options)?;
        held += least.held() + least.sources;
    }
    let room = (options.memory.left(held) / 2).min(transpose::ROOM);
    sources.iter_mut().try_for_each(|source| source.prepare(room))
}

/// How each field is quantized; `weights` are those of the first.
fn fields(options: &BuildOptions, weights: WeightSummary) -> Result<Vec<FieldImpacts>> {
    let quantizer = match options.scale {
        Scale::Auto => Quantizer::auto(weights, options.bits),
        Scale::Fixed(weight) => Quantizer::fixed(weight, options.bits),
    };
    let largest = largest_impact(options.bits)?;
    if options.pruning.min_impact > largest {
        return Err(Error::Usage(format!(
            "`min_impact` {} leaves nothing: with `bits` {} the largest impact is {largest}",
            options.pruning.min_impact, options.bits
        )));
    }
    let mut fields = vec![FieldImpacts::new(quantizer?, options.pruning)];
    if let Some(kind) = &options.hybrid {
        let Some(largest) = kind.largest_weight() else {
            return Err(Error::Usage("the field beside learned weights must be BM25".into()));
        };
        let quantizer = Quantizer::fixed(largest, options.bits)?;
        fields.push(FieldImpacts::new(quantizer, Pruning::default()));
    }
    Ok(fields)
}

/// The weights of all `sources`, if every one of them knows its own beforehand, or if the scale
/// is given and does not follow from them.
fn known_weights(
    sources: &[&mut (dyn VectorSource + '_)],
    options: &BuildOptions,
) -> Option<WeightSummary> {
    let none = WeightSummary { largest: 0.0, small_integers: true };
    if let Scale::Fixed(_) = options.scale {
        return Some(none);
    }
    let merge = |a: WeightSummary, b: WeightSummary| WeightSummary {
        largest: a.largest.max(b.largest),
        small_integers: a.small_integers && b.small_integers,
    };
    sources.iter().try_fold(none, |sum, s| Some(merge(sum, s.weights()?)))
}

/// Terms that occur, in the bytewise order of their keys (the lexicon), and the place of
/// each term id in it.
pub(super) fn lexicon(keys: &TokenTable, df: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let mut terms: Vec<u32> = (0..df.len() as u32).filter(|&t| df[t as usize] > 0).collect();
    terms.sort_unstable_by_key(|&t| keys.token(t).as_bytes());
    let mut rank = vec![u32::MAX; df.len()];
    terms.iter().enumerate().for_each(|(place, &term)| rank[term as usize] = place as u32);
    (terms, rank)
}
