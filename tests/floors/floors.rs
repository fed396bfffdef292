//! Imports go down only: the `mod` lines of `src/lib.rs` and of each `mod.rs` stand
//! in the order of the floors, lowest first, and a file uses only the modules that
//! are declared above its own. `CONTRIBUTING.md` shows the floors in a table.
//!
//! Two files that are one machine say so by the line `// One machine: a, b.` above
//! their `mod` lines; they may use each other. A folder's files may use the items that
//! its own `mod.rs` defines. Re-exports, documentation and tests are no imports.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]
#![allow(
    clippy::case_sensitive_file_extension_comparisons,
    reason = "cargo wants them so"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The sources of a crate by path, such as `task/mod.rs`.
type Sources = BTreeMap<String, String>;

/// A folder: its modules in floor order, and those that are one machine.
#[derive(Default)]
struct Folder {
    floors: Vec<String>,
    machines: Vec<BTreeSet<String>>,
}

/// Returns the source without comments, and without texts in quotes.
fn code(source: &str) -> String {
    let mut code = String::new();
    for line in source.lines() {
        let mut quoted = false;
        let mut characters = line.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' if quoted => drop(characters.next()),
                // Not the quote of the character '"'.
                '"' if quoted || !code.ends_with('\'') => quoted = !quoted,
                '/' if !quoted && characters.peek() == Some(&'/') => break,
                _ if quoted => {}
                _ => code.push(character),
            }
        }
        code.push('\n');
    }
    code
}

/// Removes the items below `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut kept = String::new();
    while let Some((before, after)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        let mut depth = 0_usize;
        let end = after.char_indices().find_map(|(place, character)| {
            match character {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            (depth == 0 && matches!(character, '}' | ';' | ',')).then_some(place + 1)
        });
        rest = &after[end.unwrap_or(after.len())..];
    }
    kept + rest
}

/// Reads the `mod` lines of a file.
fn folder(source: &str) -> Folder {
    let mut folder = Folder::default();
    for line in source.lines() {
        if let Some(names) = line.strip_prefix("// One machine: ") {
            let names = names.trim_end_matches('.').split(", ");
            folder.machines.push(names.map(str::to_owned).collect());
        }
        let line = line.trim_start_matches("pub ");
        let line = line.trim_start_matches("pub(crate) ");
        let name = line.strip_prefix("mod ").and_then(|l| l.strip_suffix(';'));
        folder.floors.extend(name.map(str::to_owned));
    }
    folder
}

