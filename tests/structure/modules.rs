//! The modules of a crate and the names in them, read from its source files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Item, ItemMod, Lit, Meta, Token, UseTree, Visibility};

/// The files of a source folder: path in that folder (`spool/read.rs`) and text.
pub(crate) type Sources = BTreeMap<String, String>;

pub(crate) type FileId = usize;
pub(crate) type ModuleId = usize;

/// Reads every Rust file of a folder.
pub(crate) fn read_sources(folder: &Path) -> Sources {
    fn visit(folder: &Path, root: &Path, sources: &mut Sources) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, root, sources);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                sources.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut sources = Sources::new();
    visit(folder, folder, &mut sources);
    sources
}

pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) syntax: Rc<syn::File>,
    pub(crate) module: ModuleId,
    /// Declared under `cfg(test)`, or below such a file.
    pub(crate) is_test: bool,
}

impl File {
    /// `lib.rs` and `main.rs`: they stand above all modules.
    pub(crate) fn is_root(&self) -> bool {
        matches!(self.name.as_str(), "lib.rs" | "main.rs")
    }

    pub(crate) fn is_facade(&self) -> bool {
        self.name == "lib.rs" || self.name == "mod.rs" || self.name.ends_with("/mod.rs")
    }
}

/// A module: a file, or a `mod name { … }` within one.
#[derive(Debug)]
pub(crate) struct Module {
    /// From the root of its crate: `["spool", "read"]`.
    pub(crate) path: Vec<String>,
    pub(crate) file: FileId,
    pub(crate) parent: Option<ModuleId>,
    pub(crate) children: BTreeMap<String, ModuleId>,
    /// The names defined or imported here, modules excepted.
    names: BTreeMap<String, Vec<Binding>>,
    globs: Vec<Vec<String>>,
    /// Macros in scope by the order of the text, with the file that defines each.
    macros: BTreeMap<String, FileId>,
}

#[derive(Clone, Debug)]
enum Binding {
    Defined,
    Imported(Vec<String>),
}

/// The end of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Module(ModuleId),
    /// The file that defines the name, the name there, and the files whose `use` led to it.
    Defined {
        file: FileId,
        name: String,
        via: Vec<FileId>,
    },
}

/// All modules below `lib.rs` and `main.rs`.
#[derive(Default)]
pub(crate) struct Crate {
    pub(crate) files: Vec<File>,
    pub(crate) modules: Vec<Module>,
    name: String,
}

impl Crate {
    /// Reads the modules from `lib.rs` and `main.rs` on; `name` is the library's.
    pub(crate) fn new(name: &str, sources: &Sources) -> Self {
        let mut this = Self { name: name.to_owned(), ..Self::default() };
        for root in ["lib.rs", "main.rs"] {
            if sources.contains_key(root) {
                this.add_file(sources, root, None, &[], false);
            }
        }
        this
    }

    /// The files that count: without those of tests.
    pub(crate) fn code_files(&self) -> impl Iterator<Item = (FileId, &File)> {
        self.files.iter().enumerate().filter(|(_, file)| !file.is_test)
    }

    /// The module of a file: `spool::read`.
    pub(crate) fn module_of(&self, file: FileId) -> &[String] {
        &self.modules[self.files[file].module].path
    }

    fn add_file(
        &mut self,
        sources: &Sources,
        name: &str,
        parent: Option<ModuleId>,
        path: &[String],
        is_test: bool,
    ) -> ModuleId {
        let syntax = syn::parse_file(&sources[name]).unwrap_or_else(|error| panic!("{name}: {error}"));
        let syntax = Rc::new(syntax);
        let (file, module) = (self.files.len(), self.modules.len());
        self.files.push(File { name: name.to_owned(), syntax: Rc::clone(&syntax), module, is_test });
        self.modules.push(Module::new(path, file, parent));
        self.add_items(sources, &syntax.items, module, &folder_of_children(name), is_test);
        module
    }

    fn add_items(&mut self, sources: &Sources, items: &[Item], module: ModuleId, folder: &str, is_test: bool) {
        for item in items {
            if let Item::Mod(declared) = item {
                let is_test = is_test || is_test_only(&declared.attrs);
                self.add_module(sources, declared, module, folder, is_test);
            } else if is_test || !is_test_only(attributes(item)) {
                self.modules[module].add_item(item);
            }
        }
    }

