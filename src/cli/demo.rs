//! `splindex demo`: the whole pipeline on the sample collection, command by command.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser};

use super::progress::Bars;
use super::{Common, build, columns, encode, out, print};
use crate::bench::default_cpu;
use crate::bench::suite::{self, Inputs, Row, Suite, SuiteReport};
use crate::corpus::CorpusReader;
use crate::error::{Error, Place, Result};
use crate::eval::{Measure, compare};
use crate::queries::file::{QueryBody, QueryKind, read_queries};

/// Try the whole pipeline on the sample: encode, build, search, evaluate, in under a minute
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  splindex demo
  splindex demo --model path/to/another/model --dir /tmp/demo")]
pub struct DemoArgs {
    /// Directory for what the demo makes; files of an earlier demo are replaced
    #[arg(long, value_name = "DIR", default_value = "splindex-demo")]
    dir: PathBuf,
    /// Model directory [default: the tiny model of the source tree]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
}

/// Where the demo reads and writes.
struct Places {
    collection: PathBuf,
    queries: PathBuf,
    qrels: PathBuf,
    model: PathBuf,
    vectors: PathBuf,
    splade: PathBuf,
    bm25: PathBuf,
    hybrid: PathBuf,
}

/// Name of a system before its query side is known.
const SPLADE: &str = "SPLADE";

/// Runs `splindex demo`.
pub fn run(args: &DemoArgs, common: &Common) -> Result<ExitCode> {
    common.init_threads()?;
    let places = Places::find(args)?;
    std::fs::create_dir_all(&args.dir).map_err(|e| Error::io("create", &args.dir, e))?;
    remove_old_store(&places.vectors)?;
    let say = |text: &str| if common.quiet || common.json { Ok(()) } else { print(text) };
    say(
        "300 passages, 100 questions, three systems: BM25, a learned-sparse (SPLADE) index, and both \
         in one file.\n\n",
    )?;
    for command in places.commands() {
        say(&format!("$ splindex {}\n", command.join(" ")))?;
        step(&command, common)?;
        say("\n")?;
    }
    let bars = Bars::new(common);
    let mut inputs = Inputs::default();
    let mut report = suite::run(&places.suite(), &mut inputs, default_cpu(), &bars)?;
    bars.finish();
    bars.warn(&inputs.notes());
    // The query side of the others is their name.
    if let Some(splade) = report.rows.iter_mut().find(|row| row.name == SPLADE) {
        splade.name = format!("{}, {}", splade.name, splade.query_side);
    }
    if common.json {
        let json = serde_json::to_string(&report)
            .map_err(|e| Error::Internal(format!("the report does not encode: {e}")))?;
        out!("{json}");
        return Ok(ExitCode::SUCCESS);
    }
    out!("{}\n{}", report.table().within(columns()), report.protocol());
    if !common.quiet {
        if let Some(why) = hybrid_below(&report)? {
            out!("\n{why}");
        }
        out!("\n{}{}", places.example(&report)?, places.next());
    }
    Ok(ExitCode::SUCCESS)
}

impl Places {
    fn find(args: &DemoArgs) -> Result<Self> {
        // The checkout this program was built from comes second: who stands in another
        // checkout means that one.
        let bases = [PathBuf::from("data"), Path::new(env!("CARGO_MANIFEST_DIR")).join("data")];
        let Some(base) = bases.iter().find(|base| base.join("sample/collection.tsv").is_file())
        else {
            let looked: Vec<String> =
                bases.iter().map(|b| b.join("sample").display().to_string()).collect();
            return Err(Error::Usage(format!(
                "the demo reads the sample collection of splindex's source tree, which is neither \
                 in {}; run it in a checkout of splindex",
                looked.join(" nor in ")
            )));
        };
        let model = match &args.model {
            Some(dir) => dir.clone(),
            None => base.join("tiny"),
        };
        if args.model.is_none() && !model.join("config.json").is_file() {
            return Err(Error::data(&model, Place::File, "expected the tiny model, found none")
                .hint("give a model directory with --model DIR"));
        }
        let sample = |name: &str| base.join("sample").join(name);
        Ok(Places {
            collection: sample("collection.tsv"),
            queries: sample("queries.tsv"),
            qrels: sample("qrels.txt"),
            model,
            vectors: args.dir.join("vectors"),
            splade: args.dir.join("splade.spx"),
            bm25: args.dir.join("bm25.spx"),
            hybrid: args.dir.join("hybrid.spx"),
        })
    }

