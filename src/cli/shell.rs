//! Completions for shells, and man pages, from the same definitions as the help texts.

use std::path::PathBuf;
use std::process::ExitCode;

use clap_complete::Shell;

use super::{Common, print};
use crate::error::{Error, Place, Result};

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  splindex completions bash > ~/.local/share/bash-completion/completions/splindex
  splindex-query completions zsh > ~/.zfunc/_splindex-query")]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Write man pages
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  splindex man --output ~/.local/share/man/man1
  splindex-query man --output ~/.local/share/man/man1
  man splindex-build")]
pub struct ManArgs {
    /// Directory for the pages, one a command
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

/// Runs `completions` of the program `command`.
pub fn completions(args: &CompletionsArgs, mut command: clap::Command) -> Result<ExitCode> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `man` of the program `command`.
pub fn man(args: &ManArgs, command: clap::Command, common: &Common) -> Result<ExitCode> {
    let dir = &args.output;
    if !dir.is_dir() {
        return Err(
            Error::data(dir, Place::File, "no such folder to write to").hint("create it first")
        );
    }
    let name = command.get_name().to_owned();
    clap_mangen::generate_to(command, dir).map_err(|e| Error::io("write", dir, e))?;
    if !common.quiet {
        crate::cli::tell!("{}: pages of {name} and its commands", dir.display());
    }
    Ok(ExitCode::SUCCESS)
}
