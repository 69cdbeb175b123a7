//! A night: vectors of unchanged texts come from earlier stores.

use std::fmt::Write as _;
use std::path::Path;

use splindex::vectors::store::{BlockInput, Manifest, StoreReader, StoreWriter};
use splindex::vectors::{TokenTable, VectorRecord, VectorSource};

use super::{Run, edit, files, golden, many, message};

/// Texts of today that yesterday's run of [`many`] does not have: one in thirty is another, some
/// are gone, some new, some under other ids, and all stand in another order.
fn today() -> String {
    let mut lines: Vec<String> = Vec::new();
    for (i, line) in many().lines().enumerate() {
        let (id, text) = line.split_once('\t').unwrap();
        match i % 30 {
            7 => lines.push(format!("{id}\t{text} again")),
            8 if i < 300 => {}
            9 if i < 150 => lines.push(format!("renamed-{i}\t{text}")),
            _ => lines.push(line.to_owned()),
        }
    }
    lines.push("new\tA gravel road behind the moon".into());
    lines.push("twin\triver river 0".into());
    lines.rotate_left(4321);
    lines.iter().fold(String::new(), |mut tsv, line| {
        writeln!(tsv, "{line}").unwrap();
        tsv
    })
}

fn night() -> Run {
    let run = Run::new(&many());
    run.encode("yesterday", &[]);
    std::fs::write(run.path("texts.tsv"), today()).unwrap();
    run
}

/// The messages of a run that must succeed.
fn said(run: &Run, store: &str, flags: &[&str]) -> String {
    let output = run.command(&golden("bert"), store, flags).output().unwrap();
    assert!(output.status.success(), "{}", message(&output));
    message(&output).replace(&format!("{}/", run.dir.path().display()), "")
}

#[test]
fn a_night_gives_the_store_of_a_full_run_byte_for_byte() {
    let run = night();
    run.encode("full", &[]);
    let yesterday = run.path("yesterday");
    let yesterday = yesterday.to_str().unwrap();
    let said = said(&run, "night", &["--reuse", yesterday]);
    let counts = "reuse: 8691 kept (6 under other ids), 300 changed, 1 new, 15 removed";
    assert!(said.lines().any(|line| line == counts), "{said}");
    assert!(files(&run.path("full")) == files(&run.path("night")));

    // The same from digests that do not fit into memory.
    let flags = ["--reuse", yesterday, "--memory", "0B", "--json", "--quiet"];
    let output = run.command(&golden("bert"), "spilled", &flags).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = serde_json::json!({
        "kept": 8691, "renamed": 6, "changed": 300, "new": 1, "removed": 15,
    });
    assert_eq!(json["reuse"], expected);
    assert!(files(&run.path("full")) == files(&run.path("spilled")));

    // And in shards, which know nothing of what is gone.
    for shard in ["0/3", "1/3", "2/3"] {
        let name = |kind: &str| format!("{kind}{}", &shard[..1]);
        run.encode(&name("full"), &["--shard", shard]);
        let flags = ["--shard", shard, "--reuse", yesterday];
        let said = self::said(&run, &name("night"), &flags);
        assert!(said.ends_with("removed ones are not known of a shard"), "{said}");
        assert!(files(&run.path(&name("full"))) == files(&run.path(&name("night"))));
    }
    // Stores of shards are earlier stores like any other.
    let shards: Vec<String> =
        (0..3).map(|i| run.path(&format!("full{i}")).to_str().unwrap().to_owned()).collect();
    let flags: Vec<&str> =
        std::iter::once("--reuse").chain(shards.iter().map(String::as_str)).collect();
    let said = self::said(&run, "again", &flags);
    assert!(said.ends_with("reuse: 8992 kept, 0 changed, 0 new, 0 removed"), "{said}");
    assert!(files(&run.path("full")) == files(&run.path("again")));
}

