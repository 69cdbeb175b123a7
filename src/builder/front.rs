//! Building as a library: what is in the caller's memory, or any source, into a file, a writer
//! or an open index.

use std::io::{Cursor, Seek, Write};
use std::ops::DerefMut;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::assemble::Target;
use super::inputs::{check_shard, input_names, shard_meta, texts_of};
use super::{
    AttributeSource, BuildOptions, BuildReport, Collection, Memory, Scale, analysed, build_to,
};
use crate::bm25::{Bm25Params, Bm25Source};
use crate::corpus::{AttributeRecord, AttributeValue, TextRecord};
use crate::error::{Error, Place, Result};
use crate::format::{Codec, FieldKind, Provenance, Pruning};
use crate::index::Index;
use crate::output;
use crate::progress::{Progress, Silent};
use crate::vectors::inputs::open_documents;
use crate::vectors::sparse::Sidecars;
use crate::vectors::store::Shard;
use crate::vectors::{Documents, Rows, Slice, VectorSource};

/// Document order of an index. It changes sizes and speed, never an answer.
#[derive(Debug, Clone, Default)]
pub enum Order {
    /// As the documents come.
    #[default]
    Input,
    /// By recursive graph bisection (Dhulipala et al., KDD 2016): like documents stand together.
    Bisected,
    /// By bisection that begins with the order of an earlier index of about the same documents,
    /// found there by their ids: as good, in a third of the time (docs/order.md).
    From(Index),
    /// The original ordinal of each docid: a permutation of the documents.
    Given(Vec<u32>),
}

impl PartialEq for Order {
    /// Earlier indexes are equal if their contents are.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Order::Input, Order::Input) | (Order::Bisected, Order::Bisected) => true,
            (Order::From(a), Order::From(b)) => a.content_id() == b.content_id(),
            (Order::Given(a), Order::Given(b)) => a == b,
            _ => false,
        }
    }
}

/// What errors call texts that come from no file.
const TEXTS: &str = "<texts>";

/// How an index is built: set what differs from the defaults, give it vectors, texts, or both,
/// then say where the index goes.
///
/// ```
/// use splindex::{Algorithm, Builder, Order};
///
/// let documents = [("d1", [("whale", 2.0), ("sea", 0.5)]), ("d2", [("whale", 1.2), ("ship", 1.9)])];
/// let index = Builder::new().order(Order::Bisected).vectors(documents)?.index()?;
/// let query = index.query([("whale", 1.0), ("ship", 0.6)])?;
/// let mut searcher = index.searcher();
/// let hits = searcher.search(&query, 10, Algorithm::Auto)?;
/// let ids: Vec<&str> = hits.iter().map(|hit| index.id(hit.ordinal)).collect();
/// assert_eq!(ids, ["d2", "d1"]);
/// # Ok::<(), splindex::Error>(())
/// ```
#[derive(Clone)]
pub struct Builder {
    options: BuildOptions,
    order: Order,
    bm25: Bm25Params,
    shard: Option<Shard>,
    texts_of_shard: bool,
    tmp: Option<PathBuf>,
    attributes: Vec<AttributeSource>,
    progress: Arc<dyn Progress + Send>,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// The defaults of `splindex build`: codec `fast`, input order, 8-bit impacts, the scale
    /// from the weights, half of the machine's memory.
    pub fn new() -> Self {
        Builder {
            options: BuildOptions { memory: Memory::of_machine(), ..BuildOptions::default() },
            order: Order::Input,
            bm25: Bm25Params::default(),
            shard: None,
            texts_of_shard: false,
            tmp: None,
            attributes: Vec::new(),
            progress: Arc::new(Silent),
        }
    }

