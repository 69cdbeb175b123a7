//! Killed, stopped and damaged runs go on to the bytes of an undisturbed one, or are refused.

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use splindex::vectors::store::StoreReader;

use super::{Run, edit, files, golden, many, message};

/// Texts of a block.
const BLOCK: usize = 512;

/// Encoding from a pipe, which waits for more where it has no whole block.
fn piped(run: &Run, store: &str) -> Child {
    let mut command = Command::new(crate::common::SPLINDEX);
    command.args(["encode", "--input", "-", "--model"]).arg(golden("bert"));
    command.arg("--output").arg(run.path(store)).args(["--max-length", "32", "--resume"]);
    command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Gives it the lines of `blocks` blocks and a bit more, and returns when those blocks are on
/// disk: then it waits for the next line.
fn feed(run: &Run, store: &str, child: &mut Child, blocks: usize) {
    let text: String = many().split_inclusive('\n').take(blocks * BLOCK + 40).collect();
    child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    let journal = run.path(store).join("journal.jsonl");
    // The first line is the plan.
    while std::fs::read_to_string(&journal).unwrap_or_default().lines().count() < 1 + blocks {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its input did");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A run of all texts from a pipe to its end.
fn finish(run: &Run, store: &str) -> Output {
    let mut child = piped(run, store);
    child.stdin.take().unwrap().write_all(many().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", message(&output));
    output
}

/// SIGKILL before the first block and after each of the next, one after another.
#[test]
fn a_run_killed_again_and_again_resumes_to_the_same_bytes() {
    let run = Run::new("");
    finish(&run, "whole");
    for blocks in 0..4 {
        let mut child = piped(&run, "killed");
        feed(&run, "killed", &mut child, blocks);
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success());
    }
    let e = StoreReader::open(&run.path("killed")).err().unwrap().to_string();
    let end = "killed: the vector store is unfinished; finish it with encode `resume`, or remove the \
               folder and make it again";
    assert!(e.ends_with(end), "{e}");
    finish(&run, "killed");
    assert_eq!(files(&run.path("whole")), files(&run.path("killed")));
    // Resuming a finished store changes nothing.
    finish(&run, "killed");
    assert_eq!(files(&run.path("whole")), files(&run.path("killed")));
}

#[test]
fn a_run_killed_before_its_first_block_knows_its_input() {
    let run = Run::new("a\triver\nb\tmoon\n");
    run.encode("store", &[]);
    let whole = files(&run.path("store"));
    std::fs::remove_file(run.path("store/manifest.json")).unwrap();
    let journal = run.path("store/journal.jsonl");
    let first = std::fs::read_to_string(&journal).unwrap().lines().next().unwrap().to_owned();
    std::fs::write(&journal, first + "\n").unwrap();
    std::fs::write(run.path("texts.tsv"), "a\triver\nb\tsun\n").unwrap();
    assert!(
        run.refused(&golden("bert"), "store", &["--resume"])
            .starts_with("error: the input differs from what the store was made from")
    );
    std::fs::write(run.path("texts.tsv"), "a\triver\nb\tmoon\n").unwrap();
    run.encode("store", &["--resume"]);
    assert_eq!(files(&run.path("store")), whole);
}

#[cfg(unix)]
#[test]
fn a_signal_stops_a_run_with_whole_blocks_and_says_how_to_go_on() {
    let run = Run::new("");
    finish(&run, "whole");
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let store = format!("stopped{code}");
        let mut child = piped(&run, &store);
        feed(&run, &store, &mut child, 2);
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        // It has heard the signal when it reads on.
        let text: String = many().split_inclusive('\n').skip(2 * BLOCK + 40).collect();
        // It may stop before it has read everything.
        let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", message(&output));
        assert_eq!(
            message(&output),
            format!(
                "stopped: {} is unfinished; the same command with --resume continues it",
                run.path(&store).display()
            )
        );
        let lines = std::fs::read_to_string(run.path(&store).join("journal.jsonl")).unwrap();
        assert_eq!(lines.lines().count(), 1 + 2);
        finish(&run, &store);
        assert_eq!(files(&run.path("whole")), files(&run.path(&store)));
    }
}

#[test]
fn a_torn_journal_line_and_an_unnamed_tail_are_cut_off() {
    let run = Run::new(&many());
    run.encode("store", &[]);
    let whole = files(&run.path("store"));
    let journal = run.path("store/journal.jsonl");
    let text = std::fs::read(&journal).unwrap();
    for keep in [10, text.len() / 2, text.len() - 1] {
        std::fs::remove_file(run.path("store/manifest.json")).unwrap();
        std::fs::write(&journal, &text[..keep]).unwrap();
        let part = run.path("store/part-00000.vec");
        let mut bytes = std::fs::read(&part).unwrap();
        bytes.extend_from_slice(b"half a block");
        std::fs::write(&part, bytes).unwrap();
        run.encode("store", &["--resume"]);
        assert!(files(&run.path("store")) == whole, "journal cut at {keep}");
    }
}

#[test]
fn a_kept_block_that_was_damaged_is_found_before_any_work() {
    let run = Run::new(&many());
    run.encode("store", &[]);
    let whole = files(&run.path("store"));
    std::fs::remove_file(run.path("store/manifest.json")).unwrap();
    let (part, journal) = (run.path("store/part-00000.vec"), run.path("store/journal.jsonl"));
    let (bytes, text) = (std::fs::read(&part).unwrap(), std::fs::read_to_string(&journal).unwrap());
    let lines: Vec<&str> = text.lines().collect();
    let end = |line: usize| {
        let line: serde_json::Value = serde_json::from_str(lines[line]).unwrap();
        line["block"]["end"].as_u64().unwrap() as usize
    };
    // The last byte of the third block, line 4 of the journal; as it was read just before.
    let mut spoiled = bytes.clone();
    spoiled[end(3) - 1] ^= 1;
    std::fs::write(&part, spoiled).unwrap();
    let e = run.refused(&golden("bert"), "store", &["--resume"]);
    let begin =
        format!("error: store/part-00000.vec: section block at byte {}: expected CRC", end(2));
    assert!(e.starts_with(&begin), "{e}");
    let advice = "block 2 is damaged: remove the folder and encode again, or delete line 4 of \
                  journal.jsonl and those after it, and --resume goes on from block 2";
    assert!(e.ends_with(advice), "{e}");
    // The advice is good.
    std::fs::write(&journal, lines[..3].join("\n") + "\n").unwrap();
    run.encode("store", &["--resume"]);
    assert!(files(&run.path("store")) == whole);

    std::fs::remove_file(run.path("store/manifest.json")).unwrap();
    std::fs::write(&part, &bytes[..end(3) - 1]).unwrap();
    let e = run.refused(&golden("bert"), "store", &["--resume"]);
    assert!(e.contains(&format!("expected it to end at byte {}, found {}", end(3), end(3) - 1)));
    std::fs::write(&part, &bytes).unwrap();
    let moved = text.replacen(&format!("\"end\":{}", end(2)), "\"end\":1", 1);
    std::fs::write(&journal, moved).unwrap();
    let e = run.refused(&golden("bert"), "store", &["--resume"]);
    assert!(e.starts_with("error: store/journal.jsonl:3: expected block 1 to follow byte "), "{e}");
    std::fs::write(&journal, &text).unwrap();
    // Tokens are known whole from the model.
    std::fs::write(run.path("store/tokens.json"), "[]").unwrap();
    run.encode("store", &["--resume"]);
    assert!(files(&run.path("store")) == whole);
}

#[test]
fn a_finished_store_that_was_damaged_does_not_pass_for_done() {
    let run = Run::new("a\triver\nb\tmoon\n");
    run.encode("store", &[]);
    let part = run.path("store/part-00000.vec");
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    let e = run.refused(&golden("bert"), "store", &["--resume"]);
    assert!(e.ends_with("block 0 is damaged: remove the folder and encode again"), "{e}");
}

#[test]
fn a_renamed_model_folder_is_the_same_model() {
    let run = Run::new("a\triver\nb\tmoon\n");
    run.encode("store", &[]);
    let whole = files(&run.path("store"));
    std::fs::remove_file(run.path("store/manifest.json")).unwrap();
    let renamed = run.path("other name");
    std::fs::create_dir(&renamed).unwrap();
    for name in ["config.json", "vocab.txt", "model.safetensors"] {
        std::fs::copy(golden("bert").join(name), renamed.join(name)).unwrap();
    }
    let resume = || run.command(&renamed, "store", &["--resume"]).output().unwrap();
    let output = resume();
    assert!(output.status.success(), "{}", message(&output));
    assert_eq!(files(&run.path("store")), whole, "under the name it was started with");
    edit(&renamed.join("config.json"), "{", "{ ");
    std::fs::remove_file(run.path("store/manifest.json")).unwrap();
    let output = resume();
    assert_eq!(output.status.code(), Some(2));
    assert!(message(&output).contains("encoding.model.config_digest"), "{}", message(&output));
}

#[test]
fn what_is_no_store_is_not_resumed_and_no_advice_goes_in_circles() {
    let run = Run::new("a\triver\n");
    std::fs::create_dir(run.path("folder")).unwrap();
    std::fs::write(run.path("folder/notes"), "").unwrap();
    let model = golden("bert");
    assert_eq!(
        run.refused(&model, "folder", &["--resume"]),
        "error: folder: expected a store to continue, found a folder without journal.jsonl; name \
         the folder of an unfinished store, or one that is not there yet"
    );
    assert_eq!(
        run.refused(&model, "folder", &[]),
        "error: folder: the output exists already; choose another, or remove it"
    );
    let e = run.refused(&model, "texts.tsv", &["--resume"]);
    assert!(e.starts_with("error: texts.tsv: expected a store to continue, found a file; "), "{e}");
}

#[test]
fn an_input_that_differs_is_told_by_count_or_by_documents() {
    let run = Run::new(&many());
    run.encode("store", &[]);
    std::fs::remove_file(run.path("store/manifest.json")).unwrap();
    let text = many();
    let refused = |input: &str| {
        std::fs::write(run.path("texts.tsv"), input).unwrap();
        run.refused(&golden("bert"), "store", &["--resume"])
    };
    let e = refused(text.rsplit_once("d8999").unwrap().0);
    assert!(e.contains("made from: expected 9000 documents, found 8999; resume with"), "{e}");
    let e = refused(&text.replace("d18\triver", "d18\tgravel"));
    assert!(e.contains("made from: expected 9000 documents with ids and texts of digest "), "{e}");

    // Standard input has no digest beforehand; its blocks tell.
    let piped = |store: &str, flags: &[&str], input: &str| {
        std::fs::write(run.path("texts.tsv"), input).unwrap();
        let mut command = Command::new(crate::common::SPLINDEX);
        command.args(["encode", "--input", "-", "--model"]).arg(golden("bert"));
        command.arg("--output").arg(run.path(store)).args(["--max-length", "32"]).args(flags);
        command.stdin(std::fs::File::open(run.path("texts.tsv")).unwrap());
        message(&command.output().unwrap())
    };
    piped("piped", &[], &text);
    std::fs::remove_file(run.path("piped/manifest.json")).unwrap();
    let e = piped("piped", &["--resume"], &text.replace("d600\t", "d600\tsun "));
    assert!(e.contains("made from: documents 513 to 1024 (up to -:1024) have other ids"), "{e}");
    let e = piped("piped", &["--resume"], text.split_once("d600\t").unwrap().0);
    assert!(e.contains("expected 512 documents from number 513 on, found 88 (up to -:600)"), "{e}");
    let e = run.refused(&golden("bert"), "piped", &["--resume"]);
    assert!(e.contains("expected standard input or a pipe, found files"), "{e}");
}

#[test]
fn resuming_under_another_plan_or_with_other_input_is_refused() {
    let run = Run::new(&many());
    run.encode("store", &[]);
    std::fs::remove_file(run.path("store/manifest.json")).unwrap();
    let model = golden("bert");
    assert_eq!(
        run.refused(&model, "store", &["--resume", "--top", "9"]),
        "error: store: the store was started with encoding.top = null, found 9; resume with \
         the flags and model it was started with"
    );
    assert_eq!(
        run.refused(&model, "store", &[]),
        "error: store: the output exists already; continue it with --resume, choose another, or \
         remove it"
    );
    edit(&run.path("texts.tsv"), "d18\triver", "d18\tgravel");
    assert!(
        run.refused(&model, "store", &["--resume"])
            .starts_with("error: the input differs from what the store was made from")
    );
}

#[test]
fn a_finished_store_of_other_input_is_refused_too() {
    let run = Run::new("a\triver\nb\thill\n");
    run.encode("store", &[]);
    for other in ["a\triver\nb\tsea\n", "a\triver\n", "a\triver\nb\thill\nc\tsea\n"] {
        std::fs::write(run.path("texts.tsv"), other).unwrap();
        assert!(
            run.refused(&golden("bert"), "store", &["--resume"])
                .starts_with("error: the input differs from what the store was made from"),
            "{other}"
        );
    }
}

#[test]
fn another_simd_level_is_refused() {
    let run = Run::new("a\triver\n");
    run.encode("store", &[]);
    std::fs::remove_file(run.path("store/manifest.json")).unwrap();
    let level = splindex::encode::simd_level();
    edit(&run.path("store/journal.jsonl"), &format!("\"simd\":\"{level}\""), "\"simd\":\"mmx\"");
    assert_eq!(
        run.refused(&golden("bert"), "store", &["--resume"]),
        format!(
            "error: store: the store was started with encoding.simd = \"mmx\", found \
             \"{level}\"; resume on the same kind of processor"
        )
    );
}
