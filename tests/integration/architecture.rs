//! Documents name files, tests and other documents: each of them exists, in the repository and in the package.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

const README_BYTES_MAX: usize = 9 << 10;
const ARCHITECTURE_BYTES_MAX: usize = 14 << 10;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The Markdown files of the project, by path.
fn documents() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for folder in ["", "docs", "bindings/c", "bindings/python", "examples"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "md") {
                let path = path.strip_prefix(root()).unwrap().to_path_buf();
                found.insert(path.clone(), text(path));
            }
        }
    }
    assert!(found.len() > 12, "{:?}", found.keys());
    found
}

/// The text without blocks of code.
fn prose(document: &str) -> String {
    document.split("\n```").step_by(2).collect::<Vec<_>>().join("\n")
}

/// Every source file below `folder`.
fn source_files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_source = |path: &Path| {
        path.extension().is_some_and(|end| ["rs", "py", "c", "h", "hpp", "cpp"].iter().any(|known| end == *known))
    };
    paths
        .flat_map(|path| if path.is_dir() { source_files(&path) } else { vec![path] })
        .filter(|path| is_source(path))
        .collect()
}

/// The text of every source file below `folder`.
fn sources(folder: &Path, into: &mut String) {
    for path in source_files(folder) {
        into.push_str(&fs::read_to_string(&path).unwrap());
    }
}

#[test]
fn every_test_that_a_document_names_exists() {
    let mut code = String::new();
    for folder in ["src", "tests", "bindings", "benches"] {
        sources(&root().join(folder), &mut code);
    }
    let has = |name: &str| code.contains(&format!("fn {name}(")) || code.contains(&format!("def {name}("));
    let is_name = |name: &&str| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');

    let guarantees = text("docs/guarantees.md");
    // The last column of a table: every name there is one of a test, apart from the accounting's own check.
    let cells = guarantees.lines().filter(|line| line.starts_with('|')).filter_map(|row| row.rsplit('|').nth(1));
    let tests: Vec<&str> = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter(is_name)
        .filter(|name| *name != "is_balanced")
        .collect();
    assert!(tests.len() > 150, "{} tests", tests.len());
    let missing: Vec<_> = tests.iter().filter(|name| !has(name)).collect();
    assert!(missing.is_empty(), "no test has these names: {missing:?}");

    let is_test = |name: &&str| is_name(name) && name.split('_').count() > 3;
    for (path, document) in documents() {
        let document = prose(&document);
        let missing: Vec<&str> = document
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(is_test)
            .filter(|name| !has(name) && !code.contains(name))
            .collect();
        assert!(missing.is_empty(), "{}: no test has these names: {missing:?}", path.display());
    }
}

/// The documentation of the library for Rust: kinds of errors have their Rust names.
#[test]
fn the_rust_documentation_has_no_names_of_the_c_library() {
    let mut code = String::new();
    sources(&root().join("src"), &mut code);
    let documentation = code.lines().filter(|line| line.trim_start().starts_with("///"));
    let kinds = cxsink::ErrorKind::ALL.map(|kind| format!("`{}`", kind.name()));
    let named: Vec<&str> = documentation.filter(|line| kinds.iter().any(|kind| line.contains(kind))).collect();
    // An example of a name as it is shown.
    assert!(named.iter().all(|line| line.contains("with an error")), "{named:#?}");
}

