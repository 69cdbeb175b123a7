//! `ARCHITECTURE.md` says which module uses which: here it is held to the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

type Names = BTreeSet<String>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files of the library, but those that hold tests.
fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && name != "bin" {
            sources(&path, found);
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") && name != "testing.rs" {
            found.push(path);
        }
    }
}

/// The code of a file without comments and without its module of tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let end = text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..end].lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The module of the crate that a file belongs to.
fn module(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.iter().next().unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// Names behind each `crate::`, those of `crate::{a::X, b}` included.
fn used(code: &str) -> Names {
    let mut names = Names::new();
    for (at, found) in code.match_indices("crate::") {
        let rest = &code[at + found.len()..];
        let name = |text: &str| -> String {
            text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(name(rest));
            continue;
        };
        let (mut depth, mut from) = (0, 0);
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => {
                    names.insert(name(&group[from..i]));
                    break;
                }
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    names.insert(name(&group[from..i]));
                    from = i + 1;
                }
                _ => {}
            }
        }
    }
    names
}

/// What each module uses, by the sources.
fn found() -> BTreeMap<String, Names> {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let mut uses: BTreeMap<String, Names> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.ends_with("src/lib.rs")) {
        uses.entry(module(file)).or_default().extend(used(&code(file)));
    }
    let modules: Names = uses.keys().cloned().collect();
    for (module, names) in &mut uses {
        // `crate::Error` and its like are reexports of the root.
        names.retain(|name| modules.contains(name) && name != module);
    }
    uses
}

/// The names in backticks of a cell of a table.
fn quoted(cell: &str) -> Names {
    let names = cell.split('`').skip(1).step_by(2);
    names.map(|name| name.trim_end_matches('/').trim_end_matches(".rs").to_owned()).collect()
}

/// The rows of the table: the modules, and what they use; the first row is for everybody.
fn told() -> Vec<(Names, String)> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let table = text.split("| module | what it is | uses |\n").nth(1).expect("the table");
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.split('|').map(str::trim).map(str::to_owned).collect::<Vec<_>>();
    rows.map(cells).map(|cells| (quoted(&cells[1]), cells[3].clone())).collect()
}

#[test]
fn the_table_says_what_every_module_uses() {
    let (found, told) = (found(), told());
    let listed: Names = told.iter().flat_map(|(names, _)| names).cloned().collect();
    let there: Names = found.keys().cloned().collect();
    assert_eq!(listed, there, "modules of ARCHITECTURE.md and of src/");
    let everybodys = &told[0].0;
    for (names, uses) in &told[1..] {
        for name in names {
            let used: Names = found[name].difference(everybodys).cloned().collect();
            let expected = if uses == "all" { used.clone() } else { quoted(uses) };
            assert_eq!(used, expected, "what src/{name} uses, and what ARCHITECTURE.md says");
        }
    }
}

#[test]
fn every_module_uses_modules_above_it_only() {
    let found = found();
    let mut above = Names::new();
    for (i, (names, _)) in told().into_iter().enumerate() {
        if i == 0 {
            above.extend(names.clone());
        }
        for name in &names {
            let below: Vec<_> = found[name].difference(&above).collect();
            assert!(below.is_empty(), "src/{name} uses {below:?}, which stand below it");
        }
        above.extend(names);
    }
}

#[test]
fn only_the_command_line_prints_and_exits() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    for file in files.iter().filter(|file| module(file) != "cli") {
        for call in ["println!", "print!", "eprint!", "dbg!", "process::exit"] {
            assert!(!code(file).contains(call), "{} has {call}", file.display());
        }
    }
}

#[test]
fn uses_are_found_in_every_form() {
    let code = "use crate::a::X;\nuse crate::{b::{Y, c}, d};\nlet x = crate::e::f(crate::Error);";
    let expected = ["Error", "a", "b", "d", "e"].map(str::to_owned);
    assert_eq!(used(code), Names::from(expected));
}
