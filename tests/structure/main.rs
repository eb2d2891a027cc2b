//! The structure of src/: floors without an arrow upward, no circles, folders that can be seen at a glance.
//!
//! Every path is resolved to the file that defines its name, through re-exports and globs. Code under `cfg(test)` does not count.
//! A method call names no file, so this does not see it. `cargo test --test structure` prints each finding as one line.

#![expect(clippy::unwrap_used, reason = "a test fails there")]

mod arrows;
mod checker;
mod floors;
mod modules;
mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use arrows::Arrow;
use floors::Floors;
use modules::{Crate, Sources};

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn source_folder() -> PathBuf {
    project().join("src")
}

fn sources() -> Sources {
    modules::read_sources(&source_folder())
}

fn parsed() -> (Crate, Vec<Arrow>) {
    let tree = Crate::new("cxsink", &sources());
    let arrows = arrows::arrows(&tree);
    assert!(tree.files.len() > 100 && arrows.len() > 300, "these cannot be all files and arrows of src/");
    (tree, arrows)
}

fn floors() -> Floors {
    let document = fs::read_to_string(project().join("ARCHITECTURE.md")).unwrap();
    Floors::in_document(&document).unwrap_or_else(|error| panic!("ARCHITECTURE.md: {error}"))
}

fn assert_none(faults: &[String], rule: &str) {
    assert!(faults.is_empty(), "{rule}; found {}:\n  {}\n", faults.len(), faults.join("\n  "));
}

#[test]
fn no_files_need_each_other_in_a_circle() {
    let (tree, arrows) = parsed();
    assert_none(&rules::circles(&tree, &arrows), "no file needs itself by way of others");
}

#[test]
fn arrows_only_go_down() {
    let (tree, arrows) = parsed();
    assert_none(&floors().upward(&tree, &arrows), "a file names what is on its own floor or below");
}

#[test]
fn every_module_stands_on_a_floor() {
    let (tree, _) = parsed();
    assert_none(&floors().unplaced(&tree), "ARCHITECTURE.md lists each module of src/, and no other");
}

#[test]
fn modules_of_one_floor_do_not_need_each_other() {
    let (tree, arrows) = parsed();
    assert_none(&floors().knots(&tree, &arrows), "no module needs itself by way of others of its floor");
}

#[test]
fn adapters_are_named_in_one_file() {
    let (tree, arrows) = parsed();
    assert_none(&floors().named_elsewhere(&tree, &arrows), "one file names the concrete adapters");
}

#[test]
fn facades_hold_declarations_only() {
    let (tree, _) = parsed();
    assert_none(&rules::facades(&tree), "lib.rs and mod.rs hold docs, mod, use and the traits of ports");
}

#[test]
fn every_file_is_part_of_the_crate() {
    let (tree, _) = parsed();
    assert_none(&rules::orphans(&tree, &sources()), "a mod leads to each file");
}

#[test]
fn a_folder_can_be_seen_at_a_glance() {
    assert_none(&rules::crowded(&source_folder()), "a folder of src/ holds few entries");
}