/// Cut behind any line of the journal, with and without a tail that no line names.
#[test]
fn a_night_goes_on_where_it_was_cut_and_counts_all() {
    let run = night();
    let yesterday = run.path("yesterday").to_str().unwrap().to_owned();
    let flags = ["--resume", "--reuse", &yesterday];
    said(&run, "night", &flags);
    let whole = files(&run.path("night"));
    let journal = std::fs::read_to_string(run.path("night/journal.jsonl")).unwrap();
    let lines: Vec<&str> = journal.split_inclusive('\n').collect();
    assert!(lines.len() > 10);
    for keep in [0, 1, 2, lines.len() / 2, lines.len() - 1, lines.len()] {
        let _ = std::fs::remove_file(run.path("night/manifest.json"));
        std::fs::write(run.path("night/journal.jsonl"), lines[..keep].concat()).unwrap();
        let said = said(&run, "night", &flags);
        let counts = "reuse: 8691 kept (6 under other ids), 300 changed, 1 new, 15 removed";
        assert!(said.lines().any(|line| line == counts), "{keep}: {said}");
        assert!(files(&run.path("night")) == whole, "{keep}");
    }
}

#[test]
fn of_a_long_text_only_what_is_read_counts() {
    // Read are 32 tokens, of the first 512 bytes if those have so many.
    let long = "a river of sand ".repeat(100);
    let run = Run::new(&format!("a\t{long}\nb\tmoon\n"));
    run.encode("old", &[]);
    let old = run.path("old").to_str().unwrap().to_owned();
    let changed = |text: String| {
        std::fs::write(run.path("texts.tsv"), format!("a\t{text}\nb\tmoon\n")).unwrap();
        let _ = std::fs::remove_dir_all(run.path("new"));
        let _ = std::fs::remove_dir_all(run.path("full"));
        let said = said(&run, "new", &["--reuse", &old]);
        run.encode("full", &[]);
        assert!(files(&run.path("full")) == files(&run.path("new")));
        said.lines().last().unwrap().to_owned()
    };
    let kept = "reuse: 2 kept, 0 changed, 0 new, 0 removed";
    assert_eq!(changed(long.clone() + "and glass"), kept);
    assert_eq!(changed(long[..long.len() - 9].to_owned()), kept);
    assert_eq!(changed(format!("glass {long}")), "reuse: 1 kept, 1 changed, 0 new, 0 removed");
    // The first part alone is read as a whole text.
    let part = &long[..long[512..].find(' ').unwrap() + 512];
    assert_eq!(changed(part.to_owned()), "reuse: 1 kept, 1 changed, 0 new, 0 removed");
}

#[test]
fn half_weights_and_pruned_ones_are_kept_as_they_are() {
    for flags in [&["--weights", "f16"][..], &["--top", "7"], &["--min-weight", "0.3"]] {
        let run = Run::new("a\triver sand\nb\tmoon\n");
        run.encode("old", flags);
        std::fs::write(run.path("texts.tsv"), "b\tmoon\nc\tsalt\na\triver sand\n").unwrap();
        run.encode("full", flags);
        let old = run.path("old").to_str().unwrap().to_owned();
        let said = said(&run, "new", &[flags, &["--reuse", &old]].concat());
        assert!(said.ends_with("reuse: 2 kept, 0 changed, 1 new, 0 removed"), "{said}");
        assert!(files(&run.path("full")) == files(&run.path("new")));
        // Without the flag nothing fits.
        let e = run.refused(&golden("bert"), "other", &["--reuse", &old]);
        assert!(e.starts_with("error: old: expected vectors made with "), "{e}");
    }
}

