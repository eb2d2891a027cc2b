//! The rules pass on a good tree; these tests show that they see a bad one.

use std::fs;

use crate::arrows::{arrows, circles};
use crate::floors::Floors;
use crate::modules::{Crate, Sources};
use crate::rules;

const LIST: &str = "text\n```floors\napp\nport parts\nground\n\nin parts: * > low\n\nadapters: port::file port::net\nnamed by: app::adapters\n```\n";

fn sources(files: &[(&str, &str)]) -> Sources {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn tree(files: &[(&str, &str)]) -> Crate {
    Crate::new("made_up", &sources(files))
}

/// The arrows as `from -> to`, sorted.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let tree = tree(files);
    let name = |file: usize| tree.files[file].name.as_str();
    let mut found: Vec<_> =
        arrows(&tree).iter().map(|arrow| format!("{} -> {}", name(arrow.from), name(arrow.to))).collect();
    found.sort();
    found.dedup();
    found
}

/// Two modules `a` and `b`, where `b` defines a few names; whether the text of `a` has an arrow to it.
fn names_b(text: &str) -> bool {
    let b = "pub struct Thing; pub fn act() {} pub mod inner { pub const SIZE: u8 = 1; } #[macro_export] macro_rules! tell { () => {} }";
    let found = found(&[("lib.rs", "mod a; mod b; pub use b::Thing;"), ("a.rs", text), ("b.rs", b)]);
    assert!(found.iter().all(|arrow| matches!(arrow.as_str(), "a.rs -> b.rs" | "lib.rs -> b.rs")), "{found:?}");
    found.contains(&"a.rs -> b.rs".to_owned())
}

#[test]
fn a_path_is_seen_wherever_it_stands() {
    for text in [
        "use crate::b::Thing;",
        "use super::b::{self, Thing as Other};",
        "use crate::b; fn f() { b::act(); }",
        "use crate::b as other; fn f() { other::act(); }",
        "use crate::b::*; fn f() { act(); }",
        "use crate::*; fn f(_: Thing) {}",
        "fn f() -> crate::Thing { todo!() }",
        "fn f(_: Vec<super::b::Thing>) {}",
        "fn f() { use crate::b; b::act(); }",
        "fn f() { println!(\"{}\", crate::b::inner::SIZE); }",
        "use crate::b; fn f() { assert!(vec![1].iter().all(|_| { b::act(); true })); }",
        "macro_rules! m { () => { $crate::b::act() } }",
        "fn f(x: u8) { match x { crate::b::inner::SIZE => {} _ => {} } }",
        "mod deep { use super::super::b::Thing; }",
        "mod deep { use super::Thing; } use crate::b::Thing;",
        "impl crate::Thing { fn f() {} }",
        "fn f() { made_up::Thing; }",
        "struct S { #[serde(with = \"crate::b::inner\", default = \"crate::b::act\")] x: u8 }",
        "#[cfg(any(test, feature = \"x\"))] use crate::b::Thing;",
        "#[cfg(not(test))] use crate::b::Thing;",
        "fn f() -> T { T { x: 1, ..crate::b::act() } }",
        "fn f() { m!(T { x: 1, ..crate::b::act() }); }",
    ] {
        assert!(names_b(text), "not seen: {text}");
    }
}

#[test]
fn texts_without_a_path_to_a_file_make_no_arrow() {
    for text in [
        "// crate::b::Thing\n/// [`crate::b::Thing`]\nconst A: &str = \"crate::b::Thing\";",
        "#[cfg(test)] use crate::b::Thing;",
        "#[cfg(all(test, unix))] mod tests { use crate::b::Thing; }",
        "fn f() { #[cfg(test)] crate::b::act!(); }",
        "impl T { #[cfg(test)] fn f() { crate::b::act(); } }",
        "use ::b::Thing;",
        "use other::b::Thing;",
        "pub(in crate::b) struct S;",
        "use crate::b;",
        "fn f(act: u8) { println!(\"{act}\", act = act); x.act(); }",
        "struct Thing; fn f(_: Thing) {}",
    ] {
        assert!(!names_b(text), "seen: {text}");
    }
}

