//! Help texts, completions and man pages of both programs.

use std::process::Command;

const PROGRAMS: [(&str, &str); 2] =
    [("splindex", crate::common::SPLINDEX), ("splindex-query", crate::common::QUERY)];

fn stdout(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Names under "Commands:" of the program's help.
fn commands(program: &str) -> Vec<String> {
    let help = stdout(program, &["--help"]);
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = list.lines().filter(|l| l.starts_with("  ") && !l.starts_with("   "));
    names.map(|l| l.split_whitespace().next().unwrap().to_owned()).filter(|n| n != "help").collect()
}

#[test]
fn every_command_has_an_example_whose_flags_exist() {
    for (name, program) in PROGRAMS {
        let commands = commands(program);
        assert!(commands.len() >= 4, "{name}: {commands:?}");
        for command in commands {
            let help = stdout(program, &[&command, "--help"]);
            let (options, examples) = help
                .split_once("Example")
                .unwrap_or_else(|| panic!("{name} {command} --help has no example"));
            let call = format!("{name} {command}");
            assert!(examples.contains(&call), "{call}: no example calls it");
            // Lines of this command, and lines that continue one.
            let mut own = false;
            for line in examples.lines().filter(|line| line.starts_with("  ")) {
                own = line.trim_start().starts_with(&format!("{call} "))
                    || (own && line.starts_with("      "));
                for flag in line.split_whitespace().filter(|w| own && w.starts_with("--")) {
                    assert!(options.contains(flag), "{call}: the example's {flag} is no flag");
                }
            }
        }
    }
}

#[test]
fn help_of_algorithms_names_them_all() {
    for command in ["search", "bench", "serve"] {
        let help = stdout(PROGRAMS[1].1, &[command, "--help"]);
        let words: Vec<&str> = help.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        for algorithm in splindex::query::Algorithm::ALL {
            assert!(words.contains(&algorithm.name()), "{command}: {algorithm}");
        }
    }
}

#[test]
fn completions_and_man_pages_know_every_command() {
    for (name, program) in PROGRAMS {
        let dir = tempfile::tempdir().unwrap();
        let pages = dir.path().to_str().unwrap();
        stdout(program, &["man", "--output", pages]);
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let script = stdout(program, &["completions", shell]);
            for command in commands(program) {
                assert!(script.contains(&command), "{shell}: {command}");
                assert!(dir.path().join(format!("{name}-{command}.1")).is_file(), "{command}");
            }
        }
    }
}
