//! The arrows between files: each goes from a file that writes a path to the file that defines the path's name.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use syn::buffer::Cursor;
use syn::parse::ParseStream;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, ImplItem, Item, Lit, Macro, Meta, Stmt, TraitItem, Visibility};

use crate::modules::{Crate, FileId, ModuleId, Target, attributes, imports, is_reexport, is_test_only};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrow {
    pub(crate) from: FileId,
    pub(crate) to: FileId,
    /// As the file defines it: `Spool`.
    pub(crate) name: String,
    /// The files that re-export the name on the way.
    pub(crate) via: Vec<FileId>,
}

/// All arrows of a crate, without those of tests.
///
/// A facade's `pub use` is none: it passes a name on. Neither is `use` of a module: what is named in it is.
pub(crate) fn arrows(tree: &Crate) -> Vec<Arrow> {
    let mut found = BTreeSet::new();
    for (id, file) in tree.code_files() {
        let mut reader = Reader { tree, file: id, module: file.module, locals: BTreeMap::new(), found: &mut found };
        reader.visit_file(&file.syntax);
    }
    found.into_iter().collect()
}

struct Reader<'a> {
    tree: &'a Crate,
    file: FileId,
    module: ModuleId,
    /// The names that a `use` within a function binds.
    locals: BTreeMap<String, Vec<String>>,
    found: &'a mut BTreeSet<Arrow>,
}

impl Reader<'_> {
    fn add(&mut self, path: &[String]) {
        let local = path.first().and_then(|first| self.locals.get(first)).filter(|local| local[0] != path[0]);
        let full = local.map(|local| [local.as_slice(), &path[1..]].concat());
        let target = self.tree.resolve(self.module, full.as_deref().unwrap_or(path));
        if let Some(Target::Defined { file, name, via }) = target {
            self.add_to(file, via, name);
        }
    }

    fn add_to(&mut self, to: FileId, via: Vec<FileId>, name: String) {
        if to != self.file {
            self.found.insert(Arrow { from: self.file, to, name, via });
        }
    }

    /// The paths in tokens that nothing here parses: a macro's.
    fn read_tokens(&mut self, mut cursor: Cursor) {
        // After one dot comes a field or a method, after two a path again.
        let mut dots = 0;
        while !cursor.eof() {
            if let Some((inner, _, _, next)) = cursor.any_group() {
                self.read_tokens(inner);
                cursor = next;
                dots = 0;
            } else if let Some((path, next)) = path_at(cursor) {
                if dots != 1 && may_be_a_path(&path, next) {
                    self.add(&path);
                }
                if let [name] = path.as_slice()
                    && next.punct().is_some_and(|(punct, _)| punct.as_char() == '!')
                {
                    self.add_macro(name);
                }
                cursor = next;
                dots = 0;
            } else if let Some(next) = colons(cursor) {
                // `::name` is another crate's.
                cursor = path_at(next).map_or(next, |(_, next)| next);
            } else if let Some((punct, next)) = cursor.punct() {
                dots = if punct.as_char() == '.' { dots + 1 } else { 0 };
                cursor = next;
            } else {
                cursor = cursor.token_tree().map_or(cursor, |(_, next)| next);
                dots = 0;
            }
        }
    }

    fn add_macro(&mut self, name: &str) {
        if let Some(file) = self.tree.resolve_macro(self.module, name) {
            self.add_to(file, vec![], name.to_owned());
        }
    }
}

/// `a::b::<T>::c` is `a::b`: what follows a type's parameters belongs to the type.
fn path_at(cursor: Cursor) -> Option<(Vec<String>, Cursor)> {
    let (first, mut cursor) = cursor.ident()?;
    let mut path = vec![first.to_string()];
    while let Some(next) = colons(cursor) {
        let Some((segment, next)) = next.ident() else { break };
        path.push(segment.to_string());
        cursor = next;
    }
    Some((path, cursor))
}

fn colons(cursor: Cursor) -> Option<Cursor> {
    let (first, next) = cursor.punct()?;
    let (second, next) = next.punct()?;
    (first.as_char() == ':' && second.as_char() == ':').then_some(next)
}

