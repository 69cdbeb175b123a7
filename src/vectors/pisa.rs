//! PISA's binary collection: `inv.docs`, `inv.freqs` and `inv.sizes` as sequences of
//! 32-bit numbers behind their length, `fwd.terms` and `fwd.documents` as lines.
//! Format: PISA's documentation, "Inverted index format".

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::gathered::{Gathered, ImpactLists};
use crate::error::{Error, Result};
use crate::progress::Progress;

/// Name of the script that makes a PISA index of a collection.
pub(crate) const SCRIPT: &str = "make-index.sh";

/// What PISA's tools are called with; run in the collection's folder.
pub(crate) const COMMANDS: &str = "\
lexicon build fwd.terms fwd.termlex
lexicon build fwd.documents fwd.doclex
compress_inverted_index --encoding block_simdbp --collection inv --output inv.block_simdbp
create_wand_data --collection inv --scorer quantized --block-size 40 --output inv.bmw
# Queries are lines of qid:token token …, a token repeated as often as it weighs:
# evaluate_queries --encoding block_simdbp --index inv.block_simdbp --wand inv.bmw \\
#   --terms fwd.termlex --documents fwd.doclex --scorer quantized --weighted \\
#   --algorithm block_max_wand -k 1000 --queries QUERIES
";

/// Writes the files of a collection into the folder `dir`. Lists are in the bytewise
/// order of their terms; a document's size is the sum of its impacts.
pub(crate) fn write(
    gathered: &Gathered,
    impacts: &mut ImpactLists,
    dir: &Path,
    progress: &dyn Progress,
) -> Result<()> {
    let lengths = gathered.lengths(impacts)?;
    let order = gathered.sorted_terms();
    let tokens = || order.iter().map(|&term| gathered.tokens().token(term));
    if let Some(token) = tokens().find(|token| token.contains(['\n', '\r'])) {
        return Err(Error::Usage(format!(
            "the token {token:?} holds a line end and fits no list of terms; write ciff"
        )));
    }
    file(dir, "fwd.terms", |out| tokens().try_for_each(|token| writeln!(out, "{token}")))?;
    file(dir, "fwd.documents", |out| {
        (0..gathered.documents()).try_for_each(|ordinal| writeln!(out, "{}", gathered.id(ordinal)))
    })?;
    file(dir, "inv.sizes", |out| sequence(out, lengths.len(), lengths.iter().copied()))?;
    file(dir, SCRIPT, |out| {
        write!(out, "#!/bin/sh\nset -e\ncd \"$(dirname \"$0\")\"\n{COMMANDS}")
    })?;

    let mut docs = create(dir, "inv.docs")?;
    let mut freqs = create(dir, "inv.freqs")?;
    let io = |e| Error::io("write", dir, e);
    sequence(&mut docs, 1, [gathered.documents() as u32].into_iter()).map_err(io)?;
    gathered.lists(&order, progress, &mut |_, docids, weights| {
        sequence(&mut docs, docids.len(), docids.iter().copied()).map_err(io)?;
        sequence(&mut freqs, weights.len(), weights.iter().map(|&w| impacts.of(w))).map_err(io)
    })?;
    finish(docs, dir)?;
    finish(freqs, dir)
}

fn sequence(
    out: &mut impl Write,
    len: usize,
    numbers: impl Iterator<Item = u32>,
) -> std::io::Result<()> {
    out.write_all(&(len as u32).to_le_bytes())?;
    numbers.into_iter().try_for_each(|n| out.write_all(&n.to_le_bytes()))
}

fn create(dir: &Path, name: &str) -> Result<BufWriter<File>> {
    let path = dir.join(name);
    let file = File::create(&path).map_err(|e| Error::io("create", &path, e))?;
    Ok(BufWriter::with_capacity(1 << 20, file))
}

fn file(
    dir: &Path,
    name: &str,
    fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<()> {
    let mut out = create(dir, name)?;
    fill(&mut out).map_err(|e| Error::io("write", dir.join(name), e))?;
    finish(out, dir)
}

fn finish(out: BufWriter<File>, dir: &Path) -> Result<()> {
    let file = out.into_inner().map_err(|e| Error::io("write", dir, e.into_error()))?;
    file.sync_all().map_err(|e| Error::io("flush", dir, e))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::progress::Silent;
    use crate::vectors::{Documents, VectorSource};

    fn words(path: &Path) -> Vec<u32> {
        let bytes = std::fs::read(path).unwrap();
        bytes.as_chunks().0.iter().map(|&word| u32::from_le_bytes(word)).collect()
    }

    #[test]
    fn the_files_hold_what_pisa_documents() {
        let vector = |pairs: &[(&str, f32)]| -> BTreeMap<String, f32> {
            pairs.iter().map(|&(token, weight)| (token.to_owned(), weight)).collect()
        };
        let vectors = vec![
            ("a".to_owned(), vector(&[("y", 3.0), ("x", 300.0)])),
            ("b".to_owned(), vector(&[])),
            ("c".to_owned(), vector(&[("y", 5.0)])),
        ];
        let dir = tempfile::tempdir().unwrap();
        let mut sources: Vec<Box<dyn VectorSource>> =
            vec![Box::new(Documents::new(vectors.clone()))];
        let gathered = Gathered::collect(&mut sources, dir.path(), &Silent).unwrap();
        write(&gathered, &mut ImpactLists::kept(), dir.path(), &Silent).unwrap();
        let read = |name: &str| words(&dir.path().join(name));
        assert_eq!(read("inv.docs"), [1, 3, 1, 0, 2, 0, 2]);
        assert_eq!(read("inv.freqs"), [1, 300, 2, 3, 5]);
        assert_eq!(read("inv.sizes"), [3, 303, 0, 5]);
        let text = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(
            (text("fwd.terms"), text("fwd.documents")),
            ("x\ny\n".into(), "a\nb\nc\n".into())
        );
    }
}
