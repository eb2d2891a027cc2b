//! ARCHITECTURE.md names tests and files: each of them exists.

use std::fs;
use std::path::Path;

/// The text of every source file below `folder`.
fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path
            .extension()
            .is_some_and(|end| ["rs", "py", "c", "h", "hpp", "cpp"].iter().any(|known| end == *known))
        {
            into.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn what_architecture_md_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let mut code = String::new();
    for folder in ["src", "tests", "bindings", "benches"] {
        sources(&root.join(folder), &mut code);
    }
    let quoted = text.split('`').skip(1).step_by(2);
    let is_test = |name: &&str| {
        let words = name.split('_').count();
        words > 3 && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let tests: Vec<&str> = quoted.filter(is_test).collect();
    assert!(tests.len() > 100, "{} tests", tests.len());
    let missing: Vec<_> = tests
        .iter()
        .filter(|name| !code.contains(&format!("fn {name}(")) && !code.contains(&format!("def {name}(")))
        .collect();
    assert!(missing.is_empty(), "no test has these names: {missing:?}");

    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "_./-".contains(c)));
    let files: Vec<&str> = words
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| word.starts_with("src/") || word.starts_with("tests/"))
        .collect();
    assert!(files.len() > 20, "{} files", files.len());
    let missing: Vec<_> = files.iter().filter(|file| !root.join(file).exists()).collect();
    assert!(missing.is_empty(), "no such files: {missing:?}");
}
