//! Layers: an arrow between modules only goes down, so each layer can be read and tested without those above it.
//!
//! Reads the `crate::` paths in src/, those in `use` and those in code, and compares them with the table below. A
//! path through a name that lib.rs re-exports counts as one to the module that has it. Paths within one layer are
//! fine. What this cannot see: a path with `super::` out of a module's own folder.

#![expect(clippy::unwrap_used, reason = "a test fails there")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The layers, from the ground up. `module::*` are the files in a module's folder where these are not of its layer:
/// a port is below the adapters that it has in its folder.
const LAYERS: [(&str, &[&str]); 7] = [
    ("ground", &["backoff", "clock", "error", "lock", "log_scope", "stop_signal"]),
    // A dead letter is data, and so is what the sink's threads tell each other; who keeps them is above.
    ("data", &["check", "config", "connection", "dead_letter", "event", "notice", "stats", "status"]),
    ("ports and core", &["batch", "destination", "lanes", "mapping", "schema", "source", "spool", "tls"]),
    ("adapters", &["destination::*", "simulator", "source::*"]),
    ("loops", &["ledger", "pipeline", "preparer", "reader", "reconcile", "replayer", "writer"]),
    ("wiring", &["check::*", "sink"]),
    ("edges", &["bench", "cli", "main"]),
];

/// The modules of the crate: which layer each is in, and which module has a name that lib.rs re-exports.
struct Map {
    layers: BTreeMap<&'static str, usize>,
    exports: BTreeMap<String, String>,
}

impl Map {
    fn new(lib: &str) -> Self {
        let layers = LAYERS.iter().enumerate();
        let layers = layers.flat_map(|(layer, (_, modules))| modules.iter().map(move |module| (*module, layer)));
        let exports = trees_after(&code_of(lib), "pub use ").into_iter();
        let exports = exports.filter_map(|path| Some((path.last()?.clone(), path.first()?.clone())));
        Self { layers: layers.collect(), exports: exports.collect() }
    }

    /// The layer that a path (without `crate`) leads to; `None` for what is in no layer.
    fn layer(&self, path: &[String]) -> Option<usize> {
        let first = path.first()?.as_str();
        let first = self.exports.get(first).map_or(first, String::as_str);
        // A module is written small: `source::websocket` is an adapter, `source::Source` the port.
        let within = path.get(1).is_some_and(|second| second.starts_with(|c: char| c.is_ascii_lowercase()));
        let below = format!("{first}::*");
        let own = self.layers.get(first).copied();
        if within { self.layers.get(below.as_str()).copied().or(own) } else { own }
    }

    /// What is wrong with the file of this module.
    fn faults(&self, module: &[String], text: &str) -> Vec<String> {
        let name = module.join("::");
        let Some(own) = self.layer(module) else {
            return vec![format!("{name}: in no layer yet; put it into one, in the table of this test")];
        };
        let code = code_of(text);
        let mut paths = trees_after(&code, "crate::");
        // In the file of a port, `use websocket::…` is the module below it as well.
        let below = trees_after(&code, "use ").into_iter().chain(trees_after(&code, "self::"));
        let is_child = |first: &String| code.contains(&format!("mod {first};"));
        paths.extend(below.filter(|path| path.first().is_some_and(is_child)).map(|path| [module, &path].concat()));

        let fault = |path: &Vec<String>| match self.layer(path) {
            None => Some(format!("{name}: crate::{} is in no layer", path.join("::"))),
            Some(other) if other > own => {
                let (upper, lower) = (LAYERS[other].0, LAYERS[own].0);
                Some(format!("{name} ({lower}): crate::{} is above it ({upper})", path.join("::")))
            }
            Some(_) => None,
        };
        paths.iter().filter_map(fault).collect()
    }
}

/// The text without comments and literals, in which a path is not a path.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = literal_or_comment(rest);
        if skipped == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.push(' ');
            rest = &rest[skipped..];
        }
    }
    code
}

/// The length of the literal or comment that the text begins with, else 0.
fn literal_or_comment(text: &str) -> usize {
    let until = |end: &str, from: usize| text[from..].find(end).map_or(text.len(), |at| from + at + end.len());
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return until("*/", 2);
    }
    if text.starts_with("r\"") || text.starts_with("r#") {
        let hashes = text[1..].chars().take_while(|c| *c == '#').count();
        // `r#type` is a name.
        if text[1 + hashes..].starts_with('"') {
            return until(&format!("\"{}", "#".repeat(hashes)), 2 + hashes);
        }
        return 0;
    }
    if text.starts_with('"') {
        return until_unescaped('"', text);
    }
    // A quote that is closed after one character, or an escaped one, is a character; others begin a lifetime.
    if text.starts_with("'\\") || text.starts_with('\'') && text.chars().nth(2) == Some('\'') {
        return until_unescaped('\'', text);
    }
    0
}