#[test]
fn a_store_that_does_not_fit_is_an_error_alone_and_passed_over_beside_others() {
    let run = Run::new("a\triver\nb\tmoon\n");
    run.encode("old", &[]);
    run.encode("top", &["--top", "16"]);
    let path = |name: &str| run.path(name).to_str().unwrap().to_owned();
    let (old, top) = (path("old"), path("top"));
    assert_eq!(
        run.refused(&golden("bert"), "new", &["--reuse", &top]),
        "error: top: expected vectors made with encoding.top = null, found 16; --reuse takes \
         vectors of the same model and settings: name such a store, or leave it out to encode every \
         text"
    );
    assert!(!run.path("new").exists(), "nothing is half-made");
    let said = said(&run, "new", &["--reuse", &top, &old]);
    let note = "note: top is passed over, nothing is kept of it: expected vectors made with \
                encoding.top = null, found 16";
    assert!(said.contains(note) && said.ends_with("reuse: 2 kept, 0 changed, 0 new, 0 removed"));

    let e = run.refused(&golden("distilbert"), "other", &["--reuse", &old]);
    assert!(e.contains("expected vectors made with encoding.model."), "{e}");
    let e = run.refused(&golden("bert"), "other", &["--reuse", &old, "--kind", "query"]);
    assert!(e.contains("expected vectors made with kind = \"query\", found \"document\""), "{e}");
    let level = splindex::encode::simd_level();
    std::fs::rename(run.path("old"), run.path("elsewhere")).unwrap();
    edit(
        &run.path("elsewhere/manifest.json"),
        &format!("\"simd\": \"{level}\""),
        "\"simd\": \"mmx\"",
    );
    let e = run.refused(&golden("bert"), "other", &["--reuse", &path("elsewhere")]);
    assert!(e.contains(&format!("encoding.simd = \"{level}\", found \"mmx\"")), "{e}");
}

/// Writes the records of a finished store anew, under its plan less what `change` takes away.
fn rewrite(from: &Path, to: &Path, change: impl Fn(&mut splindex::vectors::store::Plan)) {
    let mut plan = Manifest::read(from).unwrap().plan;
    plan.digests = false;
    change(&mut plan);
    let mut reader = StoreReader::open(from).unwrap();
    let tokens: Vec<String> = (0..reader.tokens().len() as u32)
        .map(|term| reader.tokens().token(term).to_owned())
        .collect();
    let mut writer = StoreWriter::create(to, plan, &TokenTable::from_tokens(tokens)).unwrap();
    let (mut records, mut record) = (Vec::new(), VectorRecord::default());
    while reader.read(&mut record).unwrap() {
        records.push(record.clone());
    }
    // What the one block says of its input.
    let journal = std::fs::read_to_string(from.join("journal.jsonl")).unwrap();
    let block: serde_json::Value = serde_json::from_str(journal.lines().nth(1).unwrap()).unwrap();
    let crc = block["block"]["input_crc"].as_u64().unwrap() as u32;
    let input = BlockInput { consumed: records.len() as u64, crc, ..BlockInput::default() };
    writer.write_block(&records, &input).unwrap();
    writer.finish().unwrap();
}

#[test]
fn a_store_without_digests_is_said_and_encoded_anew() {
    let run = Run::new("a\triver\nb\tmoon\n");
    run.encode("full", &[]);
    rewrite(&run.path("full"), &run.path("old"), |_| ());
    assert_eq!(run.manifest("old").version, 1, "as it was before there were digests");
    assert_eq!(run.records("old"), run.records("full"));
    let path = |name: &str| run.path(name).to_str().unwrap().to_owned();
    let said = said(&run, "new", &["--reuse", &path("old")]);
    let note = "note: old is passed over, nothing is kept of it: it has no digests of its texts (an \
                older splindex made it)";
    assert!(said.starts_with(note), "{said}");
    assert!(said.ends_with("reuse: 0 kept, 0 changed, 2 new, 0 removed"), "{said}");
    assert!(files(&run.path("full")) == files(&run.path("new")));

    // An unfinished one of before goes on without digests.
    std::fs::remove_file(run.path("old/manifest.json")).unwrap();
    run.encode("old", &["--resume"]);
    let e = run.refused(&golden("bert"), "old", &["--resume", "--top", "3"]);
    assert!(e.contains("encoding.top = null, found 3"), "{e}");
    assert_eq!(run.records("old"), run.records("full"));
    // Another version may round otherwise.
    std::fs::rename(run.path("full"), run.path("newer")).unwrap();
    edit(&run.path("newer/manifest.json"), "\"tool\": \"splindex ", "\"tool\": \"splindex 9.");
    let said = self::said(&run, "once more", &["--reuse", &path("newer")]);
    assert!(
        said.contains("is passed over") && said.contains("whose last bits may differ"),
        "{said}"
    );
}

