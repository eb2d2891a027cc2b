//! Rules that need no list: circles among files, what a facade holds, how much a folder holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::{Item, Visibility};

use crate::arrows::{self, Arrow};
use crate::modules::{Crate, FileId, Sources, attributes, is_test_only};

/// More than this is not seen at a glance.
pub(crate) const ENTRIES_MAX: usize = 20;

/// Files that need each other, each circle as one line with the names that make it.
pub(crate) fn circles(tree: &Crate, arrows: &[Arrow]) -> Vec<String> {
    let mut names: BTreeMap<(FileId, FileId), BTreeSet<&str>> = BTreeMap::new();
    for arrow in arrows {
        names.entry((arrow.from, arrow.to)).or_default().insert(&arrow.name);
    }
    let print = |circle: Vec<FileId>| {
        let closed: Vec<FileId> = circle.iter().chain(circle.first()).copied().collect();
        let files: Vec<&str> = closed.iter().map(|file| tree.files[*file].name.as_str()).collect();
        let names: Vec<String> = closed.windows(2).map(|pair| joined(&names[&(pair[0], pair[1])])).collect();
        format!("{} ({})", files.join(" -> "), names.join("; "))
    };
    arrows::circles(names.keys().copied()).into_iter().map(print).collect()
}

fn joined(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}

/// Files named `lib.rs` or `mod.rs` with more than docs, `mod`, `use` and a port's traits; other files with modules below them.
pub(crate) fn facades(tree: &Crate) -> Vec<String> {
    let mut faults = Vec::new();
    for (id, file) in tree.code_files() {
        if file.is_facade() {
            let items = file.syntax.items.iter().filter(|item| !is_test_only(attributes(item)));
            let described: Vec<String> = items.filter_map(described).collect();
            if !described.is_empty() {
                faults.push(format!(
                    "{}: holds code, whose place is a file of its own: {}",
                    file.name,
                    described.join(", ")
                ));
            }
        } else if !file.is_root() {
            let is_below = |other: FileId| other != id && tree.module_of(other).starts_with(tree.module_of(id));
            if tree.code_files().any(|(other, _)| is_below(other)) {
                let facade = format!("{}/mod.rs", file.name.trim_end_matches(".rs"));
                faults.push(format!("{}: has modules below it; their place is {facade}", file.name));
            }
        }
    }
    faults
}

/// An item that is no part of a facade.
fn described(item: &Item) -> Option<String> {
    match item {
        Item::Use(_) => None,
        Item::Mod(item) if item.content.is_none() => None,
        Item::Trait(item) if !matches!(item.vis, Visibility::Inherited) => None,
        Item::Const(item) => Some(format!("const {}", item.ident)),
        Item::Enum(item) => Some(format!("enum {}", item.ident)),
        Item::Fn(item) => Some(format!("fn {}", item.sig.ident)),
        Item::Macro(item) => {
            Some(format!("macro {}", item.ident.as_ref().map_or_else(String::new, ToString::to_string)))
        }
        Item::Mod(item) => Some(format!("code of mod {}", item.ident)),
        Item::Static(item) => Some(format!("static {}", item.ident)),
        Item::Struct(item) => Some(format!("struct {}", item.ident)),
        Item::Trait(item) => Some(format!("private trait {}", item.ident)),
        Item::Type(item) => Some(format!("type {}", item.ident)),
        Item::Impl(_) => Some("impl".to_owned()),
        _ => Some("an item".to_owned()),
    }
}

/// Files that no `mod` leads to.
pub(crate) fn orphans(tree: &Crate, sources: &Sources) -> Vec<String> {
    let known: BTreeSet<&str> = tree.files.iter().map(|file| file.name.as_str()).collect();
    let orphans = sources.keys().filter(|name| !known.contains(name.as_str()));
    orphans.map(|name| format!("{name}: no mod leads to it")).collect()
}

/// The folder and the folders in it with more entries than [`ENTRIES_MAX`].
pub(crate) fn crowded(folder: &Path) -> Vec<String> {
    let paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let mut faults: Vec<String> = paths.iter().filter(|path| path.is_dir()).flat_map(|path| crowded(path)).collect();
    if paths.len() > ENTRIES_MAX {
        faults.push(format!("{}: {} entries, more than {ENTRIES_MAX}", folder.display(), paths.len()));
    }
    faults.sort();
    faults
}