    fn add_module(&mut self, sources: &Sources, declared: &ItemMod, parent: ModuleId, folder: &str, is_test: bool) {
        let name = declared.ident.to_string();
        let path = [self.modules[parent].path.as_slice(), std::slice::from_ref(&name)].concat();
        let module = if let Some((_, items)) = &declared.content {
            let module = self.modules.len();
            self.modules.push(Module::new(&path, self.modules[parent].file, Some(parent)));
            self.add_items(sources, items, module, &format!("{folder}{name}/"), is_test);
            module
        } else {
            let parent_file = &self.files[self.modules[parent].file].name;
            let candidates = match path_attribute(&declared.attrs) {
                Some(path) => vec![normal(&Path::new(parent_file).with_file_name(path))],
                None => vec![format!("{folder}{name}.rs"), format!("{folder}{name}/mod.rs")],
            };
            match candidates.iter().find(|candidate| sources.contains_key(*candidate)) {
                Some(file) => self.add_file(sources, file, Some(parent), &path, is_test),
                // A test may share files that are not in this folder.
                None if is_test => return,
                None => panic!("{parent_file}: mod {name}: none of {candidates:?} is there"),
            }
        };
        if has_attribute(&declared.attrs, "macro_use") {
            let macros = self.modules[module].macros.clone();
            self.modules[parent].macros.extend(macros);
        }
        self.modules[parent].children.insert(name, module);
    }

    /// The end of a path that stands in a module; `None` for what is of no file here.
    pub(crate) fn resolve(&self, module: ModuleId, path: &[String]) -> Option<Target> {
        self.find(module, path, false, &mut Vec::new())
    }

    /// The file of a macro that is in scope by the order of the text alone.
    pub(crate) fn resolve_macro(&self, module: ModuleId, name: &str) -> Option<FileId> {
        let mut next = Some(module);
        while let Some(module) = next {
            if let Some(file) = self.modules[module].macros.get(name) {
                return Some(*file);
            }
            next = self.modules[module].parent;
        }
        None
    }

    fn find(
        &self,
        module: ModuleId,
        path: &[String],
        want_module: bool,
        seen: &mut Vec<(ModuleId, String)>,
    ) -> Option<Target> {
        let (first, mut rest) = path.split_first()?;
        let mut current = match first.as_str() {
            "crate" => self.root(module),
            "self" => module,
            "super" => self.modules[module].parent?,
            _ => match self.look_up(module, first, !rest.is_empty() || want_module, seen) {
                Some(Target::Module(found)) => found,
                None if *first == self.name => self.files.iter().find(|file| file.name == "lib.rs")?.module,
                found => return found,
            },
        };
        while let Some((segment, further)) = rest.split_first() {
            rest = further;
            current = match segment.as_str() {
                "super" => self.modules[current].parent?,
                _ => match self.look_up(current, segment, !rest.is_empty() || want_module, seen)? {
                    Target::Module(found) => found,
                    // What follows is a variant, or a function of a type.
                    defined @ Target::Defined { .. } => return Some(defined),
                },
            };
        }
        Some(Target::Module(current))
    }

    /// A name in a module. A module and a function may share one.
    fn look_up(
        &self,
        module: ModuleId,
        name: &str,
        want_module: bool,
        seen: &mut Vec<(ModuleId, String)>,
    ) -> Option<Target> {
        if seen.contains(&(module, name.to_owned())) {
            return None;
        }
        seen.push((module, name.to_owned()));
        let found = self.look_up_unseen(module, name, want_module, seen);
        seen.pop();
        found
    }

    fn look_up_unseen(
        &self,
        module: ModuleId,
        name: &str,
        want_module: bool,
        seen: &mut Vec<(ModuleId, String)>,
    ) -> Option<Target> {
        let this = &self.modules[module];
        let child = this.children.get(name).map(|child| Target::Module(*child));
        if want_module && child.is_some() {
            return child;
        }
        let named = this.names.get(name).into_iter().flatten().filter_map(|binding| match binding {
            Binding::Defined => Some(Target::Defined { file: this.file, name: name.to_owned(), via: vec![] }),
            Binding::Imported(path) => self.find(module, path, want_module, seen).map(|found| found.via(this.file)),
        });
        let mut named: Vec<_> = named.collect();
        named.sort_by_key(|target| matches!(target, Target::Module(_)) != want_module);
        let by_glob = |seen: &mut _| {
            this.globs.iter().find_map(|path| match self.find(module, path, true, seen)? {
                Target::Module(other) if other == module => None,
                Target::Module(other) => self.look_up(other, name, want_module, seen).map(|found| found.via(this.file)),
                Target::Defined { .. } => None,
            })
        };
        named.into_iter().next().or(child).or_else(|| by_glob(seen))
    }

    fn root(&self, mut module: ModuleId) -> ModuleId {
        while let Some(parent) = self.modules[module].parent {
            module = parent;
        }
        module
    }
}

