//! The floors on which the modules stand, as ARCHITECTURE.md lists them.

use crate::arrows::Arrow;
use crate::modules::{Crate, FileId};

/// The fence that begins the list.
const FENCE: &str = "```floors\n";

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Floors {
    /// From top to bottom, each with its modules.
    order: Vec<Vec<String>>,
    /// Order within a module, from top to bottom; `*` is every module that has no place of its own.
    inner: Vec<(Vec<String>, Vec<String>)>,
    adapters: Vec<Vec<String>>,
    /// The one file that may name adapters.
    named_by: Vec<String>,
}

impl Floors {
    /// Reads the list in a document.
    pub(crate) fn in_document(document: &str) -> Result<Self, String> {
        let (_, list) = document.split_once(FENCE).ok_or_else(|| format!("no list that begins with {FENCE:?}"))?;
        let (list, _) = list.split_once("```").ok_or("the list of floors has no end")?;
        let mut this = Self { order: vec![], inner: vec![], adapters: vec![], named_by: vec![] };
        for line in list.lines().filter(|line| !line.trim().is_empty()) {
            this.add(line).ok_or_else(|| format!("the list of floors has a line that cannot be read: {line}"))?;
        }
        Ok(this)
    }

    fn add(&mut self, line: &str) -> Option<()> {
        if let Some(rest) = line.strip_prefix("in ") {
            let (module, order) = rest.split_once(": ")?;
            self.inner.push((segments(module), order.split(" > ").map(str::to_owned).collect()));
        } else if let Some(adapters) = line.strip_prefix("adapters: ") {
            self.adapters = adapters.split_whitespace().map(segments).collect();
        } else if let Some(file) = line.strip_prefix("named by: ") {
            self.named_by = segments(file);
        } else {
            let names = line.split_whitespace();
            let is_name = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            self.order.push(names.map(|name| is_name(name).then(|| name.to_owned())).collect::<Option<_>>()?);
        }
        Some(())
    }

    fn floor(&self, module: &[String]) -> Option<usize> {
        self.order.iter().position(|floor| module.first().is_some_and(|first| floor.contains(first)))
    }

    /// The place of a module within the one whose order `inner` is.
    fn inner_floor(inner: &(Vec<String>, Vec<String>), module: &[String]) -> Option<usize> {
        let rest = module.strip_prefix(inner.0.as_slice())?;
        let named = rest.first().and_then(|first| inner.1.iter().position(|name| name == first));
        named.or_else(|| inner.1.iter().position(|name| name == "*"))
    }

    /// Whether the order within a common parent lets one module name the other.
    fn is_inner_arrow(&self, from: &[String], to: &[String]) -> bool {
        let places = |inner| Some((Self::inner_floor(inner, from)?, Self::inner_floor(inner, to)?));
        self.inner.iter().filter_map(places).any(|(from, to)| from < to)
    }

    /// Modules without a place in the list, and names in the list without a module.
    pub(crate) fn unplaced(&self, tree: &Crate) -> Vec<String> {
        let mut modules: Vec<_> = tree.code_files().filter_map(|(id, _)| tree.module_of(id).first()).collect();
        modules.sort();
        modules.dedup();
        let without_floor = modules.iter().filter(|module| self.floor(std::slice::from_ref(**module)).is_none());
        let without_floor = without_floor.map(|module| format!("{module}: stands on no floor"));
        let listed = self.order.iter().flatten().filter(|module| !modules.contains(module));
        let listed = listed.map(|module| format!("{module}: has a floor and is no module"));
        let exists = |path: &[String]| tree.code_files().any(|(id, _)| tree.module_of(id).starts_with(path));
        let inner = self.inner.iter().flat_map(|(parent, order)| {
            let places = order.iter().filter(|name| *name != "*");
            places.map(|name| [parent.as_slice(), std::slice::from_ref(name)].concat())
        });
        let places = inner.chain(self.adapters.iter().cloned()).chain([self.named_by.clone()]);
        let missing = places.filter(|path| !exists(path)).map(|path| format!("{}: is no module", path.join("::")));
        let mut found: Vec<_> = without_floor.chain(listed).chain(missing).collect();
        found.sort();
        found.dedup();
        found
    }

