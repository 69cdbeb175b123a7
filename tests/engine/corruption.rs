//! A damaged index gives an error or wrong scores, never a panic and never a hit outside
//! the collection: every section, every layout, every algorithm.
//!
//! `open` checks lengths and the header only, so damage inside a section gets through it;
//! that is what these tests want. `verify` must see all of it.

use std::path::Path;
use std::sync::Arc;

use crate::random::Random;
use splindex::builder::{AttributeSource, BuildOptions, Collection, build};
use splindex::corpus::AttributeRecord;
use splindex::format::{Codec, SectionKind};
use splindex::index::{Index, Load};
use splindex::progress::Silent;
use splindex::query::{Algorithm, Query, Searcher};

/// No multiple of 64 or 2^13: last words and windows are only partly documents.
const DOCUMENTS: u32 = 40_001;
const TERMS: u64 = 24;

/// Five windows; lists from one posting in two documents to one in a thousand.
fn collection() -> Collection {
    let mut random = Random(0x5D15_EA5E);
    let mut collection = Collection::default();
    let names: Vec<String> = (0..TERMS).map(|t| format!("t{t}")).collect();
    for d in 0..DOCUMENTS {
        let vector: Vec<(&str, f32)> = (0..TERMS)
            .filter(|t| random.below(2 + t * t * 2) == 0)
            .map(|t| (t, names[t as usize].as_str()))
            .collect::<Vec<_>>()
            .into_iter()
            .map(|(t, name)| (name, (1 + (u64::from(d) * 31 + t * 7) % 255) as f32))
            .collect();
        collection.push(&format!("d{d}"), vector).unwrap();
    }
    let record = |d: u32| AttributeRecord {
        id: format!("d{d}"),
        values: vec![
            ("site".into(), format!("s{}", d % 90).into()),
            ("part".into(), format!("p{}", d / 9000).into()),
            ("year".into(), i64::from(d * 7919 % 1000).into()),
        ],
    };
    let records = (0..DOCUMENTS).map(record).collect();
    let sources = [AttributeSource::Records(Arc::new(records))];
    collection.read_attributes(&sources, &BuildOptions::default(), &Silent).unwrap();
    collection
}