impl Target {
    fn via(self, through: FileId) -> Self {
        match self {
            Self::Module(_) => self,
            Self::Defined { file, name, mut via } => {
                via.push(through);
                Self::Defined { file, name, via }
            }
        }
    }
}

impl Module {
    fn new(path: &[String], file: FileId, parent: Option<ModuleId>) -> Self {
        Self {
            path: path.to_vec(),
            file,
            parent,
            children: BTreeMap::new(),
            names: BTreeMap::new(),
            globs: Vec::new(),
            macros: BTreeMap::new(),
        }
    }

    fn add_item(&mut self, item: &Item) {
        let name = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            Item::Macro(item) => match &item.ident {
                Some(name) => {
                    self.macros.insert(name.to_string(), self.file);
                    name
                }
                None => return,
            },
            Item::Use(item) => {
                for import in imports(&item.tree) {
                    self.add_import(import);
                }
                return;
            }
            _ => return,
        };
        self.names.entry(name.to_string()).or_default().push(Binding::Defined);
    }

    fn add_import(&mut self, import: Import) {
        match import.name {
            // `use name::…` of a crate binds the name to itself.
            Some(name) if import.path != [name.clone()] => {
                self.names.entry(name).or_default().push(Binding::Imported(import.path));
            }
            Some(_) => {}
            None => self.globs.push(import.path),
        }
    }
}

/// One name of a `use`; without a name it is `*`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) path: Vec<String>,
    pub(crate) name: Option<String>,
}

/// The names of a `use`, one by one.
pub(crate) fn imports(tree: &UseTree) -> Vec<Import> {
    fn visit(tree: &UseTree, before: &[String], found: &mut Vec<Import>) {
        let with = |name: &syn::Ident| match name.to_string().as_str() {
            // `use a::{self}` is `a`.
            "self" if !before.is_empty() => before.to_vec(),
            name => [before, &[name.to_owned()]].concat(),
        };
        match tree {
            UseTree::Path(tree) => visit(&tree.tree, &with(&tree.ident), found),
            UseTree::Name(tree) => {
                let path = with(&tree.ident);
                found.push(Import { name: path.last().cloned(), path });
            }
            UseTree::Rename(tree) => {
                found.push(Import { name: Some(tree.rename.to_string()), path: with(&tree.ident) });
            }
            UseTree::Glob(_) => found.push(Import { name: None, path: before.to_vec() }),
            UseTree::Group(tree) => tree.items.iter().for_each(|tree| visit(tree, before, found)),
        }
    }
    let mut found = Vec::new();
    visit(tree, &[], &mut found);
    found
}

pub(crate) fn is_reexport(visibility: &Visibility) -> bool {
    !matches!(visibility, Visibility::Inherited)
}

/// Whether a `cfg` keeps an item out of every build but that of the tests.
pub(crate) fn is_test_only(attributes: &[Attribute]) -> bool {
    fn is_possible(condition: &Meta) -> bool {
        let list = |condition: &Meta| -> Vec<bool> {
            let Meta::List(list) = condition else { return vec![] };
            let inner = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
            inner.into_iter().flatten().map(|inner| is_possible(&inner)).collect()
        };
        let path = condition.path();
        if path.is_ident("all") {
            list(condition).into_iter().all(|possible| possible)
        } else if path.is_ident("any") {
            list(condition).into_iter().any(|possible| possible)
        } else {
            !path.is_ident("test") && !path.is_ident("doctest")
        }
    }
    attributes.iter().any(|attribute| {
        let is_cfg = attribute.path().is_ident("cfg");
        is_cfg && attribute.parse_args::<Meta>().is_ok_and(|condition| !is_possible(&condition))
    })
}

pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn has_attribute(attributes: &[Attribute], name: &str) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident(name))
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("path")).find_map(|attribute| {
        match &attribute.meta {
            Meta::NameValue(value) => match &value.value {
                Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) => Some(path.value()),
                _ => None,
            },
            _ => None,
        }
    })
}

/// The folder of a file's modules: `spool/read.rs` has them in `spool/read/`, `spool/mod.rs` in `spool/`.
fn folder_of_children(file: &str) -> String {
    let path = Path::new(file);
    let is_folders_own =
        matches!(path.file_name().and_then(|name| name.to_str()), Some("lib.rs" | "main.rs" | "mod.rs"));
    let folder = if is_folders_own { path.parent().unwrap().to_owned() } else { path.with_extension("") };
    if folder.as_os_str().is_empty() { String::new() } else { format!("{}/", folder.display()) }
}

/// The path without `..`.
fn normal(path: &Path) -> String {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if normal.pop() => {}
            part => normal.push(part),
        }
    }
    normal.display().to_string()
}