    fn commands(&self) -> [Vec<String>; 4] {
        let command = |words: &[&dyn AsRef<std::ffi::OsStr>]| {
            words.iter().map(|word| word.as_ref().to_string_lossy().into_owned()).collect()
        };
        let Places { collection, model, vectors, splade, bm25, hybrid, .. } = self;
        let texts = collection;
        [
            command(&[&"encode", &"--model", model, &"--input", collection, &"--output", vectors]),
            command(&[&"build", &"--input", vectors, &"--output", splade]),
            command(&[&"build", &"--bm25", &"--input", collection, &"--output", bm25]),
            command(&[&"build", &"--input", vectors, &"--hybrid-text", texts, &"--output", hybrid]),
        ]
    }

    fn suite(&self) -> Suite {
        let row = |name: &str, index: &PathBuf, query_model: Option<&PathBuf>| Row {
            name: name.into(),
            collection: None,
            index: index.clone(),
            queries: self.queries.clone(),
            kind: QueryKind::Text,
            query_model: query_model.cloned(),
            hybrid_weight: None,
            query_scale: None,
            qrels: Some(self.qrels.clone()),
            algorithm: None,
        };
        // A hundred results are a third of this collection.
        let rows = vec![
            row("BM25", &self.bm25, None),
            row(SPLADE, &self.splade, Some(&self.model)),
            row("hybrid", &self.hybrid, Some(&self.model)),
        ];
        let metrics = vec![Measure::Mrr(Some(10)), Measure::Recall(100), Measure::Ndcg(Some(10))];
        Suite { k: 100, metrics, ..Suite::of_rows(rows) }
    }

    /// The first question on which the systems' first answers differ, with both answers.
    fn example(&self, report: &SuiteReport) -> Result<String> {
        let questions = read_queries(&self.queries, QueryKind::Text)?.queries;
        let firsts = |q: usize| report.rows.iter().map(move |row| row.first.get(q)?.as_ref());
        let differs = |q: &usize| {
            let mut firsts = firsts(*q);
            let first = firsts.next();
            firsts.any(|other| Some(other) != first)
        };
        let q = (0..questions.len()).find(differs).unwrap_or(0);
        let QueryBody::Text(question) = &questions[q].body else { return Ok(String::new()) };
        let mut text = format!("For example, {question:?}:\n");
        let paths = [self.collection.clone()];
        let passages = CorpusReader::open(&paths, None)?.collect::<Result<Vec<_>>>()?;
        for (row, id) in report.rows.iter().zip(firsts(q)) {
            let passage = passages.iter().find(|p| id == Some(&p.id));
            let found =
                passage.map_or("no answer".into(), |p| format!("{}  {}", p.id, cut(&p.text)));
            let system = row.name.split(',').next().unwrap_or_default();
            text.push_str(&format!("  {system:<7} {found}\n"));
        }
        Ok(text)
    }

    fn next(&self) -> String {
        let Places { collection, queries, model, splade, bm25, .. } = self;
        let (queries, model, texts) = (queries.display(), model.display(), collection.display());
        let (splade, bm25) = (splade.display(), bm25.display());
        let (splindex, query) = (program("splindex"), program("splindex-query"));
        format!(
            "\nWhat to try next (cargo build --release makes both programs):\n  \
             {query} search {splade} \"how is espresso made\" --query-model {model} --texts {texts}\n  \
             {query} search {splade} --queries {queries} --query-model {model} --output splade.run\n  \
             {query} bench {splade} {bm25} --queries {queries} --query-model {model} --algorithm all\n  \
             {splindex} encode --model {model} --input YOUR.tsv --output vectors    # id<TAB>text a line\n"
        )
    }
}

