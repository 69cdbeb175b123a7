//! Arguments of `splindex-query search`, and what of them goes together.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use super::super::Common;
use super::super::approximate::ApproximateArgs;
use crate::corpus::Fields;
use crate::error::{Error, Place, Result};
use crate::eval::RunFormat;
use crate::index::{Index, Load};
use crate::output::refuse_inputs;
use crate::queries::file::{QueryKind, Sidecars};
use crate::queries::{Constraints, Lift};
use crate::query::{Algorithm, Approximation};

/// Answer a question, or a file of queries
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  splindex-query search bm25.spx \"how deep do whales dive\" --texts passages.tsv
  splindex-query search splade.spx \"how deep do whales dive\" --query-model data/tiny
  splindex-query search bm25.spx --queries questions.tsv --output bm25.run
  splindex-query search splade.spx --queries questions.tsv --query-model data/tiny \\
      --output splade.run
  splindex-query search splade.spx --queries weighted.tsv --k 10 --format jsonl
  splindex-query search splade.spx --queries weighted.tsv --k 3 --explain
  splindex-query search bm25.spx whales --filter 'lang = \"en\" and year >= 2020'
  splindex-query search splade.spx --queries queries.npz --vocabulary vocab.txt
  splindex-query search hybrid.spx --queries questions.tsv --query-model data/tiny \\
      --hybrid-weight 0.5 --output hybrid.run

Query files: text (qid<TAB>text, or qid:text), weighted tokens (qid<TAB>token:weight …), repeated tokens \
(qid<TAB>token token …, with --query-kind repeated), JSON Lines; plain, .gz or .zst; matrices \
(SciPy's .npz in compressed rows, big-ann's .csr), a row a query; a store of encode --kind query. \
A hybrid index takes texts with --query-model, or JSON Lines with `vector` and either `text` or \
`bm25` ({stem: weight}); it scores BM25 + h · learned, with query weights as they are given. Of \
such lines a BM25 index takes `bm25` or `text`, a learned one `vector`: one file asks all three.

