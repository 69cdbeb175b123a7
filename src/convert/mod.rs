//! From any kind of vectors to any exchange format.
//!
//! ```text
//! store, jsonl, ciff, npz, csr ─► sources ─┬──────────────► jsonl
//! index ─► lists, transposed ──────────────┴─► gathered ─► ciff, npz, csr, pisa, store
//! ```
//!
//! Weights pass unchanged, as 32-bit floats, except to CIFF and PISA, which hold whole
//! numbers: weights that are whole stay what they are, others are quantised as a build
//! would. An index gives its impacts, so what it is converted to builds the same lists;
//! a BM25 index gives idf × weight, because the formats know no query-side idf.
//!
//! Architecture invariant: no format's bytes are known here; `vectors/` reads and writes them.

mod beside;
mod folder;
mod index;
mod target;

use std::io::Write;
use std::path::{Path, PathBuf};

pub use target::Target;

use crate::builder::Scale;
use crate::error::{Error, Place, Result};

use crate::output::{PackedFile, publish_with};
use crate::progress::Progress;
use crate::quantize::{Clipping, Quantizer};
use crate::vectors::gathered::{Gathered, ImpactLists, for_each};
use crate::vectors::inputs::{Format, format_of, open_vectors_with};
use crate::vectors::jsonl::JsonVectorWriter;
use crate::vectors::sparse::{self, Columns, Sidecars, read_vocabulary};
use crate::vectors::store::{BLOCK_RECORDS, BlockInput, Kind, Plan, StoreWriter, WeightFormat};
use crate::vectors::transpose::Transposed;
use crate::vectors::{VectorRecord, VectorSource, ciff, pisa};
use folder::NewFolder;

/// f16 holds whole numbers up to here exactly.
const LARGEST_HALF: f32 = 2048.0;

/// What a conversion is asked for.
#[derive(Debug, Clone)]
pub struct ConvertOptions {
    /// What to write.
    pub target: Target,
    /// Ids and vocabulary of a matrix that is read; the vocabulary also of one written.
    pub sidecars: Sidecars,
    /// How weights become whole numbers, for CIFF and PISA; `Auto` keeps whole numbers.
    pub scale: Scale,
    /// Bits of an impact where weights are quantised.
    pub bits: u8,
    /// Which field of an index that has two: `learned` or `bm25`.
    pub field: Option<String>,
    /// Folder for temporary files; the output's if there is none.
    pub tmp: Option<PathBuf>,
}

impl ConvertOptions {
    fn tmp<'a>(&'a self, beside: &'a Path) -> &'a Path {
        self.tmp.as_deref().unwrap_or(beside)
    }
}

/// What a conversion did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConvertReport {
    /// Records written.
    pub documents: u64,
    /// Weights written.
    pub postings: u64,
    /// Weights that were zero and dropped.
    pub zero_weights: u64,
    /// Where weights were quantised: impacts per unit of weight, and what that cut off.
    pub quantized: Option<(f64, Clipping)>,
    /// Files written beside the output.
    pub beside: Vec<PathBuf>,
    /// Commands that make an index of the output, for PISA.
    pub commands: Option<&'static str>,
}

/// Opens `inputs` as sources of vectors, indexes included.
fn open(inputs: &[PathBuf], options: &ConvertOptions) -> Result<Vec<Box<dyn VectorSource>>> {
    if let [path] = inputs
        && path.is_file()
        && format_of(path)? == Format::Index
    {
        let lists = index::IndexLists::open(path, options.field.as_deref())?;
        return Ok(vec![Box::new(Transposed::new(lists))]);
    }
    if options.field.is_some() {
        return Err(Error::Usage("`field` is for an index, and the input is none".into()));
    }
    let mut sidecars = options.sidecars.clone();
    // A vocabulary also belongs to the matrix that is written.
    if inputs.iter().any(|path| path.is_dir()) {
        sidecars.vocabulary = None;
    }
    Ok(open_vectors_with(inputs, &sidecars)?.sources)
}

/// Converts `inputs` to `output`, which appears when it is complete.
///
/// # Errors
/// What reading says; an id that occurs twice; an output that exists and is no file (for
/// a folder: one that is not empty); a collection without documents.
pub fn convert(
    inputs: &[PathBuf],
    output: &Path,
    options: &ConvertOptions,
    progress: &dyn Progress,
) -> Result<ConvertReport> {
    let mut sources = open(inputs, options)?;
    let report = match options.target {
        Target::Jsonl => {
            let file = PackedFile::create(output)?;
            let (report, file) = write_jsonl(&mut sources, file, output, progress)?;
            file.publish()?;
            report
        }
        Target::Store | Target::Pisa => {
            let folder = NewFolder::create(output)?;
            let gathered = Gathered::collect(&mut sources, options.tmp(folder.parent()), progress)?;
            refuse_empty(&gathered, inputs)?;
            let mut report = ConvertReport::of(&gathered);
            if options.target == Target::Store {
                write_store(&gathered, folder.path(), progress)?;
            } else {
                let mut impacts = impacts(&gathered, options)?;
                pisa::write(&gathered, &mut impacts, folder.path(), progress)?;
                report.quantized(&impacts);
                report.commands = Some(pisa::COMMANDS);
            }
            folder.publish()?;
            report
        }
        Target::Ciff | Target::Npz | Target::Csr => {
            write_file(&mut sources, inputs, output, options, progress)?
        }
    };
    Ok(report)
}