/// Why the hybrid stands below SPLADE alone, where it does: the first thing that a reader sees
/// of it.
fn hybrid_below(report: &SuiteReport) -> Result<Option<String>> {
    let [_, splade, hybrid] = &report.rows[..] else { return Ok(None) };
    let (Some(base), Some(other)) = (&splade.evaluation, &hybrid.evaluation) else {
        return Ok(None);
    };
    let compared = compare(base, other, TRIALS, 1)?;
    let Some(first) = compared.first().filter(|first| first.difference() < 0.0) else {
        return Ok(None);
    };
    let chance = match first.p > 0.05 {
        true => format!(": {} questions cannot tell them apart", first.queries),
        false => String::new(),
    };
    Ok(Some(format!(
        "{} of the hybrid is {:.4} below that of SPLADE alone here: {} questions better, {} worse,\n\
         p = {:.2} (paired randomisation test){chance}. A third of the questions share\n\
         one word or none with their passage, so BM25 has little to add. With the shipped model the\n\
         hybrid is above both of its parts on 13 of 16 judged collections (docs/hybrid.md).",
        report.measures[0],
        -first.difference(),
        first.wins,
        first.losses,
        first.p
    )))
}

/// Random sign changes of the test.
const TRIALS: u64 = 10_000;

/// How to call a program: by its path where it lies beside this one, else through cargo, whose
/// `run` builds one program only.
fn program(name: &str) -> String {
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().map(|exe| exe.with_file_name(file));
    let Some(path) = beside.filter(|path| path.is_file()) else {
        return format!("cargo run --release --bin {name} --");
    };
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(&path).display().to_string()
}

/// The beginning of a passage, one line.
fn cut(text: &str) -> String {
    const SHOWN: usize = 100;
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
    }
}

/// A command line as its own program would parse it.
#[derive(Parser)]
struct Line<A: Args> {
    #[command(flatten)]
    args: A,
}

/// Runs one command of this program exactly as the command line would.
fn step(command: &[String], common: &Common) -> Result<ExitCode> {
    // The thread pool stands already.
    let common = Common { threads: None, quiet: common.quiet || common.json, json: false };
    fn parse<A: Args>(command: &[String]) -> Result<A> {
        let line = Line::<A>::try_parse_from(command);
        line.map(|line| line.args).map_err(|e| Error::Usage(e.to_string().trim_end().to_owned()))
    }
    match command.first().map(String::as_str) {
        Some("encode") => encode::run(&parse(command)?, &common),
        _ => build::run(&parse(command)?, &common),
    }
}

/// Removes the store of an earlier demo; a directory that is no store stays, and the
/// encoder will refuse it.
fn remove_old_store(dir: &Path) -> Result<()> {
    let is_store = ["manifest.json", "journal.jsonl"].iter().any(|name| dir.join(name).is_file());
    if is_store {
        std::fs::remove_dir_all(dir).map_err(|e| Error::io("remove", dir, e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_passage_ends_at_a_character() {
        assert_eq!(cut("short"), "short");
        let cut = cut(&"ä ".repeat(200));
        assert!(cut.ends_with("ä…") && cut.chars().count() == 100, "{cut}");
    }

    #[test]
    fn a_program_that_is_not_there_is_run_by_cargo() {
        assert_eq!(program("no-such"), "cargo run --release --bin no-such --");
        let this = std::env::current_exe().unwrap();
        let name = this.file_stem().unwrap().to_str().unwrap();
        assert!(this.ends_with(program(name)) || Path::new(&program(name)) == this);
    }

    #[test]
    fn only_a_store_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        for (name, file, gone) in [("a", "manifest.json", true), ("b", "precious.txt", false)] {
            let sub = dir.path().join(name);
            std::fs::create_dir(&sub).unwrap();
            std::fs::write(sub.join(file), "{}").unwrap();
            remove_old_store(&sub).unwrap();
            assert_eq!(sub.exists(), !gone, "{name}");
        }
        remove_old_store(&dir.path().join("absent")).unwrap();
    }
}