#[test]
fn what_is_no_sound_store_of_a_model_is_refused() {
    let run = Run::new("a\triver\nb\tmoon\n");
    run.encode("old", &[]);
    let path = |name: &str| run.path(name).to_str().unwrap().to_owned();
    let refused = |name: &str| run.refused(&golden("bert"), "new", &["--reuse", &path(name)]);
    rewrite(&run.path("old"), &run.path("converted"), |plan| plan.encoding = None);
    let e = refused("converted");
    assert!(e.contains("expected vectors of a model, found a store of converted vectors"), "{e}");
    assert!(refused("nothing").contains("no such file or directory"));
    std::fs::create_dir(run.path("empty")).unwrap();
    assert!(refused("empty").contains("found a folder with neither a vector store nor"));
    assert!(
        run.refused(&golden("bert"), "old", &["--resume", "--reuse", &path("old")])
            .contains("the output is also an input")
    );
    let copy = |name: &str| {
        std::fs::create_dir(run.path(name)).unwrap();
        for (file, bytes) in files(&run.path("old")) {
            std::fs::write(run.path(name).join(file), bytes).unwrap();
        }
    };
    copy("unfinished");
    std::fs::remove_file(run.path("unfinished/manifest.json")).unwrap();
    assert!(refused("unfinished").contains("the vector store is unfinished"));
    copy("newer");
    edit(&run.path("newer/manifest.json"), "\"version\": 2", "\"version\": 3");
    let e = refused("newer");
    assert!(e.contains("version 1 to 2, found \"splindex vector store\" version 3"), "{e}");
    copy("short");
    let bytes = std::fs::read(run.path("short/part-00000.vec")).unwrap();
    std::fs::write(run.path("short/part-00000.vec"), &bytes[..bytes.len() - 1]).unwrap();
    assert!(refused("short").contains(&format!("expected {} bytes", bytes.len())));
    // A vector's byte: found when the first vector of its block is taken.
    copy("damaged");
    let mut spoiled = bytes.clone();
    *spoiled.last_mut().unwrap() ^= 1;
    std::fs::write(run.path("damaged/part-00000.vec"), spoiled).unwrap();
    let e = refused("damaged");
    assert!(e.starts_with("error: damaged/part-00000.vec: section block at byte 0: expected CRC"));
    assert!(e.ends_with("the store is damaged: copy it again, or leave it out of --reuse"), "{e}");
    std::fs::remove_dir_all(run.path("new")).unwrap();
    // A length of an id, which is read before any vector.
    let mut spoiled = bytes;
    spoiled[40 + 2 * 17] ^= 1;
    std::fs::write(run.path("damaged/part-00000.vec"), spoiled).unwrap();
    assert!(refused("damaged").contains("expected 2 id bytes, found 1"));
    assert!(!run.path("new").exists());
}

#[test]
fn queries_are_reused_as_documents_are() {
    let run = Run::new("q1\triver\nq2\tmoon\n");
    run.encode("old", &["--kind", "query"]);
    std::fs::write(run.path("texts.tsv"), "q2\tmoon\nq3\tsalt\n").unwrap();
    run.encode("full", &["--kind", "query"]);
    let old = run.path("old").to_str().unwrap().to_owned();
    let said = said(&run, "new", &["--kind", "query", "--reuse", &old]);
    assert!(said.ends_with("reuse: 1 kept, 0 changed, 1 new, 1 removed"), "{said}");
    assert!(files(&run.path("full")) == files(&run.path("new")));
}
