//! `splindex`: the offline pipeline.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::cli::{self, Common};

/// Learned-sparse indexes: encode texts, build, check and evaluate
#[derive(Parser)]
#[command(name = "splindex", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(cli::demo::DemoArgs),
    Encode(cli::encode::EncodeArgs),
    Build(cli::build::BuildArgs),
    Merge(cli::merge::MergeArgs),
    Convert(cli::convert::ConvertArgs),
    Eval(cli::eval::EvalArgs),
    Synth(cli::synth::SynthArgs),
    Inspect(cli::inspect::InspectArgs),
    Diff(cli::diff::DiffArgs),
    Verify(cli::verify::VerifyArgs),
    #[cfg(feature = "publish")]
    Publish(cli::publish::PublishArgs),
    #[cfg(feature = "publish")]
    Releases(cli::releases::ReleasesArgs),
    #[cfg(feature = "publish")]
    Rollback(cli::releases::RollbackArgs),
    #[cfg(feature = "publish")]
    Fetch(cli::fetch::FetchArgs),
    Completions(cli::shell::CompletionsArgs),
    Man(cli::shell::ManArgs),
}

/// Runs the program with `args`, of which the first is its name.
pub fn splindex(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Cli { common, command } = cli::parse(args);
    cli::exit(match command {
        Command::Demo(args) => cli::demo::run(&args, &common),
        Command::Encode(args) => cli::encode::run(&args, &common),
        Command::Build(args) => cli::build::run(&args, &common),
        Command::Merge(args) => cli::merge::run(&args, &common),
        Command::Convert(args) => cli::convert::run(&args, &common),
        Command::Eval(args) => cli::eval::run(&args, &common),
        Command::Synth(args) => cli::synth::run(&args, &common),
        Command::Inspect(args) => cli::inspect::run(&args, &common),
        Command::Diff(args) => cli::diff::run(&args, &common),
        Command::Verify(args) => cli::verify::run(&args, &common),
        #[cfg(feature = "publish")]
        Command::Publish(args) => cli::publish::run(&args, &common),
        #[cfg(feature = "publish")]
        Command::Releases(args) => cli::releases::list(&args, &common),
        #[cfg(feature = "publish")]
        Command::Rollback(args) => cli::releases::rollback(&args, &common),
        #[cfg(feature = "publish")]
        Command::Fetch(args) => cli::fetch::run(&args, &common),
        Command::Completions(args) => cli::shell::completions(&args, Cli::command()),
        Command::Man(args) => cli::shell::man(&args, Cli::command(), &common),
    })
}