/// Converts `inputs` to JSON lines on `out`, such as standard output.
pub fn convert_to(
    inputs: &[PathBuf],
    out: impl Write,
    options: &ConvertOptions,
    progress: &dyn Progress,
) -> Result<ConvertReport> {
    let mut sources = open(inputs, options)?;
    Ok(write_jsonl(&mut sources, out, Path::new("-"), progress)?.0)
}

fn write_jsonl<W: Write>(
    sources: &mut [Box<dyn VectorSource>],
    out: W,
    path: &Path,
    progress: &dyn Progress,
) -> Result<(ConvertReport, W)> {
    let mut report = ConvertReport::default();
    let mut writer = JsonVectorWriter::new(out, path);
    for_each(sources, progress, |record, tokens, _| {
        report.documents += 1;
        report.postings += record.terms.len() as u64;
        writer.write(record, tokens)
    })?;
    report.zero_weights = sources.iter().map(|source| source.zero_weights()).sum();
    Ok((report, writer.finish()?))
}

fn write_file(
    sources: &mut [Box<dyn VectorSource>],
    inputs: &[PathBuf],
    output: &Path,
    options: &ConvertOptions,
    progress: &dyn Progress,
) -> Result<ConvertReport> {
    let file = PackedFile::create(output)?;
    let gathered =
        Gathered::collect(sources, options.tmp(crate::output::folder(output)), progress)?;
    refuse_empty(&gathered, inputs)?;
    let mut report = ConvertReport::of(&gathered);
    if options.target == Target::Ciff {
        let mut impacts = impacts(&gathered, options)?;
        let mut file = file;
        ciff::write(&gathered, &mut impacts, &mut file, output, progress)?;
        report.quantized(&impacts);
        file.publish()?;
        return Ok(report);
    }
    let vocabulary = options.sidecars.vocabulary.as_deref().map(read_vocabulary).transpose()?;
    let columns = Columns::of(&gathered, vocabulary.as_ref())?;
    columns.check_lines()?;
    let ids = (0..gathered.documents()).map(|ordinal| gathered.id(ordinal));
    let tokens = columns.tokens.as_ref().map(|tokens| tokens.iter().map(|token| &**token));
    let lists = beside::lists(output, ids, tokens)?;
    let file = match (options.target, file) {
        (Target::Csr, file) => sparse::write_csr(&gathered, &columns, file, output)?,
        (_, PackedFile::Plain(file)) => {
            PackedFile::Plain(sparse::write_npz(&gathered, &columns, file, output)?)
        }
        _ => {
            return Err(Error::Usage("a .npz file is an archive: leave .gz or .zst away".into()));
        }
    };
    report.beside = lists.paths;
    publish_with(lists.changed, file.finish()?)?;
    Ok(report)
}

impl ConvertReport {
    fn of(gathered: &Gathered) -> Self {
        ConvertReport {
            documents: gathered.documents() as u64,
            postings: gathered.postings(),
            zero_weights: gathered.zeros(),
            ..Default::default()
        }
    }

    fn quantized(&mut self, impacts: &ImpactLists) {
        self.quantized = impacts.quantizer().map(|q| (q.scale(), impacts.clipping()));
    }
}

fn refuse_empty(gathered: &Gathered, inputs: &[PathBuf]) -> Result<()> {
    match gathered.documents() {
        0 => Err(crate::corpus::empty_collection(inputs)),
        _ => Ok(()),
    }
}

/// How the weights of a collection become whole numbers.
fn impacts(gathered: &Gathered, options: &ConvertOptions) -> Result<ImpactLists> {
    let (largest, integers) = gathered.weights();
    let quantizer = match options.scale {
        Scale::Fixed(weight) => Quantizer::fixed(weight, options.bits)?,
        Scale::Auto if integers && options.bits == 8 => return Ok(ImpactLists::kept()),
        Scale::Auto => Quantizer::fixed(f64::from(largest), options.bits)?,
    };
    Ok(ImpactLists::quantized(quantizer))
}

fn write_store(gathered: &Gathered, dir: &Path, progress: &dyn Progress) -> Result<()> {
    let (largest, integers) = gathered.weights();
    let weights = match integers && largest <= LARGEST_HALF {
        true => WeightFormat::F16,
        false => WeightFormat::F32,
    };
    let plan = Plan::converted(Kind::Document, weights);
    let mut store = StoreWriter::create(dir, plan, gathered.tokens())?;
    progress.begin("writing", gathered.documents() as u64);
    let mut block: Vec<VectorRecord> = Vec::new();
    gathered.rows(&mut |ordinal, row| {
        let (terms, weights) = row.iter().copied().unzip();
        block.push(VectorRecord { id: gathered.id(ordinal).to_owned(), terms, weights });
        if block.len() < BLOCK_RECORDS && ordinal + 1 < gathered.documents() {
            return Ok(());
        }
        let consumed = block.len() as u64;
        store.write_block(&block, &BlockInput { consumed, ..BlockInput::default() })?;
        progress.advance(block.len() as u64);
        block.clear();
        Ok(())
    })?;
    store.finish()?;
    Ok(())
}

/// What only an existing output can be wrong about.
fn in_the_way(path: &Path) -> Error {
    Error::data(path, Place::File, "the output exists already").hint("choose another or remove it")
}

#[cfg(test)]
mod tests;