Scores are integers. For people (on a terminal, --texts, --explain) they also stand in the units \
of the weights: the sum of query weight × document weight, of BM25 Lucene's score. trec_eval \
orders equal scores by document id and up to version 9 (pytrec_eval) reads them as 32-bit floats, \
so a TREC run lowers the later ones of equal scores by the least possible step: its order is ours, \
to every version. --format jsonl keeps the exact integers.")]
pub struct SearchArgs {
    /// The index file
    #[arg(value_name = "INDEX.spx")]
    pub(super) index: PathBuf,
    /// One question instead of a file: a text, or token:weight … where only weighted tokens can be
    /// answered
    #[arg(value_name = "QUESTION", conflicts_with_all = ["queries", "ids", "vocabulary"])]
    question: Vec<String>,
    /// The queries; `-` is standard input
    #[arg(long, value_name = "FILE", help_heading = "Queries")]
    pub(super) queries: Option<PathBuf>,
    /// What the query file holds: auto, text, weighted or repeated
    #[arg(long, value_name = "KIND", default_value = "auto", help_heading = "Queries")]
    pub(super) query_kind: QueryKind,
    /// Ids of the rows of a matrix of queries, one a line [default: NAME-ids.txt beside it, else
    /// row numbers]
    #[arg(long, value_name = "FILE", help_heading = "Queries")]
    ids: Option<PathBuf>,
    /// Tokens of its columns, one a line [default: NAME-tokens.txt, else column numbers]
    #[arg(long, value_name = "FILE", help_heading = "Queries")]
    vocabulary: Option<PathBuf>,
    /// Model directory, or hub id (naver/splade-v3), that turns query texts into weighted tokens: a
    /// model or a table of token weights; BM25 indexes need none
    #[arg(long, value_name = "DIR|HUB_ID", help_heading = "Queries")]
    pub(super) query_model: Option<PathBuf>,
    /// Factor that makes fractional query weights integers; not used by hybrid indexes
    #[arg(long, value_name = "X", default_value_t = 100.0, help_heading = "Queries")]
    pub(super) query_scale: f64,
    /// Weight h of the learned part in a hybrid index: BM25 + h · learned [default: 0.5]
    #[arg(long, value_name = "H", help_heading = "Queries")]
    pub(super) hybrid_weight: Option<f64>,
    /// Results a query [default: 10 on a terminal, else 1000]
    #[arg(long, value_name = "K", help_heading = "Search")]
    k: Option<usize>,
    /// auto (the cheapest for each query), exhaustive, wand, block_max_wand, maxscore,
    /// block_max_maxscore, windowed, or block_pruned (of an index built with --skip-data); all
    /// return the same list, unless it may be approximate
    #[arg(long, value_name = "NAME", default_value = "auto", help_heading = "Search")]
    pub(super) algorithm: Algorithm,
    /// Only documents that satisfy this: lang = "en" and year >= 2020 and not site in ("a", "b"); has(key);
    /// a query's own "filter" in JSON Lines holds beside it (docs/filters.md)
    #[arg(long, value_name = "FILTER", help_heading = "Search")]
    filter: Option<String>,
    /// Add to the scores of documents: '500: lang = "en"', or '3 * popularity' of an integer key;
    /// several add up
    #[arg(long, value_name = "BOOST", help_heading = "Search")]
    boost: Vec<Lift>,
    /// In texts, +word is required and -word excluded: of BM25 as it analyses words, else tokens
    #[arg(long, help_heading = "Search")]
    pub(super) operators: bool,
    /// Only documents that score so much, an integer
    #[arg(long, value_name = "SCORE", default_value_t = 0, help_heading = "Search")]
    min_score: u32,
    /// How the index gets into memory: mmap, populate or ram
    #[arg(long, value_name = "HOW", default_value = "mmap", help_heading = "Search")]
    pub(super) load: Load,
    #[command(flatten)]
    approximate: ApproximateArgs,
    /// Show the text of each result, looked up by id in this collection: TSV or JSON Lines; on a
    /// terminal as much as a line holds
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub(super) texts: Option<PathBuf>,
    /// TSV columns (from 1) or JSON fields that make the text [default: all behind the first
    /// tab; "title", then "contents" or "text"]
    #[arg(long, value_name = "LIST", requires = "texts", help_heading = "Results")]
    pub(super) fields: Option<Fields>,
    /// Show what each query term gave to each hit, instead of a run; with --format jsonl as JSON
    #[arg(long, help_heading = "Results")]
    pub(super) explain: bool,
    /// Format of a run: trec, msmarco or jsonl [default: on a terminal a table, else trec]
    #[arg(long, value_name = "FORMAT", help_heading = "Results")]
    pub(super) format: Option<RunFormat>,
    /// The run, compressed if it is named .gz or .zst; without it, standard output
    #[arg(long, value_name = "RUN", help_heading = "Results")]
    pub(super) output: Option<PathBuf>,
}

/// How answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// A run, for programs.
    Run(RunFormat),
    /// What each term gave, as JSON or for people.
    Explained { json: bool },
    /// A table for people.
    Table,
}

/// Results of a query on a terminal, and elsewhere.
const ON_TERMINAL: usize = 10;
const IN_FILES: usize = 1000;