/// In a macro a single small word is a variable or a key, unless it is called.
fn may_be_a_path(path: &[String], next: Cursor) -> bool {
    let is_called = next.any_group().is_some();
    path.len() > 1 || is_called || path[0].starts_with(|c: char| c.is_ascii_uppercase())
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_test_only(attributes(item)) {
            return;
        }
        match item {
            Item::Mod(declared) => {
                let child = self.tree.modules[self.module].children.get(&declared.ident.to_string());
                if let (Some(child), Some((_, items))) = (child, &declared.content) {
                    let outer = std::mem::replace(&mut self.module, *child);
                    for item in items {
                        self.visit_item(item);
                    }
                    self.module = outer;
                }
            }
            Item::Use(item) => {
                let passes_on = is_reexport(&item.vis) && self.tree.files[self.file].is_facade();
                if !passes_on && item.leading_colon.is_none() {
                    for import in imports(&item.tree) {
                        self.add(&import.path);
                    }
                }
            }
            item => visit::visit_item(self, item),
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        let attributes = match statement {
            Stmt::Local(local) => &local.attrs,
            Stmt::Macro(called) => &called.attrs,
            _ => &vec![],
        };
        if is_test_only(attributes) {
            return;
        }
        if let Stmt::Item(Item::Use(item)) = statement {
            for import in imports(&item.tree) {
                if let Some(name) = import.name {
                    self.locals.insert(name, import.path);
                }
            }
        }
        visit::visit_stmt(self, statement);
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            _ => &vec![],
        };
        if !is_test_only(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        let is_test = matches!(item, TraitItem::Fn(item) if is_test_only(&item.attrs));
        if !is_test {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if !is_test_only(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_field_value(&mut self, field: &'ast syn::FieldValue) {
        if !is_test_only(&field.attrs) {
            visit::visit_field_value(self, field);
        }
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        if !is_test_only(&variant.attrs) {
            visit::visit_variant(self, variant);
        }
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if !is_test_only(&arm.attrs) {
            visit::visit_arm(self, arm);
        }
    }

    /// `pub(in crate::spool)` uses nothing of that module.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    /// Comments are attributes as well. `#[serde(with = "crate::…")]` has its path in a text.
    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let texts: Vec<String> = match &attribute.meta {
            _ if attribute.path().is_ident("doc") => vec![],
            Meta::List(list) => list
                .parse_args_with(|input: ParseStream| input.step(|cursor| Ok((texts(*cursor), end(*cursor)))))
                .unwrap(),
            Meta::NameValue(value) => match &value.value {
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => vec![text.value()],
                _ => vec![],
            },
            Meta::Path(_) => vec![],
        };
        for text in texts {
            let path: Vec<String> = text.split("::").map(str::to_owned).collect();
            if path.len() > 1 && matches!(path[0].as_str(), "crate" | "self" | "super") {
                self.add(&path);
            }
        }
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.visit_path(&called.path);
        if let Some(name) = called.path.get_ident() {
            self.add_macro(&name.to_string());
        }
        let read = |input: ParseStream| {
            input.step(|cursor| {
                self.read_tokens(*cursor);
                Ok(((), end(*cursor)))
            })
        };
        called.parse_body_with(read).unwrap();
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.add(&segments);
        }
        visit::visit_path(self, path);
    }
}

fn texts(mut cursor: Cursor) -> Vec<String> {
    let mut found = Vec::new();
    while !cursor.eof() {
        if let Some((inner, _, _, next)) = cursor.any_group() {
            found.extend(texts(inner));
            cursor = next;
        } else if let Some((literal, next)) = cursor.literal() {
            if let Lit::Str(text) = Lit::new(literal) {
                found.push(text.value());
            }
            cursor = next;
        } else {
            cursor = cursor.token_tree().map_or(cursor, |(_, next)| next);
        }
    }
    found
}

fn end(mut cursor: Cursor) -> Cursor {
    while let Some((_, next)) = cursor.token_tree() {
        cursor = next;
    }
    cursor
}

/// Circles in a graph, the shortest first, no arrow in two of them. None is left when these are gone.
pub(crate) fn circles<T: Copy + Ord>(arrows: impl IntoIterator<Item = (T, T)>) -> Vec<Vec<T>> {
    let mut graph: BTreeMap<T, BTreeSet<T>> = BTreeMap::new();
    for (from, to) in arrows {
        graph.entry(from).or_default().insert(to);
    }
    let mut found = Vec::new();
    loop {
        let shortest = graph.keys().filter_map(|start| circle_through(&graph, *start)).min_by_key(Vec::len);
        let Some(circle) = shortest else { return found };
        let closed = circle.iter().zip(circle.iter().cycle().skip(1));
        for (from, to) in closed {
            graph.get_mut(from).unwrap().remove(to);
        }
        found.push(circle);
    }
}

/// The shortest way from a node back to it.
fn circle_through<T: Copy + Ord>(graph: &BTreeMap<T, BTreeSet<T>>, start: T) -> Option<Vec<T>> {
    let mut before: BTreeMap<T, T> = BTreeMap::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(node) = waiting.pop_front() {
        for next in graph.get(&node).into_iter().flatten() {
            if *next == start {
                let mut circle = vec![node];
                while let Some(earlier) = before.get(circle.last().unwrap()) {
                    circle.push(*earlier);
                }
                circle.reverse();
                return Some(circle);
            }
            if !before.contains_key(next) {
                before.insert(*next, node);
                waiting.push_back(*next);
            }
        }
    }
    None
}