fn layouts() -> [(&'static str, BuildOptions, bool); 4] {
    let options = |codec, skip_data| BuildOptions { codec, skip_data, ..Default::default() };
    [
        ("small", options(Codec::Small, false), false),
        ("small, reordered, skip data", options(Codec::Small, true), true),
        ("fast, skip data", options(Codec::Fast, true), false),
        ("fast, reordered", options(Codec::Fast, false), true),
    ]
}

/// Every algorithm on a damaged file; true if anything noticed.
fn search_all(path: &Path) -> bool {
    // In memory: nothing may depend on what lies behind the file.
    let Ok(index) = Index::open_with(path, Load::Ram) else { return true };
    let mut noticed = false;
    let mut searcher = Searcher::new(&index);
    let tokens: Vec<String> = (0..TERMS).map(|t| format!("t{t}")).collect();
    for part in [&tokens[..3], &tokens[8..14], &tokens[20..], &tokens[..]] {
        let Ok(query) = Query::new(&index, 0, part.iter().map(|t| (t.as_str(), 3))) else {
            noticed = true;
            continue;
        };
        for &algorithm in Algorithm::ALL {
            if algorithm.check(&index).is_err() {
                continue;
            }
            for k in [1, 50] {
                match searcher.search(&query, k, algorithm) {
                    Err(_) => noticed = true,
                    Ok(hits) => {
                        assert!(hits.len() <= k);
                        for hit in hits {
                            assert!(hit.ordinal < DOCUMENTS, "{}: {hit:?}", algorithm.name());
                            let _ = index.id(hit.ordinal);
                        }
                    }
                }
            }
        }
    }
    noticed
}

/// One way to damage a section of `len` bytes at `start`.
fn damage(bytes: &mut [u8], start: usize, len: usize, kind: u64, random: &mut Random) {
    let at = start + random.below(len as u64) as usize;
    match kind % 4 {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = 0xFF,
        // A run of equal bytes: lost pages read as zeros, erased flash as ones.
        2 => {
            let end = (at + 1 + random.below(600) as usize).min(start + len);
            bytes[at..end].fill(if random.below(2) == 0 { 0 } else { 0xFF });
        }
        // A page of the file in a wrong place.
        _ => {
            let from = start + random.below(len as u64) as usize;
            let n = (random.below(300) as usize).min(start + len - at.max(from));
            bytes.copy_within(from..from + n, at);
        }
    }
}

#[test]
fn damage_in_any_section_never_panics_and_is_always_seen_by_verify() {
    let collection = collection();
    let reversed: Vec<u32> = (0..DOCUMENTS).rev().collect();
    let dir = tempfile::tempdir().unwrap();
    let (good, bad) = (dir.path().join("good.spx"), dir.path().join("bad.spx"));
    for (name, options, reordered) in layouts() {
        let order = reordered.then_some(&reversed[..]);
        build(&collection, order, &options, &good, &Silent).unwrap();
        assert!(!search_all(&good), "{name}: a sound index gives no error");
        let bytes = std::fs::read(&good).unwrap();
        let index = Index::open(&good).unwrap();
        let mut random = Random(0xBAD_C0DE);
        let (mut cases, mut noticed) = (0, 0);
        for (kind, section) in index.sections() {
            let (start, len) = (section.offset.get() as usize, section.len.get() as usize);
            if len == 0 {
                continue;
            }
            for round in 0..24 {
                let mut spoilt = bytes.clone();
                damage(&mut spoilt, start, len, round, &mut random);
                if spoilt == bytes {
                    continue;
                }
                std::fs::write(&bad, &spoilt).unwrap();
                cases += 1;
                noticed += u64::from(search_all(&bad));
                let sound = Index::open(&bad).is_ok_and(|index| index.verify().faults.is_empty());
                assert!(!sound, "{name}: damage {round} of {} not seen", kind.label());
            }
        }
        assert!(cases > 200, "{name}: {cases} cases");
        assert!(noticed > 0 && noticed < cases, "{name}: {noticed} of {cases} noticed");
    }
}

/// Header and section table with any number in any field, and checksums that hold: as a
/// hostile writer would make them, not a bad disk.
#[test]
fn wild_frames_with_right_checksums_are_refused_or_read_and_never_panic() {
    let collection = collection();
    let reversed: Vec<u32> = (0..DOCUMENTS).rev().collect();
    let dir = tempfile::tempdir().unwrap();
    let (good, bad) = (dir.path().join("good.spx"), dir.path().join("bad.spx"));
    // Those with every section, with and without ORDER.
    for (name, options, reordered) in &layouts()[1..3] {
        let order = reordered.then_some(&reversed[..]);
        build(&collection, order, options, &good, &Silent).unwrap();
        let bytes = std::fs::read(&good).unwrap();
        let table = u64::from_le_bytes(bytes[32..40].try_into().unwrap()) as usize;
        let entries = u32::from_le_bytes(bytes[40..44].try_into().unwrap()) as usize;
        let table = table..table + 32 * entries;
        let fields = (0..60).step_by(4).chain(table.clone().step_by(4));
        let mut refused = 0;
        for at in fields {
            let here = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            let wild = [0, 1, here ^ 1, here.wrapping_sub(8), here.wrapping_add(64), u32::MAX];
            // One word, and with it the upper half of a 64-bit number.
            for (word, value) in wild.iter().flat_map(|&value| [(1, value), (2, value)]) {
                let mut spoilt = bytes.clone();
                let end = (at + 4 * word).min(if at < 60 { 60 } else { table.end });
                spoilt[at..end].chunks_mut(4).enumerate().for_each(|(i, bytes)| {
                    let fill = if i == 0 { value } else { u32::MAX };
                    bytes.copy_from_slice(&fill.to_le_bytes());
                });
                let crc = crc32fast::hash(&spoilt[..60]);
                spoilt[60..64].copy_from_slice(&crc.to_le_bytes());
                let crc = crc32fast::hash(&spoilt[table.clone()]);
                spoilt[table.end..table.end + 4].copy_from_slice(&crc.to_le_bytes());
                std::fs::write(&bad, &spoilt).unwrap();
                match Index::open_with(&bad, Load::Ram) {
                    Err(_) => refused += 1,
                    Ok(index) => {
                        let _ = index.verify();
                        drop(index);
                        search_all(&bad);
                    }
                }
            }
        }
        assert!(refused > 400, "{name}: {refused} refused");
    }
}

/// The bytes of a section.
fn section(bytes: &[u8], path: &Path, kind: SectionKind) -> std::ops::Range<usize> {
    std::fs::write(path, bytes).unwrap();
    let index = Index::open(path).unwrap();
    let (_, section) = index.sections().find(|(found, _)| *found == kind).unwrap();
    let start = section.offset.get() as usize;
    start..start + section.len.get() as usize
}

#[test]
fn the_error_of_a_record_that_points_nowhere_names_a_place_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    build(&collection(), None, &BuildOptions::default(), &path, &Silent).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let terms = section(&bytes, &path, SectionKind::Terms);
    for offset in [u64::MAX, u64::MAX - 60, bytes.len() as u64 + 1] {
        let mut spoilt = bytes.clone();
        // The record of the second term begins with its offset in POSTINGS.
        spoilt[terms.start + 32..][..8].copy_from_slice(&offset.to_le_bytes());
        std::fs::write(&path, spoilt).unwrap();
        let index = Index::open(&path).unwrap();
        let message = index.list(1).unwrap_err().to_string();
        assert!(message.contains("section POSTINGS at byte 64: the list of term"), "{message}");
        assert!(!index.verify_deep().faults.is_empty());
    }
}