impl SearchArgs {
    /// The file that answers go to; `None` is standard output.
    pub(super) fn output(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| *path != Path::new("-"))
    }

    /// Whether answers are read as they come.
    pub(super) fn on_terminal(&self) -> bool {
        self.output().is_none() && std::io::stdout().is_terminal()
    }

    /// Whether a terminal may show answers while it shows progress, though they go to a pipe first
    /// (`| head`).
    pub(super) fn through_a_pipe(&self) -> bool {
        self.output().is_none() && std::io::stderr().is_terminal() && !is_file(std::io::stdout())
    }

    pub(super) fn view(&self) -> View {
        match self.format {
            _ if self.explain => View::Explained { json: self.format == Some(RunFormat::Jsonl) },
            Some(format) => View::Run(format),
            None if self.texts.is_some() || self.on_terminal() => View::Table,
            None => View::Run(RunFormat::default()),
        }
    }

    pub(super) fn k(&self) -> usize {
        self.k.unwrap_or(if self.on_terminal() { ON_TERMINAL } else { IN_FILES })
    }

    /// The question, if there is one: quoted or not.
    pub(super) fn question(&self) -> Option<String> {
        (!self.question.is_empty()).then(|| self.question.join(" "))
    }

    /// What all queries ask of documents beside their terms.
    pub(super) fn constraints(&self) -> Result<Constraints> {
        let filter = self.filter.as_deref().map(str::parse).transpose()?;
        let (boost, min_score) = (self.boost.clone(), self.min_score);
        Ok(Constraints { filter, boost, min_score, ..Constraints::default() })
    }

    pub(super) fn sidecars(&self) -> Sidecars {
        let (ids, vocabulary) = (self.ids.clone(), self.vocabulary.clone());
        Sidecars { ids, vocabulary, tmp: None }
    }

    /// Refuses what does not go together, before anything is opened; what answers may lack.
    pub(super) fn check(&self, common: &Common) -> Result<Approximation> {
        self.check_queries()?;
        self.check_results(common)?;
        if self.k == Some(0) {
            return Err(Error::Usage("--k must be at least 1".into()));
        }
        let approximation = self.approximate.one()?;
        if self.explain && approximation.lowers_scores() {
            return Err(Error::Usage(
                "--explain tells what makes a whole score, and scores of shortened queries are \
                 not; add --rescore N, or leave --max-query-terms and --query-mass out"
                    .into(),
            ));
        }
        if let Some(output) = &self.output {
            let inputs = [Some(&self.index), self.queries.as_ref(), self.texts.as_ref()];
            refuse_inputs(output, &inputs.into_iter().flatten().collect::<Vec<_>>())?;
            if Index::is_index_file(output) {
                let problem = "the output is there and is an index";
                return Err(Error::data(output, Place::File, problem).hint("give another --output"));
            }
        }
        Ok(approximation)
    }

    fn check_queries(&self) -> Result<()> {
        match self.question() {
            None if self.queries.is_none() => Err(Error::Usage(
                "nothing is asked: give a question behind the index, or --queries FILE".into(),
            )),
            Some(question) if question.trim().is_empty() => {
                Err(Error::Usage("the question is empty".into()))
            }
            _ => Ok(()),
        }
    }

    fn check_results(&self, common: &Common) -> Result<()> {
        if common.json && self.output().is_none() {
            let instead = match self.format {
                Some(RunFormat::Jsonl) => "or leave --json out: --format jsonl is a run in JSON",
                _ => "or --format jsonl instead of --json for a run in JSON",
            };
            return Err(Error::Usage(format!(
                "--json prints a summary on standard output, where the run goes; give --output \
                 RUN, {instead}"
            )));
        }
        if self.explain && matches!(self.format, Some(RunFormat::Trec | RunFormat::MsMarco)) {
            return Err(Error::Usage(
                "--explain writes text, or JSON with --format jsonl; no run format holds terms"
                    .into(),
            ));
        }
        if let (Some(_), Some(format)) = (&self.texts, self.format) {
            return Err(Error::Usage(format!(
                "--texts shows results to people, and --format {format} holds no texts; leave one \
                 of them out"
            )));
        }
        match &self.texts {
            // It is read again for every batch of queries.
            Some(texts) if texts == Path::new("-") || (texts.exists() && !texts.is_file()) => {
                let found = if texts.is_dir() { "a folder" } else { "what may be read once only" };
                let problem = format!("expected a file of texts for --texts, found {found}");
                Err(Error::data(texts, Place::File, problem)
                    .hint("give the file that the index was made of: TSV or JSON Lines"))
            }
            _ => Ok(()),
        }
    }
}

/// Whether standard output goes to a file.
#[cfg(unix)]
fn is_file(stdout: std::io::Stdout) -> bool {
    use std::os::fd::AsFd;
    let file = stdout.as_fd().try_clone_to_owned().map(std::fs::File::from);
    file.and_then(|file| file.metadata()).is_ok_and(|metadata| metadata.is_file())
}

#[cfg(not(unix))]
fn is_file(_: std::io::Stdout) -> bool {
    false
}
