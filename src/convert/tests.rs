use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::builder::{BuildOptions, Collection, build};
use crate::format::Codec;
use crate::progress::Silent;
use crate::quantize::Quantizer;
use crate::vectors::WeightSummary;
use crate::vectors::inputs::open_vectors;
use crate::vectors::testing::{Vectors, drain, vectors};

fn options(target: Target) -> ConvertOptions {
    let sidecars = Sidecars::default();
    ConvertOptions { target, sidecars, scale: Scale::Auto, bits: 8, field: None, tmp: None }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn jsonl(&self, name: &str, vectors: &Vectors) -> PathBuf {
        let path = self.path(name);
        let mut writer = JsonVectorWriter::new(Vec::new(), &path);
        for (id, vector) in vectors {
            writer.write_pairs(id, vector.iter().map(|(t, &w)| (t.as_str(), w))).unwrap();
        }
        std::fs::write(&path, writer.finish().unwrap()).unwrap();
        path
    }

    fn convert(&self, from: &Path, name: &str, target: Target) -> Result<PathBuf> {
        let to = self.path(name);
        convert(&[from.to_owned()], &to, &options(target), &Silent)?;
        Ok(to)
    }

    fn listing(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn read(path: &Path) -> Vectors {
    let mut sources = open_vectors(&[path.to_owned()]).unwrap().sources;
    sources.iter_mut().flat_map(|source| drain(source.as_mut()).unwrap()).collect()
}

/// Quantized as a build does, `None` where CIFF is not: weights that are all whole stay as
/// they are in it, whatever their size.
fn impacts_of(vectors: &Vectors) -> Option<Vectors> {
    let weights = || vectors.iter().flat_map(|(_, v)| v.values().copied());
    let summary = WeightSummary {
        largest: weights().fold(0.0, f32::max),
        small_integers: weights().all(|w| w.fract() == 0.0 && w <= 255.0),
    };
    let whole = weights().all(|w| w.fract() == 0.0);
    if summary.largest == 0.0 || (whole && !summary.small_integers) {
        return None;
    }
    let quantizer = Quantizer::auto(summary, 8).unwrap();
    let impact = |w: f32| f32::from(quantizer.impact(w, &mut Clipping::default()));
    let quantised = |v: &BTreeMap<String, f32>| -> BTreeMap<String, f32> {
        v.iter().map(|(token, &w)| (token.clone(), impact(w))).collect()
    };
    Some(vectors.iter().map(|(id, v)| (id.clone(), quantised(v))).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(25))]

    #[test]
    fn weights_come_back_to_the_bit_through_every_float_format(vectors in vectors(false)) {
        prop_assume!(!vectors.is_empty());
        let folder = Folder::new();
        let mut path = folder.jsonl("a.jsonl", &vectors);
        for (name, target) in [
            ("b.npz", Target::Npz), ("c", Target::Store), ("d.csr.gz", Target::Csr),
            ("e.jsonl.zst", Target::Jsonl), ("f.csr", Target::Csr), ("g.npz", Target::Npz),
        ] {
            path = folder.convert(&path, name, target).unwrap();
            prop_assert_eq!(&read(&path), &vectors, "{}", name);
        }
    }

    #[test]
    fn impacts_come_back_through_every_format_and_an_index(vectors in vectors(false)) {
        let impacts = impacts_of(&vectors);
        prop_assume!(impacts.is_some());
        let impacts = impacts.unwrap();
        let folder = Folder::new();
        let mut path = folder.jsonl("a.jsonl", &vectors);
        for (name, target) in [
            ("b.ciff", Target::Ciff), ("c.npz", Target::Npz), ("d.ciff.gz", Target::Ciff),
            ("e", Target::Store), ("f.ciff.zst", Target::Ciff),
        ] {
            path = folder.convert(&path, name, target).unwrap();
            prop_assert_eq!(&read(&path), &impacts, "{}", name);
        }
        for codec in Codec::ALL {
            let mut sources = open_vectors(&[folder.path("a.jsonl")]).unwrap().sources;
            let spx = folder.path("x.spx");
            let reversed: Vec<u32> = (0..vectors.len() as u32).rev().collect();
            let build_options = BuildOptions { codec, ..BuildOptions::default() };
            let tmp = crate::output::folder(&spx);
            let collection =
                Collection::read(&mut sources, &build_options, tmp, &Silent).unwrap();
            build(&collection, Some(&reversed), &build_options, &spx, &Silent).unwrap();
            let path = folder.convert(&spx, "x.jsonl", Target::Jsonl).unwrap();
            prop_assert_eq!(&read(&path), &impacts);
        }
    }
}

#[test]
fn a_bm25_index_gives_idf_times_weight() {
    let folder = Folder::new();
    let vectors: Vectors = [("a", vec![("x", 1.9f32)]), ("b", vec![("x", 0.7), ("y", 1.2)])]
        .into_iter()
        .map(|(id, v)| (id.to_owned(), v.into_iter().map(|(t, w)| (t.to_owned(), w)).collect()))
        .collect();
    let mut sources = open_vectors(&[folder.jsonl("a.jsonl", &vectors)]).unwrap().sources;
    let (stemmer, stopwords) = ("none".to_owned(), "none".to_owned());
    let bm25 = BuildOptions {
        scale: Scale::Fixed(1.9),
        field: crate::format::FieldKind::Bm25 { k1: 0.9, b: 0.4, avgdl: 2.0, stemmer, stopwords },
        ..BuildOptions::default()
    };
    let spx = folder.path("x.spx");
    let tmp = crate::output::folder(&spx);
    let collection = Collection::read(&mut sources, &bm25, tmp, &Silent).unwrap();
    build(&collection, None, &bm25, &folder.path("x.spx"), &Silent).unwrap();
    let found = read(&folder.convert(&folder.path("x.spx"), "x.jsonl", Target::Jsonl).unwrap());
    for ((id, expected), (found_id, found)) in vectors.iter().zip(&found) {
        assert_eq!(id, found_id);
        for (token, weight) in expected {
            let df = vectors.iter().filter(|(_, v)| v.contains_key(token)).count() as u64;
            let idf = crate::bm25::idf(2, df);
            let error = f64::from(found[token]) / idf - f64::from(*weight);
            assert!(error.abs() <= 0.51 * 1.9 / 255.0, "{token}: {error}");
        }
    }
    let wrong = ConvertOptions { field: Some("learned".into()), ..options(Target::Jsonl) };
    let to = folder.path("y.jsonl");
    let error = convert(&[folder.path("x.spx")], &to, &wrong, &Silent).unwrap_err();
    assert!(error.to_string().ends_with("has no field \"learned\": it has bm25"), "{error}");
}

#[test]
fn a_failed_conversion_leaves_nothing_behind() {
    let folder = Folder::new();
    let good = "{\"id\":\"a\",\"vector\":{\"x\":1}}\n";
    std::fs::write(
        folder.path("a.jsonl"),
        format!("{good}{{\"id\":\"b\",\"vector\":{{\"x\":-1}}}}"),
    )
    .unwrap();
    std::fs::write(folder.path("b.jsonl"), good).unwrap();
    std::fs::write(folder.path("c.jsonl"), good).unwrap();
    let before = folder.listing();
    for target in Target::ALL {
        let error = folder.convert(&folder.path("a.jsonl"), "out", target).unwrap_err();
        assert!(error.to_string().contains("a.jsonl:2:"), "{error}");
        assert_eq!(folder.listing(), before, "{target}");
        let twice = [folder.path("b.jsonl"), folder.path("c.jsonl")];
        let error = convert(&twice, &folder.path("out"), &options(target), &Silent).unwrap_err();
        assert!(error.to_string().contains("found \"a\" a second time"), "{error}");
        assert_eq!(folder.listing(), before, "{target}");
    }
}

#[test]
fn documents_and_queries_of_one_vocabulary_share_columns() {
    let folder = Folder::new();
    std::fs::write(folder.path("vocab.txt"), "c\nb\na\n").unwrap();
    let row = |pairs: &[(&str, f32)]| {
        vec![("1".to_owned(), pairs.iter().map(|&(t, w)| (t.to_owned(), w)).collect())]
    };
    for (name, vectors) in [("d", row(&[("a", 1.0), ("c", 2.0)])), ("q", row(&[("b", 3.0)]))] {
        let from = folder.jsonl("x.jsonl", &vectors);
        let mut options = options(Target::Npz);
        options.sidecars.vocabulary = Some(folder.path("vocab.txt"));
        let to = folder.path(&format!("{name}.npz"));
        let report = convert(&[from], &to, &options, &Silent).unwrap();
        assert_eq!(report.beside.len(), 2);
        assert_eq!(read(&to), vectors);
        let tokens = std::fs::read_to_string(folder.path(&format!("{name}-tokens.txt"))).unwrap();
        assert_eq!(tokens, "c\nb\na\n");
    }
}
