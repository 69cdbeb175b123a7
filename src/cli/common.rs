//! What every command shares: its common flags, numbers for people, exit codes.

use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

use crate::error::{Error, Result};
use crate::eval::Qrels;
use crate::index::Index;
use crate::vectors::store::Shard;

/// Flags of every command.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// Worker threads [default: all cores; search answers on one]
    #[arg(long, value_name = "N", global = true, display_order = 901)]
    pub threads: Option<usize>,
    /// No progress and no summary; warnings and errors only
    #[arg(long, global = true, display_order = 902)]
    pub quiet: bool,
    /// Machine-readable result on standard output
    #[arg(long, global = true, display_order = 903)]
    pub json: bool,
}

/// Starting thousands of threads takes minutes; no machine has more cores than this.
const MAX_THREADS: usize = 1024;

impl Common {
    /// Sizes the thread pool; call once, before any parallel work.
    pub fn init_threads(&self) -> Result<()> {
        let Some(n) = self.threads else { return Ok(()) };
        if !(1..=MAX_THREADS).contains(&n) {
            return Err(Error::Usage(format!("--threads must be 1 to {MAX_THREADS}, found {n}")));
        }
        rayon::ThreadPoolBuilder::new()
            .num_threads(n)
            .build_global()
            .map_err(|e| Error::Internal(format!("cannot start {n} threads: {e}")))
    }
}

/// Parses a command line, or prints help or what is wrong with it and exits.
pub fn parse<C: clap::CommandFactory + clap::FromArgMatches>(
    args: impl IntoIterator<Item = OsString>,
) -> C {
    // A negative number is a bad value, which the value's parser names, not an unknown flag.
    let negative = |c: clap::Command| c.mut_args(|arg| arg.allow_negative_numbers(true));
    let names: Vec<String> =
        C::command().get_subcommands().map(|c| c.get_name().to_owned()).collect();
    let command = names
        .into_iter()
        .fold(C::command(), |command, name| command.mut_subcommand(name, negative));
    C::from_arg_matches(&command.get_matches_from(args)).unwrap_or_else(|e| e.exit())
}

/// "1 query", "7 queries".
pub(crate) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// Columns of the terminal that results go to; 100 in files and pipes, which have no width.
pub(crate) fn columns() -> usize {
    let terminal = std::io::stdout().is_terminal();
    let size = terminal.then(|| console::Term::stdout().size_checked()).flatten();
    size.map_or(100, |(_, columns)| usize::from(columns))
}

/// Says that a query model was given for nothing.
pub(crate) fn model_not_needed(index: &Index) {
    let index = index.path().display();
    crate::cli::tell!("{index}: BM25 analyses texts itself, --query-model is not needed");
}

/// What is to be said of judgements of which several are of one document.
pub(crate) fn regraded(qrels: &Qrels) -> Option<String> {
    let (file, n) = (qrels.path().display(), qrels.regraded());
    let changes = count(n as u64, "judgement changes", "judgements change");
    (n > 0).then(|| format!("{file}: {changes} an earlier grade; the last one counts"))
}

/// The values of a list, each once, in the order of their first appearance.
pub(crate) fn unique<T: PartialEq>(values: Vec<T>) -> Vec<T> {
    let mut unique = Vec::with_capacity(values.len());
    for value in values {
        if !unique.contains(&value) {
            unique.push(value);
        }
    }
    unique
}

/// A part of a collection: `I/N`, I from 0.
pub(crate) fn parse_shard(text: &str) -> std::result::Result<Shard, String> {
    let shard = text.split_once('/').and_then(|(index, count)| {
        Some(Shard { index: index.parse().ok()?, count: count.parse().ok()? })
    });
    shard
        .filter(|s| s.index < s.count)
        .ok_or_else(|| format!("expected I/N with I from 0 to N−1, found {text:?}"))
}

/// A byte count for people.
pub fn human_bytes(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// Writes a result to standard output. A reader that went away (`| head`) wants no more of
/// it and is no error.
pub fn print(text: &str) -> Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Error::io("write", "-", e)),
        _ => Ok(()),
    }
}

/// Says on standard error what may not be as it was meant, such as lines that were read otherwise;
/// also who wants no summary should know.
pub fn warn(warnings: &[String]) {
    warnings.iter().for_each(|warning| crate::cli::tell!("warning: {warning}"));
}

/// Says a line on standard error. Where that cannot be written (`2>&1 | head` has gone, a full
/// disk), the work goes on and its exit code stays: `eprintln!` would panic.
pub fn say(line: std::fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// As `eprintln!`, through [`say`].
macro_rules! tell {
    ($($text:tt)*) => { $crate::cli::say(format_args!($($text)*)) };
}
pub(crate) use tell;

/// As `println!`, through [`print`]: no panic when the reader goes away.
macro_rules! out {
    ($($text:tt)*) => { $crate::cli::print(&format!("{}\n", format_args!($($text)*)))? };
}
pub(crate) use out;

/// The message of an error, with settings as the flags that set them.
pub(crate) fn said(error: &Error) -> String {
    error.naming_settings(|setting| format!("--{}", setting.replace('_', "-")))
}

/// Prints an error as one line and turns it into its exit code.
pub fn exit(result: Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(error) => {
            crate::cli::tell!("error: {}", said(&error));
            ExitCode::from(error.exit_code())
        }
    }
}
