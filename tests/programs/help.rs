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

/// `heading: --option --option …` for each heading of a help text, in its order.
fn headings(help: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    // What comes behind the options is examples.
    for line in help.lines().take_while(|line| !line.starts_with("Example")) {
        let start = line.trim_start();
        let indent = line.len() - start.len();
        if indent == 0 && line.ends_with(':') {
            found.push(line.to_owned());
        } else if (2..=6).contains(&indent) && start.starts_with('-') {
            let long = start.split([' ', ',']).find(|word| word.starts_with("--"));
            let Some((heading, long)) = found.last_mut().zip(long) else { continue };
            heading.push(' ');
            heading.push_str(long);
        }
    }
    found.retain(|heading| heading.contains(" --"));
    found
}

#[test]
fn every_option_stands_under_its_heading() {
    let mut listed = String::new();
    for (name, program) in PROGRAMS {
        for command in commands(program) {
            listed += &format!("{name} {command}\n");
            for heading in headings(&stdout(program, &[&command, "--help"])) {
                listed += &format!("  {heading}\n");
            }
        }
    }
    let expected = include_str!("headings.txt");
    assert_eq!(listed, expected, "tests/programs/headings.txt lists headings and options");
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