#[test]
fn blocks_that_overlap_are_damage_and_no_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    let options = BuildOptions { codec: Codec::Small, ..Default::default() };
    build(&collection(), None, &options, &path, &Silent).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let last = section(&bytes, &path, SectionKind::BlockLast);
    // The second block of the first packed list counts from here.
    bytes[last.start..][..4].fill(0);
    std::fs::write(&path, bytes).unwrap();
    let message = Index::open(&path).unwrap().statistics().unwrap_err().to_string();
    assert!(message.contains("is damaged"), "{message}");
}

/// Impacts beyond the maxima that a query is checked by: sums wrap, nothing panics where
/// overflow is checked.
#[test]
fn scores_beyond_what_the_records_promise_wrap() {
    let mut collection = Collection::default();
    let names: Vec<String> = (0..300).map(|t| format!("t{t:03}")).collect();
    for d in 0..300 {
        let vector = names.iter().enumerate().filter(|(t, _)| d % (1 + t % 5) == 0);
        let vector: Vec<(&str, f32)> = vector.map(|(_, name)| (name.as_str(), 255.0)).collect();
        collection.push(&format!("d{d}"), vector).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.spx");
    for codec in [Codec::Fast, Codec::Small] {
        let options = BuildOptions { codec, skip_data: true, ..Default::default() };
        build(&collection, None, &options, &path, &Silent).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let terms = section(&bytes, &path, SectionKind::Terms);
        // The largest impact of each record: 25 bytes into it.
        bytes[terms].chunks_mut(32).for_each(|record| record[25] = record[25].min(1));
        std::fs::write(&path, bytes).unwrap();
        let index = Index::open(&path).unwrap();
        let tokens = names.iter().map(|name| (name.as_str(), 65_535));
        let query = Query::new(&index, 0, tokens).unwrap();
        assert_eq!(query.terms.len(), 300);
        let mut searcher = Searcher::new(&index);
        for &algorithm in Algorithm::ALL {
            for k in [1, 20, 300] {
                if let Ok(hits) = searcher.search(&query, k, algorithm) {
                    assert!(hits.iter().all(|hit| hit.ordinal < 300), "{algorithm}");
                }
            }
        }
    }
}