    /// Layout of posting lists.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.options.codec = codec;
        self
    }

    /// Order of the documents.
    pub fn order(mut self, order: Order) -> Self {
        self.options.bisect = matches!(order, Order::Bisected | Order::From(_));
        self.options.provenance.order_from = match &order {
            Order::From(earlier) => Some(earlier.content_id()),
            _ => None,
        };
        self.order = order;
        self
    }

    /// How weights become impacts.
    pub fn scale(mut self, scale: Scale) -> Self {
        self.options.scale = scale;
        self
    }

    /// Bits of an impact, 1 to 8; checked when documents are read.
    pub fn bits(mut self, bits: u8) -> Self {
        self.options.bits = bits;
        self
    }

    /// Adds block maxima and lists that can be read anywhere, for
    /// [`Algorithm::BlockPruned`](crate::Algorithm::BlockPruned).
    pub fn skip_data(mut self, skip_data: bool) -> Self {
        self.options.skip_data = skip_data;
        self
    }

    /// Postings to leave out.
    pub fn pruning(mut self, pruning: Pruning) -> Self {
        self.options.pruning = pruning;
        self
    }

    /// BM25's parameters and analyzer, for [`texts`](Self::texts) and [`hybrid`](Self::hybrid).
    pub fn bm25(mut self, params: Bm25Params) -> Self {
        self.bm25 = params;
        self
    }

    /// Resident memory that the build may use; never shows in the result.
    pub fn memory(mut self, memory: Memory) -> Self {
        self.options.memory = memory;
        self
    }

    /// Builds one of `count` equal parts of the stores that [`open`](Self::open) is given, as `splindex
    /// build --shard` does.
    pub fn shard(mut self, shard: Shard) -> Self {
        self.shard = Some(shard);
        self
    }

    /// The texts of [`hybrid_sources`](Self::hybrid_sources) are those of the shard alone, not of the
    /// whole collection: their mean length must be given then ([`bm25`](Self::bm25)).
    pub fn texts_of_shard(mut self) -> Self {
        self.texts_of_shard = true;
        self
    }

    /// Folder of temporary files, which only collections beyond [`memory`](Self::memory) need:
    /// by default the folder of the output, or the system's for an index in memory.
    pub fn tmp(mut self, dir: impl Into<PathBuf>) -> Self {
        self.tmp = Some(dir.into());
        self
    }

    /// Attributes of documents, which filters ask for: an id and its values by key
    /// (docs/filters.md). Ids that no document has are counted and left out.
    ///
    /// ```
    /// # use splindex::Builder;
    /// let index = Builder::new()
    ///     .attributes([("d1", [("lang", "en")]), ("d2", [("lang", "de")])])
    ///     .vectors([("d1", [("whale", 2.0)]), ("d2", [("whale", 1.2)])])?
    ///     .index()?;
    /// assert_eq!(index.attributes().unwrap().find("lang").unwrap().values, 2);
    /// # Ok::<(), splindex::Error>(())
    /// ```
    pub fn attributes<Id, Key, Value, Values>(
        self,
        records: impl IntoIterator<Item = (Id, Values)>,
    ) -> Self
    where
        Id: Into<String>,
        Key: Into<String>,
        Value: Into<AttributeValue>,
        Values: IntoIterator<Item = (Key, Value)>,
    {
        let record = |(id, values): (Id, Values)| AttributeRecord {
            id: id.into(),
            values: values.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
        };
        let records = records.into_iter().map(record).collect();
        self.attribute_sources([AttributeSource::Records(Arc::new(records))])
    }

    /// As [`attributes`](Self::attributes), of files or of fields of the documents' own.
    pub fn attribute_sources(mut self, more: impl IntoIterator<Item = AttributeSource>) -> Self {
        self.attributes.extend(more);
        self
    }

    /// What to record of the origin.
    pub fn provenance(mut self, provenance: Provenance) -> Self {
        self.options.provenance = provenance;
        self
    }

    /// Adds the names of files, without their folders, to what the index records of its origin.
    pub fn naming_inputs(mut self, paths: &[PathBuf]) -> Self {
        self.options.provenance.inputs.extend(input_names(paths));
        self
    }

    /// Hears of the progress, and may ask to stop: then the build ends with
    /// [`Error::Stopped`] and writes nothing.
    pub fn progress(mut self, progress: impl Progress + Send + 'static) -> Self {
        self.progress = Arc::new(progress);
        self
    }

    /// Reads documents: each an id and its tokens with weights of 0 or more. Zeros are dropped.
    ///
    /// # Errors
    /// A weight that is negative or not finite, a token that a document has twice, with the
    /// document's number; memory too small; a full disk.
    pub fn vectors<I, Id, Terms, Token>(self, documents: I) -> Result<Loaded>
    where
        I: IntoIterator<Item = (Id, Terms)>,
        Id: AsRef<str>,
        Terms: IntoIterator<Item = (Token, f32)>,
        Token: AsRef<str>,
    {
        self.source(&mut Documents::new(documents))
    }

    /// Reads the rows of a compressed matrix.
    ///
    /// # Errors
    /// As [`vectors`](Self::vectors); a column that the vocabulary does not have.
    pub fn rows<S, P, C>(self, mut rows: Rows<'_, S, P, C>) -> Result<Loaded>
    where
        S: AsRef<str>,
        P: Copy + TryInto<usize>,
        C: Copy + TryInto<usize>,
    {
        self.source(&mut rows)
    }

    /// Reads any source of vectors to its end: those of
    /// [`open_vectors`](crate::vectors::inputs::open_vectors), or one of your own.
    ///
    /// # Errors
    /// As [`vectors`](Self::vectors), and those of the source.
    pub fn source(self, source: &mut dyn VectorSource) -> Result<Loaded> {
        self.read(&mut [source])
    }

    /// As [`source`](Self::source), from several sources, one behind the other.
    ///
    /// # Errors
    /// As [`source`](Self::source).
    pub fn sources(self, mut sources: Vec<Box<dyn VectorSource + '_>>) -> Result<Loaded> {
        self.read(&mut sources)
    }

    fn read<'s>(
        self,
        sources: &mut [impl DerefMut<Target = dyn VectorSource + 's>],
    ) -> Result<Loaded> {
        let tmp = self.tmp_or_default()?;
        let collection = Collection::read(sources, &self.options, &tmp, &*self.progress)?;
        self.loaded(collection)
    }

    /// Opens files of vectors, or stores, as `splindex build --input` does, and notes what an
    /// index records of them: their names, the model, the shard. They go to
    /// [`sources`](Self::sources) or [`hybrid_sources`](Self::hybrid_sources).
    ///
    /// # Errors
    /// Those of [`open_documents`]; a shard alone without a [`scale`](Self::scale).
    pub fn open<'s>(
        mut self,
        paths: &[PathBuf],
        sidecars: &Sidecars,
    ) -> Result<(Self, Vec<Box<dyn VectorSource + 's>>)> {
        let mut opened = open_documents(paths, sidecars)?;
        if let Some(first) = paths.first() {
            check_shard(first, &opened, self.options.scale)?;
        }
        if let Some(shard) = self.shard {
            opened = opened.cut(shard)?;
        }
        self.options.shard = shard_meta(opened.shard)?;
        let (inputs, model) = (input_names(paths), opened.model);
        self.options.provenance = Provenance { inputs, model, ..Provenance::default() };
        let boxed = |source: Box<dyn VectorSource>| source as Box<dyn VectorSource + 's>;
        Ok((self, opened.sources.into_iter().map(boxed).collect()))
    }

    /// Reads texts, each an id and its text, for BM25 ([`bm25`](Self::bm25)). Their field and
    /// scale follow from it.
    ///
    /// ```
    /// # use splindex::Builder;
    /// let bm25 = Builder::new().texts([("d1", "blue whale"), ("d2", "red ship")])?.index()?;
    /// assert_eq!(bm25.documents(), 2);
    /// # Ok::<(), splindex::Error>(())
    /// ```
    ///
    /// # Errors
    /// Parameters outside their ranges; a [`scale`](Self::scale), which BM25 sets itself; memory
    /// too small; a full disk.
    pub fn texts<I, Id, Text>(self, texts: I) -> Result<Loaded>
    where
        I: IntoIterator<Item = (Id, Text)>,
        Id: Into<String>,
        Text: Into<String>,
    {
        self.records(records(texts))
    }

    /// As [`texts`](Self::texts), of records that may fail: those of a
    /// [`CorpusReader`](crate::corpus::CorpusReader).
    ///
    /// # Errors
    /// As [`texts`](Self::texts), and the first of the records.
    pub fn records(mut self, texts: impl Iterator<Item = Result<TextRecord>>) -> Result<Loaded> {
        if self.options.scale != Scale::Auto {
            return Err(Error::Usage("`scale` does not go with BM25: its scale is k1 + 1".into()));
        }
        let tmp = self.tmp_or_default()?;
        let (mut source, kind) = self.analysed(texts, &tmp)?;
        self.options.scale = kind.largest_weight().map_or(Scale::Auto, Scale::Fixed);
        self.options.field = kind;
        self.source(&mut source)
    }

    /// Reads learned vectors and the texts of the same documents, in the same order: an index of
    /// both, whose scores are BM25 + h · learned (docs/hybrid.md).
    ///
    /// # Errors
    /// Those of both; another id in the texts than in the vectors, or another number of them.
    pub fn hybrid<I, Id, Text>(self, vectors: &mut dyn VectorSource, texts: I) -> Result<Loaded>
    where
        I: IntoIterator<Item = (Id, Text)>,
        Id: Into<String>,
        Text: Into<String>,
    {
        self.read_hybrid(&mut [vectors], records(texts))
    }

    /// As [`hybrid`](Self::hybrid), of several sources and of records that may fail. Beside a
    /// shard stand the texts of the whole collection.
    ///
    /// # Errors
    /// As [`hybrid`](Self::hybrid), and the first of the records.
    pub fn hybrid_sources(
        self,
        mut sources: Vec<Box<dyn VectorSource + '_>>,
        texts: impl Iterator<Item = Result<TextRecord>>,
    ) -> Result<Loaded> {
        self.read_hybrid(&mut sources, texts)
    }

    fn read_hybrid<'s>(
        mut self,
        sources: &mut [impl DerefMut<Target = dyn VectorSource + 's>],
        texts: impl Iterator<Item = Result<TextRecord>>,
    ) -> Result<Loaded> {
        let tmp = self.tmp_or_default()?;
        let (source, kind) = self.analysed(texts, &tmp)?;
        self.options.hybrid = Some(kind);
        let shard = &self.options.shard;
        let (before, texts) = match self.texts_of_shard {
            true => (0, u64::MAX),
            false => (shard.doc_base, texts_of(sources, shard)),
        };
        let mut source = Slice::new(Box::new(source), before, texts);
        let second: (&Path, &mut dyn VectorSource) = (Path::new(TEXTS), &mut source);
        let (options, progress) = (&self.options, &*self.progress);
        let collection = Collection::read_hybrid(sources, second, options, &tmp, progress)?;
        self.loaded(collection)
    }

    fn loaded(self, mut collection: Collection) -> Result<Loaded> {
        collection.read_attributes(&self.attributes, &self.options, &*self.progress)?;
        Ok(Loaded { builder: self, collection })
    }

    /// Texts as BM25 vectors, and how they are made.
    fn analysed<I: Iterator<Item = Result<TextRecord>>>(
        &self,
        texts: I,
        tmp: &Path,
    ) -> Result<(Bm25Source<I>, FieldKind)> {
        analysed(texts, self.bm25, &[], &self.options, tmp, |_| None)
    }

    fn tmp_or_default(&self) -> Result<PathBuf> {
        let tmp = self.tmp.clone().unwrap_or_else(std::env::temp_dir);
        output::check_tmp(&tmp)?;
        Ok(tmp)
    }
}