/// The library is used from four languages, and not each of them has the command.
#[test]
fn a_hint_that_names_a_command_names_the_function_too() {
    let functions = [
        ("init-db", "init_db"),
        ("dead-letters export", "mark_exported"),
        ("renew-spool", "renew_spool"),
        ("gaps", "gaps"),
    ];
    let mut named = 0;
    for path in source_files(&root().join("src")).into_iter().filter(|path| !path.starts_with(root().join("src/cli"))) {
        let code = fs::read_to_string(&path).unwrap();
        let (code, _) = code.split_once("#[cfg(test)]").unwrap_or((&code, ""));
        let code: Vec<&str> = code.lines().map(str::trim).filter(|line| !line.starts_with("//")).collect();
        // A text goes on in the next line.
        let code = code.join(" ").replace("\\ ", "");
        for text in code.split('"').filter(|text| text.contains("`cxsink ")) {
            let function = functions.iter().find(|(command, _)| text.contains(&format!("`cxsink {command}")));
            let function = function.unwrap_or_else(|| panic!("{}: no function is known for: {text}", path.display())).1;
            assert!(text.contains(function), "{}: {text} does not name {function}", path.display());
            named += 1;
        }
    }
    assert!(named >= 10, "{named}");
}

#[test]
fn every_file_that_a_document_names_exists() {
    let folders =
        ["src/", "tests/", "docs/", "deploy/", "benches/", "scripts/", "bindings/", "python/", "include/", "examples/"];
    let mut count = 0;
    let mut missing = Vec::new();
    for (path, document) in documents() {
        // A crate's own page names files as seen from its folder.
        let folder = if path.starts_with("bindings") { path.parent().unwrap() } else { Path::new("") };
        let words = document.split(|c: char| !(c.is_ascii_alphanumeric() || "_./-".contains(c)));
        for name in
            words.map(|word| word.trim_end_matches('.')).filter(|word| folders.iter().any(|f| word.starts_with(f)))
        {
            count += 1;
            if !root().join(name).exists() && !root().join(folder).join(name).exists() {
                missing.push(format!("{}: {name}", path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "no such files: {missing:#?}");
    assert!(count > 80, "{count} files");
}

/// The files in the package for the Rust registry.
fn packaged() -> BTreeSet<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["package", "--list", "--offline", "--allow-dirty", "--package", env!("CARGO_PKG_NAME")]);
    let output = cargo.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(PathBuf::from).collect()
}

/// The targets of the links in a document.
fn links(document: &str) -> Vec<String> {
    let prose = prose(document);
    let mut ends = prose.match_indices("](");
    let targets: Vec<String> =
        ends.by_ref().map(|(at, _)| prose[at + 2..].split(')').next().unwrap().to_owned()).collect();
    assert!(!prose.lines().any(|line| line.starts_with('[') && line.contains("]: ")), "links have their target inline");
    targets
}

/// The anchor of each heading, as the usual renderers make them.
fn anchors(document: &str) -> BTreeSet<String> {
    let headings = document
        .lines()
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
    let anchor = |heading: &str| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    };
    headings.map(anchor).collect()
}

/// The path with `..` resolved.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            assert!(normal.pop(), "{} leaves the project", path.display());
        } else {
            normal.push(part);
        }
    }
    normal
}

#[test]
fn every_link_of_a_document_works_in_the_repository_and_in_the_package() {
    let documents = documents();
    let packaged = packaged();
    assert!(
        packaged.contains(Path::new("README.md")) && packaged.contains(Path::new("docs/guarantees.md")),
        "{packaged:?}"
    );
    let mut count = 0;
    for (path, document) in &documents {
        for link in links(document) {
            count += 1;
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { path.clone() } else { normal(&path.parent().unwrap().join(file)) };
            let place = format!("{}: {link}", path.display());
            assert!(root().join(&target).exists(), "{place}: no such file");
            assert!(!packaged.contains(path) || packaged.contains(&target), "{place}: not in the package");
            if !anchor.is_empty() {
                assert!(anchors(&documents[&target]).contains(anchor), "{place}: no such heading");
            }
        }
    }
    assert!(count > 25, "{count} links");
}

#[test]
fn the_first_documents_are_short() {
    let sizes = [("README.md", README_BYTES_MAX), ("ARCHITECTURE.md", ARCHITECTURE_BYTES_MAX)];
    for (path, bytes_max) in sizes {
        let bytes = text(path).len();
        assert!(bytes <= bytes_max, "{path} has {bytes} bytes, more than {bytes_max}");
    }
}