fn until_unescaped(quote: char, text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// The paths that follow each occurrence of a prefix, with groups (`{a, b::c}`) taken apart.
fn trees_after(code: &str, prefix: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let goes_on = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
        if !goes_on {
            read_tree(&code[at + prefix.len()..], &[], &mut paths);
        }
    }
    paths
}

/// Reads one tree of paths and returns what follows it.
fn read_tree<'a>(code: &'a str, before: &[String], paths: &mut Vec<Vec<String>>) -> &'a str {
    let code = code.trim_start();
    if let Some(mut inner) = code.strip_prefix('{') {
        loop {
            inner = inner.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
            if inner.is_empty() {
                return inner;
            }
            if let Some(rest) = inner.strip_prefix('}') {
                return rest;
            }
            inner = read_tree(inner, before, paths);
            // The rest of the item: ` as name`.
            inner = inner.trim_start_matches(|c: char| c != ',' && c != '}');
        }
    }
    let end = code.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(code.len());
    let (segment, rest) = code.split_at(end);
    let mut path = before.to_vec();
    // `self` in a group is the path before it, as is what `*` stands for.
    if !segment.is_empty() && segment != "self" {
        path.push(segment.to_owned());
    }
    if let Some(rest) = rest.strip_prefix("::").filter(|_| !segment.is_empty()) {
        return read_tree(rest, &path, paths);
    }
    if !path.is_empty() {
        paths.push(path);
    }
    rest.strip_prefix('*').unwrap_or(rest)
}

fn source_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.extension().is_some_and(|extension| extension == "rs") {
            true => vec![path],
            false if path.is_dir() => source_files(&path),
            false => vec![],
        })
        .collect()
}

/// `src/source/websocket.rs` is the module `source::websocket`; `src/cli/mod.rs` is `cli`.
fn module_of(file: &Path) -> Vec<String> {
    let stem = file.with_extension("");
    let parts = stem.iter().map(|part| part.to_string_lossy().into_owned());
    parts.filter(|part| part != "mod").collect()
}

#[test]
fn no_module_names_one_above_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let map = Map::new(&fs::read_to_string(src.join("lib.rs")).unwrap());
    let mut files: Vec<_> =
        source_files(&src).into_iter().map(|path| path.strip_prefix(&src).unwrap().to_owned()).collect();
    // lib.rs is the façade: it has every module, and none names it but through what it re-exports.
    files.retain(|file| file != Path::new("lib.rs"));
    files.sort();
    assert!(files.len() > 10, "these cannot be all files of {}: {files:?}", src.display());

    let faults =
        files.iter().flat_map(|file| map.faults(&module_of(file), &fs::read_to_string(src.join(file)).unwrap()));
    let faults: Vec<_> = faults.collect();
    assert!(faults.is_empty(), "a module may only name modules of its own layer and below:\n  {}", faults.join("\n  "));
}

/// The test above passes on a good tree; this shows that it sees a bad one.
#[test]
fn an_arrow_that_goes_up_is_seen() {
    let map = Map::new("pub use error::{Error, Result};\npub use sink::{Sink, validate as check};\nmod error;");
    let check = |file: &str, text: &str, faults: usize| {
        let found = map.faults(&module_of(Path::new(file)), text);
        assert_eq!(found.len(), faults, "{file}: {text}: {found:?}");
    };
    check("reader.rs", "use crate::source::Source;", 0);
    check("reader.rs", "use crate::source::websocket::Websocket;", 0);
    check("reader.rs", "use crate::sink::Sink;", 1);
    check("reader.rs", "use crate::{lock, sink::{self, Sink}, writer::*};", 2);
    check("reader.rs", "use crate::{\n    lock,\n    error as e,\n    sink,\n};", 1);
    check("source.rs", "use crate::source::websocket::Websocket;", 1);
    check("source.rs", "mod websocket;\npub use websocket::Websocket;", 1);
    check("source.rs", "mod websocket;\nfn f() { self::websocket::f() }", 1);
    check("source/websocket.rs", "use crate::source::Source;", 0);
    check("source/websocket.rs", "use crate::writer::Writer;", 1);
    check("mapping/plan.rs", "use crate::mapping::Plan; use crate::config::UpdateMode;", 0);
    check("error.rs", "fn f(config: &crate::config::Config) {}", 1);
    check("error.rs", "fn f() -> crate::Result<()> { crate::sink::f::<u8>() }", 1);
    check("error.rs", "fn f(sink: &crate::Sink) {}", 1);
    check(
        "error.rs",
        "// crate::sink\n/* crate::sink */ /// [`crate::Sink`]\nconst A: &str = \"crate::sink \\\" crate::sink\";",
        0,
    );
    check(
        "error.rs",
        "const A: &str = r#\"crate::sink\"#; const B: char = '\"'; fn f<'a>(s: &'a crate::sink::S) {}",
        1,
    );
    check("error.rs", "macro_rules! m { () => { $crate::sink } } use other_crate::sink;", 0);
    check("error.rs", "use crate::nowhere::Nothing;", 1);
    check("nowhere.rs", "", 1);
    check("cli/run.rs", "use crate::cli::output; use cxsink::Sink;", 0);
}
