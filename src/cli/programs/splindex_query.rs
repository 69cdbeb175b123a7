//! `splindex-query`: the query processor.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::cli::{self, Common};

/// Exact top-k retrieval on splindex index files
#[derive(Parser)]
#[command(name = "splindex-query", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Search(cli::search::SearchArgs),
    Bench(cli::bench::BenchArgs),
    #[cfg(feature = "serve")]
    Serve(Box<cli::serve::ServeArgs>),
    Verify(cli::verify::VerifyArgs),
    Completions(cli::shell::CompletionsArgs),
    Man(cli::shell::ManArgs),
}

/// Runs the program with `args`, of which the first is its name.
pub fn splindex_query(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Cli { common, command } = cli::parse(args);
    cli::exit(match command {
        Command::Search(args) => cli::search::run(&args, &common),
        Command::Bench(args) => cli::bench::run(&args, &common),
        #[cfg(feature = "serve")]
        Command::Serve(args) => cli::serve::run(&args, &common),
        Command::Verify(args) => cli::verify::run(&args, &common),
        Command::Completions(args) => cli::shell::completions(&args, Cli::command()),
        Command::Man(args) => cli::shell::man(&args, Cli::command(), &common),
    })
}