/// Texts of the caller's memory as records.
fn records<Id: Into<String>, Text: Into<String>>(
    texts: impl IntoIterator<Item = (Id, Text)>,
) -> impl Iterator<Item = Result<TextRecord>> {
    let path: Arc<Path> = Path::new(TEXTS).into();
    (1..).zip(texts).map(move |(number, (id, text))| {
        let (place, path) = (Place::Record(number), Arc::clone(&path));
        Ok(TextRecord { id: id.into(), text: text.into(), place, path })
    })
}

/// A collection that was read, quantized and may be written, once.
pub struct Loaded {
    builder: Builder,
    collection: Collection,
}

impl Loaded {
    /// Documents that were read.
    pub fn documents(&self) -> usize {
        self.collection.len()
    }

    /// Writes the index to a file, which appears under its name when it is complete; an older
    /// one is replaced then.
    ///
    /// # Errors
    /// No document; an id that two documents have; an order that is no permutation; memory too
    /// small; what the system says.
    pub fn write(self, path: impl AsRef<Path>) -> Result<BuildReport> {
        let path = path.as_ref();
        let tmp = self.builder.tmp.clone().unwrap_or_else(|| output::folder(path).to_owned());
        self.build(&tmp, Target::File(path))
    }

    /// Writes the index to `out`, from where it stands on, and gives it back.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn finish<W: Write + Seek>(self, mut out: W) -> Result<(W, BuildReport)> {
        let tmp = self.builder.tmp_or_default()?;
        let report = self.build(&tmp, Target::Memory(&mut out))?;
        Ok((out, report))
    }

    /// The bytes of the index file.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn to_bytes(self) -> Result<Vec<u8>> {
        Ok(self.finish(Cursor::new(Vec::new()))?.0.into_inner())
    }

    /// An open index in memory.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn index(self) -> Result<Index> {
        Index::from_bytes(self.to_bytes()?)
    }

    fn build(mut self, tmp: &Path, target: Target<'_>) -> Result<BuildReport> {
        let Builder { options, order, progress, .. } = &self.builder;
        let progress = &**progress as &dyn Progress;
        let order = match order {
            Order::Input => None,
            Order::Given(order) => Some(order.clone()),
            Order::Bisected => Some(self.collection.bisect(options, tmp, progress)?.order),
            Order::From(earlier) => {
                Some(self.collection.bisect_from(earlier, options, tmp, progress)?.order)
            }
        };
        build_to(tmp, self.collection, order.as_deref(), options, target, progress)
    }
}