    /// The arrows that go up.
    pub(crate) fn upward(&self, tree: &Crate, arrows: &[Arrow]) -> Vec<String> {
        let fault = |arrow: &Arrow| {
            let (from, to) = (tree.module_of(arrow.from), tree.module_of(arrow.to));
            if tree.files[arrow.to].is_root() {
                return Some("nothing stands above it".to_owned());
            }
            if tree.files[arrow.from].is_root() {
                return None;
            }
            if let (Some(lower), Some(upper)) = (self.floor(from), self.floor(to))
                && lower > upper
            {
                return Some(format!("from {} up to {}", self.order[lower].join(" "), self.order[upper].join(" ")));
            }
            self.inner.iter().find_map(|inner| {
                let (lower, upper) = (Self::inner_floor(inner, from)?, Self::inner_floor(inner, to)?);
                (lower > upper).then(|| format!("in {} up to {}", inner.0.join("::"), inner.1[upper]))
            })
        };
        found(tree, arrows, fault)
    }

    /// The arrows to an adapter from a file that is neither its own nor the one that names adapters.
    ///
    /// A name that this one file passes on is named there only.
    pub(crate) fn named_elsewhere(&self, tree: &Crate, arrows: &[Arrow]) -> Vec<String> {
        let fault = |arrow: &Arrow| {
            let (from, to) = (tree.module_of(arrow.from), tree.module_of(arrow.to));
            let adapter = self.adapters.iter().find(|adapter| to.starts_with(adapter))?;
            let names_adapters = |file: FileId| tree.module_of(file) == self.named_by;
            let may = from.starts_with(adapter)
                || self.is_inner_arrow(from, to)
                || names_adapters(arrow.from)
                || arrow.via.iter().any(|file| names_adapters(*file));
            (!may).then(|| format!("only {} names adapters", self.named_by.join("::")))
        };
        found(tree, arrows, fault)
    }

    /// Modules of one floor that need each other.
    pub(crate) fn knots(&self, tree: &Crate, arrows: &[Arrow]) -> Vec<String> {
        let top = |file: FileId| tree.module_of(file).first().map(String::as_str);
        let sideways = arrows.iter().filter_map(|arrow| {
            let (from, to) = (top(arrow.from)?, top(arrow.to)?);
            let same = self.floor(tree.module_of(arrow.from)) == self.floor(tree.module_of(arrow.to));
            (from != to && same).then_some((from, to))
        });
        let example = |from: &str, to: &str| {
            let arrow = arrows.iter().find(|arrow| top(arrow.from) == Some(from) && top(arrow.to) == Some(to));
            arrow.map_or_else(String::new, |arrow| format!("{} names {}", tree.files[arrow.from].name, arrow.name))
        };
        let print = |circle: Vec<&str>| {
            let closed: Vec<&str> = circle.iter().copied().chain(circle.first().copied()).collect();
            let examples: Vec<String> = closed.windows(2).map(|pair| example(pair[0], pair[1])).collect();
            format!("{} ({})", closed.join(" -> "), examples.join("; "))
        };
        crate::arrows::circles(sideways).into_iter().map(print).collect()
    }
}

/// One line for each two files: the arrow, the names that make it, and the fault.
fn found(tree: &Crate, arrows: &[Arrow], fault: impl Fn(&Arrow) -> Option<String>) -> Vec<String> {
    let mut lines: Vec<(FileId, FileId, String, Vec<&str>)> = Vec::new();
    for arrow in arrows {
        let Some(fault) = fault(arrow) else { continue };
        match lines.last_mut() {
            Some((from, to, _, names)) if (*from, *to) == (arrow.from, arrow.to) => names.push(&arrow.name),
            _ => lines.push((arrow.from, arrow.to, fault, vec![&arrow.name])),
        }
    }
    let print = |(from, to, fault, names): (FileId, FileId, String, Vec<&str>)| {
        format!("{} -> {}: {fault} ({})", tree.files[from].name, tree.files[to].name, names.join(", "))
    };
    lines.into_iter().map(print).collect()
}

fn segments(path: &str) -> Vec<String> {
    path.split("::").map(str::to_owned).collect()
}