#[test]
fn an_arrow_leads_to_the_file_that_defines_the_name() {
    let files = [
        ("lib.rs", "mod a; mod b; pub use b::Thing;"),
        ("a.rs", "use crate::b::{Thing, thing}; fn f() { crate::Thing; }"),
        ("b/mod.rs", "mod c; pub mod thing; pub use self::c::*; pub use thing::thing;"),
        ("b/c.rs", "pub use super::thing::Thing;"),
        ("b/thing.rs", "pub struct Thing; pub fn thing() {}"),
    ];
    assert_eq!(found(&files), ["a.rs -> b/thing.rs", "b/c.rs -> b/thing.rs"]);
}

#[test]
fn names_that_import_each_other_end() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub use crate::b::*;"),
        ("b.rs", "pub use crate::a::*; fn f() { x::y(); }"),
    ];
    assert!(found(&files).is_empty());
}

#[test]
fn a_macro_in_scope_by_the_order_of_the_text_is_an_arrow() {
    let files = [
        ("lib.rs", "#[macro_use] mod words; mod a;"),
        ("words.rs", "macro_rules! say { () => {} }"),
        ("a.rs", "fn f() { say!(); }"),
    ];
    assert_eq!(found(&files), ["a.rs -> words.rs"]);
}

#[test]
fn tests_in_files_of_their_own_do_not_count() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "#[cfg(test)] mod tests;"),
        ("a/tests.rs", "mod more; use crate::b::B;"),
        ("a/tests/more.rs", "use crate::b::B;"),
        ("b.rs", "pub struct B; use crate::a;"),
    ];
    assert!(found(&files).is_empty());
    assert_eq!(rules::orphans(&tree(&files), &sources(&files)), Vec::<String>::new());
}

#[test]
fn a_circle_is_seen_with_its_names() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "pub struct A; use crate::b::B;"),
        ("b.rs", "pub struct B; use crate::c::C;"),
        ("c.rs", "pub struct C; fn f(_: &super::a::A) {}"),
    ];
    let tree = tree(&files);
    let expected = "a.rs -> b.rs -> c.rs -> a.rs (B; C; A)";
    assert_eq!(rules::circles(&tree, &arrows(&tree)), [expected]);
}

#[test]
fn every_circle_is_found_and_no_other() {
    assert_eq!(circles([(1, 2), (2, 3), (1, 3)]), Vec::<Vec<u8>>::new());
    assert_eq!(circles([(1, 2), (2, 1), (2, 3), (3, 4), (4, 2)]), [vec![1, 2], vec![2, 3, 4]]);
}

#[test]
fn a_facade_passes_names_on_without_an_arrow() {
    let files = [
        ("lib.rs", "mod port;"),
        ("port/mod.rs", "mod file; pub use file::File; pub trait Port {}"),
        ("port/file.rs", "pub struct File; impl super::Port for File {}"),
    ];
    let tree = tree(&files);
    assert_eq!(rules::circles(&tree, &arrows(&tree)), Vec::<String>::new());
    assert_eq!(rules::facades(&tree), Vec::<String>::new());
}

fn check_floors(files: &[(&str, &str)], rule: fn(&Floors, &Crate) -> Vec<String>, expected: &[&str]) {
    let root = [("lib.rs", "mod app; mod port; mod parts; mod ground;")];
    let given =
        |name: &str| files.iter().any(|(file, _)| file.trim_end_matches("/mod.rs").trim_end_matches(".rs") == name);
    let empty = ["app", "port", "parts", "ground"].into_iter().filter(|name| !given(name));
    let empty: Vec<String> = empty.map(|name| format!("{name}.rs")).collect();
    let empty = empty.iter().map(|name| (name.as_str(), ""));
    let files: Vec<_> = root.into_iter().chain(files.iter().copied()).chain(empty).collect();
    assert_eq!(rule(&Floors::in_document(LIST).unwrap(), &tree(&files)), expected);
}

#[test]
fn an_arrow_that_goes_up_is_seen() {
    let upward = |floors: &Floors, tree: &Crate| floors.upward(tree, &arrows(tree));
    let app = ("app.rs", "pub struct App; use crate::ground::Ground;");
    check_floors(&[app, ("ground.rs", "pub struct Ground;")], upward, &[]);
    check_floors(
        &[app, ("ground.rs", "pub struct Ground; use crate::app::App;")],
        upward,
        &["ground.rs -> app.rs: from ground up to app (App)"],
    );
    check_floors(
        &[
            ("parts/mod.rs", "mod low; mod high;"),
            ("parts/low.rs", "use super::high::f;"),
            ("parts/high.rs", "pub fn f() {}"),
        ],
        upward,
        &["parts/low.rs -> parts/high.rs: in parts up to * (f)"],
    );
}