/// Adds to `paths` what a tree such as `a::{b, c::D}` names.
fn branches(prefix: &[String], tree: &str, paths: &mut BTreeSet<Vec<String>>) {
    let tree = tree.trim();
    if let Some((head, rest)) = tree.split_once('{') {
        let mut prefix = prefix.to_vec();
        prefix.extend(names(head));
        let (mut depth, mut start) = (0_usize, 0);
        for (place, character) in rest.char_indices() {
            match character {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    branches(&prefix, &rest[start..place], paths);
                    start = place + 1;
                    if character == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
    } else if !tree.is_empty() {
        let mut path = prefix.to_vec();
        path.extend(names(tree));
        paths.insert(path);
    }
}

fn names(path: &str) -> impl Iterator<Item = String> {
    let path = path.split(" as ").next().unwrap_or_default();
    path.split("::")
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
}

/// Returns the paths that begin with `crate` or `super`, in imports and elsewhere.
fn paths(code: &str) -> BTreeSet<Vec<String>> {
    let mut paths = BTreeSet::new();
    for root in ["crate::", "super::"] {
        for (place, _) in code.match_indices(root) {
            let before = &code[..place];
            let inside = before.ends_with("::") || before.ends_with(is_of_name);
            let statement = before.rsplit([';', '}']).next().unwrap_or_default();
            let re_export = statement.contains("pub use") || statement.contains("pub(crate) use");
            if inside || re_export {
                continue;
            }
            let rest = &code[place..];
            let tree = if statement.trim_end().ends_with("use") {
                rest.split(';').next().unwrap_or_default()
            } else {
                let end = rest.find(|c: char| !is_of_name(c) && c != ':');
                &rest[..end.unwrap_or(rest.len())]
            };
            branches(&[], tree, &mut paths);
        }
    }
    paths
}

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Returns the imports that run up a floor or round a circle, as lines to read.
fn faults(sources: &Sources) -> Vec<String> {
    let mut folders = BTreeMap::new();
    for (path, source) in sources {
        let name = path
            .strip_suffix("mod.rs")
            .or_else(|| path.strip_suffix("lib.rs"));
        if let Some(name) = name {
            let name: Vec<_> = name.split_terminator('/').map(str::to_owned).collect();
            folders.insert(name, folder(source));
        }
    }
    let mut faults = Vec::new();
    for (path, source) in sources {
        // A file of tests may use whatever it tests.
        if path == "lib.rs" || path.ends_with("tests.rs") {
            continue;
        }
        let module: Vec<_> = path
            .trim_end_matches(".rs")
            .split('/')
            .map(str::to_owned)
            .collect();
        let module = match module.split_last() {
            Some((last, parents)) if last == "mod" => parents.to_vec(),
            _ => module,
        };
        for used in paths(&without_tests(&code(source))) {
            let mut target = Vec::new();
            for (place, name) in used.iter().enumerate() {
                match name.as_str() {
                    "crate" => {}
                    "super" if place == 0 => target = module[..module.len() - 1].to_vec(),
                    "super" => drop(target.pop()),
                    _ => target.push(name.clone()),
                }
            }
            let common = module
                .iter()
                .zip(&target)
                .take_while(|(a, b)| a == b)
                .count();
            let (Some(here), Some(there)) = (module.get(common), target.get(common)) else {
                continue;
            };
            let Some(folder) = folders.get(&module[..common]) else {
                continue;
            };
            let floor = |name| folder.floors.iter().position(|floor| floor == name);
            let machine = |names: &BTreeSet<_>| names.contains(here) && names.contains(there);
            if floor(there) > floor(here) && !folder.machines.iter().any(machine) {
                faults.push(format!("{path} uses {}, a floor above", target.join("::")));
            }
        }
    }
    faults
}

fn read(root: &Path, prefix: &str, sources: &mut Sources) {
    for entry in fs::read_dir(root.join(prefix)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        if entry.file_type().unwrap().is_dir() {
            read(root, &format!("{path}/"), sources);
        } else if name.ends_with(".rs") {
            sources.insert(path, fs::read_to_string(entry.path()).unwrap());
        }
    }
}

#[test]
fn imports_of_the_crate_go_down_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src");
    let mut sources = Sources::new();
    read(&root, "", &mut sources);
    assert!(sources.len() > 30, "the sources are found");
    let faults = faults(&sources);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The faults of a crate of two floors, and of a folder with two files.
fn faults_of(files: &[(&str, &str)]) -> Vec<String> {
    let mut sources: Sources = [
        ("lib.rs", "mod low;\npub mod high;\n"),
        ("low.rs", ""),
        ("high/mod.rs", "mod a;\nmod b;\npub use b::B;\n"),
        ("high/a.rs", ""),
        ("high/b.rs", ""),
    ]
    .map(|(path, source)| (path.to_owned(), source.to_owned()))
    .into();
    for (path, source) in files {
        sources.insert((*path).to_owned(), (*source).to_owned());
    }
    faults(&sources)
}

#[test]
fn imports_from_lower_floors_are_fine() {
    let b = "use super::a::A;\nuse crate::{low::Low};\nfn f() { crate::low::f(); }";
    assert!(faults_of(&[("high/b.rs", b)]).is_empty());
}

#[test]
fn an_import_from_a_floor_above_is_caught() {
    for low in [
        "use crate::high::B;",
        "use crate::{\n    high::{B, C},\n};",
        "use super::high;",
        "fn f() { crate::high::f(); }",
        "#[cfg(test)]\nmod tests { fn f() {} }\nfn f(b: &crate::high::B) {}",
    ] {
        let faults = faults_of(&[("low.rs", low)]);
        assert!(!faults.is_empty(), "{low}");
    }
}

#[test]
fn a_circle_is_caught_unless_its_files_are_one_machine() {
    let circle = [
        ("high/a.rs", "use super::b::B;"),
        ("high/b.rs", "use super::a::A;"),
    ];
    assert_eq!(
        faults_of(&circle),
        ["high/a.rs uses high::b::B, a floor above"]
    );
    let [a, b] = circle;
    let machine = ("high/mod.rs", "// One machine: a, b.\nmod a;\nmod b;\n");
    assert!(faults_of(&[a, b, machine]).is_empty());
}

#[test]
fn documentation_tests_and_re_exports_are_no_imports() {
    let low = "/// [`B`](crate::high::B)\npub(crate) use crate::high::B;\n\
               const TEXT: &str = \"crate::high\";\n\
               #[cfg(test)]\nmod tests { use crate::high::B; }\n";
    assert_eq!(faults_of(&[("low.rs", low)]), [""; 0]);
}