#[test]
fn a_knot_of_one_floor_is_seen() {
    let knots = |floors: &Floors, tree: &Crate| floors.knots(tree, &arrows(tree));
    let parts = ("parts/mod.rs", "mod one; mod two;");
    let one = ("parts/one.rs", "pub struct One; use crate::port::file::File;");
    let port = ("port/mod.rs", "pub mod file; pub mod net;");
    let file = ("port/file.rs", "pub struct File;");
    let two = ("parts/two.rs", "pub struct Two;");
    check_floors(&[parts, one, two, port, file, ("port/net.rs", "")], knots, &[]);
    check_floors(
        &[parts, one, two, port, file, ("port/net.rs", "use crate::parts::two::Two;")],
        knots,
        &["parts -> port -> parts (parts/one.rs names File; port/net.rs names Two)"],
    );
}

#[test]
fn an_adapter_that_is_named_in_a_second_file_is_seen() {
    let elsewhere = |floors: &Floors, tree: &Crate| floors.named_elsewhere(tree, &arrows(tree));
    let app = ("app/mod.rs", "mod adapters; mod run;");
    let adapters = ("app/adapters.rs", "pub use crate::port::file::File;");
    let port = ("port/mod.rs", "pub mod file;");
    let file = ("port/file.rs", "pub struct File;");
    check_floors(&[app, adapters, ("app/run.rs", "use super::adapters::File;"), port, file], elsewhere, &[]);
    check_floors(
        &[app, adapters, ("app/run.rs", "fn f() { crate::port::file::File::open(); }"), port, file],
        elsewhere,
        &["app/run.rs -> port/file.rs: only app::adapters names adapters (File)"],
    );
}

#[test]
fn a_module_without_a_floor_and_a_floor_without_a_module_are_seen() {
    let tree = tree(&[("lib.rs", "mod app; mod port; mod extra;"), ("app.rs", ""), ("port.rs", ""), ("extra.rs", "")]);
    let expected = [
        "app::adapters: is no module",
        "extra: stands on no floor",
        "ground: has a floor and is no module",
        "parts: has a floor and is no module",
        "parts::low: is no module",
        "port::file: is no module",
        "port::net: is no module",
    ];
    assert_eq!(Floors::in_document(LIST).unwrap().unplaced(&tree), expected);
}

#[test]
fn a_list_that_cannot_be_read_is_an_error() {
    assert!(Floors::in_document("no list").is_err());
    assert!(Floors::in_document("```floors\na\n").is_err());
    assert!(Floors::in_document("```floors\na, b\n```").is_err());
    assert!(Floors::in_document("```floors\nin a b\n```").is_err());
}

#[test]
fn code_in_a_facade_is_seen() {
    let files = [
        ("lib.rs", "//! Docs.\nmod a; mod b; pub use a::A; #[cfg(doctest)] struct Readme;"),
        ("a/mod.rs", "mod c; use c::C; pub trait Port {} trait Private {} pub struct A; impl A {} fn f() {}"),
        ("a/c.rs", "pub struct C;"),
        ("b.rs", "mod d; #[cfg(test)] mod tests;"),
        ("b/d.rs", "#[cfg(test)] mod tests;"),
        ("b/d/tests.rs", ""),
        ("b/tests.rs", ""),
    ];
    let expected = [
        "a/mod.rs: holds code, whose place is a file of its own: private trait Private, struct A, impl, fn f",
        "b.rs: has modules below it; their place is b/mod.rs",
    ];
    assert_eq!(rules::facades(&tree(&files)), expected);
}

#[test]
fn a_file_that_no_mod_leads_to_is_seen() {
    let files = [("lib.rs", "mod a;"), ("a.rs", ""), ("a/left.rs", "")];
    assert_eq!(rules::orphans(&tree(&files), &sources(&files)), ["a/left.rs: no mod leads to it"]);
}

#[test]
fn a_crowded_folder_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    for number in 0..rules::ENTRIES_MAX {
        fs::write(inner.join(number.to_string()), "").unwrap();
    }
    assert_eq!(rules::crowded(folder.path()), Vec::<String>::new());
    fs::write(inner.join("more"), "").unwrap();
    assert_eq!(rules::crowded(folder.path()), [format!("{}: 21 entries, more than 20", inner.display())]);
}
